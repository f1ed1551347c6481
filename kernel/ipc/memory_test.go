package ipc

import (
	"testing"

	"portcullis.dev/mach"
)

// TestRelease counts out-of-line memory: what is taken from a task is received or given back.
func TestRelease(t *testing.T) {
	released := 0
	k := New(Config{Release: func(b []byte) {
		if len(b) > 0 {
			released++
		}
	}})
	a := newTask(t, k, 1)
	p := a.port()
	ool := func() mach.Descriptor {
		return mach.Descriptor{Type: mach.DescriptorOOL, Address: a.mem.put([]byte("memory")), Size: 6}
	}
	names := mach.Descriptor{Type: mach.DescriptorOOLPorts, Disposition: mach.CopySend, Size: 1,
		Address: a.mem.put([]byte{byte(p), byte(p >> 8), byte(p >> 16), byte(p >> 24)})}
	bits := mach.MakeBits(mach.CopySend, 0, 0)
	send := func(d ...mach.Descriptor) mach.KernReturn {
		return a.t.Msg2(&Args{Options: mach.SendMsg | mach.SendMQCall, Send: message(bits, p, 0, 1, nil, d...)})
	}
	a.ok(send(ool(), ool()))
	var b []byte
	a.ok(a.t.Msg2(&Args{Options: mach.RcvMsg, Receive: p, Room: 1 << 20, Grow: func(n int) []byte {
		b = make([]byte, n)
		return b
	}}))
	if released != 0 || len(b) != mach.HeaderSize+mach.BodySize+2*16+mach.TrailerSize(mach.TrailerNull) {
		t.Fatalf("a received message: %d released, room for %d bytes", released, len(b))
	}
	a.want(send(ool(), mach.Descriptor{Type: mach.DescriptorPort, Name: 0x999903, Disposition: mach.CopySend}),
		mach.SendInvalidRight)
	if released != 1 {
		t.Fatalf("after a message that could not be sent: %d", released)
	}
	a.ok(send(names))
	if released != 2 {
		t.Fatalf("after an array of ports: %d", released)
	}
	a.ok(send(ool(), ool()))
	a.Terminate()
	if released != 4 {
		t.Fatalf("after the death of the receiver: %d", released)
	}
	a.want(a.t.Msg2(&Args{Options: mach.RcvMsg, Receive: p, Room: 4, Grow: func(n int) []byte { return make([]byte, n) }}),
		mach.RcvInvalidName)
}
