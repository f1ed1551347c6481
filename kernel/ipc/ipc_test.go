package ipc

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"portcullis.dev/mach"
)

var le = binary.LittleEndian

func TestSendAndReceive(t *testing.T) {
	k := New(Config{})
	a, b := newTask(t, k, 10), newTask(t, k, 20)
	port := b.port()
	to := b.give(a, port, mach.CopySend)
	a.ok(a.sendBytes(message(mach.MakeBits(mach.CopySend, mach.MakeSendOnce, 0), to, a.receiveRight(), 42,
		[]byte("hello123")), 0))
	m := b.expect(port, 42)
	if string(m.body) != "hello123" || m.Local != port || m.trailer.Audit.PID() != 10 || m.Size != 32 {
		t.Errorf("received %+v", m)
	}
	b.hasType(m.Remote, mach.TypeSendOnce)
	b.ok(b.send(m.Remote, mach.MoveSendOnce, 142))
	if _, kr := b.Type(b.t, m.Remote); kr != mach.KernInvalidName {
		t.Errorf("the send-once right is still there: %v", kr)
	}
	atZero(t, k, a, b)
}

func TestPortDescriptor(t *testing.T) {
	k := New(Config{})
	a, b := newTask(t, k, 1), newTask(t, k, 2)
	port := b.port()
	to := b.give(a, port, mach.CopySend)
	mine := a.port()
	a.ok(a.send(to, mach.CopySend, 1, mach.Descriptor{Name: mine, Disposition: mach.MoveReceive},
		mach.Descriptor{Name: mine, Disposition: mach.CopySend}))
	m := b.expect(port, 1)
	if m.descs[0].Name != m.descs[1].Name {
		t.Errorf("rights to one port arrived as %v and %v", m.descs[0].Name, m.descs[1].Name)
	}
	b.hasType(m.descs[0].Name, mach.TypeSendReceive)
	a.hasType(mine, mach.TypeSend)
	atZero(t, k, b, a)
}

// TestInsertRightNames mirrors XNU tests/mach_port_insert_right.c and tests/ipc/port_api.c.
func TestInsertRightNames(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 1)
	port := a.port()
	a.hasType(port, mach.TypeSendReceive)
	a.want(a.InsertRight(a.t, 123, port, mach.MakeSend), mach.KernFailure)      // index 0
	a.want(a.InsertRight(a.t, 122, port, mach.MakeSend), mach.KernInvalidValue) // no generation has these low bits
	other := a.receiveRight()
	a.want(a.InsertRight(a.t, port, other, mach.MakeSend), mach.KernRightExists)
	a.want(a.InsertRight(a.t, mach.MakeName(0xffff00, 3), port, mach.MakeSend), mach.KernNoSpace)
	a.want(a.InsertRight(a.t, mach.MakeName(port.Index(), 0x43), port, mach.MakeSend), mach.KernFailure)
	a.ok(a.InsertRight(a.t, 0x12303, other, mach.MakeSendOnce))
	a.hasType(0x12303, mach.TypeSendOnce)
	a.want(a.InsertRight(a.t, 0x12303, other, mach.MakeSendOnce), mach.KernNameExists)
	set, _ := a.Allocate(a.t, mach.RightPortSet)
	a.want(a.InsertRight(a.t, set, set, mach.MakeSend), mach.KernInvalidRight)
	a.want(a.InsertRight(a.t, 0, port, mach.MakeSend), mach.KernInvalidValue)
	a.want(a.InsertRight(a.t, 0x45603, 0, mach.MoveSend), mach.KernInvalidName) // taken before it is looked at
	a.want(a.AllocateName(a.t, mach.RightReceive, 0x12303), mach.KernNameExists)
	a.ok(a.AllocateName(a.t, mach.RightDeadName, 0x45603))
	atZero(t, k, a)
}

// TestGenerations pins that a name does not come back at once, and how names look.
func TestGenerations(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 1)
	first := a.receiveRight()
	if first != 0x103 {
		t.Errorf("the first name is %v, want 0x103", first)
	}
	seen := map[mach.Name]bool{}
	for n := first; !seen[n]; n = a.receiveRight() {
		seen[n] = true
		a.ok(a.ModRefs(a.t, n, mach.RightReceive, -1))
	}
	if len(seen) != 64 {
		t.Errorf("a name comes back after %d others, want 64", len(seen))
	}
	atZero(t, k, a)
}

