package ipc

import "portcullis.dev/mach"

// The calls of this file are those of transfer.go and requests.go for rights that came in a message, or are to go into
// one, and so are in no space.

// PostThrough sends a message of the kernel's through a send or send-once right that is in no space, and uses the right
// up. Whoever made the port pays for the message; if they cannot, or the port is dead, nothing is sent.
func (p *Port) PostThrough(d mach.Disposition, id int32, body []byte) {
	if !p.valid() {
		return
	}
	var c cleanup
	defer c.run(p.kernel)
	m := p.kernel.newMessageTo(p, messageCost+int64(len(body)))
	if m == nil {
		c.right(p, d)
		return
	}
	m.fill(id, body, nil)
	m.dest, m.destDisp = p, d
	p.mu.Lock()
	if p.dead.Load() || p.kernelOwned {
		p.mu.Unlock()
		c.add(task{kind: taskMessage, msg: m})
		return
	}
	p.post(&c, m)
}

// PlaceRight gives the space a right under a name of the caller's choice. d is a MOVE form. If it fails the right stays
// the caller's.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_insert_right.
func (s *Space) PlaceRight(name mach.Name, p *Port, d mach.Disposition) mach.KernReturn {
	var c cleanup
	defer func() { c.run(s.kernel) }()
	return s.insert(&c, name, p, d)
}

// TakeRight takes a right out of the space as disp says, for t. The right comes back with its MOVE form.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_extract_right.
func (s *Space) TakeRight(t *Thread, name mach.Name, disp mach.Disposition) (p *Port, d mach.Disposition,
	kr mach.KernReturn) {
	var c cleanup
	defer func() { c.run(s.kernel) }()
	return s.take(t, &c, name, disp)
}

// RequestCarried arms a notification on a name, as [Space.RequestNotification]; to is the send-once right to notify, nil
// to disarm. If it fails the right stays the caller's. The right to the port notified so far comes back.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_request_notification.
func (s *Space) RequestCarried(t *Thread, name mach.Name, id int32, sync uint32, to *Port) (old *Port,
	kr mach.KernReturn) {
	n := Notify{Port: to}
	switch {
	case to == deadPort:
		return nil, mach.KernInvalidCapability
	case to != nil:
		to.mu.Lock()
		n.Receiver, n.Immovable = to.receiver, to.immovable
		to.mu.Unlock()
		s.kernel.restrict.NotifyPort(t, s, to)
	}
	var c cleanup
	defer func() { c.run(s.kernel) }()
	return s.request(t, &c, name, id, sync, n)
}
