package server

import (
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// Flavors of thread_info.
const (
	threadBasic      = 3
	threadIdentifier = 4
	threadExtended   = 5
	threadDebug      = 6 // for tests of XNU's
	threadTimeshare  = 10
	threadRR         = 11
	threadFIFO       = 12
)

// Words of what they tell.
const (
	rrInfoWords    = 5
	fifoInfoWords  = 4
	threadNameSize = 64
)

// ThreadInfo serves thread_info, for which an inspect port will do.
//
// Source: XNU osfmk/kern/thread_act.c, thread_info; osfmk/kern/thread.c, thread_info_internal.
func (c threads) ThreadInfo(_ *rpc.Message[port], thread port, flavor int32, room uint32) ([]int32, mach.KernReturn) {
	th := c.m.ThreadUnjudged(thread, object.Inspect)
	if th == nil {
		return nil, mach.KernInvalidArgument
	}
	u := ThreadUsage{State: Running}
	if f, ok := th.Registers().(ThreadFacts); ok {
		u = f.Usage()
	}
	w := make(words, 0, 28)
	switch flavor {
	case threadBasic:
		w.span(u.User)
		w.span(u.System)
		w.thread(&u)
		w.u32(uint32(th.SuspendCount()))
		w.u32(u.Sleep)
	case threadIdentifier:
		w.u64(th.ID())
		w.u64(u.Handle)
		w.u64(u.Queue)
	case threadExtended:
		w.u64(u.User)
		w.u64(u.System)
		w.thread(&u)
		w.u32(u.Sleep)
		w.u32(basePriority)
		w.u32(basePriority)
		w.u32(maxPriority)
		var name [threadNameSize]byte
		copy(name[:threadNameSize-1], u.Name)
		w.bytes(name[:])
	case threadTimeshare:
		w.u32(maxPriority)
		w.u32(basePriority)
		w.u32(basePriority)
		w.u32(0)          // not depressed
		w.u32(^uint32(0)) // which it would be to
	case threadRR, threadFIFO:
		need := fifoInfoWords
		if flavor == threadRR {
			need = rrInfoWords
		}
		if int(room) < need {
			return nil, mach.KernInvalidArgument
		}
		return nil, mach.KernInvalidPolicy
	case threadDebug:
		return nil, mach.KernNotSupported
	default:
		return nil, mach.KernInvalidArgument
	}
	if int(room) < len(w) {
		return nil, mach.KernInvalidArgument
	}
	return w, 0
}

// maxPriority is the highest priority that an ordinary thread can ask for (MAXPRI_USER).
const maxPriority = 63

// thread writes how busy the thread is, its policy, its state and its flags.
func (w *words) thread(u *ThreadUsage) {
	w.u32(0)
	w.u32(uint32(policyTimeshare))
	w.u32(uint32(u.State))
	w.u32(0)
}
