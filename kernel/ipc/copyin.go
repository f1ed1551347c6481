package ipc

import "portcullis.dev/mach"

// copyinFlags vary what copyin does.
type copyinFlags uint8

const (
	deadOK         copyinFlags = 1 << iota // a dead name gives a dead right instead of an error
	allowImmovable                         // immovable send rights may be taken
	extraCopy                              // take one more send right, copied
	extraMove                              // take one more send right, moved
)

// copyin takes a right out of the space, which is locked, as disp says. The right comes back as its port, or deadPort.
// gd is the descriptor of a guarded port.
//
// Rules and their order: XNU osfmk/ipc/ipc_right.c, ipc_right_copyin, newest public tree.
func (t *Thread) copyin(c *cleanup, s *Space, name mach.Name, disp mach.Disposition, why Reason, flags copyinFlags,
	gd *mach.Descriptor) (*Port, mach.KernReturn) {
	e, i := s.lookup(name)
	if e == nil {
		return nil, mach.KernInvalidName
	}
	p := e.port
	if e.rights == mach.TypePortSet {
		return nil, mach.KernInvalidRight
	}
	isReply := p != nil && isReplyPort(p)
	if isReply && !disp.AnySendOnce() {
		t.violate(GuardImmovable, name, Payload(0, uint32(p.typ), uint32(disp)))
		return nil, mach.KernInvalidCapability
	}
	if e.rights&mach.TypeReceive != 0 && p.typ == mach.PortTypeConnection {
		flags |= allowImmovable // a connection port may be sent again by whoever listens on it
	}
	switch disp {
	case mach.MakeSend, mach.MakeSendOnce:
		if e.rights&mach.TypeReceive == 0 {
			return nil, mach.KernInvalidRight
		}
		if isReply && why != ReasonReply && why != ReasonDestination {
			t.violate(GuardInvalidRight, name, Payload(flagInvalidRightCopyin, uint32(why), uint32(disp)))
			return nil, mach.KernInvalidCapability
		}
		p.mu.Lock()
		if disp == mach.MakeSend {
			p.makeSends++
			p.sends++
		} else {
			p.sendOnces++
		}
		p.mu.Unlock()
		return p, 0
	case mach.MoveReceive:
		if e.rights&mach.TypeReceive == 0 {
			return nil, mach.KernInvalidRight
		}
		return t.moveReceive(c, s, e, i, gd)
	case mach.CopySend, mach.MoveSend, mach.MoveSendOnce:
		return t.copyinSend(c, s, e, i, disp, why, flags)
	}
	return nil, mach.KernInvalidRight
}

// isReplyPort says that the port is a true reply port: rights to it are made send-once and used once, nothing else.
func isReplyPort(p *Port) bool {
	return p.typ == mach.PortTypeReply || p.typ == mach.PortTypeSpecialReply
}

// Flags in the top byte of payloads.
const (
	flagInvalidRightReceive  = 1
	flagInvalidRightDelta    = 2
	flagInvalidRightDestruct = 3
	flagInvalidRightCopyin   = 4
	flagInvalidRightDealloc  = 5
	flagInvalidRightPort     = 7
	flagInvalidRightSet      = 8
	flagInvalidValuePeek     = 1
	flagInvalidValueDelta    = 2
	flagInvalidValueDestruct = 3
	flagSendInvalidPort      = 1
	flagSendInvalidOOL       = 2
	flagSendInvalidGuarded   = 3
)

