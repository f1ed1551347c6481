//go:build linux

package linux

import (
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"portcullis.dev/kernel/object"
)

var _ object.CalendarWatch = clock{}

// WatchCalendar implements [object.CalendarWatch]: a timer that never runs out, and whose reader Linux wakes as
// CLOCK_REALTIME jumps, be it set or the machine awake again (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
func (clock) WatchCalendar(changed func(set bool)) (stop func(), err error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot watch the calendar: %w", err)
	}
	f := os.NewFile(uintptr(fd), "calendar")
	never := unix.ItimerSpec{Value: unix.Timespec{Sec: math.MaxInt64 / int64(time.Second)}}
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &never, nil); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot watch the calendar: %w", err)
	}
	slept := asleep()
	go func() {
		var expired [8]byte
		for {
			_, err := f.Read(expired[:])
			if !errors.Is(err, unix.ECANCELED) {
				return
			}
			was := slept
			slept = asleep()
			changed(slept-was < time.Millisecond)
		}
	}()
	return func() { f.Close() }, nil
}

// asleep returns how long the machine has slept since it started. The two clocks are not read at one moment.
func asleep() time.Duration {
	var boot, awake unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &awake)
	unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)
	return time.Duration(boot.Nano() - awake.Nano())
}
