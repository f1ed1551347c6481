package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"portcullis.dev/entitlement"
	"portcullis.dev/kernel/bootstrap"
	"portcullis.dev/kernel/linux"
	"portcullis.dev/kernel/lsmp"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/kernel/server"
	"portcullis.dev/kernel/trace"
	"portcullis.dev/rules"
	"portcullis.dev/trap"
)

// AuditMode says whether violations kill.
type AuditMode uint8

const (
	Enforce AuditMode = iota
	Audit             // every violation is recorded, and nobody is killed
)

// Options say how programs are treated.
type Options struct {
	Level        *rules.Level // of every program, whatever it declares; nil: what its entitlements give
	Entitlements string       // file that stands for those of every program; empty: their own
	Default      rules.Level  // of a program that declares nothing
	Audit        AuditMode
	Reports      string          // folder for crash reports; empty: none are written
	Version      string          // of the program that writes reports
	Socket       string          // path of the kernel's socket; empty: one in a private folder
	Trace        *trace.Recorder // told of everything that tasks do; nil: nobody is. [Session.Close] does not close it
	Log          *slog.Logger
	// Dropped is told of a process that the kernel has ended because it did not keep to the protocol; nil: nobody is.
	Dropped func(Dropped)
	// Reported is told of each report that was written; err if one could not be.
	Reported func(Report, error)
}

// Report is a crash report that was written.
type Report struct {
	PID    int
	Path   string // of the report
	Killed bool   // by a restriction
}

// Dropped is a process that the kernel has ended because it did not keep to the protocol between a task and the kernel.
type Dropped struct {
	PID  int
	Name string // of the program
	Why  string
}

// Session is a kernel with its socket.
type Session struct {
	Kernel *linux.Kernel
	Socket string

	options Options
	claims  *entitlement.Set // of Options.Entitlements
	names   *bootstrap.Server
	dir     string // private, removed at the end
	cancel  context.CancelFunc
	served  chan error

	mu         sync.Mutex
	fates      map[int]*fate // by process id
	remembered []int         // those process ids, oldest first
	seen       int           // violations
}

// Start starts a kernel.
func Start(o Options) (*Session, error) {
	s := &Session{options: o, Socket: o.Socket, fates: map[int]*fate{}, served: make(chan error, 1)}
	if o.Entitlements != "" {
		data, err := os.ReadFile(o.Entitlements)
		if err != nil {
			return nil, err
		}
		if s.claims, err = entitlement.ParsePlist(data); err != nil {
			return nil, fmt.Errorf("%s: %w", o.Entitlements, err)
		}
	}
	if s.Socket == "" {
		dir, err := os.MkdirTemp("", "portcullis-")
		if err != nil {
			return nil, err
		}
		s.dir, s.Socket = dir, filepath.Join(dir, "kernel")
	}
	c := linux.Config{
		Objects: object.Config{DeveloperMode: true, Server: server.New(server.Config{Host: linux.Host{}})},
		Admit:   s.admit, Violated: s.violated, Crashed: s.crashed, Started: s.started, Log: o.Log,
		Fate: s.fate,
		List: func(w io.Writer) error { return lsmp.Of(s.Kernel.Machine).WriteJSON(w) },
	}
	if o.Dropped != nil {
		c.Dropped = func(p *linux.Process, why string) { o.Dropped(Dropped{p.PID, p.Name(), why}) }
	}
	if o.Trace != nil {
		c.Tracer = o.Trace
		c.Ended = func(p *linux.Process) { o.Trace.Ended(p.Task) }
	}
	s.Kernel = linux.New(c)
	var err error
	if s.names, err = bootstrap.New(s.Kernel.Machine); err != nil {
		s.remove()
		return nil, err
	}
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: s.Socket, Net: "unixpacket"})
	if err != nil {
		s.names.Close()
		s.remove()
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.served <- s.Kernel.Serve(ctx, l) }()
	return s, nil
}

