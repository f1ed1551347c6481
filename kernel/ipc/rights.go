package ipc

import (
	"slices"

	"portcullis.dev/mach"
)

// The calls of this file act on a space that need not be the caller's own; t is the caller, who is blamed.

// Allocate makes a receive right, a port set or a dead name, under a new name.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_allocate_full.
func (s *Space) Allocate(_ *Thread, r mach.Right) (name mach.Name, kr mach.KernReturn) {
	return s.allocate(r, func() (*entry, uint32, mach.KernReturn) {
		e, i, ok := s.claim()
		if !ok {
			return nil, 0, mach.KernResourceShortage
		}
		return e, i, 0
	})
}

// AllocateName is Allocate under a name of the caller's choice.
func (s *Space) AllocateName(_ *Thread, r mach.Right, name mach.Name) mach.KernReturn {
	if !name.Valid() {
		return mach.KernInvalidValue
	}
	_, kr := s.allocate(r, func() (*entry, uint32, mach.KernReturn) {
		e, i, kr := s.claimName(name)
		if kr == 0 && e.rights != 0 {
			kr = mach.KernNameExists
		}
		return e, i, kr
	})
	return kr
}

func (s *Space) allocate(r mach.Right, claim func() (*entry, uint32, mach.KernReturn)) (name mach.Name,
	kr mach.KernReturn) {
	if r != mach.RightReceive && r != mach.RightPortSet && r != mach.RightDeadName {
		return 0, mach.KernInvalidValue
	}
	kr = s.locked(func(*cleanup) mach.KernReturn {
		if r != mach.RightDeadName && !s.kernel.chargePort(s.account) {
			return mach.KernResourceShortage
		}
		e, i, kr := claim()
		if kr != 0 {
			if r != mach.RightDeadName {
				s.account.ports.Add(-1)
			}
			return kr
		}
		name = s.name(i)
		switch e.rights = r.Type(); r {
		case mach.RightReceive:
			s.own(e, i, s.kernel.newPort(mach.PortTypePlain, s.account))
		case mach.RightPortSet:
			e.set = &PortSet{kernel: s.kernel, owner: s.account}
			s.kernel.live.sets.Add(1)
		default:
			e.urefs = 1
		}
		return 0
	})
	return name, kr
}

// own makes a new port the space's.
func (s *Space) own(e *entry, i uint32, p *Port) {
	e.port, e.rights = p, mach.TypeReceive
	p.receiver, p.receiverName = s, s.name(i)
}

// named runs f with the entry of a name; a name that denotes nothing is KERN_INVALID_NAME, and blamed if blame is set.
func (s *Space) named(t *Thread, name mach.Name, blame bool,
	f func(c *cleanup, e *entry, i uint32) mach.KernReturn) mach.KernReturn {
	return s.locked(func(c *cleanup) mach.KernReturn {
		e, i := s.lookup(name)
		if e == nil {
			if blame {
				t.violate(GuardInvalidName, name, 0)
			}
			return mach.KernInvalidName
		}
		return f(c, e, i)
	})
}

// Type returns the rights that a name denotes and whether a dead-name request is armed on it. It keeps silent about
// send-possible requests, which [Space.Names] shows.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_type.
func (s *Space) Type(t *Thread, name mach.Name) (rights mach.RightType, kr mach.KernReturn) {
	if name == mach.NullName {
		return 0, mach.KernInvalidName
	}
	if name == mach.DeadName {
		return mach.TypeDeadName, 0
	}
	kr = s.named(t, name, false, func(_ *cleanup, e *entry, _ uint32) mach.KernReturn {
		rights, _ = s.info(e)
		rights &^= mach.TypeSendPossibleRequest | mach.TypeSendPossibleRequestDelayed
		return 0
	})
	return rights, kr
}

// info returns rights with requests, and user references.
func (s *Space) info(e *entry) (mach.RightType, uint32) {
	var requests mach.RightType
	switch {
	case e.rights&mach.TypeReceive != 0:
		e.port.mu.Lock()
		requests = e.request.typeBits()
		e.port.mu.Unlock()
	case e.rights&(mach.TypeSend|mach.TypeSendOnce) != 0:
		if s.checkDead(e, false) {
			requests = e.request.typeBits()
			e.port.mu.Unlock()
		}
	}
	return e.rights | requests, e.urefs
}

// References returns the user references a name has for a right.
func (s *Space) References(t *Thread, name mach.Name, r mach.Right) (n uint32, kr mach.KernReturn) {
	if r >= mach.RightNumber {
		return 0, mach.KernInvalidValue
	}
	if !name.Valid() {
		if r == mach.RightSend || r == mach.RightSendOnce {
			return 1, 0
		}
		return 0, mach.KernInvalidName
	}
	kr = s.named(t, name, false, func(_ *cleanup, e *entry, _ uint32) mach.KernReturn {
		rights, urefs := s.info(e)
		switch {
		case rights&r.Type() == 0:
		case r == mach.RightSend || r == mach.RightDeadName:
			n = urefs
		default:
			n = 1
		}
		return 0
	})
	return n, kr
}

