package server

import (
	"math"

	"portcullis.dev/defs/machvm"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// memory serves mach_vm over the address space behind a task. A task without one is a task without a map.
type memory struct{ *call }

var _ machvm.Server[port] = memory{}

// space returns the address space of the task that a control port stands for (convert_port_to_map).
func (c memory) space(p port) AddressSpace { return spaceOf(c.task(p, object.Control)) }

// readSpace returns that of the task that a read port stands for (convert_port_to_map_read), or of a corpse.
func (c memory) readSpace(p port) AddressSpace { return spaceOf(c.task(p, object.Read)) }

func spaceOf(t *object.Task) AddressSpace {
	if t == nil || !t.Alive() && !t.IsCorpse() {
		return nil
	}
	s, _ := t.Process().(AddressSpace)
	return s
}

// own returns the caller's address space, which results are put into.
func (c memory) own() AddressSpace { return spaceOf(c.by.Task()) }

// What a task may ask for (VM_FLAGS_USER_ALLOCATE, VM_FLAGS_USER_MAP, VM_FLAGS_USER_REMAP).
const (
	userAllocate VMFlags = 0xff07709f
	userMap              = userAllocate | 0x900000
	userRemap            = VMAnywhere | VMRandom | VMOverwrite | 0x100060
)

// maxRead is the most that one call reads: it is held for the caller until that has it.
const maxRead = 256 << 20

// wraps says that a range goes round the end of all addresses.
func wraps(addr, size uint64) bool { return size > math.MaxUint64-addr }

// MachVmAllocate serves mach_vm_allocate.
//
// Source: XNU osfmk/vm/vm_user.c, mach_vm_allocate_external and mach_vm_allocate_kernel.
func (c memory) MachVmAllocate(_ *rpc.Message[port], p port, addr, size uint64, flags int32) (uint64,
	mach.KernReturn) {
	s, f := c.space(p), VMFlags(flags)
	switch {
	case f&^userAllocate != 0, s == nil:
		return addr, mach.KernInvalidArgument
	case size == 0:
		return 0, 0
	case f&VMAnywhere == 0 && wraps(addr, size):
		return addr, mach.KernInvalidArgument
	}
	return s.Allocate(c.by.IPC, addr, size, 0, f)
}

// MachVmDeallocate serves mach_vm_deallocate.
func (c memory) MachVmDeallocate(_ *rpc.Message[port], p port, addr, size uint64) mach.KernReturn {
	return c.onRange(p, addr, size, func(s AddressSpace) mach.KernReturn { return s.Deallocate(c.by.IPC, addr, size) })
}

// onRange runs f on the address space of a control port's task, unless the range is empty.
func (c memory) onRange(p port, addr, size uint64, f func(AddressSpace) mach.KernReturn) mach.KernReturn {
	s := c.space(p)
	switch {
	case s == nil:
		return mach.KernInvalidArgument
	case size == 0:
		return 0
	case wraps(addr, size):
		return mach.KernInvalidArgument
	}
	return f(s)
}

// MachVmProtect serves mach_vm_protect.
func (c memory) MachVmProtect(_ *rpc.Message[port], p port, addr, size uint64, maximum, prot int32) mach.KernReturn {
	return c.onRange(p, addr, size, func(s AddressSpace) mach.KernReturn {
		what := ProtectCurrent
		if maximum != 0 {
			what = ProtectMaximum
		}
		if Protection(prot)&^(ProtAll|protCopy) != 0 {
			return mach.KernInvalidArgument
		}
		return s.Protect(c.by.IPC, addr, size, Protection(prot)&ProtAll, what)
	})
}

// inheritNone is the highest inheritance that a task may set (VM_INHERIT_NONE).
const inheritNone = 2

// MachVmInherit serves mach_vm_inherit.
func (c memory) MachVmInherit(_ *rpc.Message[port], p port, addr, size uint64, how int32) mach.KernReturn {
	return c.onRange(p, addr, size, func(s AddressSpace) mach.KernReturn {
		if uint32(how) > inheritNone {
			return mach.KernInvalidArgument
		}
		return s.Inherit(c.by.IPC, addr, size, uint32(how))
	})
}

// read reads memory for a call.
func (c memory) read(s AddressSpace, addr, size uint64) ([]byte, mach.KernReturn) {
	switch {
	case s == nil, wraps(addr, size):
		return nil, mach.KernInvalidArgument
	case size == 0:
		return nil, 0
	case size > maxRead:
		return nil, mach.KernResourceShortage
	}
	return s.Read(c.by.IPC, addr, size)
}

// MachVmRead serves mach_vm_read, for which a read port will do.
func (c memory) MachVmRead(_ *rpc.Message[port], p port, addr, size uint64) ([]byte, mach.KernReturn) {
	if size > math.MaxUint32 {
		return nil, mach.KernInvalidArgument
	}
	return c.read(c.readSpace(p), addr, size)
}

// readEntries is how many ranges mach_vm_read_list takes (VM_MAP_ENTRY_MAX).
const readEntries = 256

// MachVmReadList serves mach_vm_read_list: ranges are pairs of address and size, and come back as where they were put in
// the caller. What could not be read is 0, and the last range decides what is returned.
func (c memory) MachVmReadList(_ *rpc.Message[port], p port, list [2 * readEntries]uint64,
	count uint32) (out [2 * readEntries]uint64, kr mach.KernReturn) {
	s, to := c.readSpace(p), c.own()
	if s == nil || count > readEntries {
		return list, mach.KernInvalidArgument
	}
	for i := range count {
		addr, size := list[2*i], list[2*i+1]
		list[2*i], list[2*i+1] = 0, 0
		if size == 0 {
			continue
		}
		var b []byte
		if b, kr = c.read(s, addr, size); kr != 0 {
			continue
		}
		if to == nil {
			kr = mach.KernInvalidArgument
			continue
		}
		var at uint64
		if at, kr = to.Allocate(c.by.IPC, 0, size, 0, VMAnywhere); kr != 0 {
			continue
		}
		if kr = to.Write(c.by.IPC, at, b); kr == 0 {
			list[2*i], list[2*i+1] = at, size
		}
	}
	return list, kr
}

// MachVmReadOverwrite serves mach_vm_read_overwrite, which puts what it reads where the caller says.
func (c memory) MachVmReadOverwrite(_ *rpc.Message[port], p port, addr, size, data uint64) (uint64, mach.KernReturn) {
	b, kr := c.read(c.readSpace(p), addr, size)
	if kr != 0 {
		return 0, kr
	}
	to := c.own()
	switch {
	case size == 0:
		return 0, 0
	case to == nil:
		return 0, mach.KernInvalidArgument
	}
	if kr := to.Write(c.by.IPC, data, b); kr != 0 {
		return 0, kr
	}
	return size, 0
}

// MachVmWrite serves mach_vm_write.
func (c memory) MachVmWrite(_ *rpc.Message[port], p port, addr uint64, data []byte) mach.KernReturn {
	return c.onRange(p, addr, uint64(len(data)), func(s AddressSpace) mach.KernReturn {
		return s.Write(c.by.IPC, addr, data)
	})
}

// MachVmCopy serves mach_vm_copy.
func (c memory) MachVmCopy(_ *rpc.Message[port], p port, from, size, to uint64) mach.KernReturn {
	return c.onRange(p, from, size, func(s AddressSpace) mach.KernReturn {
		b, kr := c.read(s, from, size)
		switch {
		case kr != 0:
			return kr
		case wraps(to, size):
			return mach.KernInvalidArgument
		}
		return s.Write(c.by.IPC, to, b)
	})
}

// MachVmMsync serves mach_vm_msync.
func (c memory) MachVmMsync(_ *rpc.Message[port], p port, addr, size uint64, flags int32) mach.KernReturn {
	if c.space(p) == nil {
		return mach.KernInvalidTask
	}
	return c.onRange(p, addr, size, func(s AddressSpace) mach.KernReturn {
		return s.Sync(c.by.IPC, addr, size, uint32(flags))
	})
}

// Behaviors of memory (VM_BEHAVIOR_*): all but the last are hints.
const (
	behaviorZero = 12
	behaviorLast = behaviorZero
)

// MachVmBehaviorSet serves mach_vm_behavior_set.
func (c memory) MachVmBehaviorSet(_ *rpc.Message[port], p port, addr, size uint64, behavior int32) mach.KernReturn {
	if s := c.space(p); s != nil && uint32(behavior) > behaviorLast {
		return mach.KernInvalidArgument
	}
	return c.onRange(p, addr, size, func(s AddressSpace) mach.KernReturn {
		switch {
		case behavior != behaviorZero:
			return 0
		case size > maxRead:
			return mach.KernResourceShortage
		}
		return s.Write(c.by.IPC, addr, make([]byte, size))
	})
}

// cacheAttribute is the one machine attribute that there is (MATTR_CACHE). Caches need no help here.
const cacheAttribute = 1

// MachVmMachineAttribute serves mach_vm_machine_attribute.
func (c memory) MachVmMachineAttribute(_ *rpc.Message[port], p port, addr, size uint64, attribute, value int32) (int32,
	mach.KernReturn) {
	return value, c.onRange(p, addr, size, func(AddressSpace) mach.KernReturn {
		if attribute != cacheAttribute {
			return mach.KernInvalidArgument
		}
		return 0
	})
}

// MachVmMap serves mach_vm_map, of zero-filled memory: there are no memory entries and no pagers.
func (c memory) MachVmMap(_ *rpc.Message[port], p port, addr, size, mask uint64, flags int32, o port, _ uint64,
	_, current, most, inheritance int32) (uint64, mach.KernReturn) {
	s, f := c.space(p), VMFlags(flags)
	switch {
	case f&^userMap != 0, s == nil, size == 0, f&VMAnywhere == 0 && wraps(addr, size):
		return addr, mach.KernInvalidArgument
	case Protection(current)&^ProtAll != 0, Protection(most)&^ProtAll != 0, uint32(inheritance) > inheritNone:
		return addr, mach.KernInvalidArgument
	case o != nil:
		return addr, mach.KernInvalidObject
	}
	at, kr := s.Allocate(c.by.IPC, addr, size, mask, f&userAllocate)
	if kr != 0 {
		return addr, kr
	}
	steps := []func() mach.KernReturn{
		func() mach.KernReturn { return s.Protect(c.by.IPC, at, size, Protection(current), ProtectCurrent) },
		func() mach.KernReturn { return s.Protect(c.by.IPC, at, size, Protection(most), ProtectMaximum) },
		func() mach.KernReturn { return s.Inherit(c.by.IPC, at, size, uint32(inheritance)) },
	}
	for _, step := range steps {
		if kr := step(); kr != 0 {
			s.Deallocate(c.by.IPC, at, size)
			return addr, kr
		}
	}
	return at, 0
}

// MachVmRemap serves mach_vm_remap.
func (c memory) MachVmRemap(_ *rpc.Message[port], p port, addr, size, mask uint64, flags int32, from port,
	source uint64, copied, inheritance int32) (uint64, int32, int32, mach.KernReturn) {
	return c.remap(p, addr, size, mask, flags, c.space(from), from, source, copied, inheritance)
}

// MachVmRemapNew serves mach_vm_remap_new: a read port of the source will do for memory that is copied or not written.
//
// Source: XNU osfmk/vm/vm_user.c, mach_vm_remap_new_external.
func (c memory) MachVmRemapNew(_ *rpc.Message[port], p port, addr, size, mask uint64, flags int32, from port,
	source uint64, copied, current, most, inheritance int32) (uint64, int32, int32, mach.KernReturn) {
	m := Protection(most)
	switch {
	case c.space(p) == nil, VMFlags(flags)&^userRemap != 0:
		return addr, current, most, mach.KernInvalidArgument
	case Protection(current)&^ProtAll != 0 || m&^ProtAll != 0 || Protection(current)&^m != 0:
		return addr, current, most, mach.KernInvalidArgument
	case m&(ProtWrite|ProtExecute) == ProtWrite|ProtExecute:
		return addr, current, most, mach.KernProtectionFailure
	}
	src := c.space(from)
	if copied != 0 || m&^ProtRead == 0 {
		src = c.readSpace(from)
	}
	at, _, _, kr := c.remap(p, addr, size, mask, flags, src, from, source, copied, inheritance)
	if kr != 0 {
		return addr, current, most, kr
	}
	s := c.space(p)
	if kr := s.Protect(c.by.IPC, at, size, Protection(current), ProtectCurrent); kr != 0 {
		return at, current, most, kr
	}
	return at, current, most, s.Protect(c.by.IPC, at, size, m, ProtectMaximum)
}

// remap maps memory of one space into another, and gives up the right to the source's task if it succeeds.
func (c memory) remap(p port, addr, size, mask uint64, flags int32, src AddressSpace, from port, source uint64, copied,
	inheritance int32) (uint64, int32, int32, mach.KernReturn) {
	s, f, how := c.space(p), VMFlags(flags), RemapShared
	if copied != 0 {
		how = RemapCopied
	}
	switch {
	case f&^userRemap != 0, s == nil, src == nil, size == 0, uint32(inheritance) > inheritNone:
		return addr, 0, 0, mach.KernInvalidArgument
	case wraps(source, size), f&VMAnywhere == 0 && wraps(addr, size):
		return addr, 0, 0, mach.KernInvalidArgument
	}
	at, current, most, kr := s.Remap(c.by.IPC, addr, size, mask, f, src, source, how)
	if kr == 0 {
		kr = s.Inherit(c.by.IPC, at, size, uint32(inheritance))
	}
	if kr == 0 {
		drop(from)
	}
	return at, int32(current), int32(most), kr
}

// Page query, memory entries and purgable memory need a virtual memory system that looks into its pages.

// MachVmPageQuery serves mach_vm_page_query: no page is known to be there.
func (c memory) MachVmPageQuery(_ *rpc.Message[port], p port, _ uint64) (int32, int32, mach.KernReturn) {
	if c.readSpace(p) == nil {
		return 0, 0, mach.KernInvalidArgument
	}
	return 0, 0, mach.KernNotSupported
}

// MachVmPageInfo serves mach_vm_page_info.
func (c memory) MachVmPageInfo(_ *rpc.Message[port], p port, _ uint64, _ int32, _ uint32) ([]int32, mach.KernReturn) {
	if c.readSpace(p) == nil {
		return nil, mach.KernInvalidArgument
	}
	return nil, mach.KernNotSupported
}

// MachVmPageRangeQuery serves mach_vm_page_range_query.
func (c memory) MachVmPageRangeQuery(_ *rpc.Message[port], p port, _, _, _, _ uint64) (uint64, mach.KernReturn) {
	if c.readSpace(p) == nil {
		return 0, mach.KernInvalidArgument
	}
	return 0, mach.KernNotSupported
}

// MachMakeMemoryEntry serves mach_make_memory_entry.
func (c memory) MachMakeMemoryEntry(_ *rpc.Message[port], p port, size, _ uint64, _ int32, _ port) (uint64, port,
	mach.KernReturn) {
	if c.space(p) == nil {
		return size, nil, mach.KernInvalidArgument
	}
	return size, nil, mach.KernNotSupported
}

// purgableGetState asks for the state of purgable memory (VM_PURGABLE_GET_STATE).
const purgableGetState = 1

// MachVmPurgableControl serves mach_vm_purgable_control: no memory is purgable.
//
// Source: XNU osfmk/vm/vm_map.c, vm_map_purgable_control.
func (c memory) MachVmPurgableControl(_ *rpc.Message[port], p port, addr uint64, control, state int32) (int32,
	mach.KernReturn) {
	s := c.space(p)
	if control == purgableGetState {
		s = c.readSpace(p)
	}
	if s == nil {
		return state, mach.KernInvalidArgument
	}
	if r, kr := s.Region(c.by.IPC, addr); kr != 0 || r.Address > addr {
		return state, mach.KernInvalidAddress
	}
	return state, mach.KernInvalidArgument
}
