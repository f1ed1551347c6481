package plist

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// trailerSize is the size of the trailer that ends a binary property list: six bytes unused, the width of an entry of
// the offset table, the width of an object reference, then three 64-bit big-endian numbers: objects, top object, offset
// of the offset table. Source: CoreFoundation, CFBinaryPList.c (CFBinaryPlistTrailer).
const (
	headerSize  = 8
	trailerSize = 32
)

// binaryList checks a binary property list before it is decoded.
type binaryList struct {
	data      []byte
	offWidth  int
	refWidth  int
	objects   uint64
	table     int // offset of the offset table; objects lie before it
	footprint int // bytes that the objects seen so far occupy: more than there are, and they overlap
	seen      map[uint64]measure
}

// measure is what an object amounts to, with all below it.
type measure struct {
	values int // of the tree, the object itself included; 0 while its elements are being measured
	depth  int // of containers
}

func checkBinary(data []byte) error {
	l := binaryList{data: data, seen: make(map[uint64]measure)}
	top, err := l.readTrailer()
	if err != nil {
		return err
	}
	_, err = l.measure(top, 0)
	return err
}

func fail(off int, format string, args ...any) error {
	return &SyntaxError{int64(off), fmt.Sprintf(format, args...)}
}

func (l *binaryList) readTrailer() (top uint64, err error) {
	at := len(l.data) - trailerSize
	if at < headerSize {
		return 0, fail(0, "binary form of %d bytes is too short for its trailer", len(l.data))
	}
	t := l.data[at:]
	l.offWidth, l.refWidth = int(t[6]), int(t[7])
	l.objects = binary.BigEndian.Uint64(t[8:])
	top = binary.BigEndian.Uint64(t[16:])
	table := binary.BigEndian.Uint64(t[24:])
	switch {
	case l.offWidth < 1 || l.offWidth > 8:
		return 0, fail(at+6, "offsets of %d bytes", l.offWidth)
	case l.refWidth < 1 || l.refWidth > 8:
		return 0, fail(at+7, "object references of %d bytes", l.refWidth)
	case table < headerSize || table >= uint64(at):
		return 0, fail(at+24, "offset table at %#x is outside the file", table)
	case l.objects > (uint64(at)-table)/uint64(l.offWidth):
		return 0, fail(at+8, "%d objects do not fit the offset table", l.objects)
	case l.objects > MaxValues:
		return 0, fail(at+8, "more than %d values", MaxValues)
	case top >= l.objects:
		return 0, fail(at+16, "top object %d of %d", top, l.objects)
	}
	l.table = int(table)
	return top, nil
}

// number reads a big-endian number of width bytes, which must lie within the data.
func (l *binaryList) number(off, width int) uint64 {
	var n uint64
	for _, b := range l.data[off : off+width] {
		n = n<<8 | uint64(b)
	}
	return n
}

// measure counts the tree below object id, which itself lies within depth containers.
func (l *binaryList) measure(id uint64, depth int) (measure, error) {
	if id >= l.objects {
		return measure{}, fail(l.table, "reference to object %d of %d", id, l.objects)
	}
	entry := l.table + int(id)*l.offWidth
	at := l.number(entry, l.offWidth)
	if at < headerSize || at >= uint64(l.table) {
		return measure{}, fail(entry, "object %d at %#x is outside the objects", id, at)
	}
	off := int(at)
	if m, ok := l.seen[id]; ok {
		if m.values == 0 {
			return m, fail(off, "object %d contains itself", id)
		}
		if depth+m.depth > MaxDepth {
			return m, fail(off, "nested more than %d deep", MaxDepth)
		}
		return m, nil
	}
	body, count, refs, err := l.extent(off)
	if err != nil {
		return measure{}, err
	}
	size := count
	if refs > 0 {
		size = count * l.refWidth
	}
	if l.footprint += body - off + size; l.footprint > len(l.data) {
		return measure{}, fail(off, "objects overlap")
	}
	if l.data[off]>>4 == 0x5 {
		if i := bytes.IndexFunc(l.data[body:body+size], func(r rune) bool { return r >= 0x80 }); i >= 0 {
			return measure{}, fail(body+i, "byte %#02x in an ASCII string", l.data[body+i])
		}
	}
	m := measure{values: 1}
	if refs > 0 {
		if depth >= MaxDepth {
			return m, fail(off, "nested more than %d deep", MaxDepth)
		}
		l.seen[id] = measure{}
		for i := range count {
			child, err := l.measure(l.number(body+i*l.refWidth, l.refWidth), depth+1)
			if err != nil {
				return m, err
			}
			m.depth = max(m.depth, child.depth)
			if m.values += child.values; m.values > MaxValues {
				return m, fail(off, "more than %d values", MaxValues)
			}
		}
		m.depth++
	}
	l.seen[id] = m
	return m, nil
}

// extent says where the body of the object at off begins and how long it is: in bytes or, where refs is not zero, in
// references. The body lies before the offset table.
func (l *binaryList) extent(off int) (body, count, refs int, err error) {
	marker := l.data[off]
	low := int(marker & 0xf)
	body = off + 1
	unit := 1
	switch marker >> 4 {
	case 0x0: // null, booleans
		return body, 0, 0, nil
	case 0x1, 0x2: // integer, real: 2^low bytes
		if low > 4 {
			return 0, 0, 0, fail(off, "number of 2^%d bytes", low)
		}
		count = 1 << low
	case 0x3: // date
		count = 8
	case 0x8: // UID: low+1 bytes
		count = low + 1
	case 0x4, 0x5, 0x6, 0xa, 0xd: // data, ASCII, UTF-16, array, dictionary
		if count, body, err = l.count(off); err != nil {
			return 0, 0, 0, err
		}
		switch marker >> 4 {
		case 0x6:
			unit = 2
		case 0xa:
			unit, refs = l.refWidth, 1
		case 0xd:
			unit, refs = 2*l.refWidth, 2
		}
	default:
		return 0, 0, 0, fail(off, "unknown object type %#02x", marker)
	}
	if count > (l.table-body)/unit {
		return 0, 0, 0, fail(off, "object of %d times %d bytes runs over the offset table", count, unit)
	}
	switch {
	case refs > 0:
		count *= refs
	default:
		count *= unit
	}
	return body, count, refs, nil
}

// count reads the length of the data, string or container at off, which is in the marker or in an integer behind it.
func (l *binaryList) count(off int) (n, body int, err error) {
	if low := int(l.data[off] & 0xf); low != 0xf {
		return low, off + 1, nil
	}
	if off+2 > l.table || l.data[off+1]>>4 != 1 || l.data[off+1]&0xf > 3 {
		return 0, 0, fail(off, "length is no integer")
	}
	width := 1 << (l.data[off+1] & 0xf)
	if off+2+width > l.table {
		return 0, 0, fail(off, "length runs over the offset table")
	}
	v := l.number(off+2, width)
	if v > uint64(len(l.data)) {
		return 0, 0, fail(off, "length %d is more than the file", v)
	}
	return int(v), off + 2 + width, nil
}
