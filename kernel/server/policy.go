package server

import (
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// Policies say who runs first, and how. They are checked as XNU checks them, and mean nothing here: what can be asked for
// is not kept, and whoever asks gets what a task or thread starts with.

// Flavors of task_policy_set and task_policy_get.
const (
	taskCategory       = 1
	taskSuppression    = 3
	taskPolicyState    = 4
	taskBaseQoS        = 8
	taskOverrideQoS    = 9
	taskBaseLatency    = 10
	taskBaseThroughput = 11
)

// Roles of a task that it may be given.
const (
	roleForeground = 1
	roleBackground = 2
	roleDefault    = 7
)

const (
	suppressionWords     = 9
	taskPolicyStateWords = 16
	qosWords             = 2
)

// Tiers of quality of service are a kind above 16 bits, and a number; 0 is none.
const (
	latencyTiers    = 0xff
	throughputTiers = 0xfe
	lastTier        = 6
)

func isTier(v int32, kind uint32) bool {
	n := uint32(v) & 0xffff
	return v == 0 || uint32(v)>>16 == kind && n >= 1 && n <= lastTier
}

// TaskPolicySet serves task_policy_set.
//
// Source: XNU osfmk/kern/task_policy.c, task_policy_set.
func (c tasks) TaskPolicySet(_ *rpc.Message[port], task port, flavor uint32, info []int32) mach.KernReturn {
	if c.task(task, object.Control) == nil {
		return mach.KernInvalidArgument
	}
	ok := false
	switch flavor {
	case taskCategory:
		ok = len(info) > 0 && (info[0] == roleForeground || info[0] == roleBackground || info[0] == roleDefault)
	case taskBaseQoS, taskOverrideQoS, taskBaseLatency, taskBaseThroughput:
		ok = len(info) >= qosWords && isTier(info[0], latencyTiers) && isTier(info[1], throughputTiers)
	case taskSuppression:
		ok = len(info) >= suppressionWords && isTier(info[2], latencyTiers) && isTier(info[6], throughputTiers)
	}
	if !ok {
		return mach.KernInvalidArgument
	}
	return 0
}

// TaskPolicyGet serves task_policy_get, for which an inspect port will do.
//
// Source: XNU osfmk/kern/task_policy.c, task_policy_get.
func (c tasks) TaskPolicyGet(_ *rpc.Message[port], task port, flavor, room uint32, byDefault int32) ([]int32, int32,
	mach.KernReturn) {
	if c.m.TaskUnjudged(task, object.Inspect) == nil {
		return nil, 0, mach.KernInvalidArgument
	}
	n := 0
	switch flavor {
	case taskCategory:
		n = 1
	case taskBaseQoS, taskOverrideQoS:
		n = qosWords
	case taskSuppression:
		n = suppressionWords
	case taskPolicyState:
		if room >= taskPolicyStateWords {
			return nil, 0, mach.KernProtectionFailure
		}
		return nil, 0, mach.KernInvalidArgument
	}
	if n == 0 || int(room) < n {
		return nil, 0, mach.KernInvalidArgument
	}
	return make([]int32, n), byDefault, 0
}

// TaskPolicy serves task_policy, which is no longer done.
func (tasks) TaskPolicy(*rpc.Message[port], port, int32, []int32, int32, int32) mach.KernReturn {
	return mach.KernFailure
}

// TaskSetPolicy serves task_set_policy, which is no longer done.
func (tasks) TaskSetPolicy(*rpc.Message[port], port, port, int32, []int32, []int32, int32) mach.KernReturn {
	return mach.KernFailure
}

// Flavors of thread_policy_set and thread_policy_get, with how many words they are.
const (
	threadExtendedPolicy = 1
	threadTimeConstraint = 2
	threadPrecedence     = 3
	threadAffinity       = 4
	threadLatencyQoS     = 7
	threadThroughputQoS  = 8
	threadQoS            = 9 // set by other means than thread_policy_set

	timeConstraintWords = 4
)

// Bounds and defaults of a time constraint, in nanoseconds.
//
// Source: XNU osfmk/kern/sched_prim.c, sched_timeshare_timebase_init and its kin.
const (
	minComputation     = 50_000
	maxComputation     = 50_000_000
	defaultComputation = 5_000_000
	defaultConstraint  = 10_000_000
)

// ThreadPolicySet serves thread_policy_set.
//
// Source: XNU osfmk/kern/thread_policy.c, thread_policy_set_internal.
func (c threads) ThreadPolicySet(_ *rpc.Message[port], thread port, flavor uint32, info []int32) mach.KernReturn {
	th := c.thread(thread, object.Control)
	switch {
	case th == nil:
		return mach.KernInvalidArgument
	case !th.Active():
		return mach.KernTerminated
	}
	ok := false
	switch flavor {
	case threadExtendedPolicy:
		ok = true
	case threadTimeConstraint:
		ok = len(info) >= timeConstraintWords && uint32(info[2]) >= uint32(info[1]) && info[1] >= minComputation &&
			info[1] <= maxComputation
	case threadPrecedence:
		ok = len(info) > 0
	case threadAffinity:
		return mach.KernNotSupported
	case threadLatencyQoS:
		ok = len(info) > 0 && isTier(info[0], latencyTiers)
	case threadThroughputQoS:
		ok = len(info) > 0 && isTier(info[0], throughputTiers)
	}
	if !ok {
		return mach.KernInvalidArgument
	}
	return 0
}

// ThreadPolicyGet serves thread_policy_get, for which an inspect port will do.
//
// Source: XNU osfmk/kern/thread_policy.c, thread_policy_get.
func (c threads) ThreadPolicyGet(_ *rpc.Message[port], thread port, flavor, room uint32, byDefault int32) ([]int32,
	int32, mach.KernReturn) {
	if c.m.ThreadUnjudged(thread, object.Inspect) == nil {
		return nil, 0, mach.KernInvalidArgument
	}
	var info []int32
	switch flavor {
	case threadExtendedPolicy:
		return []int32{1}[:min(room, 1)], byDefault, 0
	case threadTimeConstraint:
		info, byDefault = []int32{0, defaultComputation, defaultConstraint, 1}, 1
	case threadPrecedence, threadLatencyQoS, threadThroughputQoS:
		info = []int32{0}
	case threadQoS:
		info = make([]int32, qosWords) // no tier
	case threadAffinity:
		return nil, 0, mach.KernNotSupported
	}
	if info == nil || int(room) < len(info) {
		return nil, 0, mach.KernInvalidArgument
	}
	return info, byDefault, 0
}

// TaskGetAssignment serves task_get_assignment: every task runs on the set of all processors.
func (c tasks) TaskGetAssignment(_ *rpc.Message[port], task port) (port, mach.KernReturn) {
	if t := c.m.TaskUnjudged(task, object.Inspect); t == nil || !t.Alive() {
		return nil, mach.KernFailure
	}
	return c.m.Host.ProcessorSetName()
}

// ThreadGetAssignment serves thread_get_assignment.
func (c threads) ThreadGetAssignment(_ *rpc.Message[port], thread port) (port, mach.KernReturn) {
	if c.m.ThreadUnjudged(thread, object.Inspect) == nil {
		return nil, mach.KernInvalidArgument
	}
	return c.m.Host.ProcessorSetName()
}
