package bootstrap_test

import (
	"testing"

	names "portcullis.dev/defs/bootstrap"
	"portcullis.dev/kernel/bootstrap"
	"portcullis.dev/kernel/client"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
	"portcullis.dev/rules"
)

// program is a task that knows the bootstrap port.
type program struct {
	t *testing.T
	*object.Task
	client.Caller
	port mach.Name
}

func start(t *testing.T, m *object.Machine, s *bootstrap.Server, pid int32) *program {
	t.Helper()
	mem := &client.Memory{}
	task, err := m.NewTask(object.TaskConfig{PID: pid, Restrict: restrict.NewTask(restrict.ForLevel(rules.Level2)), Memory: mem})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Lend(task); err != nil {
		t.Fatal(err)
	}
	th, kr := task.NewThread(object.MainThread, nil, nil)
	if kr != 0 {
		t.Fatal(kr)
	}
	right, kr := task.SpecialPort(task, object.TaskBootstrapPort)
	if kr != 0 {
		t.Fatal(kr)
	}
	p := &program{t: t, Task: task, Caller: client.Caller{Thread: th.IPC, Memory: mem, Kind: mach.SendMQCall}}
	if p.port, kr = task.Space.InsertSend(right, false); kr != 0 {
		t.Fatal(kr)
	}
	return p
}

func (p *program) checkIn(name string, want mach.KernReturn) mach.Name {
	p.t.Helper()
	port, _, kr := names.CheckIn2(&p.Caller, p.port, name, 0)
	if kr != want {
		p.t.Fatalf("check-in of %q: %v, want %v", name, kr, want)
	}
	return port
}

func (p *program) lookUp(name string, want mach.KernReturn) mach.Name {
	p.t.Helper()
	port, _, kr := names.LookUp2(&p.Caller, p.port, name, 0, [16]byte{}, 0)
	if kr != want {
		p.t.Fatalf("look-up of %q: %v, want %v", name, kr, want)
	}
	return port
}

// unharmed wants no guard to have been raised.
func (p *program) unharmed() {
	p.t.Helper()
	for _, v := range restrict.Of(p.Thread).Return(0) {
		p.t.Errorf("%#x", v.Code)
	}
}

func TestNames(t *testing.T) {
	m := object.New(object.Config{})
	s, err := bootstrap.New(m)
	if err != nil {
		t.Fatal(err)
	}
	a, b := start(t, m, s, 100), start(t, m, s, 101)
	b.lookUp("service", bootstrap.UnknownService)
	a.checkIn("", bootstrap.UnknownService)
	in := a.checkIn("service", 0)
	b.checkIn("service", bootstrap.ServiceActive)
	to := b.lookUp("service", 0)
	for _, id := range []int32{1, 2} {
		if kr := b.Send(&rpc.Message[mach.Name]{ID: id, Dest: to, DestDisposition: mach.CopySend}, &rpc.Options{}); kr != 0 {
			t.Fatal(kr)
		}
	}
	receive := func(p *program, port mach.Name) int32 {
		t.Helper()
		buf := make([]byte, 256)
		if kr := p.Thread.Msg2(&ipc.Args{Options: mach.RcvMsg, Receive: port, Buffer: buf}); kr != 0 {
			t.Fatal(kr)
		}
		var h mach.Header
		h.Decode(buf)
		return h.ID
	}
	if id := receive(a, in); id != 1 {
		t.Fatalf("received %d", id)
	}
	a.unharmed()
	a.Terminate()
	// What was not taken waits for the next program.
	c := start(t, m, s, 102)
	if id := receive(c, c.checkIn("service", 0)); id != 2 {
		t.Fatalf("received %d", id)
	}

	// Registered ports go with who receives on them.
	mine, kr := b.Space.Allocate(b.Thread, mach.RightReceive)
	if kr != 0 {
		t.Fatal(kr)
	}
	if kr := b.Space.InsertRight(b.Thread, mine, mine, mach.MakeSend); kr != 0 {
		t.Fatal(kr)
	}
	register := func(p *program, name string, port mach.Name, want mach.KernReturn) {
		t.Helper()
		if kr := names.Register2(&p.Caller, p.port, name, port, 0); kr != want {
			t.Fatalf("registering %q: %v, want %v", name, kr, want)
		}
	}
	register(b, "mine", mine, 0)
	register(c, "mine", c.port, bootstrap.NameInUse)
	register(c, "service", c.port, bootstrap.NotPrivileged)
	c.checkIn("mine", bootstrap.NotPrivileged)
	if got := b.lookUp("mine", 0); got != mine {
		t.Fatalf("looked up %v, registered %v", got, mine)
	}
	c.lookUp("mine", 0)
	b.unharmed()
	b.Terminate()
	c.lookUp("mine", bootstrap.UnknownService)
	register(c, "mine", c.port, 0)
	register(c, "mine", 0, 0)
	c.lookUp("mine", bootstrap.UnknownService)
	root, kr := names.GetRootBootstrap(&c.Caller, c.port)
	if kr != 0 || root != c.port {
		t.Fatalf("root: %v, %v", root, kr)
	}
	c.unharmed()
	c.Terminate()
	s.Close()
	m.Close()
	if st := m.IPC.Stats(); st != (ipc.Stats{}) {
		t.Errorf("left behind: %+v", st)
	}
}
