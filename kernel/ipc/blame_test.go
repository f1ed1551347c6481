package ipc

import (
	"testing"

	"portcullis.dev/mach"
)

// blames are restrictions that forbid nothing and remember who was blamed for what.
type blames struct {
	Unrestricted
	all []Violation
}

func (b *blames) Violate(_ *Thread, v Violation) { b.all = append(b.all, v) }

// TestBlame: what calls return for names that are none, or dead, or of the wrong kind, and which guards they raise.
func TestBlame(t *testing.T) {
	b := &blames{}
	k := New(Config{Restrictions: b})
	a := newTask(t, k, 1)
	port, set, send := a.receiveRight(), mach.Name(0), mach.Name(0)
	set, _ = a.Allocate(a.t, mach.RightPortSet)
	other := newTask(t, k, 2)
	sent := other.port()
	send = other.give(a, sent, mach.CopySend)
	dead, _ := a.Allocate(a.t, mach.RightDeadName)
	dying := other.port()
	died := other.give(a, dying, mach.CopySend)
	other.ok(other.Destroy(other.t, dying))
	was := a.port() // had the receive right, and is a dead name
	a.ok(a.ModRefs(a.t, was, mach.RightReceive, -1))
	const none = mach.Name(0x7703)
	receive := func(n mach.Name) func() mach.KernReturn {
		return func() mach.KernReturn {
			return a.t.Msg2(&Args{Options: mach.RcvMsg | mach.RcvTimeout, Receive: n, Buffer: make([]byte, 64)})
		}
	}
	insert := func(n, set mach.Name) func() mach.KernReturn {
		return func() mach.KernReturn { return a.InsertMember(a.t, n, set) }
	}
	seqno := func(n mach.Name) func() mach.KernReturn {
		return func() mach.KernReturn { return a.SetSeqno(n, 0) }
	}
	reply := func(n, voucher mach.Name) func() mach.KernReturn {
		return func() mach.KernReturn {
			v := mach.Disposition(0)
			if voucher != 0 {
				v = mach.CopySend
			}
			b := message(mach.MakeBits(mach.MakeSend, mach.CopySend, v), port, n, 1, nil)
			le.PutUint32(b[16:], uint32(voucher))
			return a.sendBytes(b, 0)
		}
	}
	bits := func(n mach.Name) uint32 {
		e, _ := a.lookup(n)
		return e.bits()
	}
	for _, c := range []struct {
		what string
		call func() mach.KernReturn
		kr   mach.KernReturn
		want []Violation
	}{
		{"receive from no name", receive(none), mach.RcvInvalidName, nil},
		{"receive from a dead name", receive(dead), mach.RcvInvalidName, nil},
		{"receive from what was a receive right", receive(was), mach.RcvInvalidName, nil},
		{"receive from a send right", receive(send), mach.RcvInvalidName, []Violation{{GuardRcvInvalidName, uint32(send), 0}}},
		{"insert no name", insert(none, set), mach.KernInvalidName, []Violation{{GuardInvalidName, uint32(none), 0}}},
		{"insert into no name", insert(port, none), mach.KernInvalidName, []Violation{{GuardInvalidName, uint32(none), 0}}},
		{"insert a send right", insert(send, set), mach.KernInvalidRight,
			[]Violation{{GuardInvalidRight, uint32(send), Payload(7, 0, bits(send))}}},
		{"insert what was a receive right", insert(was, set), mach.KernInvalidRight, nil},
		{"insert into a port", insert(port, port), mach.KernInvalidRight,
			[]Violation{{GuardInvalidRight, uint32(port), Payload(8, 0, bits(port))}}},
		{"set the number of a send right", seqno(send), mach.KernInvalidRight, nil},
		{"set the number of a dead name", seqno(dead), mach.KernInvalidName, nil},
		{"set the number of a send right to a dead port", seqno(died), mach.KernInvalidName, nil},
		{"set the number of a set", seqno(set), mach.KernInvalidRight, nil},
		{"peek with too little room", func() mach.KernReturn {
			_, kr := a.Peek(a.t, port, 0, mach.TrailerAudit<<24|0x12, 51)
			return kr
		}, mach.KernInvalidValue, []Violation{{GuardInvalidValue, uint32(port), 0x0100001200000033}}},
		{"reply to no name", reply(none, 0), mach.SendInvalidReply,
			[]Violation{{GuardSendInvalidReply, uint32(none), Payload(0, 0, 19)}}},
		{"reply to a dead name", reply(dead, 0), mach.SendInvalidReply,
			[]Violation{{GuardSendInvalidReply, uint32(dead), Payload(0, bits(dead), 19)}}},
		{"reply to the voucher", reply(send, send), mach.SendInvalidReply,
			[]Violation{{GuardSendInvalidReply, uint32(send), Payload(0, 0xffffff, 19)}}},
	} {
		b.all = nil
		if kr := c.call(); kr != c.kr {
			t.Errorf("%s: %v, want %v", c.what, kr, c.kr)
		}
		if len(b.all) != len(c.want) || len(c.want) > 0 && b.all[0] != c.want[0] {
			t.Errorf("%s: blamed for %+v, want %+v", c.what, b.all, c.want)
		}
	}
	atZero(t, k, a, other)
}
