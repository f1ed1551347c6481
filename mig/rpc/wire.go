package rpc

import (
	"errors"
	"fmt"

	"portcullis.dev/mach"
)

// Memory is where out-of-line memory lies, for messages as bytes.
type Memory interface {
	// Load returns a copy of memory.
	Load(address uint64, size int) ([]byte, error)
	// Store puts bytes into fresh memory and returns its address.
	Store([]byte) (uint64, error)
}

// Encode writes a message of a task as bytes, as mach_msg takes it. Out-of-line memory is stored in mem.
func Encode(m *Message[mach.Name], mem Memory) ([]byte, error) {
	size := mach.HeaderSize + len(m.Body)
	if m.Complex {
		size += mach.BodySize
		for i := range m.Items {
			size += m.Items[i].Type.Size()
		}
	}
	h := mach.Header{Bits: mach.MakeBits(m.DestDisposition, m.ReplyDisposition, 0), Size: uint32(size), Remote: m.Dest,
		Local: m.Reply, ID: m.ID}
	b := make([]byte, size)
	at := mach.HeaderSize
	if m.Complex {
		h.Bits |= mach.BitsComplex
		le.PutUint32(b[at:], uint32(len(m.Items)))
		at += mach.BodySize
		for i := range m.Items {
			d, err := encodeItem(&m.Items[i], mem)
			if err != nil {
				return nil, err
			}
			at += d.Encode(b[at:])
		}
	}
	h.Encode(b)
	copy(b[at:], m.Body)
	return b, nil
}

func encodeItem(it *Item[mach.Name], mem Memory) (d mach.Descriptor, err error) {
	d = mach.Descriptor{Type: it.Type, Disposition: it.Disposition, Copy: it.Copy, Deallocate: it.Deallocate,
		Flags: it.Flags, Name: it.Port, Size: it.Size}
	data := it.Data
	if it.Type == mach.DescriptorOOLPorts {
		data = make([]byte, 0, 4*len(it.Ports))
		for _, p := range it.Ports {
			data = le.AppendUint32(data, uint32(p))
		}
	}
	if len(data) > 0 {
		d.Address, err = mem.Store(data)
	}
	return d, err
}

// errShort is the error for a message that ends before it should.
var errShort = errors.New("message is too short")

// Decode reads a received message from its bytes, which may have a trailer behind them. Out-of-line memory is loaded
// from mem.
func Decode(b []byte, mem Memory) (*Message[mach.Name], error) {
	var h mach.Header
	if !h.Decode(b) || h.Size < mach.HeaderSize || int64(h.Size) > int64(len(b)) {
		return nil, errShort
	}
	m := &Message[mach.Name]{ID: h.ID, Dest: h.Local, DestDisposition: h.Bits.Local(), Reply: h.Remote,
		ReplyDisposition: h.Bits.Remote(), Complex: h.Bits&mach.BitsComplex != 0}
	end := int(h.Size+3) &^ 3
	if len(b) > end {
		if n := m.Trailer.Decode(b[end:]); n >= 20 {
			m.Elements = map[int]uint32{20: mach.TrailerSender, 52: mach.TrailerAudit, 60: mach.TrailerCtx}[n]
			if n > 60 {
				m.Elements = mach.TrailerAV
			}
		} else if n >= 12 {
			m.Elements = mach.TrailerSeqno
		}
	}
	b = b[mach.HeaderSize:h.Size]
	if m.Complex {
		if len(b) < mach.BodySize {
			return nil, errShort
		}
		n := le.Uint32(b)
		b = b[mach.BodySize:]
		if uint64(n)*mach.PortDescriptorSize > uint64(len(b)) {
			return nil, errShort
		}
		for i := range n {
			it, size, err := decodeItem(b, mem)
			if err != nil {
				return nil, fmt.Errorf("descriptor %d: %w", i, err)
			}
			m.Items = append(m.Items, it)
			b = b[size:]
		}
	}
	m.Body = b
	return m, nil
}

func decodeItem(b []byte, mem Memory) (it Item[mach.Name], size int, err error) {
	var d mach.Descriptor
	if size = d.Decode(b); size == 0 {
		return it, 0, errShort
	}
	it = Item[mach.Name]{Type: d.Type, Disposition: d.Disposition, Copy: d.Copy, Deallocate: d.Deallocate,
		Flags: d.Flags, Port: d.Name, Size: d.Size}
	switch d.Type {
	case mach.DescriptorOOL, mach.DescriptorOOLVolatile:
		if d.Size > 0 {
			it.Data, err = mem.Load(d.Address, int(d.Size))
		}
	case mach.DescriptorOOLPorts:
		var data []byte
		if d.Size > 0 {
			data, err = mem.Load(d.Address, 4*int(d.Size))
		}
		for ; len(data) >= 4; data = data[4:] {
			it.Ports = append(it.Ports, mach.Name(le.Uint32(data)))
		}
	}
	return it, size, err
}
