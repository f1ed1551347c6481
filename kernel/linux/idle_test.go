//go:build linux

package linux_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"portcullis.dev/internal/raced"
	"portcullis.dev/trap"
)

// footprint is what this process has of the machine, in bytes and in numbers.
type footprint struct{ heap, stacks, anonymous, shared, tables, files, goroutines int64 }

// weigh measures this process once garbage is gone.
func weigh(tb testing.TB) (f footprint) {
	tb.Helper()
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	f.heap, f.stacks = int64(m.HeapAlloc), int64(m.StackInuse)
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		field := strings.Fields(line)
		if len(field) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(field[1], 10, 64)
		switch field[0] {
		case "RssAnon:":
			f.anonymous = n << 10
		case "RssShmem:":
			f.shared = n << 10
		case "VmPTE:":
			f.tables = n << 10
		}
	}
	files, _ := os.ReadDir("/proc/self/fd")
	f.files, f.goroutines = int64(len(files)), int64(runtime.NumGoroutine())
	return f
}

// idlers starts processes that are tasks and wait for a message, and says what one of them costs the kernel.
func idlers(tb testing.TB, n int) (each func(func(footprint) int64) float64) {
	program := filepath.Join(tb.TempDir(), "idle")
	cmd := exec.Command("cc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-I", filepath.Join("..", "..", "sdk", "libmach"), "-o",
		program, filepath.Join("testdata", "peers", "idle.c"))
	if out, err := cmd.CombinedOutput(); err != nil {
		if len(out) == 0 && os.Getenv("REQUIRE_TOOLCHAIN") == "" {
			tb.Skipf("SKIPPED: no C compiler: %v", err)
		}
		tb.Fatalf("%v\n%s", err, out)
	}
	w := newWorld(tb, 0x402, nil)
	start := func(n int) *actor {
		cmd := exec.Command(program, fmt.Sprint(n))
		cmd.Env = append(os.Environ(), trap.Environment+"="+w.path)
		return w.launch(cmd)
	}
	start(1).hears("ready") // the first task makes what the kernel keeps for all
	before := weigh(tb)
	a := start(n)
	late := time.AfterFunc(2*time.Minute, func() { a.cmd.Process.Kill() })
	a.hears("ready")
	late.Stop()
	time.Sleep(50 * time.Millisecond) // workers look at their lanes for a few milliseconds
	after := weigh(tb)
	if got := len(w.Processes()); got != n+1 {
		tb.Fatalf("%d tasks, want %d", got, n+1)
	}
	return func(of func(footprint) int64) float64 { return float64(of(after)-of(before)) / float64(n) }
}

// TestIdle bounds what a task costs that waits for a message.
func TestIdle(t *testing.T) {
	each := idlers(t, 150)
	for _, b := range []struct {
		what string
		most float64
		of   func(footprint) int64
	}{
		{"bytes of heap", 16 << 10, func(f footprint) int64 { return f.heap }},
		{"bytes of stacks", 16 << 10, func(f footprint) int64 { return f.stacks }},
		{"bytes of shared memory", 16 << 10, func(f footprint) int64 { return f.shared }},
		{"goroutines", 2.1, func(f footprint) int64 { return f.goroutines }},
		{"files", 2.1, func(f footprint) int64 { return f.files }},
	} {
		got := each(b.of)
		t.Logf("%.1f %s", got, b.what)
		if got > b.most && !raced.On() {
			t.Errorf("a task that waits has %.1f %s, at most %.1f", got, b.what, b.most)
		}
	}
}

// BenchmarkIdle measures what each of 1,000 tasks costs that wait for a message.
func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		each := idlers(b, 1000)
		for what, of := range map[string]func(footprint) int64{
			"heap-B/task":     func(f footprint) int64 { return f.heap },
			"stacks-B/task":   func(f footprint) int64 { return f.stacks },
			"anon-B/task":     func(f footprint) int64 { return f.anonymous },
			"shared-B/task":   func(f footprint) int64 { return f.shared },
			"tables-B/task":   func(f footprint) int64 { return f.tables },
			"all-B/task":      func(f footprint) int64 { return f.anonymous + f.shared + f.tables },
			"files/task":      func(f footprint) int64 { return f.files },
			"goroutines/task": func(f footprint) int64 { return f.goroutines },
		} {
			b.ReportMetric(each(of), what)
		}
	}
}
