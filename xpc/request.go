package xpc

import (
	"fmt"
	"sync"

	"portcullis.dev/mach"
)

// Message is a message that came in. The dictionary is the receiver's.
type Message struct {
	*Dictionary
	ID    int32 // of the Mach message
	p     *Process
	c     *Connection
	token mach.AuditToken

	mu    sync.Mutex
	reply mach.Name // send-once right, 0 if there is none or it was used
	held  bool
	last  *Dictionary // answer that goes with the connection's next receive
}

// Connection returns the connection that the message came over, nil if it came to a bare port.
func (m *Message) Connection() *Connection { return m.c }

// Peer returns who sent the message.
func (m *Message) Peer() Peer {
	if m.c == nil {
		return m.p.peer(m.token)
	}
	return m.c.Peer()
}

// Token returns the audit token of the sender.
func (m *Message) Token() mach.AuditToken { return m.token }

// Expects says that the sender waits for an answer that it has not got.
func (m *Message) Expects() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reply != 0
}

// Hold lets the answer come later than the handler's return. Whoever holds a message must Reply to it or Drop it.
func (m *Message) Hold() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = true
}

// take takes the right to answer.
func (m *Message) take() mach.Name {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.reply
	m.reply = 0
	return n
}

// Drop says that there will be no answer; the sender gets ErrInterrupted.
func (m *Message) Drop() {
	if n := m.take(); n != 0 {
		m.p.active.Add(-1)
		m.p.calls(func(th Thread) { th.Deallocate(n) })
	}
}

func (m *Message) handled() {
	m.mu.Lock()
	held := m.held
	m.mu.Unlock()
	if !held {
		m.Drop()
	}
}

// replyAtEnd answers the message when the handler has returned, in one kernel call with the next receive, if it is
// called by the handler of a connection, and at once otherwise. There must be nothing more to do but to return.
func (m *Message) replyAtEnd(d *Dictionary) error {
	m.mu.Lock()
	if m.c != nil && !m.held && m.reply != 0 {
		m.last = d
		m.mu.Unlock()
		return nil
	}
	m.mu.Unlock()
	return m.Reply(d)
}

// atEnd returns the answer that replyAtEnd left, built in buf, with its header filled in.
func (m *Message) atEnd(buf []byte) *outgoing {
	m.mu.Lock()
	d := m.last
	m.last = nil
	m.mu.Unlock()
	if d == nil {
		return nil
	}
	out, err := m.p.build(buf, d, idReply)
	if err != nil {
		m.fail(err)
		return nil
	}
	n := m.take()
	if n == 0 {
		m.p.discard(out)
		return nil
	}
	m.p.active.Add(-1)
	out.address(n, mach.MoveSendOnce, 0)
	out.once = n
	return out
}

// Reply answers the message, once. A sender that is gone or waits no longer is no error.
func (m *Message) Reply(d *Dictionary) error {
	p := m.p
	out, err := p.build(nil, d, idReply)
	if err != nil {
		return err
	}
	n := m.take()
	if n == 0 {
		p.discard(out)
		return fmt.Errorf("xpc: the message wants no answer, or has one")
	}
	defer p.active.Add(-1)
	out.address(n, mach.MoveSendOnce, 0)
	var kr mach.KernReturn
	if err := p.quickly(func(th *caller) { kr = th.Msg2(&Call{Options: sendOptions, Send: out.bytes}) }); err != nil {
		p.discard(out)
		return err
	}
	if kr == 0 {
		out.sent()
		return nil
	}
	p.failed(out, kr)
	if kr == mach.SendInvalidDest {
		p.calls(func(th Thread) { th.Deallocate(n) }) // a dead name
		return nil
	}
	return fmt.Errorf("xpc: answer: %w", kr)
}
