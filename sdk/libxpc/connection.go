//go:build linux && cgo

package main

// #include <stdlib.h>
// #include "object.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/cgo"
	"sync"
	"unsafe"

	"portcullis.dev/xpc"
	"portcullis.dev/xpc/attached"
)

// process is this program as a task; it joins with the first connection.
var process = sync.OnceValues(func() (*xpc.Process, error) { return attached.Join(context.Background()) })

// handler is a C function with its context.
type handler struct{ f, context unsafe.Pointer }

func (h handler) call(p unsafe.Pointer) {
	if h.f != nil {
		C.call_object(C.call_object_t(h.f), h.context, p)
	}
}

// connection is a connection or a listener of a C program.
type connection struct {
	name     string
	cname    *C.char
	listen   bool
	c        *xpc.Connection
	l        *xpc.Listener
	endpoint *xpc.Endpoint // to connect to

	mu          sync.Mutex
	self        unsafe.Pointer // its C object
	handler     handler
	finalizer   unsafe.Pointer
	context     unsafe.Pointer
	requirement xpc.Requirement
	started     bool
	suspended   int
	cancelled   bool
	failure     error
	queue       []func() // what was asked for, in order
	busy        bool
}

// do lets f happen after all that was asked for before. Nothing happens before the connection has been activated.
func (c *connection) do(f func()) {
	c.mu.Lock()
	c.queue = append(c.queue, f)
	start := c.started && !c.busy
	c.busy = c.busy || start
	c.mu.Unlock()
	if start {
		go c.work()
	}
}

func (c *connection) work() {
	for {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.busy = false
			c.mu.Unlock()
			return
		}
		f := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()
		f()
	}
}

const (
	connectTo = iota
	listenAs
	listenAnonymously
)

//export goConnect
func goConnect(name *C.char, how C.int) unsafe.Pointer {
	c := &connection{suspended: 1, listen: how != connectTo}
	if name != nil {
		c.name = C.GoString(name)
	}
	p, err := process()
	if err != nil {
		fmt.Fprintf(os.Stderr, "xpc: %v\n", err)
		c.failure = err
	}
	switch {
	case err != nil:
	case how == connectTo:
		c.c = p.Connect(c.name)
	case how == listenAnonymously:
		if c.l, err = p.Anonymous(); err != nil {
			c.failure = err
		}
	}
	return c.object()
}

func (c *connection) object() unsafe.Pointer {
	if c.name != "" {
		c.cname = C.CString(c.name)
	}
	return create(kindConnection, &object{conn: c})
}

//export goFromEndpoint
func goFromEndpoint(h C.uintptr_t) unsafe.Pointer {
	e, ok := of(h).value.(*xpc.Endpoint)
	if !ok {
		return nil
	}
	return (&connection{suspended: 1, c: e.Connect(), endpoint: e}).object()
}

//export goEndpoint
func goEndpoint(h C.uintptr_t) unsafe.Pointer {
	c := of(h).conn
	if c == nil || c.l == nil {
		return nil
	}
	e, err := c.l.Endpoint()
	if err != nil {
		return nil
	}
	return wrap(e)
}

//export goSetHandler
func goSetHandler(h C.uintptr_t, context, f unsafe.Pointer) {
	c := of(h).conn
	c.mu.Lock()
	c.handler = handler{f, context}
	c.mu.Unlock()
}

//export goRequire
func goRequire(h C.uintptr_t, entitlement *C.char) C.int {
	c := of(h).conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.started || c.requirement != nil {
		return 22 // EINVAL
	}
	c.requirement = xpc.RequireEntitlement(C.GoString(entitlement))
	return 0
}

//export goActivate
func goActivate(self unsafe.Pointer, h C.uintptr_t) {
	c := of(h).conn
	c.mu.Lock()
	again := c.started
	c.mu.Unlock()
	if !again {
		goResume(self, h)
	}
}

//export goResume
func goResume(self unsafe.Pointer, h C.uintptr_t) {
	c := of(h).conn
	c.mu.Lock()
	c.suspended--
	first := !c.started && c.suspended == 0
	if first {
		c.started, c.self = true, self
		C.object_retain(self) // until its last event
	}
	started := c.started
	c.mu.Unlock()
	switch {
	case first:
		c.activate()
	case started && c.c != nil:
		c.c.Resume()
	}
}

//export goSuspend
func goSuspend(h C.uintptr_t) {
	c := of(h).conn
	c.mu.Lock()
	c.suspended++
	started := c.started
	c.mu.Unlock()
	if started && c.c != nil {
		c.c.Suspend()
	}
}

func (c *connection) activate() {
	switch {
	case c.failure != nil:
		go c.over(xpc.ErrInvalid)
	case c.listen:
		go c.serve()
	default:
		if c.requirement != nil {
			c.c.Require(c.requirement)
		}
		c.c.Activate(c)
	}
	c.do(func() {}) // what was asked for before
}

// serve accepts clients, each of which is an event.
func (c *connection) serve() {
	l := c.l
	if l == nil {
		p, err := process()
		if err == nil {
			l, err = p.Listen(context.Background(), c.name)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%v\n", err)
			c.over(xpc.ErrInvalid)
			return
		}
		c.mu.Lock()
		c.l = l
		cancelled := c.cancelled
		c.mu.Unlock()
		if cancelled {
			l.Close()
		}
	}
	if c.requirement != nil {
		l.Require(c.requirement)
	}
	l.Serve(context.Background(), func(peer *xpc.Connection) {
		p := (&connection{suspended: 1, c: peer, name: peer.Name()}).object()
		c.mu.Lock()
		h := c.handler
		c.mu.Unlock()
		h.call(p)
		C.object_release(p)
	})
	c.over(xpc.ErrInvalid)
}

