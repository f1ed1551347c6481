package amd64

import (
	"encoding/binary"

	"portcullis.dev/check/flow"
)

// Scan finds the instructions in text, which lies at base, that may reach one of the targets: call, jmp and conditional
// jumps to code, and calls, jumps, moves and pushes through pointer slots that are addressed relative to rip. It calls
// emit with the address of each, in ascending order. Since it does not decode what lies between, bytes that look like
// such an instruction but stand inside of another are reported as well, once in very many megabytes.
//
// Chunks of one text section may be scanned concurrently; let them share [flow.ScanOverlap] bytes.
func Scan(text []byte, base uint64, targets *flow.Targets, emit func(site uint64)) {
	code, slots := flow.NewRange(targets.Code), flow.NewRange(targets.Slots)
	last := ^uint64(0)
	// Every four bytes are tried as a displacement from what follows them.
	try := func(i int) {
		t := base + uint64(i) + 4 + uint64(int64(int32(binary.LittleEndian.Uint32(text[i:]))))
		n := 0
		switch {
		case code.Has(t):
			n = branchBytes(text[:i])
		case slots.Has(t):
			n = slotBytes(text[:i])
		}
		if n > 0 && base+uint64(i-n) != last {
			last = base + uint64(i-n)
			emit(last)
		}
	}
	i := 0
	at := base + 4
	lo, size, slot, slotSize := code.Lo, code.Size, slots.Lo, slots.Size
	for ; i+8 <= len(text); i += 4 {
		x := binary.LittleEndian.Uint64(text[i:])
		p := at + uint64(i)
		a, b := p+uint64(int64(int32(x))), p+1+uint64(int64(int32(x>>8)))
		c, d := p+2+uint64(int64(int32(x>>16))), p+3+uint64(int64(int32(x>>24)))
		hit := inside(a-lo, size) | inside(b-lo, size) |
			inside(c-lo, size) | inside(d-lo, size) |
			inside(a-slot, slotSize) | inside(b-slot, slotSize) |
			inside(c-slot, slotSize) | inside(d-slot, slotSize)
		if int64(hit) < 0 {
			for j := range 4 {
				try(i + j)
			}
		}
	}
	for ; i+4 <= len(text); i++ {
		try(i)
	}
}

// inside has its highest bit set where x < size, for numbers below 1<<63: it takes no branch.
func inside(x, size uint64) uint64 { return (x - size) &^ x }

// branchBytes returns how many bytes before a displacement make it one of a branch; 0 if they do not.
func branchBytes(before []byte) int {
	n := len(before)
	switch {
	case n >= 1 && before[n-1]&0xfe == 0xe8:
		return 1
	case n >= 2 && before[n-2] == 0x0f && before[n-1]&0xf0 == 0x80:
		return 2
	}
	return 0
}

// slotBytes does the same for instructions that load a slot: call, jmp and push through it, mov of it.
func slotBytes(before []byte) int {
	n := len(before)
	if n < 2 || before[n-1]&0xc7 != 0x05 {
		return 0
	}
	switch before[n-2] {
	case 0xff:
		if r := before[n-1] >> 3 & 7; r == 2 || r == 4 || r == 6 {
			if n >= 3 && before[n-3]&0xf0 == 0x40 {
				return 3
			}
			return 2
		}
	case 0x8b:
		if n >= 3 && before[n-3]&0xf8 == 0x48 {
			return 3
		}
	}
	return 0
}
