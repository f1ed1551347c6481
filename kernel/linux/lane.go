//go:build linux

package linux

import (
	"sync/atomic"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/trap"
)

// lane is a thread of a process, as far as its calls go.
type lane struct {
	process *Process
	index   uint32
	tid     int
	thread  *object.Thread
	mem     *trap.Memory
	c       *trap.Control

	owner atomic.Uint32
	over  atomic.Bool // the thread or the process has ended
	seen  uint32      // the request that was taken last
	code  mach.KernReturn

	request request
	args    ipc.Args
	grown   func(int) []byte // grow and wakeup, made once
	wake    func()
	result  [8]uint64
	in      []byte // copies of what the task sent
	out     []byte // what it gets
	pieces  []trap.Piece
	placed  []placed // out-of-line memory on its way to the task
	lent    []*bulk  // that may stand for memory in what goes in
	wideIn  int      // how much of the shared memory has been in use
	wideOut int
	bulk    bulkBox
	looks   trap.Patience
}

// request is a private copy of what the task asks for.
type request struct {
	op    trap.Op
	args  [12]uint64
	size  uint32
	count uint32
}

// take copies the request out of the task's reach; false if it is out of bounds.
func (l *lane) take() bool {
	l.seen = atomic.LoadUint32(&l.c.Posted)
	r := &l.request
	r.op, r.args, r.size, r.count = l.c.Op, l.c.Args, l.c.InSize, l.c.OOLCount
	if r.size > trap.InSize || r.count > trap.OOLMax {
		return false
	}
	l.window(&l.wideIn, int(r.size))
	look := min(r.size, trap.RequestMax)
	if r.op == trap.OpMsg2 {
		look = uint32(min(uint64(look), (r.args[6]+7)&^7+r.args[7])) // the rest is memory out of line
	}
	l.in = append(l.in[:0], l.mem.In()[:look]...)
	l.pieces = append(l.pieces[:0], l.c.OOLIn[:r.count]...)
	return true
}

// answer gives the lane back to the task.
func (l *lane) answer(kind uint32) {
	c := l.c
	c.Answer = kind
	atomic.AddUint32(&c.Done, 1)
	if atomic.LoadUint32(&c.TaskWaits) != 0 {
		trap.FutexWake(&c.Done)
	}
}
