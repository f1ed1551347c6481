package restrict_test

import (
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// guards ends a call of p and compares what it ran into.
func (p *person) guards(kr, wantKR mach.KernReturn, want ipc.Guard, payload uint64) {
	p.w.Helper()
	seen := restrict.Of(p.t).Return(kr)
	switch {
	case kr != wantKR:
		p.w.Errorf("the call returned %v, want %v", kr, wantKR)
	case want == 0 && len(seen) != 0:
		p.w.Errorf("guard %v, want none", seen[0].Code)
	case want != 0 && (len(seen) != 1 || seen[0].Guard() != want || seen[0].Subcode != payload):
		p.w.Errorf("guards %+v, want %#x with %#x", seen, want, payload)
	}
}

// TestServicePortsComeHome follows a service port as launchd uses it: handed to the service, and back with a
// port-destroyed notification when the service goes, to be handed out again.
func TestServicePortsComeHome(t *testing.T) {
	w := newWorld(t, restrict.ForLevel(rules.Level2))
	l := w.launchd
	arm := func(who *person, n, to mach.Name) mach.KernReturn {
		_, kr := who.RequestNotification(who.t, n, mach.NotifyPortDestroyed, 0, to, mach.MakeSendOnce)
		return kr
	}
	service := l.service(0, mach.EnforceReplyPortSemantics)
	l.guards(arm(l, service, l.plain()), mach.KernInvalidRight, ipc.GuardKernFailure, 2) // to a movable port
	home := l.construct(ipc.ConstructOptions{Flags: mach.ImmovableReceive})
	foreign := w.peer.construct(ipc.ConstructOptions{Flags: mach.ImmovableReceive})
	once, _, kr := w.peer.ExtractRight(l.t, foreign, mach.MakeSendOnce)
	w.ok(kr)
	_, kr = l.RequestNotification(l.t, service, mach.NotifyPortDestroyed, 0, once, mach.MoveSendOnce)
	l.guards(kr, mach.KernInvalidRight, ipc.GuardKernFailure, 3) // to somebody else
	w.ok(arm(l, service, home))
	there := l.hand(w.offender, service)
	w.offender.guards(arm(w.offender, there, w.offender.plain()), mach.KernInvalidRight, ipc.GuardInvalidNotification, 69)
	w.offender.Terminate()
	buf := make([]byte, 256)
	w.ok(l.t.Msg2(&ipc.Args{Options: mach.RcvMsg | mach.RcvTimeout, Receive: home, Buffer: buf}))
	var d mach.Descriptor
	d.Decode(buf[mach.HeaderSize+mach.BodySize:])
	if d.Name != service {
		t.Errorf("the port came home as %v, was %v", d.Name, service)
	}
	l.hand(w.peer, d.Name)
	w.end()
}

// TestServicePortsKeepTheirGuard: the guard of a service port is off while the service has it, and on again at home.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_construct; osfmk/ipc/ipc_right.c, ipc_right_copyout_recv_and_unlock_space.
func TestServicePortsKeepTheirGuard(t *testing.T) {
	for _, f := range []mach.ConstructFlags{0, mach.EnforceReplyPortSemantics} {
		w := newWorld(t, restrict.ForLevel(rules.Level2))
		l := w.launchd
		service := l.construct(ipc.ConstructOptions{Flags: mach.ServicePort | mach.ContextAsGuard | mach.Strict | f,
			Context: 0xfeed, Service: &ipc.ServiceInfo{Name: "com.example.service"}})
		home := l.construct(ipc.ConstructOptions{Flags: mach.ImmovableReceive})
		_, kr := l.RequestNotification(l.t, service, mach.NotifyPortDestroyed, 0, home, mach.MakeSendOnce)
		w.ok(kr)
		there := l.hand(w.offender, service)
		if st, kr := w.offender.ReceiveStatus(there); kr != 0 || st.Flags != 0 && f == 0 {
			t.Errorf("with the service: flags %#x, %v", st.Flags, kr)
		}
		w.ok(w.offender.ModRefs(w.offender.t, there, mach.RightReceive, -1))
		w.ok(l.receive(home, 0))
		if st, kr := l.ReceiveStatus(service); kr != 0 || st.Flags != mach.StatusGuarded|mach.StatusStrictGuard {
			t.Errorf("at home: flags %#x, %v", st.Flags, kr)
		}
		l.guards(l.Unguard(l.t, service, 0xbeef), mach.KernInvalidArgument, ipc.GuardIncorrectGuard, 0xfeed)
		w.end()
	}
}

// TestConnectionsComeBack: the receive right of a connection may be sent once, and again if it could not be sent.
//
// Source: XNU osfmk/ipc/ipc_right.c, ipc_right_copyout_recv_and_unlock_space.
func TestConnectionsComeBack(t *testing.T) {
	w := newWorld(t, restrict.Default)
	o := w.offender
	box := w.peer.plain()
	w.ok(w.peer.SetAttributes(box, mach.AttrLimitsInfo, 0))
	slot := w.peer.give(o, box, mach.CopySend)
	n := o.construct(ipc.ConstructOptions{Flags: mach.ConnectionPort, ServiceName: ipc.AnonymousService})
	for range 2 {
		b := message(mach.MakeBits(mach.CopySend, 0, 0), slot, 0, 1, mach.Descriptor{Name: n, Disposition: mach.MoveReceive})
		o.guards(o.msg(mach.SendMQCall, b), mach.SendTimedOut, 0, 0)
	}
	o.hand(w.peer, n)
	w.end()
}

// TestConnectionsOfServices: a connection is derived from a service, which the bootstrap port is not.
func TestConnectionsOfServices(t *testing.T) {
	w := newWorld(t, restrict.Default)
	connect := func(n mach.Name) mach.KernReturn {
		_, kr := w.launchd.Construct(w.launchd.t, &ipc.ConstructOptions{Flags: mach.ConnectionPort, ServiceName: n})
		return kr
	}
	l := w.launchd
	dead, kr := l.Allocate(l.t, mach.RightDeadName)
	w.ok(kr)
	l.guards(connect(l.service(0, 0)), 0, 0, 0)
	l.guards(connect(l.service(ipc.DomainPort, 0)), mach.KernInvalidCapability, 0, 0)
	l.guards(connect(dead), mach.KernInvalidName, 0, 0)
	w.end()
}

// TestNotificationPortRequests: a send-once right to a notification port cannot be watched, a send right can.
//
// Source: XNU osfmk/ipc/ipc_right.c, ipc_right_request_alloc of the newest public tree.
func TestNotificationPortRequests(t *testing.T) {
	w := newWorld(t, restrict.Default)
	n := w.peer.construct(ipc.ConstructOptions{Flags: mach.NotificationPort})
	o := w.offender
	to := o.plain()
	for _, c := range []struct {
		d  mach.Disposition
		kr mach.KernReturn
		g  ipc.Guard
	}{{mach.MakeSend, 0, 0}, {mach.MakeSendOnce, mach.KernDenied, ipc.GuardInvalidNotification}} {
		slot := w.peer.give(o, n, c.d)
		for _, id := range []int32{mach.NotifyDeadName, mach.NotifySendPossible} {
			_, kr := o.RequestNotification(o.t, slot, id, 0, to, mach.MakeSendOnce)
			o.guards(kr, c.kr, c.g, uint64(id))
		}
	}
	w.end()
}

// TestOwnSendRights: a send right that a task makes beside its receive right is not marked immovable on the short way,
// whatever the port is.
//
// Source: XNU osfmk/ipc/ipc_object.c, ipc_object_insert_send_right.
func TestOwnSendRights(t *testing.T) {
	w := newWorld(t, restrict.Default)
	o := w.offender
	n, kr := o.Construct(o.t, &ipc.ConstructOptions{Flags: mach.NotificationPort})
	w.ok(kr)
	w.ok(o.InsertRight(o.t, n, n, mach.MakeSend))
	o.guards(w.moved(n, mach.CopySend), 0, 0, 0)
	o.guards(w.moved(o.construct(ipc.ConstructOptions{Flags: mach.NotificationPort}), mach.CopySend),
		mach.SendInvalidRight, ipc.GuardImmovable, 0x0000000700000013)
	w.end()
}

// TestWeakServicePortRequests checks who may ask for a weak service port back.
func TestWeakServicePortRequests(t *testing.T) {
	w := newWorld(t, restrict.ForLevel(rules.Level2))
	n := w.launchd.hand(w.offender, w.launchd.service(0, 0))
	to := w.offender.construct(ipc.ConstructOptions{Flags: mach.ImmovableReceive})
	_, kr := w.offender.RequestNotification(w.offender.t, n, mach.NotifyPortDestroyed, 0, to, mach.MakeSendOnce)
	w.offender.guards(kr, mach.KernInvalidRight, ipc.GuardKernFailure, 1)
	w.end()
}

// TestSendOptions goes through the words on the kind of destination.
func TestSendOptions(t *testing.T) {
	for _, c := range []struct {
		o    mach.Option
		not  bool // no Mac
		want mach.KernReturn
	}{
		{mach.SendMQCall, false, 0},
		{mach.SendAny, false, 0},
		{mach.SendAny, true, mach.SendInvalidOptions},
		{mach.SendMQCall | mach.SendKobjectCall, false, mach.SendInvalidOptions},
		{mach.SendMQCall | mach.SendAny, false, mach.SendInvalidOptions},
		{mach.SendMQCall | mach.MsgVector, false, 0},
		{mach.SendKobjectCall | mach.MsgVector, false, mach.SendInvalidOptions},
		{mach.SendKobjectCall, false, mach.SendInvalidOptions}, // the destination is a queue
		{mach.SendDKCall, false, mach.SendInvalidOptions},
	} {
		w := newWorld(t, restrict.Default)
		w.r.NotMac = c.not
		kr := w.offender.msg(c.o, message(mach.MakeBits(mach.CopySend, 0, 0), w.offender.plain(), 0, 1))
		seen := restrict.Of(w.offender.t).Return(kr)
		if kr != c.want || (len(seen) == 1) != (kr != 0) {
			t.Errorf("%v (no Mac: %v): %v, %d guards; want %v", c.o, c.not, kr, len(seen), c.want)
		}
		w.end()
	}
}

// TestDestinations checks kernel objects and timers against what the options promise.
func TestDestinations(t *testing.T) {
	for _, c := range []struct {
		typ    mach.PortType
		policy restrict.Policy
		sdk    int
		o      mach.Option
		want   mach.KernReturn
	}{
		{mach.PortTypeTimer, restrict.Default, 0, mach.SendMQCall, 0},
		{mach.PortTypeTimer, restrict.Default, 0, mach.SendKobjectCall, mach.SendInvalidOptions},
		{mach.PortTypeTimer, restrict.ForLevel(rules.LevelHardenedRuntime), 0, mach.SendMQCall, mach.SendInvalidOptions},
		{mach.PortTypeUEXTObject, restrict.Default, 0, mach.SendDKCall, 0},
		{mach.PortTypeUEXTObject, restrict.Default, 0, mach.SendKobjectCall, mach.SendInvalidOptions},
		{mach.PortTypeHost, restrict.Default, 0, mach.SendKobjectCall, mach.SendInvalidOptions}, // nothing received
		{mach.PortTypeHost, restrict.Default, 14, mach.SendKobjectCall, 0},
		{mach.PortTypeHost, restrict.Default, 14, mach.SendKobjectCall | mach.MsgVector, mach.SendInvalidOptions},
		{mach.PortTypeHost, restrict.Default, 15, mach.SendKobjectCall, mach.SendInvalidOptions},
		{mach.PortTypeHost, restrict.ForLevel(rules.Level1), 14, mach.SendKobjectCall, mach.SendInvalidOptions},
	} {
		w := newWorld(t, c.policy)
		w.offender.task.SDK = c.sdk
		kr := w.offender.msg(c.o, message(mach.MakeBits(mach.CopySend, 0, 0), w.offender.object(c.typ), 0, 1))
		if kr != c.want {
			t.Errorf("%+v: %v", c, kr)
		}
		w.end()
	}
}

// TestForeignSpaces checks that who acts on another task's space is not blamed for what that task may not lose.
func TestForeignSpaces(t *testing.T) {
	w := newWorld(t, restrict.ForLevel(rules.Level2))
	self := w.offender.taskSelf()
	caller := w.peer
	_, _, kr := w.offender.ExtractRight(caller.t, self, mach.MoveSend)
	caller.guards(kr, mach.KernInvalidCapability, 0, 0) // pinned
	w.ok(w.offender.ModRefs(w.offender.t, self, mach.RightSend, 1))
	_, _, kr = w.offender.ExtractRight(caller.t, self, mach.MoveSend)
	caller.guards(kr, mach.KernInvalidCapability, 0, 0) // immovable
	_, _, kr = w.offender.ExtractRight(w.offender.t, self, mach.CopySend)
	w.offender.guards(kr, 0, 0, 0) // one's own, to oneself
	w.end()
}

// TestPinnedReply sends the last reference of the own task port as the reply port.
func TestPinnedReply(t *testing.T) {
	w := newWorld(t, restrict.ForLevel(rules.Level1))
	self := w.offender.taskSelf()
	kr := w.offender.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, mach.MoveSend, 0), w.offender.plain(),
		self, 1))
	w.offender.guards(kr, mach.SendInvalidReply, ipc.GuardModRefs, 3)
	w.end()
}

