//go:build linux && (amd64 || arm64)

package capture

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portcullis.dev/crash/unwind"
)

// sources are programs that stop at a known place: each prints "ready" and waits there in pause.
var sources = map[string]string{
	"chain.c": `
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline)) int stop(int n) { puts("ready"); fflush(stdout); pause(); return n + 1; }
__attribute__((noinline)) int middle(int n) { char buf[n * 8 + 16]; buf[0] = 1; return stop(n + buf[0]) + 2; }
__attribute__((noinline)) int outer(int n) { return n < 3 ? outer(n + 1) * 2 : middle(n) * 3; }
int main(int argc, char **argv) { (void)argv; return outer(argc) + 1; }
`,
	"inline.c": `
#include <stdio.h>
#include <unistd.h>
static int total;
static inline __attribute__((always_inline)) int innermost(int n) { puts("ready"); fflush(stdout); total += pause(); return n + 1; }
static inline __attribute__((always_inline)) int between(int n) { total++; return innermost(n) + 2; }
__attribute__((noinline)) int holder(int n) { int r = between(n) + 3; total += r; return r; }
int main(int argc, char **argv) { (void)argv; return holder(argc) + total; }
`,
	"qsort.c": `
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static int once;
static int compare(const void *a, const void *b) {
	if (!once++) { puts("ready"); fflush(stdout); pause(); }
	return *(const int *)a - *(const int *)b;
}
__attribute__((noinline)) int sorted(int n) { int v[] = {3, n, 1, 2}; qsort(v, 4, sizeof *v, compare); return v[0]; }
int main(int argc, char **argv) { (void)argv; return sorted(argc) + 1; }
`,
	"signal.c": `
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static volatile int *nowhere;
static char other[65536];
__attribute__((noinline)) void report(void) { puts("ready"); fflush(stdout); pause(); __asm__(""); }
static void handler(int s, siginfo_t *i, void *c) { (void)s; (void)i; (void)c; report(); _exit(1); }
__attribute__((noinline)) int faulty(int n) { return *nowhere + n; }
__attribute__((noinline)) int caller(int n) { return faulty(n) + 1; }
int main(int argc, char **argv) {
	(void)argv;
	stack_t st; memset(&st, 0, sizeof st); st.ss_sp = other; st.ss_size = sizeof other;
	sigaltstack(&st, 0);
	struct sigaction sa; memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = handler; sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
	sigaction(SIGSEGV, &sa, 0);
	return caller(argc) + 1;
}
`,
	"thread.c": `
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline)) void *work(void *p) { pthread_setname_np(pthread_self(), "worker"); puts("ready"); fflush(stdout); pause(); return p; }
void *start(void *p) { void *r = work(p); __asm__(""); return r; }
int main(void) { pthread_t t; pthread_create(&t, 0, start, 0); pthread_join(t, 0); return 0; }
`,
	"virtual.cc": `
#include <cstdio>
#include <functional>
#include <unistd.h>
namespace space {
struct Base { virtual ~Base() {} virtual int run(int n) = 0; };
template <typename T> struct Derived : Base {
	__attribute__((noinline)) int run(int n) override { puts("ready"); fflush(stdout); pause(); return n + sizeof(T); }
};
__attribute__((noinline)) int through(const std::function<int(int)> &f) { int r = f(1); __asm__(""); return r; }
}
int main() { space::Derived<long> d; space::Base *b = &d; return space::through([&](int n) { return b->run(n) + 1; }) + 1; }
`,
}

// build compiles a program of sources; it skips the test where the compiler is missing or cannot.
func build(t *testing.T, compiler, source string, flags ...string) string {
	t.Helper()
	if strings.HasSuffix(source, ".cc") {
		compiler = map[string]string{"gcc": "g++", "clang": "clang++"}[compiler]
	}
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skipf("SKIPPED: %s is not installed", compiler)
	}
	dir := t.TempDir()
	src := filepath.Join(dir, source)
	if err := os.WriteFile(src, []byte(sources[source]), 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "victim")
	args := append([]string{"-pthread", "-o", out, src}, flags...)
	if b, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: %s %v: %v\n%s", compiler, flags, err, b)
	}
	return out
}

