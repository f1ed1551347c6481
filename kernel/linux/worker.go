//go:build linux

package linux

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"portcullis.dev/trap"
)

// A worker is a goroutine that carries out calls. It is not tied to a lane but follows the conversation: when a call of
// one lane brings another the message that it waits for, and then waits itself, the worker finishes the other's call and
// looks there for the next request. So a round trip between two tasks runs on one system thread and passes no scheduler
// but Linux's. A lane that waits for a message, or whose thread is busy elsewhere, has no goroutine at all.

// Who owns a lane, that is, everything in it but the shared memory.
const (
	laneIdle    = iota // nobody; the doorbell starts a worker
	laneOwned          // a worker
	laneWaiting        // a call that waits for a message
	laneReady          // still a worker; but what the call waits for is there already
)

// hotTime is how long a worker looks at a lane before it leaves it alone: the next call then starts with a packet on the
// socket instead of a futex wake-up. hotMax is how many workers may look at lanes at once; each holds a system thread.
const hotTime = 4 * time.Millisecond

var hotMax = int64(4 + 4*runtime.NumCPU())

// maxLooking is how many workers may look at lanes without sleeping. The tasks at both ends of a conversation need
// processors, too.
var maxLooking = int64(max(1, runtime.NumCPU()/2))

// ready is the lanes whose calls can be finished. Whoever makes one ready often holds locks, and so leaves it to the
// workers that are at work.
type ready struct {
	mu     sync.Mutex
	lanes  []*lane
	active int // workers in a call, less those that sleep there
}

// enter begins what a worker does in a call other than sleeping; drain ends it.
func (r *ready) enter() {
	r.mu.Lock()
	r.active++
	r.mu.Unlock()
}

// take returns the next lane; if there is none the worker has left.
func (r *ready) take() *lane {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.lanes); n > 0 {
		l := r.lanes[0]
		copy(r.lanes, r.lanes[1:])
		r.lanes[n-1] = nil
		r.lanes = r.lanes[:n-1]
		return l
	}
	r.active--
	return nil
}

// put adds a lane. It returns false if there may be nobody to take it: then the caller has entered, and starts somebody.
func (r *ready) put(l *lane) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lanes = append(r.lanes, l)
	if r.active > 0 {
		return true
	}
	r.active++
	return false
}

// pause is what a worker does before it sleeps in a call; enter ends it. It returns false if there are lanes to take:
// then the caller has not left, and starts somebody to do so.
func (r *ready) pause() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lanes) > 0 {
		return false
	}
	r.active--
	return true
}

// put adds a lane. It is called with ports locked.
func (k *Kernel) put(l *lane) {
	if !k.ready.put(l) {
		go k.leave()
	}
}

// drain finishes the calls of all lanes that are ready, on behalf of a worker that has entered, and lets it leave. It
// returns a lane to look at: next if that is not nil.
func (k *Kernel) drain(next *lane) *lane {
	for l := k.ready.take(); l != nil; l = k.ready.take() {
		if !l.finish() {
			continue
		}
		if next == nil {
			next = l
		} else {
			go k.work(l)
		}
	}
	return next
}

// work serves the thread of a lane, and then whichever thread it makes go on. The lane is the worker's.
func (k *Kernel) work(l *lane) {
	for l != nil && l.await() {
		k.ready.enter()
		if !l.begin() {
			l = nil
		}
		l = k.drain(l)
	}
}

// asleep lets others work while the caller, a worker in a call, sleeps there; the function returned ends that. What the
// call has made ready so far is left to somebody else: the caller may hold locks.
//
// Threads in the kernel's own process, which are no workers, call it too. While they sleep fewer workers seem active than
// are, and one that is missed is started.
func (k *Kernel) asleep() (awake func()) {
	if !k.ready.pause() {
		go k.leave()
	}
	return k.ready.enter
}

// leave ends what enter began, for who has no lane to look at.
func (k *Kernel) leave() {
	if l := k.drain(nil); l != nil {
		go k.work(l)
	}
}

// parker lets a lane's call sleep that has to.
type parker struct {
	kernel *Kernel
	wake   chan struct{}
}

func newParker(k *Kernel) *parker { return &parker{k, make(chan struct{}, 1)} }

// Park implements [ipc.Parker].
func (p *parker) Park() {
	defer p.kernel.asleep()()
	<-p.wake
}

// Unpark implements [ipc.Parker].
func (p *parker) Unpark() { p.wake <- struct{}{} }

