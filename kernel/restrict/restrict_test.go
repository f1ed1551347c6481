package restrict_test

import (
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// TestApplies mirrors the matrix of XNU's host-run test of ipc_should_apply_policy.
func TestApplies(t *testing.T) {
	levels := rules.Levels()
	versions := []restrict.Policy{restrict.EnhancedV0, restrict.EnhancedV1, restrict.EnhancedV2, restrict.EnhancedV3}
	for _, l := range levels {
		p := restrict.ForLevel(l)
		if p.Level() != l {
			t.Errorf("%v is level %v, want %v", p, p.Level(), l)
		}
		if !p.Applies(restrict.Default) {
			t.Errorf("%v is not bound by what binds everybody", p)
		}
		for i, v := range versions {
			// Levels 1 to 5 are versions 0 to 3 and the platform.
			if want := int(l) > i; p.Applies(v) != want {
				t.Errorf("%v.Applies(%v) is %v", p, v, !want)
			}
			for _, x := range []restrict.Policy{restrict.Simulated, restrict.Translated, restrict.OptedOut} {
				if (p | x).Applies(v) || (p | x).Applies(restrict.Default) {
					t.Errorf("%v is bound", p|x)
				}
			}
		}
		if p.Applies(restrict.Contained) || !(p | restrict.Contained).Applies(restrict.Contained) {
			t.Errorf("%v: containment is wrong", p)
		}
	}
}

// TestLocalPort goes through every level, destination and reply port, as XNU's host-run test of
// ipc_validate_local_port does.
func TestLocalPort(t *testing.T) {
	type dest struct {
		name string
		make func(w *world) mach.Name
		from rules.Level // level from which a plain reply port is a violation; Never if it is none
		weak bool        // a weak reply port will do
	}
	dests := []dest{
		{"plain", func(w *world) mach.Name { return w.peer.give(w.offender, w.peer.plain(), mach.CopySend) },
			rules.Never, true},
		{"enforcing", func(w *world) mach.Name {
			return w.peer.give(w.offender, w.peer.construct(ipc.ConstructOptions{Flags: mach.EnforceReplyPortSemantics}),
				mach.CopySend)
		}, rules.LevelNone, true},
		{"service", func(w *world) mach.Name {
			return w.launchd.give(w.offender, w.launchd.service(0, mach.EnforceReplyPortSemantics), mach.CopySend)
		}, rules.LevelNone, true},
		{"weak service", func(w *world) mach.Name {
			return w.launchd.give(w.offender, w.launchd.service(0, 0), mach.CopySend)
		}, rules.Never, true},
		{"bootstrap", func(w *world) mach.Name {
			return w.launchd.give(w.offender, w.launchd.service(ipc.DomainPort, 0), mach.CopySend)
		}, rules.Level2, true},
		{"kernel object", func(w *world) mach.Name { return w.offender.object(mach.PortTypeHost) }, rules.Level1, false},
	}
	replies := map[string]func(w *world) mach.Name{
		"none":  func(*world) mach.Name { return 0 },
		"plain": func(w *world) mach.Name { return w.offender.plain() },
		"weak": func(w *world) mach.Name {
			w.offender.task.Entitlements = map[string]bool{restrict.WeakReplyEntitlement: true}
			n, kr := w.offender.Construct(w.offender.t, &ipc.ConstructOptions{Flags: mach.WeakReplyPort})
			w.ok(kr)
			return n
		},
		"special": func(w *world) mach.Name { return w.offender.t.SpecialReplyPort() },
		"reply": func(w *world) mach.Name {
			n, kr := w.offender.Construct(w.offender.t, &ipc.ConstructOptions{Flags: mach.ReplyPort})
			w.ok(kr)
			return n
		},
	}
	for _, l := range rules.Levels() {
		for _, d := range dests {
			for name, reply := range replies {
				w := newWorld(t, restrict.ForLevel(l))
				r, disp := reply(w), mach.MakeSendOnce
				if r == 0 {
					disp = 0
				}
				real := name == "special" || name == "reply" && l >= rules.Level1
				weak := name == "weak" || name == "reply" && l < rules.Level1
				want := mach.KernReturn(0)
				if d.from != rules.Never && l >= d.from && name != "none" && !real && !(weak && d.weak) {
					want = mach.SendInvalidReply
				}
				o := mach.SendMQCall
				if d.name == "kernel object" {
					o = mach.SendKobjectCall | mach.RcvMsg | mach.RcvTimeout
				}
				box := r
				if box == 0 {
					box = w.offender.plain()
				}
				to := d.make(w)
				kr := w.offender.t.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendTimeout | o,
					Send: message(mach.MakeBits(mach.CopySend, disp, 0), to, r, 1), Receive: box, Buffer: make([]byte, 128)})
				if kr == mach.RcvTimedOut { // nobody answers a call without a reply port
					kr = 0
				}
				seen := restrict.Of(w.offender.t).Return(kr)
				if kr != want || (len(seen) == 1) != (want != 0) {
					t.Errorf("level %v, %s, reply port %s: %v and %d guards, want %v", l, d.name, name, kr, len(seen), want)
				}
				w.end()
			}
		}
	}
}

