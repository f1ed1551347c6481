package macho

import (
	"encoding/binary"
	"slices"
	"sync"
)

// Bind opcodes (mach-o/loader.h).
const (
	bindDone             = 0x00
	bindSetOrdinalImm    = 0x10
	bindSetOrdinalULEB   = 0x20
	bindSetOrdinalSpec   = 0x30
	bindSetSymbol        = 0x40
	bindSetType          = 0x50
	bindSetAddend        = 0x60
	bindSetSegment       = 0x70
	bindAddAddr          = 0x80
	bindDo               = 0x90
	bindDoAddAddr        = 0xa0
	bindDoAddAddrScaled  = 0xb0
	bindDoTimesSkipping  = 0xc0
	bindThreaded         = 0xd0
	bindThreadedTable    = 0x00
	bindThreadedApply    = 0x01
	bindTypePointer      = 1
	bindFlagWeakImport   = 0x1
	extRelocUnsigned     = 0
	extRelocLengthQuad   = 3
	relocExtern          = 1 << 27
	relocPCRel           = 1 << 24
	threadedMaxTableSize = 1 << 16
)

// bindTable is what bind opcodes and external relocations say, by ascending address.
type bindTable struct {
	once  sync.Once
	slots []boundSlot
}

// boundSlot is one slot that is bound, or that a threaded chain rebases.
type boundSlot struct {
	addr    uint64
	addend  int64 // of a rebase: the target
	name    nameRef
	ordinal int16
	flags   slotFlags
}

type slotFlags uint8

const (
	slotLazy slotFlags = 1 << iota
	slotWeakImport
	slotWeakDef // of the weak bind table: coalesced with other images' definitions
	slotAuth
	slotRebase
)

// bindStream returns the opcodes that names of a source lie in.
func (m *Image) bindStream(src nameSource) []byte {
	switch src {
	case inBind:
		return m.linkedit(m.cmds.bind, "bind opcodes")
	case inWeakBind:
		return m.linkedit(m.cmds.weakBind, "weak bind opcodes")
	case inLazyBind:
		return m.linkedit(m.cmds.lazyBind, "lazy bind opcodes")
	}
	return nil
}

func (m *Image) bindOffset(src nameSource) uint64 {
	switch src {
	case inBind:
		return uint64(m.cmds.bind.off)
	case inWeakBind:
		return uint64(m.cmds.weakBind.off)
	}
	return uint64(m.cmds.lazyBind.off)
}

// bound returns the slots that opcodes and external relocations bind.
func (m *Image) bound() []boundSlot {
	t := &m.binds
	t.once.Do(func() {
		for _, src := range [...]nameSource{inBind, inLazyBind, inWeakBind} {
			ops := m.opcodes("bind", m.bindOffset(src), m.bindStream(src))
			r := bindReader{opcodes: ops, src: src, slots: t.slots}
			r.run()
			t.slots = r.slots
		}
		t.slots = m.readExternalRelocs(t.slots)
		// Stable: of several binds of one slot, that of the bind table stays before those of the others.
		slices.SortStableFunc(t.slots, func(a, b boundSlot) int {
			switch {
			case a.addr < b.addr:
				return -1
			case a.addr > b.addr:
				return 1
			}
			return 0
		})
	})
	return t.slots
}

// maxSlots limits how many bound slots are kept: no more than pointers fit into the image, and far more than large
// programs have, some ten thousand.
func (m *Image) maxSlots() int { return min(len(m.data)/8+1, 1<<20) }

// bindReader interprets one stream of bind opcodes.
type bindReader struct {
	opcodes
	src   nameSource
	slots []boundSlot

	seg      *Segment
	offset   uint64 // in seg; wraps around as dyld's does
	cur      boundSlot
	typ      byte
	threaded bool
	table    []boundSlot // of threaded binds
}

func (r *bindReader) run() {
	r.typ = bindTypePointer
	for {
		op, imm, ok := r.next()
		if !ok {
			return
		}
		switch op {
		case bindDone:
			if r.src != inLazyBind { // where it ends each of the entries
				return
			}
		case bindSetOrdinalImm:
			r.cur.ordinal = int16(imm)
		case bindSetOrdinalULEB:
			r.cur.ordinal = int16(min(r.uleb(), 1<<15-1))
		case bindSetOrdinalSpec:
			r.cur.ordinal = 0
			if imm != 0 {
				r.cur.ordinal = int16(int8(imm | 0xf0))
			}
		case bindSetSymbol:
			r.cur.name = nameRef{r.name(), r.src}
			r.cur.flags = 0
			if imm&bindFlagWeakImport != 0 {
				r.cur.flags = slotWeakImport
			}
		case bindSetType:
			r.typ = imm
		case bindSetAddend:
			r.cur.addend = r.sleb()
		case bindSetSegment:
			if r.seg = r.segment(imm); r.seg != nil {
				r.offset = r.uleb()
			}
		case bindAddAddr:
			r.offset += r.uleb()
		case bindDo:
			r.do(1, 0)
		case bindDoAddAddr:
			r.do(1, r.uleb())
		case bindDoAddAddrScaled:
			r.do(1, uint64(imm)*8)
		case bindDoTimesSkipping:
			n := r.uleb()
			r.do(n, r.uleb())
		case bindThreaded:
			r.thread(imm)
		default:
			r.unknown()
		}
	}
}

