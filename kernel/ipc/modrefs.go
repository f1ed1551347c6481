package ipc

import "portcullis.dev/mach"

// ModRefs changes the user references that a name has for a right.
//
// Source: XNU osfmk/ipc/ipc_right.c, ipc_right_delta.
func (s *Space) ModRefs(t *Thread, name mach.Name, r mach.Right, delta int32) mach.KernReturn {
	if r >= mach.RightNumber {
		return mach.KernInvalidValue
	}
	if !name.Valid() {
		if r == mach.RightSend || r == mach.RightSendOnce {
			return 0
		}
		return mach.KernInvalidName
	}
	return s.named(t, name, true, func(c *cleanup, e *entry, i uint32) mach.KernReturn {
		kr, blame := mach.KernInvalidRight, false
		switch r {
		case mach.RightPortSet:
			kr, blame = s.deltaSet(e, i, delta)
		case mach.RightReceive:
			kr, blame = s.deltaReceive(t, c, e, i, delta)
		case mach.RightSendOnce:
			kr, blame = s.deltaSendOnce(c, e, i, delta)
		case mach.RightDeadName:
			kr, blame = s.deltaDead(e, i, delta)
		case mach.RightSend:
			kr, blame = s.deltaSend(t, c, e, i, delta)
		}
		if kr == mach.KernInvalidRight && blame {
			t.violate(GuardInvalidRight, name, Payload(flagInvalidRightDelta, uint32(r), e.bits()))
		}
		if kr == mach.KernInvalidValue {
			t.violate(GuardInvalidValue, name, Payload(flagInvalidValueDelta, uint32(r), uint32(uint16(delta))<<16|e.urefs))
		}
		return kr
	})
}

func (s *Space) deltaSet(e *entry, i uint32, delta int32) (kr mach.KernReturn, blame bool) {
	switch {
	case e.rights != mach.TypePortSet:
		return mach.KernInvalidRight, true
	case delta == 0:
		return 0, false
	case delta != -1:
		return mach.KernInvalidValue, false
	}
	e.set.destroy()
	s.release(i)
	return 0, false
}

func (s *Space) deltaReceive(t *Thread, c *cleanup, e *entry, i uint32, delta int32) (kr mach.KernReturn, blame bool) {
	switch {
	case e.rights&mach.TypeReceive == 0:
		return mach.KernInvalidRight, e.flags&entryExReceive == 0
	case delta == 0:
		return 0, false
	case delta != -1:
		return mach.KernInvalidValue, false
	}
	p := e.port
	p.mu.Lock()
	if p.guarded {
		t.violate(GuardDestroy, s.name(i), p.context)
		p.mu.Unlock()
		return mach.KernInvalidRight, false
	}
	s.loseReceive(c, e, i, 0)
	return 0, false
}

// loseReceive takes the receive right out of an entry and destroys its port. A send right beside it stays, if the port
// travels home instead of dying, or else becomes a dead name, which keeps the flags of keep. The port is locked, and
// unlocked at the end.
func (s *Space) loseReceive(c *cleanup, e *entry, i uint32, keep entryFlags) {
	p, name, request := e.port, s.name(i), (*Port)(nil)
	switch {
	case e.rights&mach.TypeSend == 0:
		request = p.cancelRequest(e)
		s.release(i)
	case p.portDestroyed != nil:
		e.rights &^= mach.TypeReceive
		e.flags |= entryExReceive
		s.reverse[p] = i
	default:
		if e.request != nil {
			// The request stays with the port, which tells of its death; the name counts the telling.
			e.request = nil
			e.urefs = min(e.urefs+1, mach.MaxURefs)
		}
		e.rights, e.port = mach.TypeDeadName, nil
		e.flags = e.flags&keep | entryExReceive
	}
	p.destroy(c)
	c.deleted(request, name)
}

