package xpc

import (
	"encoding/binary"
	"fmt"
	"runtime"

	"portcullis.dev/mach"
)

// Message ids of XPC.
const (
	idCheckIn = 0x77303074
	idMessage = 0x10000000 // a message, which may want an answer
	idReply   = 0x20000000
	idSync    = 0x40000000 // a message whose sender waits for the answer
)

// outOfLineFrom is the size from which a message goes out of line but for its header and rights.
const outOfLineFrom = 0x3fbd

const headSize = mach.HeaderSize + mach.BodySize

// outgoing is a message on its way out.
type outgoing struct {
	bytes []byte
	moved []*right    // rights that go with it
	made  []mach.Name // rights that were made for it
	keep  []Value     // must not be collected before it is sent
	room  []byte      // what it was encoded into, for the next message

	stored []extent  // memory out of line
	once   mach.Name // of an answer: the right it goes to
}

type extent struct {
	at   uint64
	size int
}

// build encodes a message into buf; its header lacks the ports.
func (p *Process) build(buf []byte, d *Dictionary, id int32) (*outgoing, error) {
	const room = headSize
	e := encoder{b: append(buf[:0], make([]byte, room)...), kernel: true}
	if err := e.graph(magicMach, d); err != nil {
		return nil, err
	}
	m := &outgoing{keep: e.beside, room: e.b}
	graph := e.b[room:]
	large := len(e.b)+len(e.beside)*mach.OOLDescriptorSize >= outOfLineFrom
	if len(e.beside) == 0 && !large {
		b := e.b[mach.BodySize:]
		h := mach.Header{Size: uint32(len(b)), ID: id}
		h.Encode(b)
		m.bytes = b
		return m, nil
	}
	n := len(e.beside)
	if large {
		n++
	}
	if n > mach.MaxPorts {
		return nil, fmt.Errorf("xpc: %d rights and large values are more than a message holds", n)
	}
	b := make([]byte, headSize, headSize+n*mach.OOLDescriptorSize+len(graph)%outOfLineFrom)
	if large {
		if len(graph) > mach.MaxBodySize {
			return nil, fmt.Errorf("xpc: a message of %d bytes is too large", len(graph))
		}
		d, err := p.outOfLine(m, graph)
		if err != nil {
			return nil, err
		}
		if _, lends := p.task.(Lender); !lends {
			m.room = nil
		}
		b = appendDescriptor(b, d)
		graph = nil
	}
	for _, v := range e.beside {
		d, err := p.describe(m, v)
		if err != nil {
			p.discard(m)
			return nil, err
		}
		b = appendDescriptor(b, d)
	}
	b = append(b, graph...)
	h := mach.Header{Bits: mach.BitsComplex, Size: uint32(len(b)), ID: id}
	h.Encode(b)
	binary.LittleEndian.PutUint32(b[mach.HeaderSize:], uint32(n))
	m.bytes = b
	return m, nil
}

func appendDescriptor(b []byte, d mach.Descriptor) []byte {
	at := len(b)
	b = append(b, make([]byte, d.Type.Size())...)
	d.Encode(b[at:])
	return b
}

func (p *Process) outOfLine(m *outgoing, b []byte) (mach.Descriptor, error) {
	address, err := p.task.Store(b)
	if err != nil {
		return mach.Descriptor{}, fmt.Errorf("xpc: %w", err)
	}
	m.stored = append(m.stored, extent{address, len(b)})
	return mach.Descriptor{Type: mach.DescriptorOOL, Address: address, Size: uint32(len(b)), Deallocate: true,
		Copy: mach.CopyVirtual}, nil
}

// describe says how a value beside a message travels.
func (p *Process) describe(m *outgoing, v Value) (d mach.Descriptor, err error) {
	port := func(r *right, how mach.Disposition) (mach.Descriptor, error) {
		if r == nil || r.p != p || r.gone.Load() {
			return d, fmt.Errorf("xpc: a value of type %v is closed or another task's", v.Type())
		}
		if how != mach.CopySend {
			m.moved = append(m.moved, r)
		}
		return mach.Descriptor{Type: mach.DescriptorPort, Disposition: how, Name: r.name}, nil
	}
	switch v := v.(type) {
	case Data:
		return p.outOfLine(m, v)
	case *SendRight:
		return port(v.r, mach.CopySend)
	case *ReceiveRight:
		return port(v.r, mach.MoveReceive)
	case *SendOnce:
		return port(v.r, mach.MoveSendOnce)
	case *Endpoint:
		return port(v.r, mach.CopySend)
	case *SharedMemory:
		return port(v.r, mach.CopySend)
	case *FD:
		t, ok := p.task.(FilePorts)
		if !ok || v.File == nil {
			return d, fmt.Errorf("xpc: this file cannot be sent from here")
		}
		name, err := t.FilePort(v.File)
		if err != nil {
			return d, fmt.Errorf("xpc: %w", err)
		}
		m.made = append(m.made, name)
		return mach.Descriptor{Type: mach.DescriptorPort, Disposition: mach.MoveSend, Name: name}, nil
	}
	return d, fmt.Errorf("xpc: a value of type %v cannot be sent", v.Type())
}

