package object

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// estate is what a task leaves when it ends.
type estate struct {
	ports      []*ipc.Port // kernel-owned, to be destroyed
	rights     []*ipc.Port // send rights, to be given up
	threads    []*Thread
	semaphores []*Semaphore
	alarms     []*clockAlarm
}

// vacate takes everything out of a locked task.
func (t *Task) vacate() (e estate) {
	for th := range t.threads {
		e.threads = append(e.threads, th)
	}
	for s := range t.semaphores {
		e.semaphores = append(e.semaphores, s)
	}
	e.rights = append(append(t.special[:], t.registered[:]...), t.hardened.Port)
	e.rights = t.exceptions.take(e.rights)
	for a := range t.alarms {
		e.alarms = append(e.alarms, a)
	}
	e.ports = append(e.ports, t.resume)
	t.threads, t.semaphores, t.resume = nil, nil, nil
	t.special, t.registered, t.hardened = [len(t.special)]*ipc.Port{}, [RegisterMax]*ipc.Port{}, hardenedAction{}
	return e
}

// settle carries out what death means for everything that a task had. Nothing is locked.
func (t *Task) settle(e *estate) {
	for _, th := range e.threads {
		th.Terminate()
	}
	for _, s := range e.semaphores {
		s.deactivate()
	}
	for _, a := range e.alarms {
		a.cancel()
	}
	t.m.Host.leaves(t)
	if t.Space != nil {
		t.Space.Terminate()
	}
	release(e.rights...)
	for _, p := range e.ports {
		if p != nil {
			p.Destroy()
		}
	}
}

// Terminate ends the task, or what is left of it: its threads, its space, its semaphores, its ports. KERN_FAILURE says
// that it had ended before.
//
// Source: XNU osfmk/kern/task.c, task_terminate_internal; osfmk/kern/ipc_tt.c, ipc_task_disable, ipc_task_terminate.
func (t *Task) Terminate() mach.KernReturn {
	if t == nil || t == t.m.Kernel {
		return mach.KernInvalidArgument
	}
	t.mu.Lock()
	if t.life == dead {
		t.mu.Unlock()
		return mach.KernFailure
	}
	t.life = dead
	e := t.vacate()
	e.ports = append(e.ports, t.ports[:]...)
	t.ports = [taskFlavors]*ipc.Port{}
	t.mu.Unlock()
	t.m.bury(t, false)
	t.settle(&e)
	t.m.live.tasks.Add(-1)
	return 0
}

// Corpse ends the task but for a corpse, which lasts as long as somebody holds a send right to its new control port.
// The first such right comes back. The name port stays what it was; the other ports die. Who handles
// EXC_CORPSE_NOTIFY for the task stays registered.
//
// Source: XNU osfmk/kern/ipc_tt.c, ipc_task_reset and convert_corpse_to_port_and_nsrequest.
func (t *Task) Corpse() (*ipc.Port, mach.KernReturn) {
	if t == nil || t == t.m.Kernel {
		return nil, mach.KernInvalidArgument
	}
	t.mu.Lock()
	if t.life != alive {
		t.mu.Unlock()
		return nil, mach.KernFailure
	}
	t.life = corpse
	notify := t.exceptions[mach.ExcCorpseNotify]
	t.exceptions[mach.ExcCorpseNotify] = action{}
	e := t.vacate()
	t.exceptions[mach.ExcCorpseNotify] = notify
	e.ports = append(e.ports, t.ports[Control], t.ports[Read], t.ports[Inspect])
	t.ports[Read], t.ports[Inspect], t.substitute = nil, nil, false
	t.ports[Control] = t.m.IPC.NewObjectPort(taskTypes[Control], &t.port)
	right := t.ports[Control].MakeSend()
	t.mu.Unlock()
	t.m.bury(t, true)
	t.settle(&e)
	return right, 0
}

// noSenders ends a corpse that nobody can reach any more.
//
// Source: XNU osfmk/kern/task.c, task_port_no_senders.
func (t *Task) noSenders(p *ipc.Port) {
	t.mu.Lock()
	over := t.life == corpse && t.ports[Control] == p && !p.HasSenders()
	t.mu.Unlock()
	if over {
		t.Terminate()
	}
}
