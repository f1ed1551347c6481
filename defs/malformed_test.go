package defs_test

import (
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"portcullis.dev/mach"
	"portcullis.dev/mig/model"
	"portcullis.dev/mig/rpc"
)

// damage is a way to spoil a message; it returns nil where the message has nothing to spoil that way.
type damage struct {
	name string
	do   func(rnd *rand.Rand, b []byte, m *model.Message) []byte
	want []mach.KernReturn // the codes of a server; none for any that both languages agree on
}

var le = binary.LittleEndian

func setSize(b []byte) []byte {
	le.PutUint32(b[4:], uint32(len(b)))
	return b
}

// variableLast says that a longer or shorter message may be a good one.
var badSize = []mach.KernReturn{mach.MigBadArguments}

var damages = []damage{
	{"none", func(_ *rand.Rand, b []byte, _ *model.Message) []byte { return b }, nil},
	{"short", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		if !m.NDR {
			return nil
		}
		return setSize(b[:len(b)-4])
	}, badSize},
	{"long", func(_ *rand.Rand, b []byte, m *model.Message) []byte { return setSize(append(b, 0, 0, 0, 0)) }, badSize},
	{"much too long", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		return setSize(append(b, make([]byte, 6000)...))
	}, badSize},
	{"simple", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		if !m.Complex() {
			return nil
		}
		b[3] &^= 0x80
		return b
	}, badSize},
	{"complex", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		if m.Complex() {
			return nil
		}
		b[3] |= 0x80
		return setSize(slices.Insert(b, mach.HeaderSize, 0, 0, 0, 0)) // no descriptors
	}, badSize},
	{"a descriptor more", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		if !m.Complex() {
			return nil
		}
		le.PutUint32(b[mach.HeaderSize:], uint32(m.Count+1))
		more := make([]byte, mach.PortDescriptorSize)
		le.PutUint32(more, 0x3303)
		more[10] = byte(mach.MoveSend)
		at := m.Descriptors[0].Offset
		return setSize(slices.Insert(b, at, more...))
	}, badSize},
	{"a descriptor less", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		if !m.Complex() {
			return nil
		}
		le.PutUint32(b[mach.HeaderSize:], uint32(m.Count-1))
		return b
	}, badSize},
	{"another disposition", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		for _, d := range m.Descriptors {
			if d.Kind == model.PortDescriptor && d.Arg.Type.Out != model.Polymorphic {
				b[d.Offset+10] = byte(mach.MoveReceive)
				if d.Arg.Type.Out == int32(mach.MoveReceive) {
					b[d.Offset+10] = byte(mach.MoveSend)
				}
				return b
			}
		}
		return nil
	}, []mach.KernReturn{mach.MigTypeError}},
	{"dispositions that differ", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		for _, d := range m.Descriptors {
			if d.Kind == model.PortDescriptor && d.N > 1 {
				b[d.Offset+mach.PortDescriptorSize+10] = byte(mach.MoveReceive)
				return b
			}
		}
		return nil
	}, []mach.KernReturn{mach.MigTypeError}},
	{"another type", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		for _, d := range m.Descriptors {
			if d.Kind == model.MemoryDescriptor {
				b[d.Offset+11] = byte(mach.DescriptorOOLPorts)
				b[d.Offset+10] = byte(mach.MoveSend)
				le.PutUint32(b[d.Offset+12:], le.Uint32(b[d.Offset+12:])/4)
				return b
			}
		}
		return nil
	}, []mach.KernReturn{mach.MigTypeError}},
	{"big-endian", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		if !m.NDR {
			return nil
		}
		b[m.NDROffset+4] = 0
		return b
	}, []mach.KernReturn{mach.MigTypeError}},
	{"EBCDIC", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		if !m.NDR {
			return nil
		}
		b[m.NDROffset+5] = 1
		return b
	}, []mach.KernReturn{mach.MigTypeError}},
	{"VAX floating point", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		if !m.NDR {
			return nil
		}
		b[m.NDROffset+6] = 1
		return b
	}, []mach.KernReturn{mach.MigTypeError}},
	{"count over the limit", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		for _, it := range m.Items {
			if it.Kind == model.CountItem && it.Arg.Type.Count > 0 {
				le.PutUint32(b[it.Offset:], uint32(it.Arg.Type.Count+1))
				return b
			}
			if it.Variable() {
				return nil // what follows lies somewhere else
			}
		}
		return nil
	}, badSize},
	{"count beyond the message", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		for _, it := range m.Items {
			if it.Kind == model.CountItem || it.Kind == model.LengthItem {
				le.PutUint32(b[it.Offset:], 0xfffffff0)
				return b
			}
			if it.Variable() {
				return nil
			}
		}
		return nil
	}, badSize},
	{"string without end", func(_ *rand.Rand, b []byte, m *model.Message) []byte {
		for _, it := range m.Items {
			if it.Kind == model.DataItem && it.Arg.Type.Shape == model.String {
				for i := range it.Size {
					b[it.Offset+i] = 'x'
				}
				return b
			}
			if it.Variable() {
				return nil
			}
		}
		return nil
	}, badSize},
	{"random body", func(rnd *rand.Rand, b []byte, m *model.Message) []byte {
		if !m.NDR {
			return nil
		}
		for range 1 + rnd.IntN(4) {
			b[m.NDROffset+rnd.IntN(len(b)-m.NDROffset)] = byte(rnd.Uint32())
		}
		return b
	}, nil},
}

