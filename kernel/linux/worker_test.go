//go:build linux

package linux

import (
	"runtime"
	"sync/atomic"
	"testing"
)

// TestWakeup lets what a call waits for come just as its worker leaves it: either the worker sees it, or the lane is put
// among those that are ready.
func TestWakeup(t *testing.T) {
	k := &Kernel{}
	k.ready.active = 1 // so that nobody is started
	l := &lane{process: &Process{kernel: k}}
	var turn, done atomic.Int64
	const turns = 30_000
	go func() {
		for n := int64(1); n <= turns; n++ {
			await(&turn, n)
			l.wakeup()
			done.Store(n)
		}
	}()
	for n := int64(1); n <= turns; n++ {
		l.owner.Store(laneOwned)
		turn.Store(n)
		seen := !l.owner.CompareAndSwap(laneOwned, laneWaiting) // as begin does
		await(&done, n)
		if ready := len(k.ready.lanes) == 1; seen == ready {
			t.Fatalf("turn %d: the worker has seen it: %v; it is ready: %v; owner %d", n, seen, ready, l.owner.Load())
		}
		k.ready.lanes = k.ready.lanes[:0]
	}
}

// await looks for a number, most of the time without letting others work.
func await(v *atomic.Int64, n int64) {
	for i := 0; v.Load() != n; i++ {
		if i%1000 == 999 {
			runtime.Gosched()
		}
	}
}

// TestPause: whatever is made ready, somebody is there to take it, also while threads sleep that are no workers.
func TestPause(t *testing.T) {
	var r ready
	l := new(lane)
	leave := func() {
		t.Helper()
		if r.take() != nil {
			t.Error("there is something to take")
		}
	}
	r.enter()
	if !r.pause() {
		t.Error("a worker that sleeps has something to take")
	}
	if !r.pause() { // no worker
		t.Error("a thread that sleeps has something to take")
	}
	r.enter()
	leave() // the second worker
	for range 2 {
		if r.put(l) {
			t.Fatal("nobody is active, and nobody is started")
		}
		if r.take() != l {
			t.Error("it is not what was put")
		}
		leave()
	}
	r.enter()
	r.enter()
	if r.active != 1 {
		t.Errorf("%d are active", r.active)
	}
	if !r.put(l) {
		t.Error("somebody is started where a worker is active")
	}
	if r.pause() {
		t.Error("a worker sleeps, and leaves what is ready")
	}
}
