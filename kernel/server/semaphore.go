package server

import (
	"portcullis.dev/defs/semaphore"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// semaphores serves semaphore. Waiting threads wait here.
type semaphores struct{ *call }

var _ semaphore.Server[port] = semaphores{}

// with runs f on the semaphore that a port stands for, nil if it stands for none.
func (c semaphores) with(p port, f func(*object.Semaphore) mach.KernReturn) mach.KernReturn {
	s := c.m.SemaphoreOf(p)
	if s != nil {
		defer s.Release()
	}
	return f(s)
}

// with2 runs f on two semaphores. The right to the second came in the message, and is given up if f succeeds.
func (c semaphores) with2(wait, signal port, f func(w, s *object.Semaphore) mach.KernReturn) mach.KernReturn {
	kr := c.with(wait, func(w *object.Semaphore) mach.KernReturn {
		return c.with(signal, func(s *object.Semaphore) mach.KernReturn { return f(w, s) })
	})
	if kr == 0 {
		drop(signal)
	}
	return kr
}

// SemaphoreSignal serves semaphore_signal.
func (c semaphores) SemaphoreSignal(_ *rpc.Message[port], p port) mach.KernReturn {
	return c.with(p, (*object.Semaphore).Signal)
}

// SemaphoreSignalAll serves semaphore_signal_all.
func (c semaphores) SemaphoreSignalAll(_ *rpc.Message[port], p port) mach.KernReturn {
	return c.with(p, (*object.Semaphore).SignalAll)
}

// SemaphoreWait serves semaphore_wait.
func (c semaphores) SemaphoreWait(_ *rpc.Message[port], p port) mach.KernReturn {
	return c.with(p, func(s *object.Semaphore) mach.KernReturn { return s.Wait(c.by) })
}

// SemaphoreSignalThread serves semaphore_signal_thread. The null port is any thread; what is no thread is that too.
func (c semaphores) SemaphoreSignalThread(_ *rpc.Message[port], p, thread port) mach.KernReturn {
	th := c.thread(thread, object.Control)
	kr := c.with(p, func(s *object.Semaphore) mach.KernReturn { return s.SignalThread(th) })
	if kr == 0 {
		drop(thread)
	}
	return kr
}

// SemaphoreTimedwait serves semaphore_timedwait.
func (c semaphores) SemaphoreTimedwait(_ *rpc.Message[port], p port, t [2]uint32) mach.KernReturn {
	return c.with(p, func(s *object.Semaphore) mach.KernReturn { return s.TimedWait(c.by, t[0], int32(t[1])) })
}

// SemaphoreWaitSignal serves semaphore_wait_signal.
func (c semaphores) SemaphoreWaitSignal(_ *rpc.Message[port], wait, signal port) mach.KernReturn {
	return c.with2(wait, signal, func(w, s *object.Semaphore) mach.KernReturn { return w.WaitSignal(c.by, s) })
}

// SemaphoreTimedwaitSignal serves semaphore_timedwait_signal.
func (c semaphores) SemaphoreTimedwaitSignal(_ *rpc.Message[port], wait, signal port, t [2]uint32) mach.KernReturn {
	return c.with2(wait, signal, func(w, s *object.Semaphore) mach.KernReturn {
		return w.TimedWaitSignal(c.by, s, t[0], int32(t[1]))
	})
}
