//go:build linux

package samples

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portcullis.dev/kernel/linux"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
	"portcullis.dev/sdk"
	"portcullis.dev/trap"
)

// installed returns the SDK, built by the C compiler.
func installed(t *testing.T) *sdk.SDK {
	t.Helper()
	if _, err := exec.LookPath("cc"); err != nil {
		if os.Getenv("REQUIRE_TOOLCHAIN") != "" {
			t.Fatalf("cc is required: %v", err)
		}
		t.Skip("SKIPPED: cc is not installed")
	}
	s, err := sdk.Install(t.Context(), "cc")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCompile compiles every program of the page against the SDK, with all warnings.
func TestCompile(t *testing.T) {
	include := installed(t).Include
	for _, cc := range []string{"cc", "clang-19"} {
		path, err := exec.LookPath(cc)
		if err != nil {
			if os.Getenv("REQUIRE_TOOLCHAIN") != "" {
				t.Errorf("%s is required: %v", cc, err)
			}
			t.Logf("SKIPPED: %s is not installed", cc)
			continue
		}
		for _, s := range samples(t, page) {
			cmd := exec.Command(path, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", include, "-xc", "-")
			cmd.Stdin = strings.NewReader(s.source)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %s (old: %q): %v\n%s", cc, s.name, s.old, err, out)
			}
		}
	}
}

// build compiles an example and returns the program.
func build(t *testing.T, name string) string {
	t.Helper()
	s := installed(t)
	program := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("cc", "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-I", s.Include, "-o", program,
		filepath.Join("..", "..", "examples", name), s.Library, "-pthread")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// result is what a program did on a kernel.
type result struct {
	said   string
	signal syscall.Signal // 0 if it ended by itself
	killed []restrict.Violation
}

// run runs a program as a task at a level.
func run(t *testing.T, l rules.Level, program string, args ...string) (r result) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kernel")
	var mu sync.Mutex
	k := linux.New(linux.Config{
		Objects: object.Config{Server: server.New(server.Config{})},
		Admit:   func(*linux.Program) (*restrict.Task, error) { return restrict.NewTask(restrict.ForLevel(l)), nil },
		Violated: func(v *linux.Violation) {
			mu.Lock()
			r.killed = append(r.killed, v.Violation)
			mu.Unlock()
		},
	})
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	served := make(chan error)
	go func() { served <- k.Serve(ctx, listener) }()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), trap.Environment+"="+path)
	out, _ := cmd.CombinedOutput()
	cancel()
	<-served
	r.said = string(out)
	if w := cmd.ProcessState.Sys().(syscall.WaitStatus); w.Signaled() {
		r.signal = w.Signal()
	}
	return r
}

var levels = []rules.Level{rules.LevelNone, rules.LevelHardenedRuntime, rules.Level1, rules.Level2, rules.Level3,
	rules.LevelPlatform}

// TestSurvive: a program survives a null dereference by each behaviour that is allowed at its level, whether the thread's
// handler is asked, the task's or the host's, and dies at the registration by each other.
func TestSurvive(t *testing.T) {
	program := build(t, "exceptions/survive.c")
	for name, b := range map[string]mach.ExceptionBehavior{"default": mach.ExceptionDefault, "state": mach.ExceptionState,
		"state-identity": mach.ExceptionStateIdentity, "identity-protected": mach.ExceptionIdentityProtected,
		"state-identity-protected": mach.ExceptionStateIdentityProtected} {
		for _, whose := range []string{"thread", "task", "host"} {
			if whose == "host" && os.Getuid() != 0 {
				t.Log("SKIPPED: the host's exception ports are root's to set")
				continue
			}
			for _, l := range levels {
				r := run(t, l, program, name, whose)
				forbidden := b == mach.ExceptionDefault || b == mach.ExceptionStateIdentity
				if forbidden && (l >= rules.Level1 || whose == "host") {
					code := rules.MakeCode(rules.GuardMachPort, 6, uint32(b|mach.MachExceptionCodes))
					if r.signal != syscall.SIGKILL || len(r.killed) != 1 || r.killed[0].Code != code ||
						r.killed[0].Subcode != uint64(mach.ExcBadAccess.Mask()) || r.said != "" {
						t.Errorf("%s of the %s at level %v: %+v", name, whose, l, r)
					}
					continue
				}
				if want := "exception 1, code 1, address 0x10\nsurvived by " + name + "\n"; r.said != want ||
					r.signal != 0 || len(r.killed) > 0 {
					t.Errorf("%s of the %s at level %v: %+v, want %q", name, whose, l, r, want)
				}
			}
		}
	}
}

// TestWatch: a reporter from outside reads registers and memory of a process that crashes, at every level.
func TestWatch(t *testing.T) {
	program := build(t, "exceptions/watch.c")
	for _, l := range levels {
		r := run(t, l, program)
		for _, want := range []string{"exception 1, code 0x1, subcode 0x10\n", "exception 10, code 0xb100001, subcode 0x10\n",
			"process is the child, pc known, 8 bytes read from its stack\n", "the child was ended by signal 11\n"} {
			if !strings.Contains(r.said, want) {
				t.Errorf("level %v: no %q in %q", l, want, r.said)
			}
		}
		if r.signal != 0 || len(r.killed) > 0 {
			t.Errorf("level %v: %+v", l, r)
		}
	}
}
