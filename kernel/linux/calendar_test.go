//go:build linux

package linux

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWatchCalendar sets the clock a nanosecond on.
func TestWatchCalendar(t *testing.T) {
	heard := make(chan bool, 8)
	stop, err := clock{}.WatchCalendar(func(set bool) { heard <- set })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for range 2 {
		_, err = unix.Adjtimex(&unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO, Time: unix.Timeval{Usec: 1}})
		if errors.Is(err, unix.EPERM) {
			t.Skip("the clock is not ours to set")
		} else if err != nil {
			t.Fatal(err)
		}
		select {
		case set := <-heard:
			if !set {
				t.Error("the machine has not slept")
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nothing is heard of it")
		}
	}
	stop()
	unix.Adjtimex(&unix.Timex{Modes: unix.ADJ_SETOFFSET | unix.ADJ_NANO, Time: unix.Timeval{Usec: 1}})
	select {
	case <-heard:
		t.Error("heard after the end")
	case <-time.After(20 * time.Millisecond):
	}
}
