package exception_test

import (
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"portcullis.dev/kernel/exception"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/mach/state"
	"portcullis.dev/rules"
)

var le = binary.LittleEndian

// x is the exception that most tests raise: a write to an address where nothing is.
var x = exception.Exception{Type: mach.ExcBadAccess, Code: int64(mach.KernInvalidAddress), Subcode: 0x1_2345_6789}

// world is a machine with a test.
type world struct {
	testing.TB
	*object.Machine
	pid int32
}

func newWorld(t testing.TB, c object.Config) *world {
	if c.CPU == "" {
		c.CPU = "x86_64"
	}
	return &world{TB: t, Machine: object.New(c)}
}

func (w *world) want(kr, want mach.KernReturn) {
	w.Helper()
	if kr != want {
		w.Fatalf("got %v, want %v", kr, want)
	}
}

// end closes the world and checks that nothing is left.
func (w *world) end() {
	w.Helper()
	w.Close()
	if s := w.Stats(); s != (object.Stats{}) {
		w.Errorf("left behind: %+v", s)
	}
	if s := w.IPC.Stats(); s != (ipc.Stats{}) {
		w.Errorf("left behind in ipc: %+v", s)
	}
}

// cpu is the registers of a thread, which a test looks into.
type cpu struct {
	mu sync.Mutex
	state.AMD64
	stops, goes, ends int
}

func (c *cpu) Get(f uint32) ([]uint32, mach.KernReturn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.AMD64.Get(f)
}

func (c *cpu) Set(f uint32, w []uint32) mach.KernReturn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.AMD64.Set(f, w)
}

func (c *cpu) Stop() mach.KernReturn { c.mu.Lock(); c.stops++; c.mu.Unlock(); return 0 }
func (c *cpu) Continue()             { c.mu.Lock(); c.goes++; c.mu.Unlock() }
func (c *cpu) Interrupt()            {}
func (c *cpu) End()                  { c.mu.Lock(); c.ends++; c.mu.Unlock() }

func (c *cpu) pc() uint64 { c.mu.Lock(); defer c.mu.Unlock(); return c.RIP }
func (c *cpu) ax() uint64 { c.mu.Lock(); defer c.mu.Unlock(); return c.RAX }

// person is a task with its main thread.
type person struct {
	w *world
	*object.Task
	th  *object.Thread
	cpu *cpu
}

func (w *world) level(l rules.Level) *person {
	w.Helper()
	w.pid++
	t, err := w.NewTask(object.TaskConfig{PID: w.pid, Restrict: restrict.NewTask(restrict.ForLevel(l)),
		Identity: ipc.Identity{Audit: mach.AuditToken{5: uint32(w.pid)}}})
	if err != nil {
		w.Fatal(err)
	}
	p := &person{w: w, Task: t}
	p.th, p.cpu = p.thread()
	return p
}

func (w *world) plain() *person { w.Helper(); return w.level(rules.LevelNone) }

func (p *person) thread() (*object.Thread, *cpu) {
	p.w.Helper()
	c := &cpu{AMD64: state.AMD64{RIP: 0x400000, RSP: 0x7000_0000, RAX: 1}}
	th, kr := p.NewThread(object.PThread, nil, c)
	p.w.want(kr, 0)
	return th, c
}

// as returns the same task with another thread.
func (p *person) as(th *object.Thread) *person { return &person{w: p.w, Task: p.Task, th: th} }

// port makes a receive right with a send right beside it.
func (p *person) port() mach.Name {
	p.w.Helper()
	n, kr := p.Space.Allocate(p.th.IPC, mach.RightReceive)
	p.w.want(kr, 0)
	p.w.want(p.Space.InsertRight(p.th.IPC, n, n, mach.MakeSend), 0)
	return n
}

// right takes a copy of a send right as a call that copies it to the kernel does.
func (p *person) right(n mach.Name) *ipc.Port {
	p.w.Helper()
	port, kr := p.Space.SendPort(n)
	p.w.want(kr, 0)
	return port.CopySend()
}

