package local_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
	"portcullis.dev/xpc"
)

const honestPath = "/usr/bin/honest"

func honestIdentity() *xpc.Identity {
	return &xpc.Identity{Executable: honestPath, Entitlements: map[string]any{
		"com.example.may": true, "com.example.groups": []any{"a", "b"}, "com.example.no": false}}
}

// TestImpostors lets programs that fall short in one thing each talk to a service. None gets a word in.
func TestImpostors(t *testing.T) {
	honest := token(501, 200, 7)
	for name, c := range map[string]struct {
		token mach.AuditToken
		id    *xpc.Identity
	}{
		"wrong user":       {token(502, 300, 1), honestIdentity()},
		"wrong executable": {token(501, 300, 1), &xpc.Identity{Executable: "/tmp/honest", Entitlements: honestIdentity().Entitlements}},
		"no entitlement":   {token(501, 300, 1), &xpc.Identity{Executable: honestPath}},
		"false entitlement": {token(501, 300, 1), &xpc.Identity{Executable: honestPath,
			Entitlements: map[string]any{"com.example.may": false, "com.example.groups": []any{"b"}}}},
		"wrong value": {token(501, 300, 1), &xpc.Identity{Executable: honestPath,
			Entitlements: map[string]any{"com.example.may": true, "com.example.groups": []any{"c"}}}},
		// The process id of the honest client, which is gone, and what is known of that one.
		"reused process id": {token(501, 200, 8), nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ctx := inTime(t)
			server := w.start(rules.Level2)
			l := server.offer("s")
			l.Require(xpc.RequireAll(xpc.RequireUID(0, 501), xpc.RequireExecutable(honestPath),
				xpc.RequireEntitlement("com.example.may"), xpc.RequireEntitlementValue("com.example.groups", "b")))
			var n atomic.Int64
			serve(t, l, echo(&n))
			friend := w.startAs(rules.Level2, honest, honestIdentity())
			good := friend.dial("s")
			good.Activate(nil)
			if _, err := good.Call(ctx, dict()); err != nil {
				t.Fatalf("the honest client: %v", err)
			}
			if c.id == nil {
				friend.Terminate()
				w.who.Remove(honest)
			}
			attacker := w.startAs(rules.Level2, c.token, c.id)
			bad := attacker.dial("s")
			r := newRecorder()
			bad.Activate(r)
			bad.Send(ctx, dict())
			if d, err := bad.Call(ctx, dict()); !errors.Is(err, xpc.ErrInterrupted) {
				t.Errorf("the attacker got %v, %v", d, err)
			}
			if n.Load() != 1 {
				t.Errorf("the service handled %d messages", n.Load())
			}
			bad.Cancel()
			good.Cancel()
			l.Close()
			w.end()
		})
	}
}

// TestFalseService checks that a client whose requirement the service does not meet takes nothing from it.
func TestFalseService(t *testing.T) {
	for _, r := range []xpc.Requirement{xpc.RequireUID(0), xpc.RequireExecutable(honestPath),
		xpc.RequireAny(xpc.RequireUID(0), xpc.RequireEntitlement("com.example.may"))} {
		w := newWorld(t)
		ctx := inTime(t)
		server, client := w.start(rules.Level2), w.start(rules.Level2)
		l := server.offer("s")
		var n atomic.Int64
		serve(t, l, echo(&n))
		c := client.dial("s")
		c.Require(r)
		heard := newRecorder()
		c.Activate(heard)
		if d, err := c.Call(ctx, dict()); d != nil || !errors.Is(err, xpc.ErrPeer) {
			t.Errorf("%v, %v", d, err)
		}
		if e := <-heard.all; e == "interrupted" {
			t.Errorf("heard %q", e)
		}
		l.Close()
		w.end()
	}
}

