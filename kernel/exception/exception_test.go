package exception_test

import (
	"fmt"
	"testing"

	"portcullis.dev/kernel/exception"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mach/state"
	"portcullis.dev/rules"
)

const codes = mach.MachExceptionCodes

// form is where the parts of an exception message lie; 0 for parts it does not have.
type form struct {
	behavior                     mach.ExceptionBehavior
	id                           int32
	thread, task, token          int // names in descriptors
	ndr, threadID, exception     int
	code, codeSize, flavor, size int
}

var forms = []form{
	{behavior: mach.ExceptionDefault, id: 2401, thread: 28, task: 40, ndr: 52, exception: 60, code: 68, codeSize: 4,
		size: 76},
	{behavior: mach.ExceptionState, id: 2402, ndr: 24, exception: 32, code: 40, codeSize: 4, flavor: 48},
	{behavior: mach.ExceptionStateIdentity, id: 2403, thread: 28, task: 40, ndr: 52, exception: 60, code: 68, codeSize: 4,
		flavor: 76},
	{behavior: mach.ExceptionDefault | codes, id: 2405, thread: 28, task: 40, ndr: 52, exception: 60, code: 68,
		codeSize: 8, size: 84},
	{behavior: mach.ExceptionState | codes, id: 2406, ndr: 24, exception: 32, code: 40, codeSize: 8, flavor: 56},
	{behavior: mach.ExceptionStateIdentity | codes, id: 2407, thread: 28, task: 40, ndr: 52, exception: 60, code: 68,
		codeSize: 8, flavor: 84},
	{behavior: mach.ExceptionIdentityProtected | codes, id: 2408, token: 28, ndr: 40, threadID: 48, exception: 56,
		code: 64, codeSize: 8, size: 80},
	{behavior: mach.ExceptionStateIdentityProtected | codes, id: 2410, token: 28, ndr: 40, threadID: 48, exception: 56,
		code: 64, codeSize: 8, flavor: 80},
}

// TestForms: for each behaviour the message is where the layouts of XNU's MIG say, and the answer lets the thread go on.
func TestForms(t *testing.T) {
	for _, f := range forms {
		for _, developer := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, developer %v", f.behavior, developer), func(t *testing.T) {
				w := newWorld(t, object.Config{DeveloperMode: developer})
				p, handler := w.plain(), w.plain()
				port := handler.port()
				p.handle(object.TaskLevel, handler, port, f.behavior, state.X86ThreadState64)
				r := p.raise(x)
				m := handler.receive(port)
				checkForm(t, p, handler, m, &f, developer)
				body := answer(0, 0, nil)
				if f.flavor != 0 {
					body = answer(0, state.X86ThreadState64, moved(m, f.flavor+8))
				}
				w.want(handler.reply(m, body), 0)
				r.want(exception.Handled)
				sets := f.flavor != 0 && (f.thread == 0 || developer)
				if got := p.cpu.pc() == 0x500000 && p.cpu.ax() == 7; got != sets {
					t.Errorf("registers set: %v, want %v", got, sets)
				}
				if p.cpu.stops != p.cpu.goes || (p.cpu.stops > 0) != (f.flavor != 0) {
					t.Errorf("stopped %d times, went on %d times", p.cpu.stops, p.cpu.goes)
				}
				w.want(handler.reply(m, body), mach.SendInvalidDest) // twice
				w.end()
			})
		}
	}
}

