package ipc

import (
	"sync/atomic"
	"time"

	"portcullis.dev/mach"
)

// Parker lets one thread sleep. The package calls Park from the thread itself and Unpark, once for each Park, from
// anywhere, perhaps before Park.
type Parker interface {
	Park()
	Unpark()
}

// channelParker is the parker of threads that are goroutines.
type channelParker chan struct{}

func (p channelParker) Park()   { <-p }
func (p channelParker) Unpark() { p <- struct{}{} }

// Thread is one caller of the kernel. A thread makes one call at a time.
type Thread struct {
	space  *Space
	parker Parker
	wait   waiter
	killed atomic.Bool

	// Owner is for whoever made the thread; the package does not look at it.
	Owner any

	cleanup cleanup
	send    Send
	wakeup  func()  // of calls begun by StartMsg2
	started started // the call that is waiting for a message without its thread
}

// started is a call that StartMsg2 has left waiting.
type started struct {
	args    *Args
	options mach.Option
	set     *PortSet
	port    *Port
	stop    func() bool
}

// NewThread makes a thread of the space. A nil parker is for goroutines.
func (s *Space) NewThread(p Parker) *Thread {
	if p == nil {
		p = channelParker(make(chan struct{}, 1))
	}
	t := &Thread{space: s, parker: p}
	t.wait.thread = t
	return t
}

// Space returns the space the thread's calls act for.
func (t *Thread) Space() *Space { return t.space }

// Interrupt makes the sleep the thread is in, if it is in one, return MACH_SEND_INTERRUPTED or MACH_RCV_INTERRUPTED.
func (t *Thread) Interrupt() { t.wait.finish(waitInterrupted) }

// Kill interrupts the thread now and whenever it is about to sleep again.
func (t *Thread) Kill() {
	t.killed.Store(true)
	t.Interrupt()
}

// violate takes down a violation of the thread.
func (t *Thread) violate(g Guard, target mach.Name, payload uint64) {
	t.space.kernel.restrict.Violate(t, Violation{g, uint32(target), payload})
}

// waitResult says why a sleep ended.
type waitResult uint8

const (
	waitAwakened waitResult = iota // what was waited for is there
	waitTimedOut
	waitInterrupted
	waitRestart // the port or set is gone
)

// waiter is a thread's place in the line of a port or set. Its state counts sleeps in the upper bits and says in the
// lowest bit whether the current one has been ended; whoever sets that bit fills in the result and unparks.
type waiter struct {
	thread *Thread
	state  atomic.Uint64
	result waitResult
	alone  bool // the thread does not sleep: it is told by its wakeup

	// of receivers
	room    uint32 // bytes for message and trailer
	auxRoom uint32
	options mach.Option
	msg     *Message
	seqno   uint32
	large   uint32 // size of a message that did not fit
	source  mach.Name

	largeAux uint32 // and of its auxiliary data

	list       *waitList
	prev, next *waiter
}

// begin starts a sleep and returns its number.
func (w *waiter) begin(alone bool) uint64 {
	w.msg, w.large, w.result, w.alone = nil, 0, waitAwakened, alone
	s := (w.state.Load() | 1) + 1
	w.state.Store(s)
	return s
}

// claim wins the right to end the current sleep; false if somebody did or there is none.
func (w *waiter) claim() bool {
	s := w.state.Load()
	return s&1 == 0 && s != 0 && w.state.CompareAndSwap(s, s|1)
}

// finish ends the current sleep, if there is one.
func (w *waiter) finish(r waitResult) {
	if w.claim() {
		w.result = r
		w.wake()
	}
}

// wake tells the thread that its sleep is over; whoever calls it has claimed the sleep.
func (w *waiter) wake() {
	if w.alone {
		w.thread.wakeup()
	} else {
		w.thread.parker.Unpark()
	}
}

// milliseconds is a timeout of a message call.
func milliseconds(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }

// sleep parks until somebody ends the sleep s. A timeout counts if limited.
func (w *waiter) sleep(s uint64, limited bool, timeout time.Duration) waitResult {
	stop := w.arm(s, limited, timeout)
	w.thread.parker.Park()
	stop()
	return w.result
}

// arm sees to it that the sleep s ends in time, and if the thread is killed. stop disarms it.
func (w *waiter) arm(s uint64, limited bool, timeout time.Duration) (stop func() bool) {
	k := w.thread.space.kernel
	stop = unarmed
	if limited && k.clock != nil {
		stop = k.clock.AfterFunc(timeout, func() {
			if w.state.CompareAndSwap(s, s|1) {
				w.result = waitTimedOut
				w.wake()
			}
		})
	}
	if w.thread.killed.Load() {
		w.finish(waitInterrupted)
	}
	return stop
}

func unarmed() bool { return true }

// waitList is a line of waiters, first come, first served. It is guarded by the lock of its port or set.
type waitList struct{ head, tail *waiter }

func (l *waitList) push(w *waiter) {
	w.list, w.prev, w.next = l, l.tail, nil
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
}

// pushFirst puts w before all others.
func (l *waitList) pushFirst(w *waiter) {
	w.list, w.prev, w.next = l, nil, l.head
	if l.head == nil {
		l.tail = w
	} else {
		l.head.prev = w
	}
	l.head = w
}

// remove takes w out if it is still in.
func (l *waitList) remove(w *waiter) {
	if w.list != l {
		return
	}
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.list, w.prev, w.next = nil, nil, nil
}

// claimFirst takes the first waiter whose sleep it could claim; nil if there is none. The caller fills in and unparks.
func (l *waitList) claimFirst() *waiter {
	for w := l.head; w != nil; w = l.head {
		l.remove(w)
		if w.claim() {
			return w
		}
	}
	return nil
}

func (l *waitList) wakeAll(r waitResult) {
	for w := l.claimFirst(); w != nil; w = l.claimFirst() {
		w.result = r
		w.wake()
	}
}
