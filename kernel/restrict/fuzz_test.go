package restrict_test

import (
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// program reads a fuzzer's bytes as calls. At its end everything it reads is 0.
type program struct{ b []byte }

func (p *program) u8() byte {
	if len(p.b) == 0 {
		return 0
	}
	v := p.b[0]
	p.b = p.b[1:]
	return v
}

func (p *program) u32() uint32 {
	return uint32(p.u8()) | uint32(p.u8())<<8 | uint32(p.u8())<<16 | uint32(p.u8())<<24
}

// name reads a name: mostly one byte that stands for a low name, as those of fresh spaces are.
func (p *program) name() mach.Name {
	v := p.u8()
	if v >= 0xf0 {
		return mach.Name(p.u32())
	}
	return mach.Name(v>>2+1)<<8 | mach.Name(v&3)<<2 | 3
}

// bytes reads up to 255 bytes as they are.
func (p *program) bytes() []byte {
	n := min(int(p.u8()), len(p.b))
	v := p.b[:n]
	p.b = p.b[n:]
	return append([]byte(nil), v...)
}

// FuzzKernel lets tasks at several levels make the calls that the fuzzer writes, with message buffers of its own
// making. Nothing may panic or hang, guards must make sense, and at the end nothing may be left.
func FuzzKernel(f *testing.F) {
	seed := func(calls ...[]byte) {
		var b []byte
		for _, c := range calls {
			b = append(b, c...)
		}
		f.Add(b)
	}
	send := func(task byte, msg []byte) []byte {
		return append([]byte{task, 0, 0x11, 0, 0, 0, 4, byte(len(msg))}, msg...)
	}
	port := []byte{0, 2, 1}
	msg := message(mach.MakeBits(mach.MakeSend, mach.MakeSendOnce, 0), 0x103, 0x103, 7,
		mach.Descriptor{Name: 0x103, Disposition: mach.MakeSend})
	seed(port, send(0, msg), []byte{0, 1, 2, 0, 0, 0, 0, 0})
	array := message(mach.MakeBits(mach.MakeSend, 0, 0), 0x103, 0, 7,
		mach.Descriptor{Type: mach.DescriptorOOLPorts, Address: 0x1000, Size: 2, Disposition: mach.MakeSend})
	for task := range byte(5) {
		seed([]byte{task, 2, 1}, send(task, array), []byte{task, 1, 2, 0, 0, 0, 0, 0})
		seed([]byte{task, 3, 0, 0x10, 0, 0, 0}, []byte{task, 9, 0, 0x10, task + 1})
	}
	seed([]byte{1, 2, 3}, []byte{1, 2, 1}, []byte{1, 13, 4, 0}, []byte{1, 8, 4, 70, 0, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &restrict.Restrictions{}
		k := ipc.New(ipc.Config{Restrictions: r, Limits: ipc.Limits{Names: 1 << 10, Ports: 1 << 9, Bytes: 1 << 20}})
		w := &world{TB: t, k: k, r: r}
		var tasks []*person
		var objects []*ipc.Port
		for _, l := range []rules.Level{rules.LevelNone, rules.Level1, rules.Level2, rules.LevelPlatform} {
			task := restrict.NewTask(restrict.ForLevel(l))
			task.Launchd = l == rules.LevelPlatform
			p := w.join(task)
			self := k.NewObjectPort(mach.PortTypeTaskControl, &control{task})
			p.InsertSend(self.MakeSend(), true)
			p.mem.CopyOut(nil, make([]byte, 64))
			copy(p.mem[0x1000], []byte{3, 1, 0, 0, 3, 2, 0, 0})
			objects, tasks = append(objects, self), append(tasks, p)
		}
		prog := &program{b}
		for range 200 {
			if len(prog.b) == 0 {
				break
			}
			p := tasks[int(prog.u8())%len(tasks)]
			kr := prog.call(p, tasks)
			for _, v := range restrict.Of(p.t).Return(kr) {
				if rule, ok := rules.ByCode(v.Code); !ok || rule.Class != v.Class {
					t.Fatalf("guard %v, class %v, is not in the table", v.Code, v.Class)
				}
			}
			if kr.Error() == "" {
				t.Fatalf("%d has no text", kr)
			}
		}
		for _, o := range objects {
			o.Destroy()
		}
		for _, p := range tasks {
			p.Terminate()
		}
		if s := k.Stats(); s != (ipc.Stats{}) {
			t.Fatalf("left behind: %+v", s)
		}
	})
}

// call makes one call.
func (g *program) call(p *person, all []*person) (kr mach.KernReturn) {
	to := func() *person { return all[int(g.u8())%len(all)] }
	switch g.u8() % 20 {
	case 0:
		o := mach.Option(g.u32())&^(mach.RcvMsg) | mach.Option(g.u8())<<32 | mach.SendMsg | mach.SendTimeout
		return p.t.Msg2(&ipc.Args{Options: o, Send: g.bytes()})
	case 1:
		o := mach.Option(g.u32())&^mach.SendMsg | mach.RcvMsg | mach.RcvTimeout
		return p.t.Msg2(&ipc.Args{Options: o, Receive: g.name(), Buffer: make([]byte, 4*int(g.u8()))})
	case 2:
		_, kr = p.Allocate(p.t, mach.Right(g.u8()))
	case 3:
		o := ipc.ConstructOptions{Flags: mach.ConstructFlags(g.u32()), QueueLimit: uint32(g.u8()),
			Context: uint64(g.u8()), ServiceName: ipc.AnonymousService}
		if g.u8()&1 != 0 {
			o.Service, o.ServiceName = &ipc.ServiceInfo{Name: "x", Domain: g.u8()}, g.name()
		}
		_, kr = p.Construct(p.t, &o)
	case 4:
		kr = p.Deallocate(p.t, g.name())
	case 5:
		kr = p.Destroy(p.t, g.name())
	case 6:
		kr = p.ModRefs(p.t, g.name(), mach.Right(g.u8()), int32(int8(g.u8()))*int32(1+g.u8()))
	case 7:
		kr = to().InsertRight(p.t, g.name(), g.name(), mach.Disposition(g.u8()))
	case 8:
		_, kr = p.RequestNotification(p.t, g.name(), int32(g.u8()), uint32(g.u8()), g.name(), mach.MakeSendOnce)
	case 9:
		_, _, kr = to().ExtractRight(p.t, g.name(), mach.Disposition(g.u8()))
	case 10:
		kr = p.Destruct(p.t, g.name(), int32(int8(g.u8())), uint64(g.u8()))
	case 11:
		kr = p.Guard(p.t, g.name(), uint64(g.u8()), mach.GuardFlags(g.u8()))
	case 12:
		kr = p.Unguard(p.t, g.name(), uint64(g.u8()))
	case 13:
		kr = p.InsertMember(p.t, g.name(), g.name())
	case 14:
		kr = p.MoveMember(p.t, g.name(), g.name())
	case 15:
		kr = p.SetAttributes(g.name(), mach.AttributeFlavor(g.u8()), uint32(g.u8()))
	case 16:
		p.t.SpecialReplyPort()
	case 17:
		o := mach.Option(g.u32())&^mach.RcvMsg | mach.SendMsg | mach.SendTimeout
		kr = p.t.MsgLegacy(&ipc.Args{Options: o, Send: g.bytes()})
	case 18:
		kr = p.AllocateName(p.t, mach.Right(g.u8()), g.name())
	case 19: // a call and its answer in one
		b := g.bytes()
		kr = p.t.Msg2(&ipc.Args{Options: mach.SendMsg | mach.RcvMsg | mach.SendTimeout | mach.RcvTimeout |
			mach.SendKobjectCall, Send: b, Receive: g.name(), Buffer: make([]byte, 256)})
	}
	return kr
}
