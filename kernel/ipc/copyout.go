package ipc

import "portcullis.dev/mach"

// arrival says how a receive right gets into a space; other rights just arrive.
type arrival uint8

const (
	arrives          arrival = iota // and is from then on as movable as the port's type says
	arrivesImmovable                // because the descriptor asked for it
	comesBack                       // in a message that was not sent: it may be sent again
)

// copyout puts a right that is in transit into a space and returns its name. disp is a MOVE form. If the right cannot
// be placed it is destroyed. The space is not locked.
//
// Source: XNU osfmk/ipc/ipc_object.c, ipc_object_copyout; osfmk/ipc/ipc_right.c, ipc_right_copyout.
func (s *Space) copyout(c *cleanup, p *Port, disp mach.Disposition, how arrival) (mach.Name, mach.KernReturn) {
	if o, ok := p.object.(Substituter); ok && disp == mach.MoveSend {
		if q := o.Substitute(p, s); q != nil {
			c.right(p, disp)
			p = q
		}
	}
	s.mu.Lock()
	name, kr := s.copyoutLocked(c, p, disp, how)
	s.mu.Unlock()
	if kr != 0 {
		c.right(p, disp)
	}
	return name, kr
}

func (s *Space) copyoutLocked(c *cleanup, p *Port, disp mach.Disposition, how arrival) (mach.Name, mach.KernReturn) {
	if !s.active {
		return 0, mach.KernInvalidTask
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead.Load() {
		return 0, mach.KernInvalidCapability
	}
	var e *entry
	var i uint32
	known := false
	if disp != mach.MoveSendOnce {
		e, i, known = s.find(p)
	}
	if !known {
		var ok bool
		if e, i, ok = s.claim(); !ok {
			return 0, mach.KernResourceShortage
		}
	}
	s.place(c, e, i, p, disp, how)
	return s.name(i), 0
}

// place puts a right into an entry that is free or knows the port. Space and port are locked.
func (s *Space) place(c *cleanup, e *entry, i uint32, p *Port, disp mach.Disposition, how arrival) {
	if e.rights == 0 {
		e.port = p
		if disp != mach.MoveReceive && s.kernel.restrict.ImmovableSend(s, p) {
			e.flags |= entryImmovableSend
		}
	}
	switch disp {
	case mach.MoveSendOnce:
		e.rights, e.urefs = mach.TypeSendOnce, 1
	case mach.MoveSend:
		switch {
		case e.rights&mach.TypeSend != 0:
			p.sends-- // the entry holds one already; never the last
		case e.rights == 0:
			s.reverse[p] = i
		default:
			if s.kernel.restrict.ImmovableSend(s, p) {
				e.flags |= entryImmovableSend
			}
		}
		e.rights |= mach.TypeSend
		e.urefs = min(e.urefs+1, mach.MaxURefs)
	case mach.MoveReceive:
		p.receiver, p.receiverName, p.destination = s, s.name(i), nil
		switch p.policy.Movability {
		case MoveNever, MoveOnce:
			p.immovable = true
		case MoveOnceOrAfterPD:
			p.immovable = !p.afterPD
		}
		if p.afterPD && p.keepsGuard {
			p.guarded, p.strict, p.context = true, true, p.homeGuard
		}
		p.afterPD = false
		if how != arrives {
			p.immovable = how == arrivesImmovable
		}
		delete(s.reverse, p)
		e.rights |= mach.TypeReceive
	}
}

// copyoutPort puts a right of a message body into a space; what cannot be placed is named null or dead.
//
// Source: XNU osfmk/ipc/ipc_kmsg.c, ipc_kmsg_copyout_port.
func (s *Space) copyoutPort(c *cleanup, p *Port, d mach.Disposition, how arrival) (mach.Name, mach.KernReturn) {
	if !p.valid() {
		return nameOf(p), 0
	}
	name, kr := s.copyout(c, p, d, how)
	switch kr {
	case 0:
		return name, 0
	case mach.KernInvalidCapability:
		return mach.DeadName, 0
	case mach.KernResourceShortage:
		return 0, mach.MsgIPCKernel
	}
	return 0, mach.MsgIPCSpace
}

// copyoutHeader gives the receiver the rights of the header and fills in the header.
//
// Source: XNU osfmk/ipc/ipc_kmsg.c, ipc_kmsg_copyout_header.
func (s *Space) copyoutHeader(c *cleanup, m *Message, o mach.Option) (h mach.Header, kr mach.KernReturn) {
	m.dest.sendPossible(c)
	s.mu.Lock()
	if !s.active {
		s.mu.Unlock()
		return h, mach.RcvHeaderError | mach.MsgIPCSpace
	}
	replyName, voucherName := nameOf(m.reply), m.reserved
	if m.reply.valid() {
		switch replyName, kr = s.copyoutLocked(c, m.reply, m.replyDisp, arrives); kr {
		case 0:
		case mach.KernInvalidCapability:
			replyName = mach.DeadName
			c.right(m.reply, m.replyDisp)
			m.reply = nil
		default:
			s.mu.Unlock()
			return h, mach.RcvHeaderError | mach.MsgIPCSpace
		}
	}
	reply := m.reply
	m.reply = nil
	if m.voucherDisp != 0 {
		if o&mach.RcvVoucher == 0 {
			m.voucherDisp = 0
			c.right(m.voucher, mach.MoveSend)
		} else if m.voucher.valid() {
			if voucherName, kr = s.copyoutLocked(c, m.voucher, mach.MoveSend, arrives); kr != 0 {
				voucherName = mach.NullName
				c.right(m.voucher, mach.MoveSend)
			}
		}
		m.voucher = nil
	}
	destName := s.copyoutDest(c, m, reply)
	s.mu.Unlock()
	return m.header(replyName, destName, voucherName), 0
}

// copyoutDest uses up the right a message was sent with and returns the receiver's name for the port.
func (s *Space) copyoutDest(c *cleanup, m *Message, reply *Port) mach.Name {
	p := m.dest
	m.dest = nil
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead.Load() {
		if reply.valid() && reply.dead.Load() && reply.diedBefore(p) {
			return mach.NullName
		}
		return mach.DeadName
	}
	name := mach.NullName
	if p.receiver == s {
		name = p.receiverName
	}
	switch {
	case m.destDisp != mach.MoveSendOnce:
		p.dropSend(c)
	case p.receiver == s:
		p.sendOnces--
	default: // the receive right has left the space since: its new holder is told
		c.add(task{kind: taskSendOnceGone, port: p})
	}
	return name
}

// diedBefore orders the deaths of two dead ports. Stamps do not change once a port is dead.
func (p *Port) diedBefore(q *Port) bool { return p.died < q.died }

// sendPossible tells those who wait for room in the queue.
//
// Source: XNU osfmk/ipc/ipc_port.c, ipc_port_spnotify.
func (p *Port) sendPossible(c *cleanup) {
	p.mu.Lock()
	if p.armed {
		p.armed = false
		for r := p.requests; r != nil; r = r.next {
			if r.armed && r.notify != nil {
				c.add(task{kind: taskNotify, port: r.notify, id: mach.NotifySendPossible, value: uint32(r.name)})
				r.notify = nil
			}
		}
	}
	p.mu.Unlock()
}
