package server

import (
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// TaskSuspend serves task_suspend, for which a read port will do, as for its kin.
func (c tasks) TaskSuspend(_ *rpc.Message[port], task port) mach.KernReturn {
	return c.task(task, object.Read).SuspendFor(c.by)
}

// TaskResume serves task_resume.
func (c tasks) TaskResume(_ *rpc.Message[port], task port) mach.KernReturn {
	return c.task(task, object.Read).ResumeFor(c.by)
}

// TaskSuspend2 serves task_suspend2.
func (c tasks) TaskSuspend2(_ *rpc.Message[port], task port) (port, mach.KernReturn) {
	return c.task(task, object.Read).SuspendToken()
}

// TaskResume2 serves task_resume2, a message to the token that uses it up.
func (c tasks) TaskResume2(_ *rpc.Message[port], token port) mach.KernReturn {
	return c.m.ResumeToken(token)
}
