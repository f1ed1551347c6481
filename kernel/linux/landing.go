//go:build linux

package linux

import (
	"math/bits"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"portcullis.dev/trap"
)

// landing is memory that one process receives in: a file of the kernel's, which the process maps for itself. Once it has
// returned it the kernel fills it again, so that no pages need be made. No other process ever gets it, as the old mapping
// of one that deceives the kernel shows what is in it next.
type landing struct {
	number uint32
	mem    *trap.Memory
	state  landingState
	made   int  // bytes that have pages
	kept   bool // free, and the process has it mapped
}

type landingState int

const (
	landingFree   landingState = iota
	landingFilled              // being filled, by a worker
	landingOut                 // the process's
)

// Out of line a process receives in landings from leastLanded bytes on, one in Go from where its lane ends: it copies into
// memory of its heap.
const leastLanded = 256 << 10

// What a kernel holds in landings: bytes of one process and of all, and number. Beyond it forgets the one that was used
// longest ago, which then is the process's alone, if it has it.
const (
	landedMost    = 64 << 20
	allLandedMost = 512 << 20
	landingsMost  = 16
)

// landingsOwed is how many landings are made for a process that returns none: it keeps what it receives, or gives it up in
// another way, and a landing costs more than memory that is used once.
const landingsOwed = 2

// landTime is how often it is seen to that no process has landings that it does not use.
const landTime = 5 * time.Second

// landings are those of a process.
type landings struct {
	mu     sync.Mutex
	of     *Process
	all    []*landing // the one that was used longest ago first
	held   int64
	last   uint32
	owed   int  // landings that were made, less twice those that came back
	used   bool // since tidy looked
	timed  bool
	closed bool
}

// land puts a piece of memory where the thread has it mapped, or can map it, and takes down where; false if it is to go
// another way.
func (l *lane) land(e *trap.Piece, entry uint32, p placed) bool {
	n, least := len(p.data), leastLanded
	if l.process.flags&trap.HelloGo != 0 {
		least = trap.InlineMax + 1
	}
	if n < least {
		return false
	}
	ls := &l.process.landings
	at := ls.obtain(l.process, n)
	if at == nil {
		return false
	}
	at.make(n)
	p.copyTo(at.mem.B[:n])
	clear(at.mem.B[n:min(len(at.mem.B), (n+pageSize-1)&^(pageSize-1))])
	kept, file := ls.handOver(at)
	if kept {
		e.Offset = trap.Landed + uint64(at.number)
		return true
	}
	if file == nil {
		return false
	}
	held := l.process.hold(file)
	if held.File == nil {
		ls.back(at.number, false)
		return false
	}
	held.landing = at
	l.bulk.putOut(entry, held)
	return true
}

// make makes the pages for n bytes, many at a time, if there were none.
func (l *landing) make(n int) {
	if l.made >= n {
		return
	}
	l.made = n
	if unix.Fallocate(int(l.mem.File.Fd()), 0, 0, int64(n)) == nil {
		unix.Madvise(l.mem.B[:n], unix.MADV_POPULATE_WRITE)
	}
}

// handOver makes a landing that was filled the process's. If that has it mapped it needs no file.
func (ls *landings) handOver(l *landing) (kept bool, file *os.File) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.state = landingOut
	if kept = l.kept; kept {
		l.kept = false // until it says so again
		return kept, nil
	}
	file, err := trap.Duplicate(l.mem.File)
	if err != nil {
		l.state = landingFree
	}
	return false, file
}

// take returns the file of a landing that the process has; nil if it has none with the number.
func (ls *landings) take(number uint32) *os.File {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l := ls.find(number)
	if l == nil {
		return nil
	}
	file, _ := trap.Duplicate(l.mem.File)
	return file
}

// find returns a landing that the process has; nil if there is none with the number.
func (ls *landings) find(number uint32) *landing {
	for _, l := range ls.all {
		if l.number == number && l.state == landingOut {
			return l
		}
	}
	return nil
}

// obtain returns a landing for n bytes that is to be filled; nil if there can be none.
func (ls *landings) obtain(p *Process, n int) *landing {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.of, ls.used = p, true
	best := -1
	for i, l := range ls.all {
		size := len(l.mem.B)
		if l.state == landingFree && n <= size && size <= 2*n && (best < 0 || size < len(ls.all[best].mem.B)) {
			best = i
		}
	}
	if best >= 0 {
		l := ls.all[best]
		l.state = landingFilled
		ls.all = append(slices.Delete(ls.all, best, best+1), l)
		return l
	}
	step := 1 << max(12, bits.Len(uint(n-1))-3) // at most a quarter more
	size := (n + step - 1) &^ (step - 1)
	if size > landedMost || ls.owed >= landingsOwed {
		return nil
	}
	for ls.held+int64(size) > landedMost || len(ls.all) >= landingsMost {
		if !ls.forget() {
			return nil
		}
	}
	if ls.closed || p.kernel.landed.Load()+int64(size) > allLandedMost {
		return nil
	}
	mem, err := trap.NewMemory("landing", size)
	if err != nil {
		return nil
	}
	if !ls.timed {
		ls.timed = true
		time.AfterFunc(landTime, ls.tidy)
	}
	ls.last++
	ls.owed++
	l := &landing{number: ls.last, mem: mem, state: landingFilled}
	ls.all = append(ls.all, l)
	ls.held += int64(size)
	p.kernel.landed.Add(int64(size))
	return l
}

// forget gives up a landing: one that is free if there is any.
func (ls *landings) forget() bool {
	for _, state := range []landingState{landingFree, landingOut} {
		if i := slices.IndexFunc(ls.all, func(l *landing) bool { return l.state == state }); i >= 0 {
			ls.drop(i)
			return true
		}
	}
	return false
}

func (ls *landings) drop(i int) {
	l, size := ls.all[i], int64(len(ls.all[i].mem.B))
	if l.state == landingFree {
		unix.Madvise(l.mem.B, unix.MADV_REMOVE) // the process may have kept it
	}
	l.mem.Close()
	ls.all = slices.Delete(ls.all, i, i+1)
	ls.held -= size
	ls.of.kernel.landed.Add(-size)
}

// back takes a landing that the process does not use any more; it may still have it mapped. One that was forgotten is
// nobody's business.
func (ls *landings) back(number uint32, kept bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.find(number); l != nil {
		l.state, l.kept = landingFree, kept
		ls.owed = max(ls.owed-2, landingsOwed-landingsMost)
	}
}

// tidy gives up the landings of a process that has not received in any for a while.
func (ls *landings) tidy() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if !ls.used {
		ls.owed = 0
		for ls.forget() {
		}
	}
	if ls.used, ls.timed = false, len(ls.all) > 0; ls.timed {
		time.AfterFunc(landTime, ls.tidy)
	}
}

// close gives up all. Nobody fills any.
func (ls *landings) close() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.closed = true
	for ls.forget() {
	}
}
