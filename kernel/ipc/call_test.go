package ipc

import (
	"testing"

	"portcullis.dev/mach"
)

// desk is a kernel object that answers with what it got: rights back, memory back, and a send right to itself.
type desk struct {
	port    *Port
	served  int
	senders []uint32
}

func (d *desk) Serve(_ *Thread, c *Call) {
	d.served++
	if !c.Expects() {
		return
	}
	items := []Item{{Type: mach.DescriptorPort, Disposition: mach.MoveSend, Port: c.Port.MakeSend()}}
	for i := range c.Items {
		items = append(items, c.Items[i])
		c.Items[i] = Item{}
	}
	c.Reply(c.ID+mach.ReplyOffset, append([]byte(nil), c.Body...), items...)
}

func (d *desk) NoSenders(_ *Port, n uint32) { d.senders = append(d.senders, n) }

func TestKernelCall(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 1)
	d := &desk{}
	d.port = k.NewObjectPort(mach.PortTypeHost, d)
	to, kr := a.InsertSend(d.port.MakeSend(), false)
	a.ok(kr)
	reply, mine := a.receiveRight(), a.port()
	call := func() received {
		t.Helper()
		a.ok(a.t.Msg2(&Args{Options: mach.SendMsg | mach.SendKobjectCall, Send: message(requestBits, to, reply, 200,
			[]byte("question"), mach.Descriptor{Name: mine, Disposition: mach.MoveReceive},
			mach.Descriptor{Type: mach.DescriptorOOL, Address: a.mem.put([]byte("lent")), Size: 4})}))
		return a.expect(reply, 300)
	}
	m := call()
	data, _ := a.mem.CopyIn(a.t, m.descs[2].Address, 4, false)
	if string(m.body) != "question" || string(data) != "lent" || m.descs[0].Name != to || m.descs[1].Name != mine {
		t.Errorf("the answer is %+v, %q", m, data)
	}
	a.hasType(mine, mach.TypeSendReceive)
	a.hasRefs(to, mach.RightSend, 2)
	if p := takeCensus(k, []*Space{a.Space}, d.port); p != nil {
		t.Errorf("%q", p)
	}
	a.ok(a.ModRefs(a.t, to, mach.RightSend, -2))
	if len(d.senders) != 1 || d.senders[0] != 2 {
		t.Errorf("told of no senders: %v", d.senders)
	}
	to, kr = a.InsertSend(d.port.MakeSend(), true)
	a.ok(kr)
	a.want(a.Deallocate(a.t, to), mach.KernInvalidCapability) // pinned
	a.want(a.Destroy(a.t, to), mach.KernInvalidCapability)
	a.ok(a.t.Msg2(&Args{Options: mach.SendMsg, Send: message(mach.MakeBits(mach.CopySend, 0, 0), to, 0, 1, nil)}))
	if d.served != 2 {
		t.Errorf("served %d calls, want 2", d.served)
	}
	d.port.Destroy()
	d.port.Destroy()
	a.hasType(to, mach.TypeDeadName)
	spare := k.NewObjectPort(mach.PortTypeHost, d)
	spare.MakeSend().ReleaseSend()
	if len(d.senders) != 2 {
		t.Errorf("told of no senders: %v", d.senders)
	}
	spare.Destroy()
	atZero(t, k, a)
}

func TestVoucherAndAux(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 1)
	v := k.NewObjectPort(mach.PortTypeVoucher, nil)
	n, kr := a.InsertSend(v.MakeSend(), false)
	a.ok(kr)
	port := a.port()
	for _, c := range []struct {
		ask  mach.Option
		want mach.Name
	}{{mach.RcvVoucher, n}, {0, 0}} {
		msg := message(mach.MakeBits(mach.CopySend, 0, mach.CopySend), port, 0, 1, nil)
		le.PutUint32(msg[16:], uint32(n))
		a.ok(a.sendBytes(msg, 0))
		if m, kr := a.receive(port, c.ask); kr != 0 || m.Voucher != c.want {
			t.Errorf("received voucher %v (%v), want %v", m.Voucher, kr, c.want)
		}
	}
	aux := append(make([]byte, 8), "aux data"...)
	send := func(aux []byte) mach.KernReturn {
		return a.t.Msg2(&Args{Options: mach.SendMsg | mach.SendMQCall | mach.MsgVector, SendAux: aux,
			Send: message(mach.MakeBits(mach.CopySend, 0, 0), port, 0, 1, nil)})
	}
	a.want(send(make([]byte, 4)), mach.SendAuxTooSmall)
	a.want(send(make([]byte, 1028)), mach.SendAuxTooLarge)
	a.ok(send(aux))
	receive := func(room int) ([]byte, mach.KernReturn) {
		buf := make([]byte, room)
		return buf, a.t.Msg2(&Args{Options: mach.RcvMsg | mach.RcvLarge | mach.MsgVector, Receive: port,
			Buffer: make([]byte, 64), BufferAux: buf})
	}
	_, kr = receive(8)
	a.want(kr, mach.RcvTooLarge)
	buf, kr := receive(16)
	a.ok(kr)
	if string(buf[8:]) != "aux data" {
		t.Errorf("received %q", buf)
	}
	v.Destroy()
	atZero(t, k, a)
}

