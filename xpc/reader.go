package xpc

import (
	"context"
	"fmt"

	"portcullis.dev/mach"
)

// kernel says that the kernel itself sent a message.
func kernel(in *incoming) bool { return in.trailer.Audit == mach.AuditToken{} }

// heard checks who sent a message: once against the requirement, then always against who it was then.
func (c *Connection) heard(l *link, t mach.AuditToken) error {
	c.mu.Lock()
	known, was, r := l.known, l.token, c.requirement
	c.mu.Unlock()
	if known {
		if !sameProcess(was, t) {
			return fmt.Errorf("%w: a message came from process %d, not from %d", ErrPeer, t.PID(), was.PID())
		}
		return nil
	}
	peer := c.p.peer(t)
	if err := check(r, peer); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.known && !sameProcess(l.token, t) {
		return fmt.Errorf("%w: messages came from the processes %d and %d", ErrPeer, l.token.PID(), t.PID())
	}
	l.known, l.token = true, t
	if c.link == l {
		c.peer = peer
	}
	return nil
}

// run receives what comes in over a link and calls the handler, until the link is over.
func (c *Connection) run(l *link) {
	th, err := c.p.borrow()
	if err != nil {
		c.mu.Lock()
		l.reading = false
		c.mu.Unlock()
		c.end(fmt.Errorf("%w: %w", ErrInvalid, err))
		c.finish(l)
		return
	}
	w := th.watch(context.Background())
	c.mu.Lock()
	if l.reader = w; l.closed {
		w.abort()
	}
	c.mu.Unlock()
	var answer *outgoing
	for c.mayHandle(l) {
		in, kr := th.answerAndReceive(c.p, answer, l.receive)
		answer = nil
		if kr == mach.RcvInterrupted {
			continue
		}
		if kr != 0 {
			break
		}
		m, more := c.handle(l, in)
		if m != nil {
			if answer = m.atEnd(th.out); answer != nil {
				th.out = answer.room
			}
			m.handled()
		}
		if !more {
			break
		}
	}
	if answer != nil {
		th.answer(c.p, answer)
	}
	w.end()
	th.Destruct(l.receive, 0, l.guard)
	c.p.giveBack(th)
	c.finish(l)
}

// mayHandle waits until the handler may be called; false if the link is over.
func (c *Connection) mayHandle(l *link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.suspended > 0 && !l.closed {
		c.wake.Wait()
	}
	return !l.closed
}

// finish tells the handler that a link is over.
func (c *Connection) finish(l *link) {
	c.mu.Lock()
	over, h := c.over, c.handler
	c.mu.Unlock()
	if over == nil {
		over = c.lost(l)
	} else {
		c.unlink(l)
	}
	h.HandleError(over)
}

// handle handles a message, which it returns if the handler had it; false if the link is over.
func (c *Connection) handle(l *link, in *incoming) (*Message, bool) {
	if kernel(in) {
		c.p.discardRights(in)
		return nil, in.header.ID != mach.NotifyNoSenders
	}
	if err := c.heard(l, in.trailer.Audit); err != nil {
		c.p.discardRights(in)
		c.end(err)
		return nil, false
	}
	if in.header.ID != idMessage && in.header.ID != idSync {
		c.p.discardRights(in)
		return nil, true
	}
	reply := in.reply()
	d, err := c.p.dictionary(in)
	if err != nil {
		if reply != 0 {
			c.p.calls(func(th Thread) { th.Deallocate(reply) })
		}
		c.end(fmt.Errorf("%w: %w", ErrInvalid, err))
		return nil, false
	}
	m := &Message{Dictionary: d, ID: in.header.ID, p: c.p, c: c, reply: reply, token: in.trailer.Audit}
	if reply != 0 {
		c.p.active.Add(1)
	}
	if c.mayHandle(l) {
		c.handler.HandleMessage(m)
	}
	return m, true
}