// address fills in the ports of the header.
func (m *outgoing) address(dest mach.Name, how mach.Disposition, reply mach.Name) {
	var h mach.Header
	h.Decode(m.bytes)
	local := mach.DispositionNone
	if reply != 0 {
		local = mach.MakeSendOnce
	}
	h.Bits = h.Bits&mach.BitsComplex | mach.MakeBits(how, local, 0)
	h.Remote, h.Local = dest, reply
	h.Encode(m.bytes)
}

// sent does what is left to do after a message went away.
func (m *outgoing) sent() {
	for _, r := range m.moved {
		r.spend()
	}
	runtime.KeepAlive(m.keep)
}

// discard gives up what was made for a message that was not sent and whose rights are still in the space.
func (p *Process) discard(m *outgoing) {
	for _, address := range m.stored {
		p.task.Load(address.at, address.size)
	}
	if len(m.made) == 0 {
		return
	}
	p.calls(func(th Thread) {
		for _, n := range m.made {
			th.Deallocate(n)
		}
	})
}

// failed does what is left to do after a message could not be sent. What becomes of its rights depends on how far the
// kernel got: before it took any they are still here, after it took all they come back under the names that are now in
// the buffer, and in between they are gone.
func (p *Process) failed(m *outgoing, kr mach.KernReturn) {
	if kr.SendTookNothing() {
		p.discard(m)
		return
	}
	if kr == mach.SendTimedOut || kr == mach.SendInterrupted {
		p.discardRights(parse(m.bytes))
	}
	m.sent()
}

// incoming is a message as it was received. Its bytes lie in the buffer it was received into.
type incoming struct {
	header  mach.Header
	desc    []mach.Descriptor
	body    []byte
	trailer mach.Trailer
}

// parse takes a received message apart. The kernel made it, so that its form is right.
func parse(b []byte) *incoming {
	m := &incoming{}
	m.header.Decode(b)
	size := min(int(m.header.Size), len(b))
	if size < mach.HeaderSize {
		m.header = mach.Header{}
		return m // nothing came
	}
	at := mach.HeaderSize
	if m.header.Bits&mach.BitsComplex != 0 && size >= headSize {
		n := int(binary.LittleEndian.Uint32(b[at:]))
		at += mach.BodySize
		m.desc = make([]mach.Descriptor, 0, min(n, (size-at)/mach.PortDescriptorSize))
		for range n {
			var d mach.Descriptor
			used := d.Decode(b[at:size])
			if used == 0 {
				break
			}
			m.desc = append(m.desc, d)
			at += used
		}
	}
	m.body = b[at:size]
	if end := (size + 3) &^ 3; end < len(b) {
		m.trailer.Decode(b[end:])
	}
	return m
}

// reply returns the right to answer with, 0 if none is wanted.
func (m *incoming) reply() mach.Name {
	if m.header.Bits.Remote() == mach.MoveSendOnce {
		return m.header.Remote
	}
	return 0
}

// discardRights gives up all that a message brought.
func (p *Process) discardRights(m *incoming) {
	p.calls(func(th Thread) {
		if m.header.Remote.Valid() && m.header.Bits.Remote() != 0 {
			th.Deallocate(m.header.Remote)
		}
		for i := range m.desc {
			p.discardOne(th, &m.desc[i])
		}
	})
}

func (p *Process) discardOne(th Thread, d *mach.Descriptor) {
	switch {
	case d.Type == mach.DescriptorOOL || d.Type == mach.DescriptorOOLVolatile:
		if d.Size > 0 {
			p.task.Load(d.Address, int(d.Size))
		}
	case d.Type == mach.DescriptorOOLPorts:
		b, err := p.task.Load(d.Address, 4*int(d.Size))
		for ; err == nil && len(b) >= 4; b = b[4:] {
			dropPort(th, mach.Name(binary.LittleEndian.Uint32(b)), d.Disposition)
		}
	default:
		dropPort(th, d.Name, d.Disposition)
	}
}

func dropPort(th Thread, n mach.Name, how mach.Disposition) {
	switch {
	case !n.Valid():
	case how == mach.MoveReceive:
		th.ModRefs(n, mach.RightReceive, -1)
	default:
		th.Deallocate(n)
	}
}

