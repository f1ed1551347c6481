package server

import (
	"portcullis.dev/defs/threadact"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// threads serves thread_act: what can be done with threads.
type threads struct{ *call }

var _ threadact.Server[port] = threads{}

// ThreadTerminate serves thread_terminate.
func (c threads) ThreadTerminate(_ *rpc.Message[port], thread port) mach.KernReturn {
	return c.thread(thread, object.Control).TerminateFromUser()
}

// ActGetState serves act_get_state: registers of another thread than the caller's.
func (c threads) ActGetState(_ *rpc.Message[port], thread port, flavor int32, room uint32) ([]uint32, mach.KernReturn) {
	return c.thread(thread, object.Read).ActGetState(c.by, uint32(flavor), int(room))
}

// ActSetState serves act_set_state.
func (c threads) ActSetState(_ *rpc.Message[port], thread port, flavor int32, state []uint32) mach.KernReturn {
	return c.thread(thread, object.Control).ActSetState(c.by, uint32(flavor), state)
}

// ThreadGetState serves thread_get_state.
func (c threads) ThreadGetState(_ *rpc.Message[port], thread port, flavor int32, room uint32) ([]uint32,
	mach.KernReturn) {
	return c.thread(thread, object.Read).GetState(uint32(flavor), int(room))
}

// ThreadSetState serves thread_set_state.
func (c threads) ThreadSetState(_ *rpc.Message[port], thread port, flavor int32, state []uint32) mach.KernReturn {
	return c.thread(thread, object.Control).SetState(c.by, uint32(flavor), state)
}

// ThreadGetSpecialPort serves thread_get_special_port.
func (c threads) ThreadGetSpecialPort(_ *rpc.Message[port], thread port, which int32) (port, mach.KernReturn) {
	return c.m.ThreadSpecialPort(c.by, thread, object.ThreadPort(which))
}

// ThreadSetSpecialPort serves thread_set_special_port.
func (c threads) ThreadSetSpecialPort(_ *rpc.Message[port], thread port, which int32, right port) mach.KernReturn {
	return c.thread(thread, object.Control).SetSpecialPort(c.by, object.ThreadPort(which), right)
}

// ThreadGetMachVoucher serves thread_get_mach_voucher.
func (c threads) ThreadGetMachVoucher(_ *rpc.Message[port], thread port, which uint32) (port, mach.KernReturn) {
	return c.thread(thread, object.Read).Voucher(which)
}

// ThreadSetMachVoucher serves thread_set_mach_voucher. The only voucher is the null voucher, which changes nothing.
func (c threads) ThreadSetMachVoucher(_ *rpc.Message[port], thread, voucher port) mach.KernReturn {
	if th := c.thread(thread, object.Control); th == nil || th != c.by {
		return mach.KernInvalidArgument
	}
	drop(voucher)
	return 0
}

// ThreadSwapMachVoucher serves thread_swap_mach_voucher, which is not done.
func (threads) ThreadSwapMachVoucher(_ *rpc.Message[port], _, _, _ port) (port, mach.KernReturn) {
	return nil, mach.KernNotSupported
}

// ThreadDepressAbort serves thread_depress_abort: no thread's priority is ever depressed here.
//
// Source: XNU osfmk/kern/thread_act.c, thread_depress_abort_from_user.
func (c threads) ThreadDepressAbort(_ *rpc.Message[port], thread port) mach.KernReturn {
	if c.thread(thread, object.Control) == nil {
		return mach.KernInvalidArgument
	}
	return mach.KernNotDepressed
}

// Scheduling policies (POLICY_*).
const (
	policyTimeshare int32 = 1
	policyRR        int32 = 2
	policyFIFO      int32 = 4
)

// Sizes of their bases and limits in words (POLICY_*_BASE_COUNT, POLICY_*_LIMIT_COUNT).
var policyBase = map[int32]int{policyTimeshare: 1, policyRR: 2, policyFIFO: 1}

const policyLimitWords = 1

// priorities is one more than the highest priority (invalid_pri).
const priorities = 128

// ThreadPolicy serves thread_policy: checked, and without effect.
//
// Source: XNU osfmk/kern/mk_sp.c, thread_policy.
func (c threads) ThreadPolicy(_ *rpc.Message[port], thread port, policy int32, base []int32, _ int32) mach.KernReturn {
	n, ok := policyBase[policy]
	switch {
	case c.thread(thread, object.Control) == nil:
		return mach.KernInvalidArgument
	case !ok:
		return mach.KernInvalidPolicy
	case len(base) != n || base[0] < 0 || base[0] >= priorities:
		return mach.KernInvalidArgument
	}
	return 0
}

// ThreadSetPolicy serves thread_set_policy.
//
// Source: XNU osfmk/kern/mk_sp.c, thread_set_policy.
func (c threads) ThreadSetPolicy(_ *rpc.Message[port], thread, set port, policy int32, base,
	limit []int32) mach.KernReturn {
	n, ok := policyBase[policy]
	switch {
	case c.thread(thread, object.Control) == nil || set == nil || set.Type() != mach.PortTypeProcessorSet || !ok:
		return mach.KernInvalidArgument
	case len(base) != n || len(limit) != policyLimitWords:
		return mach.KernInvalidArgument
	case base[0] < 0 || base[0] >= priorities || limit[0] < 0 || limit[0] >= priorities:
		return mach.KernInvalidArgument
	}
	drop(set)
	return 0
}
