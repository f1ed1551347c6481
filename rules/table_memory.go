package rules

// Virtual-memory guards. The numbers of the SEC_ group moved between the SDKs of macOS 15 and 26.

// tagSoftMode is kGUARD_EXC_MTE_SOFT_MODE. The kernel sets it in the target, next to the kind of fault.
//
// Source: XNU osfmk/arm64/sleh.c, mte_send_sync_soft_mode_exception; osfmk/arm64/mte.c, mte_guard_ast.
const tagSoftMode = 0x100000

const remedyMemory = "Look for memory used after it was freed, or freed in other pieces than it was allocated: run " +
	"the program with Address Sanitizer or Guard Malloc."

// vmCase is the case of the guards that task_exc_guard decides: fatal for platform binaries and from level 1 on.
var vmCase = []Case{{ID: "task-setting", KillsFrom: Level1,
	When: "the process is a platform binary or runs at level 1 or above; otherwise the call only returns an error"}}

func vmRule(name string, flavor uint32, since Version, title, happened, trigger string) Rule {
	return Rule{
		Name: name, Guard: GuardVirtMemory, Flavor: flavor, Enum: "kGUARD_EXC_" + name,
		Aliases: []string{"VM_" + name}, Title: title, Class: Optional, KillsFrom: Level1, Cases: vmCase, Since: since,
		Happened: happened, Trigger: trigger, Target: TargetUnused, Payload: PayloadAddress, Remedy: remedyMemory,
		Verified: true, Sources: []string{srcVMStat},
	}
}

// printed sets the name that ReportCrash prints, which then is the canonical one.
func printed(r Rule, name string) Rule {
	if name != r.Name {
		r.Aliases = append(r.Aliases, r.Name)
	}
	r.Name, r.ReportCrash = name, name
	return r
}

// security makes a rule of the SEC_ group, whose fatality is decided where it is raised.
func security(r Rule, old uint32) Rule {
	r.Class, r.KillsFrom = Fatal, LevelNone
	r.Cases = []Case{{ID: "memory-policy", KillsFrom: LevelNone,
		When: "the kernel's memory policy says so; it does not depend on the level of Mach IPC restrictions"}}
	r.Verified = false
	r.Doubts = append(r.Doubts, "no public kernel source shows where it is raised and when it kills")
	r.Remedy = "The system denied access to memory it protects. Check what memory is shared, copied or mapped " +
		"executable."
	r.Sources = append(r.Sources, srcVMSDK15)
	first := Era{From: Version{15, 0}, XNU: "SDK of macOS 15", Flavor: old, Class: Fatal, KillsFrom: LevelNone,
		Target: TargetUnused, Payload: PayloadAddress}
	now := first
	now.From, now.XNU, now.Flavor, now.Note = Version{26, 0}, "newest public", r.Flavor, "renumbered"
	now.Unsure = "whether a kernel of macOS 26 still raises the old number, which ReportCrash of 26 knows"
	if r.Retired != "" {
		now.Flavor, now.KillsFrom, now.Note, now.Unsure = 0, Never, "removed", ""
	}
	r.Since, r.History = Version{15, 0}, []Era{first, now}
	return r
}

// tagged makes a rule of the memory-tagging group: fatal, unless the program runs in soft mode.
func tagged(r Rule) Rule {
	r.Class, r.KillsFrom = Fatal, LevelNone
	r.Cases = []Case{
		{ID: "tag-check", KillsFrom: LevelNone,
			When: "memory tagging is on for the process (com.apple.security.hardened-process.checked-allocations) " +
				"and not in soft mode"},
		{ID: "soft-mode", KillsFrom: Never, Special: true,
			When: "the process runs in soft mode (….checked-allocations.soft-mode): it lives, and a simulated crash " +
				"is written"},
	}
	r.Target = TargetTagFault
	r.TargetNote = "the kind of fault (0x106 tag check, 0x107 canonical tag), with 0x100000 set in soft mode"
	r.Sources = append(r.Sources, srcSleh, "XNU (newest) osfmk/arm64/mte.c, mte_guard_ast")
	r.Remedy = "This is a memory-safety bug: memory was used after it was freed, or out of bounds. Reproduce it with " +
		"Address Sanitizer, or in soft mode to see all places."
	r.tell = tellTagFault
	return r
}

