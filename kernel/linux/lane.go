//go:build linux

package linux

import (
	"runtime"
	"sync/atomic"
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/trap"
)

// hotTime is how long a lane's goroutine sleeps on the futex of its lane before it lets go of its system thread. Calls
// that follow one another faster cost one futex wake-up each way, others a packet on the socket more.
const hotTime = 4 * time.Millisecond

// hotMax is how many lanes may sleep on futexes at once: each holds a system thread.
var hotMax = int64(4 + 4*runtime.NumCPU())

// lane is a thread of a process, as far as its calls go.
type lane struct {
	process *Process
	index   uint32
	tid     int
	thread  *object.Thread
	mem     *trap.Memory
	c       *trap.Control

	seen uint32        // the request that was taken last
	bell chan struct{} // rung while the lane is asleep
	over atomic.Bool   // the thread or the process has ended

	request request
	args    ipc.Args
	result  [8]uint64
	in      []byte // copies of what the task sent
	out     []byte // what it gets
	pieces  []trap.Piece
	placed  []placed // out-of-line memory on its way to the task
	bulk    bulkBox
	spin    spinner
}

// request is a private copy of what the task asks for.
type request struct {
	op    trap.Op
	args  [12]uint64
	size  uint32
	count uint32
}

// ring wakes the lane's goroutine if it is asleep.
func (l *lane) ring() {
	select {
	case l.bell <- struct{}{}:
	default:
	}
}

// end makes the lane's goroutine return soon.
func (l *lane) end() {
	l.over.Store(true)
	l.thread.IPC.Kill()
	l.ring()
	trap.FutexWake(&l.c.Posted)
}

// serve takes requests until the thread ends.
func (l *lane) serve() {
	defer l.process.laneDone(l)
	for l.await() {
		if !l.take() {
			l.process.misbehaves("a request that is none")
			return
		}
		if !l.handle() {
			return
		}
	}
}

// await waits for a request; false if the thread has ended.
func (l *lane) await() bool {
	if l.spin.wait(l.process.kernel, &l.c.Posted, l.seen) {
		return !l.over.Load()
	}
	k := l.process.kernel
	for {
		if k.hot.Add(1) <= hotMax {
			atomic.StoreUint32(&l.c.KernelState, trap.KernelFutex)
			for until := time.Now().Add(hotTime); ; {
				if atomic.LoadUint32(&l.c.Posted) != l.seen || l.over.Load() {
					k.hot.Add(-1)
					atomic.StoreUint32(&l.c.KernelState, trap.KernelAwake)
					return !l.over.Load()
				}
				left := time.Until(until)
				if left <= 0 {
					break
				}
				trap.FutexWait(&l.c.Posted, l.seen, left)
			}
		}
		k.hot.Add(-1)
		atomic.StoreUint32(&l.c.KernelState, trap.KernelAsleep)
		if atomic.LoadUint32(&l.c.Posted) == l.seen && !l.over.Load() {
			<-l.bell
		}
		atomic.StoreUint32(&l.c.KernelState, trap.KernelAwake)
		if l.over.Load() {
			return false
		}
		if atomic.LoadUint32(&l.c.Posted) != l.seen {
			return true
		}
	}
}

// take copies the request out of the task's reach; false if it is out of bounds.
func (l *lane) take() bool {
	l.seen = atomic.LoadUint32(&l.c.Posted)
	r := &l.request
	r.op, r.args, r.size, r.count = l.c.Op, l.c.Args, l.c.InSize, l.c.OOLCount
	if r.size > trap.InSize || r.count > trap.OOLMax {
		return false
	}
	l.in = append(l.in[:0], l.mem.In()[:r.size]...)
	l.pieces = append(l.pieces[:0], l.c.OOLIn[:r.count]...)
	return true
}

// answer gives the lane back to the task.
func (l *lane) answer(kind uint32) {
	c := l.c
	c.Answer = kind
	atomic.AddUint32(&c.Done, 1)
	if atomic.LoadUint32(&c.TaskWaits) != 0 {
		trap.FutexWake(&c.Done)
	}
}

// spinner decides how long a lane looks for the next request before it sleeps. It pays only while a processor is idle and
// requests do come at once; both are learned from what happened.
type spinner struct {
	limit int // rounds
}

const (
	spinMost  = 2000
	spinLeast = 50
)

// wait looks for a request for a while; true if there is one.
func (s *spinner) wait(k *Kernel, posted *uint32, seen uint32) bool {
	if atomic.LoadUint32(posted) != seen {
		return true
	}
	if k.noSpin {
		return false
	}
	for i := range max(s.limit, spinLeast) {
		if atomic.LoadUint32(posted) != seen {
			s.limit = min(spinMost, s.limit+i/2+spinLeast)
			return true
		}
		pause()
	}
	s.limit = max(spinLeast, s.limit-s.limit/8)
	return false
}

//go:noinline
func pause() {}
