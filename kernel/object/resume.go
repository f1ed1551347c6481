package object

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// resumption is what a task's resume port stands for. Whoever suspends a task gets a right to the port: a send right
// with task_suspend, which nobody sees, and a send-once right, the token, with task_suspend2. When the rights go, so do
// the suspensions: a task cannot stay suspended because the one that suspended it has died.
type resumption struct{ task *Task }

// resumePort returns the task's resume port, made if need be; nil if the task has ended.
func (t *Task) resumePort() *ipc.Port {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.life != alive {
		return nil
	}
	if t.resume == nil {
		t.resume = t.m.IPC.NewObjectPort(mach.PortTypeTaskResume, &portal{t.m, &resumption{t}})
	}
	return t.resume
}

// SuspendFor is task_suspend: [Task.Suspend], undone at the latest when the caller's task ends.
//
// Source: XNU osfmk/kern/task.c, task_suspend.
func (t *Task) SuspendFor(by *Thread) mach.KernReturn {
	kr := t.Suspend()
	if kr != 0 {
		return kr
	}
	p := t.resumePort()
	if p == nil {
		return 0 // a corpse is still anyway
	}
	t.stops.mu.Lock()
	t.stops.legacy++
	t.stops.mu.Unlock()
	_, kr = by.task.Space.InsertSend(p.MakeSend(), false)
	return kr
}

// ResumeFor is task_resume, which undoes any suspension; of the caller's own, if it has one.
//
// Source: XNU osfmk/kern/task.c, task_resume.
func (t *Task) ResumeFor(by *Thread) mach.KernReturn {
	kr := t.stop(func(s *stops) mach.KernReturn {
		kr := t.unstop(s, 1)
		if kr == 0 && s.legacy > 0 {
			s.legacy--
		}
		return kr
	})
	if t == nil {
		return kr
	}
	t.mu.Lock()
	p := t.resume
	t.mu.Unlock()
	if p != nil {
		which := ipc.OneRef
		if kr != 0 {
			which = ipc.AllRefs // somebody has released our suspensions already
		}
		by.task.Space.DropSend(by.IPC, p, which)
	}
	return kr
}

// SuspendToken is task_suspend2: the suspension lasts until the token, a send-once right, goes. A corpse gives none.
//
// Source: XNU osfmk/kern/task.c, task_suspend2_grp; osfmk/kern/ipc_tt.c, convert_task_suspension_token_to_port_grp.
func (t *Task) SuspendToken() (*ipc.Port, mach.KernReturn) {
	if kr := t.Suspend(); kr != 0 {
		return nil, kr
	}
	if p := t.resumePort(); p != nil {
		return p.MakeSendOnce(), 0
	}
	return nil, 0
}

// ResumeToken is task_resume2, of the task whose resume port a message came to.
//
// Source: XNU osfmk/kern/task.c, task_resume2_grp.
func (m *Machine) ResumeToken(p *ipc.Port) mach.KernReturn {
	r, _ := m.objectOf(p).(*resumption)
	if r == nil {
		return mach.KernInvalidArgument
	}
	return r.task.Resume()
}

// sendOnceGone resumes the task: a token has gone unused.
//
// Source: XNU osfmk/kern/task.c, task_suspension_send_once.
func (r *resumption) sendOnceGone() { r.task.Resume() }

// noSenders undoes what task_suspend did: nobody is left who would.
//
// Source: XNU osfmk/kern/task.c, task_suspension_no_senders and release_task_hold.
func (r *resumption) noSenders(p *ipc.Port) {
	if p.HasSenders() {
		return
	}
	t := r.task
	t.stop(func(s *stops) mach.KernReturn {
		n := min(s.legacy, s.count)
		s.legacy = 0
		return t.unstop(s, n)
	})
}
