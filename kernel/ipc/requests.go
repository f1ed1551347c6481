package ipc

import "portcullis.dev/mach"

// RequestNotification arms a notification on a name. notify is the caller's name of the port to notify, 0 to disarm,
// and disp how a send-once right to it is got: MakeSendOnce, or MoveSendOnce. The name of a right to the port notified
// so far, 0 if none, comes back.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_request_notification; osfmk/ipc/mach_kernelrpc.c.
func (s *Space) RequestNotification(t *Thread, name mach.Name, id int32, sync uint32, notify mach.Name,
	disp mach.Disposition) (previous mach.Name, kr mach.KernReturn) {
	var c cleanup
	defer func() { c.run(s.kernel) }()
	if disp != mach.MakeSendOnce && disp != mach.MoveSendOnce {
		return 0, mach.MigTypeError
	}
	to := Notify{}
	if notify.Valid() {
		if to, kr = t.takeNotify(&c, notify, disp); kr != 0 {
			return 0, kr
		}
	}
	if to.Port == deadPort || notify == mach.DeadName {
		return 0, mach.KernInvalidCapability
	}
	if !name.Valid() {
		c.right(to.Port, mach.MoveSendOnce)
		return 0, mach.KernInvalidArgument
	}
	s.kernel.restrict.NotifyPort(t, s, to.Port)
	old, kr := s.request(t, &c, name, id, sync, to)
	if kr != 0 {
		c.right(to.Port, mach.MoveSendOnce)
		return 0, kr
	}
	if old != nil {
		previous, kr = t.space.copyoutPort(&c, old, mach.MoveSendOnce, arrives)
	}
	return previous, kr
}

// takeNotify takes a send-once right to notify out of the caller's space.
func (t *Thread) takeNotify(c *cleanup, name mach.Name, disp mach.Disposition) (n Notify, kr mach.KernReturn) {
	s := t.space
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.active {
		return n, mach.KernInvalidTask
	}
	n.Port, kr = t.copyin(c, s, name, disp, ReasonKernel, deadOK, nil)
	if kr == 0 && n.Port != deadPort {
		n.Port.mu.Lock()
		n.Receiver, n.Immovable = n.Port.receiver, n.Port.immovable
		n.Port.mu.Unlock()
	}
	return n, kr
}

func (s *Space) request(t *Thread, c *cleanup, name mach.Name, id int32, sync uint32, to Notify) (old *Port,
	kr mach.KernReturn) {
	switch id {
	case mach.NotifyPortDestroyed:
		if sync != 0 {
			return nil, mach.KernInvalidValue
		}
		return nil, s.receiving(name, func(_ *cleanup, _ *entry, p *Port) mach.KernReturn {
			if kr := s.kernel.restrict.PortDestroyed(t, p, to, p.portDestroyed != nil); kr != 0 {
				return kr
			}
			p.portDestroyed = to.Port
			return 0
		})
	case mach.NotifyNoSenders:
		kr = s.receiving(name, func(c *cleanup, _ *entry, p *Port) mach.KernReturn {
			if !p.policy.NoSenders {
				t.violate(GuardInvalidNotification, mach.Name(p.typ), uint64(id))
				return mach.KernInvalidRight
			}
			old, p.noSenders = p.noSenders, to.Port
			if to.Port != nil && p.sends == 0 && sync <= p.makeSends {
				p.noSenders = nil
				c.add(task{kind: taskNotify, port: to.Port, id: id, value: p.makeSends})
			}
			return 0
		})
		return old, kr
	case mach.NotifySendPossible, mach.NotifyDeadName:
		kr = s.locked(func(c *cleanup) (kr mach.KernReturn) {
			old, kr = s.requestName(t, c, name, id, sync != 0, to.Port)
			return kr
		})
		return old, kr
	}
	return nil, mach.KernInvalidValue
}

// requestName arms a dead-name or send-possible notification.
//
// Source: XNU osfmk/ipc/ipc_right.c, ipc_right_request_alloc.
func (s *Space) requestName(t *Thread, c *cleanup, name mach.Name, id int32, armed bool, to *Port) (old *Port,
	kr mach.KernReturn) {
	possible := id == mach.NotifySendPossible
	e, _ := s.lookup(name)
	if e == nil {
		return nil, mach.KernInvalidName
	}
	if to == nil && e.request == nil {
		return nil, 0
	}
	if e.rights&portRights != 0 && (e.rights&mach.TypeReceive != 0 && s.lockAlive(e) ||
		e.rights&mach.TypeReceive == 0 && s.checkDead(e, false)) {
		p := e.port
		defer p.mu.Unlock()
		if e.rights&mach.TypeSendOnce != 0 && !p.policy.DeadName {
			t.violate(GuardInvalidNotification, mach.Name(p.typ), uint64(id))
			return nil, mach.KernDenied
		}
		if old = p.cancelRequest(e); to == nil {
			return old, 0
		}
		if possible && armed && (e.rights&mach.TypeSendOnce != 0 || p.kernelOwned || !p.full()) {
			c.add(task{kind: taskNotify, port: to, id: mach.NotifySendPossible, value: uint32(name)})
			return old, 0
		}
		r := &request{name: name, notify: to, sendPossible: possible, armed: possible && armed}
		p.armed = p.armed || r.armed
		p.addRequest(r)
		e.request = r
		return old, 0
	}
	switch {
	case e.rights == mach.TypeDeadName && possible && to != nil:
		e.urefs = min(e.urefs+1, mach.MaxURefs)
		c.add(task{kind: taskNotify, port: to, id: mach.NotifyDeadName, value: uint32(name)})
		return nil, 0
	case e.rights&(portRights|mach.TypeDeadName) != 0:
		return nil, mach.KernInvalidArgument
	}
	return nil, mach.KernInvalidRight
}

// lockAlive locks the port of a receive right, which lives as long as the right is there.
func (s *Space) lockAlive(e *entry) bool {
	e.port.mu.Lock()
	return true
}
