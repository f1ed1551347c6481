package capture

import (
	"golang.org/x/sys/unix"

	"portcullis.dev/crash/unwind"
)

const hostArch = unwind.ARM64

// registers reads the registers of a thread that is stopped.
func registers(tid int) (unwind.Registers, error) {
	var p unix.PtraceRegsArm64
	r := unwind.Registers{Arch: hostArch}
	const generalPurpose = 1 // NT_PRSTATUS
	if err := unix.PtraceGetRegSetArm64(tid, generalPurpose, &p); err != nil {
		return r, err
	}
	for n, v := range p.Regs {
		r.Set(n, v)
	}
	r.Set(unwind.SP, p.Sp)
	r.Set(unwind.PC, p.Pc)
	r.Flags = p.Pstate
	return r, nil
}
