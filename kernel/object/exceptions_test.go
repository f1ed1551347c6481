package object_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

const identity = mach.ExceptionStateIdentity | mach.MachExceptionCodes

// excepting is what has exception ports.
type excepting interface {
	SetExceptionPorts(*object.Thread, object.ExceptionAction) mach.KernReturn
	SwapExceptionPorts(*object.Thread, object.ExceptionAction, int) ([]object.ExceptionAction, mach.KernReturn)
	ExceptionPorts(mach.ExceptionMask, int) ([]object.ExceptionAction, mach.KernReturn)
}

// TestExceptionPortsInfo mirrors XNU tests/exception_ports_info.c.
func TestExceptionPortsInfo(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	masks := []mach.ExceptionMask{mach.ExcGuard.Mask(), mach.ExcRPCAlert.Mask(),
		mach.ExcResource.Mask() | mach.ExcBreakpoint.Mask() | mach.ExcSyscall.Mask()}
	want := map[uint32]mach.ExceptionMask{}
	for _, m := range masks {
		n := p.port()
		want[w.PortID(p.look(n))] = m
		w.want(p.SetExceptionPorts(p.th, object.ExceptionAction{Mask: m, Port: p.right(n), Behavior: identity}), 0)
	}
	all, kr := p.th.ExceptionPorts(mach.ExcMaskAll, 14)
	if w.want(kr, 0); len(all) > 0 {
		t.Errorf("thread: %+v", all)
	}
	thread := p.look(p.th.Self())
	infos, kr := w.ThreadExceptionInfo(thread, mach.ExcMaskAll, 14)
	if w.want(kr, 0); len(infos) > 0 {
		t.Errorf("thread: %+v", infos)
	}
	infos, kr = w.TaskExceptionInfo(p.look(p.name(p.TaskPort(p.Task, object.Read))), mach.ExcMaskAll, 14)
	w.want(kr, 0)
	all, kr = p.ExceptionPorts(mach.ExcMaskAll, 14)
	w.want(kr, 0)
	if len(infos) != 4 || len(all) != 4 {
		t.Fatalf("%d and %d lines, want 4: three ports, and what has none", len(infos), len(all))
	}
	for i, e := range all {
		info := infos[i]
		if e.Mask != info.Mask || e.Behavior != info.Behavior || e.Flavor != info.Flavor {
			t.Errorf("%+v and %+v", e, info)
		}
		if e.Port == nil {
			if info.Port != 0 || info.Receiver != 0 {
				t.Errorf("no port: %+v", info)
			}
			continue
		}
		if want[info.Port] != info.Mask || info.Receiver != p.ID() || info.Port != w.PortID(e.Port) {
			t.Errorf("%+v", info)
		}
		drop(e.Port)
	}
	_, kr = w.TaskExceptionInfo(p.look(p.name(p.TaskPort(p.Task, object.Inspect))), mach.ExcMaskAll, 14)
	w.want(kr, mach.KernInvalidArgument)
	_, kr = w.ThreadExceptionInfo(p.look(p.Self()), mach.ExcMaskAll, 14)
	w.want(kr, mach.KernInvalidArgument)
	w.end()
}

