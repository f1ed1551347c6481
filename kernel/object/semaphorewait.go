package object

import (
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// patience is how long a thread is ready to wait.
type patience struct {
	limited bool
	d       time.Duration
}

// patient makes a patience of a mach_timespec_t; false if that is none.
func patient(sec uint32, nsec int32) (patience, bool) {
	if nsec < 0 || nsec >= int32(time.Second) {
		return patience{}, false
	}
	return patience{true, time.Duration(sec)*time.Second + time.Duration(nsec)}, true
}

// wait takes a signal or waits for one, after signalling another semaphore if that is not nil. The signal is sent once
// the thread is in the line, so that none that answers it is missed.
//
// Source: XNU osfmk/kern/sync_sema.c, semaphore_wait_internal.
func (s *Semaphore) wait(th *Thread, signal *Semaphore, p patience) (kr mach.KernReturn) {
	s.mu.Lock()
	switch {
	case !s.active:
		kr = mach.KernTerminated
	case s.count > 0:
		s.count--
	case p.limited && p.d == 0:
		kr = mach.KernOperationTimedOut
	default:
		s.count = -1
		return s.waiting.Sleep(th.IPC, &s.mu, p.limited, p.d, func() bool {
			return signal == nil || signal.Signal() != mach.KernTerminated
		})
	}
	s.mu.Unlock()
	if signal != nil {
		signal.Signal()
	}
	return kr
}

// Wait takes a signal or waits for one, for ever (semaphore_wait).
func (s *Semaphore) Wait(th *Thread) mach.KernReturn {
	if s == nil {
		return mach.KernInvalidArgument
	}
	return s.wait(th, nil, patience{})
}

// WaitSignal signals another semaphore and waits for this one (semaphore_wait_signal).
func (s *Semaphore) WaitSignal(th *Thread, signal *Semaphore) mach.KernReturn {
	if s == nil {
		return mach.KernInvalidArgument
	}
	return s.wait(th, signal, patience{})
}

// TimedWait waits for a limited time; for none at all if that is 0 (semaphore_timedwait).
func (s *Semaphore) TimedWait(th *Thread, sec uint32, nsec int32) mach.KernReturn {
	return s.TimedWaitSignal(th, nil, sec, nsec)
}

// TimedWaitSignal signals another semaphore and waits for this one for a limited time (semaphore_timedwait_signal).
func (s *Semaphore) TimedWaitSignal(th *Thread, signal *Semaphore, sec uint32, nsec int32) mach.KernReturn {
	if s == nil {
		return mach.KernInvalidArgument
	}
	p, ok := patient(sec, nsec)
	if !ok {
		return mach.KernInvalidValue
	}
	return s.wait(th, signal, p)
}

// semaphoreNamed finds the semaphore that the thread's task has a send right to. It is to be released.
//
// Source: XNU osfmk/kern/sync_sema.c, port_name_to_semaphore.
func (th *Thread) semaphoreNamed(name mach.Name) (*Semaphore, mach.KernReturn) {
	if !name.Valid() {
		return nil, mach.KernInvalidName
	}
	p, kr := th.task.Space.SendPort(name)
	if kr != 0 {
		return nil, kr
	}
	s := th.task.m.SemaphoreOf(p)
	if s == nil {
		return nil, mach.KernInvalidCapability
	}
	return s, 0
}

// withSemaphore runs f on a semaphore that the thread's task has a send right to.
func (th *Thread) withSemaphore(name mach.Name, f func(*Semaphore) mach.KernReturn) mach.KernReturn {
	s, kr := th.semaphoreNamed(name)
	if kr != 0 {
		return kr
	}
	defer s.Release()
	return f(s)
}

// SignalSemaphore is semaphore_signal_trap.
func (th *Thread) SignalSemaphore(name mach.Name) mach.KernReturn {
	return th.withSemaphore(name, (*Semaphore).Signal)
}

// SignalAllSemaphore is semaphore_signal_all_trap.
func (th *Thread) SignalAllSemaphore(name mach.Name) mach.KernReturn {
	return th.withSemaphore(name, (*Semaphore).SignalAll)
}

// SignalThreadSemaphore is semaphore_signal_thread_trap: thread is the name of a thread's control port, or 0 for any
// thread.
func (th *Thread) SignalThreadSemaphore(name, thread mach.Name) mach.KernReturn {
	var target *Thread
	if thread != mach.NullName {
		var p *ipc.Port
		if thread.Valid() {
			p, _ = th.task.Space.SendPort(thread)
		}
		if target = th.task.m.ThreadOf(th.task, p, Control); target == nil {
			return mach.KernInvalidArgument
		}
	}
	return th.withSemaphore(name, func(s *Semaphore) mach.KernReturn { return s.SignalThread(target) })
}

// WaitSemaphore is semaphore_wait_trap.
func (th *Thread) WaitSemaphore(name mach.Name) mach.KernReturn {
	return th.withSemaphore(name, func(s *Semaphore) mach.KernReturn { return s.Wait(th) })
}

// WaitSignalSemaphore is semaphore_wait_signal_trap.
func (th *Thread) WaitSignalSemaphore(name, signal mach.Name) mach.KernReturn {
	return th.withSemaphore(signal, func(s *Semaphore) mach.KernReturn {
		return th.withSemaphore(name, func(w *Semaphore) mach.KernReturn { return w.WaitSignal(th, s) })
	})
}

// TimedWaitSemaphore is semaphore_timedwait_trap.
func (th *Thread) TimedWaitSemaphore(name mach.Name, sec uint32, nsec int32) mach.KernReturn {
	p, ok := patient(sec, nsec)
	if !ok {
		return mach.KernInvalidValue
	}
	return th.withSemaphore(name, func(s *Semaphore) mach.KernReturn { return s.wait(th, nil, p) })
}

// TimedWaitSignalSemaphore is semaphore_timedwait_signal_trap.
func (th *Thread) TimedWaitSignalSemaphore(name, signal mach.Name, sec uint32, nsec int32) mach.KernReturn {
	p, ok := patient(sec, nsec)
	if !ok {
		return mach.KernInvalidValue
	}
	return th.withSemaphore(signal, func(s *Semaphore) mach.KernReturn {
		return th.withSemaphore(name, func(w *Semaphore) mach.KernReturn { return w.wait(th, s, p) })
	})
}
