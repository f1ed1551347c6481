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
	code := flow.NewRange(targets.Code)
	// An immediate operand of up to four bytes may stand between the displacement and the next instruction.
	near := make([]uint64, 0, 4*len(targets.Data))
	for _, t := range targets.Data {
		near = append(near, t, t-1, t-2, t-4)
	}
	data := flow.NewRange(near)
	slots := flow.NewRange(append(near, targets.Slots...))
	last := ^uint64(0)
	// Every four bytes are tried as a displacement from what follows them.
	try := func(i int) {
		t := base + uint64(i) + 4 + uint64(int64(int32(binary.LittleEndian.Uint32(text[i:]))))
		n := 0
		if code.Has(t) {
			n = branchBytes(text[:i])
		}
		if n == 0 && slots.Has(t) {
			n = slotBytes(text[:i])
			if n == 0 && data.Has(t) && i > 0 && text[i-1]&0xc7 == 0x05 {
				n = 1
			}
		}
		if n > 0 && base+uint64(i-n) != last {
			last = base + uint64(i-n)
			emit(last)
		}
	}
	// Distances are compared modulo 4 GiB, which is enough to rule out nearly all; try looks closely.
	i := 0
	code32, codes := uint32(base+4-code.Lo), uint32(min(code.Size, 1<<32-1))
	slot32, slotz := uint32(base+4-slots.Lo), uint32(min(slots.Size, 1<<32-1))
	for ; i+8 <= len(text); i += 4 {
		x := binary.LittleEndian.Uint64(text[i:])
		a, b, c, d := uint32(x)+uint32(i), uint32(x>>8)+uint32(i+1), uint32(x>>16)+uint32(i+2), uint32(x>>24)+uint32(i+3)
		if a+code32 < codes || b+code32 < codes || c+code32 < codes || d+code32 < codes ||
			a+slot32 < slotz || b+slot32 < slotz || c+slot32 < slotz || d+slot32 < slotz {
			for j := range 4 {
				try(i + j)
			}
		}
	}
	for ; i+4 <= len(text); i++ {
		try(i)
	}
}

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
