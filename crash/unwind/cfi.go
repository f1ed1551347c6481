package unwind

import (
	"errors"
	"fmt"
	"slices"
)

// Section is .eh_frame or .debug_frame of an image.
type Section struct {
	Data []byte
	Addr uint64 // of its first byte, as in the file
	EH   bool   // .eh_frame
}

// Table is the call frame information of an image: for each instruction, where the caller's registers are.
//
// Sources: DWARF Debugging Information Format version 5, section 6.4; Linux Standard Base, Core Specification,
// .eh_frame; DWARF for the Arm 64-bit architecture.
type Table struct {
	sections []Section
	entries  []entry
	cies     []map[int]*cie // by section and offset
}

// entry is where the description of a range of code stands. It is read when it is asked for.
type entry struct {
	start, size uint64
	off         uint32 // of the instructions' record, behind its length
	section     uint8
}

// cie holds what several descriptions share.
type cie struct {
	codeAlign uint64
	dataAlign int64
	ra        uint64
	enc       uint8 // of addresses
	augmented bool  // augmentation data have a length
	signal    bool  // the frame was interrupted, not called
	bKey      bool
	initial   []byte
	err       error
}

const (
	maxEntries = 1 << 23
	maxCIEs    = 1 << 16
	maxSection = 1 << 31
)

// NewTable indexes sections. What a section says after its first defect is left out, which the error tells; the table
// holds the rest all the same.
func NewTable(sections ...Section) (*Table, error) {
	t := &Table{}
	var errs []error
	for _, s := range sections {
		if len(s.Data) > maxSection {
			errs = append(errs, fmt.Errorf("call frame information of %d bytes is too long", len(s.Data)))
			continue
		}
		t.sections = append(t.sections, s)
		t.cies = append(t.cies, map[int]*cie{})
		if err := t.index(len(t.sections) - 1); err != nil {
			errs = append(errs, err)
		}
	}
	slices.SortStableFunc(t.entries, func(a, b entry) int {
		switch {
		case a.start < b.start:
			return -1
		case a.start > b.start:
			return 1
		}
		return 0
	})
	return t, errors.Join(errs...)
}

func (t *Table) index(section int) error {
	s := &t.sections[section]
	r := &reader{data: s.Data}
	for r.left() >= 4 && len(t.entries) < maxEntries {
		at := r.off
		body, wide, err := record(r)
		if err != nil {
			return fmt.Errorf("offset %#x: %w", at, err)
		}
		if body == nil {
			if s.EH {
				return nil // a length of 0 ends the section
			}
			continue
		}
		start := r.off - len(body)
		e := &reader{data: s.Data[:r.off], off: start}
		id := uint64(e.u32())
		if wide {
			e.off = start
			id = e.u64()
		}
		if s.EH && id == 0 || !s.EH && (!wide && id == 0xffffffff || wide && id == 1<<64-1) {
			continue // a CIE
		}
		c := t.cieOf(section, start, id)
		if c == nil || c.err != nil {
			continue
		}
		from := e.pointer(c.enc, s.Addr)
		size := e.pointer(c.enc&0x0f, 0)
		if e.err != nil || size == 0 || from == 0 {
			continue // of a function that the linker left out
		}
		t.entries = append(t.entries, entry{start: from, size: size, off: uint32(start), section: uint8(section)})
	}
	return nil
}

// record reads the length in front of a record and returns what follows.
func record(r *reader) (body []byte, wide bool, err error) {
	n := uint64(r.u32())
	if n == 0xffffffff {
		wide = true
		n = r.u64()
	}
	if n == 0 {
		return nil, wide, r.err
	}
	body = r.bytes(n)
	if r.err == nil && (len(body) < 4 || wide && len(body) < 8) {
		return nil, wide, errShort
	}
	return body, wide, r.err
}

