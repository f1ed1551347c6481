package amd64

import (
	"bytes"
	"encoding/binary"
	"slices"

	"portcullis.dev/check/flow"
)

// Scan finds the instructions in text, which lies at base, that may reach one of the targets: call, jmp and conditional
// jumps to code, and calls, jumps, moves and pushes through pointer slots that are addressed relative to rip. It calls
// emit with the address of each, in ascending order. Since it does not decode what lies between, bytes that look like
// such an instruction but stand inside of another are reported as well, once in very many megabytes.
//
// Chunks of one text section may be scanned concurrently; let them share [flow.ScanOverlap] bytes.
func Scan(text []byte, base uint64, targets *flow.Targets, emit func(site uint64)) {
	s := scan{text: text, base: base, emit: emit, last: ^uint64(0), code: flow.NewRange(targets.Code)}
	// An immediate operand of up to four bytes may stand between the displacement and the next instruction.
	near := make([]uint64, 0, 4*len(targets.Data))
	for _, t := range targets.Data {
		near = append(near, t, t-1, t-2, t-4)
	}
	s.data = flow.NewRange(near)
	s.slots = flow.NewRange(append(near, targets.Slots...))
	for at := 0; at < len(text); at += piece {
		end := min(at+piece, len(text))
		if !s.byByte(at, end) {
			s.byRange(at, end)
		}
	}
}

// piece is how much is looked at in one way before the next: it stays in the processor's cache.
const piece = 1 << 15

type scan struct {
	text        []byte
	base        uint64
	code, slots flow.Range
	data        flow.Range
	emit        func(uint64)
	last        uint64 // emitted
	hits        []int
}

// try takes the four bytes at i as a displacement from what follows them.
func (s *scan) try(i int) {
	if i < 0 || i+4 > len(s.text) {
		return
	}
	t := s.base + uint64(i) + 4 + uint64(int64(int32(binary.LittleEndian.Uint32(s.text[i:]))))
	n := 0
	if s.code.Has(t) {
		n = branchBytes(s.text[:i])
	}
	if n == 0 && s.slots.Has(t) {
		n = slotBytes(s.text[:i])
		if n == 0 && s.data.Has(t) && i > 0 && s.text[i-1]&0xc7 == 0x05 {
			n = 1
		}
	}
	if n > 0 && s.base+uint64(i-n) != s.last {
		s.last = s.base + uint64(i-n)
		s.emit(s.last)
	}
}

// byRange tries every four bytes that begin at i up to end. Distances are compared modulo 4 GiB, which is enough to rule
// out nearly all.
func (s *scan) byRange(i, end int) {
	base := uint32(s.base) + 4
	code32, codes := base-uint32(s.code.Lo), uint32(min(s.code.Size, 1<<32-1))
	slot32, slotz := base-uint32(s.slots.Lo), uint32(min(s.slots.Size, 1<<32-1))
	for ; i < end && i+8 <= len(s.text); i += 4 {
		x := binary.LittleEndian.Uint64(s.text[i:])
		a, b, c, d := uint32(x)+uint32(i), uint32(x>>8)+uint32(i+1), uint32(x>>16)+uint32(i+2), uint32(x>>24)+uint32(i+3)
		if a+code32 < codes || b+code32 < codes || c+code32 < codes || d+code32 < codes ||
			a+slot32 < slotz || b+slot32 < slotz || c+slot32 < slotz || d+slot32 < slotz {
			for j := range 4 {
				s.try(i + j)
			}
		}
	}
	for ; i < end; i++ {
		s.try(i)
	}
}

// byByte does what byRange does, where the targets lie so close together that one byte of all displacements to them has
// one of few values, seen from all of the piece: the processor looks for a byte in sixteen and more at a time. It answers
// false where that is not so, or the values are met too often.
func (s *scan) byByte(at, end int) bool {
	code, ok := byteOf(&s.code, s.base, at, end)
	if !ok {
		return false
	}
	slots, ok := byteOf(&s.slots, s.base, at, end)
	if !ok {
		return false
	}
	s.hits = s.hits[:0]
	s.look(at, end, &s.code, code)
	if slots != code || s.slots.Lo != s.code.Lo || s.slots.Size != s.code.Size {
		s.look(at, end, &s.slots, slots)
	}
	slices.Sort(s.hits)
	for i, h := range s.hits {
		if i == 0 || h != s.hits[i-1] {
			s.try(h)
		}
	}
	return true
}

// telling says which byte of a displacement tells whether it may lead to a target, and which values it then has: from
// first on, so many.
type telling struct {
	index, count int
	first        byte
}

// maxValues is the number of values of a byte up to which looking for each is faster than comparing distances.
const maxValues = 2

// byteOf finds out which byte tells of a range in a piece of the text; none is needed for an empty one.
func byteOf(r *flow.Range, base uint64, at, end int) (telling, bool) {
	if r.Size == 0 {
		return telling{}, true
	}
	low := r.Lo - (base + uint64(end) + 4) // the least displacement, seen from the end
	for index := 3; index >= 2; index-- {
		shift := 8 * index
		count := int((low+r.Size+uint64(end-at))>>shift - low>>shift + 1)
		if count < 1 || count > maxValues {
			continue
		}
		t := telling{index, count, byte(low >> shift)}
		rare := true
		for i := range count {
			rare = rare && !common[t.first+byte(i)]
		}
		if rare {
			return t, true
		}
	}
	return telling{}, false
}

// common are the bytes that code has so many of that to look for each is no gain: ends of small numbers, and the prefix of
// 64-bit operands.
var common = [256]bool{0x00: true, 0x48: true, 0xff: true}

// look gathers the displacements of a piece that lead into a range.
func (s *scan) look(at, end int, r *flow.Range, t telling) {
	if r.Size == 0 {
		return
	}
	delta, size := uint32(s.base)+4-uint32(r.Lo), uint32(r.Size)
	stop := min(end+t.index, len(s.text))
	for v := range t.count {
		value := t.first + byte(v)
		for i := at + t.index; i < stop; i++ {
			n := bytes.IndexByte(s.text[i:stop], value)
			if n < 0 {
				break
			}
			i += n
			if p := i - t.index; p+4 <= len(s.text) {
				if binary.LittleEndian.Uint32(s.text[p:])+uint32(p)+delta < size {
					s.hits = append(s.hits, p)
				}
			}
		}
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
