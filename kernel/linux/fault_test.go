//go:build linux && amd64

package linux_test

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"portcullis.dev/kernel/exception"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/linux"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/mach/state"
	"portcullis.dev/trap"
)

// faulter is a C process that faults, and a task in this process that handles.
type faulter struct {
	*world
	*actor
	process   *linux.Process
	task      *object.Task
	th        *object.Thread
	port      mach.Name
	elsewhere uint64
	crashed   chan exception.Exception
}

func newFaulter(t testing.TB) *faulter {
	program := filepath.Join(t.TempDir(), "fault")
	cmd := exec.Command("cc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-I", filepath.Join("..", "..", "sdk", "libmach"), "-o",
		program, filepath.Join("testdata", "peers", "fault.c"), "-pthread")
	if out, err := cmd.CombinedOutput(); err != nil {
		if len(out) == 0 && os.Getenv("REQUIRE_TOOLCHAIN") == "" {
			t.Skipf("SKIPPED: no C compiler: %v", err)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	f := &faulter{crashed: make(chan exception.Exception, 1)}
	f.world = newWorld(t, restrict.Default, func(c *linux.Config) {
		c.Crashed = func(x *linux.Fault) { f.crashed <- x.Exception }
	})
	started := make(chan *linux.Process, 1)
	f.whenStarted(func(p *linux.Process) { started <- p })
	run := exec.Command(program)
	run.Env = append(os.Environ(), trap.Environment+"="+f.path)
	f.actor = f.launch(run)
	at, err := strconv.ParseUint(f.hears("elsewhere is ")[2:], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	f.elsewhere, f.process = at, <-started
	if f.task, err = f.NewTask(object.TaskConfig{PID: 1 << 30, Restrict: restrict.NewTask(restrict.Default)}); err != nil {
		t.Fatal(err)
	}
	f.th, _ = f.task.NewThread(object.MainThread, nil, nil)
	f.port, _ = f.task.Space.Allocate(f.th.IPC, mach.RightReceive)
	f.ok(f.task.Space.InsertRight(f.th.IPC, f.port, f.port, mach.MakeSend))
	return f
}

func (f *faulter) ok(kr mach.KernReturn) {
	f.world.Helper()
	if kr != 0 {
		f.Fatal(kr)
	}
}

// handle registers the handler's port for the process.
func (f *faulter) handle(mask mach.ExceptionMask, b mach.ExceptionBehavior) {
	f.world.Helper()
	p, kr := f.task.Space.SendPort(f.port)
	f.ok(kr)
	f.ok(f.process.Task.SetExceptionPorts(f.th, object.ExceptionAction{Mask: mask, Port: p.CopySend(),
		Behavior: b | mach.MachExceptionCodes, Flavor: state.X86ThreadState64}))
}

// receive takes the next exception.
func (f *faulter) receive() []byte {
	f.world.Helper()
	b := make([]byte, 4096)
	late := time.AfterFunc(20*time.Second, f.th.IPC.Interrupt)
	defer late.Stop()
	f.ok(f.th.IPC.Msg2(&ipc.Args{Options: mach.RcvMsg, Receive: f.port, Buffer: b}))
	return b
}

// reply answers it, with registers if there are any.
func (f *faulter) reply(m []byte, kr mach.KernReturn, words []byte) {
	f.world.Helper()
	var h mach.Header
	h.Decode(m)
	b := make([]byte, mach.HeaderSize, 512)
	(&mach.Header{Bits: mach.MakeBits(mach.MoveSendOnce, 0, 0), Remote: h.Remote, ID: h.ID + 100}).Encode(b)
	b = append(b, 0, 0, 0, 0, 1, 0, 0, 0, byte(kr), 0, 0, 0)
	if words != nil {
		b = binary.LittleEndian.AppendUint32(b, state.X86ThreadState64)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(words)/4))
		b = append(b, words...)
	}
	f.ok(f.th.IPC.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendMQCall, Send: b}))
}

const stateAt = 64 // of the registers in a mach_exception_raise_state

// told are type, code and subcode of a mach_exception_raise_state.
func told(m []byte) exception.Exception {
	return exception.Exception{Type: mach.ExceptionType(binary.LittleEndian.Uint32(m[32:])),
		Code: int64(binary.LittleEndian.Uint64(m[40:])), Subcode: int64(binary.LittleEndian.Uint64(m[48:]))}
}

// TestFaults: what a process does becomes the exception that macOS raises, and it goes on as the handler says.
func TestFaults(t *testing.T) {
	f := newFaulter(t)
	f.handle(mach.ExcMaskAll, mach.ExceptionState)
	for _, tt := range []struct {
		word string
		want exception.Exception
		skip uint64 // bytes of the instruction
	}{
		{"trap", exception.Exception{Type: mach.ExcBreakpoint, Code: 2}, 0},
		{"illegal", exception.Exception{Type: mach.ExcBadInstruction, Code: 1}, 2},
		{"access", exception.Exception{Type: mach.ExcBadAccess, Code: 1, Subcode: 0x10}, 0},
	} {
		f.tell("%s", tt.word)
		m := f.receive()
		if got := told(m); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.word, got, tt.want)
		}
		words := m[stateAt : stateAt+168]
		pc := binary.LittleEndian.Uint64(words[128:])
		if tt.word == "access" {
			pc = f.elsewhere
			sp := binary.LittleEndian.Uint64(words[56:])
			binary.LittleEndian.PutUint64(words[56:], sp&^15-256-8)
		}
		binary.LittleEndian.PutUint64(words[128:], pc+tt.skip)
		f.reply(m, 0, words)
		if tt.word == "access" {
			f.hears("elsewhere")
		} else {
			f.hears("done")
		}
	}
	if s := f.ends(); !s.Success() {
		t.Error(s)
	}
}

