package run

import (
	"portcullis.dev/crash/unwind"
	"portcullis.dev/trap"
)

// order is the DWARF number of each word of gregset_t, up to rip.
var order = [...]int{8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7, 16}

// registersOf returns the registers that a signal handler has taken down.
func registersOf(r *trap.Record) unwind.Registers {
	u := unwind.Registers{Arch: unwind.AMD64, Flags: r.Registers[17]}
	for i, n := range order {
		u.Set(n, r.Registers[i])
	}
	return u
}
