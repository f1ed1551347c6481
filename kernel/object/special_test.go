package object_test

import (
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

func TestTaskSpecialPorts(t *testing.T) {
	refuse := false
	hook := func(by, target *object.Task, which object.TaskPort) bool { return refuse }
	w := newWorld(t, object.Config{Hooks: object.Hooks{GetSpecialPort: hook, SetSpecialPort: hook}})
	p, dead := w.plain(), w.plain()
	dead.Terminate()
	n := p.port()
	settable := []object.TaskPort{object.TaskBootstrapPort, object.TaskAccessPort, object.TaskDebugControlPort,
		object.TaskResourceNotifyPort}
	for _, which := range settable {
		w.want(p.SetSpecialPort(p.th, which, p.right(n)), 0)
		right, kr := w.TaskSpecialPort(p.th, p.look(p.Self()), which)
		w.want(kr, 0)
		if p.name(right) != n {
			t.Errorf("port %d: another one", which)
		}
	}
	right := p.right(n)
	for _, c := range []struct {
		name  string
		task  *object.Task
		which object.TaskPort
		want  mach.KernReturn
	}{
		{"null task", nil, object.TaskBootstrapPort, mach.KernInvalidArgument},
		{"dead task", dead.Task, object.TaskBootstrapPort, mach.KernFailure},
		{"control port", p.Task, object.TaskKernelPort, mach.KernNoAccess},
		{"host port", p.Task, object.TaskHostPort, mach.KernNoAccess},
		{"access port, again", p.Task, object.TaskAccessPort, mach.KernNoAccess},
		{"name port", p.Task, object.TaskNamePort, mach.KernInvalidArgument},
		{"read port", p.Task, object.TaskReadPort, mach.KernInvalidArgument},
		{"7", p.Task, 7, mach.KernInvalidArgument},
		{"12", p.Task, 12, mach.KernInvalidArgument},
		{"-1", p.Task, -1, mach.KernInvalidArgument},
	} {
		if kr := c.task.SetSpecialPort(p.th, c.which, right); kr != c.want {
			t.Errorf("set %s: %v, want %v", c.name, kr, c.want)
		}
	}
	w.want(p.SetSpecialPort(p.th, object.TaskBootstrapPort, nil), 0) // null is no port, and may be set
	got, kr := p.SpecialPort(p.Task, object.TaskBootstrapPort)
	if w.want(kr, 0); got != nil {
		t.Error("a bootstrap port")
	}

	control, kr := p.SpecialPort(p.Task, object.TaskKernelPort)
	w.want(kr, 0)
	read, inspect, name := p.TaskPort(p.Task, object.Read), p.TaskPort(p.Task, object.Inspect),
		p.TaskPort(p.Task, object.Name)
	other := w.plain()
	for _, c := range []struct {
		what  string
		port  *ipc.Port
		which object.TaskPort
		want  mach.KernReturn
	}{
		{"control of control", control, object.TaskKernelPort, 0},
		{"host of control", control, object.TaskHostPort, 0},
		{"nothing of control", control, 8, mach.KernInvalidArgument},
		{"read of read", read, object.TaskReadPort, 0},
		{"inspect of read", read, object.TaskInspectPort, 0},
		{"name of read", read, object.TaskNamePort, 0},
		{"control of read", read, object.TaskKernelPort, mach.KernInvalidCapability},
		{"bootstrap of read", read, object.TaskBootstrapPort, mach.KernInvalidCapability},
		{"read of inspect", inspect, object.TaskReadPort, mach.KernInvalidCapability},
		{"inspect of inspect", inspect, object.TaskInspectPort, 0},
		{"name of inspect", inspect, object.TaskNamePort, 0},
		{"name of name", name, object.TaskNamePort, mach.KernInvalidArgument},
		{"name of no task", right, object.TaskNamePort, mach.KernInvalidArgument},
	} {
		got, kr := w.TaskSpecialPort(other.th, c.port, c.which)
		if kr != c.want {
			t.Errorf("%s: %v, want %v", c.what, kr, c.want)
		}
		drop(got)
	}
	refuse = true
	_, kr = w.TaskSpecialPort(p.th, control, object.TaskHostPort)
	w.want(kr, mach.KernDenied)
	w.want(p.SetSpecialPort(p.th, object.TaskBootstrapPort, right), mach.KernDenied)
	drop(control, read, inspect, name, right)
	w.end()
}

// TestKernelDebugging: with SIP's leave, a task's own ports can be replaced.
func TestKernelDebugging(t *testing.T) {
	w := newWorld(t, object.Config{
		Restrictions: &restrict.Restrictions{System: restrict.System{KernelDebugging: true, SIPOff: true}}})
	p := w.plain()
	n := p.port()
	w.want(p.SetSpecialPort(p.th, object.TaskKernelPort, p.right(n)), 0)
	w.want(p.th.SetSpecialPort(p.th, object.ThreadKernelPort, p.right(n)), 0)
	if p.Self() != n || p.th.Self() != n {
		t.Errorf("self is not %v", n)
	}
	w.want(p.th.SetSpecialPort(p.th, object.ThreadReadPort, nil), mach.KernInvalidArgument)
	w.want(p.SetSpecialPort(p.th, object.TaskHostPort, p.right(n)), 0)
	if p.HostSelf() != n {
		t.Errorf("host is not %v", n)
	}
	w.end()
}

func TestThreadSpecialPorts(t *testing.T) {
	w := newWorld(t, object.Config{})
	p, other := w.plain(), w.plain()
	control, read, inspect := p.th.ThreadPort(p.Task, object.Control), p.th.ThreadPort(p.Task, object.Read),
		p.th.ThreadPort(p.Task, object.Inspect)
	for _, c := range []struct {
		what  string
		port  *ipc.Port
		which object.ThreadPort
		want  mach.KernReturn
		gives *ipc.Port
	}{
		{"control of control", control, object.ThreadKernelPort, 0, control},
		{"read of control", control, object.ThreadReadPort, 0, read},
		{"inspect of control", control, object.ThreadInspectPort, 0, inspect},
		{"4 of control", control, 4, mach.KernInvalidArgument, nil},
		{"control of read", read, object.ThreadKernelPort, mach.KernInvalidCapability, nil},
		{"read of read", read, object.ThreadReadPort, 0, read},
		{"inspect of read", read, object.ThreadInspectPort, 0, inspect},
		{"read of inspect", inspect, object.ThreadReadPort, mach.KernInvalidCapability, nil},
		{"inspect of inspect", inspect, object.ThreadInspectPort, 0, inspect},
		{"of nothing", nil, object.ThreadInspectPort, mach.KernInvalidArgument, nil},
	} {
		got, kr := w.ThreadSpecialPort(other.th, c.port, c.which)
		if kr != c.want || got != c.gives {
			t.Errorf("%s: %p, %v, want %p, %v", c.what, got, kr, c.gives, c.want)
		}
		drop(got)
	}
	p.th.Terminate()
	if control.Active() || read.Active() || inspect.Active() {
		t.Error("ports outlive the thread")
	}
	w.want(p.th.SetSpecialPort(other.th, object.ThreadKernelPort, nil), mach.KernNoAccess)
	w.end()
}

// TestRegister goes through mach_ports_register and mach_ports_lookup.
func TestRegister(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.level(rules.Level3)
	a, b := p.port(), p.port()
	w.want(p.Register(p.th, [3]*ipc.Port{p.right(a), nil, p.right(b)}), 0)
	check := func(of *object.Task, want [3]mach.Name) {
		t.Helper()
		got, kr := of.Registered()
		w.want(kr, 0)
		for i, right := range got {
			name := mach.NullName
			if right != nil {
				name = p.name(right)
			}
			if name != want[i] {
				t.Errorf("%d: %v, want %v", i, name, want[i])
			}
		}
	}
	check(p.Task, [3]mach.Name{a, 0, b})
	w.pid++
	child := w.joinAs(object.TaskConfig{PID: w.pid, Restrict: restrict.NewTask(0), Parent: p.Task})
	check(child.Task, [3]mach.Name{a, 0, b}) // inherited

	// One immovable right is enough for all to stay out, and what was there stays.
	read := p.TaskPort(p.Task, object.Read)
	self, special := p.right(p.Self()), p.right(p.th.IPC.SpecialReplyPort())
	for what, bad := range map[string]*ipc.Port{"own task": self, "read port": read, "special reply port": special} {
		first := p.right(a)
		if kr := p.Register(p.th, [3]*ipc.Port{first, nil, bad}); kr != mach.KernInvalidRight {
			t.Errorf("%s: %v", what, kr)
		}
		drop(first, bad)
		if v := p.guards(0); len(v) > 0 {
			t.Errorf("%s: %+v", what, v)
		}
	}
	check(p.Task, [3]mach.Name{a, 0, b})
	w.want(p.Register(p.th, [3]*ipc.Port{p.right(b)}), 0)
	check(p.Task, [3]mach.Name{b, 0, 0})

	// A port that died is dead where it is kept.
	w.want(p.Space.ModRefs(p.th.IPC, b, mach.RightReceive, -1), 0)
	got, kr := p.Registered()
	if w.want(kr, 0); got[0] != ipc.DeadRight() {
		t.Errorf("dead port: %p", got[0])
	}
	w.want((*object.Task)(nil).Register(p.th, got), mach.KernInvalidArgument)
	_, kr = (*object.Task)(nil).Registered()
	w.want(kr, mach.KernInvalidArgument)
	child.Terminate()
	w.want(child.Register(p.th, [3]*ipc.Port{}), mach.KernInvalidArgument)
	_, kr = child.Registered()
	w.want(kr, mach.KernInvalidArgument)
	w.end()
}

func TestHost(t *testing.T) {
	denied := false
	w := newWorld(t, object.Config{Hooks: object.Hooks{SetHostPort: func(*object.Task, object.HostPort) bool {
		return denied
	}}})
	first := restrict.NewTask(restrict.ForLevel(rules.LevelPlatform))
	first.Launchd = true
	launchd := w.joinAs(object.TaskConfig{PID: 1, Restrict: first, Root: true})
	w.pid = 1
	p := w.level(rules.Level3)
	priv, plain := launchd.look(launchd.HostSelf()), p.look(p.HostSelf())
	if priv.Type() != mach.PortTypeHostPriv || plain.Type() != mach.PortTypeHost {
		t.Fatalf("host ports are %v and %v", priv.Type(), plain.Type())
	}
	if w.HostOf(priv) != w.Host || w.HostOf(plain) != w.Host || w.HostPrivOf(launchd.Task, plain) != nil ||
		w.HostPrivOf(p.Task, priv) != nil {
		t.Error("who has the host?")
	}
	host := w.HostPrivOf(launchd.Task, priv)
	if host != w.Host {
		t.Fatal("launchd has not")
	}
	const which = object.HostMaxKernelPort + 3
	n := launchd.port()
	w.want(host.SetSpecialPort(launchd.th, which, launchd.right(n)), 0)
	got, kr := host.SpecialPort(which)
	w.want(kr, 0)
	if launchd.name(got) != n {
		t.Error("another port")
	}
	for id, want := range map[object.HostPort]mach.PortType{1: mach.PortTypeHost, 2: mach.PortTypeHostPriv} {
		got, kr := host.SpecialPort(id)
		if w.want(kr, 0); got.Type() != want {
			t.Errorf("port %d: %v", id, got.Type())
		}
		drop(got)
	}
	for _, id := range []object.HostPort{-1, 0, object.HostMaxPort + 1} {
		_, kr := host.SpecialPort(id)
		w.want(kr, mach.KernInvalidArgument)
	}
	right := launchd.right(n)
	for _, c := range []struct {
		name  string
		by    *person
		which object.HostPort
		port  *ipc.Port
		want  mach.KernReturn
	}{
		{"kernel's port", launchd, object.HostMaxKernelPort, right, mach.KernInvalidArgument},
		{"no port", launchd, object.HostMaxPort + 1, right, mach.KernInvalidArgument},
		{"node port", launchd, object.HostNodePort, right, mach.KernNotSupported},
		{"somebody else", p, which, right, mach.KernNoAccess},
		{"telemetry, not entitled", p, object.HostTelemetryPort, right, mach.KernNoAccess},
		{"immovable", p, which, p.look(p.Self()), mach.KernDenied},
	} {
		if kr := host.SetSpecialPort(c.by.th, c.which, c.port); kr != c.want {
			t.Errorf("%s: %v, want %v", c.name, kr, c.want)
		}
	}
	denied = true
	w.want(host.SetSpecialPort(launchd.th, which, right), mach.KernNoAccess)
	denied = false
	p.Restrict.Entitlements = map[string]bool{object.EventMonitorEntitlement: true}
	w.want(host.SetSpecialPort(p.th, object.HostTelemetryPort, right), 0)

	var none *object.Host
	w.want(none.SetSpecialPort(p.th, which, nil), mach.KernInvalidArgument)
	_, kr = none.SpecialPort(which)
	w.want(kr, mach.KernInvalidArgument)
	_, kr = none.CreateVoucher(nil)
	w.want(kr, mach.KernInvalidArgument)
	_, kr = host.CreateVoucher([]byte{1})
	w.want(kr, mach.KernInvalidArgument)
	voucher, kr := host.CreateVoucher(nil)
	if w.want(kr, 0); voucher != nil {
		t.Error("a voucher that is a port")
	}
	voucher, kr = p.th.Voucher(0)
	if w.want(kr, 0); voucher != nil {
		t.Error("a thread with a voucher")
	}
	_, kr = p.th.Voucher(1)
	w.want(kr, mach.KernInvalidArgument)
	w.end()
}
