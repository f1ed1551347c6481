package object

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// Spawner makes threads in a task that did not ask the operating system for them itself.
type Spawner interface {
	// Spawn makes a thread that does not run yet: [Runner.Continue] starts it with the registers that it was given.
	Spawn() (ipc.Parker, Runner, mach.KernReturn)
}

// CreateThread is thread_create: the new thread is suspended once. Where threads cannot be made for the task
// ([TaskConfig.Spawn]) it returns KERN_NOT_SUPPORTED, which XNU never does.
//
// Source: XNU osfmk/kern/thread.c, thread_create_internal2.
func (t *Task) CreateThread() (*Thread, mach.KernReturn) {
	switch {
	case t == nil || t == t.m.Kernel:
		return nil, mach.KernInvalidArgument
	case t.lifeNow() != alive:
		return nil, mach.KernFailure
	case t.spawn == nil:
		return nil, mach.KernNotSupported
	}
	parker, runner, kr := t.spawn.Spawn()
	if kr != 0 {
		return nil, kr
	}
	th, kr := t.newThread(RawThread, parker, runner, 1)
	if kr != 0 {
		runner.End()
	}
	return th, kr
}

// CreateRunning is thread_create_running: the thread starts with the registers of a flavor. The restrictions do not
// look at them.
//
// Source: XNU osfmk/kern/thread.c, thread_create_running_internal2.
func (t *Task) CreateRunning(flavor uint32, words []uint32) (*Thread, mach.KernReturn) {
	th, kr := t.CreateThread()
	if kr != 0 {
		return nil, kr
	}
	if kr = th.state.Set(flavor, words); kr == 0 {
		kr = th.Resume()
	}
	if kr != 0 {
		th.Terminate()
		return nil, kr
	}
	return th, 0
}

// TerminateFromUser is thread_terminate: threads of the thread library end by themselves, which is KERN_DENIED.
//
// Source: XNU osfmk/kern/thread_act.c, thread_terminate_from_user.
func (th *Thread) TerminateFromUser() mach.KernReturn {
	if th == nil {
		return mach.KernInvalidArgument
	}
	if th.kind != RawThread {
		return mach.KernDenied
	}
	return th.Terminate()
}
