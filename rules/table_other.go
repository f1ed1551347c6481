package rules

// Guards that are not about Mach ports. The level of Mach IPC restrictions does not matter to most of them.

const (
	srcGuardedH = "XNU bsd/sys/guarded.h"
	srcFDGuard  = "XNU bsd/kern/kern_guarded.c, fd_guard_ast"
	srcVNGuard  = "XNU bsd/kern/kern_guarded.c, vng_guard_violation"
	srcVMStat   = "XNU (newest) osfmk/mach/vm_statistics.h, virtual_memory_guard_exception_code_t"
	srcVMSDK15  = "macOS 15 SDK mach/vm_statistics.h"
	srcSleh     = "XNU (newest) osfmk/arm64/sleh.c"
	srcReportVM = "ReportCrash of macOS 26"
)

const remedyFD = "Another part of the process (a library, libdispatch, the network stack) owns this descriptor and " +
	"guards it. Look for a descriptor closed twice, a number kept after close, or a loop that closes or duplicates " +
	"all descriptors; to hand a descriptor on, dup() it before it is given to the library."

func fdRule(name string, flavor uint32, title, happened, trigger string) Rule {
	return Rule{
		Name: name, Guard: GuardFD, Flavor: flavor, Enum: "kGUARD_EXC_" + name, ReportCrash: name,
		Aliases: []string{"FD_" + name, "GUARD_TYPE_FD_" + name}, Title: title, Class: Fatal, KillsFrom: LevelNone,
		Since: Version{10, 9}, Happened: happened, Trigger: trigger, Target: TargetFD, Payload: PayloadGuard,
		Return: "EPERM, where the process lives to see it", Remedy: remedyFD, Verified: true,
		Sources: []string{srcGuardedH, srcFDGuard},
	}
}

var fdRules = []Rule{
	fdRule("CLOSE", 1, "guarded descriptor closed",
		"The process closed a file descriptor that a library guards.", "close() or dup2() onto the descriptor."),
	fdRule("DUP", 2, "guarded descriptor duplicated",
		"The process duplicated a file descriptor that a library guards.", "dup(), dup2(), fcntl(F_DUPFD) or "+
			"posix_spawn file actions."),
	fdRule("NOCLOEXEC", 4, "close-on-exec taken off a guarded descriptor",
		"The process removed close-on-exec from a file descriptor that a library guards.", "fcntl(F_SETFD) without "+
			"FD_CLOEXEC."),
	fdRule("SOCKET_IPC", 8, "guarded descriptor sent over a socket",
		"The process sent a guarded file descriptor to another process.", "sendmsg() with SCM_RIGHTS."),
	fdRule("FILEPORT", 0x10, "guarded descriptor made into a Mach port",
		"The process turned a guarded file descriptor into a Mach port.", "fileport_makeport() of the descriptor."),
	fdRule("MISMATCH", 0x20, "wrong guard for a descriptor",
		"The process presented the wrong guard for a file descriptor.", "A guarded_*_np() call with another guard "+
			"than the descriptor's."),
	fdRule("WRITE", 0x40, "guarded descriptor written to",
		"The process wrote to a file descriptor that is guarded against it.", "write() and the like without the "+
			"guard."),
}

var userRules = []Rule{{
	Name: "GUARD_TYPE_USER", Guard: GuardUser, Flavor: 0, Enum: "GUARD_TYPE_USER", ReportCrash: "GUARD_TYPE_USER",
	Aliases: []string{"USER"}, Title: "fault the process reported itself", Class: Soft, KillsFrom: Never,
	Since:    Version{10, 13},
	Happened: "The process reported a fault of its own; that leaves a report and does not end it.",
	Trigger:  "os_fault_with_payload() in a library.", Target: TargetReasonNamespace, Payload: PayloadReasonCode,
	Remedy: "This is no crash and no Mach restriction: the process went on. The namespace names the library to ask.",
	Cases: []Case{{ID: "fault", KillsFrom: Never, Special: true, When: "a library calls os_fault_with_payload; never " +
		"by itself: a process that also ended has another termination reason"}},
	Verified: true,
	Sources:  []string{"XNU (newest) bsd/kern/kern_sig.c, GUARD_TYPE_USER", "XNU osfmk/kern/exc_guard.h"},
}}

