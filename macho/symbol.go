package macho

import (
	"bytes"
	"encoding/binary"
	"iter"
	"sync"
)

// Bits of n_type and n_desc (mach-o/nlist.h).
const (
	nStab       = 0xe0 // any of these: a debugging entry
	nPrivExt    = 0x10
	nTypeMask   = 0x0e
	nUndef      = 0x0
	nAbs        = 0x2
	nSect       = 0xe
	nPrebound   = 0xc
	nExt        = 0x01
	nWeakRef    = 0x40
	nAltEntry   = 0x200
	stabSource  = 0x64 // N_SO
	stabObject  = 0x66 // N_OSO
	stabFunc    = 0x24 // N_FUN
	indirLocal  = 0x80000000
	indirAbs    = 0x40000000
	ordMainByte = 0xff // EXECUTABLE_ORDINAL
	ordFlatByte = 0xfe // DYNAMIC_LOOKUP_ORDINAL
)

// Symbol is an entry of the symbol table.
type Symbol struct {
	Name  string
	Addr  uint64
	Type  uint8  // n_type
	Sect  uint8  // index + 1 of the section a defined symbol lies in
	Desc  uint16 // n_desc
	Index int    // in the symbol table
}

// Defined says whether the symbol has an address in one of the image's sections.
func (s *Symbol) Defined() bool { return s.Type&nStab == 0 && s.Type&nTypeMask == nSect }

// External says whether other images can see the symbol.
func (s *Symbol) External() bool { return s.Type&nExt != 0 }

// symtab is the symbol table as it lies in the file.
type symtab struct {
	once sync.Once
	b    []byte // whole entries
	n    int
	size int // of an entry
	strs []byte
	bo   binary.ByteOrder
}

// sym is one entry without its name.
type sym struct {
	strx  uint32
	typ   uint8
	sect  uint8
	desc  uint16
	value uint64
}

// symtab returns the symbol table, empty where the image has none. What reaches beyond the end of the image is cut.
func (m *Image) symtab() *symtab {
	t := &m.syms
	t.once.Do(func() {
		t.bo, t.size = m.bo, nlistSize32
		if m.is64 {
			t.size = nlistSize64
		}
		if m.cmds.nsyms == 0 {
			return
		}
		total, off := uint64(len(m.data)), uint64(m.cmds.symOff)
		n := uint64(m.cmds.nsyms)
		if room := (total - min(off, total)) / uint64(t.size); n > room {
			m.problem(off, "symbol table of %d entries reaches beyond the end of the image", n)
			n = room
		}
		strOff, strSize := uint64(m.cmds.strs.off), uint64(m.cmds.strs.size)
		if room := total - min(strOff, total); strSize > room {
			m.problem(strOff, "string table of %#x bytes reaches beyond the end of the image", strSize)
			strSize = room
		}
		t.b, t.n = m.bytesAt(min(off, total), n*uint64(t.size)), int(n)
		t.strs = m.bytesAt(min(strOff, total), strSize)
	})
	return t
}

// at returns entry i, which must be less than t.n.
func (t *symtab) at(i int) sym {
	if t.size == nlistSize64 && t.bo == binary.LittleEndian {
		b := t.b[i*nlistSize64:][:nlistSize64]
		return sym{binary.LittleEndian.Uint32(b), b[4], b[5], binary.LittleEndian.Uint16(b[6:]),
			binary.LittleEndian.Uint64(b[8:])}
	}
	b := t.b[i*t.size:][:t.size]
	s := sym{t.bo.Uint32(b), b[4], b[5], t.bo.Uint16(b[6:]), 0}
	if t.size == nlistSize64 {
		s.value = t.bo.Uint64(b[8:])
	} else {
		s.value = uint64(t.bo.Uint32(b[8:]))
	}
	return s
}

// name returns the string at offset strx, nil where there is none.
func (t *symtab) name(strx uint32) []byte { return cstring(t.strs, uint64(strx)) }