// TestModRefsErrors mirrors XNU tests/mach_port_mod_refs.c.
func TestModRefsErrors(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 1)
	recv, set := a.receiveRight(), mach.Name(0)
	set, _ = a.Allocate(a.t, mach.RightPortSet)
	dead, _ := a.Allocate(a.t, mach.RightDeadName)
	send := a.port()
	for r := range mach.RightNumber {
		for n, has := range map[mach.Name]mach.Right{recv: mach.RightReceive, set: mach.RightPortSet,
			dead: mach.RightDeadName} {
			if r != has {
				a.want(a.ModRefs(a.t, n, r, -1), mach.KernInvalidRight)
			}
			a.want(a.ModRefs(a.t, n, has, -2), mach.KernInvalidValue)
		}
	}
	a.want(a.ModRefs(a.t, recv, 6, -1), mach.KernInvalidValue)
	a.want(a.ModRefs(a.t, 0x9903, mach.RightSend, 1), mach.KernInvalidName)
	a.ok(a.ModRefs(a.t, send, mach.RightSend, 0))
	a.ok(a.ModRefs(a.t, send, mach.RightSend, 65534))
	a.ok(a.ModRefs(a.t, send, mach.RightSend, 1)) // more than there is room for: the count sticks
	a.hasRefs(send, mach.RightSend, 65535)
	a.ok(a.ModRefs(a.t, send, mach.RightSend, -1))
	a.ok(a.Deallocate(a.t, send))
	a.hasRefs(send, mach.RightSend, 65535)
	a.ok(a.ModRefs(a.t, send, mach.RightSend, -65535))
	a.hasType(send, mach.TypeReceive)
	atZero(t, k, a)
}

// TestOverflowedSend moves a right whose count has stuck: the receiver gets it, the count stays.
func TestOverflowedSend(t *testing.T) {
	k := New(Config{})
	a, b := newTask(t, k, 1), newTask(t, k, 2)
	port := a.port()
	a.ok(a.ModRefs(a.t, port, mach.RightSend, 65534))
	n := a.give(b, port, mach.MoveSend)
	b.hasRefs(n, mach.RightSend, 1)
	a.hasRefs(port, mach.RightSend, 65535)
	atZero(t, k, a, b)
}

func TestNotifications(t *testing.T) {
	k := New(Config{})
	a, b := newTask(t, k, 1), newTask(t, k, 2)
	box, port := a.receiveRight(), b.port()
	to := b.give(a, port, mach.CopySend)
	request := func(x *testTask, n mach.Name, id int32, sync uint32, box mach.Name) {
		t.Helper()
		_, kr := x.RequestNotification(x.t, n, id, sync, box, mach.MakeSendOnce)
		x.ok(kr)
	}
	// Dead name: the notification comes with one more reference to the name.
	request(a, to, mach.NotifyDeadName, 0, box)
	a.hasType(to, mach.TypeSend|mach.TypeDeadNameRequest)
	b.ok(b.ModRefs(b.t, port, mach.RightReceive, -1))
	if m := a.expect(box, mach.NotifyDeadName); le.Uint32(m.body[8:]) != uint32(to) {
		t.Errorf("told of %x", m.body)
	}
	a.hasType(to, mach.TypeDeadName)
	a.hasRefs(to, mach.RightDeadName, 2)
	// Port deleted: the name went first.
	port = b.port()
	to = b.give(a, port, mach.CopySend)
	request(a, to, mach.NotifyDeadName, 0, box)
	a.ok(a.Deallocate(a.t, to))
	a.expect(box, mach.NotifyPortDeleted)
	// No senders: at once if there are none and enough were made, else when the last goes.
	recv := b.receiveRight()
	mine := b.receiveRight()
	request(b, recv, mach.NotifyNoSenders, 0, mine)
	b.expect(mine, mach.NotifyNoSenders)
	request(b, recv, mach.NotifyNoSenders, 1, mine)
	b.nothing(mine)
	n := b.give(a, recv, mach.MakeSend)
	a.ok(a.Deallocate(a.t, n))
	if m := b.expect(mine, mach.NotifyNoSenders); le.Uint32(m.body[8:]) != 1 {
		t.Errorf("made %x rights", m.body)
	}
	// Port destroyed: the receive right comes home.
	request(b, recv, mach.NotifyPortDestroyed, 0, mine)
	b.ok(b.Destroy(b.t, recv))
	m := b.expect(mine, mach.NotifyPortDestroyed)
	b.hasType(m.descs[0].Name, mach.TypeReceive)
	// Send once: unused send-once rights say so.
	once, _, kr := b.ExtractRight(a.t, mine, mach.MakeSendOnce)
	a.ok(kr)
	a.ok(a.Deallocate(a.t, once))
	b.expect(mine, mach.NotifySendOnce)
	atZero(t, k, b, a)
}

