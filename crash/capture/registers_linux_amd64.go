package capture

import (
	"golang.org/x/sys/unix"

	"portcullis.dev/crash/unwind"
)

const hostArch = unwind.AMD64

// registers reads the registers of a thread that is stopped.
func registers(tid int) (unwind.Registers, error) {
	var p unix.PtraceRegs
	r := unwind.Registers{Arch: hostArch}
	if err := unix.PtraceGetRegs(tid, &p); err != nil {
		return r, err
	}
	for n, v := range []uint64{p.Rax, p.Rdx, p.Rcx, p.Rbx, p.Rsi, p.Rdi, p.Rbp, p.Rsp, p.R8, p.R9, p.R10, p.R11, p.R12,
		p.R13, p.R14, p.R15, p.Rip} {
		r.Set(n, v)
	}
	r.Flags = p.Eflags
	return r, nil
}
