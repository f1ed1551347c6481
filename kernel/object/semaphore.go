package object

import (
	"sync"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// SemaphorePolicy says who is woken first (SYNC_POLICY_*).
type SemaphorePolicy int32

const (
	FIFO    SemaphorePolicy = 0
	LIFO    SemaphorePolicy = 2
	Prepost SemaphorePolicy = 4 // accepted, and without meaning

	knownPolicies = FIFO | LIFO | Prepost
)

// Semaphore counts signals that nobody waited for, or lets threads wait for signals. It lasts as long as there are send
// rights to its port or calls at work on it; the task that owns it can destroy it before, and does when it ends: what
// remains then says KERN_TERMINATED.
//
// Source: XNU osfmk/kern/sync_sema.c.
type Semaphore struct {
	m     *Machine
	port  portal
	owner *Task
	self  *ipc.Port // set before anybody sees the semaphore

	mu      sync.Mutex
	waiting ipc.Waiters
	count   int64 // signals to spare; -1 since somebody had to wait
	active  bool
	refs    int  // calls at work, and one for all send rights
	held    bool // there is the reference for send rights
}

// CreateSemaphore makes a semaphore that the task owns and returns a send right to it (semaphore_create).
func (t *Task) CreateSemaphore(p SemaphorePolicy, value int32) (*ipc.Port, mach.KernReturn) {
	if t == nil || value < 0 || p&^knownPolicies != 0 {
		return nil, mach.KernInvalidArgument
	}
	if !t.charge() {
		return nil, mach.KernResourceShortage
	}
	s := &Semaphore{m: t.m, owner: t, count: int64(value), active: true, refs: 1, held: true}
	s.waiting.Reversed = p&LIFO != 0
	s.port = portal{t.m, s}
	t.mu.Lock()
	if t.life != alive {
		t.mu.Unlock()
		t.made.Add(-1)
		return nil, mach.KernInvalidTask
	}
	if t.semaphores == nil {
		t.semaphores = map[*Semaphore]struct{}{}
	}
	s.self = t.m.IPC.NewObjectPort(mach.PortTypeSemaphore, &s.port)
	right := s.self.MakeSend()
	t.semaphores[s] = struct{}{}
	t.m.live.semaphores.Add(1)
	t.mu.Unlock()
	return right, 0
}

// SemaphoreOf returns the semaphore that a port stands for, nil if it is none. The caller gives it back with
// [Semaphore.Release].
func (m *Machine) SemaphoreOf(p *ipc.Port) *Semaphore {
	s, _ := m.objectOf(p).(*Semaphore)
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refs == 0 {
		return nil
	}
	s.refs++
	return s
}

// Waiting returns how many threads wait.
func (s *Semaphore) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting.Len()
}

// Release ends a use of the semaphore; the last one frees it.
func (s *Semaphore) Release() {
	s.mu.Lock()
	s.refs--
	over := s.refs == 0
	s.mu.Unlock()
	if over {
		s.free()
	}
}

// noSenders gives back what the send rights held.
func (s *Semaphore) noSenders(p *ipc.Port) {
	s.mu.Lock()
	last := s.held && !p.HasSenders()
	if last {
		s.held = false
	}
	s.mu.Unlock()
	if last {
		s.Release()
	}
}

// free ends a semaphore that nobody uses.
func (s *Semaphore) free() {
	s.destroy()
	s.self.Destroy()
	s.owner.made.Add(-1)
	s.m.live.semaphores.Add(-1)
}

// destroy takes the semaphore from its owner and makes it useless.
func (s *Semaphore) destroy() {
	s.owner.mu.Lock()
	delete(s.owner.semaphores, s)
	s.owner.mu.Unlock()
	s.deactivate()
}

// deactivate wakes everybody: there is nothing to wait for any more.
func (s *Semaphore) deactivate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active, s.count = false, 0
	s.waiting.Restart()
}

// DestroySemaphore makes a semaphore useless if the task owns it (semaphore_destroy). One that it does not own stays as
// it is, and that is no error.
func (t *Task) DestroySemaphore(s *Semaphore) mach.KernReturn {
	if s == nil || t == nil {
		return mach.KernInvalidArgument
	}
	if s.owner == t {
		s.destroy()
	}
	return 0
}

// Signal wakes one thread, or lets the next one that waits pass (semaphore_signal).
func (s *Semaphore) Signal() mach.KernReturn {
	if s == nil {
		return mach.KernInvalidArgument
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.active:
		return mach.KernTerminated
	case s.count < 0 && s.waiting.WakeOne():
		return 0
	case s.count < 0:
		s.count = 0 // all waiters have gone
	}
	s.count++
	return 0
}

// SignalAll wakes every thread that waits, and does nothing if none does (semaphore_signal_all).
func (s *Semaphore) SignalAll() mach.KernReturn {
	if s == nil {
		return mach.KernInvalidArgument
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.active {
		return mach.KernTerminated
	}
	if s.count < 0 {
		s.count = 0
		s.waiting.WakeAll()
	}
	return 0
}

// SignalThread wakes a certain thread, or any one if th is nil (semaphore_signal_thread). KERN_NOT_WAITING says that it
// was not waiting, and then nothing is kept for later.
func (s *Semaphore) SignalThread(th *Thread) mach.KernReturn {
	if s == nil {
		return mach.KernInvalidArgument
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.active:
		return mach.KernTerminated
	case s.count >= 0:
		return mach.KernNotWaiting
	case th == nil && s.waiting.WakeOne():
		return 0
	case th == nil:
		s.count = 0
		return mach.KernNotWaiting
	case !s.waiting.Wake(th.IPC):
		return mach.KernNotWaiting
	}
	return 0
}
