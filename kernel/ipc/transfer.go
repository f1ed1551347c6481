package ipc

import "portcullis.dev/mach"

// InsertRight gives the space a right of the caller's under a name of the caller's choice: poly is the caller's name
// for it and disp what happens to it there. Name and space may be the caller's own.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_insert_right; osfmk/ipc/mach_kernelrpc.c for the short way if name and
// poly are the same.
func (s *Space) InsertRight(t *Thread, name, poly mach.Name, disp mach.Disposition) mach.KernReturn {
	own := s == t.space
	if own && name == poly && (disp == mach.MakeSend || disp == mach.CopySend) {
		return s.insertOwn(name, disp)
	}
	var c cleanup
	defer func() { c.run(s.kernel) }()
	var p *Port
	if own || poly.Valid() { // in a message, a name that is none is no right
		from := t.space
		from.mu.Lock()
		if !from.active {
			from.mu.Unlock()
			return mach.KernInvalidTask
		}
		var kr mach.KernReturn
		p, kr = t.copyin(&c, from, poly, disp, ReasonKernel, deadOK|allowImmovable, nil)
		from.mu.Unlock()
		if kr != 0 {
			return kr
		}
	}
	d := transitDisposition(disp)
	kr := s.insert(&c, name, p, d)
	if kr != 0 {
		c.right(p, d)
	}
	return kr
}

func (s *Space) insert(c *cleanup, name mach.Name, p *Port, d mach.Disposition) mach.KernReturn {
	if !name.Valid() || d == mach.DispositionNone {
		return mach.KernInvalidValue
	}
	if !p.valid() {
		return mach.KernInvalidCapability
	}
	return s.locked(func(*cleanup) mach.KernReturn {
		e, i, kr := s.claimName(name)
		if kr != 0 {
			return kr
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		fresh := e.rights == 0
		if fresh {
			defer func() {
				if s.table[i].rights == 0 {
					s.release(i)
				}
			}()
		}
		if p.dead.Load() {
			return mach.KernInvalidCapability
		}
		if d != mach.MoveSendOnce {
			if _, j, ok := s.find(p); ok {
				if j != i {
					return mach.KernRightExists
				}
				s.place(c, e, i, p, d, arrives)
				return 0
			}
		}
		if !fresh {
			return mach.KernNameExists
		}
		s.place(c, e, i, p, d, arrives)
		return 0
	})
}

// insertOwn adds a send right to a name that has the receive right, or a user reference to a send right.
//
// Source: XNU osfmk/ipc/ipc_object.c, ipc_object_insert_send_right.
func (s *Space) insertOwn(name mach.Name, disp mach.Disposition) mach.KernReturn {
	return s.locked(func(*cleanup) mach.KernReturn {
		e, _ := s.lookup(name)
		switch {
		case e == nil:
			return mach.KernInvalidName
		case e.rights == mach.TypeDeadName:
			return mach.KernInvalidCapability
		case e.rights&portRights == 0:
			return mach.KernInvalidRight
		}
		p := e.port
		p.mu.Lock()
		defer p.mu.Unlock()
		need := mach.TypeSend
		if disp == mach.MakeSend {
			need = mach.TypeReceive
		}
		switch {
		case p.dead.Load():
			return mach.KernInvalidCapability
		case e.rights&need == 0:
			return mach.KernInvalidRight
		}
		if disp == mach.MakeSend {
			p.makeSends++
			if e.rights&mach.TypeSend == 0 { // and it is not marked immovable on this way, whatever the port is
				p.sends++
				e.rights |= mach.TypeSend
			}
		}
		e.urefs = min(e.urefs+1, mach.MaxURefs)
		return 0
	})
}

// ExtractRight takes a right out of the space as disp says and gives it to the caller, whose name for it comes back.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_extract_right.
func (s *Space) ExtractRight(t *Thread, name mach.Name, disp mach.Disposition) (got mach.Name, d mach.Disposition,
	kr mach.KernReturn) {
	var c cleanup
	defer func() { c.run(s.kernel) }()
	p, d, kr := s.take(t, &c, name, disp)
	if kr != 0 {
		return 0, 0, kr
	}
	got, kr = t.space.copyoutPort(&c, p, d, arrives)
	return got, d, kr
}

func (s *Space) take(t *Thread, c *cleanup, name mach.Name, disp mach.Disposition) (p *Port, d mach.Disposition,
	kr mach.KernReturn) {
	if !disp.Any() {
		return nil, 0, mach.KernInvalidValue
	}
	if !name.Valid() {
		return nil, 0, mach.KernInvalidRight
	}
	flags := deadOK
	if s == t.space && disp == mach.CopySend {
		flags |= allowImmovable
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.active {
		return nil, 0, mach.KernInvalidTask
	}
	if p, kr = t.copyin(c, s, name, disp, ReasonKernel, flags, nil); kr != 0 {
		return nil, 0, kr
	}
	return p, transitDisposition(disp), 0
}

// InsertMember makes a receive right a member of a set, beside those it is in.
func (s *Space) InsertMember(t *Thread, name, set mach.Name) mach.KernReturn {
	if !name.Valid() || !set.Valid() {
		return mach.KernInvalidRight
	}
	return s.pair(t, name, set, func(p *Port, ps *PortSet) mach.KernReturn {
		return p.join(ps)
	})
}

// ExtractMember ends a membership.
func (s *Space) ExtractMember(t *Thread, name, set mach.Name) mach.KernReturn {
	if !name.Valid() || !set.Valid() {
		return mach.KernInvalidRight
	}
	return s.pair(t, name, set, func(p *Port, ps *PortSet) mach.KernReturn {
		if !p.leave(ps) {
			return mach.KernNotInSet
		}
		return 0
	})
}

// MoveMember makes a receive right a member of one set, or of none if set is 0.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_move_member.
func (s *Space) MoveMember(t *Thread, name, set mach.Name) mach.KernReturn {
	if !name.Valid() || set == mach.DeadName {
		return mach.KernInvalidRight
	}
	if set == 0 {
		return s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
			if !p.in(nil) {
				return mach.KernNotInSet
			}
			p.leaveAll(nil)
			return 0
		})
	}
	return s.pair(t, name, set, func(p *Port, ps *PortSet) mach.KernReturn {
		p.leaveAll(ps)
		if kr := p.join(ps); kr != mach.KernAlreadyInSet {
			return kr
		}
		return 0
	})
}

