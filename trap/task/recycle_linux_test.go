package task

import (
	"bytes"
	"runtime"
	"testing"
	"time"
)

func TestSizeFor(t *testing.T) {
	for n := leastRecycled; n < 3<<20; n += 997 {
		size := sizeFor(n)
		if size < n || size > n+n/4 || sizeFor(size) != size {
			t.Fatalf("%d bytes are put into %d, those into %d", n, size, sizeFor(size))
		}
	}
}

// TestRecycle keeps some of what is received and drops the rest, whose memory may come again.
func TestRecycle(t *testing.T) {
	shelved := func() int {
		shelf.mu.Lock()
		defer shelf.mu.Unlock()
		return shelf.held
	}
	kept := map[int][]byte{}
	from := make([]byte, 100_000)
	for i := range 200 {
		n := leastRecycled + i*313
		for j := range n {
			from[j] = byte(i)
		}
		b := clone(from[:n])
		if len(b) != n || cap(b) != n || !bytes.Equal(b, from[:n]) {
			t.Fatalf("call %d: what came is not what went", i)
		}
		if i%3 == 0 {
			kept[i] = b[n/2:] // holds all of it
		}
		if i%20 == 19 {
			runtime.GC()
			for wait := 0; shelved() == 0 && wait < 1000; wait++ {
				time.Sleep(time.Millisecond)
			}
			if shelved() == 0 {
				t.Fatal("nothing is used again")
			}
		}
	}
	for i, b := range kept {
		if want := bytes.Repeat([]byte{byte(i)}, len(b)); !bytes.Equal(b, want) {
			t.Fatalf("what call %d kept has changed", i)
		}
	}
	if n := shelved(); n > mostShelved {
		t.Errorf("%d bytes are held", n)
	}
	tidy()
	tidy()
	if n := shelved(); n != 0 {
		t.Errorf("%d bytes are held that nobody uses", n)
	}
}