// dictionary decodes the message. The rights in it are the dictionary's then; if it is malformed they are given up.
func (p *Process) dictionary(m *incoming) (*Dictionary, error) {
	desc := m.desc
	graph := append([]byte(nil), m.body...)
	if len(desc) > 0 && desc[0].Type == mach.DescriptorOOL && len(m.body) == 0 {
		b, err := p.task.Load(desc[0].Address, int(desc[0].Size))
		if err != nil {
			p.giveUp(desc[1:])
			return nil, fmt.Errorf("xpc: %w", err)
		}
		graph, desc = b, desc[1:]
	}
	d := decoder{b: graph}
	d.beside = func(t Type, size uint64) (Value, error) {
		if len(desc) == 0 {
			return nil, fmt.Errorf("a value of type %v, and no descriptor is left", t)
		}
		next := desc[0]
		desc = desc[1:]
		v, err := p.adopt(&next, t, size)
		if err != nil {
			p.giveUp([]mach.Descriptor{next})
		}
		return v, err
	}
	v, err := d.graph(magicMach)
	p.giveUp(desc)
	switch dict, ok := v.(*Dictionary); {
	case err != nil:
		return nil, err
	case len(desc) > 0:
		return nil, d.fail("%d descriptors belong to nothing", len(desc))
	case !ok:
		return nil, d.fail("the message is a %v, not a dictionary", v.Type())
	default:
		return dict, nil
	}
}

func (p *Process) giveUp(desc []mach.Descriptor) {
	if len(desc) == 0 {
		return
	}
	p.calls(func(th Thread) {
		for i := range desc {
			p.discardOne(th, &desc[i])
		}
	})
}

// adopt makes a value of a descriptor.
func (p *Process) adopt(d *mach.Descriptor, t Type, size uint64) (Value, error) {
	if t == TypeData && d.Type == mach.DescriptorOOL {
		if uint64(d.Size) != size {
			return nil, fmt.Errorf("data of %d bytes in %d bytes of memory", size, d.Size)
		}
		b, err := p.task.Load(d.Address, int(d.Size))
		d.Size = 0
		return Data(b), err
	}
	want := mach.MoveSend
	switch t {
	case TypeReceiveRight:
		want = mach.MoveReceive
	case TypeSendOnce:
		want = mach.MoveSendOnce
	}
	if d.Type != mach.DescriptorPort || d.Disposition != want {
		return nil, fmt.Errorf("a value of type %v with a right that is %v", t, d.Disposition)
	}
	switch t {
	case TypeSendRight:
		return p.SendRight(d.Name), nil
	case TypeReceiveRight:
		return p.ReceiveRight(d.Name), nil
	case TypeSendOnce:
		return p.SendOnce(d.Name), nil
	case TypeEndpoint:
		return p.endpoint(d.Name), nil
	case TypeFD:
		return p.openFile(d)
	case TypeSharedMemory:
		return p.mapRegion(d, size)
	case TypeData:
		return p.mapData(d, size)
	}
	p.giveUp([]mach.Descriptor{*d})
	return Null{}, nil // connections do not travel
}

func (p *Process) openFile(d *mach.Descriptor) (Value, error) {
	t, ok := p.task.(FilePorts)
	if !ok {
		return nil, fmt.Errorf("files cannot be received here")
	}
	f, err := t.OpenFilePort(d.Name)
	if err != nil {
		return nil, err
	}
	p.giveUp([]mach.Descriptor{*d})
	return &FD{f}, nil
}

func (p *Process) mapRegion(d *mach.Descriptor, size uint64) (Value, error) {
	t, ok := p.task.(Regions)
	if !ok {
		return nil, fmt.Errorf("shared memory cannot be received here")
	}
	mem, err := t.MapRegion(d.Name)
	if err != nil {
		return nil, err
	}
	if uint64(len(mem)) < size {
		t.UnmapRegion(mem)
		return nil, fmt.Errorf("shared memory of %d bytes in %d", size, len(mem))
	}
	return p.shared(mem, d.Name), nil
}

// mapData takes the bytes of large data from a memory entry, as Apple's libraries send it.
func (p *Process) mapData(d *mach.Descriptor, size uint64) (Value, error) {
	t, ok := p.task.(Regions)
	if !ok {
		return nil, fmt.Errorf("shared memory cannot be received here")
	}
	mem, err := t.MapRegion(d.Name)
	if err != nil {
		return nil, err
	}
	defer t.UnmapRegion(mem)
	if uint64(len(mem)) < size {
		return nil, fmt.Errorf("data of %d bytes in %d bytes of memory", size, len(mem))
	}
	b := append(Data(nil), mem[:size]...) // the sender may still write to it
	p.giveUp([]mach.Descriptor{*d})
	return b, nil
}
