package crash

import (
	"fmt"
	"strings"
	"testing"
)

// TestBacktrace: the frame at fault is shown with those that called it, and the rest is counted.
func TestBacktrace(t *testing.T) {
	for _, tt := range []struct {
		frames, fault, shown int
		last                 string
	}{
		{5, 2, 5, "f4"},
		{12, 2, 12, "f11"},
		{13, 2, 12, "… 1 more frame"},
		{20, 2, 12, "… 8 more frames"},
		{20, -1, 12, "… 8 more frames"},
		{20, 11, 16, "… 4 more frames"},
		{100, 80, 24, "… 76 more frames"},
	} {
		e := &explainer{t: &Thread{}}
		e.c.index = tt.fault
		for i := range tt.frames {
			e.t.Frames = append(e.t.Frames, Frame{Symbol: fmt.Sprintf("f%d", i)})
		}
		e.backtrace()
		n, last := 0, e.f.Backtrace[len(e.f.Backtrace)-1]
		for _, l := range e.f.Backtrace {
			if !strings.HasPrefix(l, "…") {
				n++
			}
		}
		if n != tt.shown || !strings.HasSuffix(last, tt.last) {
			t.Errorf("%d frames, fault in %d: %d shown, the last is %q; want %d, %q", tt.frames, tt.fault, n, last, tt.shown,
				tt.last)
		}
	}
}
