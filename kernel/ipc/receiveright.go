package ipc

import "portcullis.dev/mach"

// receiving runs f with the port of a receive right locked. The space stays locked, so that the right stays where it
// is.
//
// Source: XNU osfmk/ipc/ipc_port.h, ipc_port_translate_receive.
func (s *Space) receiving(name mach.Name, f func(c *cleanup, e *entry, p *Port) mach.KernReturn) mach.KernReturn {
	return s.locked(func(c *cleanup) mach.KernReturn {
		e, _ := s.lookup(name)
		switch {
		case !e.live():
			return mach.KernInvalidName
		case e.rights&mach.TypeReceive == 0:
			return mach.KernInvalidRight
		}
		e.port.mu.Lock()
		defer e.port.mu.Unlock()
		return f(c, e, e.port)
	})
}

// Status is the state of a receive right (mach_port_status_t).
type Status struct {
	InSet                    bool
	Seqno                    uint32
	MakeSends                uint32
	QueueLimit               uint32
	Messages                 uint32
	SendOnceRights           uint32
	SendRights               bool
	PortDestroyed, NoSenders bool // requests
	Flags                    mach.StatusFlags
}

// ReceiveStatus answers MACH_PORT_RECEIVE_STATUS.
func (s *Space) ReceiveStatus(name mach.Name) (st Status, kr mach.KernReturn) {
	if !name.Valid() {
		return st, mach.KernInvalidRight
	}
	kr = s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
		st = Status{InSet: p.in(nil), Seqno: p.queue.seqno, MakeSends: p.makeSends, QueueLimit: uint32(p.queue.limit),
			Messages: uint32(p.queue.count), SendOnceRights: uint32(p.sendOnces), SendRights: p.sends > 0,
			PortDestroyed: p.portDestroyed != nil, NoSenders: p.noSenders != nil}
		if p.donation {
			st.Flags = mach.StatusImpDonation
			if p.tempOwner {
				st.Flags |= mach.StatusTempOwner
			}
		}
		if p.guarded {
			st.Flags |= mach.StatusGuarded
			if p.strict {
				st.Flags |= mach.StatusStrictGuard
			}
			if p.immovable {
				st.Flags |= mach.StatusGuardImmovableReceive
			}
		}
		return 0
	})
	return st, kr
}

// Attributes answers mach_port_get_attributes for flavors that are one number: limits, the size of the request table
// and the throttle of a service port.
func (s *Space) Attributes(name mach.Name, a mach.AttributeFlavor) (v uint32, kr mach.KernReturn) {
	switch a {
	case mach.AttrLimitsInfo, mach.AttrDNRequestsSize:
		if !name.Valid() {
			return 0, 0
		}
	case mach.AttrServiceThrottled:
		if !name.Valid() {
			return 0, mach.KernInvalidRight
		}
	default:
		return 0, mach.KernInvalidArgument
	}
	kr = s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
		switch a {
		case mach.AttrLimitsInfo:
			v = uint32(p.queue.limit)
		case mach.AttrDNRequestsSize:
			for r := p.requests; r != nil; r = r.next {
				v++
			}
		default:
			if !p.throttles() {
				return mach.KernInvalidCapability
			}
			if p.throttled {
				v = 1
			}
		}
		return 0
	})
	return v, kr
}

// SetAttributes is mach_port_set_attributes. Importance shows in the port's status and has no other meaning here.
func (s *Space) SetAttributes(name mach.Name, a mach.AttributeFlavor, v uint32) mach.KernReturn {
	switch a {
	case mach.AttrLimitsInfo:
		if v > mach.QueueLimitMax {
			return mach.KernInvalidValue
		}
	case mach.AttrDNRequestsSize, mach.AttrTempOwner, mach.AttrImportanceReceiver, mach.AttrDenapReceiver,
		mach.AttrServiceThrottled:
	default:
		return mach.KernInvalidArgument
	}
	if !name.Valid() {
		return mach.KernInvalidRight
	}
	return s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
		switch a {
		case mach.AttrLimitsInfo:
			p.queue.limit = int(v)
			p.admit()
		case mach.AttrTempOwner, mach.AttrImportanceReceiver, mach.AttrDenapReceiver:
			if p.typ == mach.PortTypeSpecialReply {
				return mach.KernInvalidArgument
			}
			p.donation, p.tempOwner = true, p.tempOwner || a == mach.AttrTempOwner
		case mach.AttrServiceThrottled:
			if !p.throttles() {
				return mach.KernInvalidCapability
			}
			p.throttled = v != 0
		}
		return 0
	})
}

// throttles says that the port is a service's, which the bootstrap port is not.
func (p *Port) throttles() bool { return p.service != nil && p.typ != mach.PortTypeBootstrap }

// SetMakeSendCount is mach_port_set_mscount.
func (s *Space) SetMakeSendCount(name mach.Name, n uint32) mach.KernReturn {
	if !name.Valid() {
		return mach.KernInvalidRight
	}
	return s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
		p.makeSends = n
		return 0
	})
}

