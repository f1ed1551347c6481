package object

import (
	"sync"
	"sync/atomic"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
)

// Task is a task: a space, threads, and ports that others know it by.
type Task struct {
	Restrict *restrict.Task // what the restrictions know of it
	Space    *ipc.Space     // nil for the kernel's task

	m      *Machine
	pid    int32
	unique uint64 // never used again, as process ids are
	port   portal
	behind any          // TaskConfig.Process
	made   atomic.Int64 // objects that it made and that are not gone
	files  atomic.Int64 // those of them that are files
	spawn  Spawner
	enroll func()
	stops  stops

	mu         sync.Mutex
	life       life
	ports      [taskFlavors]*ipc.Port
	substitute bool                                  // its read port turns into its control port for itself
	special    [TaskResourceNotifyPort + 1]*ipc.Port // send rights
	registered [RegisterMax]*ipc.Port                // send rights
	exceptions actions
	hardened   hardenedAction
	resume     *ipc.Port // resume port, made when first needed
	frozen     bool      // a hardened exception handler was registered
	threads    map[*Thread]struct{}
	semaphores map[*Semaphore]struct{}
	alarms     map[*clockAlarm]struct{}
}

type life uint8

const (
	alive life = iota
	corpse
	dead
)

// TaskConfig says what a task is made of.
type TaskConfig struct {
	PID      int32
	Restrict *restrict.Task
	Memory   ipc.Memory
	Identity ipc.Identity
	Parent   *Task // special, registered and exception ports are inherited from it
	// Inherit, if not nil, is what is inherited in place of what Parent has now. A task that is made uses it up.
	Inherit *Inheritance
	Root    bool // its host port is the host's privileged one
	Spawn   Spawner
	// Enroll, if not nil, makes threads ([Task.NewThread]) of what runs in the task and is no thread yet. It is called with
	// nothing locked, before threads are listed or all are stopped.
	Enroll  func()
	Process any // what is behind the task, for whoever serves its calls; the package does not look at it
}

// NewTask makes a task without threads. The name of its own control port is there from the beginning: pinned, and
// immovable if the restrictions say so.
//
// Source: XNU osfmk/kern/ipc_tt.c, ipc_task_init and ipc_task_copyout_control_port.
func (m *Machine) NewTask(c TaskConfig) (*Task, error) {
	t := &Task{Restrict: c.Restrict, m: m, pid: c.PID, spawn: c.Spawn, enroll: c.Enroll, behind: c.Process}
	t.port = portal{m, t}
	c.Restrict.Owner = t
	t.Space = c.Restrict.NewSpace(m.IPC, ipc.SpaceConfig{Memory: c.Memory, Identity: c.Identity})
	if err := m.enroll(t); err != nil {
		t.Space.Terminate()
		return nil, err
	}
	m.live.tasks.Add(1)
	if i := c.Inherit; i != nil {
		i.settle(t)
	} else if c.Parent != nil {
		c.Parent.Bequeath().settle(t)
	}
	if t.special[TaskHostPort] == nil || c.Root {
		old := t.special[TaskHostPort]
		t.special[TaskHostPort] = m.Host.makeSend(c.Root)
		release(old)
	}
	t.Space.InsertSend(t.makeSend(Control), true)
	return t, nil
}

// Inheritance is what a task leaves to a child, as it was at the moment of the fork. It holds rights: it is passed on
// in a [TaskConfig], or given up.
type Inheritance struct {
	special    [TaskResourceNotifyPort + 1]*ipc.Port
	registered [RegisterMax]*ipc.Port
	exceptions actions
}

// Bequeath returns what a child would inherit now.
func (t *Task) Bequeath() *Inheritance {
	i := new(Inheritance)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, which := range []TaskPort{TaskHostPort, TaskBootstrapPort, TaskAccessPort} {
		i.special[which] = t.special[which].CopySend()
	}
	for n, p := range t.registered {
		i.registered[n] = p.CopySend()
	}
	i.exceptions = t.exceptions
	for n := range i.exceptions {
		i.exceptions[n].port = i.exceptions[n].port.CopySend()
	}
	return i
}

// settle gives a new task what it inherits.
func (i *Inheritance) settle(t *Task) {
	t.special, t.registered, t.exceptions = i.special, i.registered, i.exceptions
	*i = Inheritance{}
}

// Release gives up what nobody has inherited.
func (i *Inheritance) Release() {
	release(i.exceptions.take(append(i.special[:], i.registered[:]...))...)
	*i = Inheritance{}
}

// Machine returns the machine the task runs on.
func (t *Task) Machine() *Machine { return t.m }

// Process returns what is behind the task; nil if nothing is.
func (t *Task) Process() any { return t.behind }

// Program returns the name of the program that the task runs, if what is behind it has one; else "".
func (t *Task) Program() string {
	if p, ok := t.behind.(interface{ Name() string }); ok {
		return p.Name()
	}
	return ""
}

// PID returns the process id.
func (t *Task) PID() int32 { return t.pid }

func (t *Task) platform() bool { return t.Restrict.Policy&restrict.Platform != 0 }

// IsCorpse says that nothing but a corpse is left of the task.
func (t *Task) IsCorpse() bool { return t.lifeNow() == corpse }

func (t *Task) gone() bool { return t.lifeNow() == dead }

func (t *Task) lifeNow() life {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.life
}

// charge counts an object that the task makes; false if it has too many.
func (t *Task) charge() bool {
	if t.made.Add(1) > t.m.limit {
		t.made.Add(-1)
		return false
	}
	return true
}

// Self is task_self_trap: it gives the task another reference to its own control port, or to what was put in its place,
// and returns the name; 0 if there is none.
func (t *Task) Self() mach.Name {
	t.mu.Lock()
	p := t.special[TaskKernelPort].CopySend()
	t.mu.Unlock()
	if p == nil {
		p = t.makeSend(Control)
	}
	return t.insert(p)
}

// HostSelf is host_self_trap.
func (t *Task) HostSelf() mach.Name {
	t.mu.Lock()
	p := t.special[TaskHostPort].CopySend()
	t.mu.Unlock()
	return t.insert(p)
}

// insert gives the task a send right and returns its name: 0 if there is none, dead if it is.
func (t *Task) insert(p *ipc.Port) mach.Name {
	if p == nil {
		return mach.NullName
	}
	name, kr := t.Space.InsertSend(p, false)
	switch {
	case kr == mach.KernInvalidCapability:
		return mach.DeadName
	case kr != 0:
		return mach.NullName
	}
	return name
}

// Threads makes send rights of a flavor to the task's threads for caller, in no order (task_threads).
func (t *Task) Threads(caller *Task, f Flavor) ([]*ipc.Port, mach.KernReturn) {
	if t == nil {
		return nil, mach.KernInvalidArgument
	}
	if t.lifeNow() != alive {
		return nil, mach.KernFailure
	}
	if t.enroll != nil {
		t.enroll()
	}
	all := t.allThreads()
	rights := make([]*ipc.Port, 0, len(all))
	for _, th := range all {
		if p := th.ThreadPort(caller, f); p != nil {
			rights = append(rights, p)
		}
	}
	return rights, 0
}

// Alive says that the task has not ended; a corpse has.
func (t *Task) Alive() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.life == alive
}

// Identity returns what the trailers of the task's messages say of it.
func (t *Task) Identity() ipc.Identity {
	if t.Space == nil {
		return ipc.Identity{}
	}
	return t.Space.Identity()
}