// damagedReply are the codes of a client for what a server calls bad arguments.
func ofReply(want []mach.KernReturn) []mach.KernReturn {
	if want == nil {
		return nil
	}
	return []mach.KernReturn{mach.MigTypeError}
}

// rights counts the rights that a message brings.
func rights(m *rpc.Message[mach.Name]) (n int) {
	for _, it := range m.Items {
		for _, p := range append([]mach.Name{it.Port}, it.Ports...) {
			if p != 0 {
				n++
			}
		}
	}
	return n
}

// TestMalformedRequests spoils requests in every way above. The Go server and the C server must refuse with the same
// code, the one of Apple's stubs, without calling the function; every right of a refused request must be destroyed.
func TestMalformedRequests(t *testing.T) {
	for _, i := range all(t) {
		t.Run(i.Name, func(t *testing.T) {
			_, path := build(t, i)
			c := start(t, path)
			rnd := random64(i)
			for _, r := range i.Routines() {
				for _, d := range damages {
					for range 3 {
						x := newExchange(t, rnd, i, r)
						x.kr = 5
						x.call()
						b := d.do(rnd, append([]byte(nil), x.request...), &r.Request)
						if b == nil {
							continue
						}
						x.damaged, x.served = true, false
						x.refused(d, c, withTrailer(answerable(deliver(b))))
					}
				}
			}
		})
	}
}

// answerable gives a received request a right to answer with, which simpleroutines have not.
func answerable(b []byte) []byte {
	var h mach.Header
	h.Decode(b)
	h.Remote = replyPort
	h.Bits = mach.MakeBits(mach.MoveSendOnce, h.Bits.Local(), 0) | h.Bits&mach.BitsComplex
	h.Encode(b)
	return b
}

// refused serves a request as received with both servers.
func (x *exchange) refused(d damage, c *program, b []byte) {
	defer x.recovered()
	m, err := rpc.Decode(b, x.mem)
	if err != nil {
		x.t.Fatalf("%s, %s: %v", x.r.Name, d.name, err)
	}
	n := rights(m)
	rep, kr := x.row.serve(x.server(), m)
	x.freed = 0
	rpc.Answer(x, m, rep, kr)
	if x.freed != n {
		x.t.Errorf("%s, %s: %d of %d rights were destroyed", x.r.Name, d.name, x.freed, n)
	}
	if d.want != nil && (!slices.Contains(d.want, kr) || x.served) {
		x.t.Errorf("%s, %s: code %v, want one of %v", x.r.Name, d.name, kr, d.want)
	}
	c.in.WriteByte('M')
	c.answer(b, x.mem)
	called := false
	if l := c.letter(); l == 'C' {
		called = true
		x.skipCall(c)
		c.putU32(uint32(x.kr))
		c.letter()
	}
	reply := c.message(x.mem)
	if gone := c.done(); kr != 0 && gone != uint32(n) {
		x.t.Errorf("%s, %s: the C server destroyed %d of %d rights", x.r.Name, d.name, gone, n)
	}
	if got := mach.KernReturn(int32(le.Uint32(reply[model.ErrorReplySize-4:]))); got != kr || called != x.served {
		x.t.Errorf("%s, %s: the C server's code is %v (called: %v), the Go server's %v (called: %v)", x.r.Name, d.name, got,
			called, kr, x.served)
	}
	if len(reply) != model.ErrorReplySize {
		x.t.Errorf("%s, %s: error reply of %d bytes", x.r.Name, d.name, len(reply))
	}
}

// skipCall reads what a C server tells of a call.
func (x *exchange) skipCall(c *program) {
	c.u32()
	for _, q := range x.r.ServerParams() {
		switch {
		case q.Role == model.Value && (q.Arg.Direction == model.RequestPort || q.Arg.Direction.Sent()):
			c.blob()
		case q.Role == model.Count && q.Arg.CountInOut:
			c.u32()
		}
	}
}