// TestTooLarge: a message that is thrown away because it does not fit leaves its header. The right that it was sent with is
// used up, without a word to the port.
func TestTooLarge(t *testing.T) {
	k := New(Config{})
	a, b := newTask(t, k, 1), newTask(t, k, 2)
	port := a.port()
	once := a.give(b, port, mach.MakeSendOnce)
	msg := message(mach.MakeBits(mach.MoveSendOnce, mach.MakeSendOnce, 0), once, b.port(), 77, make([]byte, 100))
	le.PutUint32(msg[16:], 0x4711)
	b.ok(b.sendBytes(msg, 0))
	buf := make([]byte, 60)
	a.want(a.t.Msg2(&Args{Options: mach.RcvMsg | mach.TrailerAudit<<24, Receive: port, Buffer: buf}), mach.RcvTooLarge)
	var h mach.Header
	h.Decode(buf)
	want := mach.Header{Bits: mach.MakeBits(mach.MoveSendOnce, mach.MoveSendOnce, 0), Size: 24, Local: port,
		Voucher: 0x4711, ID: 77}
	if h != want {
		t.Errorf("header %+v, want %+v", h, want)
	}
	if n, group := le.Uint32(buf[28:]), le.Uint32(buf[40:]); n != 52 || group != 1 {
		t.Errorf("trailer of %d bytes, of group %d", n, group)
	}
	a.nothing(port)
	atZero(t, k, a, b)
}

// TestReservedField: what stands where the voucher would travels if there is none.
func TestReservedField(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 1)
	port := a.port()
	msg := message(mach.MakeBits(mach.CopySend, 0, 0), port, 0, 1, nil)
	le.PutUint32(msg[16:], 0x4711)
	a.ok(a.sendBytes(msg, 0))
	if r := a.expect(port, 1); r.Voucher != 0x4711 {
		t.Errorf("the field is %v", r.Voucher)
	}
	atZero(t, k, a)
}

// TestDeallocateFlag: whether a receiver is told that memory leaves the sender depends on how it was sent, not on whether
// it left.
//
// Source: XNU osfmk/ipc/ipc_kmsg.c, ipc_kmsg_deflate_memory_descriptor.
func TestDeallocateFlag(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 1)
	port := a.port()
	for _, o := range []mach.CopyOption{mach.CopyPhysical, mach.CopyVirtual} {
		for _, free := range []bool{false, true} {
			a.ok(a.send(port, mach.CopySend, 1, mach.Descriptor{Type: mach.DescriptorOOL, Address: a.mem.put([]byte("memory")),
				Size: 6, Copy: o, Deallocate: free}))
			if d := a.expect(port, 1).descs[0]; d.Copy != o || d.Deallocate != (o == mach.CopyVirtual) {
				t.Errorf("sent %v with deallocate %v, received %+v", o, free, d)
			}
		}
	}
	atZero(t, k, a)
}

// TestUnwantedGuard: who does not take guarded descriptors sees that the port was unguarded when it was sent.
func TestUnwantedGuard(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 1)
	port, moved := a.port(), a.receiveRight()
	a.ok(a.Guard(a.t, moved, 0x55, 0))
	a.ok(a.send(port, mach.CopySend, 1, mach.Descriptor{Type: mach.DescriptorGuardedPort, Name: moved, Address: 0x55,
		Disposition: mach.MoveReceive, Flags: mach.GuardedImmovableReceive}))
	if d := a.expect(port, 1).descs[0]; d.Name != 0 || d.Address != 0 || d.Flags != mach.GuardedFlagsMask {
		t.Errorf("received %+v", d)
	}
	atZero(t, k, a)
}

// TestOrderOfChecks: which error wins if a message has several.
func TestOrderOfChecks(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 1)
	send := func(b, aux []byte) mach.KernReturn {
		return a.t.Msg2(&Args{Options: mach.SendMsg | mach.SendMQCall | mach.MsgVector, Send: b, SendAux: aux})
	}
	complex := message(mach.MakeBits(mach.CopySend, 0, 0)|mach.BitsComplex, 0, 0, 1, nil)
	a.want(send(make([]byte, 20), make([]byte, 4)), mach.SendMsgTooSmall)
	a.want(send(complex, make([]byte, 4)), mach.SendAuxTooSmall)
	a.want(send(complex, nil), mach.SendMsgTooSmall)
	atZero(t, k, a)
}

// TestAnsweredRequest: a name does not count a death that nobody was told of, because the request had been answered.
func TestAnsweredRequest(t *testing.T) {
	k := New(Config{})
	a, b := newTask(t, k, 1), newTask(t, k, 2)
	port := b.port()
	to, box := b.give(a, port, mach.CopySend), a.receiveRight()
	_, kr := a.RequestNotification(a.t, to, mach.NotifySendPossible, 0, box, mach.MakeSendOnce)
	a.ok(kr)
	msg := message(mach.MakeBits(mach.CopySend, 0, 0), to, 0, 1, nil)
	for range mach.QueueLimitBasic {
		a.ok(a.sendBytes(msg, mach.SendNotify))
	}
	a.want(a.sendBytes(msg, mach.SendNotify), mach.SendTimedOut)
	b.expect(port, 1)
	a.expect(box, mach.NotifySendPossible)
	b.ok(b.Destroy(b.t, port))
	a.hasRefs(to, mach.RightDeadName, 2) // one came back with the message that was not sent
	a.nothing(box)
	atZero(t, k, a, b)
}

