package xpc

import (
	"context"
	"fmt"

	"portcullis.dev/mach"
)

// lock waits for its turn to send.
func (c *Connection) lock(ctx context.Context) error {
	select {
	case c.sending <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.sending <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Connection) unlock() { <-c.sending }

// Barrier waits until all sends that began before it are in the kernel's hands.
func (c *Connection) Barrier(ctx context.Context) error {
	if err := c.lock(ctx); err != nil {
		return err
	}
	c.unlock()
	return nil
}

// Send sends a message for which there is no answer. It returns when the kernel has taken it; messages arrive in the
// order of Send calls.
func (c *Connection) Send(ctx context.Context, d *Dictionary) error {
	th, err := c.p.borrow()
	if err != nil {
		return err
	}
	defer c.p.giveBack(th)
	m, err := c.p.build(th.out, d, idMessage)
	if err != nil {
		return err
	}
	th.out = m.room
	if err := c.lock(ctx); err != nil {
		c.p.discard(m)
		return err
	}
	defer c.unlock()
	w := th.watch(ctx)
	c.await(w)
	l, kr, err := c.deliver(ctx, m, 0, func() mach.KernReturn {
		return th.Msg2(&Call{Options: sendOptions, Send: m.bytes})
	})
	c.forget(w)
	w.end()
	if err != nil {
		return err
	}
	defer c.release(l)
	return c.outcome(ctx, l, m, kr)
}

// deliver lets try send a message over the link, which is the caller's to release then. A message that finds its peer
// gone has not been taken by anybody: to a service that can be found again it is sent once more, over a new link.
func (c *Connection) deliver(ctx context.Context, m *outgoing, reply mach.Name, try func() mach.KernReturn) (*link,
	mach.KernReturn, error) {
	for again := c.again; ; again = false {
		l, err := c.acquire(ctx)
		if err != nil {
			c.p.discard(m)
			return nil, 0, err
		}
		m.address(l.send, mach.CopySend, reply)
		kr := try()
		if kr != mach.SendInvalidDest || !again {
			return l, kr, nil
		}
		c.release(l)
		c.lost(l)
	}
}

// await lets Cancel end the call that w watches.
func (c *Connection) await(w *watcher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending[w] = struct{}{}
	if c.over != nil {
		w.abort()
	}
}

func (c *Connection) forget(w *watcher) {
	c.mu.Lock()
	delete(c.pending, w)
	c.mu.Unlock()
}

// outcome says what the result of a send means.
func (c *Connection) outcome(ctx context.Context, l *link, m *outgoing, kr mach.KernReturn) error {
	if kr == 0 {
		m.sent()
		return nil
	}
	c.p.failed(m, kr)
	switch kr {
	case mach.SendInvalidDest:
		return c.lost(l)
	case mach.SendInterrupted:
		if err := c.err(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return fmt.Errorf("xpc: %w", kr)
}

// Call sends a message and waits for the answer. If the context ends first the answer is lost.
func (c *Connection) Call(ctx context.Context, d *Dictionary) (*Dictionary, error) {
	th, err := c.p.borrow()
	if err != nil {
		return nil, err
	}
	defer c.p.giveBack(th)
	reply, err := th.replyPort()
	if err != nil {
		return nil, err
	}
	m, err := c.p.build(th.out, d, idSync)
	if err != nil {
		return nil, err
	}
	th.out = m.room
	if err := c.Barrier(ctx); err != nil { // what was sent before comes first
		c.p.discard(m)
		return nil, err
	}
	w := th.watch(ctx)
	c.await(w)
	var in *incoming
	l, kr, err := c.deliver(ctx, m, reply, func() (kr mach.KernReturn) {
		in, kr = exchange(th, m, reply)
		return kr
	})
	c.forget(w)
	w.end()
	if err != nil {
		return nil, err
	}
	defer c.release(l)
	if kr != 0 {
		th.dropReply()
		if sending(kr) {
			return nil, c.outcome(ctx, l, m, kr)
		}
		m.sent()
		return nil, c.unanswered(ctx, kr)
	}
	m.sent()
	return c.answer(l, in)
}

// exchange sends a message and receives what comes to the reply port, in one call if the buffer is large enough.
func exchange(th *caller, m *outgoing, reply mach.Name) (*incoming, mach.KernReturn) {
	kr := th.Msg2(&Call{Options: sendOptions | mach.RcvMsg | mach.RcvLarge | trailerAudit, Send: m.bytes, Receive: reply,
		Buffer: th.buf})
	if kr == mach.RcvTooLarge {
		th.grow()
		return th.receive(reply, 0, 0)
	}
	return th.received(kr)
}

func (c *Connection) unanswered(ctx context.Context, kr mach.KernReturn) error {
	if err := c.err(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil && kr == mach.RcvInterrupted {
		return err
	}
	return fmt.Errorf("xpc: no answer: %w", kr)
}

// answer takes what came to a reply port.
func (c *Connection) answer(l *link, in *incoming) (*Dictionary, error) {
	if in.header.ID != idReply {
		fromKernel := kernel(in)
		c.p.discardRights(in)
		if in.header.ID == mach.NotifySendOnce && fromKernel {
			if c.find != nil && !c.again && c.dead(l) {
				return nil, ErrInvalid
			}
			return nil, ErrInterrupted
		}
		return nil, fmt.Errorf("xpc: the answer is a message of id %#x", in.header.ID)
	}
	if err := c.heard(l, in.trailer.Audit); err != nil {
		c.p.discardRights(in)
		c.end(err)
		return nil, err
	}
	return c.p.dictionary(in)
}

func (c *Connection) dead(l *link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return l.closed
}

// CallAsync sends a message and returns when it is on its way; then is called once, from a goroutine of its own, with
// the answer or an error.
func (c *Connection) CallAsync(ctx context.Context, d *Dictionary, then func(*Dictionary, error)) error {
	th, err := c.p.borrow()
	if err != nil {
		return err
	}
	reply, err := th.replyPort()
	if err != nil {
		c.p.giveBack(th)
		return err
	}
	fail := func(err error) error { c.p.giveBack(th); return err }
	m, err := c.p.build(th.out, d, idMessage)
	if err != nil {
		return fail(err)
	}
	th.out = m.room
	if err := c.lock(ctx); err != nil {
		c.p.discard(m)
		return fail(err)
	}
	defer c.unlock()
	w := th.watch(ctx)
	c.await(w)
	l, kr, err := c.deliver(ctx, m, reply, func() mach.KernReturn {
		return th.Msg2(&Call{Options: sendOptions, Send: m.bytes})
	})
	if err != nil || kr != 0 {
		c.forget(w)
		w.end()
		th.dropReply()
		if err == nil {
			err = c.outcome(ctx, l, m, kr)
			c.release(l)
		}
		return fail(err)
	}
	m.sent()
	go func() {
		in, kr := th.receive(reply, 0, 0)
		c.forget(w)
		w.end()
		var answer *Dictionary
		var err error
		if kr != 0 {
			th.dropReply()
			err = c.unanswered(ctx, kr)
		} else {
			answer, err = c.answer(l, in)
		}
		c.release(l)
		c.p.giveBack(th)
		then(answer, err)
	}()
	return nil
}
