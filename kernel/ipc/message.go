package ipc

import (
	"sync"
	"sync/atomic"

	"portcullis.dev/mach"
)

// Message is a message in the kernel's hands: its rights are in transit, its data copied.
type Message struct {
	next    *Message
	kernel  *Kernel
	account *account
	charged int64
	number  uint64 // see Args.Number

	id                   int32
	size                 uint32 // as the receiver will see it, without trailer
	dest, reply, voucher *Port
	destDisp, replyDisp  mach.Disposition // MOVE forms
	voucherDisp          mach.Disposition
	voucherWas           mach.Disposition // before copyin
	reserved             mach.Name        // the voucher field of a header that has no disposition for it
	complex, circular    bool
	desc                 []Item
	body                 []byte // inline data after header and descriptors
	aux                  []byte
	sender               Identity
	busy                 *atomic.Bool // cleared when the message is gone; may be nil
}

// Item is a descriptor of a message in the kernel's hands.
type Item struct {
	Type        mach.DescriptorType
	Disposition mach.Disposition // MOVE form: the right that is in transit
	Copy        mach.CopyOption
	Deallocate  bool
	Flags       mach.GuardedFlags
	Port        *Port
	Ports       []*Port
	Data        []byte
	Size        uint32 // out of line: bytes, or ports of an array
}

var messages = sync.Pool{New: func() any { return new(Message) }}

// maxPooled is the largest body that is kept for reuse.
const maxPooled = 64 << 10

func (k *Kernel) newMessage(a *account) *Message {
	k.live.messages.Add(1)
	m := messages.Get().(*Message)
	m.kernel, m.account = k, a
	return m
}

// newMessageTo makes a message of the kernel's to a port; whoever made the port pays for it. It is nil if they cannot:
// then the message is not sent.
func (k *Kernel) newMessageTo(to *Port, cost int64) *Message {
	if !k.chargeBytes(to.owner, cost) {
		return nil
	}
	m := k.newMessage(to.owner)
	m.charged, m.sender = cost, kernelIdentity
	return m
}

// kernelIdentity is what trailers say of the kernel: user 0, group 1.
//
// Source: XNU osfmk/mach/message.h, KERNEL_SECURITY_TOKEN_VALUE and KERNEL_AUDIT_TOKEN_VALUE.
var kernelIdentity = Identity{Security: [2]uint32{0, 1}}

// fill writes what the kernel has to say. The rights in items are in transit from here on.
func (m *Message) fill(id int32, body []byte, items []Item) {
	m.id, m.size, m.complex = id, mach.HeaderSize+uint32(len(body)), len(items) > 0
	m.body = append(m.body, body...)
	m.desc = append(m.desc, items...)
	if m.complex {
		m.size += mach.BodySize
	}
	for i := range items {
		m.size += uint32(items[i].Type.Size())
	}
}

// free gives back a message whose rights and memory are gone.
func (k *Kernel) free(m *Message) {
	k.live.messages.Add(-1)
	k.refundBytes(m.account, m.charged)
	if m.busy != nil {
		m.busy.Store(false)
	}
	body, desc := m.body[:0], m.desc
	clear(desc)
	if cap(body) > maxPooled {
		body = nil
	}
	if cap(desc) > 64 {
		desc = nil
	}
	*m = Message{body: body, desc: desc[:0]}
	messages.Put(m)
}

// destroy destroys the rights in a message and frees it.
func (m *Message) destroy(c *cleanup) {
	c.right(m.dest, m.destDisp)
	c.right(m.reply, m.replyDisp)
	c.right(m.voucher, mach.MoveSend)
	m.destroyBody(c)
	m.kernel.free(m)
}

// destroyBody destroys the rights and drops the memory of the descriptors.
func (m *Message) destroyBody(c *cleanup) {
	for i := range m.desc {
		d := &m.desc[i]
		c.right(d.Port, d.Disposition)
		for _, p := range d.Ports {
			c.right(p, d.Disposition)
		}
		m.kernel.release(d.Data)
		*d = Item{}
	}
	m.desc = m.desc[:0]
}

// header returns the header as a receiver sees it; names are filled in by copyout.
func (m *Message) header(remote, local, voucher mach.Name) mach.Header {
	h := mach.Header{Size: m.size, Remote: remote, Local: local, Voucher: voucher, ID: m.id}
	h.Bits = mach.MakeBits(m.replyDisp, m.destDisp, m.voucherDisp)
	if m.complex {
		h.Bits |= mach.BitsComplex
	}
	return h
}

// Sizes of what is larger in XNU's kernel than in a task, where names are 32 bits.
const (
	kernelHeaderSize     = 32
	kernelDescriptorSize = 16
)

// kernelSize returns the size of the message as XNU's kernel counts it, which peeking shows.
//
// Source: XNU osfmk/ipc/ipc_kmsg.c, ipc_kmsg_get_from_user and ipc_kmsg_inflate_descriptors; osfmk/ipc/ipc_mqueue.c,
// ipc_mqueue_peek_locked.
func (m *Message) kernelSize() uint32 {
	n := m.size + kernelHeaderSize - mach.HeaderSize
	for i := range m.desc {
		n += kernelDescriptorSize - uint32(m.desc[i].Type.Size())
	}
	return n
}

// queue is the messages of a port in order.
type queue struct {
	head, tail *Message
	count      int // messages, and places kept for senders on their way
	limit      int
	seqno      uint32
}

func (q *queue) put(m *Message) {
	if q.tail == nil {
		q.head = m
	} else {
		q.tail.next = m
	}
	q.tail = m
}

func (q *queue) take() *Message {
	m := q.head
	q.head = m.next
	if q.head == nil {
		q.tail = nil
	}
	m.next = nil
	return m
}

func (q *queue) takeAll() *Message {
	m := q.head
	q.head, q.tail, q.count = nil, nil, 0
	return m
}