// TestOrderOfNotices: what a port tells when it dies comes before what its name tells when it goes.
func TestOrderOfNotices(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 1)
	for what, end := range map[string]func(mach.Name) mach.KernReturn{
		"mod_refs": func(n mach.Name) mach.KernReturn { return a.ModRefs(a.t, n, mach.RightReceive, -1) },
		"destroy":  func(n mach.Name) mach.KernReturn { return a.Destroy(a.t, n) },
		"destruct": func(n mach.Name) mach.KernReturn { return a.Destruct(a.t, n, 0, 0) },
	} {
		box, port := a.receiveRight(), a.receiveRight()
		_, kr := a.RequestNotification(a.t, port, mach.NotifyNoSenders, 1, box, mach.MakeSendOnce)
		a.ok(kr)
		_, kr = a.RequestNotification(a.t, port, mach.NotifyDeadName, 0, box, mach.MakeSendOnce)
		a.ok(kr)
		a.ok(end(port))
		first, _ := a.receive(box, 0)
		second, _ := a.receive(box, 0)
		if first.ID != mach.NotifySendOnce || second.ID != mach.NotifyPortDeleted {
			t.Errorf("%s: received %d and %d", what, first.ID, second.ID)
		}
	}
	atZero(t, k, a)
}

func TestSendPossible(t *testing.T) {
	k := New(Config{})
	a, b := newTask(t, k, 1), newTask(t, k, 2)
	port := b.port()
	to, box := b.give(a, port, mach.CopySend), a.receiveRight()
	_, kr := a.RequestNotification(a.t, to, mach.NotifySendPossible, 1, box, mach.MakeSendOnce)
	a.ok(kr)
	a.expect(box, mach.NotifySendPossible) // there is room now
	_, kr = a.RequestNotification(a.t, to, mach.NotifySendPossible, 0, box, mach.MakeSendOnce)
	a.ok(kr)
	a.hasType(to, mach.TypeSend|mach.TypeDeadNameRequest) // send-possible requests show among all names only
	if names, types, kr := a.Names(); kr != 0 || types[slices.Index(names, to)] != mach.TypeSend|mach.TypeDeadNameRequest|
		mach.TypeSendPossibleRequest|mach.TypeSendPossibleRequestDelayed {
		t.Errorf("types %v of %v, %v", types, names, kr)
	}
	msg := func() []byte { return message(mach.MakeBits(mach.CopySend, 0, 0), to, 0, 1, nil) }
	for range mach.QueueLimitBasic {
		a.ok(a.sendBytes(msg(), mach.SendNotify))
	}
	a.want(a.sendBytes(msg(), mach.SendNotify), mach.SendTimedOut)
	a.nothing(box)
	b.expect(port, 1)
	a.expect(box, mach.NotifySendPossible)
	a.hasType(to, mach.TypeSend)
	atZero(t, k, a, b)
}

// TestPseudoReceive checks what a send that times out gives back, and that it can be sent again as it is.
func TestPseudoReceive(t *testing.T) {
	k := New(Config{})
	a, b := newTask(t, k, 1), newTask(t, k, 2)
	port := b.port()
	to := b.give(a, port, mach.CopySend)
	b.ok(b.SetAttributes(port, mach.AttrLimitsInfo, 0))
	moved, reply := a.port(), a.receiveRight()
	buf := message(mach.MakeBits(mach.MoveSend, mach.MakeSendOnce, 0), to, reply, 5, []byte("body"),
		mach.Descriptor{Name: moved, Disposition: mach.MoveReceive},
		mach.Descriptor{Type: mach.DescriptorOOL, Address: a.mem.put([]byte("memory")), Size: 6, Deallocate: true})
	a.want(a.sendBytes(buf, 0), mach.SendTimedOut)
	var h mach.Header
	h.Decode(buf)
	if h.Bits != mach.MakeBits(mach.MoveSend, mach.MoveSendOnce, 0)|mach.BitsComplex {
		t.Errorf("bits %#x", uint32(h.Bits))
	}
	a.hasType(h.Remote, mach.TypeSend)
	a.hasType(h.Local, mach.TypeSendOnce)
	a.hasType(moved, mach.TypeSendReceive)
	b.ok(b.SetAttributes(port, mach.AttrLimitsInfo, 1))
	a.ok(a.sendBytes(buf, 0))
	m := b.expect(port, 5)
	data, ok := b.mem.CopyIn(b.t, m.descs[1].Address, 6, false)
	if string(data) != "memory" || !ok || string(m.body) != "body" {
		t.Errorf("received %q and %q", data, m.body)
	}
	atZero(t, k, a, b)
}

