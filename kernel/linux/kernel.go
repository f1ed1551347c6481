//go:build linux

package linux

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/trap"
)

// Limits of one kernel and of one process. A process that would pass them is refused, not others.
const (
	maxProcesses = 4096 // or a fifth of the files that the kernel may have open, whichever is less
	maxLanes     = 1024 // of one process
	maxAllLanes  = 1 << 15
	maxGreetings = 8   // connections of one process that have not said hello
	maxForks     = 256 // tokens of one process that no child has used
	helloTime    = 5 * time.Second
	forkTime     = time.Minute     // how long a token is good
	orphanTime   = 5 * time.Second // and once the parent has ended
)

// Config says what a kernel is made of.
type Config struct {
	Objects object.Config // Clock, CPU and memory are filled in

	// Admit says what the restrictions are to know of the task of a program. An error refuses the program.
	Admit func(*Program) (*restrict.Task, error)

	// Violated is told of each guard that became of something: reported ones, and the fatal one before its task is killed.
	// The thread does not go on before it returns.
	Violated func(*Violation)

	// Crashed is told of a process that is about to die of a fault or an abort.
	Crashed func(*Fault)

	// Dropped is told of a process that the kernel ends because it does not keep to the protocol, and in what.
	Dropped func(p *Process, why string)

	// Started and Ended are told of tasks.
	Started, Ended func(*Process)

	Tracer Tracer // nil: none

	// List writes what the kernel holds, for who asks for that on the socket: root, or the user that the kernel runs as.
	// Nil: nobody is told.
	List func(io.Writer) error

	// Fate writes what has befallen a process, for the same ones. Nil: nobody is told.
	Fate func(pid int, w io.Writer) error

	Log *slog.Logger // of what tasks do wrong; nil: nowhere
}

// Program is a program that wants to be a task.
type Program struct {
	PID, UID, GID int
	Path          string // what Linux executes; empty if Linux does not say
	Forked        bool   // a child of a task with the same program
	Parent        *Process
}

// Kernel is a Mach kernel for Linux processes.
type Kernel struct {
	*object.Machine
	config  Config
	log     *slog.Logger
	hot     atomic.Int64  // lanes that sleep on a futex
	looking atomic.Int64  // workers that look at a lane without sleeping
	version atomic.Uint32 // of the process in the last audit token
	pages   sync.Map      // of bulk memory: first byte to *bulk
	ready   ready
	waits   atomic.Int64 // for what a task does in the middle of a call, on a futex
	lanes   atomic.Int64
	files   atomic.Int64 // of memory that passes between tasks
	large   atomic.Int64 // bytes of large buffers
	landed  atomic.Int64 // bytes of memory that processes receive in
	// fileMost bounds files, and in the same way those that ports stand for: a quarter of those that the kernel's own
	// process may have open.
	fileMost     int64
	maxProcesses int

	mu         sync.Mutex
	closed     bool
	processes  map[int]*Process
	forks      map[trap.Token]*fork
	successors map[int]*successor // by process id
	wait       sync.WaitGroup     // goroutines of processes
	conns      map[net.Conn]struct{}
	greetings  map[int]int // by process id: connections that have not said hello
}

// fork is what a child is to inherit.
type fork struct {
	parent *Process
	left   *object.Inheritance
	late   *time.Timer // gives up what no child has come for
}

// New makes a kernel that nobody has joined.
func New(c Config) *Kernel {
	k := &Kernel{config: c, log: c.Log, processes: map[int]*Process{},
		forks: map[trap.Token]*fork{}, successors: map[int]*successor{}, conns: map[net.Conn]struct{}{},
		greetings: map[int]int{}, fileMost: openFiles() / 4, maxProcesses: int(min(maxProcesses, openFiles()/5))}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	c.Objects.Clock = clock{}
	if c.Objects.CPU == "" {
		c.Objects.CPU = map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	}
	if c.Objects.Files == 0 {
		c.Objects.Files = k.fileMost
	}
	c.Objects.Release, c.Objects.Bring = k.release, k.bring
	k.Machine = object.New(c.Objects)
	return k
}

