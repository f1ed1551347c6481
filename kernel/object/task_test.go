package object_test

import (
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// tasks are the kinds of tasks that the table of levels in docs/kernel.md has columns for.
var tasks = []struct {
	name      string
	policy    restrict.Policy
	immovable bool      // its own control ports may not move
	pinned    ipc.Guard // raised when the last reference to the own task port is given up; 0 for none
}{
	{"none", restrict.ForLevel(rules.LevelNone), false, ipc.GuardModRefsNonFatal},
	{"hardened-runtime", restrict.ForLevel(rules.LevelHardenedRuntime), false, ipc.GuardModRefsNonFatal},
	{"1", restrict.ForLevel(rules.Level1), true, ipc.GuardModRefs},
	{"2", restrict.ForLevel(rules.Level2), true, ipc.GuardModRefs},
	{"3", restrict.ForLevel(rules.Level3), true, ipc.GuardModRefs},
	{"platform", restrict.ForLevel(rules.LevelPlatform), true, ipc.GuardModRefs},
	{"simulated", restrict.ForLevel(rules.Level3) | restrict.Simulated, false, 0},
	{"translated", restrict.ForLevel(rules.Level3) | restrict.Translated, false, 0},
}

// TestSelf says of tasks of every kind what their own names are good for. It mirrors XNU
// tests/imm_pinned_control_port.c.
func TestSelf(t *testing.T) {
	for _, c := range tasks {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, object.Config{})
			r := restrict.NewTask(c.policy)
			r.Audit = true // live, and list everything
			r.SetBehavior(restrict.MPDeliver | restrict.MPCorpse)
			p := w.join(r)
			names := map[string]mach.Name{"task": p.Self(), "main thread": p.th.Self()}
			for what, n := range names {
				// Two references: from birth, and the one just taken. The second last goes, the last does not.
				w.want(p.Space.Deallocate(p.th.IPC, n), 0)
				kr := p.Space.Deallocate(p.th.IPC, n)
				w.want(kr, mach.KernInvalidCapability)
				var got ipc.Guard
				if v := p.guards(kr); len(v) > 0 {
					got = v[0].Guard()
				}
				if got != c.pinned {
					t.Errorf("%s: guard %#x, want %#x", what, got, c.pinned)
				}
				box := p.port()
				kr = p.send(box, mach.CopySend, n)
				if moved := kr == 0; moved == c.immovable {
					t.Errorf("%s moved: %v", what, kr)
				}
				if v := p.guards(kr); c.immovable != (len(v) == 1 && v[0].Guard() == ipc.GuardImmovable) {
					t.Errorf("%s: %+v", what, v)
				}
			}
			// Kept where others could fetch it.
			want := mach.KernSuccess
			if c.immovable {
				want = mach.KernInvalidRight
			}
			for what, n := range names {
				for _, call := range []struct {
					name string
					f    func(right *ipc.Port) mach.KernReturn
				}{
					{"task_set_special_port", func(right *ipc.Port) mach.KernReturn {
						return p.SetSpecialPort(p.th, object.TaskBootstrapPort, right)
					}},
					{"mach_ports_register", func(right *ipc.Port) mach.KernReturn {
						return p.Register(p.th, [3]*ipc.Port{nil, right, nil})
					}},
				} {
					right := p.right(n)
					kr := call.f(right)
					if kr != want {
						t.Errorf("%s of %s: %v, want %v", call.name, what, kr, want)
					}
					if kr != 0 {
						drop(right)
					}
					if v := p.guards(kr); len(v) > 0 {
						t.Errorf("%s of %s: %+v", call.name, what, v)
					}
				}
				right := p.right(n)
				wantThread := want
				if want == 0 {
					wantThread = mach.KernNoAccess // nobody may, but for who debugs the kernel
				}
				if kr := p.th.SetSpecialPort(p.th, object.ThreadKernelPort, right); kr != wantThread {
					t.Errorf("thread_set_special_port of %s: %v, want %v", what, kr, wantThread)
				}
				drop(right)
			}
			// Asked for as a special port, to get one that moves.
			right, kr := w.TaskSpecialPort(p.th, p.look(names["task"]), object.TaskKernelPort)
			if denied := kr == mach.KernDenied; denied != c.immovable {
				t.Errorf("task_get_special_port: %v", kr)
			}
			drop(right)
			right, kr = w.ThreadSpecialPort(p.th, p.look(names["main thread"]), object.ThreadKernelPort)
			if denied := kr == mach.KernDenied; denied != c.immovable {
				t.Errorf("thread_get_special_port: %v", kr)
			}
			drop(right)
			w.end()
		})
	}
}

