package object_test

import (
	"runtime"
	"testing"
	"time"

	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
)

// sleeper is a thread that waits.
type sleeper struct {
	th   *object.Thread
	done chan mach.KernReturn
}

// sleep lets a new thread of p make a call that waits.
func (p *person) sleep(call func(th *object.Thread) mach.KernReturn) *sleeper {
	p.w.Helper()
	th, kr := p.NewThread(object.RawThread, nil, nil)
	p.w.want(kr, 0)
	s := &sleeper{th, make(chan mach.KernReturn, 1)}
	go func() { s.done <- call(th) }()
	return s
}

// wake wakes a certain thread, once it is in the line.
func (p *person) wake(sema mach.Name, s *sleeper) {
	p.w.Helper()
	name := s.th.Self()
	for {
		switch kr := p.th.SignalThreadSemaphore(sema, name); kr {
		case 0:
			return
		case mach.KernNotWaiting:
			runtime.Gosched()
		default:
			p.w.Fatal(kr)
		}
	}
}

// asleep waits until n threads wait for the semaphore.
func asleep(s *object.Semaphore, n int) {
	for s.Waiting() < n {
		time.Sleep(10 * time.Microsecond)
	}
}

func (s *sleeper) want(t testing.TB, what string, want mach.KernReturn) {
	t.Helper()
	if kr := <-s.done; kr != want {
		t.Errorf("%s: %v, want %v", what, kr, want)
	}
}

func (p *person) semaphore(policy object.SemaphorePolicy, value int32) (mach.Name, *object.Semaphore) {
	p.w.Helper()
	right, kr := p.CreateSemaphore(policy, value)
	p.w.want(kr, 0)
	s := p.w.SemaphoreOf(right)
	s.Release()
	return p.name(right), s
}

func TestSemaphoreCreate(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	for _, c := range []struct {
		task   *object.Task
		policy object.SemaphorePolicy
		value  int32
		want   mach.KernReturn
	}{
		{nil, object.FIFO, 0, mach.KernInvalidArgument},
		{p.Task, 1, 0, mach.KernInvalidArgument}, // SYNC_POLICY_FIXED_PRIORITY is not for users
		{p.Task, 8, 0, mach.KernInvalidArgument},
		{p.Task, object.FIFO, -1, mach.KernInvalidArgument},
		{p.Task, object.LIFO | object.Prepost, 3, 0},
	} {
		right, kr := c.task.CreateSemaphore(c.policy, c.value)
		if kr != c.want {
			t.Errorf("%+v: %v", c, kr)
		}
		drop(right)
	}
	if n := w.Stats().Semaphores; n != 0 {
		t.Errorf("%d semaphores without a right to them", n)
	}
	w.end()
}

func TestSemaphoreSignals(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	n, s := p.semaphore(object.FIFO, 1)
	w.want(p.th.WaitSemaphore(n), 0)
	w.want(p.th.TimedWaitSemaphore(n, 0, 0), mach.KernOperationTimedOut)
	w.want(p.th.SignalAllSemaphore(n), 0) // wakes nobody, and leaves nothing behind
	w.want(p.th.SignalThreadSemaphore(n, 0), mach.KernNotWaiting)
	w.want(p.th.TimedWaitSemaphore(n, 0, 0), mach.KernOperationTimedOut)
	w.want(p.th.SignalSemaphore(n), 0)
	w.want(p.th.SignalSemaphore(n), 0)
	w.want(p.th.TimedWaitSemaphore(n, 0, 0), 0)
	w.want(p.th.TimedWaitSemaphore(n, 0, 0), 0)

	wait := func(th *object.Thread) mach.KernReturn { return th.WaitSemaphore(n) }
	a := p.sleep(wait)
	asleep(s, 1)
	b := p.sleep(wait)
	asleep(s, 2)
	w.want(p.th.SignalSemaphore(n), 0)
	a.want(t, "first", 0)
	w.want(p.th.SignalThreadSemaphore(n, a.th.Self()), mach.KernNotWaiting)
	w.want(p.th.SignalThreadSemaphore(n, p.Self()), mach.KernInvalidArgument)
	w.want(p.th.SignalThreadSemaphore(n, mach.DeadName), mach.KernInvalidArgument)
	c := p.sleep(wait)
	asleep(s, 2)
	p.wake(n, c)
	c.want(t, "a certain thread", 0)
	w.want(p.th.SignalThreadSemaphore(n, 0), 0)
	b.want(t, "any thread", 0)
	w.want(p.th.SignalThreadSemaphore(n, 0), mach.KernNotWaiting)
	a, b = p.sleep(wait), p.sleep(wait)
	asleep(s, 2)
	w.want(p.th.SignalAllSemaphore(n), 0)
	a.want(t, "all", 0)
	b.want(t, "all", 0)
	w.want(p.th.TimedWaitSemaphore(n, 0, 0), mach.KernOperationTimedOut)
	w.end()
}