// TestFailedSendConsumes pins what a send that fails has used up.
func TestFailedSendConsumes(t *testing.T) {
	k := New(Config{})
	a, b := newTask(t, k, 1), newTask(t, k, 2)
	port := b.port()
	to := b.give(a, port, mach.CopySend)
	recv := a.receiveRight()
	// A bad right in the body: the header's rights and those before it are gone.
	a.want(a.sendBytes(message(mach.MakeBits(mach.MoveSend, 0, 0), to, 0, 1, nil,
		mach.Descriptor{Name: recv, Disposition: mach.MoveReceive},
		mach.Descriptor{Name: 0x7703, Disposition: mach.CopySend}), 0), mach.SendInvalidRight)
	for _, n := range []mach.Name{to, recv} {
		if _, kr := a.Type(a.t, n); kr != mach.KernInvalidName {
			t.Errorf("%v is still there: %v", n, kr)
		}
	}
	// A bad reply port: nothing is gone.
	to = b.give(a, port, mach.CopySend)
	a.want(a.sendBytes(message(mach.MakeBits(mach.MoveSend, mach.MakeSend, 0), to, 0x7703, 1, nil), 0),
		mach.SendInvalidReply)
	a.hasType(to, mach.TypeSend)
	// A destination that died is no error, and swallows the message.
	b.ok(b.ModRefs(b.t, port, mach.RightReceive, -1))
	recv = a.receiveRight()
	a.want(a.send(to, mach.CopySend, 1, mach.Descriptor{Name: recv, Disposition: mach.MoveReceive}), mach.SendInvalidDest)
	a.hasType(to, mach.TypeDeadName)
	a.hasType(recv, mach.TypeReceive)
	atZero(t, k, a, b)
}

// TestPairs sends two rights of one name in one header, in all ways. The voucher case mirrors XNU
// tests/voucher_entry_18826844.c.
func TestPairs(t *testing.T) {
	for _, c := range []struct {
		dest, reply mach.Disposition
		refs        int32
		left        uint32
		kr          mach.KernReturn
	}{
		{mach.MoveSend, mach.MoveSend, 1, 1, mach.SendInvalidDest},
		{mach.MoveSend, mach.MoveSend, 2, 0, 0},
		{mach.MoveSend, mach.CopySend, 1, 0, 0},
		{mach.CopySend, mach.MoveSend, 1, 0, 0},
		{mach.CopySend, mach.CopySend, 1, 1, 0},
		{mach.MoveSend, mach.MoveSend, 3, 1, 0},
	} {
		k := New(Config{})
		a, b := newTask(t, k, 1), newTask(t, k, 2)
		port := b.port()
		to := b.give(a, port, mach.CopySend)
		a.ok(a.ModRefs(a.t, to, mach.RightSend, c.refs-1))
		a.want(a.sendBytes(message(mach.MakeBits(c.dest, c.reply, 0), to, to, 1, nil), 0), c.kr)
		if c.left > 0 {
			a.hasRefs(to, mach.RightSend, c.left)
		} else if _, kr := a.Type(a.t, to); kr != mach.KernInvalidName {
			t.Errorf("%+v: still there", c)
		}
		if p := takeCensus(k, []*Space{a.Space, b.Space}); p != nil {
			t.Errorf("%+v: %q", c, p)
		}
		atZero(t, k, a, b)
	}
	k := New(Config{})
	a := newTask(t, k, 1)
	voucher := k.NewObjectPort(mach.PortTypeVoucher, nil)
	n, kr := a.InsertSend(voucher.MakeSend(), false)
	a.ok(kr)
	msg := message(mach.MakeBits(mach.MoveSend, 0, mach.MoveSend), n, 0, 1, nil)
	le.PutUint32(msg[16:], uint32(n))
	a.want(a.sendBytes(msg, 0), mach.SendInvalidDest)
	a.hasRefs(n, mach.RightSend, 1)
	msg = message(mach.MakeBits(mach.CopySend, mach.CopySend, mach.CopySend), a.port(), n, 1, nil)
	le.PutUint32(msg[16:], uint32(n))
	a.want(a.sendBytes(msg, 0), mach.SendInvalidReply) // a voucher is no reply port
	voucher.Destroy()
	atZero(t, k, a)
}