// TestLaunchdIsReported checks that the first process, where it is no platform binary, is reported and not killed.
func TestLaunchdIsReported(t *testing.T) {
	task := &restrict.Task{Policy: restrict.Default, Launchd: true}
	task.SetBehavior(task.DefaultBehavior())
	w := newWorld(t, restrict.Default)
	p := w.join(task)
	kr := p.Deallocate(p.t, 0x7703)
	if seen := restrict.Of(p.t).Return(kr); len(seen) != 1 || seen[0].Fate != restrict.Reported {
		t.Errorf("%+v", seen)
	}
	p.Terminate()
	w.end()
}

// TestServicePortFlags checks that a guard on a service port must be a strict one, and that a throttle stays with the
// port of a service and with no other.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_construct_check_service_port and mach_port_get_attributes.
func TestServicePortFlags(t *testing.T) {
	w := newWorld(t, restrict.ForLevel(rules.Level2))
	l := w.launchd
	info := &ipc.ServiceInfo{Name: "com.example.service"}
	_, kr := l.Construct(l.t, &ipc.ConstructOptions{Flags: mach.ServicePort | mach.ContextAsGuard, Context: 1,
		Service: info})
	l.guards(kr, mach.KernInvalidArgument, 0, 0)
	n := l.construct(ipc.ConstructOptions{Flags: mach.ServicePort | mach.ContextAsGuard | mach.Strict, Context: 1,
		Service: info})
	for _, want := range []uint32{0, 1, 0} {
		w.ok(l.SetAttributes(n, mach.AttrServiceThrottled, want))
		got, kr := l.Attributes(n, mach.AttrServiceThrottled)
		if w.ok(kr); got != want {
			t.Errorf("throttled %d, want %d", got, want)
		}
	}
	_, kr = l.Attributes(l.service(ipc.DomainPort, 0), mach.AttrServiceThrottled)
	l.guards(kr, mach.KernInvalidCapability, 0, 0)
	w.end()
}

