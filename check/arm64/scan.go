package arm64

import (
	"encoding/binary"

	"portcullis.dev/check/flow"
)

// Scan finds the instructions in text, which lies at base, that may reach one of the targets: branches (b, bl) to code,
// and loads (adrp and ldr, ldr of a literal, adr) of pointer slots. It calls emit with the address of each, not always in
// order, and some twice. It follows addresses, not paths: a load that is reported may, rarely, load another slot.
// Only whole instructions are looked at; base must be a multiple of 4.
//
// Chunks of one text section may be scanned concurrently; let them share [flow.ScanOverlap] bytes.
func Scan(text []byte, base uint64, targets *flow.Targets, emit func(site uint64)) {
	s := scan{text: text, base: base, emit: emit, code: flow.NewRange(targets.Code), slots: flow.NewRange(targets.Slots),
		data: flow.NewRange(targets.Data)}
	pages := make([]uint64, 0, len(targets.Slots)+len(targets.Data))
	for _, t := range targets.Slots {
		pages = append(pages, t>>12)
	}
	for _, t := range targets.Data {
		pages = append(pages, t>>12)
	}
	s.pages = flow.NewRange(pages)
	for at := 0; at < len(text); at += piece {
		end := min(at+piece, len(text))
		s.branches(at, end)
		if s.slots.Size != 0 {
			s.near(at, end, &s.slots)
		}
		if s.data.Size != 0 {
			s.near(at, end, &s.data)
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
	pages       flow.Range // page numbers of slots and data
	emit        func(uint64)
}

func (s *scan) word(i int) uint32 { return binary.LittleEndian.Uint32(s.text[i:]) }

// branchOffset is the distance of b and bl.
func branchOffset(w uint32) uint64 { return uint64(int64(int32(w<<6)) >> 4) }

// imm21 is the immediate of adr and adrp.
func imm21(w uint32) uint64 { return uint64(int64(int32(w<<8))>>13<<2 | int64(w>>29&3)) }

// imm19 is the distance of a literal.
func imm19(w uint32) uint64 { return uint64(int64(int32(w<<8)) >> 13 << 2) }

// is has its highest bit set where (w^want)&mask is zero.
func is(w, mask, want uint32) uint64 { return uint64(w&mask^want) - 1 }

// inside has its highest bit set where x < size, for numbers below 1<<63: it takes no branch.
func inside(x, size uint64) uint64 { return (x - size) &^ x }

// branches looks for b, bl, and for adrp of a slot's page.
func (s *scan) branches(i, end int) {
	lo, size := s.code.Lo, s.code.Size
	page, pages := s.pages.Lo, s.pages.Size
	text := s.text[:end]
	if pages == 0 {
		for ; i+8 <= len(text); i += 8 {
			x := binary.LittleEndian.Uint64(text[i:])
			a, b := uint32(x), uint32(x>>32)
			at := s.base + uint64(i) - lo
			hit := is(a, 0x7c000000, 0x14000000)&inside(at+branchOffset(a), size) |
				is(b, 0x7c000000, 0x14000000)&inside(at+4+branchOffset(b), size)
			if int64(hit) < 0 {
				s.exact(i)
				s.exact(i + 4)
			}
		}
	}
	for ; i+8 <= len(text); i += 8 {
		x := binary.LittleEndian.Uint64(text[i:])
		a, b := uint32(x), uint32(x>>32)
		at := s.base + uint64(i)
		hit := is(a, 0x7c000000, 0x14000000)&inside(at-lo+branchOffset(a), size) |
			is(b, 0x7c000000, 0x14000000)&inside(at-lo+4+branchOffset(b), size) |
			is(a, 0x9f000000, 0x90000000)&inside(at>>12+imm21(a)-page, pages) |
			is(b, 0x9f000000, 0x90000000)&inside((at+4)>>12+imm21(b)-page, pages)
		if int64(hit) < 0 {
			s.exact(i)
			s.exact(i + 4)
		}
	}
	for ; i+4 <= len(text); i += 4 {
		s.exact(i)
	}
}

// exact looks at one instruction.
func (s *scan) exact(i int) {
	w, at := s.word(i), s.base+uint64(i)
	switch {
	case w&0x7c000000 == 0x14000000:
		if s.code.Has(at + branchOffset(w)) {
			s.emit(at)
		}
	case w&0x9f000000 == 0x90000000:
		if n := at>>12 + imm21(w); s.pages.Has(n) {
			s.loads(i+4, w&31, n<<12)
		}
	}
}

// near looks for ldr of a literal and adr, which reach a megabyte.
func (s *scan) near(i, end int, r *flow.Range) {
	at := s.base + uint64(i)
	if r.Lo+r.Size+1<<20 < at || r.Lo > s.base+uint64(end)+1<<20 {
		return
	}
	for ; i+4 <= end; i += 4 {
		w := s.word(i)
		at := s.base + uint64(i)
		switch {
		case w&0xbf000000 == 0x18000000 && r.Has(at+imm19(w)):
			s.emit(at)
		case w&0x9f000000 == 0x10000000:
			if t := at + imm21(w); r.Has(t) {
				if r == &s.data {
					s.emit(at)
				}
				s.loads(i+4, w&31, t)
			}
		}
	}
}

// loads looks for the ldr that follow the formation of an address in a register.
func (s *scan) loads(i int, reg uint32, addr uint64) {
	for end := min(len(s.text)-3, i+flow.ScanOverlap); i < end; i += 4 {
		w := s.word(i)
		imm := uint64(w >> 10 & 0xfff)
		switch {
		case w&0x3b0003e0 == 0x39000000|reg<<5: // load or store
			t := addr + imm<<AccessScale(w)
			if s.data.Has(t) || w>>22 == 0xf9400000>>22 && s.slots.Has(t) {
				s.emit(s.base + uint64(i))
			}
			if w>>26&1 == 0 && w>>22&3 != 0 && w&31 == reg {
				return
			}
		case w&0xffc003e0 == 0x91000000|reg<<5: // add
			if s.data.Has(addr + imm) {
				s.emit(s.base + uint64(i))
			}
			if w&31 == reg {
				return
			}
		case w&0x1f00001f == 0x10000000|reg: // another address
			return
		}
	}
}

// AccessScale is the shift of the offset of a load or store.
func AccessScale(w uint32) uint32 {
	if w>>26&1 != 0 && w>>23&1 != 0 {
		return 4
	}
	return w >> 30
}
