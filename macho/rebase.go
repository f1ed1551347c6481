package macho

import "sync"

// Rebase opcodes (mach-o/loader.h).
const (
	rebaseOpcodeMask = 0xf0
	rebaseImmMask    = 0x0f

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
			(&rebaseReader{m: m, b: b, left: len(m.data)/int(rebaseSlot) + 1, table: t}).run()
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
	m     *Image
	b     []byte
	pos   int
	seg   int // index; -1: none yet
	off   uint64
	typ   byte
	left  int // slots that there can be
	table *rebaseTable
}

func (r *rebaseReader) fail(at int, format string, args ...any) {
	r.m.problem(uint64(r.m.cmds.rebase.off)+uint64(at), format, args...)
	r.pos = len(r.b)
}

func (r *rebaseReader) uleb(at int) uint64 {
	if r.pos >= len(r.b) {
		return 0
	}
	v, n := uleb(r.b[r.pos:])
	if n == 0 {
		r.fail(at, "rebase opcode %#x with a number that is cut short or too large", r.b[at])
		return 0
	}
	r.pos += n
	return v
}

func (r *rebaseReader) run() {
	r.seg = -1
	for r.pos < len(r.b) {
		at := r.pos
		op, imm := r.b[at]&rebaseOpcodeMask, r.b[at]&rebaseImmMask
		r.pos++
		switch op {
		case rebaseDone:
			return
		case rebaseSetType:
			r.typ = imm
		case rebaseSetSegment:
			if int(imm) >= len(r.m.Segments) {
				r.fail(at, "rebase opcode for segment %d of %d", imm, len(r.m.Segments))
				return
			}
			r.seg, r.off = int(imm), r.uleb(at)
		case rebaseAddAddr:
			r.off += r.uleb(at)
		case rebaseAddAddrScaled:
			r.off += uint64(imm) * rebaseSlot
		case rebaseDoImmTimes:
			r.do(at, uint64(imm), 0)
		case rebaseDoTimes:
			r.do(at, r.uleb(at), 0)
		case rebaseDoAddAddr:
			r.do(at, 1, r.uleb(at))
		case rebaseDoTimesSkipping:
			n := r.uleb(at)
			r.do(at, n, r.uleb(at))
		default:
			r.fail(at, "rebase opcode %#x is not known", r.b[at])
		}
	}
}

// do rebases n slots, each skip bytes after the end of the one before.
func (r *rebaseReader) do(at int, n, skip uint64) {
	for range n {
		if r.seg < 0 || r.m.Segments[r.seg].Size < rebaseSlot || r.off > r.m.Segments[r.seg].Size-rebaseSlot {
			r.fail(at, "rebase of a slot outside of its segment")
			return
		}
		if r.left--; r.left < 0 {
			r.fail(at, "more rebases than the image has room for")
			return
		}
		s := &r.m.Segments[r.seg]
		if slot := r.off / rebaseSlot; r.typ == rebaseTypePointer && r.off%rebaseSlot == 0 && r.off < s.FileSize {
			bits := &r.table.slots[r.seg]
			if *bits == nil {
				*bits = make([]uint64, min(s.FileSize, uint64(len(r.m.data)))/rebaseSlot/64+1)
			}
			if slot/64 < uint64(len(*bits)) {
				(*bits)[slot/64] |= 1 << (slot % 64)
			}
		}
		r.off += rebaseSlot + skip
	}
}