// TestPeekedSize: peeking tells how large a message is in the kernel, which the descriptors decide. It mirrors XNU
// tests/ipc/port_peek.c.
func TestPeekedSize(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 1)
	mem := a.mem.put(make([]byte, 100))
	right := mach.Descriptor{Type: mach.DescriptorPort, Disposition: mach.MakeSend, Name: a.port()}
	ool := mach.Descriptor{Type: mach.DescriptorOOL, Address: mem, Size: 100, Copy: mach.CopyVirtual}
	for _, c := range []struct {
		body  int
		descs []mach.Descriptor
		want  uint32
	}{
		{0, nil, 32}, {512, nil, 544}, {0, []mach.Descriptor{right}, 52}, {0, []mach.Descriptor{ool}, 52},
		{8, []mach.Descriptor{right, ool, right}, 92},
	} {
		port := a.port()
		a.ok(a.sendBytes(message(mach.MakeBits(mach.CopySend, 0, 0), port, 0, 0x41414141, make([]byte, c.body), c.descs...),
			0))
		p, kr := a.Peek(a.t, port, 0, mach.TrailerAudit<<24, 68)
		if kr != 0 || p.ID != 0x41414141 || p.Size != c.want {
			t.Errorf("%d bytes, %d descriptors: peeked %+v, want %d bytes; %v", c.body, len(c.descs), p, c.want, kr)
		}
		a.expect(port, 0x41414141)
	}
	atZero(t, k, a)
}