// TestSetExceptionPorts goes through the checks in their order, for task, thread and host.
func TestSetExceptionPorts(t *testing.T) {
	for _, on := range []string{"task", "thread", "host"} {
		t.Run(on, func(t *testing.T) {
			refused := false
			w := newWorld(t, object.Config{CPU: "arm64", Hooks: object.Hooks{
				SetExceptionPorts: func(by, target *object.Task, _ mach.ExceptionMask) bool {
					if (target == nil) != (on == "host") {
						t.Errorf("asked about %p", target)
					}
					return refused
				}}})
			p := w.level(rules.Level2)
			x := map[string]excepting{"task": p.Task, "thread": p.th, "host": w.Host}[on]
			reply := p.th.IPC.SpecialReplyPort()
			timer := p.th.CreateTimer()
			w.want(p.Space.InsertRight(p.th.IPC, timer, timer, mach.MakeSend), 0)
			exc, kr := p.Space.Construct(p.th.IPC, &ipc.ConstructOptions{Flags: mach.ExceptionPort | mach.InsertSendRight})
			w.want(kr, 0)
			plain := p.port()
			const protected = mach.ExceptionIdentityProtected | mach.MachExceptionCodes
			wrongType, wrongTimer := mach.KernInvalidRight, mach.KernInvalidRight
			if on == "host" { // whose ports may be of any type, but get nothing then
				wrongType, wrongTimer = mach.KernInvalidArgument, 0
			}
			for _, c := range []struct {
				name     string
				mask     mach.ExceptionMask
				port     mach.Name
				behavior mach.ExceptionBehavior
				flavor   uint32
				refused  bool
				want     mach.KernReturn
				guard    ipc.Guard
			}{
				{"1: mask", 1 << 14, plain, 9, 99, true, mach.KernInvalidArgument, 0},
				{"1: mask 1", 1, 0, 0, 0, true, mach.KernInvalidArgument, 0},
				{"2: behaviour 0", 2, reply, 0, 99, true, mach.KernInvalidArgument, 0},
				{"2: behaviour 6", 2, reply, 6, 99, true, mach.KernInvalidArgument, 0},
				{"2: any behaviour without port", 2, 0, 9, 0, false, 0, 0},
				{"3: special reply port", 2, reply, 1, 99, true, wrongType, 0},
				{"3: timer", 2, timer, protected, 0, false, wrongTimer, 0},
				{"4: flavor", 2, plain, mach.ExceptionIdentityProtected, 99, true, mach.KernInvalidArgument, 0},
				{"4: right before flavor", 2, reply, protected, 28, true, wrongType, 0},
				{"4: ARM_SME_STATE", 2, plain, mach.ExceptionDefault, 28, true, mach.KernInvalidArgument, 0},
				{"4: ARM_SME2_STATE, no port", 2, 0, 0, 48, true, mach.KernInvalidArgument, 0},
				{"4: ARM_CPMU_STATE64", 2, plain, mach.ExceptionState, 18, true, mach.KernInvalidArgument, 0},
				{"ARM_PAGEIN_STATE", 2, plain, mach.ExceptionState, 27, false, 0, 0},
				{"5: no codes", 2, plain, mach.ExceptionIdentityProtected, 0, true, mach.KernInvalidArgument, 0},
				{"5: backtrace", 2, plain, mach.ExceptionDefault | mach.MachExceptionBacktracePreferred, 0, true,
					mach.KernInvalidArgument, 0},
				{"6: default", 2, plain, mach.ExceptionDefault | mach.MachExceptionCodes, 0, true, mach.KernDenied,
					ipc.GuardExceptionBehavior},
				{"6: state identity", 2, exc, identity, 6, true, mach.KernDenied, ipc.GuardExceptionBehavior},
				{"7: refused", 2, plain, protected, 0, true, mach.KernNoAccess, 0},
				{"state", 2, plain, mach.ExceptionState, 6, false, 0, 0},
				{"protected", 2, plain, protected, 0, false, 0, 0},
				{"state protected", mach.ExcMaskValid, exc, 5, 6, false, 0, 0},
				{"none", mach.ExcMaskValid, 0, mach.ExceptionDefault, 0, false, 0, 0},
			} {
				refused = c.refused
				e := object.ExceptionAction{Mask: c.mask, Behavior: c.behavior, Flavor: c.flavor}
				if c.port != 0 {
					e.Port = p.right(c.port)
				}
				kr := x.SetExceptionPorts(p.th, e)
				if kr != 0 {
					_, again := x.SwapExceptionPorts(p.th, e, 14)
					if again != kr {
						t.Errorf("%s: set %v, swap %v", c.name, kr, again)
					}
					drop(e.Port)
				}
				var guard ipc.Guard
				if v := p.guards(kr); len(v) > 0 {
					guard = v[0].Guard()
					if v[0].Subcode != uint64(c.mask) || v[0].Code.Target() != uint32(c.behavior) {
						t.Errorf("%s: %+v", c.name, v[0])
					}
				}
				if kr != c.want || guard != c.guard {
					t.Errorf("%s: %v, guard %#x; want %v, %#x", c.name, kr, guard, c.want, c.guard)
				}
			}
			_, kr = x.ExceptionPorts(1, 14)
			w.want(kr, mach.KernInvalidArgument)
			if on != "host" { // 8: gone, which comes last
				p.Terminate()
				other := w.plain()
				refused = true
				e := object.ExceptionAction{Mask: 2}
				w.want(x.SetExceptionPorts(other.th, e), mach.KernNoAccess)
				refused = false
				w.want(x.SetExceptionPorts(other.th, e), mach.KernFailure)
				_, kr = x.SwapExceptionPorts(other.th, e, 14)
				w.want(kr, mach.KernFailure)
				_, kr = x.ExceptionPorts(2, 14)
				w.want(kr, mach.KernFailure)
			}
			w.end()
		})
	}
	w := newWorld(t, object.Config{})
	p := w.plain()
	for _, x := range []excepting{(*object.Task)(nil), (*object.Thread)(nil), (*object.Host)(nil)} {
		w.want(x.SetExceptionPorts(p.th, object.ExceptionAction{}), mach.KernInvalidArgument)
		_, kr := x.SwapExceptionPorts(p.th, object.ExceptionAction{}, 14)
		w.want(kr, mach.KernInvalidArgument)
		_, kr = x.ExceptionPorts(0, 14)
		w.want(kr, mach.KernInvalidArgument)
	}
	w.end()
}