// handle registers a port of handler's for the exceptions of a level, whatever the restrictions say.
func (p *person) handle(l object.Level, handler *person, port mach.Name, b mach.ExceptionBehavior, flavor uint32) {
	p.w.Helper()
	e := object.ExceptionAction{Mask: mach.ExcMaskValid, Port: handler.right(port), Behavior: b, Flavor: flavor}
	was := p.Restrict.Entitlements
	p.Restrict.Entitlements = map[string]bool{restrict.ExceptionPortEntitlement: true}
	var kr mach.KernReturn
	switch l {
	case object.ThreadLevel:
		kr = p.th.SetExceptionPorts(p.th, e)
	case object.TaskLevel:
		kr = p.SetExceptionPorts(p.th, e)
	case object.HostLevel:
		kr = p.w.Host.SetExceptionPorts(p.th, e)
	}
	p.Restrict.Entitlements = was
	p.w.want(kr, 0)
}

// raised is an exception on its way.
type raised struct {
	w       *world
	outcome chan exception.Outcome
}

func (p *person) raise(x exception.Exception) *raised {
	r := &raised{p.w, make(chan exception.Outcome, 1)}
	go func() { r.outcome <- exception.Raise(p.th, x) }()
	return r
}

const patience = 20 * time.Second

func (r *raised) want(want exception.Outcome) {
	r.w.Helper()
	select {
	case got := <-r.outcome:
		if got != want {
			r.w.Fatalf("%v, want %v", got, want)
		}
	case <-time.After(patience):
		r.w.Fatal("the thread still waits")
	}
}

// waits checks that the exception has not ended.
func (r *raised) waits() {
	r.w.Helper()
	select {
	case got := <-r.outcome:
		r.w.Fatalf("%v, and should wait", got)
	case <-time.After(5 * time.Millisecond):
	}
}

// message is an exception as a handler received it.
type message struct {
	mach.Header
	b []byte
}

func (m *message) u32(at int) uint32 { return le.Uint32(m.b[at:]) }
func (m *message) u64(at int) uint64 { return le.Uint64(m.b[at:]) }

// name returns the name in the port descriptor at an offset.
func (m *message) name(at int) mach.Name { return mach.Name(m.u32(at)) }

func (p *person) receive(n mach.Name) *message {
	p.w.Helper()
	b := make([]byte, 8192)
	p.w.want(p.th.IPC.Msg2(&ipc.Args{Options: mach.RcvMsg, Receive: n, Buffer: b}), 0)
	m := &message{b: b}
	m.Decode(b)
	m.b = b[:m.Size]
	return m
}

// got returns how many messages wait.
func (p *person) empty(n mach.Name) bool {
	b := make([]byte, 8192)
	return p.th.IPC.Msg2(&ipc.Args{Options: mach.RcvMsg | mach.RcvTimeout, Receive: n, Buffer: b}) == mach.RcvTimedOut
}

func (p *person) send(b []byte) mach.KernReturn {
	return p.th.IPC.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendMQCall, Send: b})
}

// build builds a message: header, descriptors if any, inline data.
func build(bits mach.Bits, remote, local mach.Name, id int32, body []byte, descs ...mach.Descriptor) []byte {
	h := mach.Header{Bits: bits, Remote: remote, Local: local, ID: id}
	b := make([]byte, mach.HeaderSize)
	if len(descs) > 0 {
		h.Bits |= mach.BitsComplex
		b = le.AppendUint32(b, uint32(len(descs)))
		for _, d := range descs {
			var buf [16]byte
			b = append(b, buf[:d.Encode(buf[:])]...)
		}
	}
	h.Encode(b)
	return append(b, body...)
}

// answer is the body of an answer: NDR record, code and, unless words are nil, flavor and registers.
func answer(kr mach.KernReturn, flavor uint32, words []uint32) []byte {
	b := []byte{4: 1, 7: 0}
	b = le.AppendUint32(b, uint32(kr))
	if words != nil {
		b = le.AppendUint32(b, flavor)
		b = le.AppendUint32(b, uint32(len(words)))
		for _, v := range words {
			b = le.AppendUint32(b, v)
		}
	}
	return b
}

// reply answers an exception.
func (p *person) reply(m *message, body []byte) mach.KernReturn {
	return p.send(build(mach.MakeBits(mach.MoveSendOnce, 0, 0), m.Remote, 0, m.ID+100, body))
}

// moved are the registers of a message with another program counter, and with rax 7.
func moved(m *message, at int) []uint32 {
	words := make([]uint32, m.u32(at-4))
	for i := range words {
		words[i] = m.u32(at + 4*i)
	}
	words[0], words[32], words[33] = 7, 0x500000, 0
	return words
}
