package xpc

import (
	"context"
	"fmt"
	"sync"

	"portcullis.dev/mach"
)

// Listener takes new connections from a port.
type Listener struct {
	p    *Process
	name string
	port mach.Name

	accepts sync.WaitGroup // calls of Accept that use the port
	spare   *caller        // kept for the next Accept, so that clients cannot take the last thread

	mu          sync.Mutex
	requirement Requirement
	closed      bool
	guard       uint64
	pending     map[*watcher]struct{}
}

// Listen checks in as the service of a name. Clients that were there before are waiting.
func (p *Process) Listen(ctx context.Context, name string) (*Listener, error) {
	port, err := p.CheckIn(ctx, name)
	if err != nil {
		return nil, err
	}
	return p.listener(name, port), nil
}

// ListenOn makes a listener of a receive right of the task, which the listener takes over.
func (p *Process) ListenOn(name string, port mach.Name) *Listener { return p.listener(name, port) }

func (p *Process) listener(name string, port mach.Name) *Listener {
	return &Listener{p: p, name: name, port: port, pending: make(map[*watcher]struct{})}
}

// Anonymous makes a listener without a name. Its endpoint can be sent to others.
func (p *Process) Anonymous() (*Listener, error) {
	guard := newGuard()
	var port mach.Name
	var kr mach.KernReturn
	p.calls(func(th Thread) {
		port, kr = th.Construct(&PortOptions{Flags: mach.QueueLimit | mach.ImmovableReceive | mach.ContextAsGuard |
			mach.Strict | mach.EnforceReplyPortSemantics, QueueLimit: mach.QueueLimitSmall, Guard: guard})
	})
	if kr != 0 {
		return nil, fmt.Errorf("xpc: no port for a listener: %w", kr)
	}
	l := p.listener("", port)
	l.guard = guard
	return l, nil
}

// Endpoint returns a new endpoint of the listener.
func (l *Listener) Endpoint() (*Endpoint, error) {
	kr := mach.KernResourceShortage
	l.p.calls(func(th Thread) { kr = th.MakeSend(l.port) })
	if kr != 0 {
		return nil, fmt.Errorf("xpc: no endpoint: %w", kr)
	}
	return l.p.endpoint(l.port), nil
}

// Name returns the name of the service, "" if there is none.
func (l *Listener) Name() string { return l.name }

// Require sets what clients must be. Others do not get as far as Accept.
func (l *Listener) Require(r Requirement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requirement = r
}

// Accept waits for a client and returns the connection to it, which must be activated or cancelled. The error is or holds
// ErrInvalid where the listener is over.
func (l *Listener) Accept(ctx context.Context) (*Connection, error) {
	th, err := l.thread()
	if err != nil {
		return nil, err
	}
	defer l.keep(th)
	w := th.watch(ctx)
	defer w.end()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, ErrInvalid
	}
	l.accepts.Add(1)
	l.pending[w] = struct{}{}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.pending, w)
		l.mu.Unlock()
		l.accepts.Done()
	}()
	for {
		if l.isClosed() {
			return nil, ErrInvalid
		}
		in, kr := th.receive(l.port, 0, 0)
		switch {
		case l.isClosed() && kr != 0:
			return nil, ErrInvalid
		case ctx.Err() != nil && kr != 0:
			return nil, ctx.Err()
		case kr == mach.RcvInterrupted:
			continue
		case spoiled(kr):
			continue
		case kr == mach.RcvPortDied: // with the kernel, or with launchd
			return nil, fmt.Errorf("%w: listener %s: %w", ErrInvalid, l.name, kr)
		case kr != 0:
			return nil, fmt.Errorf("xpc: listener %s: %w", l.name, kr)
		}
		if c := l.admit(th, in); c != nil {
			return c, nil
		}
	}
}

func (l *Listener) thread() (*caller, error) {
	l.mu.Lock()
	th := l.spare
	l.spare = nil
	l.mu.Unlock()
	if th != nil {
		return th, nil
	}
	return l.p.borrow()
}

func (l *Listener) keep(th *caller) {
	l.mu.Lock()
	if l.spare == nil && !l.closed {
		l.spare, th = th, nil
	}
	l.mu.Unlock()
	if th != nil {
		l.p.giveBack(th)
	}
}

func (l *Listener) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// admit makes a connection of a check-in, nil if it is none or its sender does not meet the requirement.
func (l *Listener) admit(th Thread, in *incoming) *Connection {
	good := in.header.ID == idCheckIn && in.header.Size == checkInSize && len(in.desc) == 2 && in.reply() == 0 &&
		in.desc[0].Type == mach.DescriptorPort && in.desc[0].Disposition == mach.MoveReceive && in.desc[0].Name.Valid() &&
		in.desc[1].Type == mach.DescriptorPort && in.desc[1].Disposition == mach.MoveSend && in.desc[1].Name.Valid()
	l.mu.Lock()
	r := l.requirement
	l.mu.Unlock()
	peer := l.p.peer(in.trailer.Audit)
	if !good || check(r, peer) != nil {
		l.p.discardRights(in)
		return nil
	}
	link := &link{receive: in.desc[0].Name, send: in.desc[1].Name, known: true, token: in.trailer.Audit}
	if th.Request(link.receive, mach.NotifyNoSenders, 0, link.receive) != 0 {
		l.p.discardRights(in) // the port is of a kind that no client of ours makes
		return nil
	}
	c := l.p.newConnection(fmt.Sprintf("%s.peer[%d]", l.name, peer.PID()))
	c.link, c.peer = link, peer
	return c
}

// Serve accepts clients until the context ends or the listener is closed, and gives each to accept, which activates or
// cancels it.
func (l *Listener) Serve(ctx context.Context, accept func(*Connection)) error {
	for {
		c, err := l.Accept(ctx)
		if err != nil {
			return err
		}
		accept(c)
	}
}

// Close ends the listener: its receive right is given up, which hands that of a service back to launchd, with what is
// still in its queue. Connections go on.
func (l *Listener) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	spare := l.spare
	l.spare = nil
	for w := range l.pending {
		w.abort()
	}
	l.mu.Unlock()
	if spare != nil {
		l.p.giveBack(spare)
	}
	l.accepts.Wait()
	l.p.calls(func(th Thread) {
		if l.guard != 0 {
			th.Destruct(l.port, 0, l.guard)
		} else {
			th.ModRefs(l.port, mach.RightReceive, -1)
		}
	})
}
