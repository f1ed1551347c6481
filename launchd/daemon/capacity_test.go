//go:build linux

package daemon

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestCapacity loads jobs with 10,000 names, whose ports are all watched, and finds one of them by a message.
func TestCapacity(t *testing.T) {
	const jobs, each = 10, 1000
	w := newWorld(t)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, begun := heap(), time.Now()
	for j := range jobs {
		var names strings.Builder
		for i := range each {
			fmt.Fprintf(&names, "<key>com.example.%d.%d</key><true/>", j, i)
		}
		if j == jobs-1 {
			fmt.Fprintf(&names, "<key>%s</key><true/>", echoName)
		}
		w.job(fmt.Sprintf("job%d", j), "echo", "<key>MachServices</key><dict>"+names.String()+"</dict>")
	}
	took := time.Since(begun)
	used := int64(heap()) - int64(before)
	t.Logf("%d names: %d KiB, loaded in %v", w.core.Counts().Services, used>>10, took)
	if used > 20<<20 {
		t.Errorf("%d MiB", used>>20)
	}
	if n := w.core.Counts().Services; n != jobs*each+1 {
		t.Errorf("%d names", n)
	}
	c := w.start("client")
	c.tell("hello")
	c.hears("ok ")
	if e := w.entry(fmt.Sprintf("job%d", jobs-1)); e.PID == 0 {
		t.Error("another job answered")
	}
}