// prefix returns the first bytes of the string at offset strx, enough to tell labels from names.
func (t *symtab) prefix(strx uint32) []byte {
	if uint64(strx) >= uint64(len(t.strs)) {
		return nil
	}
	b := t.strs[strx:]
	return b[:min(len(b), 5)]
}

// cstring returns the zero-terminated string at offset off of b, without the zero; nil where there is none of a
// sensible length.
func cstring(b []byte, off uint64) []byte {
	if off >= uint64(len(b)) {
		return nil
	}
	b = b[off:]
	if len(b) > maxNameLength {
		b = b[:maxNameLength]
	}
	end := bytes.IndexByte(b, 0)
	if end < 0 {
		return nil
	}
	return b[:end:end]
}

// undefined returns the range of the symbol table in which undefined symbols are to be looked for.
func (m *Image) undefined(t *symtab) (first, end int) {
	c := &m.cmds
	if c.hasDysymtab && uint64(c.undefFirst)+uint64(c.undefCount) <= uint64(t.n) {
		return int(c.undefFirst), int(c.undefFirst + c.undefCount)
	}
	return 0, t.n
}

// isImport says whether the entry is an undefined symbol; a common symbol, which the linker makes room for, is not.
func (s *sym) isImport() bool {
	if s.typ&nStab != 0 || s.typ&nExt == 0 || s.value != 0 {
		return false
	}
	return s.typ&nTypeMask == nUndef || s.typ&nTypeMask == nPrebound
}

// ordinal returns the library ordinal of an undefined symbol of a linked image.
func (s *sym) ordinal() int {
	switch n := int(s.desc >> 8); n {
	case ordMainByte:
		return OrdinalMain
	case ordFlatByte:
		return OrdinalFlat
	default:
		return n
	}
}

// Symbols returns the entries of the symbol table but those for debuggers, in the order of the file.
func (m *Image) Symbols() iter.Seq[Symbol] {
	return func(yield func(Symbol) bool) {
		t := m.symtab()
		for i := range t.n {
			s := t.at(i)
			if s.typ&nStab != 0 {
				continue
			}
			if !yield(Symbol{string(t.name(s.strx)), s.value, s.typ, s.sect, s.desc, i}) {
				return
			}
		}
	}
}

// nameSource says which string pool a name lies in.
type nameSource uint8

const (
	inSymtab nameSource = iota
	inChained
	inBind
	inWeakBind
	inLazyBind
	nameSources
)

// nameRef refers to a name by where it lies, so that tables of slots stay small.
type nameRef struct {
	off uint32
	src nameSource
}

// maxPoolNames limits how many names are kept; large programs import some ten thousand.
const maxPoolNames = 1 << 20

// namePool turns references into strings, each once.
type namePool struct {
	mu    sync.Mutex
	m     map[nameRef]string
	bytes int
	full  bool
}

// rawName returns the bytes a reference stands for.
func (m *Image) rawName(r nameRef) []byte {
	switch r.src {
	case inSymtab:
		return m.symtab().name(r.off)
	case inChained:
		return cstring(m.chained().symbols, uint64(r.off))
	default:
		return cstring(m.bindStream(r.src), uint64(r.off))
	}
}

// name returns the string a reference stands for. Overlapping strings in a hostile file could add up to far more than
// the file, so what is kept is limited.
func (m *Image) name(r nameRef) string {
	p := &m.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if s, ok := p.m[r]; ok {
		return s
	}
	b := m.rawName(r)
	if p.full || len(p.m) >= maxPoolNames || p.bytes+len(b) > 2*len(m.data)+1<<16 {
		if !p.full {
			p.full = true
			m.problem(uint64(m.cmds.strs.off), "more names than any linker makes: they cannot all be read")
		}
		return ""
	}
	if p.m == nil {
		p.m = make(map[nameRef]string)
	}
	s := string(b)
	p.m[r] = s
	p.bytes += len(b)
	return s
}
