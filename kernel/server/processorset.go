package server

import (
	"portcullis.dev/defs/processorset"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// processorSets serves processor_set: the set of all processors, and what runs on it.
type processorSets struct{ *call }

var _ processorset.Server[port] = processorSets{}

// Flavors of processor_set_info and processor_set_statistics.
const (
	setPolicies         = 3
	setLoad             = 4
	setBasic            = 5
	setTimeshareDefault = 10
	setTimeshareLimits  = 11
	setRRDefault        = 20
	setRRLimits         = 21
	setFIFODefault      = 30
	setFIFOLimits       = 31
)

const (
	kernelPriority = 95 // MAXPRI_KERNEL
	policies       = 7  // POLICY_TIMESHARE | POLICY_RR | POLICY_FIFO
)

// ProcessorSetStatistics serves processor_set_statistics, for which the name port will do.
//
// Source: XNU osfmk/kern/processor.c, processor_set_statistics.
func (c processorSets) ProcessorSetStatistics(_ *rpc.Message[port], set port, flavor int32, room uint32) ([]int32,
	mach.KernReturn) {
	switch {
	case c.m.ProcessorSetOf(set) == nil:
		return nil, mach.KernInvalidProcessorSet
	case flavor != setLoad:
		return nil, mach.KernInvalidArgument
	}
	var w words
	held, load := c.m.Stats(), c.server.load()
	now := load.Average[0]
	w.u32(uint32(held.Tasks))
	w.u32(uint32(held.Threads))
	w.u32(uint32(now * loadScale))
	w.u32(machFactor(now, len(load.Ticks)))
	return w.fit(room, 0, mach.KernFailure)
}

// ProcessorSetInfo serves processor_set_info, for which the name port will do.
//
// Source: XNU osfmk/kern/processor.c, processor_set_info.
func (c processorSets) ProcessorSetInfo(_ *rpc.Message[port], set port, flavor int32, room uint32) (port, []int32,
	mach.KernReturn) {
	if c.m.ProcessorSetOf(set) == nil {
		return nil, nil, mach.KernInvalidArgument
	}
	var w words
	switch flavor {
	case setBasic:
		w.u32(c.server.computer().Processors)
		w.u32(uint32(policyTimeshare))
	case setPolicies:
		w.u32(policies)
	case setTimeshareDefault, setFIFODefault:
		w.u32(basePriority)
	case setRRDefault:
		w.u32(basePriority)
		w.u32(1) // quantum
	case setTimeshareLimits, setRRLimits, setFIFOLimits:
		w.u32(kernelPriority)
	default:
		return nil, nil, mach.KernInvalidArgument
	}
	info, kr := w.fit(room, 0, mach.KernFailure)
	if kr != 0 {
		return nil, nil, kr
	}
	host, kr := c.m.Host.SpecialPort(object.HostNamePort)
	return host, info, kr
}

// ProcessorSetTasks serves processor_set_tasks, which the port of the set is for, not its name.
func (c processorSets) ProcessorSetTasks(req *rpc.Message[port], set port) ([]port, mach.KernReturn) {
	return c.ProcessorSetTasksWithFlavor(req, set, uint32(object.Control))
}

// ProcessorSetTasksWithFlavor serves processor_set_tasks_with_flavor. The kernel's own task is not among them.
//
// Source: XNU osfmk/kern/processor.c, processor_set_things and processor_set_tasks_with_flavor.
func (c processorSets) ProcessorSetTasksWithFlavor(_ *rpc.Message[port], set port, flavor uint32) ([]port,
	mach.KernReturn) {
	if !c.m.IsProcessorSet(set) || flavor > uint32(object.Name) {
		return nil, mach.KernInvalidArgument
	}
	var rights []*ipc.Port
	for _, t := range c.m.Tasks() {
		if p := t.TaskPort(c.by.Task(), object.Flavor(flavor)); p != nil {
			rights = append(rights, p)
		}
	}
	return rights, 0
}

// ProcessorSetThreads serves processor_set_threads, which systems other than the Mac do not have.
//
// Source: XNU osfmk/kern/processor.c, processor_set_threads.
func (c processorSets) ProcessorSetThreads(_ *rpc.Message[port], set port) ([]port, mach.KernReturn) {
	switch {
	case c.m.Restrict.NotMac:
		return nil, mach.KernNotSupported
	case !c.m.IsProcessorSet(set):
		return nil, mach.KernInvalidArgument
	}
	var rights []*ipc.Port
	for _, t := range c.m.Tasks() {
		threads, _ := t.Threads(c.by.Task(), object.Control) // none of a task that has just ended
		rights = append(rights, threads...)
	}
	return rights, 0
}
