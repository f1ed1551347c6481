package xpc

import (
	"fmt"
	"sync"
)

// Arena is memory of a task that has no addresses of its own to send out of line: pieces with made-up ones. The zero
// value is empty.
type Arena struct {
	mu     sync.Mutex
	next   uint64
	pieces map[uint64][]byte
}

// Store keeps b and returns the address under which it is found.
func (a *Arena) Store(b []byte) (uint64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pieces == nil {
		a.pieces, a.next = make(map[uint64][]byte), 1<<32
	}
	at := a.next
	a.next += uint64(len(b)+0xfff)&^0xfff + 0x1000
	a.pieces[at] = b
	return at, nil
}

// Load returns the first size bytes of the piece at an address and forgets it.
func (a *Arena) Load(at uint64, size int) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b, ok := a.pieces[at]
	if !ok || len(b) < size {
		return nil, fmt.Errorf("there are no %d bytes at %#x", size, at)
	}
	delete(a.pieces, at)
	return b[:size], nil
}

// Put puts back at its address what Load returned.
func (a *Arena) Put(at uint64, b []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pieces[at] = b
}

// Len returns how many pieces there are.
func (a *Arena) Len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.pieces)
}
