package macho

import (
	"encoding/binary"
	"iter"
	"slices"
	"sync"
)

// RelocKind says what a relocation of an object file stands for, whatever the processor.
type RelocKind uint8

// Kinds of relocations, after mach-o/arm64/reloc.h and mach-o/x86_64/reloc.h.
const (
	RelocOther       RelocKind = iota
	RelocPointer               // UNSIGNED: an absolute address in data
	RelocSubtractor            // SUBTRACTOR: taken from the RelocPointer that follows it
	RelocBranch                // BRANCH26, x86_64 BRANCH: call or jump
	RelocPage                  // PAGE21: adrp of the symbol
	RelocPageOff               // PAGEOFF12: add or load within that page
	RelocGOTPage               // GOT_LOAD_PAGE21: adrp of the symbol's GOT slot
	RelocGOTPageOff            // GOT_LOAD_PAGEOFF12: load from that slot
	RelocGOTLoad               // x86_64 GOT_LOAD: movq of the GOT slot
	RelocGOT                   // POINTER_TO_GOT, x86_64 GOT: other use of the GOT slot, such as call *foo@GOTPCREL
	RelocTLVPage               // TLVP_LOAD_PAGE21
	RelocTLVPageOff            // TLVP_LOAD_PAGEOFF12
	RelocTLV                   // x86_64 TLV
	RelocSigned                // x86_64 SIGNED, SIGNED_1, SIGNED_2, SIGNED_4: rip-relative operand
	RelocAuthPointer           // arm64e AUTHENTICATED_POINTER
	relocAddend                // arm64 ADDEND, which is folded into the relocation it precedes
)

var relocKinds = map[CPU][]RelocKind{
	CPUARM64: {RelocPointer, RelocSubtractor, RelocBranch, RelocPage, RelocPageOff, RelocGOTPage, RelocGOTPageOff,
		RelocGOT, RelocTLVPage, RelocTLVPageOff, relocAddend, RelocAuthPointer},
	CPUAMD64: {RelocPointer, RelocSigned, RelocBranch, RelocGOTLoad, RelocGOT, RelocSubtractor, RelocSigned,
		RelocSigned, RelocSigned, RelocTLV},
}

var relocKindNames = [...]string{"other", "pointer", "subtractor", "branch", "page", "page offset", "got page",
	"got page offset", "got load", "got", "tlv page", "tlv page offset", "tlv", "signed", "authenticated pointer",
	"addend"}

// String returns a short lower-case name.
func (k RelocKind) String() string { return relocKindNames[k] }

// Reloc is a relocation of an object file.
type Reloc struct {
	Addr   uint64 // of the field in the image: an arm64 instruction, an x86_64 operand inside of one, or data
	Kind   RelocKind
	Type   uint8 // r_type as in the file
	Size   int   // of the field: 1, 2, 4 or 8 bytes
	PCRel  bool
	Symbol string // what it refers to; empty where Target alone tells
	// Target is the address in this object that it refers to, Addend taken in; meaningless where Defined is false.
	// A GOT relocation refers to the symbol in the slot, not to the slot.
	Target  uint64
	Defined bool
	Addend  int64 // added to the symbol's address
}

// relocTable is an index of the relocations of all sections.
type relocTable struct {
	once  sync.Once
	index []relocEntry // by ascending address
}

type relocEntry struct {
	addr uint64
	sect uint16 // index in Sections
	num  uint32 // index in the section's relocations
}

// relocData returns the section's relocation entries as they lie in the file.
func (s *Section) relocData() []byte {
	m := s.image
	if s.nReloc == 0 || m.Type != Object || !m.InScope() {
		return nil
	}
	b := m.bytesAt(uint64(s.relOff), uint64(s.nReloc)*relocationSize)
	if b == nil {
		m.problem(uint64(s.relOff), "%d relocations of section %s,%s reach beyond the end of the image", s.nReloc,
			s.Segment, s.Name)
	}
	return b
}

// Relocs returns the relocations of a section of an object file, in the order of the file.
func (s *Section) Relocs() iter.Seq[Reloc] {
	return func(yield func(Reloc) bool) {
		b := s.relocData()
		for i := range len(b) / relocationSize {
			if r, ok := s.reloc(b, i); ok && !yield(r) {
				return
			}
		}
	}
}

