package macho

import (
	"encoding/binary"
	"slices"
	"sync"
)

// Source lines come from the line number programs of DWARF 2 to 5 (DWARF 5 standard, section 6.2). They are read
// here rather than by debug/dwarf, whose line reader allocates tables by the counts in their headers before it looks
// whether they are there.

// lineTable knows which sequence of which line number program covers an address.
type lineTable struct {
	once    sync.Once
	data    []byte // __debug_line
	addr    uint64 // its address, by which its relocations are found
	relocs  bool   // of an object file
	lineStr []byte // __debug_line_str
	str     []byte // __debug_str
	units   []lineUnit
	seqs    []lineSequence // by ascending low
}

// lineUnit is the header of one program.
type lineUnit struct {
	start, tables, program, end int // offsets in lineTable.data: of the unit, its directories, its code, its end
	version                     uint16
	dwarf64                     bool
	addrSize, minInst           uint8
	lineBase                    int8
	lineRange, opcodeBase       uint8
	lengths                     []byte // operand counts of the opcodes below opcodeBase
}

// lineSequence is a run of instructions without gaps, and where its part of the program begins.
type lineSequence struct {
	low, high uint64
	unit, pos uint32
}

const (
	maxLineUnits     = 1 << 18
	maxLineSequences = 1 << 21
	maxLineSequenceN = 64 // sequences looked at that begin before an address
)

// Line returns the source file and line that the code at addr was compiled from, where the image holds DWARF debug
// information (object files compiled with -g, dSYM files) or a Go function table. The file is named as the compiler
// did, which may be relative to the folder it ran in.
func (m *Image) Line(addr uint64) (file string, line int, ok bool) {
	if u, fileNo, lineNo := m.lineRowAt(addr); u != nil {
		if name := u.fileName(&m.lines, fileNo); name != "" {
			return name, int(lineNo), true
		}
	}
	return m.goLine(addr)
}

// lineUnitAt returns the unit with the line of the code at addr.
func (m *Image) lineUnitAt(addr uint64) (*lineUnit, bool) {
	u, _, _ := m.lineRowAt(addr)
	return u, u != nil
}

// lineRowAt returns the file and line of the code at addr, and the unit that tells; nil where none does.
func (m *Image) lineRowAt(addr uint64) (u *lineUnit, fileNo, lineNo uint64) {
	t := m.lineTable()
	i, _ := slices.BinarySearchFunc(t.seqs, addr, func(s lineSequence, a uint64) int {
		if s.low <= a {
			return -1
		}
		return 1
	})
	for n, runs := 0, 0; i > 0 && n < maxLineSequenceN && runs < 4; n++ {
		i--
		s := &t.seqs[i]
		if addr >= s.high {
			continue
		}
		runs++
		u := &t.units[s.unit]
		var fileNo, lineNo uint64
		u.run(m, t, int(s.pos), func(r lineRow) bool {
			if r.addr > addr {
				return false
			}
			if !r.end {
				fileNo, lineNo = r.file, r.line
			}
			return !r.end
		})
		if lineNo > 0 && lineNo < 1<<31 {
			return u, fileNo, lineNo
		}
	}
	return nil, 0, 0
}

// lineTable reads the headers of all line number programs and the bounds of their sequences.
func (m *Image) lineTable() *lineTable {
	t := &m.lines
	t.once.Do(func() {
		if !m.InScope() {
			return
		}
		sect := m.debugSection("line")
		if sect == nil {
			return
		}
		t.data, t.addr, t.relocs = m.debugData(sect), sect.Addr, m.Type == Object && sect.nReloc > 0
		if s := m.debugSection("line_str"); s != nil {
			t.lineStr = m.debugData(s)
		}
		if s := m.debugSection("str"); s != nil {
			t.str = m.debugData(s)
		}
		for pos := 0; pos < len(t.data); {
			u, ok := readLineUnit(t.data, pos)
			if u.end <= pos || len(t.units) >= maxLineUnits {
				m.problem(uint64(sect.Offset), "line number program at %#x of the section is damaged", pos)
				break
			}
			pos = u.end
			if !ok {
				continue // of a version that is not known
			}
			t.units = append(t.units, u)
			m.readSequences(t, uint32(len(t.units)-1))
		}
		slices.SortStableFunc(t.seqs, func(a, b lineSequence) int {
			switch {
			case a.low < b.low:
				return -1
			case a.low > b.low:
				return 1
			}
			return 0
		})
	})
	return t
}

// readSequences runs the program of a unit once for the bounds of its sequences.
func (m *Image) readSequences(t *lineTable, unit uint32) {
	u := &t.units[unit]
	for pos := u.program; pos < u.end; {
		s := lineSequence{low: ^uint64(0), unit: unit, pos: uint32(pos)}
		ended := false
		pos = u.run(m, t, pos, func(r lineRow) bool {
			s.low, s.high = min(s.low, r.addr), max(s.high, r.addr)
			ended = r.end
			return !r.end
		})
		if ended && s.low < s.high && len(t.seqs) < maxLineSequences {
			t.seqs = append(t.seqs, s)
		}
	}
}