// TestReceiveOptions mirrors what XNU tests/ipc/mach_msg2.c and mach_msg_transport.c ask of receiving.
func TestReceiveOptions(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 77)
	port := a.port()
	send := func() {
		t.Helper()
		a.ok(a.sendBytes(message(mach.MakeBits(mach.CopySend, 0, 0), port, 0, 9, make([]byte, 100)), 0))
	}
	receive := func(n int, o mach.Option) ([]byte, mach.KernReturn) {
		buf := make([]byte, n)
		return buf, a.t.Msg2(&Args{Options: mach.RcvMsg | mach.RcvTimeout | o, Receive: port, Buffer: buf})
	}
	send()
	buf, kr := receive(124, mach.RcvLarge|mach.RcvLargeIdentity) // no room for the trailer
	a.want(kr, mach.RcvTooLarge)
	if le.Uint32(buf[4:]) != 124 || mach.Name(le.Uint32(buf[12:])) != port {
		t.Errorf("told %x", buf[:24])
	}
	buf, kr = receive(132, mach.RcvLarge)
	a.ok(kr)
	var tr mach.Trailer
	if tr.Decode(buf[124:]) != 8 {
		t.Error("no minimal trailer")
	}
	send()
	buf, kr = receive(64, mach.RcvLarge)
	a.want(kr, mach.RcvTooLarge)
	if le.Uint32(buf[4:]) != 124 || le.Uint32(buf[12:]) != 0 {
		t.Errorf("told %x", buf[:24])
	}
	a.expect(port, 9)
	send()
	buf, kr = receive(64, 0) // without RCV_LARGE the message is gone
	a.want(kr, mach.RcvTooLarge)
	if le.Uint32(buf[4:]) != mach.HeaderSize {
		t.Errorf("told %x", buf[:24])
	}
	a.nothing(port)
	for elements, size := range map[uint32]int{1: 12, 2: 20, 3: 52, 4: 60, 7: 68} {
		send()
		buf, kr = receive(300, mach.Option(elements)<<24)
		a.ok(kr)
		if n := tr.Decode(buf[124:]); n != size || size >= 52 && tr.Audit.PID() != 77 {
			t.Errorf("elements %d give a trailer of %d bytes, want %d", elements, n, size)
		}
	}
	a.want(a.sendBytes(make([]byte, 20), 0), mach.SendMsgTooSmall)
	a.want(a.sendBytes(message(mach.MakeBits(mach.CopySend, 0, 0), port, 0, 1, make([]byte, 3)), 0), mach.SendMsgTooSmall)
	a.want(a.sendBytes(message(mach.MakeBits(mach.MoveReceive, 0, 0), port, 0, 1, nil), 0), mach.SendInvalidHeader)
	a.want(a.sendBytes(message(mach.MakeBits(mach.CopySend, 0, 0), port, port, 1, nil), 0), mach.SendInvalidHeader)
	bad := message(mach.MakeBits(mach.CopySend, 0, 0), port, 0, 1, nil, mach.Descriptor{Name: port})
	bad[mach.HeaderSize+mach.BodySize+11] = 9
	a.want(a.sendBytes(bad, 0), mach.SendInvalidType)
	atZero(t, k, a)
}

// TestImmovableReceive mirrors XNU tests/ipc/immovable_rights.c.
func TestImmovableReceive(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 1)
	n, kr := a.Construct(a.t, &ConstructOptions{Flags: mach.ImmovableReceive | mach.ContextAsGuard, Context: 5})
	a.ok(kr)
	flags := func(want mach.StatusFlags) {
		t.Helper()
		if st, kr := a.ReceiveStatus(n); kr != 0 || st.Flags != want {
			t.Errorf("status flags %#x (%v), want %#x", st.Flags, kr, want)
		}
	}
	flags(mach.StatusGuarded | mach.StatusGuardImmovableReceive)
	to := a.port()
	a.want(a.send(to, mach.CopySend, 1, mach.Descriptor{Name: n, Disposition: mach.MoveReceive}), mach.SendInvalidRight)
	a.want(a.SwapGuard(a.t, n, 4, 6), mach.KernInvalidArgument)
	a.ok(a.SwapGuard(a.t, n, 5, 6))
	a.ok(a.Unguard(a.t, n, 6))
	flags(0)
	n = a.receiveRight()
	a.ok(a.Guard(a.t, n, 9, mach.GuardImmovableReceive|mach.GuardStrict))
	flags(mach.StatusGuarded | mach.StatusStrictGuard | mach.StatusGuardImmovableReceive)
	a.want(a.SetContext(a.t, n, 1), mach.KernInvalidArgument)
	if v, kr := a.Context(n); v != 0 || kr != 0 {
		t.Errorf("the strict guard shows: %d, %v", v, kr)
	}
	a.want(a.Destruct(a.t, n, 0, 8), mach.KernInvalidArgument)
	a.ok(a.Destruct(a.t, n, 0, 9))
	atZero(t, k, a)
}