// TestThreadSetState mirrors XNU's host-run test of thread_set_state_allowed.
func TestThreadSetState(t *testing.T) {
	r := &restrict.Restrictions{}
	k := ipc.New(ipc.Config{Restrictions: r})
	w := &world{TB: t, k: k, r: r}
	self := w.join(restrict.NewTask(restrict.ForLevel(rules.Level2)))
	at := func(l rules.Level) *restrict.Task { return restrict.NewTask(restrict.ForLevel(l)) }
	debugged := at(rules.Level2)
	debugged.Debugged = true
	pac := at(rules.LevelNone)
	pac.FatalPAC = true
	simulated := restrict.NewTask(restrict.ForLevel(rules.Level3) | restrict.Simulated)
	for _, c := range []struct {
		what string
		a    restrict.SetThreadState
		not  bool // a system that is no Mac
		want mach.KernReturn
	}{
		{"registers, none", restrict.SetThreadState{Target: at(rules.LevelNone), FromUser: true, Flavor: 6}, false, 0},
		{"registers, V0", restrict.SetThreadState{Target: at(rules.LevelHardenedRuntime), FromUser: true, Flavor: 6},
			false, 0},
		{"registers, V1", restrict.SetThreadState{Target: at(rules.Level1), FromUser: true, Flavor: 6}, false,
			mach.KernNoAccess},
		{"vectors, V3", restrict.SetThreadState{Target: at(rules.Level3), FromUser: true, Flavor: 17}, false, 0},
		{"simulated", restrict.SetThreadState{Target: simulated, FromUser: true, Flavor: 6}, false, 0},
		{"in exception, own", restrict.SetThreadState{Target: self.task, FromUser: true, InException: true, Flavor: 6},
			false, 0},
		{"in exception, V1", restrict.SetThreadState{Target: at(rules.Level1), FromUser: true, InException: true, Flavor: 6},
			false, 0},
		{"in exception, V1, iOS", restrict.SetThreadState{Target: at(rules.Level1), FromUser: true, InException: true,
			Flavor: 6}, true, mach.KernNoAccess},
		{"in exception, V2", restrict.SetThreadState{Target: at(rules.Level2), FromUser: true, InException: true, Flavor: 17},
			false, mach.KernNoAccess},
		{"in exception, debugged", restrict.SetThreadState{Target: debugged, FromUser: true, InException: true, Flavor: 6},
			false, 0},
		{"not in exception, debugged", restrict.SetThreadState{Target: debugged, FromUser: true, Flavor: 6}, false,
			mach.KernNoAccess},
		{"debug registers, fatal PAC", restrict.SetThreadState{Target: pac, FromUser: true, Flavor: 15}, false,
			mach.KernNoAccess},
		{"answer to an exception", restrict.SetThreadState{Target: at(rules.Level3), InException: true, Flavor: 6},
			false, 0},
	} {
		c.a.CPU = "arm64"
		r.NotMac = c.not
		if got := r.SetThreadState(self.t, &c.a); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
		restrict.Of(self.t).Return(0)
	}
	self.task.Entitlements = map[string]bool{restrict.ThreadStateEntitlement: true}
	r.NotMac = false
	if kr := r.SetThreadState(self.t, &restrict.SetThreadState{Target: at(rules.Level3), FromUser: true, Flavor: 6,
		CPU: "arm64"}); kr != 0 {
		t.Errorf("entitled: %v", kr)
	}
}

