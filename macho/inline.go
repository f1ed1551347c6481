package macho

import "slices"

// Inlined is a function whose code was copied into another.
type Inlined struct {
	Function string // its symbol, where it has one, or its name
	File     string // where it was called
	Line     int
}

// maxInlined bounds how deep functions are told to be inlined.
const maxInlined = 64

// Inlined returns the functions that the code at addr was inlined from, innermost first, each with the place of the call
// that it stands for; the last call is in the function that the code lies in. It is empty where nothing was inlined,
// and where the image has no DWARF debug information.
func (m *Image) Inlined(addr uint64) []Inlined {
	line, ok := m.lineUnitAt(addr)
	if !ok {
		return nil
	}
	t := m.dies()
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := t.byLine[uint64(line.start)]
	if !ok {
		return nil
	}
	u := &t.units[i]
	var found []Inlined
	for _, d := range t.inlinedAt(u, addr) {
		call := Inlined{Function: t.functionName(u, d), Line: int(min(d.attrs[dieCallLine].num, 1<<31-1))}
		if d.attrs[dieCallFile].form != 0 {
			call.File = line.fileName(m.lineTable(), d.attrs[dieCallFile].num)
		}
		found = append(found, call)
	}
	slices.Reverse(found)
	return found
}

// inlinedAt walks the entries of a unit and returns those of inlined functions around an address, outermost first.
func (t *dieTable) inlinedAt(u *dieUnit, addr uint64) []die {
	var found []die
	depth, within := 0, 0 // of entries; of the function around the address, once it is found
	for at := u.die; at < u.end; {
		d, ok := t.read(u, at)
		if !ok {
			return found
		}
		at = d.next
		if d.tag == 0 {
			depth--
			if depth <= 0 || within > 0 && depth < within {
				return found
			}
			continue
		}
		hasCode, here := t.covers(u, &d, addr)
		if d.tag == tagInlined && here && len(found) < maxInlined {
			found = append(found, d)
		}
		if d.tag == tagSubprogram && here && within == 0 {
			if !d.children {
				return nil
			}
			within = depth + 1
		}
		if !d.children {
			continue
		}
		if hasCode && !here && depth > 0 {
			if at, ok = t.skipChildren(u, &d); !ok {
				return found
			}
			continue
		}
		depth++
	}
	return found
}

// skipChildren returns the offset behind the children of an entry.
func (t *dieTable) skipChildren(u *dieUnit, d *die) (at int, ok bool) {
	if s := d.attrs[dieSibling]; s.form != 0 && s.num > uint64(d.next) && s.num <= uint64(u.end) {
		return int(s.num), true
	}
	at = d.next
	for depth := 1; depth > 0; {
		child, ok := t.read(u, at)
		if !ok {
			return 0, false
		}
		at = child.next
		switch s := child.attrs[dieSibling]; {
		case child.tag == 0:
			depth--
		case child.children && s.form != 0 && s.num > uint64(at) && s.num <= uint64(u.end):
			at = int(s.num)
		case child.children:
			depth++
		}
	}
	return at, true
}

// covers tells whether an entry says which code it is about, and whether addr is in it.
func (t *dieTable) covers(u *dieUnit, d *die, addr uint64) (hasCode, here bool) {
	if r := d.attrs[dieRanges]; r.form != 0 {
		return true, t.rangesCover(u, r, addr)
	}
	low, ok := t.address(u, d.attrs[dieLow])
	if !ok {
		return false, false
	}
	high := d.attrs[dieHigh]
	end, ok := t.address(u, high)
	switch {
	case ok:
	case high.form == 0:
		return false, false // a label, or the only number of an entry with ranges elsewhere
	default:
		end = low + high.num
	}
	return true, low <= addr && addr < end
}

// rangesCover tells whether addr is in one of the ranges that a value stands for.
func (t *dieTable) rangesCover(u *dieUnit, v dieValue, addr uint64) bool {
	if u.version < 5 {
		return t.oldRangesCover(u, v.num, addr)
	}
	at := v.num
	if v.form == formRnglist {
		offset, ok := t.indexed(t.lists.data, u.rnBase, v.num, u.dwarf64)
		if !ok || offset > uint64(len(t.lists.data)) {
			return false
		}
		at = u.rnBase + offset
	}
	if at > uint64(len(t.lists.data)) {
		return false
	}
	b := t.lists.data[at:]
	ok := true
	number := func() uint64 {
		v, n := uleb(b)
		ok = ok && n > 0
		b = b[n:]
		return v
	}
	address := func() uint64 {
		a, good := t.lists.address(t.image, uint64(len(t.lists.data)-len(b)), u.addrSize)
		ok = ok && good
		b = b[min(int(u.addrSize), len(b)):]
		return a
	}
	indexed := func() uint64 {
		a, good := t.addrx(u, number())
		ok = ok && good
		return a
	}
	base := u.low
	for len(b) > 0 {
		if t.budget--; t.budget < 0 {
			return false
		}
		kind := b[0]
		b = b[1:]
		var low, high uint64
		switch kind { // DWARF 5, section 7.25
		case 1: // DW_RLE_base_addressx
			base = indexed()
		case 2: // DW_RLE_startx_endx
			low, high = indexed(), indexed()
		case 3: // DW_RLE_startx_length
			low = indexed()
			high = low + number()
		case 4: // DW_RLE_offset_pair
			low, high = base+number(), base+number()
		case 5: // DW_RLE_base_address
			base = address()
		case 6: // DW_RLE_start_end
			low, high = address(), address()
		case 7: // DW_RLE_start_length
			low = address()
			high = low + number()
		default: // DW_RLE_end_of_list, and what is not known
			return false
		}
		if !ok {
			return false
		}
		if low <= addr && addr < high {
			return true
		}
	}
	return false
}

// oldRangesCover is rangesCover before DWARF 5: pairs of addresses relative to a base, ended by two zeros.
func (t *dieTable) oldRangesCover(u *dieUnit, at, addr uint64) bool {
	base, size := u.low, uint64(u.addrSize)
	largest := ^uint64(0) >> (64 - 8*size)
	for ; ; at += 2 * size {
		if t.budget--; t.budget < 0 {
			return false
		}
		low, ok := t.ranges.address(t.image, at, u.addrSize)
		high, also := t.ranges.address(t.image, at+size, u.addrSize)
		switch {
		case !ok, !also, low == 0 && high == 0:
			return false
		case low == largest:
			base = high
		case base+low <= addr && addr < base+high:
			return true
		}
	}
}

// functionName returns the symbol of an entry, or of the one that it is an instance or the definition of, or its name.
func (t *dieTable) functionName(u *dieUnit, d die) string {
	name := ""
	for range 8 {
		if s := t.text(u, d.attrs[dieLinkage]); s != "" {
			return s
		}
		if s := t.text(u, d.attrs[dieName]); s != "" && name == "" {
			name = s
		}
		ref := d.attrs[dieOrigin]
		if ref.form == 0 {
			ref = d.attrs[dieSpec]
		}
		if ref.form == 0 || ref.num > 1<<62 {
			break
		}
		if u = t.unitAt(ref.num); u == nil {
			break
		}
		var ok bool
		if d, ok = t.read(u, int(ref.num)); !ok {
			break
		}
	}
	return name
}
