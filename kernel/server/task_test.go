package server_test

import (
	"slices"
	"testing"

	"portcullis.dev/defs/task"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// process is what is behind a task of the tests.
type process struct {
	usage server.TaskUsage
	*space
}

func (p *process) Usage() server.TaskUsage { return p.usage }
func (*process) Executable() [16]byte      { return [16]byte{0xaa, 15: 0xbb} }

// TestTaskInfo asks for every flavor with just enough room, and with too little.
//
// Source of sizes: XNU osfmk/mach/task_info.h.
func TestTaskInfo(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	u := server.TaskUsage{Virtual: 1 << 33, Resident: 4096, ResidentMax: 8192, Regions: 7, User: 3_000_002_000,
		EndedUser: 1_000_001_000, System: 5000, Faults: 9, Switches: 4}
	p := w.join(object.TaskConfig{Process: &process{usage: u}})
	for _, x := range []struct {
		flavor int32
		words  int
		check  func(v []int32) bool
	}{
		{1, 8, func(v []int32) bool { return uint32(v[0]) == 3_000_002_000 }},
		{2, 8, func(v []int32) bool { return v[0] == 9 && v[7] == 4 }},
		{3, 4, func(v []int32) bool { return v[0] == 2 && v[1] == 1 }},
		{4, 8, func(v []int32) bool { return v[1] == -1 && v[2] == 4096 && v[3] == 1 && v[4] == 1 && v[7] == 1 }},
		{5, 8, func(v []int32) bool { return v[2] == 4096 }},
		{6, 8, func(v []int32) bool { return v[2] == 8192 }},
		{7, 8, nil},
		{10, 1, func(v []int32) bool { return v[0] == 31 }},
		{13, 2, func(v []int32) bool { return v[0] == 501 && v[1] == 20 }},
		{15, 8, func(v []int32) bool { return v[1] == 501 && v[5] == p.PID() }},
		{16, 4, nil},
		{17, 4, func(v []int32) bool { return v[0] == 0 && v[1] == 0 }},
		{17, 5, func(v []int32) bool { return v[4] == 1 }},
		{18, 10, func(v []int32) bool { return v[1] == 0 && v[2] == 2 && v[3] == 4096 }},
		{19, 16, func(v []int32) bool { return v[0] == 0xaa && uint32(v[3]) == 0xbb000000 }},
		{20, 12, func(v []int32) bool { return v[1] == 2 && v[4] == 8192 && v[10] == 1 }},
		{21, 12, nil}, {22, 36, func(v []int32) bool { return v[2] == 7 && v[3] == 4096 }}, {22, 38, nil}, {22, 42, nil},
		{22, 93, nil}, {23, 36, nil}, {25, 8, nil}, {26, 22, nil}, {26, 26, nil}, {28, 1, nil},
	} {
		v, kr := task.TaskInfo(p.c, p.self, x.flavor, uint32(x.words))
		if w.want(kr, 0); len(v) != x.words || x.check != nil && !x.check(v) {
			t.Errorf("flavor %d: %d words %v", x.flavor, len(v), v)
		}
		if x.words == 5 || x.words > 36 || x.words == 26 {
			continue // more than the least
		}
		_, kr = task.TaskInfo(p.c, p.self, x.flavor, uint32(x.words-1))
		w.want(kr, mach.KernInvalidArgument)
	}
	for flavor, want := range map[int32]mach.KernReturn{11: mach.KernInvalidPolicy, 12: mach.KernInvalidPolicy,
		14: mach.KernInvalidArgument, 27: mach.KernNotSupported, 29: mach.KernNotSupported, 99: mach.KernInvalidArgument} {
		_, kr := task.TaskInfo(p.c, p.self, flavor, 94)
		w.want(kr, want)
	}
	w.want(task.TaskSetInfo(p.c, p.self, 4, []int32{1}), mach.KernInvalidArgument)

	o := w.join(object.TaskConfig{})
	name := p.of(o, object.Name)
	_, kr := task.TaskInfo(p.c, name, 15, 8)
	w.want(kr, 0)
	_, kr = task.TaskInfo(p.c, name, 17, 5)
	w.want(kr, mach.KernInvalidArgument) // where libraries are is for read ports
	w.end()
}

// TestTask calls what tasks can be asked and told, but for what has tests of its own.
func TestTask(t *testing.T) {
	w := newWorld(t, object.Config{DeveloperMode: true}, server.Config{})
	p, o := w.level(rules.LevelNone), w.level(rules.LevelNone)
	c, self := p.c, p.self
	control, name := p.of(o, object.Control), p.of(o, object.Name)

	list, kr := task.TaskThreads(c, self)
	if w.want(kr, 0); !slices.Equal(list, []mach.Name{p.thread}) {
		t.Errorf("threads %v, want %v", list, p.thread)
	}
	for f, typ := range map[object.Flavor]mach.PortType{object.Read: mach.PortTypeThreadRead,
		object.Inspect: mach.PortTypeThreadInspect} {
		list, kr := task.TaskThreads(c, p.of(o, f))
		w.want(kr, 0)
		port, kr := p.Space.SendPort(list[0])
		if w.want(kr, 0); port.Type() != typ {
			t.Errorf("a port of flavor %d gives %v", f, port.Type())
		}
	}
	_, kr = task.TaskThreads(c, name)
	w.want(kr, mach.KernInvalidArgument)
	w.want(task.TaskTerminate(c, control), mach.KernFailure)
	w.want(task.TaskTerminate(c, name), mach.KernInvalidArgument)

	a, b := p.port(), p.port()
	w.want(task.KernelrpcMachPortsRegister3(c, self, a, 0, b), 0)
	x, y, z, kr := task.KernelrpcMachPortsLookup3(c, self)
	if w.want(kr, 0); x != a || y != 0 || z != b {
		t.Errorf("registered %v, %v, %v", x, y, z)
	}
	w.want(task.KernelrpcMachPortsRegister3(c, name, a, 0, b), mach.KernInvalidArgument)
	w.want(task.TaskSetSpecialPort(c, self, int32(object.TaskBootstrapPort), a), 0)
	got, kr := task.TaskGetSpecialPort(c, self, int32(object.TaskBootstrapPort))
	if w.want(kr, 0); got != a {
		t.Errorf("bootstrap port %v, want %v", got, a)
	}
	w.want(task.TaskSetSpecialPort(c, self, 77, a), mach.KernInvalidArgument)
	_, kr = task.TaskGetSpecialPort(c, p.of(o, object.Inspect), int32(object.TaskReadPort))
	w.want(kr, mach.KernInvalidCapability)

	is, kr := task.KernelrpcMachTaskIsSelf(c, self)
	if w.want(kr, 0); is != 1 {
		t.Error("the task is not itself")
	}
	is, kr = task.KernelrpcMachTaskIsSelf(c, name)
	if w.want(kr, 0); is != 0 {
		t.Error("the task is another")
	}
	tok, kr := task.TaskCreateIdentityToken(c, control)
	w.want(kr, 0)
	got, kr = task.TaskIdentityTokenGetTaskPort(c, tok, int32(object.Name))
	if w.want(kr, 0); got != name {
		t.Errorf("name port %v, want %v", got, name)
	}
	_, kr = task.TaskIdentityTokenGetTaskPort(c, tok, 9)
	w.want(kr, mach.KernInvalidArgument)
	_, kr = task.TaskIdentityTokenGetTaskPort(c, self, 0)
	w.want(kr, mach.KernInvalidArgument)

	set, kr := task.TaskGetAssignment(c, self)
	w.want(kr, 0)
	w.want(task.TaskPolicySet(c, self, 1, []int32{7}), 0)
	w.want(task.TaskPolicySet(c, self, 1, []int32{4}), mach.KernInvalidArgument)
	w.want(task.TaskPolicySet(c, self, 8, []int32{0xff0003, 0xfe0002}), 0)
	w.want(task.TaskPolicySet(c, self, 8, []int32{0xff0009, 0}), mach.KernInvalidArgument)
	w.want(task.TaskPolicySet(c, self, 3, make([]int32, 9)), 0)
	for flavor, n := range map[uint32]int{1: 1, 3: 9, 8: 2, 9: 2} {
		v, def, kr := task.TaskPolicyGet(c, self, flavor, 16, 1)
		if w.want(kr, 0); len(v) != n || def != 1 {
			t.Errorf("policy %d: %v, %d", flavor, v, def)
		}
	}
	_, _, kr = task.TaskPolicyGet(c, self, 4, 16, 0)
	w.want(kr, mach.KernProtectionFailure)
	w.want(task.TaskPolicy(c, self, 1, []int32{1}, 0, 0), mach.KernFailure)
	w.want(task.TaskSetPolicy(c, self, set, 1, []int32{1}, []int32{1}, 0), mach.KernFailure)

	_, kr = task.TaskSetPhysFootprintLimit(c, self, 5)
	w.want(kr, mach.KernNoAccess)
	_, kr = task.TaskPurgableInfo(c, self)
	w.want(kr, 0)
	_, kr = task.TaskInspect(c, self, 1, 4)
	w.want(kr, mach.KernNotSupported)
	v, kr := task.TaskGetMachVoucher(c, self, 0)
	if w.want(kr, 0); v != 0 {
		t.Errorf("voucher %v", v)
	}
	w.want(task.TaskSetMachVoucher(c, self, 0), 0)
	_, kr = task.TaskSwapMachVoucher(c, self, 0, 0)
	w.want(kr, mach.KernNotSupported)
	w.want(task.TaskSetCorpseForkingBehavior(c, self, 1), mach.KernNotSupported)
	_, kr = task.TaskGenerateCorpse(c, self)
	w.want(kr, mach.KernNotSupported)
	_, _, kr = task.TaskMapCorpseInfo(c, self, control)
	w.want(kr, mach.KernInvalidArgument)
	_, _, kr = task.TaskMapCorpseInfo64(c, self, control)
	w.want(kr, mach.KernInvalidArgument)
	_, _, kr = task.TaskMapKcdataObject64(c, self, a)
	w.want(kr, mach.KernInvalidArgument)
	w.end()
}

// TestGuardBehavior reads and sets what becomes of optional guards: delivery and death cannot be turned off.
//
// Source: XNU osfmk/kern/task.c, task_set_exc_guard_behavior.
func TestGuardBehavior(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p := w.level(rules.Level2)
	b, kr := task.TaskGetExcGuardBehavior(p.c, p.self)
	if w.want(kr, 0); restrict.GuardBehavior(b)&restrict.MPFatal == 0 {
		t.Fatalf("behavior %#x", b)
	}
	w.want(task.TaskSetExcGuardBehavior(p.c, p.self, b|uint32(restrict.MPCorpse)), 0)
	w.want(task.TaskSetExcGuardBehavior(p.c, p.self, 0), mach.KernDenied)
	w.want(task.TaskSetExcGuardBehavior(p.c, p.self, b|uint32(restrict.MPOnce)), mach.KernDenied)
	w.want(task.TaskSetExcGuardBehavior(p.c, p.self, 0x100), mach.KernInvalidValue)
	w.want(task.TaskSetExcGuardBehavior(p.c, p.host, 0), mach.KernInvalidTask)
	if now := uint32(p.Restrict.Behavior()); now != b|uint32(restrict.MPCorpse) {
		t.Errorf("behavior %#x", now)
	}
	w.end()
}
