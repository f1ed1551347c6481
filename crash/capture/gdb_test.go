//go:build linux && (amd64 || arm64)

package capture

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portcullis.dev/crash/unwind"
)

func itoa(n int) string { return strconv.Itoa(n) }

// builds are ways of compiling that leave different things for unwinding.
var builds = []struct {
	name, compiler string
	flags          []string
}{
	{"O0", "gcc", []string{"-O0", "-g"}},
	{"O2", "gcc", []string{"-O2", "-g"}},
	{"O2 frame pointer", "gcc", []string{"-O2", "-g", "-fno-omit-frame-pointer"}},
	{"O2 no pie", "gcc", []string{"-O2", "-g", "-no-pie"}},
	{"O2 static pie", "gcc", []string{"-O2", "-g", "-static-pie"}},
	{"O2 static", "gcc", []string{"-O2", "-g", "-static"}},
	{"O2 lazy plt", "gcc", []string{"-O2", "-g", "-Wl,-z,lazy", "-fcf-protection=none"}},
	{"O2 split sections", "gcc", []string{"-O2", "-g", "-ffunction-sections", "-Wl,--gc-sections"}},
	{"clang O0", "clang", []string{"-O0", "-g"}},
	{"clang O2", "clang", []string{"-O2", "-g"}},
	{"frame pointer alone", "gcc", []string{"-O1", "-fno-omit-frame-pointer", "-fno-asynchronous-unwind-tables",
		"-fno-optimize-sibling-calls"}},
}

// TestLikeGDB compares backtraces with those of gdb, address by address.
func TestLikeGDB(t *testing.T) {
	for source := range sources {
		for _, b := range builds {
			// One program meets every way of compiling, the others those that differ most: gdb is slow to start.
			if few := b.name == "O0" || b.name == "O2" || b.name == "O2 static pie"; source != "chain.c" && !few {
				continue
			}
			if testing.Short() && b.name != "O2" {
				continue
			}
			t.Run(source+" "+b.name, func(t *testing.T) {
				t.Parallel()
				pid := start(t, build(t, b.compiler, source, b.flags...))
				compare(t, pid)
			})
		}
	}
}

// compare compares the backtraces of all threads. gdb also shows functions that were inlined, and those that jumped to
// their last call instead of calling it: neither has a frame.
func compare(t *testing.T, pid int) {
	t.Helper()
	s := snapshot(t, pid, Options{})
	all := backtraces(t, pid)
	for i := range s.Threads {
		th := &s.Threads[i]
		var got, want []string
		for n := range th.Frames {
			f := &th.Frames[n]
			kind := "normal"
			if f.Signal {
				kind = "signal"
			}
			got = append(got, fmt.Sprintf("%s %x", kind, f.PC))
		}
		for n, w := range all[th.TID] {
			if w.kind == "inline" || w.kind == "tailcall" || n > 0 && w.pc == 0 {
				continue
			}
			want = append(want, fmt.Sprintf("%s %x", w.kind, w.pc))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("thread %d: frames differ (- gdb):\n%s\nmethods: %s\nnames: %v\ngdb: %v", i, diff, methods(th), named(s, i),
				all[th.TID])
		}
		if th.End != unwind.ErrEnd {
			t.Errorf("thread %d: the backtrace ends with %v", i, th.End)
		}
	}
}
