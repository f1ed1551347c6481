//go:build linux

package linux

import (
	"testing"
	"time"

	"portcullis.dev/trap"
)

// TestLandings follows the landings of one process: which are used again, which are forgotten, and how much there is.
func TestLandings(t *testing.T) {
	k := &Kernel{}
	p := &Process{kernel: k}
	ls := &p.landings
	ls.timed = true // tidy is called by hand
	obtain := func(n int) *landing {
		t.Helper()
		l := ls.obtain(p, n)
		if l == nil {
			t.Fatalf("no landing for %d bytes", n)
		}
		if size := len(l.mem.B); size < n || size > n+n/4+pageSize || size%pageSize != 0 {
			t.Fatalf("a landing of %d bytes for %d", size, n)
		}
		return l
	}
	out := func(l *landing) uint32 {
		if _, f := ls.handOver(l); f != nil {
			f.Close()
		}
		return l.number
	}
	const size = 1 << 20
	first := obtain(size)
	ls.back(first.number, false) // it is not the process's yet
	if second := obtain(size); second == first {
		t.Error("memory that is being filled is used again")
	} else {
		ls.back(out(second), false)
		if again := obtain(size - pageSize); again != second {
			t.Error("memory that came back is not used again")
		}
		out(second)
	}
	// What the process has mapped is handed over without a file; it can have one all the same.
	ls.back(out(first), true)
	if again := obtain(size); again != first {
		t.Error("memory that was kept is not used again")
	}
	if kept, f := ls.handOver(first); !kept || f != nil {
		t.Errorf("memory that was kept is handed over with %v", f)
	}
	f := ls.take(first.number)
	if f == nil {
		t.Fatal("there is no file of memory that is out")
	}
	defer f.Close()
	mapped, err := trap.MapMemory(f, size)
	if err != nil {
		t.Fatal(err)
	}
	mapped.B[size-1] = 42
	ls.back(first.number, false)
	if ls.take(first.number) != nil {
		t.Error("there is a file of memory that is not out")
	}
	if l := obtain(size / 4); l == first {
		t.Error("memory is used for a fourth of it")
	}
	if l := obtain(size); l != first || l.mem.B[size-1] != 42 {
		t.Error("memory that came back is not used again, or is not what was mapped")
	}
	ls.back(out(first), true)
	// All that is out is forgotten in turn; what is being filled is not.
	kept := obtain(3 << 20)
	for range 4 * landingsMost {
		ls.owed = 0
		out(obtain(6 << 20))
		if held := k.landed.Load(); held != ls.held || held > landedMost || len(ls.all) > landingsMost {
			t.Fatalf("%d bytes in %d landings, all %d", ls.held, len(ls.all), held)
		}
	}
	if mapped.B[size-1] != 0 {
		t.Error("memory that is forgotten stays with who has it mapped")
	}
	if kept.mem.B == nil {
		t.Error("memory is forgotten that is being filled")
	}
	ls.back(first.number, false) // long forgotten
	if l := ls.obtain(p, landedMost+1); l != nil {
		t.Errorf("a landing of %d bytes", len(l.mem.B))
	}
	ls.owed = 0
	last := obtain(2 << 20)
	ls.back(out(last), false)
	ls.tidy()
	if last.mem.B == nil {
		t.Error("what was used since is tidied away")
	}
	out(kept)
	ls.tidy()
	if n := k.landed.Load(); n != ls.held || len(ls.all) != 1 { // the fourth, which is still being filled
		t.Errorf("%d landings of %d bytes are left", len(ls.all), n)
	}
	k.landed.Add(allLandedMost)
	if l := ls.obtain(p, size); l != nil {
		t.Error("the kernel's bound is passed")
	}
	k.landed.Add(-allLandedMost)
	out(ls.all[0])
	ls.close()
	if n := k.landed.Load(); n != 0 || len(ls.all) != 0 {
		t.Errorf("%d landings of %d bytes are left", len(ls.all), n)
	}
	if l := ls.obtain(p, size); l != nil {
		t.Error("who has ended gets memory")
	}
}

// TestLandingsOwed lets a process keep what it receives in: it gets few more. One that gives something back gets others.
func TestLandingsOwed(t *testing.T) {
	p := &Process{kernel: &Kernel{}}
	ls := &p.landings
	ls.timed = true
	defer ls.close()
	out := func() (number uint32, ok bool) {
		l := ls.obtain(p, 1<<20)
		if l == nil {
			return 0, false
		}
		if _, f := ls.handOver(l); f != nil {
			f.Close()
		}
		return l.number, true
	}
	n := 0
	var last uint32
	for number, ok := out(); ok && n < 100; number, ok = out() {
		last, n = number, n+1
	}
	if n != landingsOwed {
		t.Errorf("a process that returns nothing gets %d landings, want %d", n, landingsOwed)
	}
	for range 3 * landingsMost { // it has two at a time from now on
		ls.back(last, true)
		first, ok := out()
		second, other := out()
		if !ok || !other {
			t.Fatal("a process that returns what it received gets no more")
		}
		ls.back(first, true)
		last = second
	}
	for range 3 * landTime / time.Second {
		ls.tidy()
	}
	for n = 0; n < 100; n++ {
		if _, ok := out(); !ok {
			break
		}
	}
	if n != landingsOwed {
		t.Errorf("a process that begins to keep all after a while gets %d landings, want %d", n, landingsOwed)
	}
}
