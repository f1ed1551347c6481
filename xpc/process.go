package xpc

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"portcullis.dev/mach"
)

// Process is XPC in one task: threads to make calls with, and what is known of peers.
type Process struct {
	task   Task
	active atomic.Int64 // transactions

	mu     sync.Mutex
	idle   []*caller
	closed bool

	// A task has only so many threads. One is kept back for calls that do not wait, which give rights up above all: so a
	// process that cannot serve can still refuse.
	reserve sync.Mutex
	spare   *caller
}

// NewProcess returns XPC in a task.
func NewProcess(t Task) *Process { return &Process{task: t} }

// Task returns the task.
func (p *Process) Task() Task { return p.task }

// Close gives up the threads that wait for work. Connections and listeners must have been cancelled before.
func (p *Process) Close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
	p.reserve.Lock()
	defer p.reserve.Unlock()
	if p.spare != nil {
		p.spare.close()
		p.spare = nil
	}
}

// Transactions returns how many requests are being answered; a service that wants to end does when there are none.
func (p *Process) Transactions() int { return int(p.active.Load()) }

// caller is a thread with what it needs to make calls.
type caller struct {
	Thread
	p     *Process
	reply mach.Name // special reply port, made when it is first needed
	buf   []byte
	out   []byte
}

const (
	firstBuffer = 1 << 10
	maxIdle     = 64
	keepBuffer  = 64 << 10
)

// borrow takes a thread out of the pool.
func (p *Process) borrow() (*caller, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	p.reserve.Lock()
	if p.spare == nil {
		if th, err := p.task.NewThread(); err == nil {
			p.spare = &caller{Thread: th, p: p, buf: make([]byte, firstBuffer)}
		}
	}
	p.reserve.Unlock()
	th, err := p.task.NewThread()
	if err != nil {
		return nil, fmt.Errorf("xpc: %w", err)
	}
	return &caller{Thread: th, p: p, buf: make([]byte, firstBuffer)}, nil
}

// giveBack puts it there again.
func (p *Process) giveBack(c *caller) {
	if cap(c.out) > keepBuffer {
		c.out = nil
	}
	if len(c.buf) > keepBuffer {
		c.buf = make([]byte, firstBuffer)
	}
	p.mu.Lock()
	if !p.closed && len(p.idle) < maxIdle {
		p.idle = append(p.idle, c)
		c = nil
	}
	p.mu.Unlock()
	if c != nil {
		c.close()
	}
}

func (c *caller) close() {
	c.dropReply()
	c.Close()
}

// calls makes some calls that do not wait.
func (p *Process) calls(f func(Thread)) { p.quickly(func(c *caller) { f(c) }) }

// quickly lends a thread for calls that do not wait, the one that is kept back if there is no other.
func (p *Process) quickly(f func(*caller)) error {
	c, err := p.borrow()
	if err == nil {
		defer p.giveBack(c)
		f(c)
		return nil
	}
	p.reserve.Lock()
	defer p.reserve.Unlock()
	if p.spare == nil {
		return err
	}
	f(p.spare)
	return nil
}

// replyPort returns the special reply port of the thread.
func (c *caller) replyPort() (mach.Name, error) {
	if c.reply == 0 {
		if c.reply = c.SpecialReplyPort(); c.reply == 0 {
			return 0, fmt.Errorf("xpc: no reply port: %w", mach.KernResourceShortage)
		}
	}
	return c.reply, nil
}

// dropReply gives up the reply port, to which an answer may still come that nobody waits for.
func (c *caller) dropReply() {
	if c.reply != 0 {
		c.Destruct(c.reply, -1, 0)
		c.reply = 0
	}
}

// watch interrupts the thread for as long as a call lasts once the context has ended, or abort is called. The kernel
// forgets an interruption of a thread that does not sleep, so that one may not be enough.
func (c *caller) watch(ctx context.Context) (w *watcher) {
	w = &watcher{th: c.Thread, done: make(chan struct{})}
	if ctx.Done() != nil {
		w.stop = context.AfterFunc(ctx, w.abort)
	}
	return w
}

