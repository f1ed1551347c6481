package server

import (
	taskdefs "portcullis.dev/defs/task"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// tasks serves task: what can be done with tasks.
type tasks struct{ *call }

var _ taskdefs.Server[port] = tasks{}

// TaskTerminate serves task_terminate: processes end by other means.
func (c tasks) TaskTerminate(_ *rpc.Message[port], task port) mach.KernReturn {
	if c.task(task, object.Control) == nil {
		return mach.KernInvalidArgument
	}
	return mach.KernFailure
}

// TaskThreads serves task_threads: the stronger the port, the stronger the ports of the threads.
func (c tasks) TaskThreads(_ *rpc.Message[port], task port) ([]port, mach.KernReturn) {
	t := c.m.TaskUnjudged(task, object.Inspect)
	if t == nil {
		return nil, mach.KernInvalidArgument
	}
	f := object.Control
	switch task.Type() {
	case mach.PortTypeTaskRead:
		f = object.Read
	case mach.PortTypeTaskInspect:
		f = object.Inspect
	}
	return t.Threads(c.by.Task(), f)
}

// KernelrpcMachPortsRegister3 serves what the library makes of mach_ports_register.
func (c tasks) KernelrpcMachPortsRegister3(_ *rpc.Message[port], task, port1, port2, port3 port) mach.KernReturn {
	return c.task(task, object.Control).Register(c.by, [object.RegisterMax]port{port1, port2, port3})
}

// KernelrpcMachPortsLookup3 serves what the library makes of mach_ports_lookup.
func (c tasks) KernelrpcMachPortsLookup3(_ *rpc.Message[port], task port) (port, port, port, mach.KernReturn) {
	r, kr := c.task(task, object.Control).Registered()
	return r[0], r[1], r[2], kr
}

// TaskGetSpecialPort serves task_get_special_port.
func (c tasks) TaskGetSpecialPort(_ *rpc.Message[port], task port, which int32) (port, mach.KernReturn) {
	return c.m.TaskSpecialPort(c.by, task, object.TaskPort(which))
}

// TaskSetSpecialPort serves task_set_special_port.
func (c tasks) TaskSetSpecialPort(_ *rpc.Message[port], task port, which int32, right port) mach.KernReturn {
	return c.task(task, object.Control).SetSpecialPort(c.by, object.TaskPort(which), right)
}

// SemaphoreCreate serves semaphore_create.
func (c tasks) SemaphoreCreate(_ *rpc.Message[port], task port, policy, value int32) (port, mach.KernReturn) {
	return c.task(task, object.Control).CreateSemaphore(object.SemaphorePolicy(policy), value)
}

// SemaphoreDestroy serves semaphore_destroy.
func (c tasks) SemaphoreDestroy(_ *rpc.Message[port], task, semaphore port) mach.KernReturn {
	t, s := c.task(task, object.Control), c.m.SemaphoreOf(semaphore)
	kr := t.DestroySemaphore(s)
	if s != nil {
		s.Release()
	}
	if kr == 0 {
		drop(semaphore)
	}
	return kr
}

// TaskCreateIdentityToken serves task_create_identity_token.
func (c tasks) TaskCreateIdentityToken(_ *rpc.Message[port], task port) (port, mach.KernReturn) {
	return c.task(task, object.Control).CreateToken(c.by.Task())
}

// TaskIdentityTokenGetTaskPort serves task_identity_token_get_task_port.
func (c tasks) TaskIdentityTokenGetTaskPort(_ *rpc.Message[port], token port, flavor int32) (port, mach.KernReturn) {
	return c.m.TokenOf(token).TaskPort(c.by, object.Flavor(flavor))
}

// KernelrpcMachTaskIsSelf serves what the library makes of mach_task_is_self.
func (c tasks) KernelrpcMachTaskIsSelf(_ *rpc.Message[port], task port) (int32, mach.KernReturn) {
	t := c.m.TaskUnjudged(task, object.Name)
	if t == nil {
		return 0, mach.KernInvalidArgument
	}
	return integer(t == c.by.Task()), 0
}

// guardBits are the bits of a guard behaviour (TASK_EXC_GUARD_ALL).
const guardBits restrict.GuardBehavior = 0xff

// TaskGetExcGuardBehavior serves task_get_exc_guard_behavior, for which an inspect port will do.
func (c tasks) TaskGetExcGuardBehavior(_ *rpc.Message[port], task port) (uint32, mach.KernReturn) {
	t := c.m.TaskUnjudged(task, object.Inspect)
	if t == nil {
		return 0, mach.KernInvalidTask
	}
	return uint32(t.Restrict.Behavior()), 0
}

// TaskSetExcGuardBehavior serves task_set_exc_guard_behavior.
func (c tasks) TaskSetExcGuardBehavior(_ *rpc.Message[port], task port, behavior uint32) mach.KernReturn {
	t, b := c.task(task, object.Control), restrict.GuardBehavior(behavior)
	switch {
	case t == nil:
		return mach.KernInvalidTask
	case b&^guardBits != 0:
		return mach.KernInvalidValue
	case !t.Restrict.UpgradeBehavior(b):
		return mach.KernDenied
	}
	return 0
}

// TaskSetInfo serves task_set_info, which knows no flavor.
func (tasks) TaskSetInfo(*rpc.Message[port], port, int32, []int32) mach.KernReturn {
	return mach.KernInvalidArgument
}

// TaskSetCorpseForkingBehavior serves task_set_corpse_forking_behavior, which kernels that are released do not have.
func (tasks) TaskSetCorpseForkingBehavior(*rpc.Message[port], port, uint32) mach.KernReturn {
	return mach.KernNotSupported
}

// TaskSetPhysFootprintLimit serves task_set_phys_footprint_limit: nobody here has the privilege.
func (tasks) TaskSetPhysFootprintLimit(*rpc.Message[port], port, int32) (int32, mach.KernReturn) {
	return 0, mach.KernNoAccess
}

// TaskGetMachVoucher serves task_get_mach_voucher, which always gives the null voucher.
func (c tasks) TaskGetMachVoucher(_ *rpc.Message[port], task port, _ uint32) (port, mach.KernReturn) {
	if c.task(task, object.Read) == nil {
		return nil, mach.KernInvalidTask
	}
	return nil, 0
}

// TaskSetMachVoucher serves task_set_mach_voucher, which does nothing.
func (c tasks) TaskSetMachVoucher(_ *rpc.Message[port], task, voucher port) mach.KernReturn {
	if c.task(task, object.Control) == nil {
		return mach.KernInvalidTask
	}
	drop(voucher)
	return 0
}

// TaskSwapMachVoucher serves task_swap_mach_voucher, which is not done.
func (tasks) TaskSwapMachVoucher(_ *rpc.Message[port], _, _, _ port) (port, mach.KernReturn) {
	return nil, mach.KernNotSupported
}
