package check

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A mapped file that is cut off while a crew reads it faults where the crew is waited for.
func TestCrewFault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 1<<16), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := unix.Mmap(int(f.Fd()), 0, 1<<16, unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(data) }()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	sum, others := 0, make([]bool, 8)
	defer func() {
		r := recover()
		if _, ok := r.(interface{ Addr() uintptr }); !ok {
			t.Errorf("Wait panicked with %v, want a fault with an address", r)
		}
		for i, done := range others {
			if !done {
				t.Errorf("goroutine %d was not waited for", i)
			}
		}
	}()
	var outer crew
	outer.Go(func() {
		var inner crew
		inner.Go(func() { sum += int(data[1<<15]) })
		for i := range others {
			inner.Go(func() { others[i] = true })
		}
		inner.Wait()
	})
	outer.Wait()
	t.Errorf("no fault; sum %d", sum)
}