// await looks for the next request of a lane, until it gives the lane up: to the doorbell, or for good.
func (l *lane) await() bool {
	c, k := l.c, l.process.kernel
	atomic.StoreUint32(&c.KernelState, trap.KernelAwake)
	if l.look() {
		return l.live()
	}
	if k.hot.Add(1) <= hotMax {
		atomic.StoreUint32(&c.KernelState, trap.KernelFutex)
		for until := monotonic() + uint64(hotTime); ; {
			if atomic.LoadUint32(&c.Posted) != l.seen || l.over.Load() {
				k.hot.Add(-1)
				atomic.StoreUint32(&c.KernelState, trap.KernelAwake)
				return l.live()
			}
			now := monotonic()
			if now >= until {
				break
			}
			trap.FutexWait(&c.Posted, l.seen, time.Duration(until-now))
		}
	}
	k.hot.Add(-1)
	seen := l.seen
	// From here on the doorbell may have the lane.
	l.owner.Store(laneIdle)
	atomic.StoreUint32(&c.KernelState, trap.KernelAsleep)
	if (atomic.LoadUint32(&c.Posted) != seen || l.over.Load()) && l.owner.CompareAndSwap(laneIdle, laneOwned) {
		atomic.StoreUint32(&c.KernelState, trap.KernelAwake)
		return l.live()
	}
	return false
}

// look waits for the next request without sleeping, if that is likely to be worth it. Few workers may do so at once.
func (l *lane) look() bool {
	k := l.process.kernel
	defer k.looking.Add(-1)
	if k.looking.Add(1) > maxLooking {
		return atomic.LoadUint32(&l.c.Posted) != l.seen
	}
	return l.looks.Look(&l.c.Posted, l.seen)
}

// live says that the lane's thread goes on; otherwise the lane is gone.
func (l *lane) live() bool {
	if l.over.Load() {
		l.process.laneDone(l)
		return false
	}
	return true
}

// ring starts a worker for the lane if it has none.
func (l *lane) ring() {
	if l.owner.CompareAndSwap(laneIdle, laneOwned) {
		go l.process.kernel.work(l)
	}
}

// wakeup is called when there is something to finish; see [ipc.Thread.StartMsg2].
func (l *lane) wakeup() {
	for {
		switch l.owner.Load() {
		case laneWaiting:
			if l.owner.CompareAndSwap(laneWaiting, laneOwned) {
				l.process.kernel.put(l)
				return
			}
		case laneOwned: // the worker is about to leave it
			if l.owner.CompareAndSwap(laneOwned, laneReady) {
				return
			}
		default:
			return
		}
	}
}

// end makes the lane go away soon.
func (l *lane) end() {
	l.over.Store(true)
	l.thread.IPC.Kill()
	trap.FutexWake(&l.c.Posted)
	l.ring()
}

// begin takes a request and carries it out, as far as it can be now. It returns false if the lane is not the worker's any
// more.
func (l *lane) begin() bool {
	if !l.take() {
		l.process.misbehaves("a request that is none")
		l.process.laneDone(l)
		return false
	}
	if !l.start() {
		if l.owner.CompareAndSwap(laneOwned, laneWaiting) {
			return false
		}
		l.owner.Store(laneOwned) // it was ready before we could leave
		return l.finish()
	}
	return l.settle()
}

// finish ends a call that waited for a message. It returns false if the lane is not the worker's any more.
func (l *lane) finish() bool {
	l.messageDone(l.thread.IPC.FinishMsg2())
	return l.settle()
}

// settle answers a call that is over.
func (l *lane) settle() bool {
	if !l.reply() {
		l.process.laneDone(l)
		return false
	}
	return true
}

// Who waits for a task looks at a word that the task changes. Few may sleep on it, as each holds a system thread while
// it does; others look again and again. A task that never answers shall not use up the threads.
const (
	maxWaits  = 16
	leastRest = 100 * time.Microsecond
	mostRest  = 10 * time.Millisecond
)

// waitFor waits until *word is not value, at most for a time, or a little less. The rest is between two looks.
func (k *Kernel) waitFor(word *uint32, value uint32, most time.Duration, rest *time.Duration) {
	defer k.waits.Add(-1)
	if k.waits.Add(1) <= maxWaits {
		trap.FutexWait(word, value, most)
		return
	}
	time.Sleep(min(*rest, most))
	*rest = min(2**rest, mostRest)
}

// next waits for what the thread posts in the middle of a call, and takes it; false if that does not come in time.
func (l *lane) next(most time.Duration) bool { return l.posted(most) && l.take() }

// posted waits for what the thread posts in the middle of a call.
func (l *lane) posted(most time.Duration) bool {
	c := l.c
	atomic.StoreUint32(&c.KernelState, trap.KernelFutex)
	defer atomic.StoreUint32(&c.KernelState, trap.KernelAwake)
	rest := leastRest
	for until := time.Now().Add(most); atomic.LoadUint32(&c.Posted) == l.seen; {
		left := time.Until(until)
		if left <= 0 || l.over.Load() {
			return false
		}
		l.process.kernel.waitFor(&c.Posted, l.seen, left, &rest)
	}
	return true
}
