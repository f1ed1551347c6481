// Package pclntab reads the function table that every Go program carries: names, files, lines and frame sizes. The
// runtime needs it for its stack traces, and stripping leaves it in place. It is read here rather than by debug/gosym
// because that builds the whole table at once, in memory that a hostile header decides, and knows no frame sizes.
//
// The layouts are those of internal/abi and runtime/symtab.go of Go 1.2, 1.16, 1.18 and 1.20.
package pclntab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	magic2  = 0xfffffffb
	magic16 = 0xfffffffa
	magic18 = 0xfffffff0
	magic20 = 0xfffffff1

	maxName      = 1 << 14
	maxFunctions = 1 << 22
)

// TextSlot is the offset in the table at which Go 1.18 to 1.25 keep the address that functions count from.
const TextSlot = 24

// Table is the function table of a Go program. The zero Table has no functions.
type Table struct {
	data  []byte // the whole table
	count int    // of functions
	text  uint64 // what offsets of functions count from; 0 where entries are addresses
	quad  bool   // entries are pairs of 64-bit numbers (before Go 1.18), else of 32-bit ones
	table []byte // (entry, offset of the function's record) for each function, then the end
	funcs []byte // what offsets of records count from
	names []byte
	files []byte
	cus   []byte
	pcs   []byte // tables of files, lines and frame sizes
	unit  int    // smallest instruction in bytes
	old   bool   // Go 1.2 to 1.15: files are numbered for the whole program
	start bool   // Go 1.20: records have a start line
}

// Error is a defect of a table, at an offset in it.
type Error struct {
	Offset int64
	Reason string
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("offset %#x: %s", e.Offset, e.Reason) }

// ErrText is returned by [Parse] where the text function gave no address.
var ErrText = errors.New("the address that functions count from is not known")

// Parse reads the header of a table. Where the table counts functions from an address that it may not hold itself, text
// is asked for it with the offsets of the n functions (see [Table.Offset]); it returns 0 where it does not know.
func Parse(b []byte, text func(t *Table, n int) uint64) (*Table, error) {
	if len(b) < 16 || b[4] != 0 || b[5] != 0 || b[6] == 0 || b[7] != 8 {
		return nil, &Error{0, "header of the Go function table is not one"}
	}
	t := &Table{}
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
	case magic20, magic18:
		t.names, t.cus, t.files, t.pcs, t.funcs = part(3), part(4), part(5), part(6), part(7)
		t.table = t.funcs
		t.start = magic == magic20
	case magic16:
		t.quad = true
		t.names, t.cus, t.files, t.pcs, t.funcs = part(2), part(3), part(4), part(5), part(6)
		t.table = t.funcs
	case magic2:
		t.quad, t.old = true, true
		t.names, t.funcs, t.files, t.pcs, t.table = b, b, b, b, b[16:]
	default:
		return nil, &Error{0, fmt.Sprintf("Go function table with magic %#x is not known", magic)}
	}
	if size := t.entrySize(); uint64(len(t.table)) < size || n > (uint64(len(t.table))-size)/size || n > maxFunctions {
		return nil, &Error{8, fmt.Sprintf("Go function table of %d functions does not fit its section", n)}
	}
	if !t.quad {
		if t.text = text(t, int(n)); t.text == 0 {
			return nil, ErrText
		}
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
	return t, nil
}

func (t *Table) entrySize() uint64 {
	if t.quad {
		return 16
	}
	return 8
}

// Count returns the number of functions.
func (t *Table) Count() int { return t.count }

// Offset returns where function i begins, counted from the address that [Parse] asks for.
func (t *Table) Offset(i int) uint32 { return binary.LittleEndian.Uint32(t.table[8*i:]) }

// At returns the address of function i.
func (t *Table) At(i int) uint64 {
	addr, _ := t.at(i)
	return addr
}

