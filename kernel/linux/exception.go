//go:build linux

package linux

import (
	"portcullis.dev/kernel/exception"
	"portcullis.dev/trap"
)

// Fault is the end of a process by something that nobody handled.
type Fault struct {
	Process   *Process
	Exception exception.Exception // the zero Exception for signals that somebody sent
	Signal    exception.Signal    // macOS's number
	Stopped   *Stopped            // the thread that it befell
	Stops     *Stops              // all threads
}

// deliver brings a fault to whoever handles it.
func (p *Process) deliver(s *Stopped) {
	p.kernel.ready.enter()
	defer p.kernel.leave()
	t, err := p.thread(s.TID)
	if err != nil {
		p.kernel.log.Warn("a fault of a thread that is none", "pid", p.PID, "error", err)
		s.Default()
		return
	}
	t.registers.stand(s, true)
	r := &s.Record
	info := exception.Info{Signal: r.Signo, Code: r.Code, Address: r.Address}
	x, is := t.registers.now.exceptionOf(info, func(b []byte, at uint64) error {
		_, err := readMemory(p.PID, b, at)
		return err
	})
	signal := exception.OfLinux(r.Signo)
	if is {
		switch exception.Raise(t.object, x) {
		case exception.Handled:
			if t.object.AwaitRelease() == 0 {
				t.registers.mu.Lock()
				t.registers.goOn()
				t.registers.mu.Unlock()
			}
			return
		case exception.Ended:
			return // it stands where it is
		}
		if due := x.Signal(cpu); due != 0 {
			signal = due
		}
	}
	// A process that ends while somebody handles its exception, because the handler itself calls exit, has not crashed.
	if r.Chained == 0 && !p.ending() {
		p.crash(t, s, x, signal)
	}
	t.registers.mu.Lock()
	t.registers.at, t.registers.fault = nil, false
	t.registers.mu.Unlock()
	s.Default()
}

// crash tells of the end of the process, while it can still be looked at: first who handles EXC_CRASH, then who handles
// EXC_CORPSE_NOTIFY, then Config.Crashed. Who handles it is the last to be told.
func (p *Process) crash(t *thread, s *Stopped, x exception.Exception, signal exception.Signal) {
	if !p.dying.CompareAndSwap(false, true) {
		return
	}
	if exception.Raise(t.object, exception.Crash(signal, x)) != exception.Unhandled || p.ending() {
		return
	}
	if p.kernel.config.Crashed == nil && !p.mourned() {
		return
	}
	defer p.kernel.asleep()()
	stops := p.stopOthers(s)
	if !p.corpse(t.object, stops, exception.Reason{Namespace: exception.ReasonSignal, Code: uint64(signal)}) &&
		p.kernel.config.Crashed != nil {
		p.kernel.config.Crashed(&Fault{Process: p, Exception: x, Signal: signal, Stopped: s, Stops: stops})
	}
	for _, o := range stops.Threads {
		if o != s {
			o.Resume()
		}
	}
}

// stopOthers stops all threads but one that stands already, and puts that first.
func (p *Process) stopOthers(s *Stopped) *Stops {
	var tids []int
	for _, tid := range p.tids() {
		if tid != s.TID {
			tids = append(tids, tid)
		}
	}
	stops := &Stops{process: p}
	if len(tids) > 0 {
		stops = p.Stop(tids...)
	}
	stops.Threads = append([]*Stopped{s}, stops.Threads...)
	return stops
}

// changedAll says that the kernel has set all registers of a record.
const changedAll = trap.ChangedRegisters | trap.ChangedFloating
