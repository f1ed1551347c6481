package macho

import (
	"encoding/binary"
	"slices"
	"sync"
)

// Go programs carry a table of all functions with names, files and lines, which the runtime needs for its stack traces
// and which stripping leaves in place. It is read here rather than by debug/gosym because that builds the whole table
// at once, in memory that a hostile header decides.
//
// The layouts are those of internal/abi and runtime/symtab.go of Go 1.2, 1.16, 1.18 and 1.20.
const (
	goMagic2  = 0xfffffffb
	goMagic16 = 0xfffffffa
	goMagic18 = 0xfffffff0
	goMagic20 = 0xfffffff1

	maxGoName = 1 << 14
)

// goTable is the function table of a Go program.
type goTable struct {
	once  sync.Once
	data  []byte // the whole table
	count int    // of functions
	text  uint64 // what offsets of functions count from; 0 where entries are addresses
	quad  bool   // entries are pairs of 64-bit numbers (before Go 1.18), else of 32-bit ones
	table []byte // (entry, offset of the function's record) for each function, then the end
	funcs []byte // what offsets of records count from
	names []byte
	files []byte
	cus   []byte
	pcs   []byte // tables of files and lines
	unit  int    // smallest instruction in bytes
	old   bool   // Go 1.2 to 1.15: files are numbered for the whole program
}

// pclntab returns the Go function table, empty where the image has none that is known.
func (m *Image) pclntab() *goTable {
	t := &m.gofuncs
	t.once.Do(func() {
		if m.Type == Object || !m.InScope() {
			return
		}
		for i := range m.Sections {
			if s := &m.Sections[i]; s.Name == "__gopclntab" {
				m.readPCLNTab(t, s)
				return
			}
		}
	})
	return t
}

func (m *Image) readPCLNTab(t *goTable, s *Section) {
	b := s.Data()
	if len(b) < 16 || b[4] != 0 || b[5] != 0 || b[6] == 0 || b[7] != 8 {
		if len(b) > 0 {
			m.problem(uint64(s.Offset), "header of the Go function table is not one")
		}
		return
	}
	le := binary.LittleEndian
	word := func(i int) uint64 {
		if len(b) < 16+8*i {
			return 1 << 63
		}
		return le.Uint64(b[8+8*i:])
	}
	part := func(i int) []byte {
		off := word(i)
		if off > uint64(len(b)) {
			return nil
		}
		return b[off:]
	}
	n := word(0)
	t.unit = int(b[6])
	switch magic := le.Uint32(b); magic {
	case goMagic20, goMagic18:
		t.names, t.cus, t.files, t.pcs, t.funcs = part(3), part(4), part(5), part(6), part(7)
		t.table = t.funcs
		t.text = m.goText(t, s.Addr+24, n)
	case goMagic16:
		t.quad = true
		t.names, t.cus, t.files, t.pcs, t.funcs = part(2), part(3), part(4), part(5), part(6)
		t.table = t.funcs
	case goMagic2:
		t.quad, t.old = true, true
		t.names, t.funcs, t.files, t.pcs, t.table = b, b, b, b, b[16:]
	default:
		m.problem(uint64(s.Offset), "Go function table with magic %#x is not known", magic)
		return
	}
	if size := t.entrySize(); uint64(len(t.table)) < size || n > (uint64(len(t.table))-size)/size || n > maxFunctions {
		m.problem(uint64(s.Offset)+8, "Go function table of %d functions does not fit its section", n)
		return
	}
	if !t.quad && t.text == 0 {
		return
	}
	t.data, t.count = b, int(n)
	if t.old {
		// The offset of the file table follows the last entry.
		end := int(n)*16 + 8
		t.files = nil
		if len(t.table) >= end+4 {
			if off := le.Uint32(t.table[end:]); uint64(off) < uint64(len(b)) {
				t.files = b[off:]
			}
		}
	}
}

// goText returns the address that the offsets of functions count from. Until Go 1.25 the table's header has it at
// slot; since then the linker keeps it in the runtime's module data alone. It is the beginning of __text in programs
// that the Go linker made by itself; in those that Apple's or LLVM's linker made it is where the offsets fall on the
// function starts which that linker lists.
func (m *Image) goText(t *goTable, slot uint64, n uint64) uint64 {
	if p, ok := m.Pointer(slot); ok && p.Import == "" && p.Target != 0 {
		if s := m.SectionAt(p.Target); s != nil && s.IsCode() {
			return p.Target
		}
	}
	s := m.Section("__TEXT", "__text")
	if s == nil {
		return 0
	}
	if m.cmds.functionStarts.empty() {
		return s.Addr
	}
	const probes = 64
	if n < probes || n > uint64(len(t.table))/8 {
		return 0 // too few to be told from chance
	}
	starts, found := m.readFunctionStarts(), uint64(0) // not Functions, which may ask for this table
	for _, text := range starts {
		matches := true
		for i := uint64(0); i < probes && matches; i++ {
			// Spread over the table; the first function is at the very beginning.
			off := binary.LittleEndian.Uint32(t.table[8*(i*(n-1)/(probes-1)):])
			_, matches = slices.BinarySearch(starts, text+uint64(off))
		}
		if matches && found != 0 {
			return 0
		}
		if matches {
			found = text
		}
	}
	return found
}