// send sends a message with one right to a plain port.
func (p *person) send(to mach.Name, d mach.Disposition, n mach.Name) mach.KernReturn {
	h := mach.Header{Bits: mach.MakeBits(mach.CopySend, 0, 0) | mach.BitsComplex, Remote: to, ID: 1}
	b := make([]byte, mach.HeaderSize, 64)
	h.Encode(b)
	b = append(b, 1, 0, 0, 0)
	var buf [16]byte
	desc := mach.Descriptor{Name: n, Disposition: d}
	b = append(b, buf[:desc.Encode(buf[:])]...)
	return p.th.IPC.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendTimeout | mach.SendMQCall, Send: b})
}

// TestForeignControl: others' control ports move whatever the task is; read and inspect ports never do.
func TestForeignControl(t *testing.T) {
	w := newWorld(t, object.Config{DeveloperMode: true})
	p, other := w.level(rules.Level3), w.level(rules.Level3)
	box := p.port()
	for f, kill := range []bool{false, true, true, false} {
		n := p.name(other.TaskPort(p.Task, object.Flavor(f)))
		kr := p.send(box, mach.CopySend, n)
		if (kr != 0) != kill || (len(p.guards(kr)) > 0) != kill {
			t.Errorf("task port of flavor %d: %v", f, kr)
		}
		p.receive(box)
		right := p.right(n)
		want := mach.KernSuccess
		if kill {
			want = mach.KernInvalidRight
		}
		if kr := p.SetSpecialPort(p.th, object.TaskDebugControlPort, right); kr != want {
			t.Errorf("kept, flavor %d: %v", f, kr)
		} else if kr != 0 {
			drop(right)
		}
	}
	w.end()
}

// TestRawThread: a thread of thread_create is as immovable as others and not pinned; pinned ones are let go of when
// their thread has ended.
func TestRawThread(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.level(rules.Level2)
	raw, kr := p.NewThread(object.RawThread, nil, nil)
	w.want(kr, 0)
	n := raw.Self()
	kr = p.send(p.port(), mach.CopySend, n)
	w.want(kr, mach.SendInvalidRight)
	if v := p.guards(kr); len(v) != 1 || v[0].Guard() != ipc.GuardImmovable {
		t.Errorf("moved: %+v", v)
	}
	w.want(p.Space.Deallocate(p.th.IPC, n), 0)

	lib, kr := p.NewThread(object.PThread, nil, nil)
	w.want(kr, 0)
	n = lib.Self()
	w.want(p.Space.Deallocate(p.th.IPC, n), 0)
	w.want(p.Space.Destroy(p.th.IPC, n), mach.KernInvalidCapability)
	p.guards(0)
	w.want(lib.Terminate(), 0)
	w.want(lib.Terminate(), mach.KernTerminated)
	w.want(p.Space.Destroy(p.th.IPC, n), 0)
	if v := p.guards(0); len(v) > 0 || lib.ThreadPort(p.Task, object.Read) != nil {
		t.Errorf("after its end: %+v", v)
	}
	w.end()
}

// TestConversions checks which ports are good for which strength, for tasks and threads.
func TestConversions(t *testing.T) {
	w := newWorld(t, object.Config{DeveloperMode: true})
	p, other := w.plain(), w.plain()
	var ports [4]*ipc.Port
	for f := range ports {
		ports[f] = other.TaskPort(p.Task, object.Flavor(f))
		if again := other.TaskPort(p.Task, object.Flavor(f)); again != ports[f] {
			t.Errorf("flavor %d: two ports", f)
		} else {
			drop(again)
		}
	}
	var threads [3]*ipc.Port
	for f := range threads {
		threads[f] = other.th.ThreadPort(p.Task, object.Flavor(f))
	}
	for has, port := range ports {
		for need := object.Control; need <= object.Name; need++ {
			got := w.TaskOf(p.Task, port, need)
			if ok := has <= int(need); ok != (got == other.Task) {
				t.Errorf("task port of flavor %d for %d: %p", has, need, got)
			}
		}
		if w.ThreadOf(p.Task, port, object.Inspect) != nil {
			t.Errorf("task port of flavor %d is a thread", has)
		}
	}
	for has, port := range threads {
		for need := object.Control; need <= object.Inspect; need++ {
			got := w.ThreadOf(p.Task, port, need)
			if ok := has <= int(need); ok != (got == other.th) {
				t.Errorf("thread port of flavor %d for %d: %p", has, need, got)
			}
		}
	}
	if w.TaskOf(p.Task, nil, object.Name) != nil || w.TaskOf(p.Task, p.look(p.port()), object.Name) != nil ||
		w.TaskOf(p.Task, ipc.DeadRight(), object.Name) != nil {
		t.Error("not every port is a task")
	}
	other.Terminate()
	for f, port := range ports {
		if port.Active() || w.TaskUnjudged(port, object.Name) != nil || other.TaskPort(p.Task, object.Flavor(f)) != nil {
			t.Errorf("flavor %d lives on", f)
		}
	}
	w.want(other.Terminate(), mach.KernFailure)
	w.end()
}