func vnRule(name string, flavor uint32, title, happened string) Rule {
	r := Rule{
		Name: "VNG_" + name, Guard: GuardVN, Flavor: flavor, Enum: "VNG_" + name, ReportCrash: "VNG_" + name,
		Aliases: []string{"VN_" + name}, Title: title, Class: Optional, KillsFrom: LevelNone, Since: Version{10, 12},
		Cases: []Case{{ID: "policy", KillsFrom: LevelNone,
			When: "the system's vnode-guard policy includes a kill; whether it does is set by the system, not by the " +
				"level"}},
		Happened: happened,
		Trigger:  "A process without the guard touches a file that another process protects with a vnode guard.",
		Target:   TargetOwnerPID, Payload: PayloadGuard, Return: "EPERM, where the policy denies",
		Remedy: "Leave the file to its owner (the process id in the report), or ask the owner to do it; a database " +
			"or system store is usually opened twice.",
		Verified: true, Sources: []string{srcGuardedH, srcVNGuard},
	}
	return r
}

var vnRules = []Rule{
	vnRule("RENAME_TO", 1, "guarded file replaced by a rename", "The process renamed another file onto one that is "+
		"guarded."),
	vnRule("RENAME_FROM", 2, "guarded file renamed", "The process renamed a file that another process guards."),
	vnRule("UNLINK", 4, "guarded file deleted", "The process deleted a file that another process guards."),
	vnRule("WRITE_OTHER", 8, "guarded file written", "The process wrote to a file that another process guards."),
	vnRule("TRUNC_OTHER", 0x10, "guarded file truncated", "The process truncated a file that another process guards."),
	vnRule("LINK", 0x20, "guarded file linked", "The process made a link to a file that another process guards."),
	vnRule("EXCHDATA", 0x40, "guarded file exchanged", "The process exchanged the data of a file that another "+
		"process guards."),
	{
		Name: "VNG_PERMISSIONS", Guard: GuardVN, Flavor: 0x80, Enum: "VNG_PERMISSIONS", ReportCrash: "VNG_PERMISSIONS",
		Aliases: []string{"VN_PERMISSIONS"}, Title: "permission fault reported by a file system", Class: Soft,
		KillsFrom: Never, Since: Version{10, 15},
		Happened: "A file system reported that the process met a permission problem; that does not end it.",
		Trigger:  "Raised by APFS, not by a vnode guard.", Target: TargetOwnerPID, Payload: PayloadGuard,
		TargetNote: "a value of the file system's choice",
		Remedy:     "Nothing has to be done for the process to live.", Verified: false,
		Doubts:  []string{"no call site is public; the first release is a guess"},
		Sources: []string{"name table of " + srcReportVM},
	},
}

var syscallRules = []Rule{
	{
		Name: "GUARD_TYPE_REJECTED_SC", Guard: GuardRejectedSC, Flavor: 0, Enum: "GUARD_TYPE_REJECTED_SC",
		ReportCrash: "GUARD_TYPE_REJECTED_SC", Aliases: []string{"REJECTED_SC"}, Title: "system call rejected for " +
			"debugging",
		Class: Fatal, KillsFrom: LevelNone, Since: Version{11, 0},
		Cases: []Case{{ID: "rejected", KillsFrom: LevelNone, Special: true,
			When: "the thread itself rejected the call with debug_syscall_reject, on a kernel built for it"}},
		History: []Era{
			{From: Version{11, 0}, XNU: "xnu-7195.50.7", Class: Optional, KillsFrom: LevelNone,
				Target: TargetTrapFlag, Payload: PayloadSyscall, Note: "the thread received SIGSYS"},
			{From: Version{26, 4}, XNU: "newest public", Class: Fatal, KillsFrom: LevelNone,
				Target: TargetTrapFlag, Payload: PayloadSyscall, Note: "the process exits"},
		},
		Happened: "The process made a system call that it had itself rejected for debugging.",
		Trigger:  "debug_syscall_reject on development kernels.", Target: TargetTrapFlag, Payload: PayloadSyscall,
		Remedy:   "Remove the rejection mask, or avoid the call.",
		Verified: true, Sources: []string{"XNU (newest) bsd/kern/kern_debug.c, debug_syscall_rejection_handle"},
		Doubts: []string{"in which release the signal became an exit"},
	},
	{
		Name: "FROZEN_SWAPIN", Guard: GuardFrozen, Flavor: 0, Enum: "GUARD_TYPE_FROZEN_SWAPIN",
		Aliases: []string{"GUARD_TYPE_FROZEN_SWAPIN"}, Title: "frozen process touched", Class: Soft, KillsFrom: Never,
		Since: Version{26, 0},
		Happened: "A process that the system had frozen was touched and read back into memory; telemetry of the " +
			"system.",
		Trigger: "Kernels built with a memory freezer (iOS).", Target: TargetPID, Payload: PayloadUnused,
		Remedy: "Nothing to do: this is telemetry about frozen processes.", Verified: false,
		Doubts:  []string{"meaning of flavor, target and payload; the first release"},
		Sources: []string{"XNU (newest) osfmk/kern/thread.c, guard_ast (the type is dispatched there)"},
	},
}