// TestRequestsForNoName checks that a request for a name that none can have is refused before anything is looked at.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_request_notification.
func TestRequestsForNoName(t *testing.T) {
	w := newWorld(t, restrict.ForLevel(rules.Level2))
	o := w.offender
	to := o.construct(ipc.ConstructOptions{Flags: mach.ExceptionPort})
	for _, id := range []int32{mach.NotifyPortDestroyed, mach.NotifyNoSenders, mach.NotifyDeadName, 1} {
		for _, name := range []mach.Name{0, mach.DeadName} {
			_, kr := o.RequestNotification(o.t, name, id, 0, to, mach.MakeSendOnce)
			o.guards(kr, mach.KernInvalidArgument, 0, 0)
		}
	}
	// The right to notify comes back unused, and says so.
	if st, kr := o.ReceiveStatus(to); kr != 0 || st.Messages != 8 || st.SendOnceRights != 8 {
		t.Errorf("%v, %+v", kr, st)
	}
	w.end()
}

// TestNotifyRights: what stands for the port to notify, if it is no right that can be taken.
//
// Source: XNU osfmk/ipc/mach_kernelrpc.c, _kernelrpc_mach_port_request_notification_trap, which leaves to the message
// what it does not know.
func TestNotifyRights(t *testing.T) {
	w := newWorld(t, restrict.Default)
	o := w.offender
	n := o.plain()
	once := w.peer.give(o, w.peer.construct(ipc.ConstructOptions{Flags: mach.NotificationPort}), mach.MakeSendOnce)
	for _, c := range []struct {
		notify  mach.Name
		d       mach.Disposition
		kr      mach.KernReturn
		g       ipc.Guard
		payload uint64
	}{
		{n, mach.MakeSend, mach.MigTypeError, 0, 0},
		{0, mach.MakeSend, mach.MigTypeError, 0, 0},
		{mach.DeadName, mach.MoveSendOnce, mach.KernInvalidCapability, 0, 0},
		{0x7703, mach.MoveSendOnce, mach.KernInvalidName, 0, 0},
		{once, mach.MoveSendOnce, mach.KernInvalidCapability, ipc.GuardImmovable, 7<<32 | 18},
		{0, mach.MoveSendOnce, 0, 0, 0},
	} {
		_, kr := o.RequestNotification(o.t, n, mach.NotifyNoSenders, 0, c.notify, c.d)
		o.guards(kr, c.kr, c.g, c.payload)
	}
	w.end()
}
