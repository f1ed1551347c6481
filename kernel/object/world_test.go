package object_test

import (
	"sync"
	"testing"
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// clock is set by hand.
type clock struct {
	mu     sync.Mutex
	now    uint64
	alarms []*alarm
}

type alarm struct {
	at   uint64
	f    func()
	done bool
}

func (c *clock) Now() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &alarm{at: c.now + uint64(d), f: f}
	c.alarms = append(c.alarms, a)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		was := a.done
		a.done = true
		return !was
	}
}

// pass lets time pass.
func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	c.now += uint64(d)
	var due []*alarm
	for _, a := range c.alarms {
		if !a.done && a.at <= c.now {
			a.done = true
			due = append(due, a)
		}
	}
	c.mu.Unlock()
	for _, a := range due {
		a.f()
	}
}

// pending counts alarms that were set and neither stopped nor due.
func (c *clock) pending() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.alarms {
		if !a.done {
			n++
		}
	}
	return n
}

// world is a machine and a clock, with a test.
type world struct {
	testing.TB
	*object.Machine
	clock *clock
	pid   int32
}

func newWorld(t testing.TB, c object.Config) *world {
	w := &world{TB: t, clock: &clock{}}
	c.Clock = w.clock
	w.Machine = object.New(c)
	return w
}

// person is a task with its main thread.
type person struct {
	w *world
	*object.Task
	th *object.Thread
}

func (w *world) join(r *restrict.Task) *person {
	w.Helper()
	w.pid++
	return w.joinAs(object.TaskConfig{PID: w.pid, Restrict: r})
}

func (w *world) joinAs(c object.TaskConfig) *person {
	w.Helper()
	t, err := w.NewTask(c)
	if err != nil {
		w.Fatal(err)
	}
	th, kr := t.NewThread(object.MainThread, nil, nil)
	w.want(kr, 0)
	return &person{w, t, th}
}

// plain joins a task that nothing is known of.
func (w *world) plain() *person { w.Helper(); return w.join(restrict.NewTask(restrict.Default)) }

// level joins a task at a level.
func (w *world) level(l rules.Level) *person {
	w.Helper()
	return w.join(restrict.NewTask(restrict.ForLevel(l)))
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
	if n := w.clock.pending(); n > 0 {
		w.Errorf("%d alarms left", n)
	}
}

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

// look finds the port of a send right without taking anything.
func (p *person) look(n mach.Name) *ipc.Port {
	p.w.Helper()
	port, kr := p.Space.SendPort(n)
	p.w.want(kr, 0)
	return port
}

// name gives the task a right that came back from a call.
func (p *person) name(right *ipc.Port) mach.Name {
	p.w.Helper()
	n, kr := p.Space.InsertSend(right, false)
	p.w.want(kr, 0)
	return n
}

// give puts a copy of one's send right into another task.
func (p *person) give(to *person, n mach.Name) mach.Name { p.w.Helper(); return to.name(p.right(n)) }

// receive receives without waiting and returns header and body.
func (p *person) receive(n mach.Name) (h mach.Header, body []byte, kr mach.KernReturn) {
	buf := make([]byte, 512)
	kr = p.th.IPC.Msg2(&ipc.Args{Options: mach.RcvMsg | mach.RcvTimeout, Receive: n, Buffer: buf})
	if kr == 0 {
		h.Decode(buf)
		body = buf[mach.HeaderSize:h.Size]
	}
	return h, body, kr
}

// guards returns the guards that the thread's last call ran into, with fates.
func (p *person) guards(kr mach.KernReturn) []restrict.Violation {
	return restrict.Of(p.th.IPC).Return(kr)
}

// drop gives up rights that came back from a call.
func drop(rights ...*ipc.Port) {
	for _, r := range rights {
		if r != nil {
			r.ReleaseSend()
		}
	}
}