func checkForm(t *testing.T, p, handler *person, m *message, f *form, developer bool) {
	t.Helper()
	size := f.size
	if f.flavor != 0 {
		size = f.flavor + 8 + 4*42
		words, _ := p.cpu.Get(state.X86ThreadState64)
		if m.u32(f.flavor) != state.X86ThreadState64 || m.u32(f.flavor+4) != 42 || m.u32(f.flavor+8) != words[0] ||
			m.u32(f.flavor+8+4*41) != words[41] {
			t.Errorf("flavor %d, %d words", m.u32(f.flavor), m.u32(f.flavor+4))
		}
	}
	complex := f.thread != 0 || f.token != 0
	if m.ID != f.id || int(m.Size) != size || (m.Bits&mach.BitsComplex != 0) != complex ||
		m.Bits.Remote() != mach.MoveSendOnce || m.Bits.Local() != mach.MoveSend {
		t.Errorf("id %d, size %d, bits %#x; want %d, %d", m.ID, m.Size, uint32(m.Bits), f.id, size)
	}
	if m.u64(f.ndr) != 1<<32 {
		t.Errorf("NDR record % x", m.b[f.ndr:f.ndr+8])
	}
	if f.threadID != 0 && m.u64(f.threadID) != p.th.ID() {
		t.Errorf("thread %d, want %d", m.u64(f.threadID), p.th.ID())
	}
	code, sub := m.u64(f.code), uint64(0)
	if f.codeSize == 4 {
		code, sub = uint64(m.u32(f.code)), uint64(m.u32(f.code+4))|x64(x.Subcode)&^0xffffffff
	} else {
		sub = m.u64(f.code + 8)
	}
	if m.u32(f.exception) != uint32(x.Type) || m.u32(f.exception+4) != 2 || code != x64(x.Code) || sub != x64(x.Subcode) {
		t.Errorf("exception %d, %d codes: %#x, %#x", m.u32(f.exception), m.u32(f.exception+4), code, sub)
	}
	kinds := [2]mach.PortType{mach.PortTypeThreadRead, mach.PortTypeTaskRead}
	flavor := object.Read
	if developer {
		kinds = [2]mach.PortType{mach.PortTypeThreadControl, mach.PortTypeTaskControl}
		flavor = object.Control
	}
	if f.thread != 0 {
		for i, at := range []int{f.thread, f.task} {
			q, kr := handler.Space.SendPort(m.name(at))
			if kr != 0 || q.Type() != kinds[i] || m.b[at+10] != byte(mach.MoveSend) || m.b[at+11] != 0 {
				t.Fatalf("descriptor at %d: %v, % x", at, kr, m.b[at:at+12])
			}
		}
		task, _ := handler.Space.SendPort(m.name(f.task))
		thread, _ := handler.Space.SendPort(m.name(f.thread))
		if p.w.TaskOf(handler.Task, task, flavor) != p.Task || p.w.ThreadOf(handler.Task, thread, flavor) != p.th {
			t.Error("the ports are of somebody else")
		}
	}
	if f.token != 0 {
		q, kr := handler.Space.SendPort(m.name(f.token))
		p.w.want(kr, 0)
		if got, _ := p.w.TokenOf(q).Task(); got != p.Task {
			t.Error("the token is somebody else's")
		}
		right, kr := p.w.TokenOf(q).TaskPort(handler.th, object.Read)
		p.w.want(kr, 0)
		if p.w.TaskOf(handler.Task, right, object.Read) != p.Task {
			t.Error("no read port for the token")
		}
		right.ReleaseSend()
	}
}

func x64(v int64) uint64 { return uint64(v) }

// TestInProcess mirrors XNU tests/exception_tests.c and tests/ipc/mach_exc_port_substitute.c: a handler in the task
// itself is shown the ports that it knows itself by, in Developer Mode or not; one elsewhere gets read ports.
func TestInProcess(t *testing.T) {
	for _, developer := range []bool{false, true} {
		w := newWorld(t, object.Config{DeveloperMode: developer})
		p := w.plain()
		other, _ := p.thread()
		handler := p.as(other)
		port := handler.port()
		p.handle(object.ThreadLevel, handler, port, mach.ExceptionStateIdentity|codes, state.X86ThreadState64)
		r := p.raise(x)
		m := handler.receive(port)
		if m.name(28) != p.th.Self() || m.name(40) != p.Self() {
			t.Errorf("developer %v: thread %#x, task %#x; want %#x, %#x", developer, m.name(28), m.name(40), p.th.Self(),
				p.Self())
		}
		w.want(handler.reply(m, answer(0, state.X86ThreadState64, moved(m, 92))), 0)
		r.want(exception.Handled)
		if set := p.cpu.pc() == 0x500000; set != developer {
			t.Errorf("developer %v: registers set: %v", developer, set) // it is read ports that were sent
		}
		w.end()
	}
}

// TestIdentityProtectedInProcess mirrors XNU tests/exception_tests.c: the token gives a task its own port.
func TestIdentityProtectedInProcess(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.level(rules.Level2)
	other, _ := p.thread()
	handler := p.as(other)
	port := handler.port()
	w.want(p.th.SetExceptionPorts(p.th, object.ExceptionAction{Mask: mach.ExcMaskAll, Port: handler.right(port),
		Behavior: mach.ExceptionIdentityProtected | codes}), 0)
	r := p.raise(x)
	m := handler.receive(port)
	token, kr := p.Space.SendPort(m.name(28))
	w.want(kr, 0)
	right, kr := w.TokenOf(token).TaskPort(other, object.Control)
	w.want(kr, 0)
	if n, kr := p.Space.InsertSend(right, false); kr != 0 || n != p.Self() {
		t.Errorf("%v: %#x, want %#x", kr, n, p.Self())
	}
	w.want(handler.reply(m, answer(0, 0, nil)), 0)
	r.want(exception.Handled)
	w.end()
}

