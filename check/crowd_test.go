package check

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"portcullis.dev/internal/raced"
	"portcullis.dev/macho/container"
)

// TestCrowd reads object files with many functions, or many calls in none, to be looked at. What each takes is let go of
// soon.
func TestCrowd(t *testing.T) {
	raced.Skip(t)
	const functions, most = 5000, 256 << 20
	for _, arch := range []string{"arm64", "x86_64"} {
		m := maker{t: t, arch: arch, system: "macos13"}
		object := read(t, m.object("crowd.S", fmt.Sprintf("-DCOUNT=%d", functions)))
		for name, data := range map[string][]byte{"functions": object, "none": withoutFunctions(t, object)} {
			t.Run(arch+" "+name, func(t *testing.T) {
				runtime.GC()
				peak := watchHeap()
				c := newChecker(Options{})
				c.take(c.read(container.Item{Path: "crowd.o", Data: data, Size: int64(len(data))}))
				c.judge()
				if heap := peak(); heap > most {
					t.Errorf("%d MB of heap for a file of %d KB", heap>>20, len(data)>>10)
				}
				if n := len(c.report.Findings); n < functions-1 || n > functions {
					t.Errorf("%d findings of %d calls", n, functions)
				}
			})
		}
	}
}

// withoutFunctions returns the object file with its first section, which holds no code then, in the place of the second.
func withoutFunctions(t *testing.T, object []byte) []byte {
	t.Helper()
	b := slices.Clone(object)
	le := binary.LittleEndian
	const segment, command = 0x19, 32
	if le.Uint32(b[command:]) != segment {
		t.Fatal("the first command is no segment")
	}
	first, second := b[command+72:], b[command+72+80:]
	copy(first[32:48], second[32:48]) // address and size
	le.PutUint32(first[64:], 0)       // flags
	return b
}

// watchHeap measures until it is asked how large the heap has been.
func watchHeap() func() uint64 {
	done, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for {
			metrics.Read(s)
			most = max(most, s[0].Value.Uint64())
			select {
			case <-done:
				peak <- most
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	return func() uint64 { close(done); return <-peak }
}
