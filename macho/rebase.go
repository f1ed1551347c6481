package macho

import "sync"

// Rebase opcodes (mach-o/loader.h).
const (
	rebaseDone                   = 0x00
	rebaseSetType                = 0x10
	rebaseSetSegment             = 0x20
	rebaseAddAddr                = 0x30
	rebaseAddAddrScaled          = 0x40
	rebaseDoImmTimes             = 0x50
	rebaseDoTimes                = 0x60
	rebaseDoAddAddr              = 0x70
	rebaseDoTimesSkipping        = 0x80
	rebaseTypePointer            = 1
	rebaseSlot            uint64 = 8 // bytes
)

// rebaseTable says which slots of an image without chained fixups hold addresses of the image: one bit for each aligned
// slot that the file has bytes for, by segment.
type rebaseTable struct {
	once  sync.Once
	slots [][]uint64
}

// rebased tells whether rebase opcodes say that the slot at addr holds an address of the image.
func (m *Image) rebased(addr uint64) bool {
	t := &m.rebases
	t.once.Do(func() {
		if b := m.linkedit(m.cmds.rebase, "rebase opcodes"); b != nil {
			t.slots = make([][]uint64, len(m.Segments))
			ops := m.opcodes("rebase", uint64(m.cmds.rebase.off), b)
			(&rebaseReader{opcodes: ops, left: len(m.data)/int(rebaseSlot) + 1, table: t}).run()
		}
	})
	for i, bits := range t.slots {
		s := &m.Segments[i]
		if off := addr - s.Addr; off < s.FileSize && off%rebaseSlot == 0 && off/rebaseSlot/64 < uint64(len(bits)) {
			return bits[off/rebaseSlot/64]>>(off/rebaseSlot%64)&1 != 0
		}
	}
	return false
}

// rebaseReader interprets rebase opcodes.
type rebaseReader struct {
	opcodes
	seg    *Segment
	bits   *[]uint64 // of seg, in the table
	offset uint64    // in seg; wraps around as dyld's does
	typ    byte
	left   int // slots that there can be
	table  *rebaseTable
}

func (r *rebaseReader) run() {
	for {
		op, imm, ok := r.next()
		if !ok {
			return
		}
		switch op {
		case rebaseDone:
			return
		case rebaseSetType:
			r.typ = imm
		case rebaseSetSegment:
			if r.seg = r.segment(imm); r.seg != nil {
				r.bits, r.offset = &r.table.slots[imm], r.uleb()
			}
		case rebaseAddAddr:
			r.offset += r.uleb()
		case rebaseAddAddrScaled:
			r.offset += uint64(imm) * rebaseSlot
		case rebaseDoImmTimes:
			r.do(uint64(imm), 0)
		case rebaseDoTimes:
			r.do(r.uleb(), 0)
		case rebaseDoAddAddr:
			r.do(1, r.uleb())
		case rebaseDoTimesSkipping:
			n := r.uleb()
			r.do(n, r.uleb())
		default:
			r.unknown()
		}
	}
}

// do rebases n slots, each skip bytes after the end of the one before; none where a number was missing.
func (r *rebaseReader) do(n, skip uint64) {
	if r.bad {
		return
	}
	for range n {
		if r.seg == nil || r.seg.Size < rebaseSlot || r.offset > r.seg.Size-rebaseSlot {
			r.fail("rebase of a slot outside of its segment")
			return
		}
		if r.left--; r.left < 0 {
			r.fail("more rebases than the image has room for")
			return
		}
		s := r.seg
		if slot := r.offset / rebaseSlot; r.typ == rebaseTypePointer && r.offset%rebaseSlot == 0 && r.offset < s.FileSize {
			if *r.bits == nil {
				*r.bits = make([]uint64, min(s.FileSize, uint64(len(r.m.data)))/rebaseSlot/64+1)
			}
			if slot/64 < uint64(len(*r.bits)) {
				(*r.bits)[slot/64] |= 1 << (slot % 64)
			}
		}
		r.offset += rebaseSlot + skip
	}
}