// TestSetExceptionPorts goes through the order of checks and the allowed behaviours.
func TestSetExceptionPorts(t *testing.T) {
	r := &restrict.Restrictions{}
	k := ipc.New(ipc.Config{Restrictions: r})
	w := &world{TB: t, k: k, r: r}
	port := func(typ mach.PortType) *ipc.Port { return k.NewObjectPort(typ, nil) }
	plain := port(mach.PortTypePlain)
	one := restrict.NewTask(restrict.ForLevel(rules.Level1))
	one.Entitlements = map[string]bool{restrict.OneExceptionEntitlement: true}
	level := func(l rules.Level) *restrict.Task { return restrict.NewTask(restrict.ForLevel(l)) }
	for _, c := range []struct {
		what string
		a    restrict.SetExceptionPorts
		want mach.KernReturn
	}{
		{"mask", restrict.SetExceptionPorts{Mask: 1, Port: plain, Behavior: 9, Flavor: 99}, mach.KernInvalidArgument},
		{"behaviour", restrict.SetExceptionPorts{Mask: 2, Port: plain, Behavior: 6}, mach.KernInvalidArgument},
		{"reply port", restrict.SetExceptionPorts{Excepting: level(rules.LevelNone), Mask: 2,
			Port: port(mach.PortTypeReply), Behavior: 1}, mach.KernInvalidRight},
		{"bootstrap port", restrict.SetExceptionPorts{Excepting: level(rules.LevelNone), Mask: 2,
			Port: port(mach.PortTypeBootstrap), Behavior: 1}, mach.KernInvalidRight},
		{"reply port for the host", restrict.SetExceptionPorts{Mask: 2, Port: port(mach.PortTypeReply), Behavior: 2}, 0},
		{"service port", restrict.SetExceptionPorts{Mask: 2, Port: port(mach.PortTypeService), Behavior: 2}, 0},
		{"flavor", restrict.SetExceptionPorts{Mask: 2, Port: plain, Behavior: 2, Flavor: 99}, mach.KernInvalidArgument},
		{"protected without codes", restrict.SetExceptionPorts{Mask: 2, Port: plain, Behavior: 4}, mach.KernInvalidArgument},
		{"state protected without codes", restrict.SetExceptionPorts{Mask: 2, Port: plain, Behavior: 5}, 0},
		{"no port", restrict.SetExceptionPorts{Excepting: level(rules.Level3), Mask: 2, Behavior: 0x80000003}, 0},
		{"default below 1", restrict.SetExceptionPorts{Excepting: level(rules.LevelHardenedRuntime), Mask: 2, Port: plain,
			Behavior: 1}, 0},
		{"state at 3", restrict.SetExceptionPorts{Excepting: level(rules.Level3), Mask: 2, Port: plain, Behavior: 2}, 0},
		{"identity at 1", restrict.SetExceptionPorts{Excepting: level(rules.Level1), Mask: 2, Port: plain,
			Behavior: 0x80000003}, mach.KernDenied},
		{"protected at 3", restrict.SetExceptionPorts{Excepting: level(rules.Level3), Mask: 2, Port: plain,
			Behavior: 0x80000004}, 0},
		{"ux handler", restrict.SetExceptionPorts{Excepting: level(rules.Level3), Mask: 2,
			Port: port(mach.PortTypeUXHandler), Behavior: 1}, 0},
		{"only one, no port", restrict.SetExceptionPorts{Excepting: one, Mask: 0x3ffe, Behavior: 1}, mach.KernDenied},
		{"only one, hardened", restrict.SetExceptionPorts{Excepting: one, Mask: 2, Port: port(mach.PortTypeException),
			Behavior: 0x80000005, Hardened: true}, 0},
	} {
		caller := w.join(restrict.NewTask(restrict.Default))
		c.a.CPU = "arm64"
		got := r.SetExceptionPorts(caller.t, &c.a)
		if seen := restrict.Of(caller.t).Return(got); got != c.want || (len(seen) > 0) != (got == mach.KernDenied) {
			t.Errorf("%s: %v with %d guards, want %v", c.what, got, len(seen), c.want)
		}
		caller.task.Entitlements = map[string]bool{restrict.ExceptionPortEntitlement: true}
		if got := r.SetExceptionPorts(caller.t, &c.a); c.want == mach.KernDenied && got != 0 {
			t.Errorf("%s, entitled: %v", c.what, got)
		}
	}
	off := &restrict.Restrictions{System: restrict.System{SIPOff: true}}
	for _, c := range []struct {
		what   string
		r      *restrict.Restrictions
		caller restrict.Policy
		a      restrict.SetExceptionPorts
		want   mach.KernReturn
	}{
		{"default without SIP", off, restrict.Default, restrict.SetExceptionPorts{Excepting: level(rules.Level3)}, 0},
		{"default, translated", r, restrict.Translated, restrict.SetExceptionPorts{Excepting: level(rules.Level3)}, 0},
		{"default, simulated", r, restrict.Simulated, restrict.SetExceptionPorts{}, 0},
		{"only one without SIP", off, restrict.Default, restrict.SetExceptionPorts{Excepting: one}, mach.KernDenied},
		{"only one, translated", r, restrict.Translated, restrict.SetExceptionPorts{Excepting: one}, mach.KernDenied},
	} {
		caller := w.join(restrict.NewTask(c.caller))
		c.a.CPU, c.a.Mask, c.a.Port, c.a.Behavior = "arm64", 2, plain, mach.ExceptionDefault
		if got := c.r.SetExceptionPorts(caller.t, &c.a); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

// raise makes a thread run into guards, in order, within one call.
func raise(p *person, guards ...ipc.Guard) {
	for _, g := range guards {
		p.w.r.Violate(p.t, ipc.Violation{Guard: g, Target: uint32(g)})
	}
}

// TestOneSlot checks which guard of a call is the one.
func TestOneSlot(t *testing.T) {
	const (
		fatal1, fatal2 = ipc.GuardRequireReply, ipc.GuardImmovable
		optional       = ipc.GuardSendInvalidReply
		soft1, soft2   = ipc.GuardMoveWeakReply, ipc.GuardNotificationPort
	)
	for _, c := range []struct {
		behavior restrict.GuardBehavior
		raised   []ipc.Guard
		want     ipc.Guard // 0 for none
		fate     restrict.Fate
	}{
		{0, []ipc.Guard{fatal1, fatal2}, fatal1, restrict.Killed},
		{0, []ipc.Guard{soft1, fatal2, fatal1}, fatal2, restrict.Killed},
		{0, []ipc.Guard{optional, fatal1}, fatal1, restrict.Killed},
		{0x90, []ipc.Guard{optional, fatal1}, optional, restrict.Killed},
		{0x90, []ipc.Guard{soft1, optional}, optional, restrict.Killed},
		{0x50, []ipc.Guard{soft1, optional}, soft1, restrict.Reported},
		{0x50, []ipc.Guard{optional, soft2}, optional, restrict.Reported},
		{0x90, []ipc.Guard{soft1, soft2}, soft1, restrict.Reported},
		{0, []ipc.Guard{optional, soft2}, 0, restrict.Unseen},
		{0x10, []ipc.Guard{optional}, optional, restrict.Offered},
		{0x90, nil, 0, restrict.Unseen},
	} {
		w := newWorld(t, restrict.Default)
		w.offender.task.SetBehavior(c.behavior)
		raise(w.offender, c.raised...)
		seen := restrict.Of(w.offender.t).Return(mach.KernFailure)
		switch {
		case c.want == 0 && len(seen) != 0, c.want != 0 && len(seen) != 1:
			t.Errorf("%+v: %d guards", c, len(seen))
		case c.want != 0 && (seen[0].Guard() != c.want || seen[0].Fate != c.fate || seen[0].Return != mach.KernFailure):
			t.Errorf("%+v: got %+v", c, seen[0])
		}
		if again := restrict.Of(w.offender.t).Return(0); again != nil {
			t.Errorf("%+v: delivered twice", c)
		}
		w.end()
	}
}

// TestOnce checks that MP_ONCE delivers once.
func TestOnce(t *testing.T) {
	w := newWorld(t, restrict.Default)
	w.offender.task.SetBehavior(restrict.MPDeliver | restrict.MPOnce | restrict.MPCorpse)
	for i, want := range []int{1, 0, 0} {
		raise(w.offender, ipc.GuardInvalidName)
		if seen := restrict.Of(w.offender.t).Return(0); len(seen) != want {
			t.Errorf("call %d: %d guards, want %d", i, len(seen), want)
		}
	}
	w.end()
}

// TestAudit checks that an audited task lives and that everything it does is listed.
func TestAudit(t *testing.T) {
	w := newWorld(t, restrict.ForLevel(rules.Level2))
	w.offender.task.Audit = true
	raise(w.offender, ipc.GuardRequireReply, ipc.GuardInvalidName, ipc.GuardMoveWeakReply)
	seen := restrict.Of(w.offender.t).Return(mach.SendInvalidReply)
	if len(seen) != 3 {
		t.Fatalf("%d guards, want 3", len(seen))
	}
	for _, v := range seen {
		if v.Fate == restrict.Killed {
			t.Errorf("%v kills under audit", v.Code)
		}
	}
	w.end()
}

// TestReplyPorts mirrors XNU tests/reply_port_defense.c and tests/ipc/port_type_policy.c where the level table does
// not: what is allowed, and what makes the copies of reply port rights guards.
func TestReplyPorts(t *testing.T) {
	type attempt struct {
		what string
		run  func(w *world, n mach.Name) mach.KernReturn
		want ipc.Guard
		pay  uint64
	}
	for _, c := range []attempt{
		{"COPY_SEND to a reply port", func(w *world, n mach.Name) mach.KernReturn {
			return w.offender.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, 0, 0), n, 0, 1))
		}, ipc.GuardImmovable, 0x0000000a00000013},
		{"MOVE_SEND in a descriptor", func(w *world, n mach.Name) mach.KernReturn { return w.moved(n, mach.MoveSend) },
			ipc.GuardImmovable, 0x0000000a00000011},
		{"MAKE_SEND_ONCE in a descriptor", func(w *world, n mach.Name) mach.KernReturn {
			return w.moved(n, mach.MakeSendOnce)
		}, ipc.GuardInvalidRight, 0x0400000400000015},
		{"insert_right MAKE_SEND under another name", func(w *world, n mach.Name) mach.KernReturn {
			return w.offender.InsertRight(w.offender.t, 0x9903, n, mach.MakeSend)
		}, ipc.GuardImmovable, 0x0000000a00000014},
		{"insert_right MAKE_SEND_ONCE", func(w *world, n mach.Name) mach.KernReturn {
			return w.offender.InsertRight(w.offender.t, 0x9903, n, mach.MakeSendOnce)
		}, ipc.GuardInvalidRight, 0x0400000700000015},
		{"extract_right MAKE_SEND_ONCE", func(w *world, n mach.Name) mach.KernReturn {
			_, _, kr := w.offender.ExtractRight(w.offender.t, n, mach.MakeSendOnce)
			return kr
		}, ipc.GuardInvalidRight, 0x0400000700000015},
		{"reply field MAKE_SEND", func(w *world, n mach.Name) mach.KernReturn {
			return w.offender.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, mach.MakeSend, 0),
				w.peer.give(w.offender, w.peer.plain(), mach.CopySend), n, 1))
		}, ipc.GuardSendInvalidReply, 0x0083000100000014},
		{"reply field MAKE_SEND_ONCE", func(w *world, n mach.Name) mach.KernReturn {
			return w.offender.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, mach.MakeSendOnce, 0),
				w.peer.give(w.offender, w.peer.plain(), mach.CopySend), n, 1))
		}, 0, 0},
		{"insert_right MAKE_SEND under its own name", func(w *world, n mach.Name) mach.KernReturn {
			return w.offender.InsertRight(w.offender.t, n, n, mach.MakeSend)
		}, 0, 0},
	} {
		w := newWorld(t, restrict.ForLevel(rules.Level2))
		n := w.offender.construct(ipc.ConstructOptions{Flags: mach.ReplyPort})
		kr := c.run(w, n)
		seen := restrict.Of(w.offender.t).Return(kr)
		switch {
		case c.want == 0:
			if kr != 0 || len(seen) != 0 {
				t.Errorf("%s: %v and %d guards", c.what, kr, len(seen))
			}
		case len(seen) != 1 || seen[0].Guard() != c.want || seen[0].Subcode != c.pay || kr == 0:
			t.Errorf("%s: %v, %+v; want guard %#x, payload %#x", c.what, kr, seen, c.want, c.pay)
		}
		w.end()
	}
}

