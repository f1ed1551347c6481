package client

import (
	"sync"

	"portcullis.dev/kernel/ipc"
)

// Memory is an address space of Go slices: each has an address. It keeps what was put in until it is taken out.
type Memory struct {
	mu     sync.Mutex
	next   uint64
	pieces map[uint64][]byte
}

var _ ipc.Memory = (*Memory)(nil)

// page is the distance of pieces, at least.
const page = 0x1000

// Put gives a slice an address.
func (m *Memory) Put(b []byte) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pieces == nil {
		m.pieces, m.next = map[uint64][]byte{}, page
	}
	at := m.next
	m.next += (uint64(len(b))/page + 1) * page
	m.pieces[at] = b
	return at
}

// Take removes the slice at an address; nil if there is none.
func (m *Memory) Take(at uint64) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.pieces[at]
	delete(m.pieces, at)
	return b
}

// Len returns how many slices there are.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.pieces)
}

// CopyIn implements [ipc.Memory].
func (m *Memory) CopyIn(_ *ipc.Thread, at uint64, size uint32, deallocate bool) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.pieces[at]
	if !ok || uint64(len(b)) < uint64(size) {
		return nil, false
	}
	if deallocate {
		delete(m.pieces, at)
		return b[:size:size], true
	}
	return append([]byte(nil), b[:size]...), true
}

// CopyOut implements [ipc.Memory].
func (m *Memory) CopyOut(t *ipc.Thread, b []byte) (uint64, bool) {
	return m.Put(t.Space().Kernel().Keep(b)), true
}