func (t *Thread) moveReceive(c *cleanup, s *Space, e *entry, i uint32, gd *mach.Descriptor) (*Port, mach.KernReturn) {
	p, name := e.port, s.name(i)
	if !s.kernel.restrict.MoveReceive(t, s, p, name) {
		return nil, mach.KernInvalidCapability
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if gd != nil {
		unguarded := gd.Flags&mach.GuardedUnguardedOnSend != 0 && !p.guarded && gd.Address == 0
		if !unguarded && (!p.guarded || p.context != gd.Address) {
			t.violate(GuardIncorrectGuard, name, p.context)
			return nil, mach.KernInvalidArgument
		}
	}
	if e.rights&mach.TypeSend != 0 {
		e.rights &^= mach.TypeReceive
		e.flags |= entryExReceive
		s.reverse[p] = i
	} else {
		c.deleted(p.cancelRequest(e), name)
		s.release(i)
	}
	p.loseReceiver()
	return p, 0
}

func (t *Thread) copyinSend(c *cleanup, s *Space, e *entry, i uint32, disp mach.Disposition, why Reason,
	flags copyinFlags) (*Port, mach.KernReturn) {
	moves := uint32(1)
	if flags&extraMove != 0 {
		moves = 2
	}
	if e.rights != mach.TypeDeadName {
		if e.rights&(mach.TypeSend|mach.TypeSendOnce) == 0 {
			return nil, mach.KernInvalidRight
		}
		if s.checkDead(e, why == ReasonDestination) {
			return t.takeLiveSend(c, s, e, i, disp, why, flags, moves)
		}
	}
	if flags&deadOK == 0 {
		return nil, mach.KernInvalidRight
	}
	if disp != mach.CopySend {
		if e.urefs < moves {
			return nil, mach.KernInvalidRight
		}
		s.dropURefs(e, i, moves)
	}
	return deadPort, 0
}

// takeLiveSend takes a send or send-once right of a port that is locked, and unlocks it.
func (t *Thread) takeLiveSend(c *cleanup, s *Space, e *entry, i uint32, disp mach.Disposition, why Reason,
	flags copyinFlags, moves uint32) (*Port, mach.KernReturn) {
	p, name := e.port, s.name(i)
	defer p.mu.Unlock()
	if disp == mach.MoveSendOnce {
		if e.rights&mach.TypeSendOnce == 0 {
			return nil, mach.KernInvalidRight
		}
		if isReplyPort(p) && why != ReasonDestination {
			t.violate(GuardInvalidRight, name, Payload(flagInvalidRightCopyin, uint32(why), uint32(disp)))
			return nil, mach.KernInvalidCapability
		}
	} else if e.rights&mach.TypeSend == 0 || disp == mach.MoveSend && e.urefs < moves {
		return nil, mach.KernInvalidRight
	}
	if disp == mach.MoveSend && e.flags&entryPinned != 0 && e.urefs == moves {
		s.kernel.restrict.Pinned(t, s, name, PinnedCopyin)
		return nil, mach.KernInvalidCapability
	}
	if flags&allowImmovable == 0 && e.flags&entryImmovableSend != 0 {
		t.immovable(s, name, p, disp)
		return nil, mach.KernInvalidCapability
	}
	switch {
	case disp == mach.CopySend:
		p.sends++
	case disp == mach.MoveSendOnce:
		if !p.dead.Load() {
			c.deleted(p.cancelRequest(e), name)
		}
		s.release(i)
	case e.urefs == moves: // the entry's own send right goes
		if e.rights&mach.TypeReceive != 0 {
			e.rights, e.urefs = mach.TypeReceive, 0
		} else {
			c.deleted(p.cancelRequest(e), name)
			delete(s.reverse, p)
			s.release(i)
		}
	default:
		p.sends++
		if e.urefs < mach.MaxURefs {
			e.urefs -= moves
		}
	}
	if flags&(extraCopy|extraMove) != 0 {
		p.sends++
	}
	return p, 0
}

// immovable takes down that an immovable send right was about to leave; only the space's own threads are blamed.
func (t *Thread) immovable(s *Space, name mach.Name, p *Port, d mach.Disposition) {
	if s == t.space {
		t.violate(GuardImmovable, name, Payload(0, uint32(p.typ), uint32(d)))
	}
}

// checkDead locks the port of an entry with send rights and returns true if it is alive. If it is dead the entry turns
// into a dead name. A send-once right to a dead port counts as alive for sending if nobody asked to be told.
//
// Source: XNU osfmk/ipc/ipc_right.c, ipc_right_check.
func (s *Space) checkDead(e *entry, sending bool) bool {
	p := e.port
	p.mu.Lock()
	if !p.dead.Load() || sending && e.rights == mach.TypeSendOnce && e.request == nil {
		return true
	}
	p.mu.Unlock()
	if e.rights == mach.TypeSend {
		delete(s.reverse, p)
	}
	e.rights, e.port = mach.TypeDeadName, nil
	e.flags &^= entryPinned
	if e.request != nil && e.request.told {
		e.urefs = min(e.urefs+1, mach.MaxURefs)
	}
	e.request = nil
	return false
}

// dropURefs takes user references off a dead name; a count that has overflowed stays.
func (s *Space) dropURefs(e *entry, i uint32, n uint32) {
	if e.urefs == n {
		s.release(i)
	} else if e.urefs < mach.MaxURefs {
		e.urefs -= n
	}
}
