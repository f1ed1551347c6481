//go:build linux

package linux

import (
	"sync"

	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
)

// registers is what makes a Linux thread stop and go, and its registers as far as it stands in a signal handler. It
// implements [object.Runner]. A thread that waits for the answer to a call stops like one that runs: its signal handler
// interrupts the wait, which goes on afterwards.
type registers struct {
	process *Process
	tid     int

	mu    sync.Mutex
	at    *Stopped // where it stands now; nil if it runs
	fault bool     // it stands there because of a fault, which is being delivered
	now   machineState
	dirty bool
	ended bool // it does not run on
}

var _ object.Runner = (*registers)(nil)

// Get implements [object.State].
func (r *registers) Get(flavor uint32) ([]uint32, mach.KernReturn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		return nil, mach.KernFailure
	}
	return r.now.Get(flavor)
}

// Set implements [object.State].
func (r *registers) Set(flavor uint32, words []uint32) mach.KernReturn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		return mach.KernFailure
	}
	kr := r.now.Set(flavor, words)
	r.dirty = r.dirty || kr == 0
	return kr
}

// Stop implements [object.Runner].
func (r *registers) Stop() mach.KernReturn {
	r.mu.Lock()
	if r.at != nil || r.ended {
		r.mu.Unlock()
		return 0
	}
	r.mu.Unlock()
	defer r.process.kernel.asleep()()
	s, err := r.process.StopThread(r.tid)
	if err != nil {
		r.process.kernel.log.Debug("a thread does not stop", "pid", r.process.PID, "tid", r.tid, "error", err)
		return mach.KernAborted
	}
	r.stand(s, false)
	return 0
}

// stand takes down where the thread stands.
func (r *registers) stand(s *Stopped, fault bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.fault, r.dirty = s, fault, false
	r.now.load(&s.Record)
}

// standing returns where a thread stands already; nil if it runs, or is in a call.
func (p *Process) standing(tid int) *Stopped {
	p.mu.Lock()
	t := p.threads[tid]
	p.mu.Unlock()
	if t == nil {
		return nil
	}
	r := t.registers
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		return nil
	}
	s := &Stopped{TID: tid, Record: r.at.Record, process: p, index: r.at.index, stays: true}
	if r.dirty {
		r.now.store(&s.Record)
	}
	return s
}

// Continue implements [object.Runner].
func (r *registers) Continue() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at != nil && !r.fault {
		r.goOn()
	}
}

// goOn lets the thread run on with the registers it has now. The lock is held.
func (r *registers) goOn() {
	if r.ended {
		return // it stands where it is until the process ends
	}
	s := r.at
	r.at, r.fault = nil, false
	if r.dirty {
		r.now.store(&s.Record)
		s.Record.Changed = changedAll
	}
	s.Resume()
}

// Interrupt implements [object.Runner].
func (r *registers) Interrupt() { r.process.signalThread(r.tid) }

// End implements [object.Runner]. Linux cannot end one thread of a process from outside: it stops for good.
func (r *registers) End() {
	r.mu.Lock()
	stands := r.at != nil
	r.ended = true
	r.mu.Unlock()
	if stands || r.process.dying.Load() || r.process.ending() || r.process.threadEnds(r.tid) {
		return
	}
	if s, err := r.process.StopThread(r.tid); err == nil {
		r.stand(s, false)
	}
}