// TestStolenRight lets a process use a right to somebody else's connection, which it can have from nobody but the
// kernel itself. The service notices that the sender is another one and ends the connection.
func TestStolenRight(t *testing.T) {
	w := newWorld(t)
	ctx := inTime(t)
	server, client, thief := w.start(rules.Level2), w.start(rules.Level2), w.start(rules.Level2)
	l := server.offer("s")
	r := newRecorder()
	peers := make(chan *xpc.Connection, 1)
	go l.Serve(ctx, func(c *xpc.Connection) { c.Activate(r); peers <- c })
	c := client.dial("s")
	heard := newRecorder()
	c.Activate(heard)
	if err := c.Send(ctx, dict("say", xpc.String("mine"))); err != nil {
		t.Fatal(err)
	}
	r.wait(t, "mine")
	names, types, _ := server.Task.Space.Names()
	for i, n := range names {
		if types[i]&mach.TypeReceive == 0 {
			continue
		}
		p, kr := server.Task.Space.ReceivePort(n)
		if kr != 0 || p.Type() != mach.PortTypeConnection {
			continue
		}
		name, kr := thief.Task.Space.InsertSend(p.MakeSend(), false)
		w.ok(kr)
		th, _ := thief.Task.Task.NewThread(object.PThread, nil, nil)
		m := make([]byte, mach.HeaderSize+20)
		(&mach.Header{Bits: mach.MakeBits(mach.CopySend, 0, 0), Size: uint32(len(m)), Remote: name, ID: 0x10000000}).Encode(m)
		copy(m[mach.HeaderSize:], "CPX@\x05\x00\x00\x00\x00\xf0\x00\x00\x04\x00\x00\x00")
		w.ok(th.IPC.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendMQCall, Send: m}))
		w.ok(thief.Task.Space.Deallocate(th.IPC, name))
		th.Terminate()
	}
	if got := <-r.all; got != "xpc: the peer does not meet the requirement: a message came from process 103, not from 102" {
		t.Errorf("the service heard %q", got)
	}
	heard.wait(t, "interrupted")
	c.Cancel()
	l.Close()
	w.end()
}

// rawServer receives the check-in and the first message of a client as a program does that knows Mach and means ill. It
// returns the header of the message.
func (p *program) rawServer(t testing.TB, port mach.Name) (*object.Thread, mach.Header) {
	t.Helper()
	th, _ := p.Task.Task.NewThread(object.PThread, nil, nil)
	b := make([]byte, 4096)
	p.w.ok(th.IPC.Msg2(&ipc.Args{Options: mach.RcvMsg, Receive: port, Buffer: b}))
	var d mach.Descriptor
	d.Decode(b[28:])
	p.w.ok(th.IPC.Msg2(&ipc.Args{Options: mach.RcvMsg, Receive: d.Name, Buffer: b}))
	var h mach.Header
	h.Decode(b)
	return th, h
}

// TestReplyDiversion lets a service pass the right to answer on to an accomplice, in every way there is. The kernel
// refuses at every level, and kills from level 1 on; the client learns that there is no answer.
func TestReplyDiversion(t *testing.T) {
	for _, level := range levels {
		for _, how := range []mach.Disposition{mach.MoveSendOnce, mach.MoveSend, mach.CopySend, mach.MakeSend} {
			w := newWorld(t)
			w.quiet = true
			ctx := inTime(t)
			server, client, accomplice := w.start(level), w.start(level), w.start(level)
			port := server.offerRaw("s")
			box, kr := accomplice.Task.Space.Allocate(nil, mach.RightReceive)
			w.ok(kr)
			c := client.dial("s")
			c.Activate(nil)
			failed := make(chan error, 1)
			go func() { _, err := c.Call(ctx, dict("secret", xpc.String("for the service alone"))); failed <- err }()
			th, h := server.rawServer(t, port)
			right, kr := accomplice.Task.Space.ReceivePort(box)
			w.ok(kr)
			there, kr := server.Task.Space.InsertSend(right.MakeSend(), false)
			w.ok(kr)
			m := make([]byte, 40)
			(&mach.Header{Bits: mach.BitsComplex | mach.MakeBits(mach.CopySend, 0, 0), Size: 40, Remote: there}).Encode(m)
			m[24] = 1
			(&mach.Descriptor{Name: h.Remote, Disposition: how}).Encode(m[28:])
			kr = th.IPC.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendMQCall, Send: m})
			if kr == 0 {
				t.Errorf("level %v: the right to answer went away as %v", level, how)
			}
			killed := false
			for _, v := range restrict.Of(th.IPC).Return(kr) {
				killed = killed || v.Fate == restrict.Killed
			}
			if want := level >= rules.Level1 || how != mach.MoveSendOnce; killed != want {
				t.Errorf("level %v, %v: killed %v, want %v", level, how, killed, want)
			}
			server.Terminate()
			if err := <-failed; !errors.Is(err, xpc.ErrInterrupted) {
				t.Errorf("the client heard %v", err)
			}
			c.Cancel()
			w.end()
		}
	}
}