type watcher struct {
	th      Thread
	stop    func() bool
	mu      sync.Mutex
	over    bool
	aborted bool
	done    chan struct{}
	wg      sync.WaitGroup
}

func (w *watcher) abort() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.aborted {
		return
	}
	w.aborted = true
	w.wg.Add(1)
	go func() {
		defer w.wg.Done()
		for wait := 50 * time.Microsecond; ; wait = min(2*wait, 10*time.Millisecond) {
			w.th.Interrupt()
			select {
			case <-w.done:
				return
			case <-time.After(wait):
			}
		}
	}()
}

// end says that the call is over; it returns when nobody interrupts the thread any more.
func (w *watcher) end() {
	if w.stop != nil {
		w.stop()
	}
	w.mu.Lock()
	w.over = true
	aborted := w.aborted
	w.mu.Unlock()
	if aborted {
		close(w.done)
		w.wg.Wait()
	}
}

// sendOptions are the options of every send: the destination is a queue.
const sendOptions = mach.SendMsg | mach.SendMQCall

// trailerAudit asks for a trailer with the audit token of the sender.
const trailerAudit = mach.Option(mach.TrailerAudit << 24)

// receive receives a message into the caller's buffer, which grows as needed.
func (c *caller) receive(port mach.Name, o mach.Option, timeout uint32) (*incoming, mach.KernReturn) {
	call := Call{Options: mach.RcvMsg | mach.RcvLarge | trailerAudit | o, Receive: port, Timeout: timeout}
	for {
		clear(c.buf[:mach.HeaderSize]) // of the message before
		call.Buffer = c.buf
		kr := c.Msg2(&call)
		if kr != mach.RcvTooLarge {
			return c.received(kr)
		}
		c.grow()
	}
}

// grow makes room for a message that did not fit, whose size is in the header.
func (c *caller) grow() {
	var h mach.Header
	h.Decode(c.buf)
	c.buf = make([]byte, int(min(h.Size, mach.MaxBodySize))+mach.MaxTrailerSize+8)
}

// spoiled says that a message was received of which something could not be given to the task: there was no room for
// its rights or its memory. What could be given is in the buffer.
func spoiled(kr mach.KernReturn) bool {
	kr &^= mach.MsgMask
	return kr == mach.RcvBodyError || kr == mach.RcvHeaderError
}

func (c *caller) received(kr mach.KernReturn) (*incoming, mach.KernReturn) {
	if spoiled(kr) {
		c.p.discardRights(parse(c.buf))
	}
	if kr != 0 {
		return nil, kr
	}
	return parse(c.buf), 0
}

// answerAndReceive sends an answer, if there is one, and receives a message, in one kernel call.
func (c *caller) answerAndReceive(p *Process, out *outgoing, port mach.Name) (*incoming, mach.KernReturn) {
	if out == nil {
		return c.receive(port, 0, 0)
	}
	clear(c.buf[:mach.HeaderSize])
	kr := c.Msg2(&Call{Options: sendOptions | mach.RcvMsg | mach.RcvLarge | trailerAudit, Send: out.bytes, Receive: port,
		Buffer: c.buf})
	if sending(kr) {
		c.unanswered(p, out, kr)
		return c.receive(port, 0, 0)
	}
	out.sent()
	if kr == mach.RcvTooLarge {
		c.grow()
		return c.receive(port, 0, 0)
	}
	return c.received(kr)
}

// answer sends an answer.
func (c *caller) answer(p *Process, out *outgoing) {
	if kr := c.Msg2(&Call{Options: sendOptions, Send: out.bytes}); kr != 0 {
		c.unanswered(p, out, kr)
		return
	}
	out.sent()
}

// unanswered does what is left to do if an answer could not be sent. Who asked may be gone.
func (c *caller) unanswered(p *Process, out *outgoing, kr mach.KernReturn) {
	p.failed(out, kr)
	if kr == mach.SendInvalidDest {
		c.Deallocate(out.once) // a dead name
	}
}
