package server_test

import (
	"testing"
	"time"

	"portcullis.dev/defs/semaphore"
	"portcullis.dev/defs/task"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
)

// TestSemaphores makes, signals, waits for and destroys semaphores by messages alone.
func TestSemaphores(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p := w.join(object.TaskConfig{})
	c := p.c
	waiting, kr := p.NewThread(object.PThread, nil, &runner{}) // whose name is there from its birth
	w.want(kr, 0)
	before := len(p.rights())
	s, kr := task.SemaphoreCreate(c, p.self, int32(object.FIFO), 1)
	w.want(kr, 0)
	other, kr := task.SemaphoreCreate(c, p.self, int32(object.FIFO), 0)
	w.want(kr, 0)
	_, kr = task.SemaphoreCreate(c, p.self, int32(object.FIFO), -1)
	w.want(kr, mach.KernInvalidArgument)

	w.want(semaphore.SemaphoreWait(c, s), 0)
	w.want(semaphore.SemaphoreTimedwait(c, s, [2]uint32{0, 0}), mach.KernOperationTimedOut)
	w.want(semaphore.SemaphoreTimedwait(c, s, [2]uint32{0, 1e9}), mach.KernInvalidValue)
	w.want(semaphore.SemaphoreSignal(c, s), 0)
	w.want(semaphore.SemaphoreWaitSignal(c, s, other), 0)
	w.want(semaphore.SemaphoreTimedwaitSignal(c, other, s, [2]uint32{0, 0}), 0)
	w.want(semaphore.SemaphoreSignalAll(c, s), 0)
	w.want(semaphore.SemaphoreSignalThread(c, s, p.thread), mach.KernNotWaiting)
	w.want(semaphore.SemaphoreSignalThread(c, s, 0), mach.KernNotWaiting)

	w.want(semaphore.SemaphoreWait(c, s), 0) // the signal of the wait before
	go func() {
		for len(w.pending()) == 0 {
			time.Sleep(time.Millisecond)
		}
		w.clock.pass(time.Second)
	}()
	w.want(semaphore.SemaphoreTimedwait(c, s, [2]uint32{1, 0}), mach.KernOperationTimedOut)

	w.want(semaphore.SemaphoreSignal(c, s), 0)
	w.want(semaphore.SemaphoreTimedwait(c, s, [2]uint32{1, 0}), 0)

	name, done := waiting.Self(), make(chan mach.KernReturn, 1)
	go func() { done <- waiting.WaitSemaphore(s) }()
	for kr = mach.KernNotWaiting; kr == mach.KernNotWaiting; {
		kr = semaphore.SemaphoreSignalThread(c, s, name)
		time.Sleep(time.Millisecond)
	}
	w.want(kr, 0)
	w.want(<-done, 0)
	w.want(p.Space.Deallocate(p.th.IPC, name), 0)

	w.want(semaphore.SemaphoreSignal(c, p.self), mach.KernInvalidArgument) // not a semaphore
	w.want(task.SemaphoreDestroy(c, p.self, s), 0)
	w.want(task.SemaphoreDestroy(c, p.self, other), 0)
	if after := len(p.rights()); after != before {
		t.Errorf("%d names before, %d after", before, after)
	}
	w.end()
}