// TestDeveloperMode checks who may use whose ports.
func TestDeveloperMode(t *testing.T) {
	for _, c := range []struct {
		name      string
		developer bool
		notMac    bool
		caller    rules.Level // -1: the task itself
		victim    rules.Level
		f         object.Flavor
		ok, out   bool // comes in; is given out
	}{
		{"own control", false, false, 0xff, 0, object.Control, true, true},
		{"foreign control", false, false, 0, 0, object.Control, false, false},
		{"foreign control, developer", true, false, 0, 0, object.Control, true, true},
		{"foreign read", false, false, 0, 0, object.Read, true, true},
		{"foreign inspect", false, false, 0, 0, object.Inspect, true, true},
		{"foreign name", false, false, 0, 0, object.Name, true, true},
		{"platform's control, developer", true, false, 0, rules.LevelPlatform, object.Control, true, true},
		{"platform's control, not a Mac", true, true, 0, rules.LevelPlatform, object.Control, false, false},
		{"platform's read, not a Mac", true, true, 0, rules.LevelPlatform, object.Read, false, true},
		{"platform's inspect, not a Mac", true, true, 0, rules.LevelPlatform, object.Inspect, true, true},
		{"platform to platform, not a Mac", true, true, rules.LevelPlatform, rules.LevelPlatform, object.Control, true,
			true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, object.Config{DeveloperMode: true,
				Restrictions: &restrict.Restrictions{System: restrict.System{NotMac: c.notMac}}})
			victim := w.level(c.victim)
			caller := victim
			if c.caller != 0xff {
				caller = w.level(c.caller)
			}
			right := victim.TaskPort(w.Kernel, c.f)
			w.SetDeveloperMode(c.developer)
			if got := w.TaskOf(caller.Task, right, c.f); (got != nil) != c.ok {
				t.Errorf("in: %p", got)
			}
			if c.f != object.Name {
				w.SetDeveloperMode(true)
				th := victim.th.ThreadPort(w.Kernel, c.f)
				w.SetDeveloperMode(c.developer)
				if got := w.ThreadOf(caller.Task, th, c.f); (got != nil) != c.ok {
					t.Errorf("thread in: %p", got)
				}
				drop(th)
			}
			out := victim.TaskPort(caller.Task, c.f)
			if (out != ipc.DeadRight()) != c.out || out == nil {
				t.Errorf("out: %p", out)
			}
			drop(right, out)
			w.end()
		})
	}
	w := newWorld(t, object.Config{DeveloperMode: true})
	p := w.plain()
	k := w.Kernel.TaskPort(p.Task, object.Read)
	if w.TaskOf(p.Task, k, object.Read) != nil || w.TaskOf(p.Task, k, object.Inspect) != w.Kernel ||
		w.TaskOf(w.Kernel, k, object.Read) != w.Kernel {
		t.Error("the kernel's task is the kernel's alone")
	}
	w.want(w.Kernel.Terminate(), mach.KernInvalidArgument)
	drop(k)
}

func TestProcessIDs(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	if _, err := w.NewTask(object.TaskConfig{PID: p.PID(), Restrict: restrict.NewTask(0)}); err == nil {
		t.Error("two processes with one id")
	}
	if w.Find(p.PID()) != p.Task || p.Machine() != w.Machine {
		t.Error("not found")
	}
	th, kr := p.NewThread(object.RawThread, nil, nil)
	w.want(kr, 0)
	if th.ID() == p.th.ID() || th.Task() != p.Task {
		t.Error("threads are not told apart")
	}
	_, kr = th.GetState(1, 2)
	w.want(kr, mach.KernInvalidArgument) // nobody keeps its registers
	w.end()
}
