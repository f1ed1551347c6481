//go:build unix

// Package activation takes over the sockets that launchd has opened for this program: the Sockets of its job file. It
// is launch_activate_socket for programs in Go, and works under systemd, too, which passes sockets the same way.
package activation

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// first is the descriptor of the first socket.
const first = 3

var (
	mu    sync.Mutex
	taken = make(map[string]bool)
)

// Files returns the sockets of a name, in the order of the job file, closed on exec. They are the caller's. A name can
// be taken once. The errors are those of launch_activate_socket: ESRCH if this process is not the one that launchd
// started, ENOENT if it has no sockets of this name, EALREADY if they were taken.
//
// Source: launch.h of macOS; that descriptors are closed on exec: fileport_makefd in bsd/kern/kern_descrip.c of XNU.
func Files(name string) ([]*os.File, error) {
	mu.Lock()
	defer mu.Unlock()
	fds, err := sockets(name)
	if err != nil {
		return nil, fmt.Errorf("socket %q: %w", name, err)
	}
	taken[name] = true
	files := make([]*os.File, len(fds))
	for i, fd := range fds {
		syscall.CloseOnExec(fd)
		files[i] = os.NewFile(uintptr(fd), name)
	}
	return files, nil
}

// sockets returns the descriptors of a name.
func sockets(name string) (fds []int, err error) {
	if pid, err := strconv.Atoi(os.Getenv("LISTEN_PID")); err != nil || pid != os.Getpid() {
		return nil, syscall.ESRCH
	}
	if taken[name] {
		return nil, syscall.EALREADY
	}
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	for i, s := range strings.Split(os.Getenv("LISTEN_FDNAMES"), ":") {
		if i < n && s == name {
			fds = append(fds, first+i)
		}
	}
	if len(fds) == 0 {
		return nil, syscall.ENOENT
	}
	return fds, nil
}

// Listeners returns the sockets of a name as listeners, all of which must take connections; see Files.
func Listeners(name string) ([]net.Listener, error) {
	files, err := Files(name)
	if err != nil {
		return nil, err
	}
	var all []net.Listener
	for _, f := range files {
		defer f.Close() // a listener has a descriptor of its own
		l, e := net.FileListener(f)
		if e != nil {
			err = fmt.Errorf("socket %q: %w", name, e)
			continue
		}
		all = append(all, l)
	}
	if err != nil {
		for _, l := range all {
			l.Close()
		}
		return nil, err
	}
	return all, nil
}