// HandleMessage implements xpc.Handler.
func (c *connection) HandleMessage(m *xpc.Message) {
	m.Hold()
	p := create(kindDictionary, &object{value: m.Dictionary, from: m})
	owner(p).remote = c
	c.mu.Lock()
	h := c.handler
	c.mu.Unlock()
	h.call(p)
	C.object_release(p)
}

// HandleError implements xpc.Handler.
func (c *connection) HandleError(err error) {
	if errors.Is(err, xpc.ErrInterrupted) {
		c.mu.Lock()
		h := c.handler
		c.mu.Unlock()
		h.call(failure(err))
		return
	}
	c.over(err)
}

// over tells the handler for the last time.
func (c *connection) over(err error) {
	c.mu.Lock()
	h, self := c.handler, c.self
	c.self = nil
	c.mu.Unlock()
	h.call(failure(err))
	if self != nil {
		C.object_release(self)
	}
}

// failure is the error object of an error.
func failure(err error) unsafe.Pointer {
	switch {
	case errors.Is(err, xpc.ErrInterrupted):
		return C.object_error(0)
	case errors.Is(err, xpc.ErrPeer):
		return C.object_error(2)
	}
	return C.object_error(1)
}

//export goCancel
func goCancel(h C.uintptr_t) {
	c := of(h).conn
	c.mu.Lock()
	c.cancelled = true
	l := c.l
	c.mu.Unlock()
	switch {
	case c.c != nil:
		c.c.Cancel()
	case l != nil:
		go l.Close()
	}
}

//export goSend
func goSend(h, message C.uintptr_t) {
	c, o := of(h).conn, of(message)
	if o.reply != nil {
		if d, ok := o.content().(*xpc.Dictionary); ok {
			o.reply.Reply(d)
		}
		return
	}
	if d, ok := clone(o.content()).(*xpc.Dictionary); ok && c.c != nil {
		things := use(d, nil)
		c.do(func() {
			c.c.Send(context.Background(), d)
			drop(things)
		})
	}
}

//export goBarrier
func goBarrier(h C.uintptr_t, context, f unsafe.Pointer) {
	of(h).conn.do(func() { C.call_plain((*[0]byte)(f), context) })
}

//export goSendWithReply
func goSendWithReply(h, message C.uintptr_t, ctx, f unsafe.Pointer) {
	c, o := of(h).conn, of(message)
	then := handler{f, ctx}
	answer := func(d *xpc.Dictionary, err error) {
		p := c.answer(d, err)
		then.call(p)
		C.object_release(p)
	}
	d, ok := clone(o.content()).(*xpc.Dictionary)
	if c.c == nil || !ok {
		go answer(nil, xpc.ErrInvalid)
		return
	}
	things := use(d, nil)
	c.do(func() {
		if err := c.c.CallAsync(context.Background(), d, answer); err != nil {
			go answer(nil, err)
		}
		drop(things)
	})
}

//export goSendSync
func goSendSync(h, message C.uintptr_t) unsafe.Pointer {
	c, o := of(h).conn, of(message)
	if c.c == nil {
		return failure(xpc.ErrInvalid)
	}
	ready := make(chan struct{})
	c.do(func() { close(ready) }) // what was sent before comes first
	<-ready
	d, ok := o.content().(*xpc.Dictionary)
	if !ok {
		return failure(xpc.ErrInvalid)
	}
	return c.answer(c.c.Call(context.Background(), d))
}

// answer makes a C object of what came back.
func (c *connection) answer(d *xpc.Dictionary, err error) unsafe.Pointer {
	if err != nil {
		return failure(err)
	}
	p := wrap(d)
	owner(p).remote = c
	return p
}

//export goReply
func goReply(h C.uintptr_t) unsafe.Pointer {
	o := of(h)
	if o.from == nil || !o.from.Expects() {
		return nil
	}
	m := o.from
	o.from = nil // the reply has the right to answer now
	return create(kindDictionary, &object{value: xpc.NewDictionary(), reply: m})
}

//export goRemote
func goRemote(h C.uintptr_t) unsafe.Pointer {
	o := of(h)
	if o.remote == nil {
		return nil
	}
	o.remote.mu.Lock()
	defer o.remote.mu.Unlock()
	return o.remote.self
}

// owner returns what a new C object stands for.
func owner(p unsafe.Pointer) *object {
	return cgo.Handle((*C.struct_xpc_object_s)(p).handle).Value().(*object)
}

//export goName
func goName(h C.uintptr_t) *C.char { return of(h).conn.cname }

//export goPeer
func goPeer(h C.uintptr_t, i C.int) C.uint32_t {
	c := of(h).conn
	if c.c == nil {
		return 0
	}
	return C.uint32_t(c.c.Peer().Token[i])
}

//export goSetContext
func goSetContext(h C.uintptr_t, context unsafe.Pointer) {
	c := of(h).conn
	c.mu.Lock()
	defer c.mu.Unlock()
	c.context = context
}

//export goContext
func goContext(h C.uintptr_t) unsafe.Pointer {
	c := of(h).conn
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.context
}

//export goSetFinalizer
func goSetFinalizer(h C.uintptr_t, f unsafe.Pointer) {
	c := of(h).conn
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finalizer = f
}

// finalize is called when nobody holds the connection any more.
func (c *connection) finalize() {
	if c.c != nil && !c.started {
		c.c.Cancel() // a peer that nobody wanted
	}
	if c.finalizer != nil && c.context != nil {
		C.call_plain((*[0]byte)(c.finalizer), c.context)
	}
	C.free(unsafe.Pointer(c.cname))
}
