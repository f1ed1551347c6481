package client

import (
	"encoding/binary"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// Caller makes calls in the name of one thread, one at a time. The zero value of its unexported fields is ready.
type Caller struct {
	Thread *ipc.Thread
	Memory *Memory // of the thread's task
	// Kind says what destinations are meant: [mach.SendKobjectCall] for the kernel's objects, [mach.SendMQCall] for
	// ports of tasks.
	Kind mach.Option

	reply  mach.Name // a reply port of its own
	buffer []byte
	send   []byte
	args   ipc.Args
	lent   []uint64 // addresses of the memory of the request; gone if it was sent
}

var _ rpc.Caller[mach.Name] = (*Caller)(nil)

// firstBuffer is room for most replies; larger ones are asked for again.
const firstBuffer = 1 << 10

// Reply returns the caller's reply port, made when first asked for; 0 if there is no room.
func (c *Caller) Reply() mach.Name {
	if c.reply == 0 {
		c.reply, _ = c.Thread.Space().Construct(c.Thread, &ipc.ConstructOptions{Flags: mach.ReplyPort})
	}
	return c.reply
}

// Close gives the reply port up.
func (c *Caller) Close() {
	if c.reply != 0 {
		c.Thread.Space().Destruct(c.Thread, c.reply, 0, 0)
		c.reply = 0
	}
}

// Destroy implements [rpc.Destroyer].
func (c *Caller) Destroy(p mach.Name, d mach.Disposition) {
	s := c.Thread.Space()
	if d == mach.MoveReceive {
		s.ModRefs(c.Thread, p, mach.RightReceive, -1)
		return
	}
	s.Deallocate(c.Thread, p)
}

// Call implements [rpc.Caller].
func (c *Caller) Call(req *rpc.Message[mach.Name], o *rpc.Options) (*rpc.Message[mach.Name], mach.KernReturn) {
	from := req.Reply
	if !o.OwnReply {
		if from = c.Reply(); from == 0 {
			return nil, mach.KernResourceShortage
		}
		req.Reply, req.ReplyDisposition = from, mach.MakeSendOnce
		defer func() { req.Reply, req.ReplyDisposition = 0, 0 }()
	}
	if c.buffer == nil {
		c.buffer = make([]byte, firstBuffer)
	}
	a := c.arguments(req, o)
	a.Options |= mach.RcvMsg | mach.RcvLarge | mach.Option(o.Trailer)<<24
	a.Receive, a.Buffer = from, c.buffer
	if o.Timed {
		a.Options |= mach.RcvTimeout
	}
	kr := c.Thread.Msg2(a)
	c.takeBack()
	for kr == mach.RcvTooLarge || kr == mach.RcvInterrupted {
		if kr == mach.RcvTooLarge {
			c.buffer = make([]byte, int(binary.LittleEndian.Uint32(c.buffer[4:]))+mach.MaxTrailerSize)
			a.Buffer = c.buffer
		}
		a.Options &^= mach.SendMsg | mach.SendTimeout
		kr = c.Thread.Msg2(a)
	}
	if kr != 0 {
		return nil, kr
	}
	return c.decode(c.buffer, o.Trailer), 0
}

// Send implements [rpc.Caller].
func (c *Caller) Send(req *rpc.Message[mach.Name], o *rpc.Options) mach.KernReturn {
	kr := c.Thread.Msg2(c.arguments(req, o))
	c.takeBack()
	return kr
}

// takeBack removes memory of a request that was not sent.
func (c *Caller) takeBack() {
	for _, at := range c.lent {
		c.Memory.Take(at)
	}
	c.lent = c.lent[:0]
}

// lend gives memory of a request an address.
func (c *Caller) lend(b []byte) uint64 {
	at := c.Memory.Put(b)
	c.lent = append(c.lent, at)
	return at
}

// arguments encodes a request.
func (c *Caller) arguments(req *rpc.Message[mach.Name], o *rpc.Options) *ipc.Args {
	c.send = c.encode(c.send[:0], req)
	c.args = ipc.Args{Options: mach.SendMsg | c.Kind | o.Extra, Send: c.send, Timeout: o.Timeout}
	if o.Timed || o.SendTimed {
		c.args.Options |= mach.SendTimeout
	}
	return &c.args
}

func (c *Caller) encode(b []byte, m *rpc.Message[mach.Name]) []byte {
	h := mach.Header{Bits: mach.MakeBits(m.DestDisposition, m.ReplyDisposition, 0), Remote: m.Dest, Local: m.Reply,
		ID: m.ID}
	if m.Complex {
		h.Bits |= mach.BitsComplex
	}
	b = append(b, make([]byte, mach.HeaderSize)...)
	if m.Complex {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(m.Items)))
	}
	for i := range m.Items {
		it := &m.Items[i]
		d := mach.Descriptor{Type: it.Type, Disposition: it.Disposition, Copy: it.Copy, Deallocate: it.Deallocate,
			Flags: it.Flags, Name: it.Port, Size: it.Size}
		switch {
		case it.Type == mach.DescriptorOOLPorts && len(it.Ports) > 0:
			var names []byte
			for _, p := range it.Ports {
				names = binary.LittleEndian.AppendUint32(names, uint32(p))
			}
			d.Address, d.Deallocate = c.lend(names), true
		case len(it.Data) > 0: // the message gets a copy of the caller's slice, under an address that it gives up
			d.Address, d.Deallocate = c.lend(append([]byte(nil), it.Data...)), true
		}
		var buf [mach.OOLDescriptorSize]byte
		b = append(b, buf[:d.Encode(buf[:])]...)
	}
	b = append(b, m.Body...)
	h.Size = uint32(len(b))
	h.Encode(b)
	return b
}

// decode reads a message that was received. Memory and names are the caller's; the body is a copy.
func (c *Caller) decode(b []byte, trailer uint32) *rpc.Message[mach.Name] {
	var h mach.Header
	h.Decode(b)
	m := &rpc.Message[mach.Name]{ID: h.ID, Dest: h.Local, Reply: h.Remote, DestDisposition: h.Bits.Local(),
		ReplyDisposition: h.Bits.Remote(), Complex: h.Bits&mach.BitsComplex != 0}
	n := mach.HeaderSize
	if m.Complex {
		m.Items = make([]rpc.Item[mach.Name], binary.LittleEndian.Uint32(b[n:]))
		n += mach.BodySize
	}
	for i := range m.Items {
		var d mach.Descriptor
		n += d.Decode(b[n:])
		it := &m.Items[i]
		*it = rpc.Item[mach.Name]{Type: d.Type, Disposition: d.Disposition, Copy: d.Copy, Deallocate: d.Deallocate,
			Flags: d.Flags, Port: d.Name, Size: d.Size}
		switch d.Type {
		case mach.DescriptorOOL, mach.DescriptorOOLVolatile:
			it.Data = c.Memory.Take(d.Address)
		case mach.DescriptorOOLPorts:
			names := c.Memory.Take(d.Address)
			for j := 0; j+4 <= len(names); j += 4 {
				it.Ports = append(it.Ports, mach.Name(binary.LittleEndian.Uint32(names[j:])))
			}
		}
	}
	m.Body = append([]byte(nil), b[n:h.Size]...)
	m.Trailer.Decode(b[(h.Size+3)&^3:])
	m.Elements = trailer
	return m
}
