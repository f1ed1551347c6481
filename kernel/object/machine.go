package object

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
)

// Clock lends deadlines and tells the time. It must not call what it is given to call later before it returns.
type Clock interface {
	ipc.Clock
	// Now returns mach_absolute_time in nanoseconds.
	Now() uint64
}

// Server answers the messages that are sent to objects.
type Server interface {
	// Serve answers a call to a port of object, a *Task, *Thread, *Host, *Token or *Semaphore. It returns false, having
	// done nothing, if it does not know the call.
	Serve(by *Thread, object any, call *ipc.Call) bool
}

// Hooks are the questions that XNU asks of its policy modules (MACF). Each returns true to refuse; nil never does.
type Hooks struct {
	TokenTask         func(by, target *Task, f Flavor) bool             // task_identity_token_get_task_port
	GetSpecialPort    func(by, target *Task, which TaskPort) bool       // task_get_special_port
	SetSpecialPort    func(by, target *Task, which TaskPort) bool       // task_set_special_port
	SetHostPort       func(by *Task, which HostPort) bool               // host_set_special_port
	SetExceptionPorts func(by, target *Task, m mach.ExceptionMask) bool // target is nil for the host
	SendException     func(target *Task, x mach.ExceptionType) bool     // the next level is asked then
}

// Config says what a machine is made of.
type Config struct {
	Restrictions *restrict.Restrictions // nil: a Mac as it is sold
	Clock        Clock                  // nil: time stands still
	Limits       ipc.Limits
	Release      func([]byte) // see ipc.Config
	Bring        func([]byte) // likewise
	// Objects bounds the threads, semaphores, identity tokens and files that one task may have made; default 1<<16.
	Objects int64
	// Files bounds the open files that ports stand for; one task may have made an eighth of them. Default 1024.
	Files         int64
	CPU           string // "arm64" or "x86_64": which thread-state flavors there are; default arm64
	DeveloperMode bool
	Hooks         Hooks
	Server        Server // nil: no call is known
}

// Machine is a kernel with its tasks.
type Machine struct {
	IPC      *ipc.Kernel
	Restrict *restrict.Restrictions
	Host     *Host
	Kernel   *Task // kernel_task: no space, no threads

	clock  Clock
	limit  int64
	files  int64
	cpu    string
	hooks  Hooks
	server Server
	seed   maphash.Seed

	developer atomic.Bool
	threads   atomic.Uint64 // the last thread id
	live      struct{ tasks, threads, semaphores, tokens, timers, files atomic.Int64 }

	errands func() *ipc.Space // what the kernel's own threads act for, made when first needed

	mu      sync.Mutex
	unique  uint64 // the last unique id of a process
	tasks   map[int32]*Task
	corpses map[uint64]*Task
}

// New makes a machine on which nothing runs.
func New(c Config) *Machine {
	m := &Machine{Restrict: c.Restrictions, clock: c.Clock, limit: c.Objects, files: c.Files, cpu: c.CPU, hooks: c.Hooks,
		server: c.Server, seed: maphash.MakeSeed(), tasks: map[int32]*Task{}, corpses: map[uint64]*Task{}}
	if m.Restrict == nil {
		m.Restrict = &restrict.Restrictions{}
	}
	if m.limit == 0 {
		m.limit = 1 << 16
	}
	if m.files == 0 {
		m.files = 1024
	}
	if m.cpu == "" {
		m.cpu = "arm64"
	}
	m.developer.Store(c.DeveloperMode)
	k := ipc.Config{Restrictions: m.Restrict, Limits: c.Limits, Release: c.Release, Bring: c.Bring}
	if c.Clock != nil {
		k.Clock = c.Clock
	}
	m.IPC = ipc.New(k)
	m.Host = newHost(m)
	m.errands = sync.OnceValue(func() *ipc.Space { return m.IPC.NewSpace(ipc.SpaceConfig{}) })
	m.Kernel = &Task{Restrict: &restrict.Task{Policy: restrict.Kernel}, m: m, life: alive}
	m.Kernel.port = portal{m, m.Kernel}
	m.Kernel.Restrict.Owner = m.Kernel
	return m
}

// SetDeveloperMode turns Developer Mode on or off.
func (m *Machine) SetDeveloperMode(on bool) { m.developer.Store(on) }

// CPU returns whose thread-state flavors the machine knows: "arm64" or "x86_64".
func (m *Machine) CPU() string { return m.cpu }

// DeveloperMode says whether Developer Mode is on.
func (m *Machine) DeveloperMode() bool { return m.developer.Load() }

// Stats counts what the machine holds, beside what [ipc.Kernel.Stats] counts. The kernel's task is not counted.
type Stats struct{ Tasks, Threads, Semaphores, Tokens, Timers, Files int64 }

// Stats returns what the machine holds now.
func (m *Machine) Stats() Stats {
	l := &m.live
	return Stats{l.tasks.Load(), l.threads.Load(), l.semaphores.Load(), l.tokens.Load(), l.timers.Load(), l.files.Load()}
}

// Find returns the live task with a process id; nil if there is none.
func (m *Machine) Find(pid int32) *Task {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tasks[pid]
}

// Tasks returns the live tasks by process id. Tasks that are just being made may be missing.
func (m *Machine) Tasks() []*Task {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Collect(maps.Values(m.tasks))
	slices.SortFunc(all, func(a, b *Task) int { return cmp.Compare(a.pid, b.pid) })
	return all
}

// enroll gives a task its process id and a unique id.
func (m *Machine) enroll(t *Task) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tasks[t.pid] != nil || t.pid == 0 {
		return fmt.Errorf("process id %d is taken", t.pid)
	}
	m.unique++
	t.unique = m.unique
	m.tasks[t.pid] = t
	return nil
}

// bury takes a task out of the process table; a corpse is still found by its unique id.
func (m *Machine) bury(t *Task, corpse bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tasks[t.pid] == t {
		delete(m.tasks, t.pid)
	}
	if corpse {
		m.corpses[t.unique] = t
	} else {
		delete(m.corpses, t.unique)
	}
}

// Close ends all tasks and gives up what the host holds.
func (m *Machine) Close() {
	m.mu.Lock()
	var all []*Task
	for _, t := range m.tasks {
		all = append(all, t)
	}
	for _, t := range m.corpses {
		all = append(all, t)
	}
	m.mu.Unlock()
	for _, t := range all {
		t.Terminate()
	}
	m.Host.close()
	m.errands().Terminate()
}

// KernelThread makes a thread of the kernel's own, to ask with and be answered ([ipc.Thread.Ask]).
func (m *Machine) KernelThread() *ipc.Thread { return m.errands().NewThread(nil) }

// id returns a number that stands for an object of the kernel without giving its address away (VM_KERNEL_ADDRHASH); 0
// for nil.
func id[T any](m *Machine, p *T) uint32 {
	if p == nil {
		return 0
	}
	return uint32(maphash.Comparable(m.seed, p)) | 1
}
