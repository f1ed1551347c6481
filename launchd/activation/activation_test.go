//go:build unix

package activation

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"testing"
)

// TestNoSockets asks in surroundings that have nothing for the caller. Programs that get sockets are tested with the
// launchd that passes them.
func TestNoSockets(t *testing.T) {
	own := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		pid, fds, names string
		want            syscall.Errno
	}{
		{"", "", "", syscall.ESRCH},
		{"1", "1", "a", syscall.ESRCH},
		{"x", "1", "a", syscall.ESRCH},
		{own + "x", "1", "a", syscall.ESRCH},
		{own, "", "", syscall.ENOENT},
		{own, "", "a", syscall.ENOENT},
		{own, "1", "", syscall.ENOENT},
		{own, "0", "a", syscall.ENOENT},
		{own, "-1", "a", syscall.ENOENT},
		{own, "x", "a", syscall.ENOENT},
		{own, "1", "b:a", syscall.ENOENT}, // more names than sockets
		{own, "9", "aa:b", syscall.ENOENT},
	} {
		t.Setenv("LISTEN_PID", c.pid)
		t.Setenv("LISTEN_FDS", c.fds)
		t.Setenv("LISTEN_FDNAMES", c.names)
		if files, err := Files("a"); !errors.Is(err, c.want) || files != nil {
			t.Errorf("%+v: %v, %v", c, files, err)
		}
		if l, err := Listeners("a"); !errors.Is(err, c.want) || l != nil {
			t.Errorf("%+v: %v, %v", c, l, err)
		}
	}
}
