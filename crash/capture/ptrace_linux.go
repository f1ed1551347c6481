//go:build amd64 || arm64

package capture

import (
	"context"
	"errors"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"portcullis.dev/crash/unwind"
)

// tracees are threads that were stopped.
type tracees struct {
	registers map[int]unwind.Registers
	err       error // why some were not

	free chan struct{}
	gone chan struct{}
}

// stop stops threads and reads their registers. Threads that known reports are stopped too where that is allowed, so
// that their stacks stand still, but their registers are not read. release lets all run on.
//
// Everything that ptrace does has to come from one thread, which is kept for it; when it ends, the kernel lets go of
// all that it still holds.
func stop(ctx context.Context, tids []int, known func(tid int) bool) *tracees {
	t := &tracees{registers: map[int]unwind.Registers{}, free: make(chan struct{}), gone: make(chan struct{})}
	ready := make(chan struct{})
	go func() {
		defer close(t.gone)
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		held := t.seize(ctx, tids, known)
		close(ready)
		<-t.free
		for _, tid := range held {
			_ = unix.PtraceDetach(tid) // fails where the thread has ended
		}
	}()
	<-ready
	return t
}

// release lets the threads run on.
func (t *tracees) release() {
	if t.free != nil {
		close(t.free)
		<-t.gone
	}
}

// slack is how much of the time is left for what follows.
const slack = 4

func (t *tracees) seize(ctx context.Context, tids []int, known func(tid int) bool) (held []int) {
	deadline, _ := ctx.Deadline()
	deadline = deadline.Add(-time.Until(deadline) / slack)
	for _, tid := range tids {
		if err := unix.PtraceSeize(tid); err != nil {
			t.failed(err)
			continue
		}
		held = append(held, tid)
		if err := unix.PtraceInterrupt(tid); err != nil {
			t.failed(err)
		}
	}
	for _, tid := range held {
		if err := await(tid, deadline); err != nil {
			t.failed(err)
			continue
		}
		if known(tid) {
			continue
		}
		r, err := registers(tid)
		if err != nil {
			t.failed(err)
			continue
		}
		t.registers[tid] = r
	}
	return held
}

func (t *tracees) failed(err error) {
	if t.err == nil && !errors.Is(err, unix.ESRCH) { // a thread that has ended is no problem
		t.err = err
	}
}

// await waits until a thread has stopped. It takes no notice of its death, which belongs to its parent.
func await(tid int, deadline time.Time) error {
	const longest = 5 * time.Millisecond
	for wait := 20 * time.Microsecond; ; wait = min(2*wait, longest) {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, tid, &info, unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if err == nil && info.Signo != 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("a thread did not stop in time")
		}
		time.Sleep(wait)
	}
}