// SetSeqno is mach_port_set_seqno.
func (s *Space) SetSeqno(name mach.Name, n uint32) mach.KernReturn {
	if !name.Valid() {
		return mach.KernInvalidRight
	}
	return s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
		p.queue.seqno = n
		return 0
	})
}

// Peeked describes a message in a queue.
type Peeked struct {
	Seqno uint32
	Size  uint32 // in the kernel: more than the receiver gets to see
	ID    int32
	From  Identity
}

// Peek looks at a message without taking it: the one with a sequence number, or the first if that is 0. trailer says
// which trailer is wanted, as options of a receive do, and room how many bytes of it the caller can take.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_peek; osfmk/ipc/ipc_mqueue.c, ipc_mqueue_peek_locked.
func (s *Space) Peek(t *Thread, name mach.Name, seqno uint32, trailer mach.Option, room uint32) (m Peeked,
	kr mach.KernReturn) {
	elements := trailer.TrailerElements()
	switch {
	case !name.Valid():
		return m, mach.KernInvalidRight
	case elements > mach.TrailerAudit || uint32(mach.TrailerSize(elements)) > room:
		t.violate(GuardInvalidValue, name, Payload(flagInvalidValuePeek, uint32(trailer), room))
		return m, mach.KernInvalidValue
	}
	found := true
	kr = s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
		h := p.queue.head
		if seqno == 0 {
			seqno = p.queue.seqno
		}
		for n := seqno - p.queue.seqno; n > 0 && h != nil; n-- {
			h = h.next
		}
		if found = h != nil; found {
			m = Peeked{seqno, h.kernelSize(), h.id, h.sender}
		}
		return 0
	})
	t.blameReceive(name, kr)
	if !found {
		kr = mach.KernFailure
	}
	return m, kr
}

// blameReceive takes down that a name denotes no receive right.
func (t *Thread) blameReceive(name mach.Name, kr mach.KernReturn) {
	switch kr {
	case mach.KernInvalidName:
		t.violate(GuardInvalidName, name, 0)
	case mach.KernInvalidRight:
		t.violate(GuardInvalidRight, name, flagInvalidRightReceive)
	}
}

// Guard puts a guard on a receive right: from now on it is only given up by whoever knows the value.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_guard_locked.
func (s *Space) Guard(t *Thread, name mach.Name, value uint64, f mach.GuardFlags) mach.KernReturn {
	return s.guarding(t, name, func(p *Port) mach.KernReturn {
		if p.context != 0 {
			t.violate(GuardInvalidArgument, name, p.context)
			return mach.KernInvalidArgument
		}
		p.context, p.guarded, p.strict = value, true, f&mach.GuardStrict != 0
		p.immovable = p.immovable || f&mach.GuardImmovableReceive != 0
		return 0
	})
}

// guarding runs f with the port of a receive right locked and blames the caller for names that are none.
func (s *Space) guarding(t *Thread, name mach.Name, f func(p *Port) mach.KernReturn) mach.KernReturn {
	if !name.Valid() {
		return mach.KernInvalidName
	}
	found := false
	kr := s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
		found = true
		return f(p)
	})
	if !found {
		t.blameReceive(name, kr)
	}
	return kr
}

// Unguard takes the guard off.
func (s *Space) Unguard(t *Thread, name mach.Name, value uint64) mach.KernReturn {
	return s.guarding(t, name, func(p *Port) mach.KernReturn {
		switch {
		case !p.guarded:
			t.violate(GuardUnguarded, name, 0)
			return mach.KernInvalidArgument
		case p.context != value:
			t.violate(GuardIncorrectGuard, name, p.context)
			return mach.KernInvalidArgument
		}
		p.context, p.guarded, p.strict = 0, false, false
		return 0
	})
}

// SwapGuard replaces the value of a guard.
func (s *Space) SwapGuard(t *Thread, name mach.Name, old, value uint64) mach.KernReturn {
	return s.guarding(t, name, func(p *Port) mach.KernReturn {
		switch {
		case !p.guarded:
			t.violate(GuardUnguarded, name, 0)
			return mach.KernInvalidArgument
		case p.strict:
			t.violate(GuardSetContext, name, p.context)
			return mach.KernInvalidArgument
		case p.context != old:
			t.violate(GuardIncorrectGuard, name, p.context)
			return mach.KernInvalidArgument
		}
		p.context = value
		return 0
	})
}

// SetContext sets the context of a port, which is also the value of its guard.
func (s *Space) SetContext(t *Thread, name mach.Name, v uint64) mach.KernReturn {
	if !name.Valid() {
		return mach.KernInvalidRight
	}
	return s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
		if p.strict {
			t.violate(GuardSetContext, name, p.context)
			return mach.KernInvalidArgument
		}
		p.context = v
		return 0
	})
}

// Context returns the context; a strict guard keeps it secret.
func (s *Space) Context(name mach.Name) (v uint64, kr mach.KernReturn) {
	if !name.Valid() {
		return 0, mach.KernInvalidRight
	}
	kr = s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
		if !p.strict {
			v = p.context
		}
		return 0
	})
	return v, kr
}