// leaveAll ends all memberships but the one in keep. The port is locked.
func (p *Port) leaveAll(keep *PortSet) {
	for i := len(p.members) - 1; i >= 0; i-- {
		if s := p.members[i].set; s != keep {
			p.leave(s)
		}
	}
}

// pair runs f with a receive right's port, locked, and a port set. The caller is blamed for names of anything else.
//
// Source: XNU osfmk/ipc/ipc_object.c, ipc_object_translate_port_pset; ipc_right.c, ipc_right_lookup_two_write.
func (s *Space) pair(t *Thread, name, set mach.Name, f func(p *Port, ps *PortSet) mach.KernReturn) mach.KernReturn {
	return s.locked(func(*cleanup) mach.KernReturn {
		e, _ := s.lookup(name)
		es, _ := s.lookup(set)
		switch {
		case e == nil:
			t.violate(GuardInvalidName, name, 0)
			return mach.KernInvalidName
		case es == nil:
			t.violate(GuardInvalidName, set, 0)
			return mach.KernInvalidName
		case e.rights&mach.TypeReceive == 0:
			if e.flags&entryExReceive == 0 {
				t.violate(GuardInvalidRight, name, Payload(flagInvalidRightPort, 0, e.bits()))
			}
			return mach.KernInvalidRight
		case es.set == nil:
			t.violate(GuardInvalidRight, set, Payload(flagInvalidRightSet, 0, es.bits()))
			return mach.KernInvalidRight
		}
		e.port.mu.Lock()
		defer e.port.mu.Unlock()
		return f(e.port, es.set)
	})
}
