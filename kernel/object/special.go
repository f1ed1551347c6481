package object

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// TaskPort numbers the special ports of a task (task_special_port_t).
type TaskPort int32

const (
	TaskKernelPort         TaskPort = 1 // the control port, or what stands in for it
	TaskHostPort           TaskPort = 2
	TaskNamePort           TaskPort = 3
	TaskBootstrapPort      TaskPort = 4
	TaskInspectPort        TaskPort = 5
	TaskReadPort           TaskPort = 6
	TaskAccessPort         TaskPort = 9 // asked before others get the control port; can be set once
	TaskDebugControlPort   TaskPort = 10
	TaskResourceNotifyPort TaskPort = 11
)

// ThreadPort numbers the special ports of a thread.
type ThreadPort int32

const (
	ThreadKernelPort  ThreadPort = 1
	ThreadInspectPort ThreadPort = 2
	ThreadReadPort    ThreadPort = 3
)

// TaskSpecialPort returns a send right to a special port of the task that p stands for (task_get_special_port). What
// can be had depends on the strength of p: a control port gives everything, others only ports not stronger than
// themselves. One's own control port is not to be had if it is immovable.
//
// Source: XNU osfmk/kern/ipc_tt.c, task_get_special_port_from_user and special_port_allowed_with_task_flavor.
func (m *Machine) TaskSpecialPort(by *Thread, p *ipc.Port, which TaskPort) (*ipc.Port, mach.KernReturn) {
	t := m.TaskUnjudged(p, Inspect)
	if t == nil {
		return nil, mach.KernInvalidArgument
	}
	if refuse := m.hooks.GetSpecialPort; refuse != nil && refuse(by.task, t, which) {
		return nil, mach.KernDenied
	}
	if which == TaskKernelPort && t == by.task && t.selfImmovable() {
		return nil, mach.KernDenied
	}
	if has, _ := flavorIn(taskTypes[:], p.Type()); has != Control && !weaker(has, which) {
		return nil, mach.KernInvalidCapability
	}
	return t.SpecialPort(by.task, which)
}

// selfImmovable says that the task's own control ports may not leave it.
func (t *Task) selfImmovable() bool {
	t.mu.Lock()
	p := t.ports[Control]
	t.mu.Unlock()
	return !t.m.canStash(t, p)
}

// weaker says that a port of a flavor gives a special port: itself, or one that can do less.
func weaker(has Flavor, which TaskPort) bool {
	switch which {
	case TaskReadPort:
		return has <= Read
	case TaskInspectPort, TaskNamePort:
		return has <= Inspect
	}
	return false
}

// SpecialPort returns a send right to a special port, nil if it is not set, for a caller that may have it.
//
// Source: XNU osfmk/kern/ipc_tt.c, task_get_special_port_internal.
func (t *Task) SpecialPort(caller *Task, which TaskPort) (*ipc.Port, mach.KernReturn) {
	if t == nil {
		return nil, mach.KernInvalidArgument
	}
	t.mu.Lock()
	if t.life == dead {
		t.mu.Unlock()
		return nil, mach.KernFailure
	}
	var p *ipc.Port
	if which > 0 && int(which) < len(t.special) {
		p = t.special[which].CopySend()
	}
	t.mu.Unlock()
	switch which {
	case TaskKernelPort:
		if p == nil {
			p = t.makeSend(Control)
		}
	case TaskNamePort:
		p = t.TaskPort(caller, Name)
	case TaskInspectPort:
		p = t.TaskPort(caller, Inspect)
	case TaskReadPort:
		p = t.TaskPort(caller, Read)
	case TaskHostPort, TaskBootstrapPort, TaskAccessPort, TaskDebugControlPort, TaskResourceNotifyPort:
	default:
		return nil, mach.KernInvalidArgument
	}
	return p, 0
}

// SetSpecialPort replaces a special port (task_set_special_port). An immovable right is refused with
// KERN_INVALID_RIGHT.
//
// Source: XNU osfmk/kern/ipc_tt.c, task_set_special_port_from_user, task_set_special_port and
// task_set_special_port_internal.
func (t *Task) SetSpecialPort(by *Thread, which TaskPort, right *ipc.Port) mach.KernReturn {
	if t == nil {
		return mach.KernInvalidArgument
	}
	m := t.m
	if refuse := m.hooks.SetSpecialPort; refuse != nil && refuse(by.task, t, which) {
		return mach.KernDenied
	}
	if !m.canStash(by.task, right) {
		return mach.KernInvalidRight
	}
	if (which == TaskKernelPort || which == TaskHostPort) && !m.Restrict.KernelDebugging {
		return mach.KernNoAccess
	}
	return t.PutSpecialPort(which, right)
}

