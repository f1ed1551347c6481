package object_test

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// rings says how many messages of the timer are there, and checks each.
func (p *person) rings(n mach.Name) (count int) {
	p.w.Helper()
	for {
		h, body, kr := p.receive(n)
		if kr == mach.RcvTimedOut {
			return count
		}
		p.w.want(kr, 0)
		want := mach.Header{Bits: mach.MakeBits(0, mach.MoveSend, 0), Size: 48, Local: n}
		if h != want || !bytes.Equal(body, make([]byte, 24)) {
			p.w.Errorf("header %+v, want %+v; body %x", h, want, body)
		}
		count++
	}
}

func TestTimer(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	n := p.th.CreateTimer()
	check := func(what string, want int) {
		t.Helper()
		if got := p.rings(n); got != want {
			t.Errorf("%s: %d messages, want %d", what, got, want)
		}
	}
	w.want(p.th.ArmTimer(n, 100), 0)
	w.clock.pass(99)
	check("early", 0)
	w.clock.pass(1)
	check("in time", 1)
	w.clock.pass(100)
	check("once", 0)

	w.want(p.th.ArmTimer(n, 150), 0) // it is 200
	check("late", 1)
	w.want(p.th.ArmTimer(n, 300), 0)
	w.want(p.th.ArmTimerLeeway(n, 1, 400, 50), 0)
	w.clock.pass(150)
	check("armed anew", 0)
	w.clock.pass(50)
	check("armed anew", 1)

	w.want(p.th.ArmTimer(n, 500), 0)
	at, kr := p.th.CancelTimer(n)
	if w.want(kr, 0); at != 500 {
		t.Errorf("cancelled at %d", at)
	}
	at, kr = p.th.CancelTimer(n)
	if w.want(kr, 0); at != 0 {
		t.Errorf("cancelled twice, at %d", at)
	}
	w.clock.pass(200)
	check("cancelled", 0)

	// Nobody listens: there is only one message, whatever the queue's limit.
	w.want(p.Space.SetAttributes(n, mach.AttrLimitsInfo, 0), 0)
	for range 3 {
		w.want(p.th.ArmTimer(n, 0), 0)
	}
	check("three times", 1)
	w.want(p.th.ArmTimer(n, 1<<63), 0)
	w.want(p.th.DestroyTimer(n), 0)
	if s := w.Stats(); s.Timers != 0 || w.clock.pending() != 0 {
		t.Errorf("destroyed: %+v, %d alarms", s, w.clock.pending())
	}
	w.end()
}

// TestTimerNames: what is no timer's receive right. It mirrors part of XNU tests/ipc/port_type_policy.c.
func TestTimerNames(t *testing.T) {
	w := newWorld(t, object.Config{})
	p, other := w.plain(), w.plain()
	sends := p.port()
	n := p.th.CreateTimer()
	w.want(p.Space.InsertRight(p.th.IPC, n, n, mach.MakeSend), 0)
	foreign := p.give(other, n)
	for _, c := range []struct {
		by   *person
		name mach.Name
		want mach.KernReturn
	}{
		{p, sends, mach.KernInvalidArgument},
		{p, p.Self(), mach.KernInvalidRight},
		{other, foreign, mach.KernInvalidRight},
		{p, 0x9903, mach.KernInvalidName},
		{p, 0, mach.KernInvalidName},
		{p, n, 0},
	} {
		_, cancel := c.by.th.CancelTimer(c.name)
		for what, kr := range map[string]mach.KernReturn{"arm": c.by.th.ArmTimer(c.name, 1), "cancel": cancel,
			"destroy": c.by.th.DestroyTimer(c.name)} {
			if what == "arm" && c.want == 0 && kr != 0 || c.want != 0 && kr != c.want {
				t.Errorf("%s of %v: %v, want %v", what, c.name, kr, c.want)
			}
		}
		if v := c.by.guards(0); len(v) > 0 {
			t.Errorf("%v: %+v", c.name, v)
		}
	}
	if typ, _ := other.Space.Type(other.th.IPC, foreign); typ != mach.TypeDeadName {
		t.Errorf("the send right is %v", typ)
	}
	w.end()
}

