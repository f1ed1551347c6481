//go:build linux

package daemon

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"portcullis.dev/launchd"
)

// SpawnVariable makes the program that runs a launchd the last step before the program of a job: Exec sets what can
// only be set in the process itself, and becomes the program.
const SpawnVariable = "PORTCULLIS_LAUNCHD_SPAWN"

// preparation is what Exec does.
type preparation struct {
	Program   string
	Arguments []string
	Root, Dir string
	Umask     int
	Nice      int
	Limits    map[int][2]*uint64 // soft and hard
	UID, GID  int                // -1 to stay
	Groups    []int
	Sockets   int // descriptors from 3 on
}

// spawner starts jobs as processes. It implements launchd.Spawner.
type spawner struct {
	kernel string // socket

	mu       sync.Mutex
	starting int // programs whose process id is not known yet
	waiting  map[int]bool
}

// waits says that somebody waits for a child, or may: then nobody else must bury it.
func (s *spawner) waits(pid int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting[pid] || s.starting > 0
}

// start starts a program that somebody will wait for until done is called.
func (s *spawner) start(cmd *exec.Cmd) (done func(), err error) {
	s.mu.Lock()
	s.starting++
	s.mu.Unlock()
	err = cmd.Start()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starting--
	if err != nil {
		return nil, err
	}
	pid := cmd.Process.Pid
	if s.waiting == nil {
		s.waiting = make(map[int]bool)
	}
	s.waiting[pid] = true
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiting, pid)
	}, nil
}

// process is a process of a job.
type process struct {
	cmd *exec.Cmd
}

func (p *process) PID() int                      { return p.cmd.Process.Pid }
func (p *process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }
func (p *process) SignalGroup(s syscall.Signal) error {
	return syscall.Kill(-p.cmd.Process.Pid, s)
}

