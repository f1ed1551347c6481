package server_test

import (
	"sync"
	"testing"
	"time"

	"portcullis.dev/kernel/client"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// manualClock is set by hand.
type manualClock struct {
	mu     sync.Mutex
	now    uint64
	alarms map[*alarm]struct{}
	watch  func(set bool) // of the calendar
}

// WatchCalendar implements [object.CalendarWatch].
func (c *manualClock) WatchCalendar(changed func(set bool)) (func(), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.watch = changed
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.watch = nil
	}, nil
}

func (c *manualClock) watched() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watch != nil
}

// setCalendar tells who watches that the calendar has changed.
func (c *manualClock) setCalendar(set bool) {
	c.mu.Lock()
	watch := c.watch
	c.mu.Unlock()
	if watch != nil {
		watch(set)
	}
}

type alarm struct {
	at uint64
	f  func()
}

func (c *manualClock) Now() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *manualClock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &alarm{at: c.now + uint64(d), f: f}
	c.alarms[a] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, was := c.alarms[a]
		delete(c.alarms, a)
		return was
	}
}

// pass lets time pass.
func (c *manualClock) pass(d time.Duration) {
	c.mu.Lock()
	c.now += uint64(d)
	var due []*alarm
	for a := range c.alarms {
		if a.at <= c.now {
			delete(c.alarms, a)
			due = append(due, a)
		}
	}
	c.mu.Unlock()
	for _, a := range due {
		a.f()
	}
}

// world is a machine with a server, and a clock.
type world struct {
	testing.TB
	*object.Machine
	clock    *manualClock
	pid      int32
	messages bool // calls may leave messages
}

func newWorld(t testing.TB, c object.Config, s server.Config) *world {
	w := &world{TB: t, clock: &manualClock{alarms: map[*alarm]struct{}{}}}
	c.Clock, c.Server = w.clock, server.New(s)
	w.Machine = object.New(c)
	return w
}

// person is a task with its main thread, which calls the kernel.
type person struct {
	w *world
	*object.Task
	th     *object.Thread
	mem    *client.Memory
	c      recorder
	self   mach.Name // its own task's control port, the name that it was born with
	thread mach.Name // its main thread's
	host   mach.Name
}

// join starts a task. Config's memory, identity and process id are filled in.
func (w *world) join(c object.TaskConfig) *person {
	w.Helper()
	w.pid++
	mem := &client.Memory{}
	c.PID, c.Memory = w.pid, mem
	c.Identity = ipc.Identity{Security: [2]uint32{501, 20}, Audit: mach.AuditToken{1: 501, 5: uint32(w.pid), 7: 7}}
	if c.Restrict == nil {
		c.Restrict = restrict.NewTask(restrict.ForLevel(rules.Level2))
	}
	t, err := w.NewTask(c)
	if err != nil {
		w.Fatal(err)
	}
	th, kr := t.NewThread(object.MainThread, nil, nil)
	w.want(kr, 0)
	caller := &client.Caller{Thread: th.IPC, Memory: mem, Kind: mach.SendKobjectCall}
	caller.Reply()
	p := &person{w: w, Task: t, th: th, mem: mem, self: t.Self(), thread: th.Self(), host: t.HostSelf()}
	p.c = recorder{p, caller}
	return p
}

// level joins a task at a level.
func (w *world) level(l rules.Level) *person {
	w.Helper()
	return w.join(object.TaskConfig{Restrict: restrict.NewTask(restrict.ForLevel(l))})
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
	if n := len(w.clock.alarms); n > 0 {
		w.Errorf("%d alarms left", n)
	}
}

// guards returns the guards that the thread's last call ran into.
func (p *person) guards() []restrict.Violation { return restrict.Of(p.th.IPC).Return(0) }

// port makes a receive right with a send right beside it.
func (p *person) port() mach.Name {
	p.w.Helper()
	n, kr := p.Space.Allocate(p.th.IPC, mach.RightReceive)
	p.w.want(kr, 0)
	p.w.want(p.Space.InsertRight(p.th.IPC, n, n, mach.MakeSend), 0)
	return n
}

// name gives the task a right that the kernel made for it.
func (p *person) name(right *ipc.Port) mach.Name {
	if right == ipc.DeadRight() {
		return mach.DeadName
	}
	p.w.Helper()
	n, kr := p.Space.InsertSend(right, false)
	p.w.want(kr, 0)
	return n
}

// of gives the task a port of another's, of a flavor.
func (p *person) of(o *person, f object.Flavor) mach.Name { return p.name(o.TaskPort(p.Task, f)) }

// rights lists what the task's names denote, with user references.
func (p *person) rights() map[mach.Name][2]uint32 {
	all := map[mach.Name][2]uint32{}
	table, _ := p.Space.Table()
	for _, e := range table {
		if e.Type != 0 {
			all[e.Name] = [2]uint32{uint32(e.Type), e.Refs}
		}
	}
	return all
}

// pending lists when alarms are due.
func (w *world) pending() (at []uint64) {
	w.clock.mu.Lock()
	defer w.clock.mu.Unlock()
	for a := range w.clock.alarms {
		at = append(at, a.at)
	}
	return at
}

// next receives a message without waiting and returns its id.
func (p *person) next(n mach.Name) int32 {
	p.w.Helper()
	buf := make([]byte, 200)
	p.w.want(p.th.IPC.Msg2(&ipc.Args{Options: mach.RcvMsg | mach.RcvTimeout, Receive: n, Buffer: buf}), 0)
	var h mach.Header
	h.Decode(buf)
	return h.ID
}
