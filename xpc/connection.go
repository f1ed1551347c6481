package xpc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"portcullis.dev/mach"
)

// Handler is what a connection does with what comes in. Its methods are called one at a time, in the order of events.
type Handler interface {
	// HandleMessage is called with each message. One that wants an answer and has none when the method returns is
	// dropped, and its sender gets ErrInterrupted, unless Message.Hold was called.
	HandleMessage(*Message)
	// HandleError is called with ErrInterrupted, after which a connection to a named service goes on, and last with
	// ErrInvalid or ErrPeer.
	HandleError(error)
}

// HandlerFuncs is a Handler of functions, which may be nil.
type HandlerFuncs struct {
	Message func(*Message)
	Error   func(error)
}

// HandleMessage implements Handler.
func (h HandlerFuncs) HandleMessage(m *Message) {
	if h.Message != nil {
		h.Message(m)
	}
}

// HandleError implements Handler.
func (h HandlerFuncs) HandleError(err error) {
	if h.Error != nil {
		h.Error(err)
	}
}

// Connection is one end of a connection. All methods may be called from several goroutines at once.
type Connection struct {
	p       *Process
	find    func(context.Context) (mach.Name, error) // a send right to the listener; nil at the server's end
	again   bool                                     // it can be found again after an interruption
	name    string
	service bool // the listener is a service port

	sending chan struct{} // held by who sends; waiters are served in order
	linking chan struct{} // held by who checks in

	mu          sync.Mutex
	wake        *sync.Cond
	handler     Handler
	requirement Requirement
	activated   bool
	suspended   int
	over        error // why it is over
	link        *link // nil while there is none
	peer        Peer
	context     any
	pending     map[*watcher]struct{}
	ready       chan struct{} // closed on activation
}

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

// QueueLimit is how many messages wait in a connection before its sender does.
const QueueLimit = 128

// Connect makes a connection to the service of a name. Nothing happens before Activate.
func (p *Process) Connect(name string) *Connection {
	return p.ConnectBy(name, func(ctx context.Context) (mach.Name, error) { return p.LookUp(ctx, name) })
}

// ConnectBy is Connect with another way to find the service: find returns a send right to its port, which the
// connection gives up.
func (p *Process) ConnectBy(name string, find func(context.Context) (mach.Name, error)) *Connection {
	c := p.newConnection(name)
	c.again, c.service, c.find = true, true, find
	return c
}

// Connect makes a connection to the listener of an endpoint. Nothing happens before Activate.
func (e *Endpoint) Connect() *Connection {
	p := e.r.p
	c := p.newConnection("")
	c.find = func(context.Context) (mach.Name, error) {
		if e.r.gone.Load() {
			return 0, ErrInvalid
		}
		return e.r.name, nil
	}
	return c
}

func (p *Process) newConnection(name string) *Connection {
	c := &Connection{p: p, name: name, sending: make(chan struct{}, 1), linking: make(chan struct{}, 1), ready: make(chan struct{}),
		pending: make(map[*watcher]struct{})}
	c.wake = sync.NewCond(&c.mu)
	return c
}

// Name returns the name of the service, "" if there is none.
func (c *Connection) Name() string { return c.name }

// Peer returns who is at the other end. A client knows it from the first answer on.
func (c *Connection) Peer() Peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peer
}

// SetContext keeps something with the connection.
func (c *Connection) SetContext(v any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.context = v
}

// Context returns what SetContext was given.
func (c *Connection) Context() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.context
}

// Require sets what the peer must be, before activation. It is checked when the peer is first heard; every message
// must come from the same process.
func (c *Connection) Require(r Requirement) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.activated {
		panic("xpc: Require after Activate")
	}
	c.requirement = r
}

// Activate sets the handler, which may be nil, and lets the connection begin. Messages may be sent before; they wait.
// Only the first call counts.
func (c *Connection) Activate(h Handler) {
	if h == nil {
		h = HandlerFuncs{}
	}
	c.mu.Lock()
	if c.activated {
		c.mu.Unlock()
		return
	}
	c.activated, c.handler = true, h
	l, over := c.link, c.over
	if l != nil {
		l.reading = true
	}
	c.mu.Unlock()
	close(c.ready)
	switch {
	case over != nil:
		go h.HandleError(over)
	case l != nil:
		go c.run(l)
	}
}

// Suspend stops the handler from being called until Resume is called as often. Messages stay in the kernel. A message
// that was being taken at the moment may still be handled.
func (c *Connection) Suspend() {
	c.mu.Lock()
	c.suspended++
	c.mu.Unlock()
}

// Resume undoes a Suspend.
func (c *Connection) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.suspended == 0 {
		panic("xpc: Resume without Suspend")
	}
	c.suspended--
	c.wake.Broadcast()
}

// Cancel ends the connection. Calls that wait for an answer return ErrInvalid, and the handler gets it last.
func (c *Connection) Cancel() { c.end(ErrInvalid) }

// end ends the connection for a reason.
func (c *Connection) end(why error) {
	c.mu.Lock()
	if c.over != nil {
		c.mu.Unlock()
		return
	}
	c.over = why
	l, h, running := c.link, c.handler, c.link != nil && c.activated
	c.link = nil
	for w := range c.pending {
		w.abort()
	}
	c.wake.Broadcast()
	c.mu.Unlock()
	if l != nil {
		c.unlink(l)
	}
	if h != nil && !running {
		go h.HandleError(why)
	}
}

// err returns why the connection is over, nil if it is not.
func (c *Connection) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
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
	th.out = m.bytes
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
	th.out = m.bytes
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
	th.out = m.bytes
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
		if spoiled(kr) {
			c.p.discardRights(parse(th.buf))
		}
		if kr != 0 {
			break
		}
		m, more := c.handle(l, in)
		if m != nil {
			if answer = m.atEnd(th.out); answer != nil {
				th.out = answer.bytes
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
