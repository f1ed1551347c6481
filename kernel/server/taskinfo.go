package server

import (
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// Flavors of task_info. Which one TASK_BASIC_INFO means is a matter of the processor and the SDK.
const (
	taskAbsoluteTime = 1
	taskEvents       = 2
	taskThreadTimes  = 3
	taskBasic32      = 4
	taskBasic64      = 5 // on arm64 the layout is that of the 32-bit one
	taskBasic2       = 6 // as the 32-bit one, with the largest resident size
	taskKernelMemory = 7
	taskTimeshare    = 10
	taskRR           = 11
	taskFIFO         = 12
	taskSecurity     = 13
	taskAudit        = 15
	taskAffinity     = 16
	taskDyld         = 17
	taskBasic64_2    = 18 // of arm64 alone
	taskExtmod       = 19
	taskMachBasic    = 20
	taskPower        = 21
	taskVM           = 22
	taskVMPurgeable  = 23
	taskWaitState    = 25
	taskPower2       = 26
	taskPVMAccount   = 27 // for tests of XNU's
	taskFlags        = 28
	taskDebug        = 29 // for tests of XNU's
)

// The least that a caller must have room for, where it is not the whole structure.
const (
	vmInfoLeast = 36 // TASK_VM_INFO_REV0_COUNT
	vmInfoWords = 93 // TASK_VM_INFO_COUNT
	power2Least = 22 // TASK_POWER_INFO_V2_COUNT_OLD
	dyldLeast   = 4  // without the format
)

// vmInfoSizes are the sizes that TASK_VM_INFO has had; a caller gets the largest that it has room for.
var vmInfoSizes = []int{vmInfoWords, 89, 87, 86, 84, 42, 38, vmInfoLeast}

// basePriority is the priority of an ordinary task (BASEPRI_DEFAULT).
const basePriority = 31

// flags64 says that addresses and registers have 64 bits (TF_64B_ADDR | TF_64B_DATA).
const flags64 = 0x3

// usage returns what a task has used; zeros where nobody knows.
func usage(t *object.Task) TaskUsage {
	if f, ok := t.Process().(TaskFacts); ok {
		return f.Usage()
	}
	return TaskUsage{}
}

// TaskInfo serves task_info, for which a name port will do; where the libraries of a program are needs a read port.
//
// Source: XNU osfmk/kern/task.c, task_info_from_user and task_info.
func (c tasks) TaskInfo(_ *rpc.Message[port], task port, flavor int32, room uint32) ([]int32, mach.KernReturn) {
	f := object.Name
	if flavor == taskDyld {
		f = object.Read
	}
	t := c.task(task, f)
	if t == nil || t != c.by.Task() && !t.Alive() {
		return nil, mach.KernInvalidArgument
	}
	w := make(words, 0, vmInfoWords)
	least, kr := w.task(t, flavor, c.m.CPU() == "arm64")
	if int(room) < least {
		return nil, mach.KernInvalidArgument
	}
	if flavor == taskVM || flavor == taskVMPurgeable {
		for _, n := range vmInfoSizes {
			if n <= int(room) {
				return w[:n], kr
			}
		}
	}
	return w[:min(len(w), int(room))], kr
}

// task writes what a flavor tells of a task, and returns how much of it a caller must have room for.
func (w *words) task(t *object.Task, flavor int32, arm bool) (least int, kr mach.KernReturn) {
	u, id := usage(t), t.Identity()
	switch flavor {
	case taskBasic32, taskBasic2:
		w.basic32(t, &u, flavor == taskBasic2)
	case taskBasic64, taskBasic64_2:
		if arm && flavor == taskBasic64 {
			w.basic32(t, &u, false)
			break
		}
		if !arm && flavor == taskBasic64_2 {
			return 0, mach.KernInvalidArgument
		}
		w.u32(suspensions(t))
		w.u64(u.Virtual)
		w.u64(u.Resident)
		w.times(u.EndedUser, u.EndedSystem)
	case taskMachBasic:
		w.u64(u.Virtual)
		w.u64(u.Resident)
		w.u64(u.ResidentMax)
		w.times(u.EndedUser, u.EndedSystem)
		w.u32(suspensions(t))
	case taskThreadTimes:
		w.span(u.User - min(u.User, u.EndedUser))
		w.span(u.System - min(u.System, u.EndedSystem))
	case taskAbsoluteTime:
		w.u64(u.User)
		w.u64(u.System)
		w.u64(u.User - min(u.User, u.EndedUser))
		w.u64(u.System - min(u.System, u.EndedSystem))
	case taskEvents:
		w.u32(u.Faults)
		w.u32(u.Pageins)
		w.u32(u.CopyOnWrites)
		w.zero(4) // messages and system calls are not counted
		w.u32(u.Switches)
	case taskDyld:
		w.zero(4) // no dynamic linker of Apple's
		w.u32(1)  // 64-bit format
		return dyldLeast, 0
	case taskExtmod:
		var uuid [16]byte
		if f, ok := t.Process().(TaskFacts); ok {
			uuid = f.Executable()
		}
		w.bytes(uuid[:])
		w.zero(12) // how often others have changed the task, and it others
	case taskKernelMemory:
		w.zero(8)
	case taskTimeshare:
		w.u32(basePriority)
	case taskRR:
		return 2, mach.KernInvalidPolicy
	case taskFIFO:
		return 1, mach.KernInvalidPolicy
	case taskSecurity:
		w.u32(id.Security[0])
		w.u32(id.Security[1])
	case taskAudit:
		for _, v := range id.Audit {
			w.u32(v)
		}
	case taskAffinity:
		w.zero(4)
	case taskPower, taskPower2:
		w.u64(u.User)
		w.u64(u.System)
		w.zero(8)
		if flavor == taskPower2 {
			w.zero(14)
			return power2Least, 0
		}
	case taskVM, taskVMPurgeable:
		w.vm(&u)
		return vmInfoLeast, 0
	case taskWaitState:
		w.zero(8)
	case taskFlags:
		w.u32(flags64)
	case taskPVMAccount, taskDebug:
		return 0, mach.KernNotSupported
	default:
		return 0, mach.KernInvalidArgument
	}
	return len(*w), 0
}

func suspensions(t *object.Task) uint32 { return uint32(t.SuspendCount()) }

// times writes the times of threads that ended and the policy of threads that begin.
func (w *words) times(user, system uint64) {
	w.span(user)
	w.span(system)
	w.u32(uint32(policyTimeshare))
}

func (w *words) basic32(t *object.Task, u *TaskUsage, most bool) {
	resident := u.Resident
	if most {
		resident = u.ResidentMax
	}
	w.u32(suspensions(t))
	w.size(u.Virtual)
	w.size(resident)
	w.times(u.EndedUser, u.EndedSystem)
}

// pageSize is what tasks are told a page is, if nobody knows better.
const pageSize = 4096

// vm writes a task_vm_info. Ledgers are not kept.
func (w *words) vm(u *TaskUsage) {
	w.u64(u.Virtual)
	w.u32(u.Regions)
	w.u32(pageSize)
	w.u64(u.Resident)
	w.u64(u.ResidentMax)
	w.zero(4) // devices
	w.u64(u.Internal)
	w.u64(u.Internal)
	w.u64(u.External)
	w.u64(u.External)
	w.zero(vmInfoLeast - len(*w))
	w.u64(u.Internal)       // physical footprint
	w.u64(pageSize)         // lowest address
	w.u64(0x7fff_ffff_f000) // highest
	w.zero(vmInfoWords - len(*w))
}