// cieOf returns the CIE to which the description at start refers with id.
func (t *Table) cieOf(section, start int, id uint64) *cie {
	at := id
	if t.sections[section].EH {
		at = uint64(start) - id
	}
	if at >= uint64(len(t.sections[section].Data)) {
		return nil
	}
	if c := t.cies[section][int(at)]; c != nil {
		return c
	}
	if len(t.cies[section]) >= maxCIEs {
		return nil
	}
	c := t.readCIE(section, int(at))
	t.cies[section][int(at)] = c
	return c
}

func (t *Table) readCIE(section, at int) *cie {
	s := &t.sections[section]
	c := &cie{}
	r := &reader{data: s.Data, off: at}
	body, wide, err := record(r)
	if err != nil || body == nil {
		c.err = errShort
		return c
	}
	r = &reader{data: s.Data[:r.off], off: r.off - len(body)}
	if wide {
		r.u64()
	} else {
		r.u32()
	}
	version := r.u8()
	augmentation := r.string()
	if version >= 4 {
		if size := r.u8(); size != 8 && size != 0 {
			r.err = errors.New("addresses are not 64 bits wide")
		}
		r.u8() // segment selector
	}
	c.codeAlign = r.uleb()
	c.dataAlign = r.sleb()
	if version == 1 {
		c.ra = uint64(r.u8())
	} else {
		c.ra = r.uleb()
	}
	for i := 0; i < len(augmentation); i++ {
		switch augmentation[i] {
		case 'z':
			c.augmented = true
			r.uleb()
		case 'R':
			c.enc = r.u8()
		case 'P':
			enc := r.u8()
			r.pointer(enc&0x7f, 0)
		case 'L':
			r.u8()
		case 'S':
			c.signal = true
		case 'B':
			c.bKey = true
		case 'G': // memory tagging of the stack: no data
		default:
			c.err = fmt.Errorf("augmentation %q is not known", augmentation)
			return c
		}
	}
	if c.err = r.err; c.err == nil {
		c.initial = r.data[r.off:]
	}
	return c
}

// fde is the description of a range of code.
type fde struct {
	*cie
	start uint64
	insns []byte
}

// find returns the description of the code at an address of the file.
func (t *Table) find(pc uint64) (fde, bool) {
	i, exact := slices.BinarySearchFunc(t.entries, pc, func(e entry, pc uint64) int {
		switch {
		case e.start < pc:
			return -1
		case e.start > pc:
			return 1
		}
		return 0
	})
	if !exact {
		i--
	}
	if i < 0 || pc-t.entries[i].start >= t.entries[i].size {
		return fde{}, false
	}
	e := t.entries[i]
	s := &t.sections[e.section]
	r := &reader{data: s.Data, off: int(e.off)}
	// The length stands in the four bytes in front, or in eight with a mark before them.
	end, wide := t.extent(e)
	if end < 0 {
		return fde{}, false
	}
	r.data = s.Data[:end]
	id := uint64(0)
	if wide {
		id = r.u64()
	} else {
		id = uint64(r.u32())
	}
	c := t.cieOf(int(e.section), int(e.off), id)
	if c == nil || c.err != nil {
		return fde{}, false
	}
	r.pointer(c.enc, s.Addr)
	r.pointer(c.enc&0x0f, 0)
	if c.augmented {
		r.bytes(r.uleb())
	}
	if r.err != nil {
		return fde{}, false
	}
	return fde{cie: c, start: e.start, insns: r.data[r.off:]}, true
}

// extent returns the end of an entry's record.
func (t *Table) extent(e entry) (end int, wide bool) {
	data := t.sections[e.section].Data
	if e.off >= 12 {
		r := &reader{data: data, off: int(e.off) - 12}
		if body, w, err := record(r); err == nil && w && r.off-len(body) == int(e.off) {
			return r.off, true
		}
	}
	if e.off < 4 {
		return -1, false
	}
	r := &reader{data: data, off: int(e.off) - 4}
	if _, _, err := record(r); err != nil {
		return -1, false
	}
	return r.off, false
}
