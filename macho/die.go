package macho

import (
	"encoding/binary"
	"slices"
	"sync"
)

// Debugging information entries (DWARF 5 standard, sections 7.5 and 2.17; 2 to 4 likewise) are read here rather than by
// debug/dwarf, which copies every string and list that an entry refers to before anybody asks for it, so that a few
// bytes of a hostile file can cost any amount of memory.

// dieTable is the debugging information of an image.
type dieTable struct {
	once   sync.Once
	mu     sync.Mutex // guards budget, tables and what of units is read late
	image  *Image
	info   debugBytes
	addr   debugBytes
	ranges debugBytes // up to DWARF 4
	lists  debugBytes // __debug_rnglists
	abbrev []byte
	str    []byte
	line   []byte // __debug_line_str
	offs   []byte // __debug_str_offsets
	units  []dieUnit
	byLine map[uint64]int // index in units by the offset of the line number program
	tables map[uint64]abbrevTable
	budget int // entries, abbreviations and ranges that may still be read
}

// debugBytes is a section in which addresses stand, which in object files relocations complete.
type debugBytes struct {
	data   []byte
	addr   uint64
	relocs bool
}

// dieUnit is a unit of __debug_info.
type dieUnit struct {
	start, die, end            int // offsets: of the unit, its first entry, its end
	version                    uint16
	dwarf64                    bool
	addrSize                   uint8
	abbrev                     uint64
	low                        uint64 // base of its ranges
	addrBase, offsBase, rnBase uint64
}

// Limits of what is read of debugging information.
const (
	maxDieUnits  = 1 << 17
	maxDieBudget = 8 << 20 // for an image
	maxAbbrevs   = 1 << 16 // of a table
	maxDieFields = 256
	abbrevCost   = 16 // of a field: it is kept
)

// abbrevTable says how entries of a unit are laid out, by code.
type abbrevTable map[uint64]abbrev

type abbrev struct {
	tag      uint64
	children bool
	fields   []abbrevField
}

type abbrevField struct {
	attr, form uint64
	implicit   int64
}

// Tags, attributes and forms (DWARF 5, tables 7.3, 7.5 and 7.6).
const (
	tagInlined    = 0x1d
	tagSubprogram = 0x2e

	attrSibling     = 0x01
	attrName        = 0x03
	attrStmtList    = 0x10
	attrLow         = 0x11
	attrHigh        = 0x12
	attrOrigin      = 0x31
	attrSpec        = 0x47
	attrRanges      = 0x55
	attrCallFile    = 0x58
	attrCallLine    = 0x59
	attrLinkage     = 0x6e
	attrOffsBase    = 0x72
	attrAddrBase    = 0x73
	attrRangesBase  = 0x74
	attrLinkageMIPS = 0x2007

	formAddr    = 0x01
	formRefAddr = 0x10
	formAddrx   = 0x1b
	formAddrx1  = 0x29
	formAddrx4  = 0x2c
	formRnglist = 0x23
)

// dieValue is the value of an attribute as it stands there: a number, or the place of a string.
type dieValue struct {
	form uint64
	num  uint64
	str  []byte // of DW_FORM_string
}

// die is an entry, with the attributes that matter. A zero form means that there is none.
type die struct {
	at, next int // offsets of the entry, and behind it
	tag      uint64
	children bool
	attrs    [numDieAttrs]dieValue
}

// The attributes that are kept, as indexes of die.attrs.
const (
	dieSibling = iota
	dieName
	dieStmtList
	dieLow
	dieHigh
	dieOrigin
	dieSpec
	dieRanges
	dieCallFile
	dieCallLine
	dieLinkage
	dieOffsBase
	dieAddrBase
	dieRangesBase
	numDieAttrs
)

var dieAttrs = map[uint64]int{
	attrSibling: dieSibling, attrName: dieName, attrStmtList: dieStmtList, attrLow: dieLow, attrHigh: dieHigh,
	attrOrigin: dieOrigin, attrSpec: dieSpec, attrRanges: dieRanges, attrCallFile: dieCallFile,
	attrCallLine: dieCallLine, attrLinkage: dieLinkage, attrLinkageMIPS: dieLinkage, attrOffsBase: dieOffsBase,
	attrAddrBase: dieAddrBase, attrRangesBase: dieRangesBase,
}

