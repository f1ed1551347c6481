//go:build linux

package linux_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"portcullis.dev/trap"
)

// confineVariable makes this test program confine itself before it does anything.
const confineVariable = "PORTCULLIS_TEST_CONFINE"

// Ways to be confined.
const (
	noTracing = "no tracing" // the system calls that look at other processes fail, as in many containers
	hidden    = "hidden"     // processes do not let themselves be looked at (PR_SET_DUMPABLE)
)

func confine(how string) error {
	switch how {
	case hidden:
		return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	case noTracing:
		return denyTracing()
	}
	return nil
}

// denyTracing makes ptrace and process_vm_readv and their like fail in this process and its children.
func denyTracing() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	const errno, allow, synchronize, filterMode = 0x50000, 0x7fff0000, 1, 1
	deny := []uint32{unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV}
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}}
	for i, n := range deny {
		filter = append(filter, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(len(deny) - i), K: n})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET, K: allow},
		unix.SockFilter{Code: unix.BPF_RET, K: errno | uint32(unix.EPERM)})
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, filterMode, synchronize, uintptr(unsafe.Pointer(&prog))); e != 0 {
		return fmt.Errorf("seccomp: %w", e)
	}
	b := make([]byte, 1)
	iov := []unix.Iovec{{Base: &b[0], Len: 1}}
	_, err := unix.ProcessVMReadv(os.Getpid(), iov, []unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(&b[0])), Len: 1}}, 0)
	if !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("process_vm_readv: %v, want EPERM", err)
	}
	return nil
}

// again runs tests of this program in a process of its own, confined, as a user.
func again(t *testing.T, how string, uid uint32, tests string) {
	dir, err := os.MkdirTemp("", "confined-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "test")
	if err := copyProgram(os.Args[0], program); err != nil {
		t.Fatal(err)
	}
	os.Chmod(dir, 0o755)
	tmp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^("+tests+")$", "-test.v")
	cmd.Env = append(os.Environ(), confineVariable+"="+how, "TMPDIR="+tmp)
	if uid != uint32(os.Geteuid()) {
		if err := os.Chown(tmp, int(uid), int(uid)); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}

// nobody is a user without privileges.
const nobody = 65534

// TestConfined runs kernel and tasks where Linux allows them less.
func TestConfined(t *testing.T) {
	if os.Getenv(confineVariable) != "" {
		t.Skip("confined already")
	}
	uid := uint32(os.Geteuid())
	t.Run(noTracing, func(t *testing.T) {
		again(t, noTracing, uid, "TestTalk|TestFileports|TestFaults|TestUnhandledFaults|TestStopping|TestTwoKernels")
	})
	for _, how := range []string{"unprivileged", hidden} {
		t.Run(how, func(t *testing.T) {
			who := uid
			if uid == 0 {
				who = nobody
			}
			again(t, how, who, "TestTalk|TestFileports|TestTwoKernels")
		})
	}
}

// TestTwoKernels runs two kernels side by side: what one has, the other does not know.
func TestTwoKernels(t *testing.T) {
	one, other := newWorld(t, 0x402, nil), newWorld(t, 0x402, nil)
	one.service("echo")
	other.service("echo")
	for range 3 {
		a, b := one.start("ping"), other.start("ping")
		a.hears("ready")
		b.hears("ready")
		a.tell("50")
		b.tell("50")
		a.hears("done")
		b.hears("done")
		if one.Find(b.cmd.Process.Pid) != nil || other.Find(a.cmd.Process.Pid) != nil {
			t.Error("a process is a task of the other's kernel")
		}
	}
	if n, m := len(one.Processes()), len(other.Processes()); n != 4 || m != 4 {
		t.Errorf("%d and %d tasks", n, m)
	}
	// The end of one is nothing to the other.
	a := other.start("ping", trap.Environment+"="+one.path)
	a.hears("ready")
	if one.Find(a.cmd.Process.Pid) == nil {
		t.Error("a process is no task of the kernel that it was told of last")
	}
}
