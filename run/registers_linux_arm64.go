package run

import (
	"portcullis.dev/crash/unwind"
	"portcullis.dev/trap"
)

// registersOf returns the registers that a signal handler has taken down.
func registersOf(r *trap.Record) unwind.Registers {
	u := unwind.Registers{Arch: unwind.ARM64, Flags: r.Registers[33]}
	for i := range 33 {
		u.Set(i, r.Registers[i])
	}
	return u
}