// TestMalformedReplies spoils replies. The Go client and the C client must refuse with the same code, and destroy what
// the reply brought.
func TestMalformedReplies(t *testing.T) {
	for _, i := range all(t) {
		t.Run(i.Name, func(t *testing.T) {
			path, _ := build(t, i)
			c := start(t, path)
			rnd := random64(i)
			for _, r := range i.Routines() {
				if r.Simple {
					continue
				}
				for _, d := range damages {
					for range 3 {
						x := newExchange(t, rnd, i, r)
						x.kr = 0
						x.call()
						b := d.do(rnd, append([]byte(nil), x.reply...), &r.Reply)
						if b == nil {
							continue
						}
						x.damaged = true
						x.refusedReply(d.name, ofReply(d.want), c, b)
					}
				}
				x := newExchange(t, rnd, i, r)
				x.kr = 0
				x.call()
				x.damaged = true
				b := append([]byte(nil), x.reply...)
				le.PutUint32(b[20:], uint32(r.Reply.ID+1))
				x.refusedReply("wrong id", []mach.KernReturn{mach.MigReplyMismatch}, c, b)
				b = append([]byte(nil), x.reply...)
				le.PutUint32(b[20:], uint32(mach.NotifySendOnce))
				x.refusedReply("server died", []mach.KernReturn{mach.MigServerDied}, c, b)
			}
			c.putU32(0)
		})
	}
}

// refusedReply gives a reply to both clients.
func (x *exchange) refusedReply(name string, want []mach.KernReturn, c *program, b []byte) {
	defer x.recovered()
	m, err := rpc.Decode(deliver(b), x.mem)
	if err != nil {
		x.t.Fatalf("%s, %s: %v", x.r.Name, name, err)
	}
	kr, freed := x.code(b)
	if want != nil && !slices.Contains(want, kr) {
		x.t.Errorf("%s, %s: code %v, want one of %v", x.r.Name, name, kr, want)
	}
	if kr != 0 && kr != mach.MigArrayTooLarge && freed != rights(m) {
		x.t.Errorf("%s, %s: %d of %d rights were destroyed", x.r.Name, name, freed, rights(m))
	}
	y := *x
	y.reply = b
	got, messages, gone := y.codeC(c)
	if got == mach.RcvTooLarge && len(b) > x.r.Reply.Max {
		if kr != mach.MigTypeError || messages != 0 { // the kernel has destroyed it
			x.t.Errorf("%s, %s: the Go client's code is %v; the C client destroyed %d messages", x.r.Name, name, kr, messages)
		}
		return
	}
	if got != kr {
		x.t.Errorf("%s, %s: the C client's code is %v, the Go client's %v", x.r.Name, name, got, kr)
	}
	refused := uint32(0)
	if got != 0 && got != mach.MigArrayTooLarge {
		refused = 1
	}
	if messages != refused || gone != refused*uint32(rights(m)) {
		x.t.Errorf("%s, %s: code %v, %d messages and %d of %d rights destroyed", x.r.Name, name, got, messages, gone,
			rights(m))
	}
}

// code returns what the Go client makes of a reply.
func (x *exchange) code(b []byte) (mach.KernReturn, int) {
	y := *x
	y.freed = 0
	y.wire = func([]byte) []byte { return b }
	f := reflect.ValueOf(y.row.clients[y.r.Name])
	results := f.Call(y.arguments(f, func(*model.Arg) uint32 { return 1 << 20 }))
	return results[len(results)-1].Interface().(mach.KernReturn), y.freed
}

// codeC returns what the C client makes of the reply in x.
func (x *exchange) codeC(c *program) (kr mach.KernReturn, messages, rights uint32) {
	c.putU32(uint32(x.r.ID))
	for _, q := range x.r.UserParams() {
		a := q.Arg
		switch {
		case q.Role == model.Disposition && a.Direction != model.Out:
			c.putU32(uint32(chosen(a)))
		case q.Role == model.Count && a.CountInOut:
			c.putU32(1 << 20)
		case q.Role == model.Value && a.Direction == model.RequestPort:
			c.putBlob(le.AppendUint32(nil, uint32(destination)))
		case q.Role == model.Value && a.Direction.Sent():
			c.putBlob(x.in[a])
		}
	}
	c.letter()
	c.message(x.mem)
	c.answer(x.trailed(deliver(x.reply)), x.mem)
	c.letter()
	kr, messages, rights = mach.KernReturn(int32(c.u32())), c.u32(), c.u32()
	if kr == 0 {
		for _, a := range x.r.Args {
			if a.Direction.Returned() || fromTrailer(a) {
				c.blob()
			}
		}
	}
	return kr, messages, rights
}