// TestUnhandledFaults: the process dies of the signal, the crash is told, and EXC_CRASH with it.
func TestUnhandledFaults(t *testing.T) {
	for _, tt := range []struct {
		word   string
		signal syscall.Signal
		want   exception.Exception
	}{
		{"access", syscall.SIGSEGV, exception.Exception{Type: mach.ExcBadAccess, Code: 1, Subcode: 0x10}},
		{"divide", syscall.SIGFPE, exception.Exception{Type: mach.ExcArithmetic, Code: 1}},
		{"abort", syscall.SIGABRT, exception.Exception{}},
	} {
		t.Run(tt.word, func(t *testing.T) {
			f := newFaulter(t)
			f.handle(mach.ExcMaskAll|mach.ExcCrash.Mask(), mach.ExceptionState)
			f.tell("%s", tt.word)
			if tt.want.Type != 0 {
				m := f.receive()
				if got := told(m); got != tt.want {
					t.Errorf("%v, want %v", got, tt.want)
				}
				f.reply(m, mach.KernFailure, nil)
			}
			m := f.receive()
			if got := told(m); got != exception.Crash(exception.OfLinux(int32(tt.signal)), tt.want) {
				t.Errorf("%v", got)
			}
			f.reply(m, mach.KernFailure, nil)
			if got := <-f.crashed; got != tt.want {
				t.Errorf("told %v, want %v", got, tt.want)
			}
			if s := f.ends().Sys().(syscall.WaitStatus); s.Signal() != tt.signal {
				t.Errorf("ended by %v", s)
			}
		})
	}
}

// TestHandlerEnds: the process whose handler ends dies of its fault.
func TestHandlerEnds(t *testing.T) {
	f := newFaulter(t)
	f.handle(mach.ExcMaskAll, mach.ExceptionState)
	f.tell("access")
	f.receive()
	f.task.Terminate()
	<-f.crashed
	if s := f.ends().Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGSEGV {
		t.Errorf("ended by %v", s)
	}
}

// threads returns the threads of the process: all of them, whether they ever called the kernel or not.
func (f *faulter) threads() (all []*object.Thread) {
	f.world.Helper()
	rights, kr := f.process.Task.Threads(f.process.Task, object.Control)
	f.ok(kr)
	for _, p := range rights {
		all = append(all, f.ThreadUnjudged(p, object.Control))
		p.ReleaseSend()
	}
	return all
}

// TestStopping: a thread that never called the kernel stops, shows its registers, and goes on.
func TestStopping(t *testing.T) {
	f := newFaulter(t)
	main := f.threads()
	f.tell("spin")
	f.hears("spinning")
	all := f.threads()
	if len(main) != 1 || len(all) != 2 {
		t.Fatalf("%d threads, then %d", len(main), len(all))
	}
	spinner := all[0]
	if spinner == main[0] {
		spinner = all[1]
	}
	for _, stopped := range []bool{true, false} {
		change, want := (*object.Thread).Resume, "turns: yes"
		if stopped {
			change, want = (*object.Thread).Suspend, "turns: no"
		}
		f.ok(change(spinner))
		words, kr := spinner.GetState(state.X86ThreadState64, 42)
		f.ok(kr)
		if pc := uint64(words[32]) | uint64(words[33])<<32; pc < f.elsewhere-0x2000 || pc > f.elsewhere+0x2000 {
			t.Errorf("pc %#x is not in the program, which is at %#x", pc, f.elsewhere)
		}
		f.tell("turns")
		f.hears(want)
	}
	f.ok(f.process.Task.Suspend())
	f.tell("turns")
	time.Sleep(30 * time.Millisecond)
	f.ok(f.process.Task.Resume()) // nothing was said before
	f.hears("turns: yes")
	f.in.Close()
	if s := f.ends(); !s.Success() {
		t.Error(s)
	}
}

// TestSuspendedFault: a thread that faults in a suspended task, or is suspended while its handler is asked, goes on when
// it is resumed.
func TestSuspendedFault(t *testing.T) {
	f := newFaulter(t)
	f.handle(mach.ExcBreakpoint.Mask(), mach.ExceptionState)
	f.tell("trap")
	m := f.receive()
	f.ok(f.process.Task.Suspend())
	words := m[stateAt : stateAt+168]
	f.reply(m, 0, words)
	time.Sleep(20 * time.Millisecond)
	th := f.threads()[0]
	if _, kr := th.GetState(state.X86ThreadState64, 42); kr != 0 {
		t.Errorf("registers of a suspended thread: %v", kr)
	}
	f.ok(f.process.Task.Resume())
	f.hears("done")
	f.in.Close()
	if s := f.ends(); !s.Success() {
		t.Error(s)
	}
}

// BenchmarkFault is a breakpoint of a process that a handler in the kernel's own process handles: a signal, a packet, an
// exception message and its answer, a futex.
func BenchmarkFault(b *testing.B) {
	f := newFaulter(b)
	f.handle(mach.ExcBreakpoint.Mask(), mach.ExceptionState)
	b.ResetTimer()
	f.tell("traps %d", b.N)
	for range b.N {
		m := f.receive()
		f.reply(m, 0, m[stateAt:stateAt+168])
	}
	f.hears("done")
	b.StopTimer()
	f.in.Close()
	f.ends()
}