// TestTimerPort: the receive right of a timer does not move, its send rights do; restricted tasks do not send to it.
func TestTimerPort(t *testing.T) {
	w := newWorld(t, object.Config{})
	r := restrict.NewTask(restrict.ForLevel(rules.Level3))
	r.Audit = true
	p := w.join(r)
	n := p.th.CreateTimer()
	kr := p.send(p.port(), mach.MoveReceive, n)
	w.want(kr, mach.SendInvalidRight)
	if v := p.guards(kr); len(v) != 1 || v[0].Guard() != ipc.GuardImmovable {
		t.Errorf("moved: %+v", v)
	}
	_, kr = p.Space.RequestNotification(p.th.IPC, n, mach.NotifyPortDestroyed, 0, p.port(), mach.MakeSendOnce)
	w.want(kr, mach.KernInvalidRight)
	if v := p.guards(kr); len(v) != 1 || v[0].Guard() != ipc.GuardInvalidNotification {
		t.Errorf("port-destroyed: %+v", v)
	}
	w.want(p.Space.InsertRight(p.th.IPC, n, n, mach.MakeSend), 0)
	w.want(p.send(p.port(), mach.CopySend, n), 0)
	kr = p.send(n, mach.CopySend, n) // not by this task
	w.want(kr, mach.SendInvalidOptions)
	if v := p.guards(kr); len(v) != 1 || v[0].Guard() != ipc.GuardInvalidOptions {
		t.Errorf("sent: %+v", v)
	}
	other := w.plain()
	w.want(other.send(p.give(other, n), mach.CopySend, 0), 0)
	if h, _, kr := p.receive(n); kr != 0 || h.ID != 1 {
		t.Errorf("from another task: %+v, %v", h, kr)
	}
	w.want(p.th.ArmTimer(n, 0), 0)
	if got := p.rings(n); got != 1 {
		t.Errorf("%d messages", got)
	}
	// The kernel's own send right keeps no-senders notifications away, and nothing else keeps the timer.
	w.want(p.Space.ModRefs(p.th.IPC, n, mach.RightSend, -1), 0)
	w.want(p.th.ArmTimer(n, 1000), 0)
	p.Terminate()
	if w.clock.pending() != 0 || w.Stats().Timers != 0 {
		t.Error("the timer outlives its task")
	}
	w.end()
}

// atOnce is a clock whose alarms go off on threads of their own as soon as they are set, and cannot be stopped.
type atOnce struct{ running sync.WaitGroup }

func (*atOnce) Now() uint64 { return 0 }

func (c *atOnce) AfterFunc(_ time.Duration, f func()) func() bool {
	c.running.Go(f)
	return func() bool { return false }
}

// TestTimerRunsOutAsTaskEnds: once a task has ended, its timers and alarms send nothing any more, not even what would
// be thrown away. An alarm that is going off just then has finished, or does nothing.
func TestTimerRunsOutAsTaskEnds(t *testing.T) {
	c := &atOnce{}
	w := &world{TB: t, clock: &clock{}}
	w.Machine = object.New(object.Config{Clock: c})
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		p := w.plain()
		for range 4 {
			if i%2 == 0 {
				w.want(p.th.ArmTimer(p.th.CreateTimer(), 1), 0)
				continue
			}
			right := p.right(p.port())
			clock, kr := w.Host.ClockService(object.SystemClock)
			w.want(kr, 0)
			w.want(w.ClockServiceOf(clock).Alarm(p.th, object.AlarmAfter, 1, 0, right, mach.MoveSend), 0)
			drop(clock)
		}
		for range r.IntN(200) {
			runtime.Gosched()
		}
		p.Terminate()
		if s := w.IPC.Stats(); s.Messages != 0 || s.Bytes != 0 {
			t.Fatalf("task %d has ended: %+v", i, s)
		}
	}
	c.running.Wait()
	w.end()
}

// TestDestroyDeadTimer: arming a dead name finds no name, destroying it finds no receive right.
func TestDestroyDeadTimer(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	dead, kr := p.Space.Allocate(p.th.IPC, mach.RightDeadName)
	w.want(kr, 0)
	w.want(p.th.ArmTimer(dead, 1), mach.KernInvalidName)
	w.want(p.th.DestroyTimer(dead), mach.KernInvalidRight)
	w.want(p.th.DestroyTimer(0x7703), mach.KernInvalidName)
}
