//go:build linux

package daemon

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"portcullis.dev/launchd"
)

// SpawnVariable makes the program that runs a launchd the last step before the program of a job: Exec sets what can
// only be set in the process itself, and becomes the program.
const SpawnVariable = "PORTCULLIS_LAUNCHD_SPAWN"

// preparation is what Exec does.
type preparation struct {
	Program      string
	Arguments    []string
	Root, Dir    string
	In, Out, Err string // paths of standard input and output, "" for none
	Umask        int
	Nice         int
	Limits       map[int][2]*uint64 // soft and hard
	UID, GID     int                // -1 to stay
	Groups       []int
	Sockets      int // descriptors from 3 on; the next one is where to say what went wrong
	Inetd        launchd.Inetd
}

// Exec does what SpawnVariable asks for, if it is set, and becomes the program; then it does not return. It is to be
// called first by every program that runs a launchd.
func Exec() {
	text := os.Getenv(SpawnVariable)
	if text == "" {
		return
	}
	os.Unsetenv(SpawnVariable)
	runtime.LockOSThread() // priorities are a thread's
	var p preparation
	err := json.Unmarshal([]byte(text), &p)
	if err == nil {
		err = p.become()
	}
	syscall.Write(3+p.Sockets, []byte(err.Error()))
	os.Exit(78)
}

// become returns why it could not.
func (p *preparation) become() error {
	// What launchd itself was started with is none of the job's business.
	if err := unix.CloseRange(uint(3+p.Sockets), math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("open files: %w", err)
	}
	if err := p.limit(); err != nil {
		return err
	}
	if p.Nice != 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, p.Nice); err != nil {
			return fmt.Errorf("priority: %w", err)
		}
	}
	if p.Root != "" {
		if err := unix.Chroot(p.Root); err != nil {
			return fmt.Errorf("root directory: %s: %w", p.Root, err)
		}
		if err := os.Chdir("/"); err != nil {
			return err
		}
	}
	if err := p.changeUser(); err != nil {
		return err
	}
	if p.Dir != "" {
		if err := os.Chdir(p.Dir); err != nil {
			return fmt.Errorf("working directory: %w", err)
		}
	}
	if p.Umask >= 0 {
		unix.Umask(p.Umask)
	}
	if err := p.redirect(); err != nil {
		return err
	}
	if p.Inetd != launchd.NoInetd {
		return p.serveInetd()
	}
	env, err := p.passSockets()
	if err != nil {
		return err
	}
	return p.exec(env)
}

// passSockets passes sockets as systemd does, and returns the environment that tells of them. Without sockets it says
// still which process is the job's own, which launch_activate_socket asks.
func (p *preparation) passSockets() ([]string, error) {
	env := append(os.Environ(), "LISTEN_PID="+strconv.Itoa(os.Getpid()))
	if p.Sockets > 0 {
		env = append(env, "LISTEN_FDS="+strconv.Itoa(p.Sockets))
	}
	for fd := 3; fd < 3+p.Sockets; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return nil, err
		}
	}
	return env, nil
}

func (p *preparation) exec(env []string) error {
	return fmt.Errorf("%s: %w", p.Program, syscall.Exec(p.Program, p.Arguments, env))
}

func (p *preparation) limit() error {
	for n, l := range p.Limits {
		var r unix.Rlimit
		if err := unix.Getrlimit(n, &r); err != nil {
			return fmt.Errorf("resource limit %d: %w", n, err)
		}
		if l[1] != nil {
			r.Max = *l[1]
			r.Cur = min(r.Cur, r.Max)
		}
		if l[0] != nil {
			r.Cur = min(*l[0], r.Max)
		}
		if err := syscall.Setrlimit(n, &syscall.Rlimit{Cur: r.Cur, Max: r.Max}); err != nil {
			return fmt.Errorf("resource limit %d: %w", n, err)
		}
	}
	return nil
}

func (p *preparation) changeUser() error {
	if (p.UID < 0 || p.UID == os.Getuid()) && (p.GID < 0 || p.GID == os.Getgid()) {
		return nil
	}
	if err := syscall.Setgroups(p.Groups); err != nil {
		return fmt.Errorf("groups: %w", err)
	}
	if p.GID >= 0 {
		if err := syscall.Setgid(p.GID); err != nil {
			return fmt.Errorf("group: %w", err)
		}
	}
	if p.UID >= 0 {
		if err := syscall.Setuid(p.UID); err != nil {
			return fmt.Errorf("user: %w", err)
		}
	}
	return nil
}

// redirect opens standard input and output as the job's user, so that new files are that user's and nobody else's
// files are written to. One that waits for its other end, as a FIFO does, keeps this process waiting and not launchd.
func (p *preparation) redirect() error {
	const appending = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	for fd, f := range []struct {
		path string
		flag int
	}{{p.In, os.O_RDONLY}, {p.Out, appending}, {p.Err, appending}} {
		if f.path == "" {
			continue
		}
		n, err := -1, error(syscall.EINTR)
		for err == syscall.EINTR {
			n, err = syscall.Open(f.path, f.flag|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0o666)
		}
		if err != nil {
			key := [...]string{"StandardInPath", "StandardOutPath", "StandardErrorPath"}[fd]
			return fmt.Errorf("%s: %s: %w", key, f.path, err)
		}
		if err := unix.Dup3(n, fd, 0); err != nil {
			return err
		}
		syscall.Close(n)
	}
	return nil
}

// withoutSockets is the environment without what tells of sockets.
func withoutSockets() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "LISTEN_") {
			env = append(env, v)
		}
	}
	return env
}
