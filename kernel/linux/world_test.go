//go:build linux

package linux_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portcullis.dev/kernel/linux"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/trap"
)

// roleVariable makes this test program play a part instead of testing.
const roleVariable = "PORTCULLIS_TEST_ROLE"

// roles are what the test program can be as a process of its own. They say what they see on standard output.
var roles = map[string]func(say func(string, ...any)) error{}

func TestMain(m *testing.M) {
	if err := confine(os.Getenv(confineVariable)); err != nil {
		fmt.Println("error: cannot be confined:", err)
		os.Exit(1)
	}
	if role := os.Getenv(roleVariable); role != "" {
		say := func(f string, a ...any) { fmt.Printf(f+"\n", a...) }
		if err := roles[role](say); err != nil {
			say("error: %v", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// world is a kernel with a socket.
type world struct {
	testing.TB
	*linux.Kernel
	path string

	started atomic.Pointer[func(*linux.Process)]

	mu         sync.Mutex
	violations []*linux.Violation
}

// newWorld starts a kernel whose tasks are at a policy.
func newWorld(tb testing.TB, p restrict.Policy, change func(*linux.Config)) *world {
	w := &world{TB: tb, path: filepath.Join(tb.TempDir(), "kernel")}
	c := linux.Config{
		Objects: object.Config{},
		Admit:   func(*linux.Program) (*restrict.Task, error) { return restrict.NewTask(p), nil },
		Violated: func(v *linux.Violation) {
			w.mu.Lock()
			w.violations = append(w.violations, v)
			w.mu.Unlock()
		},
	}
	c.Started = func(p *linux.Process) {
		if f := w.started.Load(); f != nil {
			(*f)(p)
		}
	}
	if change != nil {
		change(&c)
	}
	w.Kernel = linux.New(c)
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: w.path, Net: "unixpacket"})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.Serve(ctx, l) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
		for until := time.Now().Add(5 * time.Second); w.Machine.Stats().Files > 0 && time.Now().Before(until); {
			time.Sleep(time.Millisecond) // files are closed on the side
		}
		if s := w.Machine.Stats(); s != (object.Stats{}) {
			tb.Errorf("left behind: %+v", s)
		}
		if s := w.IPC.Stats(); s.Spaces+s.Messages+s.Bytes != 0 {
			tb.Errorf("left behind in ipc: %+v", s)
		}
	})
	return w
}

// whenStarted sets what becomes of processes that join from now on.
func (w *world) whenStarted(f func(*linux.Process)) { w.started.Store(&f) }

// actor is a process that plays a role.
type actor struct {
	tb   testing.TB
	cmd  *exec.Cmd
	said *bufio.Scanner
	in   *os.File
}

// start starts a process in a role.
func (w *world) start(role string, env ...string) *actor {
	w.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), roleVariable+"="+role, trap.Environment+"="+w.path), env...)
	return w.launch(cmd)
}

// launch starts a process.
func (w *world) launch(cmd *exec.Cmd) *actor {
	w.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.Fatal(err)
	}
	r, in, err := os.Pipe()
	if err != nil {
		w.Fatal(err)
	}
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	r.Close()
	a := &actor{w, cmd, bufio.NewScanner(out), in}
	w.Cleanup(func() {
		cmd.Process.Kill()
		in.Close()
		cmd.Wait()
	})
	return a
}

// hears wants the next line that the process says.
func (a *actor) hears(want string) string {
	a.tb.Helper()
	late := time.AfterFunc(20*time.Second, func() { a.cmd.Process.Kill() })
	defer late.Stop()
	if !a.said.Scan() {
		a.tb.Fatalf("the process says nothing more, want %q", want)
	}
	if got := a.said.Text(); !strings.HasPrefix(got, want) {
		a.tb.Fatalf("the process says %q, want %q", got, want)
	}
	return strings.TrimPrefix(a.said.Text(), want)
}

// tell writes a line to the process.
func (a *actor) tell(f string, args ...any) { fmt.Fprintf(a.in, f+"\n", args...) }

// ends waits for the end of the process and returns how it ended.
func (a *actor) ends() *os.ProcessState {
	a.tb.Helper()
	late := time.AfterFunc(20*time.Second, func() { a.cmd.Process.Kill() })
	defer late.Stop()
	a.cmd.Wait()
	return a.cmd.ProcessState
}
