//go:build linux

package samples

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
	"syscall"
	"testing"
	"time"

	"portcullis.dev/kernel/bootstrap"
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

// build compiles the files of an example and returns the program.
func build(t *testing.T, names ...string) string {
	t.Helper()
	s := installed(t)
	program := filepath.Join(t.TempDir(), strings.TrimSuffix(names[0], ".c"))
	args := []string{"-std=gnu11", "-O1", "-g", "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-Werror", "-o", program}
	args = append(args, s.Compile()...)
	for _, name := range names {
		args = append(args, filepath.Join("..", "..", "examples", "exceptions", name))
	}
	if out, err := exec.Command("cc", append(args, s.Link()...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// world is a kernel, without Developer Mode, whose tasks are at one level.
type world struct {
	*testing.T
	path string

	mu     sync.Mutex
	killed []restrict.Violation
}

func newWorld(t *testing.T, l rules.Level) *world {
	w := &world{T: t, path: filepath.Join(t.TempDir(), "kernel")}
	var names *bootstrap.Server
	k := linux.New(linux.Config{
		Objects: object.Config{Server: server.New(server.Config{})},
		Admit:   func(*linux.Program) (*restrict.Task, error) { return restrict.NewTask(restrict.ForLevel(l)), nil },
		Violated: func(v *linux.Violation) {
			w.mu.Lock()
			w.killed = append(w.killed, v.Violation)
			w.mu.Unlock()
		},
		Started: func(p *linux.Process) {
			if p.Parent == nil {
				if err := names.Lend(p.Task); err != nil {
					t.Error(err)
				}
			}
		},
	})
	var err error
	if names, err = bootstrap.New(k.Machine); err != nil {
		t.Fatal(err)
	}
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: w.path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- k.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		<-served
		names.Close()
		if s := k.Machine.Stats(); s != (object.Stats{}) {
			t.Errorf("left behind: %+v", s)
		}
	})
	return w
}

// command returns a program that is to be a task, and is ended if it takes too long.
func (w *world) command(program string, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	w.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), trap.Environment+"="+w.path)
	return cmd
}

// result is what a program did on a kernel.
type result struct {
	said   string
	signal syscall.Signal // 0 if it ended by itself
	killed []restrict.Violation
}

func (w *world) run(program string, args ...string) (r result) {
	w.Helper()
	cmd := w.command(program, args...)
	out, _ := cmd.CombinedOutput()
	w.mu.Lock()
	r.said, r.killed, w.killed = string(out), w.killed, nil
	w.mu.Unlock()
	if s := cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signaled() {
		r.signal = s.Signal()
	}
	return r
}

var levels = []rules.Level{rules.LevelNone, rules.LevelHardenedRuntime, rules.Level1, rules.Level2, rules.Level3,
	rules.LevelPlatform}

// TestSurvive: a program survives a null dereference by each behaviour that is allowed at its level, whether the thread's
// handler is asked, the task's or the host's, and dies at the registration by each other.
func TestSurvive(t *testing.T) {
	program := build(t, "survive.c")
	worlds := map[rules.Level]*world{}
	for _, l := range levels {
		worlds[l] = newWorld(t, l)
	}
	for name, b := range map[string]mach.ExceptionBehavior{"default": mach.ExceptionDefault, "state": mach.ExceptionState,
		"state-identity": mach.ExceptionStateIdentity, "identity-protected": mach.ExceptionIdentityProtected,
		"state-identity-protected": mach.ExceptionStateIdentityProtected} {
		for _, whose := range []string{"thread", "task", "host"} {
			if whose == "host" && os.Getuid() != 0 {
				t.Log("SKIPPED: the host's exception ports are root's to set")
				continue
			}
			for _, l := range levels {
				r := worlds[l].run(program, name, whose)
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
	program := build(t, "watch.c")
	for _, l := range levels {
		r := newWorld(t, l).run(program)
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

// TestReporter: a reporter in another process, which programs find by name, reports their crashes at every level: what
// they died of, and which functions they were in.
func TestReporter(t *testing.T) {
	client, reporter := build(t, "client.c"), build(t, "reporter.c", "symbols.c")
	for _, l := range levels {
		w := newWorld(t, l)
		cmd := w.command(reporter, "com.example.reporter")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said := bufio.NewScanner(out)
		if !said.Scan() || said.Text() != "ready" {
			t.Fatalf("level %v: the reporter says %q", l, said.Text())
		}
		for _, tt := range []struct {
			what, says string
			functions  []string
			signal     syscall.Signal
		}{
			{"null", "signal 11, exception 1, code 0x1, subcode 0x10", []string{"take_apart", "main"}, syscall.SIGSEGV},
			{"divide", "signal 8, exception 3, code 0x1, subcode 0", []string{"share", "main"}, syscall.SIGFPE},
			{"abort", "signal 6, exception 0, code 0, subcode 0", nil, syscall.SIGABRT},
			{"forbidden", "signal 9, exception 12, code 0x1, subcode 0x2",
				[]string{"task_set_exception_ports", "trust", "run", "main"}, syscall.SIGKILL},
		} {
			c := w.command(client, "com.example.reporter", tt.what)
			printed, _ := c.CombinedOutput()
			if tt.what == "forbidden" && l < rules.Level1 {
				if string(printed) != "forbidden: 2\n" {
					t.Errorf("level %v: %s: %v: %q", l, tt.what, c.ProcessState, printed)
				}
				continue
			}
			if s := c.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != tt.signal {
				t.Errorf("level %v: %s: %v: %q", l, tt.what, c.ProcessState, printed)
			}
			report := hear(said, "end of the report")
			want := append([]string{fmt.Sprintf("process %d", c.Process.Pid), tt.says, "pc 0x"}, tt.functions...)
			for _, line := range want {
				if !strings.Contains(report, line) {
					t.Errorf("level %v: %s: no %q in the report:\n%s", l, tt.what, line, report)
				}
			}
		}
		cmd.Process.Kill()
		cmd.Wait()
	}
}

// hear returns lines up to one.
func hear(s *bufio.Scanner, last string) string {
	var b strings.Builder
	for s.Scan() && s.Text() != last {
		b.WriteString(s.Text() + "\n")
	}
	return b.String()
}