// TestForgedAnswer lets somebody who is not the service answer, with a send right to the reply port that no program can
// get. Even so the kernel does not take the answer, and the client gets that of the service.
func TestForgedAnswer(t *testing.T) {
	w := newWorld(t)
	ctx := inTime(t)
	server, client, forger := w.start(rules.Level2), w.start(rules.Level2), w.start(rules.Level2)
	l := server.offer("s")
	held := make(chan *xpc.Message, 1)
	go l.Serve(ctx, func(c *xpc.Connection) {
		c.Activate(xpc.HandlerFuncs{Message: func(m *xpc.Message) {
			if m.Bool("hold") {
				m.Hold()
				held <- m
				return
			}
			m.Reply(dict())
		}})
	})
	c := client.dial("s")
	c.Activate(nil)
	if _, err := c.Call(ctx, dict()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := c.Call(ctx, dict("hold", xpc.Bool(true))); done <- err }()
	m := <-held
	tried := 0
	names, types, _ := client.Task.Space.Names()
	for i, n := range names {
		if types[i]&mach.TypeReceive == 0 {
			continue
		}
		p, kr := client.Task.Space.ReceivePort(n)
		if kr != 0 || p.Type() != mach.PortTypeSpecialReply {
			continue
		}
		// A send-once right, made as no program can make it.
		name, kr := forger.Task.Space.InsertSend(p.MakeSend(), false)
		w.ok(kr)
		th, _ := forger.Task.Task.NewThread(object.PThread, nil, nil)
		b := make([]byte, mach.HeaderSize+20)
		(&mach.Header{Bits: mach.MakeBits(mach.CopySend, 0, 0), Size: uint32(len(b)), Remote: name, ID: 0x20000000}).Encode(b)
		copy(b[mach.HeaderSize:], "CPX@\x05\x00\x00\x00\x00\xf0\x00\x00\x04\x00\x00\x00")
		kr = th.IPC.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendMQCall | mach.SendTimeout, Send: b})
		if tried++; kr != mach.SendInvalidDest {
			t.Errorf("the kernel took a forged answer: %v", kr)
		}
		restrict.Of(th.IPC).Return(0)
		th.Terminate()
	}
	if tried == 0 {
		t.Error("there was no reply port to try")
	}
	m.Reply(dict())
	if err := <-done; err != nil {
		t.Errorf("the true answer: %v", err)
	}
	c.Cancel()
	l.Close()
	w.end()
}

// TestForgedNotification sends a service what the kernel alone may say: that nobody holds rights to its ports any more.
func TestForgedNotification(t *testing.T) {
	w := newWorld(t)
	ctx := inTime(t)
	server, client, attacker := w.start(rules.Level2), w.start(rules.Level2), w.start(rules.Level2)
	l := server.offer("s")
	var n atomic.Int64
	serve(t, l, echo(&n))
	c := client.dial("s")
	c.Activate(nil)
	if _, err := c.Call(ctx, dict()); err != nil {
		t.Fatal(err)
	}
	th, _ := attacker.Task.Task.NewThread(object.PThread, nil, nil)
	right, _ := w.launchd.Space.SendPort(w.services["s"])
	name, kr := attacker.Task.Space.InsertSend(right.CopySend(), false)
	w.ok(kr)
	for _, id := range []int32{mach.NotifyNoSenders, mach.NotifySendOnce, mach.NotifyDeadName, 0x77303074, 0x10000000} {
		for _, size := range []uint32{24, 36, 52} {
			m := make([]byte, size)
			(&mach.Header{Bits: mach.MakeBits(mach.CopySend, 0, 0), Size: size, Remote: name, ID: id}).Encode(m)
			w.ok(th.IPC.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendMQCall, Send: m}))
		}
	}
	if _, err := c.Call(ctx, dict()); err != nil || n.Load() != 2 {
		t.Errorf("the connection of another client: %v, %d messages", err, n.Load())
	}
	other := client.dial("s")
	other.Activate(nil)
	if _, err := other.Call(ctx, dict()); err != nil {
		t.Errorf("a new connection: %v", err)
	}
	c.Cancel()
	other.Cancel()
	l.Close()
	w.end()
}

// TestSquatting lets a program move on a service port that it was given: nobody else can be made the service.
func TestSquatting(t *testing.T) {
	w := newWorld(t)
	w.quiet = true
	server, accomplice := w.start(rules.Level2), w.start(rules.Level2)
	port := server.offerRaw("s")
	box, _ := accomplice.Task.Space.Allocate(nil, mach.RightReceive)
	right, _ := accomplice.Task.Space.ReceivePort(box)
	there, _ := server.Task.Space.InsertSend(right.MakeSend(), false)
	th, _ := server.Task.Task.NewThread(object.PThread, nil, nil)
	m := make([]byte, 40)
	(&mach.Header{Bits: mach.BitsComplex | mach.MakeBits(mach.CopySend, 0, 0), Size: 40, Remote: there}).Encode(m)
	m[24] = 1
	(&mach.Descriptor{Name: port, Disposition: mach.MoveReceive}).Encode(m[28:])
	kr := th.IPC.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendMQCall, Send: m})
	seen := restrict.Of(th.IPC).Return(kr)
	if kr == 0 || len(seen) != 1 || seen[0].Fate != restrict.Killed {
		t.Errorf("%v, %+v", kr, seen)
	}
	w.end()
}
