package xpc

import (
	"context"
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
	c := &Connection{p: p, name: name, sending: make(chan struct{}, 1), linking: make(chan struct{}, 1),
		ready: make(chan struct{}), pending: make(map[*watcher]struct{})}
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