// do binds n slots, each skip bytes after the end of the one before; none where a number was missing.
func (r *bindReader) do(n, skip uint64) {
	if r.bad {
		return
	}
	if r.threaded {
		if len(r.table) >= threadedMaxTableSize {
			r.fail("threaded binds with more than %d imports", threadedMaxTableSize)
			return
		}
		r.table = append(r.table, r.cur)
		return
	}
	for range n {
		if r.seg == nil || r.seg.Size < 8 || r.offset > r.seg.Size-8 {
			r.fail("bind of a slot outside of its segment")
			return
		}
		if len(r.slots) >= r.m.maxSlots() {
			r.fail("more binds than any linker makes")
			return
		}
		if r.typ == bindTypePointer {
			s := r.cur
			s.addr = r.seg.Addr + r.offset
			switch r.src {
			case inLazyBind:
				s.flags |= slotLazy
			case inWeakBind:
				s.flags |= slotWeakDef
				s.ordinal = OrdinalWeak
			}
			r.slots = append(r.slots, s)
		}
		r.offset += 8 + skip
	}
}

// thread interprets the opcodes of the first arm64e systems: a table of imports, then chains of slots that hold
// indices into it or rebased addresses.
func (r *bindReader) thread(sub byte) {
	switch sub {
	case bindThreadedTable:
		r.uleb() // its size; the table grows as its entries come
		r.threaded, r.table = true, nil
	case bindThreadedApply:
		if r.seg == nil {
			r.fail("threaded binds without a segment")
			return
		}
		data := r.m.rest(r.seg.Addr)
		for off := r.offset; ; {
			if uint64(len(data)) < 8 || off > uint64(len(data))-8 {
				r.fail("threaded bind outside of its segment")
				return
			}
			if len(r.slots) >= r.m.maxSlots() {
				r.fail("more binds than any linker makes")
				return
			}
			f := decodePointer(ptrARM64E, binary.LittleEndian.Uint64(data[off:]), r.m.base)
			s := boundSlot{addend: int64(f.target), flags: slotRebase}
			if f.bind {
				if uint64(f.ordinal) >= uint64(len(r.table)) {
					r.fail("threaded bind of import %d of %d", f.ordinal, len(r.table))
					return
				}
				s = r.table[f.ordinal]
			}
			s.addr = r.seg.Addr + off
			if f.auth {
				s.flags |= slotAuth
			}
			r.slots = append(r.slots, s)
			if f.next == 0 {
				return
			}
			off += f.next
		}
	default:
		r.fail("threaded bind opcode %d is not known", sub)
	}
}

// readExternalRelocs adds the slots that external relocations of a linked image bind.
func (m *Image) readExternalRelocs(slots []boundSlot) []boundSlot {
	e := m.cmds.extrel
	if e.empty() || !m.InScope() || m.Type == Object {
		return slots
	}
	b := m.bytesAt(uint64(e.off), uint64(e.size)*relocationSize)
	if b == nil {
		m.problem(uint64(e.off), "%d external relocations reach beyond the end of the image", e.size)
		return slots
	}
	base := m.externalRelocBase()
	t := m.symtab()
	for ; len(b) >= relocationSize; b = b[relocationSize:] {
		addr, info := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		if info&relocExtern == 0 || info&relocPCRel != 0 || info>>28 != extRelocUnsigned ||
			info>>25&3 != extRelocLengthQuad {
			continue
		}
		index := int(info & 0xffffff)
		if index >= t.n || len(slots) >= m.maxSlots() {
			m.problem(uint64(e.off), "external relocation of symbol %d of %d", index, t.n)
			return slots
		}
		s := t.at(index)
		slot := boundSlot{addr: base + uint64(int64(int32(addr))), name: nameRef{s.strx, inSymtab},
			ordinal: int16(s.ordinal())}
		if s.desc&nWeakRef != 0 {
			slot.flags = slotWeakImport
		}
		if v := m.Bytes(slot.addr, 8); v != nil {
			slot.addend = int64(binary.LittleEndian.Uint64(v))
			slots = append(slots, slot)
		}
	}
	return slots
}

// externalRelocBase returns the address that external relocations count from: for x86_64 the first writable segment,
// for others the first segment.
func (m *Image) externalRelocBase() uint64 {
	for i := range m.Segments {
		s := &m.Segments[i]
		if m.CPU != CPUAMD64 || s.Prot&2 != 0 {
			return s.Addr
		}
	}
	return 0
}

// slotsAt returns what opcodes and external relocations say about the slot at addr.
func (m *Image) slotsAt(addr uint64) []boundSlot {
	slots := m.bound()
	i, ok := slices.BinarySearchFunc(slots, addr, func(s boundSlot, a uint64) int {
		switch {
		case s.addr < a:
			return -1
		case s.addr > a:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	j := i + 1
	for j < len(slots) && slots[j].addr == addr {
		j++
	}
	return slots[i:j]
}