// TestSwapExceptionPorts: like lines come back together, the caller's count is kept, and so is what did not fit.
func TestSwapExceptionPorts(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	a, b := p.port(), p.port()
	set := func(m mach.ExceptionMask, n mach.Name, behavior mach.ExceptionBehavior) {
		t.Helper()
		w.want(p.SetExceptionPorts(p.th, object.ExceptionAction{Mask: m, Port: p.right(n), Behavior: behavior}), 0)
	}
	set(0x2|0x8, a, 1)
	set(0x4, b, 1)
	set(0x10, a, 2)
	type line struct {
		Mask     mach.ExceptionMask
		Name     mach.Name
		Behavior mach.ExceptionBehavior
	}
	check := func(all []object.ExceptionAction, kr mach.KernReturn, want ...line) {
		t.Helper()
		w.want(kr, 0)
		var got []line
		for _, e := range all {
			l := line{e.Mask, 0, e.Behavior}
			if e.Port != nil {
				l.Name = p.name(e.Port)
			}
			got = append(got, l)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("(-want +got)\n%s", d)
		}
	}
	all, kr := p.ExceptionPorts(0x1e, 14)
	check(all, kr, line{0xa, a, 1}, line{0x4, b, 1}, line{0x10, a, 2})
	all, kr = p.ExceptionPorts(0x1e, 1)
	check(all, kr, line{0xa, a, 1})
	all, kr = p.SwapExceptionPorts(p.th, object.ExceptionAction{Mask: 0x1e, Port: p.right(b), Behavior: 3}, 2)
	check(all, kr, line{0x2, a, 1}, line{0x4, b, 1})
	all, kr = p.ExceptionPorts(0x1e, 14)
	check(all, kr, line{0x6, b, 3}, line{0x8, a, 1}, line{0x10, a, 2})
	w.pid++
	child := w.joinAs(object.TaskConfig{PID: w.pid, Restrict: restrict.NewTask(0), Parent: p.Task})
	all, kr = child.ExceptionPorts(0x1e, 14)
	check(all, kr, line{0x6, b, 3}, line{0x8, a, 1}, line{0x10, a, 2})
	// A dead port stays a line of its own kind.
	w.want(p.Space.ModRefs(p.th.IPC, b, mach.RightReceive, -1), 0)
	all, kr = p.ExceptionPorts(0x6, 14)
	if w.want(kr, 0); len(all) != 1 || all[0].Port != ipc.DeadRight() {
		t.Errorf("dead port: %+v", all)
	}
	w.end()
}

