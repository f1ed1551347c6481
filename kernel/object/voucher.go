package object

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// A voucher carries attributes (importance, accounts) from sender to receiver. This kernel has no attribute managers,
// so that there is nothing to carry: the only voucher is XNU's null voucher, which is no port.

// CreateVoucher is host_create_mach_voucher: no recipes make the null voucher, and every recipe asks for a manager that
// is not there.
//
// Source: XNU osfmk/ipc/ipc_voucher.c, host_create_mach_voucher and ipc_execute_voucher_recipe_command.
func (h *Host) CreateVoucher(recipes []byte) (*ipc.Port, mach.KernReturn) {
	if h == nil || len(recipes) > 0 {
		return nil, mach.KernInvalidArgument
	}
	return nil, 0
}

// Voucher is thread_get_mach_voucher; which must be 0.
//
// Source: XNU osfmk/kern/thread.c, thread_get_mach_voucher.
func (th *Thread) Voucher(which uint32) (*ipc.Port, mach.KernReturn) {
	if th == nil || which != 0 {
		return nil, mach.KernInvalidArgument
	}
	return nil, 0
}