// reloc decodes relocation i of the section; ok is false for an entry that is part of the next.
func (s *Section) reloc(b []byte, i int) (r Reloc, ok bool) {
	m := s.image
	addr, info := relocWords(b, i)
	if addr&0x80000000 != 0 { // scattered: no 64-bit processor has them
		m.problem(uint64(s.relOff)+uint64(i)*relocationSize, "scattered relocation")
		return Reloc{}, false
	}
	kinds := relocKinds[m.CPU]
	r = Reloc{Addr: s.Addr + uint64(addr), Type: uint8(info >> 28), Size: 1 << (info >> 25 & 3),
		PCRel: info&relocPCRel != 0}
	if int(r.Type) < len(kinds) {
		r.Kind = kinds[r.Type]
	}
	if r.Kind == relocAddend {
		return Reloc{}, false
	}
	field := m.Bytes(r.Addr, r.Size)
	if i > 0 && m.CPU == CPUARM64 {
		if pa, pi := relocWords(b, i-1); pa == addr && pi>>28 < uint32(len(kinds)) && kinds[pi>>28] == relocAddend {
			r.Addend = int64(int32(pi<<8) >> 8) // 24 bits, signed
		}
	}
	if m.CPU == CPUAMD64 || r.Kind == RelocPointer {
		r.Addend += fieldAddend(field)
	} else if r.Kind == RelocAuthPointer && len(field) == 8 {
		r.Addend += int64(int32(binary.LittleEndian.Uint32(field)))
	}
	num := info & 0xffffff
	if info&relocExtern == 0 {
		// The field holds the address itself, for x86_64 operands relative to the end of the field.
		r.Defined = r.Kind != relocAddend
		r.Target, r.Addend = uint64(r.Addend), 0
		if m.CPU == CPUAMD64 && r.PCRel {
			r.Target += r.Addr + 4 + signedExtra(r.Type)
		}
		return r, true
	}
	t := m.symtab()
	if int(num) >= t.n {
		m.problem(uint64(s.relOff)+uint64(i)*relocationSize, "relocation of symbol %d of %d", num, t.n)
		return r, true
	}
	sy := t.at(int(num))
	r.Symbol = m.name(nameRef{sy.strx, inSymtab})
	if m.CPU == CPUAMD64 && r.Kind == RelocSigned {
		r.Addend += int64(signedExtra(r.Type))
	}
	if sy.defined() {
		r.Defined, r.Target = true, sy.value+uint64(r.Addend)
	}
	return r, true
}

// signedExtra returns how many bytes of the instruction follow a rip-relative operand: SIGNED_1, SIGNED_2, SIGNED_4.
func signedExtra(typ uint8) uint64 {
	switch typ {
	case 6:
		return 1
	case 7:
		return 2
	case 8:
		return 4
	}
	return 0
}

// fieldAddend reads the addend that a field holds.
func fieldAddend(b []byte) int64 {
	switch len(b) {
	case 8:
		return int64(binary.LittleEndian.Uint64(b))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	}
	return 0
}

func relocWords(b []byte, i int) (addr, info uint32) {
	e := b[i*relocationSize:][:relocationSize]
	return binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:])
}

// relocIndex returns all relocations of an object file by ascending address.
func (m *Image) relocIndex() []relocEntry {
	t := &m.relocs
	t.once.Do(func() {
		total := 0
		for i := range m.Sections {
			total += len(m.Sections[i].relocData()) / relocationSize
			if total > len(m.data)/relocationSize {
				m.problem(0, "relocations of several sections overlap")
				return
			}
		}
		t.index = make([]relocEntry, 0, total)
		for i := range m.Sections {
			s := &m.Sections[i]
			b := s.relocData()
			for k := range len(b) / relocationSize {
				if addr, _ := relocWords(b, k); addr&0x80000000 == 0 {
					t.index = append(t.index, relocEntry{s.Addr + uint64(addr), uint16(i), uint32(k)})
				}
			}
		}
		slices.SortStableFunc(t.index, func(a, b relocEntry) int {
			switch {
			case a.addr < b.addr:
				return -1
			case a.addr > b.addr:
				return 1
			}
			return 0
		})
	})
	return t.index
}

// Reloc returns the relocations of an object file whose fields begin in the n bytes from addr, by ascending address:
// those of an arm64 instruction for n = 4, those of an x86_64 instruction for its length. It is nil where there are
// none, which costs no allocation.
func (m *Image) Reloc(addr uint64, n int) []Reloc {
	index := m.relocIndex()
	if len(index) == 0 || n <= 0 {
		return nil
	}
	i, _ := slices.BinarySearchFunc(index, addr, func(e relocEntry, a uint64) int {
		if e.addr < a {
			return -1
		}
		return 1
	})
	var out []Reloc
	for ; i < len(index) && index[i].addr-addr < uint64(n) && len(out) < 64; i++ {
		s := &m.Sections[index[i].sect]
		if r, ok := s.reloc(s.relocData(), int(index[i].num)); ok {
			out = append(out, r)
		}
	}
	return out
}

// relocatedPointer resolves a pointer in an object file.
func (m *Image) relocatedPointer(addr uint64, b []byte) (Pointer, bool) {
	for _, r := range m.Reloc(addr, 1) {
		switch {
		case r.Kind == RelocSubtractor || r.Size != 8:
			return Pointer{}, false // a difference of addresses is no pointer
		case r.Kind != RelocPointer && r.Kind != RelocAuthPointer:
			continue
		case r.Defined:
			return Pointer{Target: r.Target, Auth: r.Kind == RelocAuthPointer}, true
		case r.Symbol != "":
			return Pointer{Import: r.Symbol, Addend: r.Addend, Auth: r.Kind == RelocAuthPointer}, true
		}
	}
	if b == nil {
		return Pointer{}, false
	}
	return Pointer{Target: binary.LittleEndian.Uint64(b), Bare: true}, true
}