func TestSemaphoreOrder(t *testing.T) {
	for policy, order := range map[object.SemaphorePolicy][3]int{object.FIFO: {0, 1, 2}, object.LIFO: {2, 1, 0}} {
		w := newWorld(t, object.Config{})
		p := w.plain()
		n, s := p.semaphore(policy, 0)
		var all []*sleeper
		for i := range 3 {
			all = append(all, p.sleep(func(th *object.Thread) mach.KernReturn { return th.WaitSemaphore(n) }))
			asleep(s, i+1)
		}
		for _, i := range order {
			w.want(p.th.SignalSemaphore(n), 0)
			all[i].want(t, "in order", 0)
		}
		w.end()
	}
}

func TestSemaphoreTimes(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	n, s := p.semaphore(object.FIFO, 0)
	w.want(p.th.TimedWaitSemaphore(n, 0, -1), mach.KernInvalidValue)
	w.want(p.th.TimedWaitSemaphore(0, 0, 1e9), mach.KernInvalidValue) // before the name is looked at
	a := p.sleep(func(th *object.Thread) mach.KernReturn { return th.TimedWaitSemaphore(n, 2, 5) })
	asleep(s, 1)
	for w.clock.pending() == 0 {
		runtime.Gosched()
	}
	w.clock.pass(2 * time.Second)
	if s.Waiting() != 1 {
		t.Error("woken early")
	}
	w.clock.pass(5)
	a.want(t, "time is up", mach.KernOperationTimedOut)
	a = p.sleep(func(th *object.Thread) mach.KernReturn { return s.TimedWait(th, 1, 0) })
	asleep(s, 1)
	w.want(s.Signal(), 0)
	a.want(t, "in time", 0)
	w.want(s.TimedWait(p.th, 0, 1e9), mach.KernInvalidValue)
	w.want(p.th.SignalSemaphore(n), 0) // to nobody: kept
	w.want(p.th.TimedWaitSemaphore(n, 1, 0), 0)

	b := p.sleep(func(th *object.Thread) mach.KernReturn { return th.WaitSemaphore(n) })
	asleep(s, 1)
	b.th.IPC.Interrupt()
	b.want(t, "interrupted", mach.KernAborted)
	c := p.sleep(func(th *object.Thread) mach.KernReturn { return th.WaitSemaphore(n) })
	asleep(s, 1)
	c.th.Terminate()
	c.want(t, "ended", mach.KernAborted)
	w.end()
}

func TestSemaphoreWaitSignal(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	n, s := p.semaphore(object.FIFO, 0)
	m, other := p.semaphore(object.FIFO, 0)
	a := p.sleep(func(th *object.Thread) mach.KernReturn { return th.WaitSignalSemaphore(n, m) })
	w.want(p.th.WaitSemaphore(m), 0) // signalled once a waits
	if s.Waiting() != 1 {
		t.Error("signalled before it was in the line")
	}
	w.want(p.th.SignalSemaphore(n), 0)
	a.want(t, "wait and signal", 0)
	w.want(p.th.TimedWaitSignalSemaphore(n, m, 0, 0), mach.KernOperationTimedOut)
	w.want(p.th.TimedWaitSemaphore(m, 0, 0), 0)
	w.want(p.th.TimedWaitSignalSemaphore(n, m, 0, -1), mach.KernInvalidValue)
	w.want(p.th.WaitSignalSemaphore(n, p.port()), mach.KernInvalidCapability)
	w.want(p.th.WaitSignalSemaphore(0x9903, m), mach.KernInvalidName)

	// If the one to signal is useless, nobody waits for an answer.
	w.want(p.DestroySemaphore(other), 0)
	w.want(p.th.WaitSignalSemaphore(n, m), mach.KernTerminated)
	w.want(p.th.SignalSemaphore(n), 0)
	w.want(p.th.WaitSignalSemaphore(n, m), 0)
	w.end()
}