// dies reads the headers of all units and their first entries.
func (m *Image) dies() *dieTable {
	t := &m.dieTable
	t.once.Do(func() {
		t.image, t.budget, t.tables, t.byLine = m, maxDieBudget, map[uint64]abbrevTable{}, map[uint64]int{}
		if !m.InScope() {
			return
		}
		section := func(name string) debugBytes {
			s := m.debugSection(name)
			if s == nil {
				return debugBytes{}
			}
			return debugBytes{m.debugData(s), s.Addr, m.Type == Object && s.nReloc > 0}
		}
		if t.info = section("info"); t.info.data == nil {
			return
		}
		t.addr, t.ranges, t.lists = section("addr"), section("ranges"), section("rnglists")
		t.abbrev, t.str, t.line = section("abbrev").data, section("str").data, section("line_str").data
		t.offs = section("str_offs").data // names of sections have 16 characters
		for pos := 0; pos < len(t.info.data) && len(t.units) < maxDieUnits; {
			u, ok := readDieUnit(t.info.data, pos)
			if u.end <= pos {
				return
			}
			pos = u.end
			if ok {
				t.addUnit(u)
			}
		}
	})
	return t
}

// addUnit keeps a unit whose first entry can be read.
func (t *dieTable) addUnit(u dieUnit) {
	d, ok := t.read(&u, u.die)
	if !ok {
		return
	}
	u.offsBase, u.addrBase, u.rnBase = d.attrs[dieOffsBase].num, d.attrs[dieAddrBase].num, d.attrs[dieRangesBase].num
	u.low, _ = t.address(&u, d.attrs[dieLow])
	t.units = append(t.units, u)
	if line := d.attrs[dieStmtList]; line.form != 0 {
		if _, ok := t.byLine[line.num]; !ok {
			t.byLine[line.num] = len(t.units) - 1
		}
	}
}

// readDieUnit reads the header at offset pos, as readLineUnit does.
func readDieUnit(data []byte, pos int) (u dieUnit, ok bool) {
	le := binary.LittleEndian
	u.start = pos
	b := data[pos:]
	if len(b) < 4 {
		return u, false
	}
	size, at, word := uint64(le.Uint32(b)), 4, 4
	if size == 0xffffffff {
		if len(b) < 12 {
			return u, false
		}
		size, at, word, u.dwarf64 = le.Uint64(b[4:]), 12, 8, true
	}
	if size > uint64(len(b)-at) {
		return u, false
	}
	b = b[:at+int(size)]
	u.end = pos + len(b)
	if len(b) < at+2+2+word {
		return u, false
	}
	u.version = le.Uint16(b[at:])
	at += 2
	kind := uint8(1)
	if u.version == 5 {
		kind, u.addrSize = b[at], b[at+1]
		at += 2
	}
	if len(b) < at+word+1 {
		return u, false
	}
	u.abbrev = uint64(le.Uint32(b[at:]))
	if u.dwarf64 {
		u.abbrev = le.Uint64(b[at:])
	}
	at += word
	if u.version < 5 {
		u.addrSize = b[at]
		at++
	}
	u.die = pos + at
	// Of the types of units DW_UT_compile and DW_UT_partial stand in images; others have longer headers.
	return u, u.version >= 2 && u.version <= 5 && (kind == 1 || kind == 3) && (u.addrSize == 8 || u.addrSize == 4)
}

// table reads the abbreviations at an offset; nil where they are damaged or too many.
func (t *dieTable) table(offset uint64) abbrevTable {
	if a, ok := t.tables[offset]; ok {
		return a
	}
	t.tables[offset] = nil
	if offset >= uint64(len(t.abbrev)) {
		return nil
	}
	b := t.abbrev[offset:]
	bad := false
	number := func() uint64 {
		v, n := uleb(b)
		bad = bad || n == 0
		b = b[n:]
		return v
	}
	table := abbrevTable{}
	for {
		code := number()
		if bad || code == 0 {
			break
		}
		a := abbrev{tag: number()}
		if bad || len(b) == 0 || len(table) >= maxAbbrevs {
			return nil
		}
		a.children, b = b[0] != 0, b[1:]
		for {
			if t.budget -= abbrevCost; t.budget < 0 || len(a.fields) > maxDieFields {
				return nil
			}
			f := abbrevField{attr: number(), form: number()}
			if f.form == 0x21 { // DW_FORM_implicit_const
				v, n := sleb(b)
				bad = bad || n == 0
				f.implicit, b = v, b[n:]
			}
			if bad {
				return nil
			}
			if f.attr == 0 && f.form == 0 {
				break
			}
			a.fields = append(a.fields, f)
		}
		table[code] = a
	}
	if bad {
		return nil
	}
	t.tables[offset] = table
	return table
}

