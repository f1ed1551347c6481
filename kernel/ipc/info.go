package ipc

import "portcullis.dev/mach"

// EntryInfo describes one entry of a space's table; a free one has no type.
type EntryInfo struct {
	Name mach.Name
	Type mach.RightType // with the requests that are armed on it
	Refs uint32         // user references
	Next uint32         // of a free entry: the index of the next one
	Port *Port          // that the rights are to; it is no right
	Set  *PortSet       // of the name of a set
}

// TableSize returns how many entries the table has, the first of which is never used, and how many are in use.
//
// Source: XNU osfmk/ipc/mach_debug.c, mach_port_space_basic_info.
func (s *Space) TableSize() (size, used int, kr mach.KernReturn) {
	kr = s.locked(func(*cleanup) mach.KernReturn {
		size, used = len(s.table), s.used
		return 0
	})
	return size, used, kr
}

// Table lists all entries.
//
// Source: XNU osfmk/ipc/mach_debug.c, mach_port_space_info.
func (s *Space) Table() (all []EntryInfo, kr mach.KernReturn) {
	kr = s.locked(func(*cleanup) mach.KernReturn {
		all = make([]EntryInfo, len(s.table))
		for i := range s.table {
			e := &s.table[i]
			all[i] = EntryInfo{Name: s.name(uint32(i)), Next: e.next}
			if e.rights != 0 {
				all[i].Type, all[i].Refs = s.info(e)
				all[i].Port, all[i].Set = e.port, e.set
			}
		}
		return 0
	})
	return all, kr
}

// SendRights counts the send rights to the port of a receive right, in spaces and in messages.
//
// Source: XNU osfmk/ipc/mach_debug.c, mach_port_get_srights.
func (s *Space) SendRights(name mach.Name) (n uint32, kr mach.KernReturn) {
	kr = s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
		n = uint32(p.sends)
		return 0
	})
	return n, kr
}

// Requests counts the dead-name and send-possible requests on the port of a receive right.
//
// Source: XNU osfmk/ipc/mach_debug.c, mach_port_dnrequest_info.
func (s *Space) Requests(name mach.Name) (total, used uint32, kr mach.KernReturn) {
	kr = s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
		for r := p.requests; r != nil; r = r.next {
			total++
			if r.notify != nil {
				used++
			}
		}
		return 0
	})
	return total, used, kr
}

// Service returns what launchd said of a service port that the space receives on.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_get_service_port_info.
func (s *Space) Service(name mach.Name) (info ServiceInfo, kr mach.KernReturn) {
	if !name.Valid() {
		return info, mach.KernInvalidRight
	}
	kr = s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
		if p.service == nil {
			return mach.KernInvalidCapability
		}
		info = *p.service
		return 0
	})
	return info, kr
}

// AssertGuard raises a guard if the port of a receive right is not strictly guarded with a value.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_assert_attributes.
func (s *Space) AssertGuard(t *Thread, name mach.Name, value uint64) mach.KernReturn {
	if !name.Valid() {
		return mach.KernInvalidRight
	}
	return s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
		switch {
		case !p.guarded:
			t.violate(GuardUnguarded, name, 0)
			return mach.KernInvalidArgument
		case !p.strict || p.context != value:
			t.violate(GuardIncorrectGuard, name, p.context)
			return mach.KernInvalidArgument
		}
		return 0
	})
}

// PortNamed finds the port that a name denotes a send or the receive right of.
//
// Source: XNU osfmk/ipc/mach_debug.c, mach_port_kobject.
func (s *Space) PortNamed(name mach.Name) (*Port, mach.KernReturn) {
	return s.translate(name, mach.TypeSend|mach.TypeReceive)
}

// CopyIn reads memory of the thread's task, for calls that are given an address. The caller gives it back with
// [Kernel.Release].
func (t *Thread) CopyIn(addr uint64, size uint32) ([]byte, bool) {
	return t.copyinMemory(addr, size, false)
}

// Release gives back memory that a [Memory] copied in.
func (k *Kernel) Release(b []byte) { k.release(b) }