// Names lists the names of the space and what they denote.
func (s *Space) Names() (names []mach.Name, types []mach.RightType, kr mach.KernReturn) {
	kr = s.locked(func(*cleanup) mach.KernReturn {
		names, types = make([]mach.Name, 0, s.used), make([]mach.RightType, 0, s.used)
		for i := 1; i < len(s.table); i++ {
			if e := &s.table[i]; e.rights != 0 {
				rights, _ := s.info(e)
				names, types = append(names, s.name(uint32(i))), append(types, rights)
			}
		}
		return 0
	})
	return names, types, kr
}

// Deallocate gives up one user reference of a send, send-once or dead-name right.
//
// Source: XNU osfmk/ipc/ipc_right.c, ipc_right_dealloc.
func (s *Space) Deallocate(t *Thread, name mach.Name) mach.KernReturn {
	if !name.Valid() {
		return 0
	}
	return s.named(t, name, true, func(c *cleanup, e *entry, i uint32) mach.KernReturn {
		switch {
		case e.rights == mach.TypePortSet:
			e.set.destroy()
			s.release(i)
			return 0
		case e.rights == mach.TypeReceive:
			t.violate(GuardInvalidRight, name, Payload(flagInvalidRightDealloc, 0, e.bits()))
			return mach.KernInvalidRight
		case e.rights == mach.TypeDeadName || !s.checkDead(e, false):
			s.dropURefs(e, i, 1)
			return 0
		}
		defer e.port.mu.Unlock()
		if e.rights == mach.TypeSendOnce {
			s.dropSendOnce(c, e, i)
			return 0
		}
		return s.dropSends(t, c, e, i, 1)
	})
}

// dropSendOnce gives up a send-once right; the port is locked.
func (s *Space) dropSendOnce(c *cleanup, e *entry, i uint32) {
	c.add(task{kind: taskSendOnceGone, port: e.port})
	c.deleted(e.port.cancelRequest(e), s.name(i))
	s.release(i)
}

// dropSends takes n user references off a send right whose port is locked; the last takes the right with it. A count
// that has overflowed only goes all at once.
func (s *Space) dropSends(t *Thread, c *cleanup, e *entry, i, n uint32) mach.KernReturn {
	switch {
	case e.urefs > n || e.urefs == mach.MaxURefs && n < e.urefs:
		if e.urefs < mach.MaxURefs {
			e.urefs -= n
		}
		return 0
	case e.flags&entryPinned != 0:
		s.kernel.restrict.Pinned(t, s, s.name(i), PinnedDealloc)
		return mach.KernInvalidCapability
	}
	p := e.port
	p.dropSend(c)
	if e.rights&mach.TypeReceive != 0 {
		e.rights, e.urefs = mach.TypeReceive, 0
		return 0
	}
	c.deleted(p.cancelRequest(e), s.name(i))
	delete(s.reverse, p)
	s.release(i)
	return 0
}

// Destroy gives up every right that a name denotes.
//
// Source: XNU osfmk/ipc/ipc_right.c, ipc_right_destroy.
func (s *Space) Destroy(t *Thread, name mach.Name) mach.KernReturn {
	if !name.Valid() {
		return 0
	}
	return s.named(t, name, true, func(c *cleanup, e *entry, i uint32) mach.KernReturn {
		p := e.port
		switch {
		case e.rights == mach.TypeDeadName:
			s.release(i)
			return 0
		case e.rights == mach.TypePortSet:
			e.set.destroy()
			s.release(i)
			return 0
		}
		p.mu.Lock()
		rights := e.rights
		if e.flags&entryPinned != 0 && p.Active() {
			p.mu.Unlock()
			s.kernel.restrict.Pinned(t, s, name, PinnedDestroy)
			return mach.KernInvalidCapability
		}
		if rights == mach.TypeSend {
			delete(s.reverse, p)
		}
		if p.dead.Load() {
			p.mu.Unlock()
			s.release(i)
			return 0
		}
		if rights&mach.TypeReceive != 0 && p.guarded && p.context != 0 {
			t.violate(GuardDestroy, name, p.context)
			p.mu.Unlock()
			return mach.KernInvalidRight
		}
		request := p.cancelRequest(e)
		s.release(i)
		var last cleanup
		if rights&mach.TypeSend != 0 {
			p.dropSend(&last)
		}
		switch {
		case rights&mach.TypeReceive != 0:
			p.destroy(c)
		case rights&mach.TypeSendOnce != 0:
			c.add(task{kind: taskSendOnceGone, port: p})
			p.mu.Unlock()
		default:
			p.mu.Unlock()
		}
		c.tasks = append(c.tasks, last.tasks...)
		c.deleted(request, name)
		return 0
	})
}

// SetStatus lists the members of a port set, in order.
func (s *Space) SetStatus(t *Thread, name mach.Name) (names []mach.Name, kr mach.KernReturn) {
	if !name.Valid() {
		return nil, mach.KernInvalidRight
	}
	kr = s.named(t, name, false, func(_ *cleanup, e *entry, _ uint32) mach.KernReturn {
		if e.set == nil {
			return mach.KernInvalidRight
		}
		for i := range s.table {
			if m := &s.table[i]; m.rights&mach.TypeReceive != 0 {
				m.port.mu.Lock()
				if m.port.in(e.set) {
					names = append(names, s.name(uint32(i)))
				}
				m.port.mu.Unlock()
			}
		}
		slices.Sort(names)
		return 0
	})
	return names, kr
}
