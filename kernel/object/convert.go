package object

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// TaskOf returns the task that a port lets caller act on with the strength of f; nil if the port is weaker, stands for
// nothing any more or for something else, or if the policy refuses. The control port of a corpse is not good for
// control.
//
// Source: XNU osfmk/kern/ipc_tt.c, convert_port_to_task and its siblings.
func (m *Machine) TaskOf(caller *Task, p *ipc.Port, f Flavor) *Task {
	t := m.TaskUnjudged(p, f)
	switch {
	case t == nil || f > Read:
		return t
	case f == Control && t.IsCorpse():
		return nil
	case m.judge(caller, t, f, false) != 0:
		return nil
	}
	return t
}

// TaskUnjudged is [Machine.TaskOf] without the policy's say, and with corpses (convert_port_to_task_read_no_eval and
// its siblings).
func (m *Machine) TaskUnjudged(p *ipc.Port, f Flavor) *Task {
	t, _ := m.objectOf(p).(*Task)
	if t == nil {
		return nil
	}
	if has, ok := flavorIn(taskTypes[:], p.Type()); !ok || has > f || !t.stands(p, has) {
		return nil
	}
	return t
}

// stands says that a port still is the task's port of a flavor.
func (t *Task) stands(p *ipc.Port, f Flavor) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.life != dead && t.ports[f] == p
}

// ThreadOf returns the thread that a port lets caller act on with the strength of f, as [Machine.TaskOf] does for
// tasks.
func (m *Machine) ThreadOf(caller *Task, p *ipc.Port, f Flavor) *Thread {
	th := m.ThreadUnjudged(p, f)
	if th == nil || f <= Read && m.judge(caller, th.task, f, false) != 0 {
		return nil
	}
	return th
}

// ThreadUnjudged is [Machine.ThreadOf] without the policy's say.
func (m *Machine) ThreadUnjudged(p *ipc.Port, f Flavor) *Thread {
	th, _ := m.objectOf(p).(*Thread)
	if th == nil {
		return nil
	}
	if has, ok := flavorIn(threadTypes[:], p.Type()); !ok || has > f || !th.stands(p, has) {
		return nil
	}
	return th
}

func (th *Thread) stands(p *ipc.Port, f Flavor) bool {
	th.mu.Lock()
	defer th.mu.Unlock()
	return th.active && th.ports[f] == p
}

// judge says whether caller may use the control or read port of victim, or, with out, whether it may be given the
// control port.
//
// Without Developer Mode, XNU on other systems than the Mac does not refuse but stops the machine if a foreign control
// port comes in; here it is refused there too.
//
// Source: XNU osfmk/kern/ipc_tt.c, task_conversion_eval_internal.
func (m *Machine) judge(caller, victim *Task, f Flavor, out bool) mach.KernReturn {
	switch {
	case victim == nil:
		return mach.KernInvalidSecurity
	case !m.DeveloperMode() && caller != victim && f == Control && !victim.IsCorpse():
		return mach.KernInvalidSecurity
	case caller == m.Kernel || caller == victim:
		return 0
	case victim == m.Kernel && !out:
		return mach.KernInvalidSecurity
	case m.Restrict.NotMac && victim.platform() && !caller.platform():
		return mach.KernInvalidSecurity
	}
	return 0
}

// TaskPort makes a send right to the task's port of a flavor for caller: nil if the task is gone, dead if the policy
// refuses. Weaker ports than control are given out freely; the policy has its say when they are used.
//
// Source: XNU osfmk/kern/ipc_tt.c, convert_task_to_port_with_flavor.
func (t *Task) TaskPort(caller *Task, f Flavor) *ipc.Port {
	if f == Control && t.m.judge(caller, t, f, true) != 0 {
		if t.gone() {
			return nil
		}
		return ipc.DeadRight()
	}
	return t.makeSend(f)
}

// makeSend makes a send right to the task's port of a flavor; nil if the task is gone.
func (t *Task) makeSend(f Flavor) *ipc.Port {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.life == dead {
		return nil
	}
	if t.ports[f] == nil {
		t.ports[f] = t.m.IPC.NewObjectPort(taskTypes[f], &t.port)
		t.substitute = t.substitute || f == Read && !t.m.DeveloperMode()
	}
	return t.ports[f].MakeSend()
}

// ThreadPort makes a send right to the thread's port of a flavor for caller, as [Task.TaskPort] does for tasks.
//
// Source: XNU osfmk/kern/ipc_tt.c, convert_thread_to_port_with_flavor.
func (th *Thread) ThreadPort(caller *Task, f Flavor) *ipc.Port {
	if f == Control && th.task.m.judge(caller, th.task, f, true) != 0 {
		return ipc.DeadRight()
	}
	return th.makeSend(f)
}

func (th *Thread) makeSend(f Flavor) *ipc.Port {
	th.mu.Lock()
	defer th.mu.Unlock()
	if !th.active {
		return nil
	}
	if th.ports[f] == nil {
		th.ports[f] = th.task.m.IPC.NewObjectPort(threadTypes[f], &th.port)
		th.substitute = th.substitute || f == Read && !th.task.m.DeveloperMode()
	}
	return th.ports[f].MakeSend()
}

// canStash says that caller may leave a send right where others can fetch it.
func (m *Machine) canStash(caller *Task, p *ipc.Port) bool {
	return caller.Space == nil || m.Restrict.CanStash(caller.Space, p)
}
