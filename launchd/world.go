package launchd

import (
	"fmt"
	"syscall"
	"time"

	"portcullis.dev/mach"
)

// Clock tells the time and lends alarms.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f once, from anywhere, after d; stop cancels it.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// Spawner starts the programs of jobs.
type Spawner interface {
	// Start starts a program. Once it has ended s.Ended is called, from anywhere but Start.
	Start(s *Spawn) (Process, error)
}

// Spawn is what a program is started with.
type Spawn struct {
	Job         *Job
	Domain      string
	Environment map[string]string // beyond the launchd's own
	Sockets     SocketSet         // nil if it has none
	Ended       func(Exit)
}

// Process is a program that was started.
type Process interface {
	PID() int
	Signal(syscall.Signal) error
	// SignalGroup signals what is left of its process group.
	SignalGroup(syscall.Signal) error
}

// Exit says how a program ended: by a signal if that is not 0, else with a code.
type Exit struct {
	Code    int
	Signal  syscall.Signal
	Problem string // why the program never began, though a process had been made for it; "" if it did
}

// Crashed says that the program ended by a signal that stands for a fault of its own.
func (e Exit) Crashed() bool {
	switch e.Signal {
	case syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGFPE, syscall.SIGBUS, syscall.SIGSEGV, syscall.SIGSYS:
		return true
	}
	return false
}

// Status returns what `launchctl list` shows: the code, or the signal negated.
func (e Exit) Status() int {
	if e.Signal != 0 {
		return -int(e.Signal)
	}
	return e.Code
}

// String says it in words.
func (e Exit) String() string {
	if e.Signal != 0 {
		return fmt.Sprintf("signal %d (%v)", int(e.Signal), e.Signal)
	}
	return fmt.Sprintf("exit code %d", e.Code)
}

// exitConfig is the code of a job that could not be started (EX_CONFIG).
const exitConfig = 78

// Ports are the ports of services, by the domain's names for them. It holds a send right to each all the time, and the
// receive right when no program does.
type Ports interface {
	// Create makes a port with both rights.
	Create(service string) (mach.Name, error)
	// Arm asks for the receive right to come back when it is given up: then Launchd.Returned is called.
	Arm(mach.Name) error
	// Watch calls Launchd.Demanded once, from anywhere, when there is a message in a port whose receive right is here;
	// Unwatch stops that.
	Watch(mach.Name)
	Unwatch(mach.Name)
	// Drain drops the first n messages, or all if n is negative.
	Drain(name mach.Name, n int)
	// Destroy gives up all rights.
	Destroy(mach.Name)
}

// Listeners opens the sockets of jobs.
type Listeners interface {
	Open(*Job) (SocketSet, error)
}

// SocketSet is the open sockets of a job.
type SocketSet interface {
	// Watch calls ready once, from anywhere, when somebody wants something from one of the sockets.
	Watch(ready func())
	Unwatch()
	Close()
}

// Files answers questions about paths.
type Files interface {
	// Modified returns when a path was changed last; the zero time if it is not there.
	Modified(path string) time.Time
	// Empty says that there is nothing in a directory.
	Empty(dir string) bool
}

// Codes of the bootstrap interface.
const (
	codeNotPrivileged  mach.KernReturn = 1100
	codeNameInUse      mach.KernReturn = 1101
	codeUnknownService mach.KernReturn = 1102
	codeServiceActive  mach.KernReturn = 1103
)

// Flags of look-ups and check-ins.
const (
	FlagPerPID           = 1
	FlagPrivileged       = 8
	FlagSpecificInstance = 32
	FlagStrictCheckIn    = 64
	FlagStrictLookUp     = 128
)