// TestGuardedDescriptor sends receive rights guarded.
func TestGuardedDescriptor(t *testing.T) {
	k := New(Config{})
	a, b := newTask(t, k, 1), newTask(t, k, 2)
	port := b.port()
	to := b.give(a, port, mach.CopySend)
	desc := func(n mach.Name, f mach.GuardedFlags, guard uint64) mach.Descriptor {
		return mach.Descriptor{Type: mach.DescriptorGuardedPort, Name: n, Disposition: mach.MoveReceive, Flags: f,
			Address: guard}
	}
	n := a.receiveRight()
	a.want(a.send(to, mach.CopySend, 1, desc(n, 0, 0)), mach.SendInvalidType)
	a.want(a.send(to, mach.CopySend, 1, desc(n, mach.GuardedUnguardedOnSend, 7)), mach.SendInvalidType)
	a.want(a.send(to, mach.CopySend, 1, desc(n, mach.GuardedImmovableReceive, 7)), mach.SendInvalidRight)
	a.ok(a.send(to, mach.CopySend, 2, desc(n, mach.GuardedUnguardedOnSend|mach.GuardedImmovableReceive, 0)))
	m, kr := b.receive(port, mach.RcvGuardedDesc)
	b.ok(kr)
	got := m.descs[0]
	if got.Address != 0xbeef0000 || got.Flags != mach.GuardedImmovableReceive {
		t.Errorf("received %+v", got)
	}
	b.want(b.send(port, mach.CopySend, 3, mach.Descriptor{Name: got.Name, Disposition: mach.MoveReceive}),
		mach.SendInvalidRight)
	b.want(b.Unguard(b.t, got.Name, 1), mach.KernInvalidArgument)
	b.ok(b.Destruct(b.t, got.Name, 0, 0xbeef0000))
	// Who does not ask for guarded descriptors does not get the right.
	n = a.receiveRight()
	a.ok(a.send(to, mach.CopySend, 4, desc(n, mach.GuardedUnguardedOnSend, 0)))
	if m := b.expect(port, 4); m.descs[0].Name != 0 {
		t.Errorf("received %+v", m.descs[0])
	}
	atZero(t, k, a, b)
}

