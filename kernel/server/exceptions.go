package server

import (
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// maxActions is how many lines the calls that list exception ports have room for (EXC_TYPES_COUNT lines are all there
// can be).
const maxActions = 32

func action(mask int32, p port, behavior, flavor int32) object.ExceptionAction {
	return object.ExceptionAction{Mask: mach.ExceptionMask(mask), Port: p, Behavior: mach.ExceptionBehavior(behavior),
		Flavor: uint32(flavor)}
}

// columns turns lines of exception actions into the arrays of the interfaces.
func columns(all []object.ExceptionAction, kr mach.KernReturn) (masks []int32, handlers []port, behaviors,
	flavors []int32, _ mach.KernReturn) {
	for _, e := range all {
		masks, handlers = append(masks, int32(e.Mask)), append(handlers, e.Port)
		behaviors, flavors = append(behaviors, int32(e.Behavior)), append(flavors, int32(e.Flavor))
	}
	return masks, handlers, behaviors, flavors, kr
}

func infoColumns(all []object.ExceptionInfo, kr mach.KernReturn) (masks []int32, handlers [][2]uint32, behaviors,
	flavors []int32, _ mach.KernReturn) {
	for _, e := range all {
		masks, handlers = append(masks, int32(e.Mask)), append(handlers, [2]uint32{e.Port, e.Receiver})
		behaviors, flavors = append(behaviors, int32(e.Behavior)), append(flavors, int32(e.Flavor))
	}
	return masks, handlers, behaviors, flavors, kr
}

// TaskSetExceptionPorts serves task_set_exception_ports.
func (c tasks) TaskSetExceptionPorts(_ *rpc.Message[port], task port, mask int32, p port, behavior,
	flavor int32) mach.KernReturn {
	return c.task(task, object.Control).SetExceptionPorts(c.by, action(mask, p, behavior, flavor))
}

// TaskGetExceptionPorts serves task_get_exception_ports.
func (c tasks) TaskGetExceptionPorts(_ *rpc.Message[port], task port, mask int32) ([]int32, []port, []int32, []int32,
	mach.KernReturn) {
	return columns(c.task(task, object.Control).ExceptionPorts(mach.ExceptionMask(mask), maxActions))
}

// TaskSwapExceptionPorts serves task_swap_exception_ports.
func (c tasks) TaskSwapExceptionPorts(_ *rpc.Message[port], task port, mask int32, p port, behavior,
	flavor int32) ([]int32, []port, []int32, []int32, mach.KernReturn) {
	return columns(c.task(task, object.Control).SwapExceptionPorts(c.by, action(mask, p, behavior, flavor), maxActions))
}

// TaskGetExceptionPortsInfo serves task_get_exception_ports_info.
func (c tasks) TaskGetExceptionPortsInfo(_ *rpc.Message[port], task port, mask int32) ([]int32, [][2]uint32, []int32,
	[]int32, mach.KernReturn) {
	return infoColumns(c.m.TaskExceptionInfo(task, mach.ExceptionMask(mask), maxActions))
}

// TaskRegisterHardenedExceptionHandler serves task_register_hardened_exception_handler.
func (c tasks) TaskRegisterHardenedExceptionHandler(_ *rpc.Message[port], task port, key uint32, mask, behavior,
	flavor int32, p port) mach.KernReturn {
	return c.task(task, object.Control).RegisterHardened(c.by, action(mask, p, behavior, flavor), key)
}

// ThreadSetExceptionPorts serves thread_set_exception_ports.
func (c threads) ThreadSetExceptionPorts(_ *rpc.Message[port], thread port, mask int32, p port, behavior,
	flavor int32) mach.KernReturn {
	return c.thread(thread, object.Control).SetExceptionPorts(c.by, action(mask, p, behavior, flavor))
}

// ThreadGetExceptionPorts serves thread_get_exception_ports.
func (c threads) ThreadGetExceptionPorts(_ *rpc.Message[port], thread port, mask int32) ([]int32, []port, []int32,
	[]int32, mach.KernReturn) {
	return columns(c.thread(thread, object.Control).ExceptionPorts(mach.ExceptionMask(mask), maxActions))
}

// ThreadSwapExceptionPorts serves thread_swap_exception_ports.
func (c threads) ThreadSwapExceptionPorts(_ *rpc.Message[port], thread port, mask int32, p port, behavior,
	flavor int32) ([]int32, []port, []int32, []int32, mach.KernReturn) {
	e := action(mask, p, behavior, flavor)
	return columns(c.thread(thread, object.Control).SwapExceptionPorts(c.by, e, maxActions))
}

// ThreadGetExceptionPortsInfo serves thread_get_exception_ports_info.
func (c threads) ThreadGetExceptionPortsInfo(_ *rpc.Message[port], thread port, mask int32) ([]int32, [][2]uint32,
	[]int32, []int32, mach.KernReturn) {
	return infoColumns(c.m.ThreadExceptionInfo(thread, mach.ExceptionMask(mask), maxActions))
}

// ThreadAdoptExceptionHandler serves thread_adopt_exception_handler.
func (c threads) ThreadAdoptExceptionHandler(_ *rpc.Message[port], thread, p port, mask, behavior,
	flavor int32) mach.KernReturn {
	return c.thread(thread, object.Control).AdoptHandler(c.by, action(mask, p, behavior, flavor))
}

// HostSetExceptionPorts serves host_set_exception_ports.
func (c hostPriv) HostSetExceptionPorts(_ *rpc.Message[port], host port, mask int32, p port, behavior,
	flavor int32) mach.KernReturn {
	return c.priv(host).SetExceptionPorts(c.by, action(mask, p, behavior, flavor))
}

// HostGetExceptionPorts serves host_get_exception_ports.
func (c hostPriv) HostGetExceptionPorts(_ *rpc.Message[port], host port, mask int32) ([]int32, []port, []int32,
	[]int32, mach.KernReturn) {
	return columns(c.priv(host).ExceptionPorts(mach.ExceptionMask(mask), maxActions))
}

// HostSwapExceptionPorts serves host_swap_exception_ports.
func (c hostPriv) HostSwapExceptionPorts(_ *rpc.Message[port], host port, mask int32, p port, behavior,
	flavor int32) ([]int32, []port, []int32, []int32, mach.KernReturn) {
	return columns(c.priv(host).SwapExceptionPorts(c.by, action(mask, p, behavior, flavor), maxActions))
}
