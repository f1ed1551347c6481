// Package rpc is what generated Go clients and servers run on: messages in an open form, the checks that both sides owe
// each other, and who destroys which right when something is wrong.
//
// The open form is the same for a task, whose ports are names, and for the kernel, whose ports are objects: the type
// parameter P is the port. Its zero value is no port.
//
// # Who owns the rights of a message
//
// The kernel moves rights from the sender into the message and from there to the receiver. A server's function that
// returns success has taken what it was given. When it returns an error, or is never called because the request is
// malformed, [Answer] destroys what the request brought. A client owns what a good reply brings; what a bad one brings
// is destroyed before the client sees the error.
package rpc

import "portcullis.dev/mach"

// Item is a descriptor in its open form. It has the fields of the kernel's own in their order, so that one converts to
// the other.
type Item[P any] struct {
	Type        mach.DescriptorType
	Disposition mach.Disposition
	Copy        mach.CopyOption
	Deallocate  bool
	Flags       mach.GuardedFlags
	Port        P
	Ports       []P
	Data        []byte
	Size        uint32 // out of line: bytes, or ports of an array
}

// Message is a message in its open form.
type Message[P comparable] struct {
	ID int32

	// A sender's Dest is where the message goes, and Reply where the answer is expected. A receiver finds in Dest the
	// port that the message came to, and in Reply the right to answer with.
	Dest, Reply                       P
	DestDisposition, ReplyDisposition mach.Disposition

	Complex bool
	Items   []Item[P]
	Body    []byte // NDR record and data

	Trailer  mach.Trailer
	Elements uint32 // of the trailer that were received
}

// Right is a right with the disposition that the interface leaves open.
type Right[P any] struct {
	Port        P
	Disposition mach.Disposition
}

// Rights is an array of rights with the disposition that the interface leaves open.
type Rights[P any] struct {
	Ports       []P
	Disposition mach.Disposition
}

// Destroyer destroys a right that nobody wants: it gives up what moving it would have given away. Dispositions that
// take nothing from the sender (copied and made rights) are never passed.
type Destroyer[P any] interface {
	Destroy(port P, d mach.Disposition)
}

// Destroy destroys the rights in the descriptors and drops the memory. The message has no descriptors then.
func (m *Message[P]) Destroy(d Destroyer[P]) {
	for i := range m.Items {
		it := &m.Items[i]
		destroy(d, it.Port, it.Disposition)
		for _, p := range it.Ports {
			destroy(d, p, it.Disposition)
		}
	}
	clear(m.Items)
	m.Items = m.Items[:0]
}

func destroy[P comparable](d Destroyer[P], p P, disp mach.Disposition) {
	var none P
	if p == none {
		return
	}
	switch disp {
	case mach.MoveReceive, mach.MoveSend, mach.MoveSendOnce:
		d.Destroy(p, disp)
	}
}

// Take marks the rights of n descriptors from the one at index on as taken by the server's function.
func (m *Message[P]) Take(index, n int) {
	var none P
	for i := index; i < index+n && i < len(m.Items); i++ {
		m.Items[i].Port, m.Items[i].Ports = none, nil
	}
}

// AddPort adds a descriptor of one right. The message is complex then, as it is after every Add.
func (m *Message[P]) AddPort(p P, d mach.Disposition) {
	m.Complex = true
	m.Items = append(m.Items, Item[P]{Type: mach.DescriptorPort, Disposition: d, Port: p})
}

// AddPorts adds a descriptor of an array of rights out of line.
func (m *Message[P]) AddPorts(p []P, d mach.Disposition, free bool) {
	m.Complex = true
	m.Items = append(m.Items, Item[P]{Type: mach.DescriptorOOLPorts, Disposition: d, Copy: mach.CopyVirtual,
		Deallocate: free, Ports: p, Size: uint32(len(p))})
}

// AddMemory adds a descriptor of memory out of line.
func (m *Message[P]) AddMemory(b []byte, free, physical bool) {
	it := Item[P]{Type: mach.DescriptorOOL, Copy: mach.CopyVirtual, Deallocate: free, Data: b, Size: uint32(len(b))}
	if physical {
		it.Copy = mach.CopyPhysical
	}
	m.Complex = true
	m.Items = append(m.Items, it)
}
