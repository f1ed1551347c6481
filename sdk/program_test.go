//go:build linux

package sdk_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/trap"
)

// sanitizers are what programs are built with besides nothing, and the compiler of each. A fault is the program's business,
// not the sanitizer's.
var sanitizers = map[string][]string{
	"":                  {"gcc", "clang"},
	"address,undefined": {"clang", "gcc"},
	"thread":            {"gcc", "clang"},
}

// TestPrograms runs every program of testdata/programs as a task of a kernel, without restrictions beyond everybody's and
// at level 2, plain and with sanitizers. A program exits with 0 if all is as it should be.
func TestPrograms(t *testing.T) {
	all, err := filepath.Glob("testdata/programs/*.c")
	if err != nil || len(all) == 0 {
		t.Fatal("no programs", err)
	}
	for _, s := range []string{"ASAN", "TSAN", "UBSAN"} {
		t.Setenv(s+"_OPTIONS", "handle_segv=0:handle_sigbus=0:halt_on_error=1")
	}
	for sanitizer, compilers := range sanitizers {
		cc := compiler(t, compilers...)
		for _, source := range all {
			name := strings.TrimSuffix(filepath.Base(source), ".c")
			if sanitizer != "" && name == "exceptions" {
				continue // it looks at registers where messages have them, four bytes aligned, and at the addresses of its faults
			}
			t.Run(name+"/"+sanitizer, func(t *testing.T) {
				policies := []restrict.Policy{restrict.Default, restrict.Default | restrict.EnhancedV2}
				var flags []string
				if sanitizer != "" {
					flags, policies = []string{"-fsanitize=" + sanitizer}, policies[1:]
				}
				program := build(t, cc, source, flags...)
				for _, p := range policies {
					w := newWorld(t, p)
					out, end := w.run(program, args(p)...)
					if !end.Success() {
						t.Errorf("policy %#x: %v\n%s", p, end, out)
					}
					for _, v := range w.seen() {
						t.Errorf("policy %#x: %+v", p, v.Violation)
					}
				}
			})
		}
	}
}

// args tells a program under which policy it runs: one more argument above everybody's.
func args(p restrict.Policy) []string {
	if p&restrict.Enhanced != 0 {
		return []string{"--hardened"}
	}
	return nil
}

// TestKernelEnds: a process that waits for a handler when the kernel ends dies of its fault.
func TestKernelEnds(t *testing.T) {
	program := build(t, compiler(t, "gcc", "clang"), "testdata/victims/waits.c")
	w := newWorld(t, restrict.Default)
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), trap.Environment+"="+w.path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "asked\n" {
		t.Errorf("it says %q: %v", line, err)
	}
	w.kernel.Close()
	cmd.Wait()
	if s := cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGSEGV {
		t.Error(cmd.ProcessState)
	}
}

// TestGuardCorpse: of a process that a guard kills, handlers learn which it was: in Developer Mode before, and after.
func TestGuardCorpse(t *testing.T) {
	program := build(t, compiler(t, "gcc", "clang"), "testdata/victims/guard.c")
	w := newWorld(t, restrict.Default)
	out, end := w.run(program)
	seen := w.seen()
	if !end.Success() || len(seen) != 1 {
		t.Fatalf("%v, %d violations\n%s", end, len(seen), out)
	}
	v := seen[0]
	want := fmt.Sprintf("12 %#x %#x\n10 %#x %#x\n13 0xa %#x\nsignal 9\n", uint64(v.Code), v.Subcode, 9<<24|uint64(mach.ExcGuard)<<20|uint64(v.Code)&0xfffff,
		v.Subcode, 23<<32|uint64(v.Code)&0xffffffff)
	if out != want {
		t.Errorf("it says %q, want %q", out, want)
	}
}

// TestDeaf: a thread that cannot be stopped keeps no other out of the report.
func TestDeaf(t *testing.T) {
	program := build(t, compiler(t, "gcc", "clang"), "testdata/victims/deaf.c")
	w := newWorld(t, restrict.Default)
	out, end := w.run(program)
	if s := end.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGSEGV {
		t.Fatalf("%v\n%s", end, out)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.crashes) != 1 {
		t.Fatalf("%d crashes", len(w.crashes))
	}
	if n := len(w.crashes[0].Stops.Threads); n != 13 {
		t.Errorf("%d threads stopped, want the one that faults and 12 that wait", n)
	}
}
