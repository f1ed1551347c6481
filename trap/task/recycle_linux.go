package task

import (
	"math/bits"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

// What comes out of line is copied into memory of the Go heap that is the program's from then on. A program that receives
// a mebibyte with every call would make the garbage collector run every few calls, and the system make the pages again.
// Therefore such memory is used again once the collector has found that nobody has it any more.
const (
	leastRecycled = 16 << 10
	mostShelved   = 16 << 20
)

// shelf holds memory to be used again, by size, at most mostShelved bytes.
var shelf struct {
	mu   sync.Mutex
	free map[int][]*byte
	held int
	used bool // since tidy looked
}

// tidyTime is how often it is seen to that no memory is held that nobody uses.
const tidyTime = 5 * time.Second

// sizeFor returns how much memory n bytes are put into: a quarter more at most, so that there are few sizes.
func sizeFor(n int) int {
	step := 1 << max(0, bits.Len(uint(n-1))-3)
	return (n + step - 1) &^ (step - 1)
}

// clone copies bytes into memory of their own.
func clone(from []byte) []byte {
	n := len(from)
	if n < leastRecycled {
		return append([]byte(nil), from...)
	}
	size := sizeFor(n)
	p := obtain(size)
	switch {
	case p != nil:
		copy(unsafe.Slice(p, n), from)
	case n == size:
		p = unsafe.SliceData(append([]byte(nil), from...)) // is not cleared before
	default:
		b := make([]byte, size)
		copy(b, from)
		p = &b[0]
	}
	runtime.SetFinalizer(p, func(p *byte) { recycle(p, size) })
	return unsafe.Slice(p, n)
}

// room returns memory of n bytes that hold anything.
func room(n int) []byte {
	if n < leastRecycled {
		return make([]byte, n)
	}
	size := sizeFor(n)
	p := obtain(size)
	if p == nil {
		p = unsafe.SliceData(make([]byte, size))
	}
	runtime.SetFinalizer(p, func(p *byte) { recycle(p, size) })
	return unsafe.Slice(p, n)
}

// obtain returns memory of a size to be used again, nil if there is none.
func obtain(size int) (p *byte) {
	s := &shelf
	s.mu.Lock()
	defer s.mu.Unlock()
	if list := s.free[size]; len(list) > 0 {
		p, list[len(list)-1] = list[len(list)-1], nil
		s.free[size] = list[:len(list)-1]
		s.held -= size
	}
	s.used = true
	return p
}

// recycle takes memory that nobody has any more.
func recycle(p *byte, size int) {
	s := &shelf
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held+size > mostShelved {
		return
	}
	if s.free == nil {
		s.free = map[int][]*byte{}
		time.AfterFunc(tidyTime, tidy)
	}
	s.free[size] = append(s.free[size], p)
	s.held += size
}

// tidy gives up the shelf if nobody has used it for a while.
func tidy() {
	s := &shelf
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used {
		s.used = false
		time.AfterFunc(tidyTime, tidy)
		return
	}
	s.free, s.held = nil, 0
}
