package ipc

import (
	"testing"

	"portcullis.dev/mach"
)

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