// Close ends the kernel, and with it every task. Their processes live on, without one.
func (s *Session) Close() error {
	if s.Kernel == nil {
		return nil // somebody else's
	}
	s.cancel()
	err := <-s.served
	s.names.Close()
	s.remove()
	return err
}

func (s *Session) remove() {
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

// Violations returns how many violations were seen: of all tasks, or in a kernel that was joined, of the programs run.
func (s *Session) Violations() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// Environment returns the variable that makes a program join the kernel.
func (s *Session) Environment() string { return trap.Environment + "=" + s.Socket }

// Status says how a program ended.
type Status struct {
	Code   int  // as shells have it: 128 and the signal, if it died of one
	Killed bool // by a restriction
}

// Run runs a program under the kernel and waits for its end.
func (s *Session) Run(ctx context.Context, argv []string) (Status, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.WaitDelay = time.Second
	return s.RunCommand(cmd)
}

// RunCommand is [Session.Run] for a command that has not started. The kernel's socket is added to its environment.
func (s *Session) RunCommand(cmd *exec.Cmd) (Status, error) {
	cmd.Env = append(cmd.Environ(), s.Environment())
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return Status{}, err
	}
	if err := ended(cmd.Process.Pid); err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return Status{}, err
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Status{}, err
	}
	f, err := s.since(cmd.Process.Pid, start)
	if err != nil && s.options.Log != nil {
		s.options.Log.Warn("the kernel does not say what befell the program", "error", err)
	}
	if s.Kernel == nil {
		s.mu.Lock()
		s.seen += f.Seen
		s.mu.Unlock()
	}
	if s.Kernel == nil && s.options.Reported != nil {
		for _, r := range f.Reports {
			s.options.Reported(r, nil)
		}
	}
	st := Status{Killed: f.Killed}
	ps := cmd.ProcessState
	st.Code = ps.ExitCode()
	if w, ok := signalOf(ps); ok {
		st.Code = 128 + w
	}
	return st, nil
}

// ended waits until a process has ended, and leaves it to be waited for. To wait for it sooner would take away what the
// tracer waits for, which stops it for a crash report: both are this process.
func ended(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("watching a process: %w", err)
	}
	defer unix.Close(fd)
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if err != unix.EINTR {
			return err
		}
	}
}

// admit judges a program by its entitlements.
func (s *Session) admit(p *linux.Program) (*restrict.Task, error) {
	level, claims, _, err := s.level(p.Path)
	if err != nil {
		return nil, err
	}
	t := restrict.NewTask(restrict.ForLevel(level))
	t.Entitlements = map[string]bool{}
	if claims != nil {
		for _, e := range claims.Entries {
			if e.Value.IsTrue() {
				t.Entitlements[e.Key] = true
			}
		}
	}
	t.Audit = s.options.Audit == Audit
	return t, nil
}

// level returns the level of a program, its entitlements, and what decided.
func (s *Session) level(path string) (rules.Level, *entitlement.Set, string, error) {
	claims, source := s.claims, s.options.Entitlements
	if claims == nil {
		var err error
		if claims, source, err = entitlement.OfProgram(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, nil, "", err
		}
	}
	switch {
	case s.options.Level != nil:
		return *s.options.Level, claims, "--level", nil
	case claims == nil:
		return s.options.Default, nil, "the default of programs that declare nothing", nil
	}
	d := entitlement.Decide(entitlement.Inputs{Plist: claims, Linux: true})
	return d.Level, claims, source, nil
}

func (s *Session) started(p *linux.Process) {
	if s.options.Trace != nil {
		s.options.Trace.Started(p.Task)
	}
	if p.Parent != nil {
		return // the bootstrap port is inherited
	}
	if err := s.names.Lend(p.Task); err != nil && s.options.Log != nil {
		s.options.Log.Warn("a task gets no bootstrap port", "pid", p.PID, "error", err)
	}
}

// Join returns a session with the kernel at Options.Socket, which others run. Of the options only Reported and Log count.
func Join(o Options) *Session { return &Session{Socket: o.Socket, options: o} }
