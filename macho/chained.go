package macho

import (
	"encoding/binary"
	"sync"
)

// Chained pointer formats (mach-o/fixup-chains.h).
const (
	ptrARM64E           = 1
	ptr64               = 2
	ptr64Offset         = 6
	ptrARM64EKernel     = 7
	ptrARM64EUserland   = 9
	ptrARM64EFirmware   = 10
	ptrARM64EUserland24 = 12

	importPlain    = 1
	importAddend   = 2
	importAddend64 = 3

	pageStartNone  = 0xffff
	pageStartMulti = 0x8000
)

var pointerFormatNames = map[uint16]string{
	3: "32-bit", 4: "32-bit cache", 5: "32-bit firmware", 8: "64-bit kernel cache", 11: "x86_64 kernel cache",
	13: "arm64e shared cache", 14: "arm64e segmented",
}

// fixupTable is the content of LC_DYLD_CHAINED_FIXUPS.
type fixupTable struct {
	once    sync.Once
	present bool
	imports []byte // import records
	count   int
	format  uint32 // of import records
	symbols []byte // names
	segs    []chainedSegment
}

// chainedSegment says where the chains of a segment begin.
type chainedSegment struct {
	addr     uint64
	data     []byte // the segment's bytes in the file
	pageSize uint64
	format   uint16
	starts   []byte // the offset of the first chained pointer in each page, in 16 bits
	pages    int
}

// chained returns the image's chained fixups, empty where it has none.
func (m *Image) chained() *fixupTable {
	t := &m.fixups
	t.once.Do(func() { m.readChained(t) })
	return t
}

func (m *Image) readChained(t *fixupTable) {
	off := uint64(m.cmds.chained.off)
	b := m.linkedit(m.cmds.chained, "chained fixups")
	if b == nil {
		return
	}
	if !m.InScope() && m.bo != binary.LittleEndian {
		return
	}
	if len(b) < 28 {
		m.problem(off, "header of chained fixups is cut short")
		return
	}
	le := binary.LittleEndian
	version, startsOff, importsOff, symbolsOff := le.Uint32(b), le.Uint32(b[4:]), le.Uint32(b[8:]), le.Uint32(b[12:])
	count, format, compression := le.Uint32(b[16:]), le.Uint32(b[20:]), le.Uint32(b[24:])
	if version != 0 {
		m.problem(off, "chained fixups of version %d are not known", version)
		return
	}
	t.present = true
	size := uint64(len(b))
	var record uint64
	switch format {
	case importPlain:
		record = 4
	case importAddend:
		record = 8
	case importAddend64:
		record = 16
	}
	switch {
	case count == 0:
	case record == 0:
		m.problem(off+20, "imports of chained fixups in format %d are not known", format)
	case compression != 0:
		m.problem(off+24, "names of chained fixups are compressed (format %d), which no linker does", compression)
	case uint64(importsOff) > size || uint64(count) > (size-uint64(importsOff))/record:
		m.problem(off+16, "%d imports at %#x do not fit into chained fixups of %#x bytes", count, importsOff, size)
	case uint64(symbolsOff) > size:
		m.problem(off+12, "names at %#x of chained fixups of %#x bytes", symbolsOff, size)
	default:
		t.imports = b[importsOff:][:uint64(count)*record]
		t.count, t.format, t.symbols = int(count), format, b[symbolsOff:]
	}
	m.readChainStarts(t, b, startsOff)
}

// readChainStarts reads dyld_chained_starts_in_image at offset at of the chained fixups b.
func (m *Image) readChainStarts(t *fixupTable, b []byte, at uint32) {
	le, off := binary.LittleEndian, uint64(m.cmds.chained.off)
	if uint64(at)+4 > uint64(len(b)) {
		m.problem(off+4, "chain starts at %#x of chained fixups of %#x bytes", at, len(b))
		return
	}
	s := b[at:]
	n := uint64(le.Uint32(s))
	if n > uint64(len(m.Segments)) || n > (uint64(len(s))-4)/4 {
		m.problem(off+uint64(at), "chained fixups for %d segments in an image with %d", n, len(m.Segments))
		return
	}
	var prevEnd uint64
	for i := range int(n) {
		rel := uint64(le.Uint32(s[4+4*i:]))
		if rel == 0 {
			continue
		}
		if rel > uint64(len(s)) || uint64(len(s))-rel < 22 {
			m.problem(off+uint64(at)+uint64(4+4*i), "chain starts of segment %d lie outside of the fixups", i)
			continue
		}
		g := s[rel:]
		pages := int(le.Uint16(g[20:]))
		size := min(uint64(le.Uint32(g)), uint64(len(g)))
		c := chainedSegment{
			addr: m.base + le.Uint64(g[8:]), pageSize: uint64(le.Uint16(g[4:])), format: le.Uint16(g[6:]), pages: pages,
		}
		if size < 22+2*uint64(pages) {
			m.problem(off+uint64(at)+rel, "chain starts of segment %d name %d pages, which do not fit", i, pages)
			continue
		}
		switch c.format {
		case ptrARM64E, ptr64, ptr64Offset, ptrARM64EKernel, ptrARM64EUserland, ptrARM64EFirmware, ptrARM64EUserland24:
		default:
			m.problem(off+uint64(at)+rel+6, "chained pointers of format %d (%s) are not supported", c.format,
				pointerFormatNames[c.format])
			continue
		}
		if c.pageSize == 0 || pages == 0 {
			continue
		}
		c.starts, c.data = g[22:22+2*pages], m.rest(c.addr)
		if n := uint64(pages) * c.pageSize; uint64(len(c.data)) > n {
			c.data = c.data[:n]
		}
		if c.addr < prevEnd {
			m.problem(off+uint64(at)+rel+8, "chained segment %d overlaps the one before", i)
			continue
		}
		prevEnd = c.addr + uint64(len(c.data))
		for p := range pages {
			if v := le.Uint16(c.starts[2*p:]); v&pageStartMulti != 0 && v != pageStartNone {
				m.problem(off+uint64(at)+rel+22+2*uint64(p), "page with several chains, which 64-bit pointers never need")
				break
			}
		}
		t.segs = append(t.segs, c)
	}
}