func TestSemaphoreDestroy(t *testing.T) {
	w := newWorld(t, object.Config{})
	p, other := w.plain(), w.plain()
	n, s := p.semaphore(object.FIFO, 0)
	w.want(p.th.WaitSemaphore(0), mach.KernInvalidName)
	w.want(p.th.WaitSemaphore(mach.DeadName), mach.KernInvalidName)
	w.want(p.th.WaitSemaphore(p.Self()), mach.KernInvalidCapability)
	w.want(p.DestroySemaphore(nil), mach.KernInvalidArgument)
	w.want((*object.Task)(nil).DestroySemaphore(s), mach.KernInvalidArgument)
	w.want(other.DestroySemaphore(s), 0) // not the owner: nothing happens
	w.want(p.th.SignalSemaphore(n), 0)
	w.want(p.th.WaitSemaphore(n), 0)
	m := p.give(other, n)
	a := other.sleep(func(th *object.Thread) mach.KernReturn { return th.WaitSemaphore(m) })
	asleep(s, 1)
	w.want(p.DestroySemaphore(s), 0)
	a.want(t, "destroyed", mach.KernTerminated)
	w.want(other.th.SignalSemaphore(m), mach.KernTerminated)
	w.want(other.th.SignalAllSemaphore(m), mach.KernTerminated)
	w.want(other.th.SignalThreadSemaphore(m, 0), mach.KernTerminated)
	w.want(other.th.TimedWaitSemaphore(m, 0, 0), mach.KernTerminated)
	if w.Stats().Semaphores != 1 {
		t.Error("its port went while there were rights to it")
	}

	// The end of the owner wakes them all.
	n, s = p.semaphore(object.FIFO, 0)
	m = p.give(other, n)
	a = other.sleep(func(th *object.Thread) mach.KernReturn { return th.WaitSemaphore(m) })
	asleep(s, 1)
	p.Terminate()
	a.want(t, "owner ended", mach.KernTerminated)
	for what, kr := range map[string]mach.KernReturn{"signal": (*object.Semaphore)(nil).Signal(),
		"all":    (*object.Semaphore)(nil).SignalAll(),
		"thread": (*object.Semaphore)(nil).SignalThread(nil),
		"wait":   (*object.Semaphore)(nil).Wait(p.th),
		"both":   (*object.Semaphore)(nil).WaitSignal(p.th, s),
		"timed":  (*object.Semaphore)(nil).TimedWait(p.th, 0, 0)} {
		if kr != mach.KernInvalidArgument {
			t.Errorf("%s of null: %v", what, kr)
		}
	}
	w.end()
}

// TestSemaphoreInUse: a semaphore whose last right goes while a thread waits for it lasts until the thread is done.
func TestSemaphoreInUse(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	n, s := p.semaphore(object.FIFO, 0)
	port := p.look(n)
	a := p.sleep(func(th *object.Thread) mach.KernReturn { return th.WaitSemaphore(n) })
	asleep(s, 1)
	w.want(p.Space.Deallocate(p.th.IPC, n), 0)
	if !port.Active() || w.Stats().Semaphores != 1 {
		t.Error("gone under a waiting thread")
	}
	a.th.IPC.Interrupt()
	a.want(t, "interrupted", mach.KernAborted)
	if port.Active() || w.Stats().Semaphores != 0 || w.SemaphoreOf(port) != nil {
		t.Error("still there")
	}
	w.end()
}