var memoryRules = []Rule{
	printed(vmRule("DEALLOC_GAP", 1, Version{10, 15}, "memory freed that is not mapped",
		"The process deallocated a range of memory with a hole in it.",
		"vm_deallocate or munmap of a range of which a part is not mapped."), "DEALLOC_GAP"),
	printed(vmRule("RECLAIM_COPYIO_FAILURE", 2, Version{13, 0}, "reclaim buffer cannot be read",
		"The kernel could not read the process's buffer of reclaimable memory.",
		"The deferred-reclamation buffer was unmapped or protected."), "RECLAIM_COPYIO_FAILURE"),
	printed(vmRule("RECLAIM_INDEX_FAILURE", 4, Version{13, 0}, "reclaim buffer corrupted",
		"The indices of the process's buffer of reclaimable memory make no sense.",
		"The deferred-reclamation buffer was overwritten."), "RECLAIM_INDEX_FAILURE"),
	printed(vmRule("RECLAIM_DEALLOCATE_FAILURE", 8, Version{13, 0}, "reclaimed memory cannot be freed",
		"The kernel could not free memory that the process had offered for reclaim.",
		"The range was unmapped or remapped behind the allocator's back."), "RECLAIM_DEALLOCATE_FAILURE"),
	vmRule("RECLAIM_ACCOUNTING_FAILURE", 9, Version{26, 0}, "reclaim counters corrupted",
		"The counters of the process's reclaimable memory make no sense.",
		"The deferred-reclamation buffer was overwritten."),
	security(Rule{
		Name: "SEC_LOOKUP_DENIED", Guard: GuardVirtMemory, Enum: "kGUARD_EXC_SEC_LOOKUP_DENIED",
		Flavor: 3, Aliases: []string{"VM_SEC_LOOKUP_DENIED"}, Title: "lookup of protected memory denied", Class: Fatal,
		Retired:  "not in the newest header",
		Happened: "The process was denied a look at memory that the system protects.", Trigger: "SDK of macOS 15 only.",
		Target: TargetUnused, Payload: PayloadAddress, Verified: true,
	}, 3),
	security(Rule{
		Name: "SEC_RANGE_DENIED", Guard: GuardVirtMemory, Enum: "kGUARD_EXC_SEC_RANGE_DENIED",
		Flavor: 6, Aliases: []string{"VM_SEC_RANGE_DENIED"}, Title: "range of protected memory denied", Class: Fatal,
		Retired:  "not in the newest header",
		Happened: "The process was denied a range of memory that the system protects.", Trigger: "SDK of macOS 15 " +
			"only.",
		Target: TargetUnused, Payload: PayloadAddress, Verified: true,
	}, 6),
	vmSecurity("SEC_IOPL_ON_EXEC_PAGE", 10, "device access to executable memory",
		"The process asked for device access to a page that is executable."),
	vmSecurity("SEC_EXEC_ON_IOPL_PAGE", 11, "execution of memory in device use",
		"The process executed a page that a device was using."),
	vmSecurity("SEC_UPL_WRITE_ON_EXEC_REGION", 12, "device write to executable memory",
		"The process asked for a device write to a region that is executable."),
	soft(vmRule("LARGE_ALLOCATION_TELEMETRY", 13, Version{26, 4}, "very large allocation",
		"The process made an allocation larger than guard objects allow; that is only counted.",
		"Guard objects refuse the size; reported by development kernels only.")),
	printed(security(vmRule("SEC_ACCESS_FAULT", 98, Version{15, 0}, "access to protected memory",
		"The process touched memory that the system protects.", "A fault on protected memory."), 7),
		"GUARD_EXC_SEC_ACCESS_FAULT"),
	printed(security(vmRule("SEC_ASYNC_ACCESS_FAULT", 99, Version{15, 0}, "access to protected memory, found later",
		"The process touched memory that the system protects, and it was noticed later.", "A fault on protected "+
			"memory."), 64),
		"GUARD_EXC_SEC_ASYNC_ACCESS_FAULT"),
	security(vmRule("SEC_COPY_DENIED", 100, Version{15, 0}, "copy of protected memory denied",
		"The process copied memory that may not be copied.", "A copy of tagged or protected memory is refused."), 16),
	security(vmRule("SEC_SHARING_DENIED", 101, Version{15, 0}, "sharing of protected memory denied",
		"The process shared memory that may not be shared.", "Sharing tagged or protected memory is refused."), 32),
	printed(tagged(vmRule("MTE_SYNC_FAULT", 200, Version{26, 0}, "memory tag mismatch",
		"The process used memory through a pointer with the wrong tag.", "A tag check failed in the process itself.")),
		"GUARD_EXC_MTE_SYNC_FAULT"),
	printed(tagged(vmRule("MTE_ASYNC_USER_FAULT", 201, Version{26, 0}, "memory tag mismatch in a system call",
		"The kernel met a wrong tag while it worked on memory for a thread of the process.",
		"A tag check failed in the kernel, on behalf of a thread of the process.")), "GUARD_EXC_MTE_ASYNC_USER_FAULT"),
	printed(tagged(vmRule("MTE_ASYNC_KERN_FAULT", 202, Version{26, 0}, "memory tag mismatch in a kernel thread",
		"A kernel thread met a wrong tag while it worked on memory of the process.",
		"A tag check failed in a kernel thread that had the process's memory "+
			"mapped.")), "kGUARD_EXC_MTE_ASYNC_KERN_FAULT"),
	vmRule("GUARD_OBJECT_ASYNC_USER_FAULT", 203, Version{26, 4}, "guard object touched in a system call",
		"The kernel ran into a guard object while it worked on memory for a thread of the process.",
		"The kernel touches guarded address space on behalf of a thread; needs guard objects."),
	vmRule("GUARD_OBJECT_ASYNC_KERN_FAULT", 204, Version{26, 4}, "guard object touched by a kernel thread",
		"A kernel thread ran into a guard object in memory of the process.",
		"A kernel thread touches guarded address space of the process; needs guard objects."),
}

// vmSecurity makes a rule about device access (wiring for a device) and execution on one page.
//
// Source: XNU (newest), tests of debug.test.vm_upl: they catch the guard as task_exc_guard delivers it.
func vmSecurity(name string, flavor uint32, title, happened string) Rule {
	r := vmRule(name, flavor, Version{26, 0}, title, happened,
		"The kernel refuses to mix device access and execution on one page.")
	r.Remedy = "Do not hand executable memory to a device, nor execute memory that a device uses."
	r.Verified = false
	r.Doubts = []string{"that task_exc_guard decides whether it kills: concluded from XNU's tests, its call site is not public"}
	return r
}

func soft(r Rule) Rule {
	r.Class, r.KillsFrom, r.Cases = Soft, Never, nil
	r.Payload = PayloadSize
	r.Remedy = "Nothing has to be done for the process to live."
	r.Sources = append(r.Sources, "XNU (newest) osfmk/vm/vm_map.c")
	return r
}