func TestReceiveRightCalls(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 9)
	port := a.port()
	_, kr := a.Peek(a.t, port, 0, 0, 68)
	a.want(kr, mach.KernFailure)
	a.ok(a.send(port, mach.CopySend, 33))
	p, kr := a.Peek(a.t, port, 0, mach.TrailerAudit<<24, 68)
	if kr != 0 || p.ID != 33 || p.From.Audit.PID() != 9 || p.Size != mach.HeaderSize+8 {
		t.Errorf("peeked %+v, %v", p, kr)
	}
	_, kr = a.Peek(a.t, port, 0, mach.TrailerCtx<<24, 68)
	a.want(kr, mach.KernInvalidValue)
	_, kr = a.Peek(a.t, 0x7703, 0, 0, 68)
	a.want(kr, mach.KernInvalidName)
	a.ok(a.SetSeqno(port, 7))
	a.ok(a.SetMakeSendCount(port, 5))
	a.ok(a.SetAttributes(port, mach.AttrLimitsInfo, 9))
	a.want(a.SetAttributes(port, mach.AttrLimitsInfo, 1025), mach.KernInvalidValue)
	a.want(a.SetAttributes(port, mach.AttrServiceThrottled, 1), mach.KernInvalidCapability)
	a.want(a.SetAttributes(port, 77, 1), mach.KernInvalidArgument)
	a.want(a.SetAttributes(0, mach.AttrTempOwner, 1), mach.KernInvalidRight)
	if v, kr := a.Attributes(port, mach.AttrLimitsInfo); v != 9 || kr != 0 {
		t.Errorf("limit %d, %v", v, kr)
	}
	st, kr := a.ReceiveStatus(port)
	if want := (Status{Seqno: 7, MakeSends: 5, QueueLimit: 9, Messages: 1, SendRights: true}); st != want || kr != 0 {
		t.Errorf("status %+v (%v), want %+v", st, kr, want)
	}
	box := a.port()
	for _, c := range []struct {
		a    mach.AttributeFlavor
		want mach.StatusFlags
	}{{mach.AttrDenapReceiver, 8}, {mach.AttrImportanceReceiver, 8}, {mach.AttrTempOwner, 9}, {mach.AttrDenapReceiver, 9}} {
		a.ok(a.SetAttributes(box, c.a, 0))
		if st, _ := a.ReceiveStatus(box); st.Flags != c.want {
			t.Errorf("%v: flags %#x, want %#x", c.a, st.Flags, c.want)
		}
	}
	own, kr := a.Construct(a.t, &ConstructOptions{Flags: mach.TempOwner | mach.InsertSendRight})
	a.ok(kr)
	a.ok(a.send(box, mach.CopySend, 1, mach.Descriptor{Name: own, Disposition: mach.MoveReceive}))
	a.expect(box, 1)
	if st, _ := a.ReceiveStatus(own); st.Flags != mach.StatusImpDonation { // nobody has it for the time being any more
		t.Errorf("moved: flags %#x", st.Flags)
	}
	set1, _ := a.Allocate(a.t, mach.RightPortSet)
	set2, _ := a.Allocate(a.t, mach.RightPortSet)
	a.want(a.MoveMember(a.t, port, 0), mach.KernNotInSet)
	a.ok(a.InsertMember(a.t, port, set1))
	a.want(a.InsertMember(a.t, port, set1), mach.KernAlreadyInSet)
	a.ok(a.InsertMember(a.t, port, set2))
	a.ok(a.MoveMember(a.t, port, set2))
	members := func(set mach.Name, want int) {
		t.Helper()
		if names, kr := a.SetStatus(a.t, set); kr != 0 || len(names) != want {
			t.Errorf("%v has %v (%v), want %d", set, names, kr, want)
		}
	}
	members(set1, 0)
	members(set2, 1)
	if m := a.expect(set2, 33); m.trailer.Seqno != 7 || m.Local != port {
		t.Errorf("received %+v", m)
	}
	a.ok(a.MoveMember(a.t, port, 0))
	members(set2, 0)
	a.want(a.Destruct(a.t, port, 1, 0), mach.KernInvalidValue)
	a.want(a.Destruct(a.t, port, -2, 0), mach.KernInvalidValue)
	a.want(a.Destruct(a.t, set1, 0, 0), mach.KernInvalidRight)
	a.ok(a.ModRefs(a.t, port, mach.RightSend, 2))
	a.ok(a.Destruct(a.t, port, -1, 0))
	a.hasRefs(port, mach.RightDeadName, 2)
	if n := a.t.ReplyPort(); n == 0 {
		t.Error("no reply port")
	}
	if n := a.t.SpecialReplyPort(); n == 0 {
		t.Error("no special reply port")
	}
	atZero(t, k, a)
}

// TestDeadRights receives messages whose ports died on the way.
func TestDeadRights(t *testing.T) {
	k := New(Config{})
	a, b := newTask(t, k, 1), newTask(t, k, 2)
	port := b.port()
	to := b.give(a, port, mach.CopySend)
	reply, gone := a.receiveRight(), a.port()
	a.ok(a.sendBytes(message(requestBits, to, reply, 1, nil, mach.Descriptor{Name: gone, Disposition: mach.CopySend},
		mach.Descriptor{Name: mach.DeadName}, mach.Descriptor{}), 0))
	a.ok(a.Destroy(a.t, reply))
	a.ok(a.Destroy(a.t, gone))
	m := b.expect(port, 1)
	if m.Remote != mach.DeadName || m.descs[0].Name != mach.DeadName || m.descs[1].Name != mach.DeadName ||
		m.descs[2].Name != 0 {
		t.Errorf("received %+v", m)
	}
	// The last send right may go with the message.
	a.ok(a.send(to, mach.MoveSend, 2))
	b.expect(port, 2)
	// A send-once right to a dead port can be used as if it were alive, if nobody has looked.
	once, _, kr := b.ExtractRight(a.t, port, mach.MakeSendOnce)
	a.ok(kr)
	b.ok(b.ModRefs(b.t, port, mach.RightReceive, -1))
	a.ok(a.send(once, mach.MoveSendOnce, 3))
	atZero(t, k, a, b)
}
