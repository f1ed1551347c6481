package restrict_test

import (
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
)

// world is a kernel with the tasks that a scenario needs: launchd, a peer that is nobody special, and the offender.
type world struct {
	testing.TB
	k                       *ipc.Kernel
	r                       *restrict.Restrictions
	launchd, peer, offender *person
}

// person is a task with a thread.
type person struct {
	w *world
	*ipc.Space
	task *restrict.Task
	t    *ipc.Thread
	mem  memory
}

type memory map[uint64][]byte

func (m memory) CopyIn(_ *ipc.Thread, addr uint64, size uint32, _ bool) ([]byte, bool) {
	b, ok := m[addr]
	return b, ok && len(b) >= int(size)
}

func (m memory) CopyOut(_ *ipc.Thread, b []byte) (uint64, bool) {
	addr := uint64(len(m)+1) << 12
	m[addr] = b
	return addr, true
}

func newWorld(t testing.TB, p restrict.Policy) *world {
	r := &restrict.Restrictions{}
	w := &world{TB: t, r: r, k: ipc.New(ipc.Config{Restrictions: r})}
	launchd := restrict.NewTask(restrict.ForLevel(5))
	launchd.Launchd = true
	w.launchd = w.join(launchd)
	w.peer = w.join(restrict.NewTask(restrict.Default))
	w.offender = w.join(restrict.NewTask(p))
	return w
}

func (w *world) join(task *restrict.Task) *person {
	mem := memory{}
	s := task.NewSpace(w.k, ipc.SpaceConfig{Memory: mem})
	return &person{w: w, Space: s, task: task, t: restrict.NewThread(s, nil), mem: mem}
}

func (w *world) ok(kr mach.KernReturn) {
	w.Helper()
	if kr != 0 {
		w.Fatalf("setting up: %v", kr)
	}
}

// end finishes the world and checks that nothing stays behind.
func (w *world) end() {
	w.Helper()
	for _, p := range []*person{w.offender, w.peer, w.launchd} {
		p.Terminate()
	}
}

// construct makes a port of a type, with a send right.
func (p *person) construct(o ipc.ConstructOptions) mach.Name {
	p.w.Helper()
	o.Flags |= mach.InsertSendRight
	n, kr := p.Construct(p.t, &o)
	p.w.ok(kr)
	return n
}

func (p *person) plain() mach.Name {
	p.w.Helper()
	return p.construct(ipc.ConstructOptions{})
}

func (p *person) service(domain uint8, f mach.ConstructFlags) mach.Name {
	p.w.Helper()
	return p.construct(ipc.ConstructOptions{Flags: mach.ServicePort | f,
		Service: &ipc.ServiceInfo{Name: "com.example.service", Domain: domain}})
}

// give hands a right to another task as launchd or XPC would, outside of messages.
func (p *person) give(to *person, n mach.Name, d mach.Disposition) mach.Name {
	p.w.Helper()
	got, _, kr := p.ExtractRight(to.t, n, d)
	p.w.ok(kr)
	restrict.Of(p.t).Return(0)
	return got
}

// give a movable receive right through a message, which is how service ports reach their services.
func (p *person) hand(to *person, n mach.Name) mach.Name {
	p.w.Helper()
	box := to.plain()
	slot := to.give(p, box, mach.CopySend)
	p.w.ok(p.msg(mach.SendMQCall, message(mach.MakeBits(mach.CopySend, 0, 0), slot, 0, 1,
		mach.Descriptor{Name: n, Disposition: mach.MoveReceive})))
	buf := make([]byte, 256)
	p.w.ok(to.t.Msg2(&ipc.Args{Options: mach.RcvMsg, Receive: box, Buffer: buf}))
	var d mach.Descriptor
	d.Decode(buf[mach.HeaderSize+mach.BodySize:])
	return d.Name
}

// msg sends without waiting.
func (p *person) msg(o mach.Option, b []byte) mach.KernReturn {
	return p.t.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendTimeout | o, Send: b})
}

// receive receives without waiting.
func (p *person) receive(n mach.Name, o mach.Option) mach.KernReturn {
	return p.t.Msg2(&ipc.Args{Options: mach.RcvMsg | mach.RcvTimeout | o, Receive: n, Buffer: make([]byte, 256)})
}

// call sends to a kernel object and receives the answer on reply.
func (p *person) call(o mach.Option, b []byte, reply mach.Name) mach.KernReturn {
	return p.t.Msg2(&ipc.Args{Options: mach.SendMsg | mach.RcvMsg | mach.RcvTimeout | o, Send: b, Receive: reply,
		Buffer: make([]byte, 256)})
}

func message(bits mach.Bits, remote, local mach.Name, id int32, descs ...mach.Descriptor) []byte {
	h := mach.Header{Bits: bits, Remote: remote, Local: local, ID: id}
	if len(descs) > 0 {
		h.Bits |= mach.BitsComplex
	}
	b := make([]byte, mach.HeaderSize)
	h.Encode(b)
	if len(descs) > 0 {
		b = append(b, byte(len(descs)), 0, 0, 0)
		for _, d := range descs {
			var buf [16]byte
			b = append(b, buf[:d.Encode(buf[:])]...)
		}
	}
	return b
}

// control is a task or thread control port's object.
type control struct{ of *restrict.Task }

func (c *control) ControlTask() *restrict.Task { return c.of }
func (c *control) NoSenders(*ipc.Port, uint32) {}

// Serve answers as a MIG server does: 36 bytes, success.
func (c *control) Serve(_ *ipc.Thread, call *ipc.Call) {
	if call.Expects() {
		call.Reply(call.ID+mach.ReplyOffset, make([]byte, 12))
	}
}

// taskSelf gives a task its own control port, pinned, as it has from birth.
func (p *person) taskSelf() mach.Name {
	p.w.Helper()
	port := p.w.k.NewObjectPort(mach.PortTypeTaskControl, &control{p.task})
	n, kr := p.InsertSend(port.MakeSend(), true)
	p.w.ok(kr)
	p.w.Cleanup(port.Destroy)
	return n
}

// object gives a task a send right to some kernel object.
func (p *person) object(typ mach.PortType) mach.Name {
	p.w.Helper()
	port := p.w.k.NewObjectPort(typ, &control{})
	n, kr := p.InsertSend(port.MakeSend(), false)
	p.w.ok(kr)
	p.w.Cleanup(port.Destroy)
	return n
}
