package ipc

import (
	"sync"
	"testing"
	"time"

	"portcullis.dev/mach"
)

// memory is a task's address space for tests: buffers by address.
type memory struct {
	mu   sync.Mutex
	next uint64
	bufs map[uint64][]byte
}

func newMemory() *memory { return &memory{next: 0x1000, bufs: map[uint64][]byte{}} }

func (m *memory) put(b []byte) uint64 {
	addr, _ := m.CopyOut(nil, b)
	return addr
}

func (m *memory) CopyIn(_ *Thread, addr uint64, size uint32, deallocate bool) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.bufs[addr]
	if !ok || len(b) < int(size) {
		return nil, false
	}
	if deallocate {
		delete(m.bufs, addr)
		return b[:size], true
	}
	return append([]byte(nil), b[:size]...), true
}

func (m *memory) CopyOut(_ *Thread, b []byte) (uint64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	addr := m.next
	m.next += 0x1000
	m.bufs[addr] = b
	return addr, true
}

type realClock struct{}

func (realClock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// task is a task with one thread.
type testTask struct {
	tb testing.TB
	*Space
	t   *Thread
	mem *memory
}

func newTask(tb testing.TB, k *Kernel, pid uint32) *testTask {
	mem := newMemory()
	s := k.NewSpace(SpaceConfig{Memory: mem, Identity: Identity{Security: [2]uint32{501, 20},
		Audit: mach.AuditToken{5: pid}}})
	return &testTask{tb, s, s.NewThread(nil), mem}
}

func (t *testTask) ok(kr mach.KernReturn) {
	t.tb.Helper()
	if kr != 0 {
		t.tb.Fatalf("got %v", kr)
	}
}

func (t *testTask) want(kr, want mach.KernReturn) {
	t.tb.Helper()
	if kr != want {
		t.tb.Fatalf("got %v, want %v", kr, want)
	}
}

// port makes a receive right with a send right beside it.
func (t *testTask) port() mach.Name {
	t.tb.Helper()
	n, kr := t.Allocate(t.t, mach.RightReceive)
	t.ok(kr)
	t.ok(t.InsertRight(t.t, n, n, mach.MakeSend))
	return n
}

func (t *testTask) receiveRight() mach.Name {
	t.tb.Helper()
	n, kr := t.Allocate(t.t, mach.RightReceive)
	t.ok(kr)
	return n
}

// give puts a right of t's into another task and returns its name there.
func (t *testTask) give(to *testTask, n mach.Name, d mach.Disposition) mach.Name {
	t.tb.Helper()
	got, _, kr := t.ExtractRight(to.t, n, d)
	t.ok(kr)
	return got
}

// message builds a message: header, descriptors if any, inline data.
func message(bits mach.Bits, remote, local mach.Name, id int32, body []byte, descs ...mach.Descriptor) []byte {
	b := make([]byte, 0, 128)
	h := mach.Header{Bits: bits, Remote: remote, Local: local, ID: id}
	if len(descs) > 0 {
		h.Bits |= mach.BitsComplex
	}
	b = b[:mach.HeaderSize]
	h.Encode(b)
	if len(descs) > 0 {
		b = append(b, byte(len(descs)), byte(len(descs)>>8), 0, 0)
		for _, d := range descs {
			var buf [16]byte
			b = append(b, buf[:d.Encode(buf[:])]...)
		}
	}
	return append(b, body...)
}

func (t *testTask) sendBytes(b []byte, o mach.Option) mach.KernReturn {
	return t.t.Msg2(&Args{Options: mach.SendMsg | mach.SendTimeout | mach.SendMQCall | o, Send: b})
}

// send sends a simple message without waiting.
func (t *testTask) send(to mach.Name, d mach.Disposition, id int32, descs ...mach.Descriptor) mach.KernReturn {
	return t.sendBytes(message(mach.MakeBits(d, 0, 0), to, 0, id, nil, descs...), 0)
}

// received is a message as a test looks at it.
type received struct {
	mach.Header
	descs   []mach.Descriptor
	body    []byte
	trailer mach.Trailer
}

// receive receives without waiting.
func (t *testTask) receive(n mach.Name, o mach.Option) (received, mach.KernReturn) {
	buf := make([]byte, 4096)
	kr := t.t.Msg2(&Args{Options: mach.RcvMsg | mach.RcvTimeout | mach.TrailerCtx<<24 | o, Receive: n, Buffer: buf,
		BufferAt: 0xbeef0000})
	var r received
	r.Decode(buf)
	if kr != 0 && kr&^mach.MsgMask != mach.RcvBodyError {
		return r, kr
	}
	i := mach.HeaderSize
	if r.Bits&mach.BitsComplex != 0 {
		n := int(buf[i])
		i += mach.BodySize
		for range n {
			var d mach.Descriptor
			i += d.Decode(buf[i:])
			r.descs = append(r.descs, d)
		}
	}
	r.body = buf[i:r.Size]
	r.trailer.Decode(buf[r.Size:])
	return r, kr
}

// expect receives a message with an id.
func (t *testTask) expect(n mach.Name, id int32) received {
	t.tb.Helper()
	r, kr := t.receive(n, 0)
	if kr != 0 || r.ID != id {
		t.tb.Fatalf("received id %d with %v, want %d", r.ID, kr, id)
	}
	return r
}

func (t *testTask) nothing(n mach.Name) {
	t.tb.Helper()
	if r, kr := t.receive(n, 0); kr != mach.RcvTimedOut {
		t.tb.Fatalf("received id %d with %v, want nothing", r.ID, kr)
	}
}

func (t *testTask) hasType(n mach.Name, want mach.RightType) {
	t.tb.Helper()
	if got, kr := t.Type(t.t, n); kr != 0 || got != want {
		t.tb.Fatalf("%v denotes %v (%v), want %v", n, got, kr, want)
	}
}

func (t *testTask) hasRefs(n mach.Name, r mach.Right, want uint32) {
	t.tb.Helper()
	if got, kr := t.References(t.t, n, r); kr != 0 || got != want {
		t.tb.Fatalf("%v has %d references for %v (%v), want %d", n, got, r, kr, want)
	}
}

// atZero ends tasks and checks that nothing is left in the kernel.
func atZero(tb testing.TB, k *Kernel, tasks ...*testTask) {
	tb.Helper()
	for _, t := range tasks {
		t.Terminate()
	}
	if s := k.Stats(); s != (Stats{}) {
		tb.Fatalf("left behind: %+v", s)
	}
}