// read reads the entry at an offset. One with tag 0 ends a list of children.
func (t *dieTable) read(u *dieUnit, at int) (d die, ok bool) {
	if t.budget--; t.budget < 0 || at < u.die || at >= u.end {
		return d, false
	}
	b := t.info.data[:u.end]
	code, n := uleb(b[at:])
	if n == 0 {
		return d, false
	}
	d.at, d.next = at, at+n
	if code == 0 {
		return d, true
	}
	a, ok := t.table(u.abbrev)[code]
	if !ok {
		return d, false
	}
	d.tag, d.children = a.tag, a.children
	t.budget -= len(a.fields) / 8
	for _, f := range a.fields {
		v, n := u.value(b[d.next:], f)
		if n < 0 {
			return d, false
		}
		if i, ok := dieAttrs[f.attr]; ok {
			if v.form == formAddr {
				v.num = uint64(d.next) // where the address stands, for a relocation may complete it
			}
			d.attrs[i] = v
		}
		d.next += n
	}
	return d, true
}

// value reads one value; n is its length, less than zero where it cannot be read. References come as offsets in the
// section.
func (u *dieUnit) value(b []byte, f abbrevField) (v dieValue, n int) {
	v.form = f.form
	fixed := func(size int) (dieValue, int) {
		if len(b) < size {
			return v, -1
		}
		for i := range min(size, 8) {
			v.num |= uint64(b[i]) << (8 * i)
		}
		return v, size
	}
	relative := func(v dieValue, n int) (dieValue, int) {
		v.num += uint64(u.start)
		return v, n
	}
	variable := func() (dieValue, int) {
		var k int
		if v.num, k = uleb(b); k == 0 {
			return v, -1
		}
		return v, k
	}
	block := func(size uint64, k int) (dieValue, int) {
		if k <= 0 || size > uint64(len(b)-k) {
			return v, -1
		}
		return v, k + int(size)
	}
	word := 4
	if u.dwarf64 {
		word = 8
	}
	switch f.form {
	case formAddr:
		if len(b) < int(u.addrSize) {
			return v, -1
		}
		return v, int(u.addrSize)
	case 0x03: // DW_FORM_block2
		w, k := fixed(2)
		return block(w.num, k)
	case 0x04: // DW_FORM_block4
		w, k := fixed(4)
		return block(w.num, k)
	case 0x09, 0x18: // DW_FORM_block, DW_FORM_exprloc
		w, k := variable()
		return block(w.num, k)
	case 0x0a: // DW_FORM_block1
		w, k := fixed(1)
		return block(w.num, k)
	case 0x08: // DW_FORM_string
		if v.str = cstring(b, 0); v.str == nil {
			return v, -1
		}
		return v, len(v.str) + 1
	case 0x0b, 0x0c, 0x25, formAddrx1: // DW_FORM_data1, flag, strx1, addrx1
		return fixed(1)
	case 0x05, 0x26, 0x2a: // DW_FORM_data2, strx2, addrx2
		return fixed(2)
	case 0x27, 0x2b: // DW_FORM_strx3, addrx3
		return fixed(3)
	case 0x06, 0x28, formAddrx4, 0x1c: // DW_FORM_data4, strx4, addrx4, ref_sup4
		return fixed(4)
	case 0x07, 0x20, 0x24: // DW_FORM_data8, ref_sig8, ref_sup8
		return fixed(8)
	case 0x1e: // DW_FORM_data16
		return fixed(16)
	case 0x0d: // DW_FORM_sdata
		s, k := sleb(b)
		if v.num = uint64(s); k == 0 {
			return v, -1
		}
		return v, k
	case 0x0f, 0x1a, formAddrx, 0x22, formRnglist: // DW_FORM_udata, strx, addrx, loclistx, rnglistx
		return variable()
	case 0x0e, 0x17, 0x1d, 0x1f: // DW_FORM_strp, sec_offset, strp_sup, line_strp
		return fixed(word)
	case formRefAddr:
		if u.version == 2 {
			return fixed(int(u.addrSize))
		}
		return fixed(word)
	case 0x11: // DW_FORM_ref1
		return relative(fixed(1))
	case 0x12: // DW_FORM_ref2
		return relative(fixed(2))
	case 0x13: // DW_FORM_ref4
		return relative(fixed(4))
	case 0x14: // DW_FORM_ref8
		return relative(fixed(8))
	case 0x15: // DW_FORM_ref_udata
		return relative(variable())
	case 0x19: // DW_FORM_flag_present
		return v, 0
	case 0x21: // DW_FORM_implicit_const
		v.num = uint64(f.implicit)
		return v, 0
	}
	return v, -1 // DW_FORM_indirect among them, which no compiler for these systems writes
}

