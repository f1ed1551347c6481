package state

import (
	"encoding/binary"
	"slices"

	"portcullis.dev/mach"
)

var le = binary.LittleEndian

// Flavors of x86_64. Those without 64 in their name hold flavor and count of what follows, then that.
const (
	X86ThreadState64    = mach.X86ThreadState64
	X86FloatState64     = 5
	X86ExceptionState64 = 6
	X86ThreadState      = mach.X86ThreadState
	X86FloatState       = 8
	X86ExceptionState   = 9
	X86DebugState64     = 11
	X86DebugState       = 12
	X86PageinState      = 22
)

// Flavors of arm64. ARMThreadState holds flavor and count of what follows, then that.
const (
	ARMThreadState       = mach.ARMThreadState
	ARMThreadState64     = mach.ARMThreadState64
	ARMExceptionState64  = 7
	ARMExceptionState64b = 10 // ARM_EXCEPTION_STATE64_V2: the syndrome in 64 bits
	ARMDebugState64      = 15
	ARMNeonState64       = 17
	ARMPageinState       = 27
)

// flavor is how one flavor lies in memory.
type flavor struct {
	words int
	inner uint32 // of a flavor with a header: what follows it
	pc    int    // byte offset of the program counter; 0 for none
}

var amd64Flavors = map[uint32]flavor{
	X86ThreadState64:    {words: 42, pc: 128},
	X86FloatState64:     {words: 131},
	X86ExceptionState64: {words: 4},
	X86ThreadState:      {words: 44, inner: X86ThreadState64, pc: 8 + 128},
	X86FloatState:       {words: 133, inner: X86FloatState64},
	X86ExceptionState:   {words: 6, inner: X86ExceptionState64},
	X86DebugState64:     {words: 16},
	X86DebugState:       {words: 18, inner: X86DebugState64},
	X86PageinState:      {words: 1},
}

var arm64Flavors = map[uint32]flavor{
	ARMThreadState:       {words: 70, inner: ARMThreadState64, pc: 8 + 256},
	ARMThreadState64:     {words: 68, pc: 256},
	ARMExceptionState64:  {words: 4},
	ARMExceptionState64b: {words: 4},
	ARMDebugState64:      {words: 130},
	ARMNeonState64:       {words: 132},
	ARMPageinState:       {words: 1},
}

// Flavors that list flavors (THREAD_STATE_FLAVOR_LIST, …_NEW, …_10_9, …_10_13, …_10_15). On x86_64 each is the start of
// the next.
//
// Source: XNU osfmk/i386/pcb.c and osfmk/arm64/status.c, machine_thread_get_state.
const (
	list     = 0
	listNew  = 128
	list1015 = 131
)

var (
	amd64List = []uint32{X86ThreadState, X86FloatState, X86ExceptionState, X86DebugState, 18, 21, X86PageinState}
	arm64List = []uint32{ARMThreadState, 2, ARMExceptionState64, ARMDebugState64, ARMPageinState}
)

// listOf returns the flavors that a flavor lists; nil if it lists none.
func listOf(cpu string, f uint32) []uint32 {
	switch x86 := cpu == "x86_64"; {
	case f == list && x86:
		return []uint32{1, 2, 3} // those of 32 bits
	case f == list:
		return []uint32{1, 2, 3, 4}
	case x86 && f >= listNew && f <= list1015:
		return slices.Clone(amd64List[:4+f-listNew])
	case f == listNew:
		return slices.Clone(arm64List[:4])
	case f == list1015:
		return slices.Clone(arm64List)
	}
	return nil
}

func flavorOf(cpu string, f uint32) (flavor, bool) {
	all := arm64Flavors
	if cpu == "x86_64" {
		all = amd64Flavors
	}
	l, ok := all[f]
	return l, ok
}

// Count returns how many words a flavor has on a CPU, "arm64" or "x86_64"; 0 for flavors that are not kept here.
func Count(cpu string, f uint32) int {
	l, _ := flavorOf(cpu, f)
	return l.words
}

// OnlyPC returns old with the program counter of fresh, for the answers of hardened exception handlers. A flavor that
// has none, or words that are not of the flavor, leave old as it is.
//
// Source: XNU osfmk/kern/exception.c, TSSF_ONLY_PC.
func OnlyPC(cpu string, f uint32, old, fresh []uint32) []uint32 {
	l, _ := flavorOf(cpu, f)
	r := append([]uint32(nil), old...)
	if l.pc != 0 && len(old) == l.words && len(fresh) == l.words {
		copy(r[l.pc/4:l.pc/4+2], fresh[l.pc/4:])
	}
	return r
}

// words reads bytes as words.
func words(b []byte) []uint32 {
	w := make([]uint32, len(b)/4)
	for i := range w {
		w[i] = le.Uint32(b[4*i:])
	}
	return w
}

// bytesOf writes words as bytes.
func bytesOf(w []uint32) []byte {
	b := make([]byte, 0, 4*len(w))
	for _, v := range w {
		b = le.AppendUint32(b, v)
	}
	return b
}

// registers is what both processors do.
type registers interface {
	get(f uint32, b []byte)
	set(f uint32, b []byte) mach.KernReturn
}

// get returns the words of a flavor, with its header if it has one.
func get(cpu string, r registers, f uint32) ([]uint32, mach.KernReturn) {
	if l := listOf(cpu, f); l != nil {
		return l, 0
	}
	l, ok := flavorOf(cpu, f)
	if !ok {
		return nil, mach.KernInvalidArgument
	}
	b := make([]byte, 4*l.words)
	if l.inner == 0 {
		r.get(f, b)
	} else {
		le.PutUint32(b, l.inner)
		le.PutUint32(b[4:], uint32(l.words-2))
		r.get(l.inner, b[8:])
	}
	return words(b), 0
}

// set takes the words of a flavor.
func set(cpu string, r registers, f uint32, w []uint32) mach.KernReturn {
	l, ok := flavorOf(cpu, f)
	switch {
	case !ok || len(w) != l.words:
		return mach.KernInvalidArgument
	case l.inner == 0:
		return r.set(f, bytesOf(w))
	case w[0] != l.inner || w[1] != uint32(l.words-2):
		return mach.KernInvalidArgument
	}
	return r.set(l.inner, bytesOf(w[2:]))
}