// Start implements launchd.Spawner.
func (s *spawner) Start(spec *launchd.Spawn) (launchd.Process, error) {
	j := spec.Job
	prep := preparation{Root: j.RootDirectory, Dir: j.WorkingDirectory, Umask: j.Umask, Nice: j.Nice, UID: -1, GID: -1,
		Arguments: j.Arguments, Limits: limits(j)}
	var err error
	if prep.Program, err = find(j); err != nil {
		return nil, err
	}
	if j.EnableGlobbing {
		prep.Arguments = glob(j.Arguments)
	}
	home, name := "", ""
	if err := identity(j, &prep, &home, &name); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	env := inherited()
	env = append(env, environment(s.kernel))
	if home != "" {
		env = append(env, "HOME="+home, "USER="+name, "LOGNAME="+name)
	}
	for k, v := range spec.Environment {
		env = append(env, k+"="+v)
	}
	cmd := &exec.Cmd{Path: self, Args: os.Args[:1], SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	if set, ok := spec.Sockets.(*sockets); ok {
		cmd.ExtraFiles = set.files()
		prep.Sockets = len(cmd.ExtraFiles)
		env = append(env, set.variables()...)
	}
	b, err := json.Marshal(prep)
	if err != nil {
		return nil, err
	}
	cmd.Env = append(env, SpawnVariable+"="+string(b))
	closers, err := redirect(j, cmd)
	defer func() {
		for _, f := range closers {
			f.Close()
		}
	}()
	if err != nil {
		return nil, err
	}
	done, err := s.start(cmd)
	if err != nil {
		return nil, err
	}
	go func() {
		cmd.Wait()
		done()
		e := launchd.Exit{Code: cmd.ProcessState.ExitCode()}
		if st, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && st.Signaled() {
			e = launchd.Exit{Signal: st.Signal()}
		}
		spec.Ended(e)
	}()
	return &process{cmd}, nil
}

// passed are the variables that jobs get from launchd itself.
var passed = []string{"PATH", "HOME", "USER", "LOGNAME", "LANG", "TMPDIR", "XDG_RUNTIME_DIR"}

func inherited() (env []string) {
	for _, k := range passed {
		if v, ok := os.LookupEnv(k); ok {
			env = append(env, k+"="+v)
		}
	}
	return env
}

// find returns the path of the program, and looks at it now, so that what is wrong is known here.
func find(j *launchd.Job) (string, error) {
	if j.RootDirectory != "" {
		return j.Program, nil
	}
	return exec.LookPath(j.Program)
}

// glob expands arguments that match files.
func glob(args []string) []string {
	var all []string
	for i, a := range args {
		if m, err := filepath.Glob(a); err == nil && len(m) > 0 && i > 0 {
			all = append(all, m...)
		} else {
			all = append(all, a)
		}
	}
	return all
}

// identity finds the user and group of a job.
func identity(j *launchd.Job, p *preparation, home, name *string) error {
	if j.UserName == "" && j.GroupName == "" {
		return nil
	}
	if j.UserName != "" {
		u, err := user.Lookup(j.UserName)
		if err != nil {
			return fmt.Errorf("user: %w", err)
		}
		p.UID, _ = strconv.Atoi(u.Uid)
		p.GID, _ = strconv.Atoi(u.Gid)
		*home, *name = u.HomeDir, u.Username
		if j.InitGroups {
			ids, err := u.GroupIds()
			if err != nil {
				return fmt.Errorf("groups: %w", err)
			}
			for _, id := range ids {
				if n, err := strconv.Atoi(id); err == nil {
					p.Groups = append(p.Groups, n)
				}
			}
		}
	}
	if j.GroupName != "" {
		g, err := user.LookupGroup(j.GroupName)
		if err != nil {
			return fmt.Errorf("group: %w", err)
		}
		p.GID, _ = strconv.Atoi(g.Gid)
	}
	if os.Getuid() != 0 && (p.UID >= 0 && p.UID != os.Getuid() || p.GID >= 0 && p.GID != os.Getgid()) {
		return fmt.Errorf("only root starts programs as another user or group")
	}
	return nil
}

func limits(j *launchd.Job) map[int][2]*uint64 {
	m := make(map[int][2]*uint64)
	for n, v := range j.Soft {
		m[n] = [2]*uint64{&v, nil}
	}
	for n, v := range j.Hard {
		m[n] = [2]*uint64{m[n][0], &v}
	}
	return m
}

// redirect opens standard input and output.
func redirect(j *launchd.Job, cmd *exec.Cmd) (closers []*os.File, err error) {
	open := func(path string, flag int) *os.File {
		if path == "" {
			path, flag = os.DevNull, os.O_RDWR
		}
		f, e := os.OpenFile(path, flag, 0o644)
		if e != nil {
			err = e
			return nil
		}
		closers = append(closers, f)
		return f
	}
	const appending = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if f := open(j.StandardIn, os.O_RDONLY); f != nil {
		cmd.Stdin = f
	}
	if f := open(j.StandardOut, appending); f != nil {
		cmd.Stdout = f
	}
	if f := open(j.StandardError, appending); f != nil {
		cmd.Stderr = f
	}
	return closers, err
}

// Exec does what SpawnVariable asks for, if it is set, and becomes the program; then it does not return. It is to be
// called first by every program that runs a launchd.
func Exec() {
	text := os.Getenv(SpawnVariable)
	if text == "" {
		return
	}
	os.Unsetenv(SpawnVariable)
	fmt.Fprintf(os.Stderr, "launchd: %v\n", become(text))
	os.Exit(78)
}

// become returns why it could not.
func become(text string) error {
	var p preparation
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
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
	if p.UID >= 0 && p.UID != os.Getuid() || p.GID >= 0 && p.GID != os.Getgid() {
		if err := syscall.Setgroups(p.Groups); err != nil {
			return fmt.Errorf("groups: %w", err)
		}
		if err := syscall.Setgid(p.GID); err != nil {
			return fmt.Errorf("group: %w", err)
		}
		if p.UID >= 0 {
			if err := syscall.Setuid(p.UID); err != nil {
				return fmt.Errorf("user: %w", err)
			}
		}
	}
	if p.Dir != "" {
		if err := os.Chdir(p.Dir); err != nil {
			return fmt.Errorf("working directory: %w", err)
		}
	}
	if p.Umask >= 0 {
		unix.Umask(p.Umask)
	}
	env := os.Environ()
	if p.Sockets > 0 {
		// As programs for systemd expect it.
		env = append(env, "LISTEN_PID="+strconv.Itoa(os.Getpid()), "LISTEN_FDS="+strconv.Itoa(p.Sockets))
		for fd := 3; fd < 3+p.Sockets; fd++ {
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
				return err
			}
		}
	}
	// What launchd itself was started with is none of the job's business.
	if err := unix.CloseRange(uint(3+p.Sockets), math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("open files: %w", err)
	}
	env = slices.DeleteFunc(env, func(s string) bool {
		return len(s) > len(SpawnVariable) && s[:len(SpawnVariable)+1] == SpawnVariable+"="
	})
	return fmt.Errorf("%s: %w", p.Program, syscall.Exec(p.Program, p.Arguments, env))
}