// TestBlocking checks everything that ends a wait.
func TestBlocking(t *testing.T) {
	k := New(Config{Clock: realClock{}})
	a, b := newTask(t, k, 1), newTask(t, k, 2)
	port := b.port()
	to := b.give(a, port, mach.CopySend)
	result := make(chan mach.KernReturn)
	msg := func() []byte { return message(mach.MakeBits(mach.CopySend, 0, 0), to, 0, 1, nil) }
	send := func(o mach.Option, timeout uint32) {
		go func() {
			result <- a.t.Msg2(&Args{Options: mach.SendMsg | mach.SendMQCall | o, Timeout: timeout, Send: msg()})
		}()
	}
	receive := func(n mach.Name, o mach.Option, timeout uint32) {
		go func() {
			result <- b.t.Msg2(&Args{Options: mach.RcvMsg | o, Timeout: timeout, Receive: n, Buffer: make([]byte, 64)})
		}()
	}
	asleep := func(x *testTask) {
		t.Helper()
		for i := 0; x.t.wait.state.Load()&1 != 0 || x.t.wait.state.Load() == 0; i++ {
			if i > 10_000 {
				t.Fatal("nobody sleeps")
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
	other := b.NewThread(nil)
	b.ok(b.SetAttributes(port, mach.AttrLimitsInfo, 0))
	send(0, 0)
	asleep(a)
	b.ok(b.SetAttributes(port, mach.AttrLimitsInfo, 1)) // room
	a.ok(<-result)
	send(0, 0)
	asleep(a)
	b.expect(port, 1) // a place is given back
	a.ok(<-result)
	send(0, 0)
	asleep(a)
	a.t.Interrupt()
	a.want(<-result, mach.SendInterrupted)
	send(mach.SendTimeout, 5)
	a.want(<-result, mach.SendTimedOut)
	b.expect(port, 1)
	receive(port, mach.RcvTimeout, 5)
	b.want(<-result, mach.RcvTimedOut)
	receive(port, 0, 0)
	asleep(b)
	b.t.Interrupt()
	b.want(<-result, mach.RcvInterrupted)
	receive(port, 0, 0)
	asleep(b)
	a.ok(a.sendBytes(msg(), 0))
	b.ok(<-result)
	// A set, and a message that waited in a port that joins it.
	set, _ := b.Allocate(other, mach.RightPortSet)
	a.ok(a.sendBytes(msg(), 0))
	receive(set, 0, 0)
	asleep(b)
	b.ok(b.InsertMember(b.t, port, set))
	b.ok(<-result)
	receive(set, 0, 0)
	asleep(b)
	b.ok(b.Destroy(other, set))
	b.want(<-result, mach.RcvPortChanged)
	// The port goes: receivers hear of it, senders' messages are swallowed.
	receive(port, 0, 0)
	asleep(b)
	b.ok(b.ModRefs(other, port, mach.RightReceive, -1))
	b.want(<-result, mach.RcvPortChanged)
	port = b.port()
	to = b.give(a, port, mach.CopySend)
	b.ok(b.SetAttributes(port, mach.AttrLimitsInfo, 0))
	send(0, 0)
	asleep(a)
	b.ok(b.ModRefs(other, port, mach.RightReceive, -1))
	a.ok(<-result)
	b.t.Kill()
	n := b.receiveRight()
	receive(n, 0, 0)
	b.want(<-result, mach.RcvInterrupted)
	atZero(t, k, a, b)
}

// TestLimits checks that a task can only hurt itself.
func TestLimits(t *testing.T) {
	k := New(Config{Limits: Limits{Names: 64, Ports: 40, Bytes: 8 << 10}})
	a, b := newTask(t, k, 1), newTask(t, k, 2)
	port := b.port()
	b.ok(b.SetAttributes(port, mach.AttrLimitsInfo, 1024))
	to := b.give(a, port, mach.CopySend)
	sent := 0
	for a.send(to, mach.CopySend, 1) == 0 {
		sent++
	}
	a.want(a.send(to, mach.CopySend, 1), mach.SendNoBuffer)
	b.ok(b.send(port, mach.CopySend, 2)) // another task is not bound
	a.want(a.sendBytes(message(mach.MakeBits(mach.CopySend, 0, 0), to, 0, 1, nil,
		mach.Descriptor{Type: mach.DescriptorOOL, Address: 0x1000, Size: 0xffffffff}), 0), mach.SendNoBuffer)
	b.expect(port, 1)
	a.ok(a.send(to, mach.CopySend, 1))
	made := 0
	for {
		if _, kr := a.Allocate(a.t, mach.RightReceive); kr != 0 {
			a.want(kr, mach.KernResourceShortage)
			break
		}
		made++
	}
	if made != 40 {
		t.Errorf("made %d ports, want 40", made)
	}
	for {
		if _, kr := a.Allocate(a.t, mach.RightDeadName); kr != 0 {
			a.want(kr, mach.KernResourceShortage)
			break
		}
	}
	// A receiver without room for names is told so, and the right is not lost in the kernel.
	mine, _, _ := a.Names()
	var recv mach.Name
	for _, n := range mine {
		if ty, _ := a.Type(a.t, n); ty == mach.TypeReceive {
			recv = n
		}
	}
	a.ok(a.InsertRight(a.t, recv, recv, mach.MakeSend))
	give := a.give(b, recv, mach.CopySend)
	b.ok(b.send(give, mach.CopySend, 4, mach.Descriptor{Name: b.receiveRight(), Disposition: mach.MoveReceive}))
	if m, kr := a.receive(recv, 0); kr != mach.RcvBodyError|mach.MsgIPCKernel || m.descs[0].Name != 0 {
		t.Errorf("received %v, %+v", kr, m.descs)
	}
	atZero(t, k, a, b)
	if sent == 0 {
		t.Error("nothing could be sent")
	}
}

// TestNotificationLimit lets a task arm notifications that fire at once, without ever receiving them.
func TestNotificationLimit(t *testing.T) {
	k := New(Config{Limits: Limits{Bytes: 8 << 10, Ports: 16}})
	a := newTask(t, k, 1)
	box, n := a.receiveRight(), a.receiveRight()
	for range 1000 {
		_, kr := a.RequestNotification(a.t, n, mach.NotifyNoSenders, 0, box, mach.MakeSendOnce)
		a.ok(kr)
	}
	if s := k.Stats(); s.Bytes > 8<<10 || s.Messages > 40 {
		t.Errorf("the kernel holds %+v", s)
	}
	// Memberships are limited as well.
	for range 4 {
		a.receiveRight()
	}
	names, types, _ := a.Names()
	var sets []mach.Name
	for range 10 {
		s, kr := a.Allocate(a.t, mach.RightPortSet)
		a.ok(kr)
		sets = append(sets, s)
	}
	joined := 0
	for _, s := range sets {
		for i, n := range names {
			if types[i] == mach.TypeReceive && a.InsertMember(a.t, n, s) == 0 {
				joined++
			}
		}
	}
	if joined != 16 {
		t.Errorf("joined %d times, want 16", joined)
	}
	for i, n := range names {
		if types[i] == mach.TypeReceive {
			a.ok(a.ExtractMember(a.t, n, sets[0]))
			a.ok(a.InsertMember(a.t, n, sets[9]))
			break
		}
	}
	for _, s := range sets {
		a.ok(a.Destroy(a.t, s))
	}
	s, kr := a.Allocate(a.t, mach.RightPortSet)
	a.ok(kr)
	for i, n := range names {
		if types[i] == mach.TypeReceive {
			a.ok(a.InsertMember(a.t, n, s))
		}
	}
	atZero(t, k, a)
}

// TestLongChains lets a port die that holds a message with a port that holds a message, and so on: no stack is used up.
func TestLongChains(t *testing.T) {
	k := New(Config{})
	a := newTask(t, k, 1)
	outer := a.port()
	for range 20_000 {
		next := a.port()
		a.ok(a.send(next, mach.CopySend, 1, mach.Descriptor{Name: outer, Disposition: mach.MoveReceive}))
		a.ok(a.Deallocate(a.t, outer))
		outer = next
	}
	a.ok(a.ModRefs(a.t, outer, mach.RightReceive, -1))
	atZero(t, k, a)
}