// start runs a program until it is ready, and kills it at the end of the test.
func start(t *testing.T, name string, args ...string) int {
	t.Helper()
	cmd := exec.Command(name, args...)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	lines := make(chan string, 1)
	go func() {
		s := bufio.NewScanner(pipe)
		s.Scan()
		lines <- s.Text()
	}()
	select {
	case l := <-lines:
		if l != "ready" {
			t.Fatalf("%s said %q", name, l)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("%s is not ready", name)
	}
	waitAsleep(t, cmd.Process.Pid)
	return cmd.Process.Pid
}

// waitAsleep waits until every thread of a process waits in the kernel.
func waitAsleep(t *testing.T, pid int) {
	t.Helper()
	for range 1000 {
		asleep := true
		tasks, err := os.ReadDir("/proc/" + itoa(pid) + "/task")
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks {
			stat := line(readProc(pid, "task/"+task.Name()+"/stat"))
			_, rest, _ := strings.Cut(stat, ") ")
			asleep = asleep && strings.HasPrefix(rest, "S")
		}
		if asleep {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the process does not come to rest")
}

// gdbScript prints the frames of every thread: kind, address, function.
const gdbScript = `
kinds = {gdb.NORMAL_FRAME: "normal", gdb.INLINE_FRAME: "inline", gdb.TAILCALL_FRAME: "tailcall", gdb.SIGTRAMP_FRAME: "signal"}
for t in gdb.selected_inferior().threads():
    t.switch()
    print("THREAD %d" % t.ptid[1])
    f = gdb.newest_frame()
    while f is not None:
        print("FRAME %s %x %s" % (kinds.get(f.type(), "other"), f.pc(), f.name()))
        f = f.older()
    print("END %s" % gdb.frame_stop_reason_string(gdb.newest_frame().unwind_stop_reason()))
`

type gdbFrame struct {
	kind, function string
	pc             uint64
}

// backtraces asks gdb for the frames of each thread.
func backtraces(t *testing.T, pid int) map[int][]gdbFrame {
	t.Helper()
	if _, err := exec.LookPath("gdb"); err != nil {
		t.Skip("SKIPPED: gdb is not installed")
	}
	script := filepath.Join(t.TempDir(), "frames.py")
	if err := os.WriteFile(script, []byte(gdbScript), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("gdb", "-nx", "-q", "-batch", "-iex", "set auto-load off", "-iex", "set debuginfod enabled off",
		"-ex", "set backtrace past-main on", "-p", itoa(pid), "-x", script).CombinedOutput()
	if err != nil {
		t.Skipf("SKIPPED: gdb: %v\n%s", err, out)
	}
	all := map[int][]gdbFrame{}
	tid := 0
	for _, l := range strings.Split(string(out), "\n") {
		var f gdbFrame
		if _, err := fmt.Sscanf(l, "FRAME %s %x %s", &f.kind, &f.pc, &f.function); err == nil {
			all[tid] = append(all[tid], f)
			continue
		}
		_, _ = fmt.Sscanf(l, "THREAD %d", &tid) // any other line is none
	}
	if len(all) == 0 {
		t.Skipf("SKIPPED: gdb shows no backtrace\n%s", out)
	}
	return all
}

// snapshot takes one and reports how each thread was unwound.
func snapshot(t *testing.T, pid int, opts Options) *Snapshot {
	t.Helper()
	opts.Timeout = time.Minute // the machine may be busy
	s, err := Process(pid, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for _, p := range s.Problems {
		t.Log(p)
	}
	return s
}

// named lists a thread's functions as the report has them.
func named(s *Snapshot, index int) []string {
	r := s.Report(Crash{})
	var out []string
	for _, f := range r.Body.Threads[index].Frames {
		name := f.Symbol
		if f.Inline {
			name += " [inlined]"
		}
		out = append(out, name)
	}
	return out
}

func methods(t *Thread) string {
	var out []string
	for i := range t.Frames {
		out = append(out, string(t.Frames[i].Method))
	}
	s := strings.Join(out, ", ")
	if t.End != nil && t.End != unwind.ErrEnd {
		s += "; " + t.End.Error()
	}
	return s
}
