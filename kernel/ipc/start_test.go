package ipc

import (
	"testing"
	"time"

	"portcullis.dev/mach"
)

// TestStartMsg2 receives without a sleeping thread: each way in which a wait ends.
func TestStartMsg2(t *testing.T) {
	k := New(Config{Clock: realClock{}})
	a := newTask(t, k, 1)
	bits := mach.MakeBits(mach.CopySend, 0, 0)
	send := func(p mach.Name, body string) {
		b := a.NewThread(nil)
		a.ok(b.Msg2(&Args{Options: mach.SendMsg | mach.SendMQCall, Send: message(bits, p, 0, 7, []byte(body))}))
	}
	var buf []byte
	args := func(p mach.Name, o mach.Option) *Args {
		buf = make([]byte, 256)
		return &Args{Options: mach.RcvMsg | o, Receive: p, Buffer: buf, Timeout: 1}
	}
	woken := make(chan struct{}, 1)
	wakeup := func() { woken <- struct{}{} }
	finish := func(want mach.KernReturn) {
		t.Helper()
		select {
		case <-woken:
		case <-time.After(10 * time.Second):
			t.Fatal("never woken")
		}
		a.want(a.t.FinishMsg2(), want)
		a.ok(mach.KernReturn(len(woken)))
	}
	wait := func(p mach.Name, o mach.Option) {
		t.Helper()
		if kr, waiting := a.t.StartMsg2(args(p, o), wakeup); kr != 0 || !waiting {
			t.Fatalf("started with %v, waiting %v", kr, waiting)
		}
	}

	p := a.port()
	send(p, "here")
	if kr, waiting := a.t.StartMsg2(args(p, 0), wakeup); kr != 0 || waiting || string(buf[24:28]) != "here" {
		t.Fatalf("a message that is there: %v, waiting %v", kr, waiting)
	}
	if kr, waiting := a.t.StartMsg2(args(0x9903, 0), wakeup); kr != mach.RcvInvalidName || waiting {
		t.Fatalf("no such name: %v, waiting %v", kr, waiting)
	}
	wait(p, 0)
	send(p, "late")
	finish(0)
	if string(buf[24:28]) != "late" {
		t.Fatalf("received %q", buf[24:28])
	}
	wait(p, mach.RcvTimeout)
	finish(mach.RcvTimedOut)
	wait(p, 0)
	a.t.Interrupt()
	finish(mach.RcvInterrupted)
	set, kr := a.Allocate(a.t, mach.RightPortSet)
	a.ok(kr)
	a.ok(a.InsertMember(a.t, p, set))
	wait(set, 0)
	send(p, "sets")
	finish(0)
	wait(set, 0)
	a.ok(a.ModRefs(a.NewThread(nil), set, mach.RightPortSet, -1))
	finish(mach.RcvPortChanged)
	wait(p, 0)
	send(p, "next") // nobody is left in the line of the dead set
	finish(0)
	wait(p, 0)
	a.ok(a.ModRefs(a.NewThread(nil), p, mach.RightReceive, -1))
	finish(mach.RcvPortChanged)
	q := a.port()
	wait(q, 0)
	a.t.Kill()
	finish(mach.RcvInterrupted)
	a.Terminate()
}
