package model

import (
	"slices"

	"portcullis.dev/mach"
)

// DescriptorKind says what a descriptor carries.
type DescriptorKind uint8

const (
	PortDescriptor DescriptorKind = iota
	MemoryDescriptor
	PortsDescriptor // an out-of-line array of rights
)

// Size returns the bytes of a descriptor.
func (k DescriptorKind) Size() int {
	if k == PortDescriptor {
		return mach.PortDescriptorSize
	}
	return mach.OOLDescriptorSize
}

// Descriptor is one or, for an inline array of rights, several descriptors of an argument.
type Descriptor struct {
	Arg    *Arg
	Kind   DescriptorKind
	N      int // descriptors
	Offset int // of the first, in the message
	Index  int // of the first among the descriptors of the message
}

// ItemKind says what an item of the body is.
type ItemKind uint8

const (
	RetCodeItem ItemKind = iota // the return code of a simple reply
	DataItem                    // a value of fixed size
	CountItem                   // how many elements an argument has
	RoomItem                    // CountInOut, in the request: how many the client has room for
	VarItem                     // the elements of a variable array
	OffsetItem                  // of a variable string: 0
	LengthItem                  // of a variable string: bytes with the NUL
	StringItem                  // of a variable string: the bytes
)

// Item is a piece of the body after the NDR record.
type Item struct {
	Kind   ItemKind
	Arg    *Arg // nil for the return code
	Name   string
	Offset int // in the message, where every variable item before it is as long as it can be
	Size   int // bytes; the most, for variable items
}

// Padded returns the room that the item takes.
func (i *Item) Padded() int { return (i.Size + 3) &^ 3 }

// Variable says that the item takes as much room as it needs.
func (i *Item) Variable() bool { return i.Kind == VarItem || i.Kind == StringItem }

// NDRSize is the size of the record that says how data is encoded.
const NDRSize = 8

// ErrorReplySize is the size of a reply that says nothing but an error: header, NDR record, code.
const ErrorReplySize = mach.HeaderSize + NDRSize + 4

// Message is the layout of a request or reply.
type Message struct {
	ID          int32
	Descriptors []Descriptor
	Count       int // of single descriptors
	NDR         bool
	NDROffset   int
	Items       []Item
	Min, Max    int // bytes
}

// Complex says that the message carries descriptors.
func (m *Message) Complex() bool { return len(m.Descriptors) > 0 }

// Variable says that the size of the message is known at run time alone.
func (m *Message) Variable() bool { return m.Min != m.Max }

// Offset returns where the item of an argument lies, -1 if the message has none of the kind.
func (m *Message) Offset(a *Arg, k ItemKind) int {
	for _, i := range m.Items {
		if i.Arg == a && i.Kind == k {
			return i.Offset
		}
	}
	return -1
}

// layout lays out both messages of a routine.
func (r *Routine) layout() {
	r.Request.ID = r.ID
	r.Reply.ID = r.ID + mach.ReplyOffset
	for _, a := range r.Args {
		if a.Direction.Sent() {
			r.Request.describe(a)
		}
		if a.Direction.Returned() {
			r.Reply.describe(a)
		}
	}
	if r.RetCode != nil && !r.Request.Complex() {
		r.Request.add(DataItem, r.RetCode, r.RetCode.Name, 4)
	}
	if !r.Reply.Complex() {
		r.Reply.add(RetCodeItem, nil, "RetCode", 4)
	}
	for _, a := range r.Args {
		if a.Direction.Sent() && !a.RetCode {
			r.Request.body(a)
		}
		if a.Direction.Returned() {
			r.Reply.body(a)
		}
		if a.CountInOut {
			r.Request.add(RoomItem, a, a.Name+"Cnt", 4)
		}
	}
	r.Request.place()
	r.Reply.place()
}

// describe adds the descriptors that an argument needs.
func (m *Message) describe(a *Arg) {
	t := a.Type
	d := Descriptor{Arg: a, N: 1}
	switch {
	case t.OutOfLine && t.IsPort():
		d.Kind = PortsDescriptor
	case t.OutOfLine:
		d.Kind = MemoryDescriptor
	case t.Scattered():
		d.Kind, d.N = MemoryDescriptor, t.Count
		if t.IsPort() {
			d.Kind = PortsDescriptor
		}
	case t.IsPort() && t.Shape == Scalar:
	case t.IsPort():
		d.N = t.ports()
	default:
		return
	}
	m.Descriptors = append(m.Descriptors, d)
}

// ports returns how many rights an inline array of rights, or of arrays of them, carries.
func (t *Type) ports() int {
	if t.Elem == nil {
		return 1
	}
	return t.Count * t.Elem.ports()
}

// body adds what an argument has in the body.
func (m *Message) body(a *Arg) {
	t := a.Type
	if t.OutOfLine || t.IsPort() || t.Scattered() {
		if a.Counted() {
			m.add(CountItem, a, a.Name+"Cnt", 4)
		}
		return
	}
	switch t.Shape {
	case VarArray:
		if a.Counted() {
			m.add(CountItem, a, a.Name+"Cnt", 4)
		}
		m.add(VarItem, a, a.Name, t.Size())
	case VarString:
		m.add(OffsetItem, a, a.Name+"Offset", 4)
		m.add(LengthItem, a, a.Name+"Cnt", 4)
		m.add(StringItem, a, a.Name, t.Size())
	default:
		m.add(DataItem, a, a.Name, t.Size())
	}
}

func (m *Message) add(k ItemKind, a *Arg, name string, size int) {
	m.Items = append(m.Items, Item{Kind: k, Arg: a, Name: name, Size: size})
}

// place gives everything its offset.
func (m *Message) place() {
	at := mach.HeaderSize
	if m.Complex() {
		at += mach.BodySize
		for i := range m.Descriptors {
			d := &m.Descriptors[i]
			d.Offset, d.Index = at, m.Count
			at += d.N * d.Kind.Size()
			m.Count += d.N
		}
	}
	// Memory out of line is data, too, even where its size goes without saying.
	m.NDR = len(m.Items) > 0 || slices.ContainsFunc(m.Descriptors, func(d Descriptor) bool {
		return d.Kind == MemoryDescriptor
	})
	if m.NDR {
		m.NDROffset = at
		at += NDRSize
	}
	m.Min = at
	for i := range m.Items {
		it := &m.Items[i]
		it.Offset = at
		at += it.Padded()
		if !it.Variable() {
			m.Min += it.Padded()
		}
	}
	m.Max = at
}
