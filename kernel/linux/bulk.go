//go:build linux

package linux

import (
	"math/bits"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/trap"
)

// bulk is out-of-line memory on its way from task to task: in a sealed file, which is handed on without a copy, or in a
// buffer of the kernel's, which is used again, or goes back to the system if it is large. As long as the sender waits in
// its call the bytes stay in its lane, from where they are copied straight to where the receiver has them; the buffer then
// only stands for them. The sender could still change them, as it could have sent others: nobody but the receiver looks at
// them, and it has a copy that stays as it is.
type bulk struct {
	file *passed  // nil for a buffer
	of   *Process // of a large buffer: whose memory it holds
	data []byte   // of a file, or large: mapped; gone when nobody can receive it any more

	mu   sync.Mutex
	lent []byte // in the lane of the sender; nil if the bytes are in data
	by   *lane  // whose lane that is; nil for a file
}

// bring puts what is in the sender's lane into the buffer.
func (b *bulk) bring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill()
}

func (b *bulk) fill() {
	if b.lent != nil {
		copy(b.data, b.lent)
		b.lent, b.by = nil, nil
	}
}

// use lends the bytes, wherever they are.
func (b *bulk) use(f func([]byte)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lent != nil {
		f(b.lent)
		return
	}
	f(b.data)
}

// Sizes of buffers that are used again are powers of two.
const (
	leastBuffer = 12 // bits
	mostBuffer  = 21
)

// Large buffers hold at most so many bytes, those of what one process has sent and all. What is beyond is kept in files.
const (
	largeMost    = 64 << 20
	allLargeMost = 512 << 20
)