// Serve takes connections until the context is done or the listener fails. Then it ends all tasks of the kernel; their
// processes live on without one, unless whoever started them ends them.
func (k *Kernel) Serve(ctx context.Context, l *net.UnixListener) error {
	defer k.Close()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		conn, err := l.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed) || ctx.Err() != nil:
			return nil
		case err != nil:
			// Out of descriptors, most likely: others may still close some.
			k.log.Warn("cannot take a connection", "error", err)
			select {
			case <-time.After(50 * time.Millisecond):
				continue
			case <-ctx.Done():
				return nil
			}
		}
		if !k.hold(conn) {
			refuse(&trap.Socket{Conn: conn}, trap.Hello, unix.EAGAIN,
				errors.New("the kernel has as many tasks as it can have"))
			conn.Close()
			continue
		}
		k.wait.Go(func() {
			defer k.drop(conn)
			k.attach(conn)
		})
	}
}

// hold keeps a connection among those that end with the kernel; false if there are too many.
func (k *Kernel) hold(conn net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || len(k.conns) >= k.maxProcesses {
		return false
	}
	k.conns[conn] = struct{}{}
	return true
}

func (k *Kernel) drop(conn net.Conn) {
	conn.Close()
	k.mu.Lock()
	delete(k.conns, conn)
	k.mu.Unlock()
}

// Close ends all tasks and waits for what they had running.
func (k *Kernel) Close() {
	k.mu.Lock()
	k.closed = true
	for conn := range k.conns {
		conn.Close()
	}
	k.mu.Unlock()
	k.wait.Wait()
	k.disinherit()
	k.Machine.Close()
}

// Processes returns the processes that are tasks now.
func (k *Kernel) Processes() []*Process {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := make([]*Process, 0, len(k.processes))
	for _, p := range k.processes {
		all = append(all, p)
	}
	return all
}

// Find returns the process with a process id; nil if it is no task.
func (k *Kernel) Find(pid int) *Process {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.processes[pid]
}

// newFork makes a token for a child of p. What p has now is what the child inherits.
func (k *Kernel) newFork(p *Process) (trap.Token, error) {
	var token trap.Token
	rand.Read(token[:])
	f := &fork{parent: p, left: p.Task.Bequeath()}
	k.mu.Lock()
	n := 0
	for _, o := range k.forks {
		if o.parent == p {
			n++
		}
	}
	good := n < maxForks && !k.closed
	if good {
		k.forks[token] = f
		f.late = time.AfterFunc(forkTime, func() {
			if late := k.takeFork(token); late != nil {
				late.left.Release()
			}
		})
	}
	k.mu.Unlock()
	if !good {
		f.left.Release()
	}
	if n >= maxForks {
		return trap.Token{}, fmt.Errorf("%d children have not come forward", n)
	}
	return token, nil
}

// takeFork uses a token up; nil if there is no such token.
func (k *Kernel) takeFork(token trap.Token) *fork {
	k.mu.Lock()
	defer k.mu.Unlock()
	f := k.forks[token]
	if f != nil {
		f.late.Stop()
		delete(k.forks, token)
	}
	return f
}

// orphan leaves little time to the children of a process that has ended which are still on their way.
func (k *Kernel) orphan(p *Process) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, f := range k.forks {
		if f.parent == p {
			f.late.Reset(orphanTime)
		}
	}
}

// disinherit gives up what children and programs on their way are to have.
func (k *Kernel) disinherit() {
	var left []*object.Inheritance
	k.mu.Lock()
	for t, f := range k.forks {
		f.late.Stop()
		delete(k.forks, t)
		left = append(left, f.left)
	}
	for pid, s := range k.successors {
		delete(k.successors, pid)
		left = append(left, s.left)
	}
	k.mu.Unlock()
	for _, l := range left {
		l.Release()
	}
}

// clock is the time of the machine: mach_absolute_time counts nanoseconds of CLOCK_MONOTONIC, the calendar those of
// CLOCK_REALTIME.
type clock struct{}

var _ object.Calendar = clock{}

func (clock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
func (clock) Now() uint64                                     { return monotonic() }

// Calendar implements [object.Calendar].
func (clock) Calendar() uint64 { return uint64(time.Now().UnixNano()) }

// ProcessOf returns the process of a task; nil if it is none of a Linux kernel's.
func ProcessOf(t *object.Task) *Process {
	if t == nil {
		return nil
	}
	p, _ := t.Process().(*Process)
	return p
}

// laneOf returns the lane that a call came through; nil for calls of the kernel's own.
func laneOf(t *ipc.Thread) *lane {
	r := restrict.Of(t)
	if r == nil {
		return nil
	}
	th, _ := r.Owner.(*object.Thread)
	if th == nil {
		return nil
	}
	l, _ := th.Owner.(*lane)
	return l
}