// chainedImport is one record of the import table.
type chainedImport struct {
	name    nameRef
	ordinal int
	weak    bool
	addend  int64
}

// at returns import i, which must be less than t.count.
func (t *fixupTable) at(i int) chainedImport {
	le := binary.LittleEndian
	switch t.format {
	case importAddend64:
		b := t.imports[16*i:][:16]
		v := le.Uint64(b)
		ord := int(v & 0xffff)
		if ord > 0xfff0 {
			ord = int(int16(ord))
		}
		return chainedImport{nameRef{uint32(v >> 32), inChained}, ord, v>>16&1 != 0, int64(le.Uint64(b[8:]))}
	case importAddend:
		b := t.imports[8*i:][:8]
		c := plainImport(le.Uint32(b))
		c.addend = int64(int32(le.Uint32(b[4:])))
		return c
	}
	return plainImport(le.Uint32(t.imports[4*i:]))
}

func plainImport(v uint32) chainedImport {
	ord := int(v & 0xff)
	if ord > 0xf0 {
		ord = int(int8(ord))
	}
	return chainedImport{nameRef{v >> 9, inChained}, ord, v>>8&1 != 0, 0}
}

// fixup is one chained pointer, decoded.
type fixup struct {
	bind    bool
	auth    bool
	ordinal uint32 // of a bind: index of the import
	addend  int64  // of a bind
	target  uint64 // of a rebase
	next    uint64 // distance to the next in bytes, 0 for the last of a chain
}

// decodePointer takes a chained pointer apart. base is the preferred address of the Mach-O header.
func decodePointer(format uint16, v, base uint64) fixup {
	switch format {
	case ptr64, ptr64Offset:
		f := fixup{bind: v>>63 != 0, next: (v >> 51 & 0xfff) * 4}
		if f.bind {
			f.ordinal, f.addend = uint32(v&0xffffff), int64(v>>24&0xff)
			return f
		}
		f.target = v & (1<<36 - 1)
		if format == ptr64Offset {
			f.target += base
		}
		f.target |= (v >> 36 & 0xff) << 56
		return f
	}
	stride := uint64(8)
	if format == ptrARM64EKernel || format == ptrARM64EFirmware {
		stride = 4
	}
	f := fixup{bind: v>>62&1 != 0, auth: v>>63 != 0, next: (v >> 51 & 0x7ff) * stride}
	switch {
	case f.bind:
		f.ordinal = uint32(v & 0xffff)
		if format == ptrARM64EUserland24 {
			f.ordinal = uint32(v & 0xffffff)
		}
		if !f.auth {
			f.addend = int64(v<<13) >> 45 // bits 32 to 50, signed
		}
	case f.auth:
		f.target = base + v&0xffffffff
	default:
		f.target = v & (1<<43 - 1)
		if format != ptrARM64E && format != ptrARM64EFirmware {
			f.target += base
		}
		f.target |= (v >> 43 & 0xff) << 56
	}
	return f
}

// walkPage calls visit for every chained pointer of a page, with its offset in the segment and its stored value, until
// visit returns false. It reports whether it came to the end. Offsets within a chain ascend, so chains always end.
func (c *chainedSegment) walkPage(page int, visit func(off, raw uint64) bool) bool {
	le := binary.LittleEndian
	start := le.Uint16(c.starts[2*page:])
	if start == pageStartNone {
		return true
	}
	return c.walkChain(page, uint64(start), visit)
}

func (c *chainedSegment) walkChain(page int, start uint64, visit func(off, raw uint64) bool) bool {
	off, end := uint64(page)*c.pageSize+start, (uint64(page)+1)*c.pageSize
	for off < end && off+8 <= uint64(len(c.data)) {
		raw := binary.LittleEndian.Uint64(c.data[off:])
		if !visit(off, raw) {
			return false
		}
		next := decodePointer(c.format, raw, 0).next
		if next == 0 {
			break
		}
		off += next
	}
	return true
}

// cursor remembers where in a chain the last question was answered: slots are mostly asked for in ascending order,
// and a chain can be read from its beginning only.
type cursor struct {
	seg  *chainedSegment
	page int
	off  uint64 // of a chained pointer in seg
}

// find returns the chained pointer at addr. at may be nil.
func (t *fixupTable) find(addr, base uint64, at *cursor) (f fixup, ok bool) {
	for i := range t.segs {
		c := &t.segs[i]
		off := addr - c.addr
		if off >= uint64(len(c.data)) || off/c.pageSize >= uint64(c.pages) {
			continue
		}
		page := int(off / c.pageSize)
		visit := func(o, raw uint64) bool {
			if at != nil && o <= off {
				*at = cursor{c, page, o}
			}
			if o == off {
				f, ok = decodePointer(c.format, raw, base), true
			}
			return o < off
		}
		if at != nil && at.seg == c && at.page == page && at.off <= off {
			c.walkChain(page, at.off-uint64(page)*c.pageSize, visit)
		} else {
			c.walkPage(page, visit)
		}
		return f, ok
	}
	return f, false
}