func (t *goTable) entrySize() uint64 {
	if t.quad {
		return 16
	}
	return 8
}

// at returns the address of function i and the offset of its record.
func (t *goTable) at(i int) (addr, record uint64) {
	le := binary.LittleEndian
	if t.quad {
		b := t.table[16*i:][:16]
		return le.Uint64(b), le.Uint64(b[8:])
	}
	b := t.table[8*i:][:8]
	return t.text + uint64(le.Uint32(b)), uint64(le.Uint32(b[4:]))
}

// end returns where the last function ends.
func (t *goTable) end() uint64 {
	if t.quad {
		return binary.LittleEndian.Uint64(t.table[16*t.count:])
	}
	return t.text + uint64(binary.LittleEndian.Uint32(t.table[8*t.count:]))
}

// record returns the record of the function that holds addr: the fields after its entry, which are 32 bits wide.
func (t *goTable) record(addr uint64) (entry uint64, fields []byte, ok bool) {
	if t.count == 0 || addr >= t.end() {
		return 0, nil, false
	}
	lo, hi := 0, t.count
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if a, _ := t.at(mid); a <= addr {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return 0, nil, false
	}
	entry, off := t.at(lo - 1)
	if t.quad {
		off += 8
	} else {
		off += 4
	}
	if off > uint64(len(t.funcs)) || len(t.funcs[off:]) < 32 {
		return 0, nil, false
	}
	return entry, t.funcs[off:], true
}

// goFunctions calls yield with the address of every function of a Go program, until it returns false.
func (m *Image) goFunctions(yield func(addr uint64) bool) {
	t := m.pclntab()
	for i := range t.count {
		if addr, _ := t.at(i); !yield(addr) {
			return
		}
	}
}

// goFunctionName returns the name of the Go function that holds addr.
func (m *Image) goFunctionName(addr uint64) (name string, start uint64, ok bool) {
	t := m.pclntab()
	entry, rec, ok := t.record(addr)
	if !ok {
		return "", 0, false
	}
	b := limited(t.names, uint64(binary.LittleEndian.Uint32(rec)))
	if len(b) == 0 {
		return "", 0, false
	}
	return string(b), entry, true
}

func limited(b []byte, off uint64) []byte {
	s := cstring(b, off)
	if len(s) > maxGoName {
		return nil
	}
	return s
}

// goLine returns the source line of an instruction of a Go program.
func (m *Image) goLine(addr uint64) (file string, line int, ok bool) {
	t := m.pclntab()
	entry, rec, ok := t.record(addr)
	if !ok {
		return "", 0, false
	}
	le := binary.LittleEndian
	// nameOff, args, deferreturn (or frame), pcsp, pcfile, pcln, npcdata, cuOffset
	fileNo, ok1 := t.pcValue(le.Uint32(rec[16:]), entry, addr)
	lineNo, ok2 := t.pcValue(le.Uint32(rec[20:]), entry, addr)
	if !ok1 || !ok2 || fileNo < 0 || lineNo <= 0 {
		return "", 0, false
	}
	at := uint64(fileNo) * 4
	table, pool := t.cus, t.files
	if t.old {
		table, pool = t.files, t.data
	} else {
		at += uint64(le.Uint32(rec[28:])) * 4
	}
	if at+4 > uint64(len(table)) {
		return "", 0, false
	}
	name := limited(pool, uint64(le.Uint32(table[at:])))
	return string(name), int(lineNo), len(name) > 0
}

// pcValue reads a table of (change of value, change of address) pairs up to addr.
func (t *goTable) pcValue(off uint32, entry, addr uint64) (int32, bool) {
	if off == 0 || uint64(off) >= uint64(len(t.pcs)) {
		return 0, false
	}
	b, pc, val := t.pcs[off:], entry, int32(-1)
	for first := true; ; first = false {
		v, n := uleb(b)
		if n == 0 || v == 0 && !first {
			return 0, false
		}
		d, k := uleb(b[n:])
		if k == 0 {
			return 0, false
		}
		b = b[n+k:]
		val += int32(uint32(v)>>1) ^ -int32(v&1)
		if pc += d * uint64(t.unit); addr < pc {
			return val, true
		}
	}
}