// TestConnectionPorts mirrors XNU tests/mach_service_port.c and what port_type_policy.c says of connections.
func TestConnectionPorts(t *testing.T) {
	w := newWorld(t, restrict.ForLevel(rules.Level2))
	o := w.offender
	fail := func(want mach.KernReturn, c ipc.ConstructOptions) {
		t.Helper()
		if _, kr := w.launchd.Construct(w.launchd.t, &c); kr != want {
			t.Errorf("%v: %v, want %v", c.Flags, kr, want)
		}
	}
	fail(mach.KernInvalidArgument, ipc.ConstructOptions{Flags: mach.ServicePort})
	fail(mach.KernInvalidArgument, ipc.ConstructOptions{Flags: mach.ConnectionPort})
	fail(mach.KernInvalidCapability, ipc.ConstructOptions{Flags: mach.ConnectionPort, ServiceName: w.launchd.plain()})
	fail(mach.KernInvalidArgument, ipc.ConstructOptions{Flags: mach.ConnectionPort | mach.ReplyPort})
	fail(mach.KernInvalidArgument, ipc.ConstructOptions{Flags: 0x20000})
	fail(mach.KernInvalidValue, ipc.ConstructOptions{Flags: mach.QueueLimit, QueueLimit: 1025})
	_, kr := o.Construct(o.t, &ipc.ConstructOptions{Flags: mach.ServicePort, Service: &ipc.ServiceInfo{}})
	if kr != mach.KernDenied {
		t.Errorf("a service port by anybody: %v", kr)
	}
	service := w.launchd.hand(o, w.launchd.service(0, mach.StrictServicePort))
	if _, kr := o.Construct(o.t, &ipc.ConstructOptions{Flags: mach.ConnectionPort, ServiceName: service}); kr !=
		mach.KernInvalidRight {
		t.Errorf("a connection for a service one has no send right to: %v", kr)
	}
	w.ok(o.InsertRight(o.t, service, service, mach.MakeSend))
	conn := o.construct(ipc.ConstructOptions{Flags: mach.ConnectionPort, ServiceName: service})
	there := o.hand(w.peer, conn) // moves once
	box := o.give(w.peer, o.plain(), mach.CopySend)
	kr = w.peer.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, 0, 0), box, 0, 1,
		mach.Descriptor{Name: there, Disposition: mach.MoveReceive}))
	seen := restrict.Of(w.peer.t).Return(kr)
	if len(seen) != 1 || seen[0].Guard() != ipc.GuardImmovable {
		t.Errorf("the second move: %v, %+v", kr, seen)
	}
	w.end()
}

