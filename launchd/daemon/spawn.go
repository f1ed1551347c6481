//go:build linux

package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"portcullis.dev/launchd"
)

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
		Arguments: j.Arguments, Limits: limits(j), In: j.StandardIn, Out: j.StandardOut, Err: j.StandardError, Inetd: j.Wait}
	var err error
	if prep.Program, err = find(j); err != nil {
		return nil, err
	}
	if j.EnableGlobbing {
		prep.Arguments = glob(j.Arguments)
	}
	home, name := "", ""
	if err := identity(spec, &prep, &home, &name); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	env := inherited()
	env = append(env, environment(s.kernel))
	if home != "" {
		if prep.UID != os.Getuid() { // these are launchd's own
			env = slices.DeleteFunc(env, func(v string) bool {
				return strings.HasPrefix(v, "XDG_RUNTIME_DIR=") || strings.HasPrefix(v, "TMPDIR=")
			})
		}
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
	why, tell, err := os.Pipe() // over which the process says why it cannot become the program
	if err != nil {
		return nil, err
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, tell)
	done, err := s.start(cmd)
	tell.Close()
	if err != nil {
		why.Close()
		return nil, err
	}
	go func() {
		cmd.Wait()
		done()
		problem, _ := io.ReadAll(io.LimitReader(why, maxProblem))
		why.Close()
		e := launchd.Exit{Code: cmd.ProcessState.ExitCode(), Problem: string(problem)}
		if st, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && st.Signaled() {
			e = launchd.Exit{Signal: st.Signal()}
		}
		spec.Ended(e)
	}()
	return &process{cmd}, nil
}

// maxProblem bounds, in bytes, what is read of why a process could not become a program.
const maxProblem = 4096

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

// identity finds the user and group of a job. What is in a user's domain runs as that user; UserName and GroupName
// count in the system domain alone.
//
// Source: launchd.plist(5).
func identity(spec *launchd.Spawn, p *preparation, home, name *string) error {
	j := spec.Job
	userName, groupName, initGroups := j.UserName, j.GroupName, j.InitGroups
	if uid, ok := launchd.DomainUID(spec.Domain); ok && uid != 0 {
		if int(uid) == os.Getuid() {
			return nil
		}
		if os.Getuid() != 0 {
			return fmt.Errorf("only root starts programs of user %d", uid)
		}
		u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
		if err != nil {
			return fmt.Errorf("user: %w", err)
		}
		userName, groupName, initGroups = u.Username, "", true
	}
	if userName == "" && groupName == "" {
		return nil
	}
	if userName != "" {
		u, err := user.Lookup(userName)
		if err != nil {
			return fmt.Errorf("user: %w", err)
		}
		p.UID, _ = strconv.Atoi(u.Uid)
		p.GID, _ = strconv.Atoi(u.Gid)
		*home, *name = u.HomeDir, u.Username
		if initGroups {
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
	if groupName != "" {
		g, err := user.LookupGroup(groupName)
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