// newLarge makes a large buffer that stands for memory in a lane. Its pages are made when it is brought. It is nil if
// the process has too many.
func (l *lane) newLarge(from []byte) *bulk {
	p, n := l.process, int64(len(from))
	if all, own := p.kernel.large.Add(n), p.large.Add(n); all <= allLargeMost && own <= largeMost {
		data, err := unix.Mmap(-1, 0, len(from), unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
		if err == nil {
			unix.Madvise(data, unix.MADV_HUGEPAGE) // fewer pages to make; it does as well without
			b := &bulk{of: p, data: data, lent: from, by: l}
			p.kernel.pages.Store(&data[0], b)
			return b
		}
	}
	p.kernel.large.Add(-n)
	p.large.Add(-n)
	return nil
}

var buffers [mostBuffer + 1]sync.Pool

// newBulk makes a buffer that stands for memory in a lane, or in a file that is mapped. It must get to takeBulk some day.
// Before that memory changes or goes it must be brought.
func (k *Kernel) newBulk(from []byte, by *lane) *bulk {
	class := max(leastBuffer, bits.Len(uint(len(from)-1)))
	b, _ := buffers[class].Get().(*bulk)
	if b == nil {
		b = &bulk{data: make([]byte, 1<<class)}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.data, b.lent, b.by = b.data[:len(from)], from, by
	k.pages.Store(&b.data[0], b)
	return b
}

// bring puts what was lent into the buffer that stands for it.
func (k *Kernel) bring(data []byte) {
	if len(data) == 0 {
		return
	}
	if b, ok := k.pages.Load(&data[0]); ok {
		b.(*bulk).bring()
	}
}

// bring takes care that nothing of the lane's memory is lent any more. A buffer in the list may serve another lane by now.
func (l *lane) bring() {
	for i, b := range l.lent {
		b.mu.Lock()
		if b.by == l {
			b.fill()
		}
		b.mu.Unlock()
		l.lent[i] = nil
	}
	l.lent = l.lent[:0]
}

// giveTime is how long a request waits for memory that the task says it has given.
const giveTime = time.Second

// bulkBox holds files on their way between a lane and its thread.
type bulkBox struct {
	mu   sync.Mutex
	came *sync.Cond
	in   map[uint32]*passed
	out  map[uint32]*passed
	shut bool
}

func (b *bulkBox) init() { b.came = sync.NewCond(&b.mu) }

// putIn keeps a file that the thread gave.
func (b *bulkBox) putIn(index uint32, f *passed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shut {
		f.Close()
		return
	}
	if b.in == nil {
		b.in = map[uint32]*passed{}
	}
	if old := b.in[index]; old != nil {
		old.Close()
	}
	b.in[index] = f
	b.came.Broadcast()
}

// takeIn returns the file that the thread gave for an entry; nil if it gave none. Others work while it waits.
func (b *bulkBox) takeIn(k *Kernel, index uint32) *passed {
	b.mu.Lock()
	f := b.in[index]
	delete(b.in, index)
	b.mu.Unlock()
	if f != nil {
		return f
	}
	defer k.asleep()()
	b.mu.Lock()
	defer b.mu.Unlock()
	late := false
	t := time.AfterFunc(giveTime, func() {
		b.mu.Lock()
		late = true
		b.mu.Unlock()
		b.came.Broadcast()
	})
	defer t.Stop()
	for b.in[index] == nil && !late && !b.shut {
		b.came.Wait()
	}
	f = b.in[index]
	delete(b.in, index)
	return f
}

// putOut keeps a file until the thread takes it.
func (b *bulkBox) putOut(index uint32, f *passed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shut {
		f.Close()
		return
	}
	if b.out == nil {
		b.out = map[uint32]*passed{}
	}
	if old := b.out[index]; old != nil {
		old.Close()
	}
	b.out[index] = f
}

// takeOut returns the file of an entry; nil if there is none.
func (b *bulkBox) takeOut(index uint32) *passed {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.out[index]
	delete(b.out, index)
	return f
}

// clearIn drops what a call was given and did not use; clearOut what the thread did not take.
func (b *bulkBox) clearIn()  { b.clear(&b.in) }
func (b *bulkBox) clearOut() { b.clear(&b.out) }

func (b *bulkBox) clear(m *map[uint32]*passed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, f := range *m {
		f.Close()
		delete(*m, i)
	}
}

func (b *bulkBox) close() {
	b.clearIn()
	b.clearOut()
	b.mu.Lock()
	b.shut = true
	b.mu.Unlock()
	b.came.Broadcast()
}

// memory is the address space of a task for messages: what a thread says it sends is in its lane or in files it gave, and
// what it receives goes the same way.
type memory struct{ kernel *Kernel }

// placed is a piece of memory that the thread is to put into its address space.
type placed struct {
	data []byte
	bulk *bulk
}

// use lends the bytes, wherever they are.
func (p *placed) use(f func([]byte)) {
	if p.bulk != nil {
		p.bulk.use(f)
		return
	}
	f(p.data)
}

// copyTo copies the bytes to where there is room for them.
func (p *placed) copyTo(to []byte) { p.use(func(from []byte) { copy(to, from) }) }

// newFile makes a sealed file of the bytes.
func (p *placed) newFile() (f *os.File, err error) {
	p.use(func(from []byte) { f, err = trap.NewBulk(from) })
	return f, err
}

// CopyIn implements [ipc.Memory].
func (m memory) CopyIn(t *ipc.Thread, addr uint64, size uint32, _ bool) ([]byte, bool) {
	b, ok := m.Lend(t, addr, size)
	if ok {
		m.kernel.bring(b)
	}
	return b, ok
}

// Lend implements [ipc.Lender].
func (m memory) Lend(t *ipc.Thread, addr uint64, size uint32) ([]byte, bool) {
	l := laneOf(t)
	if l == nil {
		return nil, false
	}
	for i := range l.pieces {
		p := &l.pieces[i]
		if p.Address != addr || p.Size != uint64(size) || addr == 0 {
			continue
		}
		p.Address = 0 // each piece serves one descriptor
		if p.Offset != trap.Bulk {
			in := l.mem.In()
			if p.Offset > uint64(len(in)) || p.Size > uint64(len(in))-p.Offset {
				return nil, false
			}
			if p.Size == 0 {
				return nil, true
			}
			l.window(&l.wideIn, int(p.Offset+p.Size))
			return l.lend(in[p.Offset : p.Offset+p.Size])
		}
		b, err := m.kernel.openBulk(l.bulk.takeIn(m.kernel, uint32(i)), p.Size)
		if err != nil {
			l.process.kernel.log.Warn("memory that is no memory", "pid", l.process.PID, "error", err)
			return nil, false
		}
		return b, true
	}
	return nil, false
}

// lend makes a buffer that stands for memory in the lane.
func (l *lane) lend(from []byte) ([]byte, bool) {
	k := l.process.kernel
	var b *bulk
	if len(from) <= trap.InlineMax {
		b = k.newBulk(from, l)
	} else if b = l.newLarge(from); b == nil {
		f, err := trap.NewBulk(from)
		if err != nil {
			return nil, false
		}
		data, err := k.openBulk(l.process.hold(f), uint64(len(from)))
		return data, err == nil
	}
	l.lent = append(l.lent, b)
	return b.data, true
}

// CopyOut implements [ipc.Memory].
func (m memory) CopyOut(t *ipc.Thread, data []byte) (uint64, bool) {
	l := laneOf(t)
	if l == nil || len(l.placed) >= trap.OOLMax-1 { // one entry is for a large message
		return 0, false
	}
	l.placed = append(l.placed, placed{data, m.kernel.takeBulk(data)})
	return trap.Cookie + uint64(len(l.placed)-1), true
}

// copyMost is up to which size memory in a file is copied where the kernel holds many files already, in bytes.
const copyMost = 1 << 20

// openBulk maps a file that a task gave, or copies what is in it if many files are open for the task.
func (k *Kernel) openBulk(f *passed, size uint64) ([]byte, error) {
	if f == nil || f.File == nil {
		return nil, os.ErrNotExist
	}
	data, err := trap.MapBulk(f.File, size)
	if err != nil {
		f.Close()
		return nil, err
	}
	if size <= copyMost && f.many() {
		own := k.newBulk(data, nil)
		own.bring()
		trap.UnmapBulk(data)
		f.Close()
		return own.data, nil
	}
	k.pages.Store(&data[0], &bulk{file: f, data: data})
	return data, nil
}

// takeBulk returns the file behind memory, which from now on is the caller's; nil if there is none.
func (k *Kernel) takeBulk(data []byte) *bulk {
	if len(data) == 0 {
		return nil
	}
	b, ok := k.pages.LoadAndDelete(&data[0])
	if !ok {
		return nil
	}
	return b.(*bulk)
}

// release gives up memory that nobody received.
func (k *Kernel) release(data []byte) {
	if b := k.takeBulk(data); b != nil {
		b.close()
	}
}

func (b *bulk) close() {
	switch {
	case b.of != nil:
		b.mu.Lock()
		n := int64(len(b.data))
		unix.Munmap(b.data)
		b.data, b.lent, b.by = nil, nil, nil
		b.mu.Unlock()
		b.of.large.Add(-n)
		b.of.kernel.large.Add(-n)
		return
	case b.file == nil:
		b.mu.Lock()
		b.data, b.lent, b.by = b.data[:cap(b.data)], nil, nil
		b.mu.Unlock()
		buffers[bits.Len(uint(cap(b.data)-1))].Put(b)
		return
	}
	trap.UnmapBulk(b.data)
	b.file.Close()
}

// A lane may keep narrowLane bytes each way. What a process uses beyond, it keeps as long as that is not more than
// wideMost for all its lanes together: the memory is the system's, and a task must not hold it by having used it once.
const (
	narrowLane = 64 << 10
	wideMost   = 64 << 20
)

// window takes down that n bytes of a lane's memory are in use.
func (l *lane) window(wide *int, n int) {
	if n -= narrowLane; n > *wide {
		l.process.wide.Add(int64(n - *wide))
		*wide = n
	}
}

// narrow gives memory that the lane does not use now back to the system if the process has too much of it.
func (l *lane) narrow(wide *int, part []byte) {
	if *wide == 0 || l.process.wide.Load() <= wideMost {
		return
	}
	unix.Madvise(part[narrowLane:], unix.MADV_REMOVE)
	l.process.wide.Add(-int64(*wide))
	*wide = 0
}
