package trap

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Patience says how long who waits for a word of shared memory to change looks at it before it sleeps, and learns from
// what happened. Who looks gives the processor away between two looks (sched_yield), so that whoever is waited for can
// work even if it has to do it on the same processor; a change of process then costs a fraction of what putting one to
// sleep and waking it does. Where others want the processor looking is no use, because it then is away for a whole
// time slice; a thread that finds that out sleeps at once the next times. The C library does the same (look in
// sdk/libmach/lane.c). The zero Patience is ready for use, by one goroutine.
type Patience struct {
	skip  uint32 // how many of the next waits sleep at once
	price uint32 // how many did after the processor was away the last time
}

const (
	// patience is how long a wait looks: somewhat more than it takes to wake two processes, one after the other, so
	// that three that have begun to sleep can stop doing it.
	patience = 100 * time.Microsecond
	// crowded is how long the processor is away when somebody works on it who does not look: a part of a time slice.
	crowded = time.Millisecond
	// skipIdle is how many waits sleep at once after one that looked for nothing.
	skipIdle = 16
	// After the processor was away it is more, and twice as many each time that it happens again.
	leastPrice = 64
	mostPrice  = 16384
)

// Look waits until *word is not value. It returns false if that takes too long.
func (p *Patience) Look(word *uint32, value uint32) bool {
	if atomic.LoadUint32(word) != value {
		return true
	}
	if p.skip > 0 {
		p.skip--
		return false
	}
	start := time.Now()
	for last := time.Duration(0); last < patience; {
		unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		if atomic.LoadUint32(word) != value {
			p.price -= p.price / 128
			return true
		}
		now := time.Since(start)
		if now-last > crowded {
			p.price = min(max(leastPrice, 2*p.price), mostPrice)
			p.skip = p.price
			return false
		}
		last = now
	}
	p.skip = skipIdle
	return false
}