// TestControlPorts mirrors XNU tests/imm_pinned_control_port.c beyond the level table.
func TestControlPorts(t *testing.T) {
	w := newWorld(t, restrict.ForLevel(rules.Level2))
	o := w.offender
	self := o.taskSelf()
	guard := func(what string, kr, wantKR mach.KernReturn, want ipc.Guard, payload uint64) {
		t.Helper()
		seen := restrict.Of(o.t).Return(kr)
		if kr != wantKR || (want != 0) != (len(seen) == 1) || want != 0 && (seen[0].Guard() != want ||
			seen[0].Subcode != payload) {
			t.Errorf("%s: %v, %+v", what, kr, seen)
		}
	}
	guard("destroy", o.Destroy(o.t, self), mach.KernInvalidCapability, ipc.GuardModRefs, 2)
	guard("mod_refs", o.ModRefs(o.t, self, mach.RightSend, -1), mach.KernInvalidCapability, ipc.GuardModRefs, 1)
	guard("last reference moved", w.moved(self, mach.MoveSend), mach.SendInvalidRight, ipc.GuardModRefs, 3)
	w.ok(o.ModRefs(o.t, self, mach.RightSend, 1))
	guard("moved", w.moved(self, mach.MoveSend), mach.SendInvalidRight, ipc.GuardImmovable, 0x1100000011)
	guard("deallocated, not the last", o.Deallocate(o.t, self), 0, 0, 0)
	// In the body of a call to the kernel it may go.
	host, reply := o.object(mach.PortTypeHost), o.construct(ipc.ConstructOptions{Flags: mach.ReplyPort})
	guard("sent to the kernel", o.call(mach.SendKobjectCall, message(mach.MakeBits(mach.CopySend, mach.MakeSendOnce, 0),
		host, reply, 200, mach.Descriptor{Name: self, Disposition: mach.CopySend}), reply), 0, 0, 0)
	// Another task's control port moves freely, and one's own if the task is entitled.
	foreign := w.k.NewObjectPort(mach.PortTypeTaskControl, &control{w.peer.task})
	n, kr := o.InsertSend(foreign.MakeSend(), false)
	w.ok(kr)
	guard("foreign", w.moved(n, mach.CopySend), 0, 0, 0)
	if !w.r.CanStash(o.Space, foreign) || w.r.CanStash(o.Space, w.k.NewObjectPort(mach.PortTypeTaskRead, &control{})) {
		t.Error("what may be stashed is wrong")
	}
	foreign.Destroy()
	w.end()
	w = newWorld(t, restrict.ForLevel(rules.Level2))
	w.offender.task.MovableControl = true
	if kr := w.moved(w.offender.taskSelf(), mach.CopySend); kr != 0 {
		t.Errorf("movable by entitlement: %v", kr)
	}
	w.end()
}

// TestLegacyTrap checks who may still use the legacy trap.
func TestLegacyTrap(t *testing.T) {
	for _, c := range []struct {
		policy restrict.Policy
		sdk    int
		bits32 bool
		id     int32
		want   mach.KernReturn
	}{
		{restrict.Default, 0, false, 3405, mach.KernNotSupported},
		{restrict.Default, 12, false, 3405, 0},
		{restrict.Default, 12, false, 3404, mach.KernNotSupported},
		{restrict.Default, 13, false, 3405, mach.KernNotSupported},
		{restrict.Default, 0, true, 1, 0},
		{restrict.Default | restrict.Translated, 0, false, 1, 0},
		{restrict.ForLevel(rules.LevelHardenedRuntime), 12, true, 3405, mach.KernNotSupported},
	} {
		w := newWorld(t, c.policy)
		w.offender.task.SDK, w.offender.task.Bits32 = c.sdk, c.bits32
		kr := w.offender.t.MsgLegacy(&ipc.Args{Options: mach.SendMsg,
			Send: message(mach.MakeBits(mach.CopySend, 0, 0), w.offender.plain(), 0, c.id)})
		if kr != c.want {
			t.Errorf("%+v: %v", c, kr)
		}
		w.end()
	}
}
