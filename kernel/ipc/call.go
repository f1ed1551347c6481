package ipc

import "portcullis.dev/mach"

// Call is a message to a kernel object while the object serves it.
type Call struct {
	Port    *Port
	ID      int32
	Options mach.Option
	Sender  Identity
	Complex bool   // the message has descriptors, be it none
	Body    []byte // inline data; gone when Serve returns
	Items   []Item // descriptors; rights that Serve wants to keep it takes by setting Port to nil

	thread  *Thread
	message *Message
	cleanup *cleanup
}

// serve lets an object serve a message, then destroys what the object left of it.
func (t *Thread) serve(c *cleanup, m *Message, p *Port, o Object) {
	if o != nil {
		call := &Call{Port: p, ID: m.id, Sender: m.sender, Complex: m.complex, Body: m.body, Items: m.desc, thread: t,
			message: m, cleanup: c}
		o.Serve(t, call)
	}
	if m.destDisp == mach.MoveSendOnce { // the message has used the right
		p.mu.Lock()
		p.sendOnces--
		p.mu.Unlock()
		m.dest = nil
	}
	c.add(task{kind: taskMessage, msg: m})
}

// Expects says that the sender waits for a reply that has not been sent.
func (c *Call) Expects() bool { return c.message.reply.valid() }

// ReplyPort returns where the reply goes, and the right that it goes with; nil if nobody waits for one. The right stays
// the call's.
func (c *Call) ReplyPort() (*Port, mach.Disposition) {
	if !c.Expects() {
		return nil, 0
	}
	return c.message.reply, c.message.replyDisp
}

// Reply sends body, and the rights and memory of items, to the sender's reply port and uses up the right to it. Rights
// are handed over: they must have been made, as by [Port.MakeSend]. If there is nobody to reply to they are destroyed.
func (c *Call) Reply(id int32, body []byte, items ...Item) {
	k, to := c.Port.kernel, c.message.reply
	c.message.reply = nil
	var m *Message
	if to.valid() {
		cost := messageCost + itemCost*int64(len(items)) + int64(len(body))
		for i := range items {
			cost += int64(len(items[i].Data)) + portCost*int64(len(items[i].Ports))
		}
		m = k.newMessageTo(to, cost)
	}
	if m == nil {
		c.cleanup.right(to, c.message.replyDisp)
		for i := range items {
			c.cleanup.right(items[i].Port, items[i].Disposition)
			for _, p := range items[i].Ports {
				c.cleanup.right(p, items[i].Disposition)
			}
		}
		return
	}
	m.fill(id, body, items)
	m.dest, m.destDisp = to, c.message.replyDisp
	to.mu.Lock()
	if !to.dead.Load() && !to.kernelOwned {
		to.post(c.cleanup, m)
		return
	}
	to.mu.Unlock()
	c.cleanup.add(task{kind: taskMessage, msg: m})
}

// MakeSendOnce makes a send-once right to put into a reply.
func (p *Port) MakeSendOnce() *Port {
	p.mu.Lock()
	p.sendOnces++
	p.mu.Unlock()
	return p
}

// MakeSend makes a send right to put into a reply or to give to [Space.InsertSend].
func (p *Port) MakeSend() *Port {
	p.mu.Lock()
	p.makeSends++
	p.sends++
	p.mu.Unlock()
	return p
}

// ReleaseSend destroys a send right that is in no space.
func (p *Port) ReleaseSend() { p.Release(mach.MoveSend) }

// InsertSend puts a send right, made by [Port.MakeSend], into the space. A pinned one is there to stay: its last
// reference cannot be given up while the port lives.
func (s *Space) InsertSend(p *Port, pinned bool) (mach.Name, mach.KernReturn) {
	var c cleanup
	defer c.run(s.kernel)
	name, kr := s.copyout(&c, p, mach.MoveSend, arrives)
	if kr == 0 && pinned {
		s.mu.Lock()
		if e, _ := s.lookup(name); e != nil {
			e.flags |= entryPinned
		}
		s.mu.Unlock()
	}
	return name, kr
}