// at returns the address of function i and the offset of its record.
func (t *Table) at(i int) (addr, record uint64) {
	le := binary.LittleEndian
	if t.quad {
		b := t.table[16*i:][:16]
		return le.Uint64(b), le.Uint64(b[8:])
	}
	b := t.table[8*i:][:8]
	return t.text + uint64(le.Uint32(b)), uint64(le.Uint32(b[4:]))
}

// end returns where the last function ends.
func (t *Table) end() uint64 {
	if t.quad {
		return binary.LittleEndian.Uint64(t.table[16*t.count:])
	}
	return t.text + uint64(binary.LittleEndian.Uint32(t.table[8*t.count:]))
}

// record returns the record of the function that holds addr: the fields after its entry, which are 32 bits wide.
func (t *Table) record(addr uint64) (entry uint64, fields []byte, ok bool) {
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

// Fields of a record after the entry, by their offset: nameOff, args, deferreturn (or frame), pcsp, pcfile, pcln,
// npcdata, cuOffset, from Go 1.20 on startLine, then the bytes funcID and flag.
const (
	fieldPCSP   = 12
	fieldPCFile = 16
	fieldPCLn   = 20
	fieldCU     = 28
	fieldFlag   = 33 // before Go 1.20; 4 more since then

	flagTop = 1 // funcFlag_TOPFRAME
)

// Name returns the name of the function that holds addr, and where it begins.
func (t *Table) Name(addr uint64) (name string, start uint64, ok bool) {
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

// Line returns the source line of an instruction.
func (t *Table) Line(addr uint64) (file string, line int, ok bool) {
	entry, rec, ok := t.record(addr)
	if !ok {
		return "", 0, false
	}
	le := binary.LittleEndian
	fileNo, ok1 := t.pcValue(le.Uint32(rec[fieldPCFile:]), entry, addr)
	lineNo, ok2 := t.pcValue(le.Uint32(rec[fieldPCLn:]), entry, addr)
	if !ok1 || !ok2 || fileNo < 0 || lineNo <= 0 {
		return "", 0, false
	}
	at := uint64(fileNo) * 4
	table, pool := t.cus, t.files
	if t.old {
		table, pool = t.files, t.data
	} else {
		at += uint64(le.Uint32(rec[fieldCU:])) * 4
	}
	if at+4 > uint64(len(table)) {
		return "", 0, false
	}
	name := limited(pool, uint64(le.Uint32(table[at:])))
	return string(name), int(lineNo), len(name) > 0
}

// Frame returns how many bytes the function has pushed on the stack when it is at addr, its return address not counted
// (arm64: the saved link register counts), and whether a stack ends at this function.
func (t *Table) Frame(addr uint64) (size int32, top, ok bool) {
	entry, rec, ok := t.record(addr)
	if !ok {
		return 0, false, false
	}
	if size, ok = t.pcValue(binary.LittleEndian.Uint32(rec[fieldPCSP:]), entry, addr); !ok || size < 0 {
		return 0, false, false
	}
	flag := fieldFlag
	if t.start {
		flag += 4
	}
	return size, !t.quad && len(rec) > flag && rec[flag]&flagTop != 0, true
}

// pcValue reads a table of (change of value, change of address) pairs up to addr.
func (t *Table) pcValue(off uint32, entry, addr uint64) (int32, bool) {
	if off == 0 || uint64(off) >= uint64(len(t.pcs)) {
		return 0, false
	}
	b, pc, val := t.pcs[off:], entry, int32(-1)
	for first := true; ; first = false {
		v, n := binary.Uvarint(b)
		if n <= 0 || v == 0 && !first {
			return 0, false
		}
		d, k := binary.Uvarint(b[n:])
		if k <= 0 {
			return 0, false
		}
		b = b[n+k:]
		val += int32(uint32(v)>>1) ^ -int32(v&1)
		if pc += d * uint64(t.unit); addr < pc {
			return val, true
		}
	}
}

func limited(b []byte, off uint64) []byte {
	if off >= uint64(len(b)) {
		return nil
	}
	b = b[off:]
	n := bytes.IndexByte(b[:min(len(b), maxName+1)], 0)
	if n < 0 {
		return nil
	}
	return b[:n]
}
