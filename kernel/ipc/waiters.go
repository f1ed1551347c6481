package ipc

import (
	"sync"
	"time"

	"portcullis.dev/mach"
)

// Waiters is a line of threads that wait for something other than a message. The zero value is an empty line in which
// who comes first is served first. Whoever has one guards it with a lock, which all methods want held.
type Waiters struct {
	Reversed bool // last come, first served; set it before anybody waits
	list     waitList
}

// Sleep joins the line and waits. It is called with mu held and returns with it released: KERN_SUCCESS after a wake,
// KERN_OPERATION_TIMED_OUT after d if limited, KERN_ABORTED if interrupted, KERN_TERMINATED after Restart. If then is
// not nil it is called once the thread is in the line and mu released; if it is false the thread does not wait, and
// gets KERN_TERMINATED unless it was woken.
func (l *Waiters) Sleep(t *Thread, mu sync.Locker, limited bool, d time.Duration, then func() bool) mach.KernReturn {
	w := &t.wait
	n := w.begin(false)
	if l.Reversed {
		l.list.pushFirst(w)
	} else {
		l.list.push(w)
	}
	mu.Unlock()
	gone := then != nil && !then()
	if gone {
		w.finish(waitInterrupted)
	}
	r := w.sleep(n, limited && !gone, d)
	mu.Lock()
	l.list.remove(w)
	mu.Unlock()
	switch r {
	case waitAwakened:
		return 0
	case waitTimedOut:
		return mach.KernOperationTimedOut
	case waitInterrupted:
		if !gone {
			return mach.KernAborted
		}
	}
	return mach.KernTerminated
}

// Len returns how many threads are in the line.
func (l *Waiters) Len() (n int) {
	for w := l.list.head; w != nil; w = w.next {
		n++
	}
	return n
}

// WakeOne wakes the first thread; false if there is none.
func (l *Waiters) WakeOne() bool {
	w := l.list.claimFirst()
	if w == nil {
		return false
	}
	w.wake()
	return true
}

// Wake wakes a thread if it is in the line.
func (l *Waiters) Wake(t *Thread) bool {
	for w := l.list.head; w != nil; w = w.next {
		if w.thread == t && w.claim() {
			l.list.remove(w)
			w.wake()
			return true
		}
	}
	return false
}

// WakeAll wakes everybody.
func (l *Waiters) WakeAll() { l.list.wakeAll(waitAwakened) }

// Restart wakes everybody because what they wait for is gone.
func (l *Waiters) Restart() { l.list.wakeAll(waitRestart) }