// TestLevels: thread, task, host; each is asked if those before do not handle.
func TestLevels(t *testing.T) {
	for first := object.ThreadLevel; first <= object.Levels; first++ {
		w := newWorld(t, object.Config{})
		p, handler := w.plain(), w.plain()
		var ports []mach.Name
		for l := range object.Levels {
			ports = append(ports, handler.port())
			p.handle(l, handler, ports[l], mach.ExceptionDefault|codes, 0)
		}
		r := p.raise(x)
		for l := range object.Levels {
			if l > first {
				break
			}
			m := handler.receive(ports[l])
			kr := mach.KernFailure
			if l == first {
				kr = 0
			}
			w.want(handler.reply(m, answer(kr, 0, nil)), 0)
		}
		want := exception.Handled
		if first == object.Levels {
			want = exception.Unhandled
		}
		r.want(want)
		for l, n := range ports {
			if !handler.empty(n) {
				t.Errorf("%v handles, and %v is asked too", first, object.Level(l))
			}
		}
		w.end()
	}
}

// TestNobody: without handlers, or with handlers that are gone, nobody is waited for.
func TestNobody(t *testing.T) {
	w := newWorld(t, object.Config{})
	p, handler := w.plain(), w.plain()
	if got := exception.Raise(p.th, x); got != exception.Unhandled {
		t.Error(got)
	}
	port := handler.port()
	p.handle(object.TaskLevel, handler, port, mach.ExceptionDefault, 0)
	handler.Terminate()
	if got := exception.Raise(p.th, x); got != exception.Unhandled {
		t.Error(got)
	}
	p.th.Terminate()
	if got := exception.Raise(p.th, x); got != exception.Ended {
		t.Error(got)
	}
	w.end()
}

// TestRefusedSend: a policy module keeps an exception from a handler.
func TestRefusedSend(t *testing.T) {
	w := newWorld(t, object.Config{Hooks: object.Hooks{SendException: func(_ *object.Task, x mach.ExceptionType) bool {
		return x == mach.ExcBadAccess
	}}})
	p, handler := w.plain(), w.plain()
	port := handler.port()
	p.handle(object.TaskLevel, handler, port, mach.ExceptionDefault|codes, 0)
	if got := exception.Raise(p.th, x); got != exception.Unhandled || !handler.empty(port) {
		t.Error(got)
	}
	r := p.raise(exception.Exception{Type: mach.ExcBreakpoint})
	w.want(handler.reply(handler.receive(port), answer(0, 0, nil)), 0)
	r.want(exception.Handled)
	w.end()
}

// TestWrongType: the host's handler may be registered with a port of any type; exceptions go to some types only.
func TestWrongType(t *testing.T) {
	w := newWorld(t, object.Config{})
	p, handler := w.plain(), w.plain()
	port, kr := handler.Space.Construct(handler.th.IPC, &ipc.ConstructOptions{Flags: mach.InsertSendRight |
		mach.NotificationPort})
	w.want(kr, 0)
	p.handle(object.HostLevel, handler, port, mach.ExceptionDefault|codes, 0)
	if got := exception.Raise(p.th, x); got != exception.Unhandled || !handler.empty(port) {
		t.Error(got)
	}
	w.end()
}

// TestNoRegisters: a handler that wants registers of a flavor that there is not is passed over.
func TestNoRegisters(t *testing.T) {
	w := newWorld(t, object.Config{})
	p, handler := w.plain(), w.plain()
	for _, flavor := range []uint32{0, 13, 17} {
		port := handler.port()
		p.handle(object.TaskLevel, handler, port, mach.ExceptionState|codes, flavor)
		if got := exception.Raise(p.th, x); got != exception.Unhandled || !handler.empty(port) {
			t.Errorf("flavor %d: %v", flavor, got)
		}
	}
	port := handler.port()
	p.handle(object.TaskLevel, handler, port, mach.ExceptionStateIdentityProtected, 4) // without codes
	if got := exception.Raise(p.th, x); got != exception.Unhandled || !handler.empty(port) {
		t.Error(got)
	}
	w.end()
}
