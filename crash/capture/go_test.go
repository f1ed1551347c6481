//go:build linux && (amd64 || arm64)

package capture

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"portcullis.dev/crash/unwind"
)

const goProgram = `package main

import (
	"os"
	"syscall"
)

type reporter struct{ n int }

//go:noinline
func (r *reporter) stop() int {
	os.Stdout.WriteString("ready\n")
	syscall.Syscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	return r.n
}

func inlined(r *reporter) int { return r.stop() + 1 }

//go:noinline
func middle(f func() int) int { return f() + 2 }

//go:noinline
func outer(n int) int {
	var big [512]int
	big[n] = middle(func() int { return inlined(&reporter{n}) })
	return big[n%7] + big[n]
}

func main() {
	done := make(chan int)
	go func() { done <- outer(len(os.Args)) }()
	os.Exit(<-done)
}
`

const cgoProgram = `package main

/*
#include <stdio.h>
#include <unistd.h>
extern int goCallback(int);
static int __attribute__((noinline)) c_inner(int n) { return goCallback(n) + 1; }
static int __attribute__((noinline)) c_outer(int n) { return c_inner(n) + 1; }
static void __attribute__((noinline)) c_stop(void) { puts("ready"); fflush(stdout); pause(); __asm__(""); }
*/
import "C"

//export goCallback
func goCallback(n C.int) C.int { stopInGo(); return n }

//go:noinline
func stopInGo() { C.c_stop() }

//go:noinline
func caller() int { return int(C.c_outer(1)) }

func main() { caller() }
`

// buildGo compiles a Go program.
func buildGo(t *testing.T, source string, env []string, flags ...string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("SKIPPED: go is not installed")
	}
	dir := t.TempDir()
	src := filepath.Join(dir, "victim.go")
	if err := os.WriteFile(src, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "victim")
	cmd := exec.Command("go", append(append([]string{"build", "-o", out}, flags...), src)...)
	cmd.Env = append(os.Environ(), env...)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: go build: %v\n%s", err, b)
	}
	return out
}

// find returns the thread with a frame of a function, and its functions.
func find(t *testing.T, s *Snapshot, function string) (*Thread, []string) {
	t.Helper()
	var all [][]string
	for i := range s.Threads {
		names := named(s, i)
		if slices.Contains(names, function) {
			return &s.Threads[i], names
		}
		all = append(all, names)
	}
	t.Fatalf("no thread is in %s: %v", function, all)
	return nil, nil
}

func TestGo(t *testing.T) {
	whole := []string{"main.(*reporter).stop", "main.inlined [inlined]", "main.outer.func1", "main.middle", "main.outer",
		"main.main.func1", "runtime.goexit"}
	stripped := slices.DeleteFunc(slices.Clone(whole), func(s string) bool { return strings.Contains(s, "inlined]") })
	for _, tt := range []struct {
		name  string
		flags []string
		want  []string
	}{
		{"plain", nil, whole},
		{"stripped", []string{"-ldflags=-s -w"}, stripped},
		{"pie stripped", []string{"-buildmode=pie", "-ldflags=-s -w"}, stripped},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			pid := start(t, buildGo(t, goProgram, []string{"CGO_ENABLED=0"}, tt.flags...))
			s := snapshot(t, pid, Options{})
			th, names := find(t, s, "main.(*reporter).stop")
			i := slices.Index(names, "main.(*reporter).stop")
			if got := trimABI(names[i:]); !slices.Equal(got, tt.want) {
				t.Errorf("got  %v\nwant %v\n%s", got, tt.want, methods(th))
			}
			if th.End != unwind.ErrEnd {
				t.Errorf("ends with %v", th.End)
			}
			for i := range s.Threads {
				if s.Threads[i].End != unwind.ErrEnd {
					t.Errorf("thread %d, %v, ends with %v", i, named(s, i), s.Threads[i].End)
				}
			}
		})
	}
}

// TestCgo goes from C through Go and C back to Go: three changes of the stack.
func TestCgo(t *testing.T) {
	for _, flags := range [][]string{nil, {"-ldflags=-s -w"}, {"-buildmode=pie"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			t.Parallel()
			pid := start(t, buildGo(t, cgoProgram, []string{"CGO_ENABLED=1"}, flags...))
			s := snapshot(t, pid, Options{})
			th, names := find(t, s, "main.stopInGo")
			t.Log(names, methods(th))
			for _, want := range []string{"main.stopInGo", "main.caller", "main.main"} {
				if !slices.Contains(names, want) {
					t.Errorf("no frame of %s in %v; %s", want, names, methods(th))
				}
			}
			if th.End != unwind.ErrEnd {
				t.Errorf("ends with %v", th.End)
			}
		})
	}
}

func trimABI(names []string) []string {
	for i := range names {
		names[i] = strings.TrimSuffix(names[i], ".abi0")
	}
	return names
}
