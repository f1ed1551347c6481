//go:build linux

package sdk_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"portcullis.dev/kernel/bootstrap"
	"portcullis.dev/kernel/linux"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/kernel/server"
	"portcullis.dev/sdk"
	"portcullis.dev/trap"
)

// compiler returns a C compiler; the test is skipped without one.
func compiler(t testing.TB, names ...string) string {
	t.Helper()
	for _, n := range names {
		if p, err := exec.LookPath(n); err == nil {
			return p
		}
	}
	if os.Getenv("REQUIRE_TOOLCHAIN") != "" {
		t.Fatalf("none of %v is installed", names)
	}
	t.Skipf("none of %v is installed", names)
	return ""
}

// world is a kernel with a socket and a bootstrap server.
type world struct {
	testing.TB
	kernel *linux.Kernel
	path   string

	mu         sync.Mutex
	started    func(*linux.Process) // may be nil
	violations []*linux.Violation
	crashes    []*linux.Fault
}

func newWorld(t testing.TB, policy restrict.Policy) *world {
	w := &world{TB: t, path: filepath.Join(t.TempDir(), "kernel")}
	var names *bootstrap.Server
	w.kernel = linux.New(linux.Config{
		Objects: object.Config{Server: server.New(server.Config{}), DeveloperMode: true},
		Admit:   func(*linux.Program) (*restrict.Task, error) { return restrict.NewTask(policy), nil },
		Violated: func(v *linux.Violation) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.violations = append(w.violations, v)
		},
		Crashed: func(f *linux.Fault) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.crashes = append(w.crashes, f)
		},
		Started: func(p *linux.Process) {
			w.mu.Lock()
			if w.started != nil {
				w.started(p)
			}
			w.mu.Unlock()
			if p.Parent == nil {
				if err := names.Lend(p.Task); err != nil {
					t.Error(err)
				}
			}
		},
	})
	var err error
	if names, err = bootstrap.New(w.kernel.Machine); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: w.path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.kernel.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		names.Close()
		// Files are closed on the side, however long that takes.
		for end := time.Now().Add(patience); w.kernel.Machine.Stats() != (object.Stats{}); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("left behind: %+v", w.kernel.Machine.Stats())
				break
			}
		}
	})
	return w
}

// patience is how long a program may take.
const patience = 30 * time.Second

// run runs a program as a task and returns what it printed and how it ended.
func (w *world) run(program string, args ...string) (string, *os.ProcessState) {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), trap.Environment+"="+w.path)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // its children may not end either
	err := cmd.Run()
	if ctx.Err() != nil {
		w.Fatalf("%s does not end:\n%s", filepath.Base(program), &out)
	}
	if err != nil && cmd.ProcessState == nil {
		w.Fatal(err)
	}
	return out.String(), cmd.ProcessState
}

// build compiles a program of testdata with the SDK.
func build(t testing.TB, cc, source string, flags ...string) string {
	t.Helper()
	s, err := sdk.Install(context.Background(), cc)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), filepath.Base(source)+".out")
	args := append([]string{"-g", "-O1", "-Wall", "-Wextra", "-Werror"}, flags...)
	args = append(args, s.Compile()...)
	args = append(append(args, source, "-o", out), s.Link()...)
	if b, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", source, err, b)
	}
	return out
}

// seen returns the violations so far.
func (w *world) seen() []*linux.Violation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.violations)
}