func (s *Space) deltaSendOnce(c *cleanup, e *entry, i uint32, delta int32) (kr mach.KernReturn, blame bool) {
	if e.rights != mach.TypeSendOnce {
		return mach.KernInvalidRight, false
	}
	if !s.checkDead(e, false) {
		return mach.KernInvalidRight, true
	}
	defer e.port.mu.Unlock()
	if delta > 0 || delta < -1 {
		return mach.KernInvalidValue, false
	}
	if delta == -1 {
		s.dropSendOnce(c, e, i)
	}
	return 0, false
}

// newURefs returns what n user references become; false if that is out of range. A count that has overflowed stays
// until all of it is taken at once.
func newURefs(n uint32, delta int32) (uint32, bool) {
	switch {
	case delta > mach.MaxURefs || delta < -mach.MaxURefs:
		return 0, false
	case n == mach.MaxURefs:
		if delta == -mach.MaxURefs {
			return 0, true
		}
		return n, true
	case int64(n)+int64(delta) < 0:
		return 0, false
	}
	return uint32(min(int64(n)+int64(delta), mach.MaxURefs)), true
}

func (s *Space) deltaDead(e *entry, i uint32, delta int32) (kr mach.KernReturn, blame bool) {
	if e.rights&(mach.TypeSend|mach.TypeSendOnce) != 0 && e.rights&mach.TypeReceive == 0 {
		if s.checkDead(e, false) {
			e.port.mu.Unlock()
			return mach.KernInvalidRight, true
		}
	} else if e.rights != mach.TypeDeadName {
		return mach.KernInvalidRight, true
	}
	n, ok := newURefs(e.urefs, delta)
	if !ok {
		return mach.KernInvalidValue, false
	}
	if e.urefs = n; n == 0 {
		s.release(i)
	}
	return 0, false
}

func (s *Space) deltaSend(t *Thread, c *cleanup, e *entry, i uint32, delta int32) (kr mach.KernReturn, blame bool) {
	if e.rights&mach.TypeSend == 0 {
		// Asking a receive right for one more send right is a mistake of old that is let pass.
		return mach.KernInvalidRight, e.rights != mach.TypeDeadName && (e.rights&mach.TypeReceive == 0 || delta != 1)
	}
	if !s.checkDead(e, false) {
		return mach.KernInvalidRight, false
	}
	defer e.port.mu.Unlock()
	n, ok := newURefs(e.urefs, delta)
	if !ok {
		return mach.KernInvalidValue, false
	}
	if n == 0 {
		return s.dropSends(t, c, e, i, e.urefs), false
	}
	e.urefs = n
	return 0, false
}

// Destruct gives up a receive right under its guard, and -delta references of the send right beside it.
//
// Source: XNU osfmk/ipc/ipc_right.c, ipc_right_destruct.
func (s *Space) Destruct(t *Thread, name mach.Name, delta int32, guard uint64) mach.KernReturn {
	if !name.Valid() {
		return mach.KernInvalidName
	}
	return s.named(t, name, true, func(c *cleanup, e *entry, i uint32) mach.KernReturn {
		if e.rights&mach.TypeReceive == 0 || delta != 0 && e.rights&mach.TypeSend == 0 {
			if e.rights&mach.TypeReceive != 0 || e.flags&entryExReceive == 0 {
				t.violate(GuardInvalidRight, name, Payload(flagInvalidRightDestruct, 0, e.bits()))
			}
			return mach.KernInvalidRight
		}
		p := e.port
		p.mu.Lock()
		n, ok := newURefs(e.urefs, delta)
		switch {
		case delta > 0:
			ok = false
		case p.guarded && guard != p.context:
			t.violate(GuardDestroy, name, p.context)
			p.mu.Unlock()
			return mach.KernInvalidArgument
		}
		if !ok {
			p.mu.Unlock()
			t.violate(GuardInvalidValue, name, Payload(flagInvalidValueDestruct, uint32(delta), e.urefs))
			return mach.KernInvalidValue
		}
		if delta != 0 {
			if e.urefs = n; n == 0 {
				p.dropSend(c)
				e.rights = mach.TypeReceive
			}
		}
		s.loseReceive(c, e, i, entryImmovableSend)
		return 0
	})
}
