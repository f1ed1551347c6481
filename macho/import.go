package macho

import (
	"encoding/binary"
	"iter"
)

// Special library ordinals of an [Import].
const (
	OrdinalSelf = 0  // the image itself
	OrdinalMain = -1 // the main executable
	OrdinalFlat = -2 // whichever loaded image exports the name
	OrdinalWeak = -3 // the first definition in any loaded image: C++ and weak symbols
)

// Import is a symbol that an image takes from elsewhere.
type Import struct {
	Name    string // as the file spells it: _mach_msg
	Ordinal int    // library: n is Dylibs[n-1]; else one of the Ordinal constants. 0 in object files.
	Weak    bool   // may be missing at run time
}

// Binding is a pointer-sized slot that the dynamic linker fills with the address of an import.
type Binding struct {
	Addr   uint64 // of the slot
	Import Import
	Addend int64
	Lazy   bool // bound at the first call
	Auth   bool // signed with a pointer authentication key
}

// Pointer is what a pointer-sized slot holds once the dynamic linker is done.
type Pointer struct {
	// Import names the symbol whose address, plus Addend, the slot holds; empty where the target is in this image.
	Import string
	Addend int64
	// Target is the address in this image that the slot holds. For an import that may also be satisfied by the
	// image's own (weak) definition it is the address of that, else 0.
	Target uint64
	Auth   bool // signed with a pointer authentication key
	// Bare says that the file has no fixup for the slot: Target is what stands there, an address or any other number.
	Bare bool
}

// importRefs calls yield for every import with where its name lies, until yield returns false. An import that several
// tables name comes several times.
func (m *Image) importRefs(yield func(name nameRef, ordinal int, weak bool) bool) bool {
	linked := m.Type != Object
	if linked {
		t := m.chained()
		for i := range t.count {
			if c := t.at(i); !yield(c.name, c.ordinal, c.weak) {
				return false
			}
		}
		var last nameRef
		for _, s := range m.bound() {
			if s.flags&(slotRebase|slotWeakDef) != 0 || s.name == last {
				continue
			}
			last = s.name
			if !yield(s.name, int(s.ordinal), s.flags&slotWeakImport != 0) {
				return false
			}
		}
	}
	t := m.symtab()
	for i, end := m.undefined(t); i < end; i++ {
		s := t.at(i)
		if !s.isImport() {
			continue
		}
		ordinal := 0
		if linked {
			ordinal = s.ordinal()
		}
		if !yield(nameRef{s.strx, inSymtab}, ordinal, s.desc&nWeakRef != 0) {
			return false
		}
	}
	return true
}

// Imports returns the symbols the image takes from elsewhere, each name once: first as the fixups name them, then
// those that the symbol table alone has.
func (m *Image) Imports() iter.Seq[Import] {
	return func(yield func(Import) bool) {
		seen := make(map[string]struct{})
		m.importRefs(func(ref nameRef, ordinal int, weak bool) bool {
			name := m.name(ref)
			if _, ok := seen[name]; ok || name == "" {
				return true
			}
			seen[name] = struct{}{}
			return yield(Import{name, ordinal, weak})
		})
	}
}

// HasImport says whether match accepts the name of any import. It allocates next to nothing; match must not keep its
// argument. A set of names in a map is asked without allocation by indexing it with string(name).
func (m *Image) HasImport(match func(name []byte) bool) bool {
	return !m.importRefs(func(ref nameRef, _ int, _ bool) bool {
		name := m.rawName(ref)
		return len(name) == 0 || !match(name)
	})
}

// Bindings returns every slot that is bound to an import, in no particular order across segments. Slots of object
// files are not among them: see [Section.Relocs].
func (m *Image) Bindings() iter.Seq[Binding] {
	return func(yield func(Binding) bool) {
		if m.Type == Object {
			return
		}
		t := m.chained()
		for i := range t.segs {
			c := &t.segs[i]
			for p := range c.pages {
				ok := c.walkPage(p, func(off, raw uint64) bool {
					f := decodePointer(c.format, raw, m.base)
					if !f.bind {
						return true
					}
					if uint64(f.ordinal) >= uint64(t.count) {
						m.problem(m.addrOffset(c.addr+off), "chained bind of import %d of %d", f.ordinal, t.count)
						return true
					}
					imp := t.at(int(f.ordinal))
					return yield(Binding{Addr: c.addr + off, Import: Import{m.name(imp.name), imp.ordinal, imp.weak},
						Addend: f.addend + imp.addend, Auth: f.auth})
				})
				if !ok {
					return
				}
			}
		}
		for _, s := range m.bound() {
			if s.flags&slotRebase != 0 {
				continue
			}
			if !yield(Binding{Addr: s.addr, Import: m.slotImport(s), Addend: s.addend, Lazy: s.flags&slotLazy != 0,
				Auth: s.flags&slotAuth != 0}) {
				return
			}
		}
	}
}

