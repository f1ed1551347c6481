//go:build linux

package linux

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"portcullis.dev/trap"
)

// stopTime is how long threads may take to stop, and blockedTime how long those that block the signal: most do so for
// good, as the threads of sanitizers, and some for a moment.
const (
	stopTime    = 500 * time.Millisecond
	blockedTime = stopTime / 10
)

// deafTime is how long the kernel is short with a process one of whose threads did not stop.
const deafTime = 3 * time.Second

// stopSignal is the signal that stops a thread (PT_SIGNAL); SIGRTMAX is 64.
const stopSignal = unix.Signal(64 - trap.SignalOffset)

var errNotStopped = errors.New("the thread does not stop")

// stops are the threads of a process that stand in a signal handler and wait for the kernel.
type stops struct {
	mu      sync.Mutex
	waiting map[int]chan *Stopped // by thread id: who wants it stopped
	closed  bool

	doing sync.Mutex // held while a record is given to its thread, and until it is back if the thread does something
}

// Stopped is a thread that stands in a signal handler.
type Stopped struct {
	TID    int
	Record trap.Record // a copy, which the thread cannot change

	process *Process
	index   int
	stays   bool // it stood before, for another reason: Resume does not let it go
	once    sync.Once
}

// fault takes a record that a thread has filled in. An error ends the process.
func (p *Process) fault(index uint32) error {
	if index >= trap.AreaRecords {
		return fmt.Errorf("%w: record %d", trap.ErrPacket, index)
	}
	r := &p.area.Area().Records[index]
	if atomic.LoadUint32(&r.State) != trap.RecordStopped {
		return fmt.Errorf("%w: record %d is not filled in", trap.ErrPacket, index)
	}
	s := &Stopped{Record: *r, process: p, index: int(index)}
	s.TID = int(s.Record.TID)
	if s.Record.Kind == trap.RecordFault {
		if !p.faults[index].CompareAndSwap(false, true) {
			return fmt.Errorf("%w: record %d is told of twice", trap.ErrPacket, index)
		}
		p.work.Go(func() { p.deliver(s) })
		return nil
	}
	p.stops.mu.Lock()
	c := p.stops.waiting[s.TID]
	delete(p.stops.waiting, s.TID)
	if c != nil {
		c <- s // has room for it; and who forgets the wait finds it there
	}
	p.stops.mu.Unlock()
	if c == nil {
		s.Resume() // too late, or of itself
	}
	return nil
}

// abandon ends all waits; the process is gone.
func (s *stops) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for tid, c := range s.waiting {
		close(c)
		delete(s.waiting, tid)
	}
}

// stopWait waits for a thread that was asked to stop.
type stopWait struct {
	tid   int
	c     chan *Stopped // brings it, or is closed
	asked time.Time
	most  time.Duration
}

// request asks a thread to stop.
func (p *Process) request(tid int) (*stopWait, error) {
	if p.flags&trap.HelloRecords == 0 {
		return nil, errNotStopped
	}
	c := make(chan *Stopped, 1)
	p.stops.mu.Lock()
	if p.stops.closed || p.stops.waiting[tid] != nil {
		p.stops.mu.Unlock()
		return nil, errNotStopped
	}
	if p.stops.waiting == nil {
		p.stops.waiting = map[int]chan *Stopped{}
	}
	p.stops.waiting[tid] = c
	p.stops.mu.Unlock()
	if err := p.signalThread(tid); err != nil {
		if s := p.forget(tid, c); s != nil {
			s.Resume()
		}
		return nil, err
	}
	return &stopWait{tid, c, time.Now(), stopTime}, nil
}

// blocks says that a thread blocks the signal that stops it.
func (p *Process) blocks(tid int) bool {
	status := fields(fmt.Sprintf("/proc/%d/task/%d/status", p.PID, tid), 16)
	return status["SigBlk"]&(1<<(stopSignal-1)) != 0
}

// wait waits for a time since the thread was asked; false if it did not stop and has not ended by then.
func (w *stopWait) wait(most time.Duration) (*Stopped, bool) {
	late := time.NewTimer(time.Until(w.asked.Add(most)))
	defer late.Stop()
	select {
	case s := <-w.c:
		return s, true
	case <-late.C:
		return nil, false
	}
}

// await returns the thread once it has stopped; nil if it does not in time, or has ended.
func (p *Process) await(w *stopWait) *Stopped {
	s, over := w.wait(blockedTime)
	if !over && w.most > blockedTime && !p.blocks(w.tid) {
		s, over = w.wait(w.most)
	}
	if !over {
		s = p.forget(w.tid, w.c)
	}
	return s
}

// forget ends a wait. It returns the thread if it has stopped all the same, while others were waited for.
func (p *Process) forget(tid int, c chan *Stopped) *Stopped {
	p.stops.mu.Lock()
	defer p.stops.mu.Unlock()
	if p.stops.waiting[tid] == c {
		delete(p.stops.waiting, tid)
	}
	select {
	case s := <-c:
		return s
	default:
		return nil
	}
}

func (p *Process) signalThread(tid int) error {
	if err := p.signal(0); err != nil {
		return err
	}
	return unix.Tgkill(p.PID, tid, stopSignal)
}