// readLineUnit reads the header at offset pos. ok is false where it is damaged or of no known version; u.end then
// tells where the next one begins, 0 where that is not known either.
func readLineUnit(data []byte, pos int) (u lineUnit, ok bool) {
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
	if len(b) < at+2+2+word+6 {
		return u, false
	}
	u.version = le.Uint16(b[at:])
	at += 2
	if u.version < 2 || u.version > 5 {
		return u, false
	}
	u.addrSize = 8
	if u.version == 5 {
		u.addrSize = b[at]
		at += 2
	}
	header := uint64(le.Uint32(b[at:]))
	if u.dwarf64 {
		header = le.Uint64(b[at:])
	}
	at += word
	if header > uint64(len(b)-at) {
		return u, false
	}
	u.program = pos + at + int(header)
	h := b[at : at+int(header)]
	if u.version >= 4 && len(h) > 1 {
		h = append(h[:1:1], h[2:]...) // operations of a VLIW instruction
		at++
	}
	if len(h) < 5 {
		return u, false
	}
	u.minInst, u.lineBase, u.lineRange, u.opcodeBase = h[0], int8(h[2]), h[3], h[4]
	n := max(int(u.opcodeBase), 1) - 1
	if u.lineRange == 0 || len(h) < 5+n {
		return u, false
	}
	u.lengths = h[5 : 5+n]
	u.tables = pos + at + 5 + n
	return u, true
}

// lineRow is a row of the matrix that a line number program stands for.
type lineRow struct {
	addr, file, line uint64
	end              bool // the first address after the sequence
}

// Opcodes of line number programs (DWARF 5, section 7.22).
const (
	lnsCopy        = 1
	lnsAdvancePC   = 2
	lnsAdvanceLine = 3
	lnsSetFile     = 4
	lnsSetColumn   = 5
	lnsConstAddPC  = 8
	lnsFixedAddPC  = 9
	lnsSetISA      = 12

	lneEndSequence = 1
	lneSetAddress  = 2
)

// run interprets the program from offset pos of the section until fn returns false or the unit ends, and returns the
// offset after the last opcode read.
func (u *lineUnit) run(m *Image, t *lineTable, pos int, fn func(lineRow) bool) int {
	b := t.data[:u.end]
	row := lineRow{file: 1, line: 1}
	number := func() uint64 {
		v, n := uleb(b[pos:])
		if n == 0 {
			pos = len(b)
			return 0
		}
		pos += n
		return v
	}
	for pos < len(b) {
		op := b[pos]
		pos++
		switch {
		case op >= u.opcodeBase:
			op -= u.opcodeBase
			row.addr += uint64(op/u.lineRange) * uint64(u.minInst)
			row.line += uint64(int64(u.lineBase) + int64(op%u.lineRange))
			if !fn(row) {
				return pos
			}
		case op == 0:
			size := number()
			if size == 0 || size > uint64(len(b)-pos) {
				return len(b)
			}
			arg := b[pos+1 : pos+int(size)]
			at := pos + 1
			op, pos = b[pos], pos+int(size)
			switch op {
			case lneEndSequence:
				row.end = true
				if !fn(row) {
					return pos
				}
				row = lineRow{file: 1, line: 1}
			case lneSetAddress:
				row.addr = t.address(m, at, arg)
			}
		case op == lnsCopy:
			if !fn(row) {
				return pos
			}
		case op == lnsAdvancePC:
			row.addr += number() * uint64(u.minInst)
		case op == lnsAdvanceLine:
			v, n := sleb(b[pos:])
			if n == 0 {
				return len(b)
			}
			pos += n
			row.line += uint64(v)
		case op == lnsSetFile:
			row.file = number()
		case op == lnsConstAddPC:
			row.addr += uint64((255-u.opcodeBase)/u.lineRange) * uint64(u.minInst)
		case op == lnsFixedAddPC:
			if len(b)-pos < 2 {
				return len(b)
			}
			row.addr += uint64(binary.LittleEndian.Uint16(b[pos:]))
			pos += 2
		default: // set_column, set_isa, and what is not known: skip the operands
			for range u.lengths[op-1] {
				number()
			}
		}
	}
	return pos
}

// address reads the operand of set_address at offset at of the section, as its relocation makes it in object files.
func (t *lineTable) address(m *Image, at int, arg []byte) uint64 {
	var v uint64
	switch len(arg) {
	case 8:
		v = binary.LittleEndian.Uint64(arg)
	case 4:
		v = uint64(binary.LittleEndian.Uint32(arg))
	}
	if t.relocs {
		for _, r := range m.Reloc(t.addr+uint64(at), 1) {
			if r.Kind == RelocPointer && r.Defined {
				return r.Target
			}
		}
	}
	return v
}