func (m *Image) slotImport(s boundSlot) Import {
	return Import{m.name(s.name), int(s.ordinal), s.flags&slotWeakImport != 0}
}

// addrOffset returns the offset in the image of what lies at addr, 0 where nothing does.
func (m *Image) addrOffset(addr uint64) uint64 {
	for i := range m.Segments {
		if s := &m.Segments[i]; addr-s.Addr < s.FileSize {
			return s.Offset + (addr - s.Addr)
		}
	}
	return 0
}

// Pointer says what the pointer-sized slot at addr holds after fixups; ok is false where the file has no eight bytes
// for it, or what they mean cannot be told. A slot without a fixup is returned as it stands in the file.
func (m *Image) Pointer(addr uint64) (p Pointer, ok bool) {
	b := m.Bytes(addr, 8)
	if !m.InScope() {
		return Pointer{}, false
	}
	if m.Type == Object {
		return m.relocatedPointer(addr, b)
	}
	p, _, ok = m.slot(addr, b, nil)
	return p, ok
}

// slot resolves a slot of a linked image; b is what the file has there, nil in zero-filled memory, which bind opcodes
// may bind all the same.
func (m *Image) slot(addr uint64, b []byte, at *cursor) (p Pointer, imp Import, ok bool) {
	t := m.chained()
	if t.present {
		if b == nil {
			return p, imp, false
		}
		f, found := t.find(addr, m.base, at)
		switch {
		case !found:
		case !f.bind:
			return Pointer{Target: f.target, Auth: f.auth}, imp, true
		case uint64(f.ordinal) >= uint64(t.count):
			m.problem(m.addrOffset(addr), "chained bind of import %d of %d", f.ordinal, t.count)
			return p, imp, false
		default:
			c := t.at(int(f.ordinal))
			imp = Import{m.name(c.name), c.ordinal, c.weak}
			return Pointer{Import: imp.Name, Addend: f.addend + c.addend, Auth: f.auth}, imp, imp.Name != ""
		}
	}
	var raw uint64
	if b != nil {
		raw = binary.LittleEndian.Uint64(b)
	}
	if slots := m.slotsAt(addr); len(slots) > 0 {
		s := slots[0]
		if s.flags&slotRebase != 0 {
			return Pointer{Target: uint64(s.addend), Auth: s.flags&slotAuth != 0}, imp, true
		}
		imp = m.slotImport(s)
		p = Pointer{Import: imp.Name, Addend: s.addend, Auth: s.flags&slotAuth != 0}
		if s.flags&slotWeakDef != 0 {
			p.Target = raw
		}
		return p, imp, imp.Name != ""
	}
	if b == nil {
		return p, imp, false
	}
	if m.cmds.bind.empty() && m.cmds.lazyBind.empty() && !t.present {
		if imp, ok := m.indirectImport(addr); ok {
			return Pointer{Import: imp.Name}, imp, true
		}
	}
	return Pointer{Target: raw, Bare: t.present || !m.rebased(addr)}, imp, true
}

// indirectImport tells by the indirect symbol table which import a slot of a pointer section is for: images older
// than bind opcodes have nothing else for them.
func (m *Image) indirectImport(addr uint64) (Import, bool) {
	s := m.SectionAt(addr)
	if s == nil || s.Type() != NonLazyPointers && s.Type() != LazyPointers {
		return Import{}, false
	}
	return m.indirect(uint64(s.Reserved1) + (addr-s.Addr)/8)
}

// indirect returns the import that entry i of the indirect symbol table names.
func (m *Image) indirect(i uint64) (Import, bool) {
	e := m.cmds.indirect
	if i >= uint64(e.size) {
		return Import{}, false
	}
	b := m.bytesAt(uint64(e.off)+4*i, 4)
	if b == nil {
		return Import{}, false
	}
	t := m.symtab()
	v := m.bo.Uint32(b)
	if v&(indirLocal|indirAbs) != 0 || uint64(v) >= uint64(t.n) {
		return Import{}, false
	}
	s := t.at(int(v))
	if s.typ&nTypeMask != nUndef && s.typ&nTypeMask != nPrebound {
		return Import{}, false
	}
	name := m.name(nameRef{s.strx, inSymtab})
	return Import{name, s.ordinal(), s.desc&nWeakRef != 0}, name != ""
}
