//go:build linux

package daemon

import (
	"context"
	"encoding/binary"
	"os"
	"os/signal"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reapEvery is how often zombies are looked for when no signal says that there are any: one signal may stand for
// several children.
const reapEvery = time.Second

// reap buries children that nobody waits for: those that others left behind, which the first process of a container
// inherits. The programs of jobs have somebody who waits for them.
func (d *Daemon) reap(ctx context.Context) {
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	defer signal.Stop(died)
	tick := time.NewTicker(reapEvery)
	defer tick.Stop()
	for {
		for pid := zombie(); pid != 0 && !d.spawn.waits(pid); pid = zombie() {
			syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		}
		select {
		case <-ctx.Done():
			return
		case <-died:
		case <-tick.C:
		}
	}
}

// siginfoPID is where the process id lies in a siginfo_t of 64-bit Linux.
const siginfoPID = 16

// zombie returns the process id of a dead child without burying it, 0 if there is none.
func zombie() int {
	var info unix.Siginfo
	if unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) != nil {
		return 0
	}
	b := (*[unsafe.Sizeof(info)]byte)(unsafe.Pointer(&info))
	return int(binary.NativeEndian.Uint32(b[siginfoPID:]))
}
