package macho

// Bind and rebase opcodes are bytes of an opcode and an immediate, each with what the opcode takes behind it
// (mach-o/loader.h).
const (
	opcodeMask    = 0xf0
	immediateMask = 0x0f
)

// opcodes reads a stream of bind or rebase opcodes. The first problem is told, and ends the stream.
type opcodes struct {
	m    *Image
	kind string // "bind" or "rebase"
	off  uint64 // of the stream, in the image's file
	b    []byte
	pos  int // of what comes next
	at   int // of the opcode that is being read
	bad  bool
}

func (m *Image) opcodes(kind string, off uint64, b []byte) opcodes {
	return opcodes{m: m, kind: kind, off: off, b: b}
}

// next reads an opcode; ok is false at the end of the stream and after a problem.
func (o *opcodes) next() (op, imm byte, ok bool) {
	if o.bad || o.pos >= len(o.b) {
		return 0, 0, false
	}
	o.at = o.pos
	o.pos++
	return o.b[o.at] & opcodeMask, o.b[o.at] & immediateMask, true
}

func (o *opcodes) fail(format string, args ...any) {
	if !o.bad {
		o.m.problem(o.off+uint64(o.at), format, args...)
		o.bad = true
	}
}

func (o *opcodes) unknown() { o.fail("%s opcode %#x is not known", o.kind, o.b[o.at]) }

// advance passes over a number of n bytes.
func (o *opcodes) advance(n int) {
	if n == 0 {
		o.fail("%s opcode %#x with a number that is cut short or too large", o.kind, o.b[o.at])
	}
	o.pos += n
}

// uleb reads the opcode's number; 0 where there is none.
func (o *opcodes) uleb() uint64 {
	v, n := uleb(o.b[o.pos:])
	o.advance(n)
	return v
}

// sleb reads the opcode's signed number; 0 where there is none.
func (o *opcodes) sleb() int64 {
	v, n := sleb(o.b[o.pos:])
	o.advance(n)
	return v
}

// name passes over the opcode's name and returns where it begins in the stream.
func (o *opcodes) name() uint32 {
	begins := uint32(o.pos)
	name := cstring(o.b, uint64(o.pos))
	if name == nil {
		o.fail("%s opcode with a name that has no end", o.kind)
		return begins
	}
	o.pos += len(name) + 1
	return begins
}

// segment returns the segment of an opcode that sets it; nil where the image has none of that number.
func (o *opcodes) segment(index byte) *Segment {
	if int(index) >= len(o.m.Segments) {
		o.fail("%s opcode for segment %d of %d", o.kind, index, len(o.m.Segments))
		return nil
	}
	return &o.m.Segments[index]
}