// StopThread stops a thread and returns it with its registers.
func (p *Process) StopThread(tid int) (*Stopped, error) {
	w, err := p.request(tid)
	if err != nil {
		return nil, fmt.Errorf("stopping thread %d: %w", tid, err)
	}
	if at := p.deaf.Load(); at != 0 && monotonic()-uint64(at) < uint64(deafTime) {
		w.most = blockedTime
	}
	s := p.await(w)
	if s == nil {
		p.deaf.Store(int64(monotonic()))
		return nil, fmt.Errorf("stopping thread %d: %w", tid, errNotStopped)
	}
	p.deaf.Store(0)
	return s, nil
}

// set gives the record back to the thread in a state.
func (s *Stopped) set(state uint32) {
	r := &s.process.area.Area().Records[s.index]
	atomic.StoreUint32(&r.State, state)
	trap.FutexWake(&r.State)
}

// Resume lets the thread go on where it was, with the registers in the record if Record.Changed says so.
func (s *Stopped) Resume() {
	if !s.stays {
		s.once.Do(func() { s.leave(trap.RecordResume) })
	}
}

// Default lets the thread do what its signal does without a handler.
func (s *Stopped) Default() { s.once.Do(func() { s.leave(trap.RecordDefault) }) }

func (s *Stopped) leave(state uint32) {
	p := s.process
	p.stops.doing.Lock()
	defer p.stops.doing.Unlock()
	p.mapped.RLock()
	defer p.mapped.RUnlock()
	if p.area.B == nil {
		return
	}
	if s.Record.Changed != 0 {
		r := &p.area.Area().Records[s.index]
		r.Registers, r.Floating, r.Changed = s.Record.Registers, s.Record.Floating, s.Record.Changed
	}
	p.faults[s.index].Store(false)
	s.set(state)
}

// Do lets the stopped thread do something to its process's memory. Bytes go in and come out by data, at most
// trap.CommandData of them. It returns what PT_UPCALL_... of trap.h say.
func (s *Stopped) Do(what trap.Upcall, args [4]uint64, data []byte) (uint64, error) {
	p := s.process
	p.stops.doing.Lock()
	defer p.stops.doing.Unlock()
	p.mapped.RLock()
	defer p.mapped.RUnlock()
	if p.area.B == nil {
		return 0, errNotStopped
	}
	r := &p.area.Area().Records[s.index]
	if atomic.LoadUint32(&r.State) != trap.RecordStopped {
		return 0, errNotStopped // it stood for somebody else, who has let it go
	}
	shared := p.area.Data(s.index)
	if what == trap.UpcallWrite {
		copy(shared, data)
	}
	r.Command, r.Arguments, r.Result = what, args, 0
	s.set(trap.RecordCommand)
	rest := leastRest
	for until := time.Now().Add(stopTime); atomic.LoadUint32(&r.State) == trap.RecordCommand; {
		left := time.Until(until)
		if left <= 0 || !p.alive() {
			return 0, errNotStopped
		}
		p.kernel.waitFor(&r.State, trap.RecordCommand, min(left, 50*time.Millisecond), &rest)
	}
	if e := unix.Errno(r.Result); e != 0 {
		return 0, e
	}
	if what == trap.UpcallRead {
		copy(data, shared)
	}
	return r.Arguments[0], nil
}

// Stops are the threads of a process that is being looked at.
type Stops struct {
	Threads []*Stopped
	process *Process
}

// Stop stops all threads of the process, or those given, as far as they can be stopped. Those that stand already, because
// they are suspended or somebody handles their exception, are among them.
func (p *Process) Stop(tids ...int) *Stops {
	s := &Stops{process: p}
	if len(tids) == 0 {
		tids = p.tids()
	}
	var waits []*stopWait
	for _, tid := range tids {
		if stands := p.standing(tid); stands != nil {
			s.Threads = append(s.Threads, stands)
		} else if w, err := p.request(tid); err == nil {
			waits = append(waits, w)
		}
	}
	for _, w := range waits {
		if t := p.await(w); t != nil {
			s.Threads = append(s.Threads, t)
		}
	}
	return s
}

// Release lets the threads go on.
func (s *Stops) Release() {
	if s == nil {
		return
	}
	for _, t := range s.Threads {
		t.Resume()
	}
}

// ReadMemory reads the process's memory: from outside where Linux allows it, else by one of the stopped threads.
func (s *Stops) ReadMemory(b []byte, addr uint64) (int, error) {
	n, err := readMemory(s.process.PID, b, addr)
	if err == nil || errors.Is(err, unix.EFAULT) || len(s.Threads) == 0 {
		return n, err
	}
	for n < len(b) {
		part := b[n:min(len(b), n+trap.CommandData)]
		if _, err := s.Threads[0].Do(trap.UpcallRead, [4]uint64{addr + uint64(n), uint64(len(part))}, part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// readMemory is process_vm_readv.
func readMemory(pid int, b []byte, addr uint64) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	local := []unix.Iovec{{Base: &b[0]}}
	local[0].SetLen(len(b))
	n, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(b)}}, 0)
	if err == nil && n < len(b) {
		err = unix.EFAULT
	}
	return max(n, 0), err
}

// monotonic is CLOCK_MONOTONIC in nanoseconds.
func monotonic() uint64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return uint64(ts.Nano())
}
