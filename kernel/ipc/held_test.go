package ipc

import (
	"sync"
	"sync/atomic"
	"testing"

	"portcullis.dev/mach"
)

// mourner counts the deaths it is told of.
type mourner struct{ deaths atomic.Int32 }

func (m *mourner) PortDied() { m.deaths.Add(1) }

func TestAttached(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 1)
	var m mourner
	name, p, kr := a.AllocateAttached(mach.PortTypeTimer, &m)
	a.ok(kr)
	if got, kr := a.ReceivePort(name); kr != 0 || got != p || got.Attached() != &m || p.Receiver() != a.Space {
		t.Fatalf("port %p with %v, want %p", got, kr, p)
	}
	_, kr = a.SendPort(name)
	a.want(kr, mach.KernInvalidRight)
	_, kr = a.ReceivePort(0x9903)
	a.want(kr, mach.KernInvalidName)

	var busy atomic.Bool
	if !p.Post(7, make([]byte, 24), &busy) || p.Post(8, nil, &busy) {
		t.Fatal("one message at a time")
	}
	if r := a.expect(name, 7); r.Size != 48 {
		t.Errorf("size %d", r.Size)
	}
	if busy.Load() || !p.Post(9, nil, &busy) {
		t.Error("received, but still in the way")
	}
	a.ok(a.ModRefs(a.t, name, mach.RightReceive, -1))
	if m.deaths.Load() != 1 || busy.Load() || p.Post(10, nil, &busy) || busy.Load() {
		t.Errorf("%d deaths; busy %v", m.deaths.Load(), busy.Load())
	}
	atZero(t, k, a)
}

func TestHeldRights(t *testing.T) {
	k := New(Config{})
	a, b := newTask(t, k, 1), newTask(t, k, 2)
	n := a.port()
	p, kr := a.SendPort(n)
	a.ok(kr)
	held := p.CopySend()
	a.ok(a.Deallocate(a.t, n))
	if !p.HasSenders() {
		t.Error("the kernel's right does not count")
	}
	slot, kr := b.InsertSend(held, true)
	b.ok(kr)
	b.want(b.Deallocate(b.t, slot), mach.KernInvalidCapability)
	b.Unpin(p)
	b.ok(b.Deallocate(b.t, slot))
	if p.HasSenders() {
		t.Error("nobody holds a right")
	}
	a.ok(a.ModRefs(a.t, n, mach.RightReceive, -1))
	if d := p.CopySend(); d != DeadRight() || d.Active() || d.CopySend() != d || (*Port)(nil).CopySend() != nil {
		t.Error("the right to a dead port is dead")
	}
	atZero(t, k, a, b)
}

func TestWaiters(t *testing.T) {
	k := New(Config{Clock: realClock{}})
	a := newTask(t, k, 1)
	var mu sync.Mutex
	var line Waiters
	type woken struct {
		who int
		kr  mach.KernReturn
	}
	done := make(chan woken)
	var threads []*Thread
	sleep := func() {
		th, who := a.NewThread(nil), len(threads)
		threads = append(threads, th)
		in := make(chan bool)
		mu.Lock()
		go func() {
			mu.Lock()
			kr := line.Sleep(th, &mu, false, 0, func() bool { close(in); return true })
			done <- woken{who, kr}
		}()
		mu.Unlock()
		<-in
	}
	for range 5 {
		sleep()
	}
	expect := func(what string, who int, kr mach.KernReturn, f func()) {
		t.Helper()
		mu.Lock()
		f()
		mu.Unlock()
		if w := <-done; w != (woken{who, kr}) {
			t.Errorf("%s: %+v, want thread %d with %v", what, w, who, kr)
		}
	}
	mu.Lock()
	if line.Len() != 5 {
		t.Errorf("%d threads in the line", line.Len())
	}
	mu.Unlock()
	expect("one", 0, 0, func() { line.WakeOne() })
	expect("a certain one", 3, 0, func() {
		if line.Wake(threads[0]) || !line.Wake(threads[3]) {
			t.Error("who is in the line?")
		}
	})
	expect("interrupted", 1, mach.KernAborted, threads[1].Interrupt)
	mu.Lock()
	line.WakeAll()
	mu.Unlock()
	<-done
	<-done
	sleep()
	line.Reversed = true
	sleep()
	sleep()
	expect("the last one", 7, 0, func() { line.WakeOne() })
	expect("the one before", 6, 0, func() { line.WakeOne() })
	expect("gone", 5, mach.KernTerminated, line.Restart)
	mu.Lock()
	if kr := line.Sleep(a.t, &mu, true, 1, nil); kr != mach.KernOperationTimedOut {
		t.Errorf("timed out: %v", kr)
	}
	mu.Lock()
	if kr := line.Sleep(a.t, &mu, false, 0, func() bool { return false }); kr != mach.KernTerminated {
		t.Errorf("refused: %v", kr)
	}
	mu.Lock()
	if line.WakeOne() {
		t.Error("the line is empty")
	}
	mu.Unlock()
	atZero(t, k, a)
}