// TestHardenedHandler goes through task_register_hardened_exception_handler and thread_adopt_exception_handler.
func TestHardenedHandler(t *testing.T) {
	w := newWorld(t, object.Config{})
	p, other := w.level(rules.Level2), w.level(rules.Level2)
	exc, kr := p.Space.Construct(p.th.IPC, &ipc.ConstructOptions{Flags: mach.ExceptionPort | mach.InsertSendRight})
	w.want(kr, 0)
	plain := p.right(p.port())
	e := object.ExceptionAction{Mask: 2, Behavior: mach.ExceptionStateIdentityProtected | mach.MachExceptionCodes,
		Flavor: 6}
	adopt := e
	w.want(p.th.AdoptHandler(p.th, adopt), mach.KernDenied) // not frozen yet
	e.Port = plain
	w.want(p.RegisterHardened(p.th, e, 7), mach.KernInvalidArgument)
	w.want((*object.Task)(nil).RegisterHardened(p.th, e, 7), mach.KernInvalidArgument)
	e.Port = p.right(exc)
	e.Mask = 1 << 20
	w.want(p.RegisterHardened(p.th, e, 7), mach.KernInvalidArgument)
	e.Mask = 2
	w.want(p.RegisterHardened(p.th, e, 7), 0)
	w.want(p.RegisterHardened(p.th, e, 7), mach.KernInvalidArgument) // once only
	if got, key, ok := p.Hardened(); !ok || key != 7 || got.Port != e.Port {
		t.Errorf("registered %+v", got)
	}
	for what, bad := range map[string]object.ExceptionAction{
		"another port":     {Mask: 2, Port: plain, Behavior: e.Behavior, Flavor: 6},
		"more exceptions":  {Mask: 6, Behavior: e.Behavior, Flavor: 6},
		"other behaviour":  {Mask: 2, Behavior: 2, Flavor: 6},
		"bits of a flavor": {Mask: 2, Behavior: e.Behavior, Flavor: 9},
	} {
		if kr := p.th.AdoptHandler(p.th, bad); kr != mach.KernDenied {
			t.Errorf("%s: %v", what, kr)
		}
	}
	w.want(p.th.AdoptHandler(other.th, adopt), mach.KernDenied)
	w.want((*object.Thread)(nil).AdoptHandler(p.th, adopt), mach.KernInvalidArgument)
	adopt.Port = p.right(exc)
	w.want(p.th.AdoptHandler(p.th, adopt), 0)
	all, kr := p.th.ExceptionPorts(2, 14)
	if w.want(kr, 0); len(all) != 1 || p.name(all[0].Port) != exc {
		t.Errorf("adopted %+v", all)
	}
	drop(plain)
	w.end()
}

// registers are a thread's state.
type registers struct {
	mu     sync.Mutex
	flavor uint32
	words  []uint32
}

func (r *registers) Get(f uint32) ([]uint32, mach.KernReturn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f != r.flavor {
		return nil, mach.KernInvalidArgument
	}
	return r.words, 0
}

func (r *registers) Set(f uint32, w []uint32) mach.KernReturn {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flavor, r.words = f, w
	return 0
}

// TestThreadState checks who may set registers.
func TestThreadState(t *testing.T) {
	for _, c := range []struct {
		name      string
		level     rules.Level // of the thread
		own       bool
		exception bool
		entitled  bool
		want      mach.KernReturn
	}{
		{"own, V0", rules.LevelHardenedRuntime, true, false, false, 0},
		{"own, V1", rules.Level1, true, false, false, mach.KernNoAccess},
		{"own, V1, entitled", rules.Level1, true, false, true, 0},
		{"own in exception, V3", rules.Level3, true, true, false, 0},
		{"foreign, V1", rules.Level1, false, false, false, mach.KernNoAccess},
		{"foreign in exception, V1", rules.Level1, false, true, false, 0},
		{"foreign in exception, V2", rules.Level2, false, true, false, mach.KernNoAccess},
		{"foreign in exception, V2, entitled", rules.Level2, false, true, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, object.Config{})
			p := w.level(c.level)
			state := &registers{}
			th, kr := p.NewThread(object.RawThread, nil, state)
			w.want(kr, 0)
			by := p
			if !c.own {
				by = w.plain()
			}
			if c.entitled {
				by.Restrict.Entitlements = map[string]bool{restrict.ThreadStateEntitlement: true}
			}
			if c.exception {
				th.SetInException(object.Abortable)
			}
			const flavor = 6 // ARM_THREAD_STATE64
			kr = th.SetState(by.th, flavor, []uint32{1, 2})
			if kr != c.want {
				t.Errorf("%v, want %v", kr, c.want)
			}
			v := by.guards(kr)
			if killed := len(v) == 1 && v[0].Guard() == ipc.GuardThreadSetState && v[0].Code.Target() == flavor; killed !=
				(c.want != 0) {
				t.Errorf("guards %+v", v)
			}
			words, kr := th.GetState(flavor, 2)
			if set := kr == 0 && len(words) == 2; set != (c.want == 0) {
				t.Errorf("state %v, %v", words, kr)
			}
			w.want(th.ActSetState(th, flavor, nil), mach.KernInvalidArgument)
			if c.want == 0 {
				th.Terminate()
				w.want(th.ActSetState(by.th, flavor, nil), mach.KernTerminated)
				_, kr = th.GetState(flavor, 2)
				w.want(kr, mach.KernTerminated)
			}
			w.want((*object.Thread)(nil).SetState(by.th, flavor, nil), mach.KernInvalidArgument)
			w.end()
		})
	}
}