// text returns the string that a value stands for.
func (t *dieTable) text(u *dieUnit, v dieValue) string {
	switch v.form {
	case 0:
		return ""
	case 0x08: // DW_FORM_string
		return string(v.str)
	case 0x0e: // DW_FORM_strp
		return string(cstring(t.str, v.num))
	case 0x1f: // DW_FORM_line_strp
		return string(cstring(t.line, v.num))
	case 0x1a, 0x25, 0x26, 0x27, 0x28: // DW_FORM_strx
		offset, ok := t.indexed(t.offs, u.offsBase, v.num, u.dwarf64)
		if !ok {
			return ""
		}
		return string(cstring(t.str, offset))
	}
	return ""
}

// indexed reads entry i of a table of offsets.
func (t *dieTable) indexed(b []byte, base, i uint64, dwarf64 bool) (uint64, bool) {
	size := uint64(4)
	if dwarf64 {
		size = 8
	}
	if base > uint64(len(b)) || i >= (uint64(len(b))-base)/size {
		return 0, false
	}
	at := base + i*size
	if dwarf64 {
		return binary.LittleEndian.Uint64(b[at:]), true
	}
	return uint64(binary.LittleEndian.Uint32(b[at:])), true
}

// address returns the address that a value stands for.
func (t *dieTable) address(u *dieUnit, v dieValue) (uint64, bool) {
	switch {
	case v.form == formAddr:
		return t.info.address(t.image, v.num, u.addrSize)
	case v.form == formAddrx, v.form >= formAddrx1 && v.form <= formAddrx4:
		return t.addrx(u, v.num)
	}
	return 0, false
}

// addrx returns address i of the unit's part of __debug_addr.
func (t *dieTable) addrx(u *dieUnit, i uint64) (uint64, bool) {
	size := uint64(u.addrSize)
	if n := uint64(len(t.addr.data)); u.addrBase > n || i >= (n-u.addrBase)/size {
		return 0, false
	}
	return t.addr.address(t.image, u.addrBase+i*size, u.addrSize)
}

// address reads the address at an offset of the section, as its relocation makes it.
func (s debugBytes) address(m *Image, at uint64, size uint8) (uint64, bool) {
	if at > uint64(len(s.data)) || uint64(size) > uint64(len(s.data))-at {
		return 0, false
	}
	if s.relocs {
		for _, r := range m.Reloc(s.addr+at, 1) {
			if r.Kind == RelocPointer && r.Defined {
				return r.Target, true
			}
		}
	}
	if size == 4 {
		return uint64(binary.LittleEndian.Uint32(s.data[at:])), true
	}
	return binary.LittleEndian.Uint64(s.data[at:]), true
}

// unitAt returns the unit that an offset of the section lies in.
func (t *dieTable) unitAt(at uint64) *dieUnit {
	i, _ := slices.BinarySearchFunc(t.units, at, func(u dieUnit, at uint64) int {
		if uint64(u.end) <= at {
			return -1
		}
		return 1
	})
	if i < len(t.units) && uint64(t.units[i].start) <= at {
		return &t.units[i]
	}
	return nil
}
