package arm64

import (
	"encoding/binary"

	"portcullis.dev/check/flow"
)

// Scan finds the instructions in text, which lies at base, that may reach one of the targets: branches (b, bl) to code,
// and loads (adrp and ldr, ldr of a literal, adr) of pointer slots. It calls emit with the address of each, in ascending
// order. It looks at instructions one by one, not at paths: a load that is reported may, rarely, load another slot.
// Only whole instructions are looked at; base must be a multiple of 4.
//
// Chunks of one text section may be scanned concurrently; let them share [flow.ScanOverlap] bytes.
func Scan(text []byte, base uint64, targets *flow.Targets, emit func(site uint64)) {
	code := flow.NewRegion(targets.Code)
	if len(targets.Slots) == 0 {
		scanBranches(text, base, &code, emit)
		return
	}
	slots := flow.NewRegion(targets.Slots)
	var s slotScan
	for _, t := range targets.Slots {
		if t&7 == 0 {
			s.offset[t>>3&511] = 1
		}
		s.offset[0] = 1 // adr and ldr
	}
	pages := make([]uint64, 0, len(targets.Slots))
	for _, t := range targets.Slots {
		pages = append(pages, t&^0xfff)
	}
	s.pages = flow.NewRegion(pages)
	for len(text) >= 4 {
		w := binary.LittleEndian.Uint32(text)
		text = text[4:]
		at := base
		base += 4
		if uint64(w&0x7c000000^0x14000000)|(at+branchOffset(w))&code.Mask^code.Base == 0 {
			if code.Has(at + branchOffset(w)) {
				emit(at)
			}
			continue
		}
		if w>>22 == 0xf9400000>>22 && s.offset[w>>10&511] == 1 && w>>19&7 == 0 {
			if p := s.base[w>>5&31]; p != 0 && slots.Has(p+uint64(w>>10&511)*8) {
				emit(at)
			}
			continue
		}
		switch w & 0x9f000000 {
		case 0x90000000: // adrp
			imm := int64(uint64(w)<<40) >> 45 << 2 &^ 3
			page := at&^0xfff + uint64((imm|int64(w>>29&3))<<12)
			if page&s.pages.Mask == s.pages.Base {
				s.base[w&31] = page
			} else {
				s.base[w&31] = 0
			}
		case 0x10000000: // adr
			imm := int64(uint64(w)<<40) >> 45 << 2 &^ 3
			if t := at + uint64(imm|int64(w>>29&3)); slots.Has(t) {
				s.base[w&31] = t
			}
		case 0x18000000: // ldr of a literal, 64 bits
			if w>>24 == 0x58 && slots.Has(at+uint64(int64(uint64(w)<<40)>>45<<2)) {
				emit(at)
			}
		}
	}
}

// slotScan knows which registers were last seen to hold the page of a slot.
type slotScan struct {
	base   [32]uint64
	offset [512]uint8 // 1 where a slot lies at that multiple of 8 in its page
	pages  flow.Region
}

// branchOffset is the distance of b and bl.
func branchOffset(w uint32) uint64 { return uint64(int64(int32(w<<6)) >> 4) }

// scanBranches is Scan for branches alone.
func scanBranches(text []byte, base uint64, code *flow.Region, emit func(site uint64)) {
	lo, mask := code.Base, code.Mask
	check := func(w uint32, at uint64) {
		if w&0x7c000000 == 0x14000000 && code.Has(at+branchOffset(w)) {
			emit(at)
		}
	}
	for len(text) >= 16 {
		x, y := binary.LittleEndian.Uint64(text), binary.LittleEndian.Uint64(text[8:])
		a, b, c, d := uint32(x), uint32(x>>32), uint32(y), uint32(y>>32)
		va := uint64(a&0x7c000000^0x14000000) | (base+branchOffset(a))&mask ^ lo
		vb := uint64(b&0x7c000000^0x14000000) | (base+4+branchOffset(b))&mask ^ lo
		vc := uint64(c&0x7c000000^0x14000000) | (base+8+branchOffset(c))&mask ^ lo
		vd := uint64(d&0x7c000000^0x14000000) | (base+12+branchOffset(d))&mask ^ lo
		if va == 0 || vb == 0 || vc == 0 || vd == 0 {
			check(a, base)
			check(b, base+4)
			check(c, base+8)
			check(d, base+12)
		}
		text = text[16:]
		base += 16
	}
	for ; len(text) >= 4; text, base = text[4:], base+4 {
		check(binary.LittleEndian.Uint32(text), base)
	}
}
