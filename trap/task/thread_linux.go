package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"portcullis.dev/mach"
	"portcullis.dev/trap"
)

// Thread is a Mach thread of the task. It makes one call at a time.
type Thread struct {
	task  *Task
	index uint32
	mem   *trap.Memory
	c     *trap.Control
	looks trap.Patience

	self   mach.Name // of the task
	reply  mach.Name // reply port, made when first needed
	pieces []trap.Piece
	given  []*os.File
	used   int
	large  bool // it has sent more memory than trap.InlineMax before
}

// NewThread makes a Mach thread.
func (t *Task) NewThread() (*Thread, error) {
	f, answer, err := t.ask(&trap.Packet{Kind: trap.Lane})
	if err != nil {
		return nil, fmt.Errorf("making a Mach thread: %w", err)
	}
	if f == nil {
		return nil, fmt.Errorf("making a Mach thread: %w: no lane", trap.ErrPacket)
	}
	mem, err := trap.MapMemory(f, trap.LaneSize)
	f.Close()
	if err != nil {
		return nil, fmt.Errorf("making a Mach thread: %w", err)
	}
	mem.File = nil
	return &Thread{task: t, index: answer.B, mem: mem, c: mem.Control()}, nil
}

// Task returns the thread's task.
func (th *Thread) Task() *Task { return th.task }

// Close ends the Mach thread.
func (th *Thread) Close() {
	th.call(trap.OpThreadEnds, nil)
	th.mem.Close()
}

// aliveTime is how often a thread that waits looks whether the kernel is still there.
const aliveTime = time.Second

// ErrGone is returned where the kernel has ended.
var ErrGone = errors.New("the kernel has ended")

// post gives the lane to the kernel.
func (th *Thread) post() error {
	c := th.c
	atomic.AddUint32(&c.Posted, 1)
	switch atomic.SwapUint32(&c.KernelState, trap.KernelAwake) {
	case trap.KernelFutex:
		trap.FutexWake(&c.Posted)
	case trap.KernelAsleep:
		return th.task.socket.Send(&trap.Packet{Kind: trap.Doorbell, A: th.index}, nil)
	}
	return nil
}

// wait sleeps until the kernel has answered.
func (th *Thread) wait(done uint32) error {
	c := th.c
	if th.looks.Look(&c.Done, done) {
		return nil
	}
	for atomic.LoadUint32(&c.Done) == done {
		atomic.StoreUint32(&c.TaskWaits, 1)
		if atomic.LoadUint32(&c.Done) == done {
			trap.FutexWait(&c.Done, done, aliveTime)
		}
		if atomic.LoadUint32(&c.Done) == done && th.task.hungUp() {
			return ErrGone
		}
	}
	atomic.StoreUint32(&c.TaskWaits, 0)
	return nil
}

// hungUp says that the kernel has closed the connection.
func (t *Task) hungUp() (gone bool) {
	raw, err := t.socket.Conn.SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, _ := unix.Poll(p, 0)
		gone = n > 0 && p[0].Revents&(unix.POLLRDHUP|unix.POLLHUP|unix.POLLERR) != 0
	})
	return gone || err != nil
}

// call makes one call with what was put into the lane: payload of the given size, pieces.
func (th *Thread) call(op trap.Op, in []byte, args ...uint64) error {
	c := th.c
	c.Op = op
	c.InSize = uint32(copy(th.mem.In()[:max(th.used, len(in))], in))
	if th.used > 0 {
		c.InSize = uint32(th.used)
	}
	c.OOLCount = uint32(copy(c.OOLIn[:], th.pieces))
	clear(c.Args[:])
	copy(c.Args[:], args)
	for i, f := range th.given {
		if f == nil {
			continue
		}
		err := th.task.socket.Send(&trap.Packet{Kind: trap.Give, A: th.index, B: uint32(i)}, f)
		f.Close()
		th.given[i] = nil
		if err != nil {
			return err
		}
	}
	th.pieces, th.given, th.used = th.pieces[:0], th.given[:0], 0
	for {
		done := atomic.LoadUint32(&c.Done)
		if err := th.post(); err != nil {
			return err
		}
		if err := th.wait(done); err != nil {
			return err
		}
		switch c.Answer {
		case trap.AnswerDone:
			return nil
		case trap.AnswerDying:
			th.die()
		default:
			// What is asked of memory that Go manages is refused.
			c.Op, c.InSize, c.OOLCount = trap.OpUpcallDone, 0, 0
			c.Args[0] = uint64(unix.ENOSYS)
		}
	}
}

// Frame is a frame of a backtrace as the kernel is told.
type Frame struct {
	PC       uint64 `json:"pc"`
	Function string `json:"function,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
}

// die puts the caller's backtrace into the lane. If the kernel kills the process this is the last that it does.
func (th *Thread) die() {
	var pcs [128]uintptr
	n := runtime.Callers(2, pcs[:])
	frames := runtime.CallersFrames(pcs[:n])
	var all []Frame
	for {
		f, more := frames.Next()
		all = append(all, Frame{uint64(f.PC), f.Function, f.File, f.Line})
		if !more {
			break
		}
	}
	b, err := json.Marshal(all)
	for err == nil && len(b) > trap.RequestMax && len(all) > 0 {
		all = all[:len(all)/2]
		b, err = json.Marshal(all)
	}
	th.c.Op, th.c.OOLCount = trap.OpBacktrace, 0
	th.c.InSize = uint32(copy(th.mem.In(), b))
}

// value makes a call that returns a code and a value.
func (th *Thread) value(op trap.Op, what string, args ...uint64) (uint64, error) {
	if err := th.call(op, nil, args...); err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	if kr := mach.KernReturn(int32(th.c.Result[0])); kr != 0 {
		return 0, fmt.Errorf("%s: %w", what, kr)
	}
	return th.c.Result[1], nil
}

// name makes a call that returns a name.
func (th *Thread) name(op trap.Op, what string, args ...uint64) (mach.Name, error) {
	if err := th.call(op, nil, args...); err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	n := mach.Name(th.c.Result[0])
	if n == 0 {
		return 0, fmt.Errorf("%s: %w", what, mach.KernResourceShortage)
	}
	return n, nil
}

// interruptible lets the end of a context interrupt the call that is made before stop is called.
func (th *Thread) interruptible(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() {
		th.task.socket.Send(&trap.Packet{Kind: trap.Interrupt, A: th.index}, nil)
	})
}
