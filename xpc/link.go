package xpc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"portcullis.dev/mach"
)

// link is the two ports of a connection, and who is at the other end.
type link struct {
	send    mach.Name // send right to the channel of the peer
	receive mach.Name // receive right of one's own
	guard   uint64
	closed  bool
	known   bool // the peer has been heard
	token   mach.AuditToken
	users   int // calls that use the send right now

	// Who receives on a port whose right is gone dies of a guard. Where there is a reader, it gives up the right itself.
	reading bool
	reader  *watcher
}

// unlink gives up the ports of a link: the receive right, which tells the peer, and the send right when nobody uses it.
func (c *Connection) unlink(l *link) {
	c.mu.Lock()
	if l.closed {
		c.mu.Unlock()
		return
	}
	l.closed = true
	idle, reading := l.users == 0, l.reading
	if l.reader != nil {
		l.reader.abort()
	}
	c.mu.Unlock()
	c.p.calls(func(th Thread) {
		if !reading {
			th.Destruct(l.receive, 0, l.guard)
		}
		if idle {
			th.Deallocate(l.send)
		}
	})
}

// acquire returns the link, made if need be, for one use of its send right.
func (c *Connection) acquire(ctx context.Context) (*link, error) {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l, err := c.use(); l != nil || err != nil {
		return l, err
	}
	// One checks in, the others wait for that.
	select {
	case c.linking <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.linking }()
	if l, err := c.use(); l != nil || err != nil {
		return l, err
	}
	l, err := c.checkIn(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.over != nil {
		over := c.over
		c.mu.Unlock()
		c.unlink(l)
		return nil, over
	}
	c.link, l.reading = l, true
	l.users++
	c.mu.Unlock()
	go c.run(l)
	return l, nil
}

// use returns the link for one use of its send right; nil if there is none.
func (c *Connection) use() (*link, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over != nil || c.link == nil {
		return nil, c.over
	}
	c.link.users++
	return c.link, nil
}

// release ends a use.
func (c *Connection) release(l *link) {
	c.mu.Lock()
	l.users--
	last := l.closed && l.users == 0
	c.mu.Unlock()
	if last {
		c.p.calls(func(th Thread) { th.Deallocate(l.send) })
	}
}

// lost says that the peer of a link is gone, and returns what that means.
func (c *Connection) lost(l *link) error {
	if !c.again {
		c.end(ErrInvalid)
		return ErrInvalid
	}
	c.mu.Lock()
	if c.link == l {
		c.link, c.peer = nil, Peer{}
	}
	over := c.over
	c.mu.Unlock()
	c.unlink(l)
	if over != nil {
		return over
	}
	return ErrInterrupted
}

func newGuard() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:]) | 1
}

// checkIn finds the listener and gives it the two ports of a new connection.
//
// The forward channel is made here, and its receive right sent; the back channel stays. Both are connection ports, as
// those of Apple's library are, the latter immovable (XNU osfmk/ipc/ipc_service_port.c of the newest public tree,
// ipc_service_port_derive_sblabel, tells them apart by that).
func (c *Connection) checkIn(ctx context.Context) (*link, error) {
	to, err := c.find(ctx)
	if err != nil {
		if errors.Is(err, ErrUnknownService) || errors.Is(err, ErrInvalid) {
			c.end(ErrInvalid)
		}
		return nil, err
	}
	th, err := c.p.borrow()
	if err != nil {
		return nil, err
	}
	defer c.p.giveBack(th)
	if c.service {
		defer th.Deallocate(to)
	}
	l, kr := c.makePorts(th, to)
	if kr != 0 {
		return nil, fmt.Errorf("xpc: no ports for a connection: %w", kr)
	}
	b := make([]byte, checkInSize)
	h := mach.Header{Bits: mach.BitsComplex | mach.MakeBits(mach.CopySend, 0, 0), Size: checkInSize, Remote: to,
		ID: idCheckIn}
	h.Encode(b)
	b[mach.HeaderSize] = 2
	forward := mach.Descriptor{Type: mach.DescriptorPort, Name: l.send, Disposition: mach.MoveReceive}
	back := mach.Descriptor{Type: mach.DescriptorPort, Name: l.receive, Disposition: mach.MakeSend}
	forward.Encode(b[headSize:])
	back.Encode(b[headSize+mach.PortDescriptorSize:])
	w := th.watch(ctx)
	c.await(w)
	kr = th.Msg2(&Call{Options: sendOptions, Send: b})
	c.forget(w)
	w.end()
	if kr == 0 {
		kr = th.Request(l.receive, mach.NotifyNoSenders, 1, l.receive)
	} else {
		if kr == mach.SendInterrupted || kr == mach.SendTimedOut {
			c.p.discardRights(parse(b))
		} else {
			th.ModRefs(l.send, mach.RightReceive, -1)
		}
	}
	if kr != 0 {
		th.Destruct(l.receive, 0, l.guard)
		th.Deallocate(l.send)
		if err := c.err(); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if kr == mach.SendInvalidDest {
			if !c.again {
				c.end(ErrInvalid)
				return nil, ErrInvalid
			}
			return nil, ErrInterrupted
		}
		return nil, fmt.Errorf("xpc: check-in: %w", kr)
	}
	return l, nil
}

// checkInSize is the size of a check-in message: two port descriptors and nothing else.
const checkInSize = headSize + 2*mach.PortDescriptorSize

func (c *Connection) makePorts(th Thread, to mach.Name) (*link, mach.KernReturn) {
	l := &link{guard: newGuard()}
	service := AnonymousService
	if c.service {
		service = to
	}
	var kr mach.KernReturn
	l.send, kr = th.Construct(&PortOptions{Flags: mach.ConnectionPort | mach.QueueLimit | mach.InsertSendRight |
		mach.TempOwner | mach.ImportanceReceiver | mach.EnforceReplyPortSemantics, QueueLimit: QueueLimit,
		Service: service})
	if kr != 0 {
		return nil, kr
	}
	l.receive, kr = th.Construct(&PortOptions{Flags: mach.ConnectionPort | mach.QueueLimit | mach.ImmovableReceive |
		mach.ContextAsGuard | mach.Strict | mach.ImportanceReceiver | mach.EnforceReplyPortSemantics,
		QueueLimit: QueueLimit, Guard: l.guard, Service: service})
	if kr != 0 {
		th.Destruct(l.send, -1, 0)
		return nil, kr
	}
	return l, 0
}