// PutSpecialPort is [Task.SetSpecialPort] for the kernel itself, as when a process is started.
func (t *Task) PutSpecialPort(which TaskPort, right *ipc.Port) mach.KernReturn {
	t.mu.Lock()
	switch {
	case t.life == dead:
		t.mu.Unlock()
		return mach.KernFailure
	case which == TaskAccessPort && valid(t.special[which]):
		t.mu.Unlock()
		return mach.KernNoAccess
	}
	switch which {
	case TaskKernelPort, TaskHostPort, TaskBootstrapPort, TaskAccessPort, TaskDebugControlPort, TaskResourceNotifyPort:
	default:
		t.mu.Unlock()
		return mach.KernInvalidArgument
	}
	old := t.special[which]
	t.special[which] = right
	t.mu.Unlock()
	release(old)
	return 0
}

// ThreadSpecialPort returns a send right to a special port of the thread that p stands for (thread_get_special_port).
//
// Source: XNU osfmk/kern/ipc_tt.c, thread_get_special_port_from_user and special_port_allowed_with_thread_flavor.
func (m *Machine) ThreadSpecialPort(by *Thread, p *ipc.Port, which ThreadPort) (*ipc.Port, mach.KernReturn) {
	th := m.ThreadUnjudged(p, Inspect)
	if th == nil {
		return nil, mach.KernInvalidArgument
	}
	if which == ThreadKernelPort && th.task == by.task && th.task.selfImmovable() {
		return nil, mach.KernDenied
	}
	switch has, _ := flavorIn(threadTypes[:], p.Type()); {
	case has == Control:
	case which == ThreadReadPort && has <= Read, which == ThreadInspectPort && has <= Inspect:
	default:
		return nil, mach.KernInvalidCapability
	}
	switch which {
	case ThreadKernelPort:
		th.mu.Lock()
		self, active := th.self.CopySend(), th.active
		th.mu.Unlock()
		switch {
		case !active:
			return nil, mach.KernFailure
		case self == nil:
			self = th.makeSend(Control)
		}
		return self, 0
	case ThreadReadPort:
		return th.ThreadPort(by.task, Read), 0
	case ThreadInspectPort:
		return th.ThreadPort(by.task, Inspect), 0
	}
	return nil, mach.KernInvalidArgument
}

// SetSpecialPort replaces what the thread gives as its own control port (thread_set_special_port).
//
// Source: XNU osfmk/kern/ipc_tt.c, thread_set_special_port.
func (th *Thread) SetSpecialPort(by *Thread, which ThreadPort, right *ipc.Port) mach.KernReturn {
	switch {
	case th == nil:
		return mach.KernInvalidArgument
	case !th.task.m.canStash(by.task, right):
		return mach.KernInvalidRight
	case which != ThreadKernelPort:
		return mach.KernInvalidArgument
	case !th.task.m.Restrict.KernelDebugging:
		return mach.KernNoAccess
	}
	th.mu.Lock()
	if !th.active {
		th.mu.Unlock()
		return mach.KernFailure
	}
	old := th.self
	th.self = right
	th.mu.Unlock()
	release(old)
	return 0
}

// RegisterMax is how many ports a task can register (TASK_PORT_REGISTER_MAX).
const RegisterMax = 3

// Register keeps three send rights, nil for none, for whoever looks them up and for the task's children
// (mach_ports_register, in the form of three ports). A right that is immovable for the caller is refused with
// KERN_INVALID_RIGHT.
//
// Source: XNU osfmk/kern/ipc_tt.c, _kernelrpc_mach_ports_register3.
func (t *Task) Register(by *Thread, rights [RegisterMax]*ipc.Port) mach.KernReturn {
	if t == nil {
		return mach.KernInvalidArgument
	}
	for _, p := range rights {
		if !t.m.canStash(by.task, p) {
			return mach.KernInvalidRight
		}
	}
	t.mu.Lock()
	if t.life == dead {
		t.mu.Unlock()
		return mach.KernInvalidArgument
	}
	rights, t.registered = t.registered, rights
	t.mu.Unlock()
	release(rights[:]...)
	return 0
}

// Registered copies the registered rights (mach_ports_lookup).
//
// Source: XNU osfmk/kern/ipc_tt.c, _kernelrpc_mach_ports_lookup3.
func (t *Task) Registered() (rights [RegisterMax]*ipc.Port, kr mach.KernReturn) {
	if t == nil {
		return rights, mach.KernInvalidArgument
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.life == dead {
		return rights, mach.KernInvalidArgument
	}
	for i, p := range t.registered {
		rights[i] = p.CopySend()
	}
	return rights, 0
}
