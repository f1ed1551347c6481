package server

import (
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// Corpses have no crash information to map (kcdata): what there is to know of them is asked by other calls.

// TaskGenerateCorpse serves task_generate_corpse: a task that lives on cannot be copied.
func (c tasks) TaskGenerateCorpse(_ *rpc.Message[port], task port) (port, mach.KernReturn) {
	if c.task(task, object.Read) == nil {
		return nil, mach.KernInvalidArgument
	}
	return nil, mach.KernNotSupported
}

// TaskMapCorpseInfo serves task_map_corpse_info.
func (c tasks) TaskMapCorpseInfo(_ *rpc.Message[port], _, _ port) (uint64, uint32, mach.KernReturn) {
	return 0, 0, mach.KernInvalidArgument
}

// TaskMapCorpseInfo64 serves task_map_corpse_info_64.
func (c tasks) TaskMapCorpseInfo64(_ *rpc.Message[port], _, _ port) (uint64, uint64, mach.KernReturn) {
	return 0, 0, mach.KernInvalidArgument
}

// TaskMapKcdataObject64 serves task_map_kcdata_object_64.
func (tasks) TaskMapKcdataObject64(_ *rpc.Message[port], _, _ port) (uint64, uint64, mach.KernReturn) {
	return 0, 0, mach.KernInvalidArgument
}

// inspectWords are instructions and cycles, of 64 bits.
const inspectWords = 4

// TaskInspect serves task_inspect: instructions and cycles are not counted, which processors without counters say too.
//
// Source: XNU osfmk/kern/task.c, task_inspect.
func (c tasks) TaskInspect(_ *rpc.Message[port], task port, flavor, room uint32) ([]int32, mach.KernReturn) {
	if c.m.TaskUnjudged(task, object.Inspect) == nil || flavor != 1 || room < inspectWords {
		return nil, mach.KernInvalidArgument
	}
	return nil, mach.KernNotSupported
}

// TaskPurgableInfo serves task_purgable_info: no memory is purgable.
func (c tasks) TaskPurgableInfo(_ *rpc.Message[port], task port) (stats [purgableWords]int32, kr mach.KernReturn) {
	if c.m.TaskUnjudged(task, object.Inspect) == nil {
		return stats, mach.KernInvalidArgument
	}
	return stats, 0
}
