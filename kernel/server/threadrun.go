package server

import (
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mach/state"
	"portcullis.dev/mig/rpc"
)

// ThreadSuspend serves thread_suspend, for which a read port will do.
func (c threads) ThreadSuspend(_ *rpc.Message[port], thread port) mach.KernReturn {
	return c.thread(thread, object.Read).Suspend()
}

// ThreadResume serves thread_resume, for which a read port will do.
func (c threads) ThreadResume(_ *rpc.Message[port], thread port) mach.KernReturn {
	return c.thread(thread, object.Read).Resume()
}

// ThreadAbort serves thread_abort.
func (c threads) ThreadAbort(_ *rpc.Message[port], thread port) mach.KernReturn {
	return c.thread(thread, object.Control).Abort()
}

// ThreadAbortSafely serves thread_abort_safely.
func (c threads) ThreadAbortSafely(_ *rpc.Message[port], thread port) mach.KernReturn {
	return c.thread(thread, object.Control).AbortSafely()
}

// ThreadConvertThreadState serves thread_convert_thread_state.
func (c threads) ThreadConvertThreadState(_ *rpc.Message[port], thread port, direction, _ int32, in []uint32,
	room uint32) ([]uint32, mach.KernReturn) {
	return c.thread(thread, object.Control).ConvertState(direction, in, int(room))
}

// ThreadCreate serves thread_create.
func (c tasks) ThreadCreate(_ *rpc.Message[port], task port) (port, mach.KernReturn) {
	return c.made(c.task(task, object.Control).CreateThread())
}

// ThreadCreateRunning serves thread_create_running.
func (c tasks) ThreadCreateRunning(_ *rpc.Message[port], task port, flavor int32, words []uint32) (port,
	mach.KernReturn) {
	return c.made(c.task(task, object.Control).CreateRunning(uint32(flavor), words))
}

func (c tasks) made(th *object.Thread, kr mach.KernReturn) (port, mach.KernReturn) {
	if kr != 0 {
		return nil, kr
	}
	return th.ThreadPort(c.by.Task(), object.Control), 0
}

// TaskGetState serves task_get_state: a task has debug registers, and here none of them is set.
//
// Source: XNU osfmk/kern/task.c, task_get_state; machine_task_get_state of both processors.
func (c tasks) TaskGetState(_ *rpc.Message[port], task port, flavor int32, room uint32) ([]uint32, mach.KernReturn) {
	n := state.Count(c.m.CPU(), uint32(flavor))
	if c.task(task, object.Read) == nil || !mach.ThreadFlavorIsDebug(c.m.CPU(), uint32(flavor)) || n == 0 ||
		n > int(room) {
		return nil, mach.KernInvalidArgument
	}
	return registers(c.m.CPU()).Get(uint32(flavor))
}

// TaskSetState serves task_set_state.
//
// Source: XNU osfmk/kern/task.c, task_set_state; machine_task_set_state of both processors.
func (c tasks) TaskSetState(_ *rpc.Message[port], task port, flavor int32, words []uint32) mach.KernReturn {
	if c.task(task, object.Control) == nil || !mach.ThreadFlavorIsDebug(c.m.CPU(), uint32(flavor)) {
		return mach.KernInvalidArgument
	}
	return registers(c.m.CPU()).Set(uint32(flavor), words)
}

// registers returns those of a thread of which nothing is known.
func registers(cpu string) object.State {
	if cpu == "x86_64" {
		return new(state.AMD64)
	}
	return new(state.ARM64)
}
