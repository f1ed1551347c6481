package local_test

import (
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
	"portcullis.dev/xpc"
)

// FuzzHostileClient lets a client that knows Mach send a service whatever the fuzzer writes, as messages to its service
// port and over a connection: bodies, ids, port and memory descriptors, wanted answers. The service must go on
// serving others, and nothing may be left of what the client sent.
func FuzzHostileClient(f *testing.F) {
	empty := []byte("CPX@\x05\x00\x00\x00\x00\xf0\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00")
	f.Add(uint32(0x10000000), uint8(0), empty, []byte{})
	f.Add(uint32(0x40000000), uint8(1), empty, []byte("CPX@\x05\x00\x00\x00\x00\xf0\x00\x00\x10\x00\x00\x00\x01\x00\x00\x00fd\x00\x00\x00\xb0\x00\x00"))
	f.Add(uint32(0x10000000), uint8(0x12), []byte("CPX@\x05\x00\x00\x00\x00\xf0\x00\x00\x10\x00\x00\x00\x01\x00\x00\x00p\x00\x00\x00\x00\xd0\x00\x00"), empty)
	f.Add(uint32(0x10000000), uint8(0x21), []byte{}, empty)
	f.Add(uint32(0x77303074), uint8(0x32), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, id uint32, shape uint8, body, memory []byte) {
		if len(body) > 2000 || len(memory) > 1<<16 {
			return
		}
		w := newWorld(t)
		ctx := inTime(t)
		server, friend, attacker := w.start(rules.Level2), w.start(rules.Level2), w.start(rules.LevelNone)
		attacker.Task.Violation = func(restrict.Violation) {}
		l := server.offer("s")
		var n atomic.Int64
		serve(t, l, echo(&n))
		good := friend.dial("s")
		good.Activate(nil)
		bad := attacker.dial("s")
		bad.Activate(nil)
		if _, err := bad.Call(ctx, dict()); err != nil {
			t.Fatal(err)
		}
		if _, err := good.Call(ctx, dict()); err != nil {
			t.Fatal(err)
		}
		before := names(server)
		th, _ := attacker.Task.Task.NewThread(object.PThread, nil, nil)
		for range attempts {
			for _, to := range targets(attacker, w) {
				m := hostile(attacker, th, to, id, shape, body, memory)
				th.IPC.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendMQCall | mach.SendTimeout, Send: m})
				restrict.Of(th.IPC).Return(0)
			}
		}
		late := friend.dial("s") // its check-in comes after all that
		late.Activate(nil)
		if _, err := late.Call(ctx, dict()); err != nil {
			t.Fatalf("a new client: %v", err)
		}
		late.Cancel()
		if d, err := good.Call(ctx, dict("a", xpc.Int64(1))); err != nil || d.Int64("a") != 1 {
			t.Fatalf("another client: %v, %v", d, err)
		}
		attacker.Terminate()
		if _, err := good.Call(ctx, dict()); err != nil {
			t.Fatal(err)
		}
		for i := 0; names(server) > before+spare; i++ {
			if i == 200 {
				t.Fatalf("the service had %d names, and has %d", before, names(server))
			}
			runtime.GC() // rights that a handler left lie about until then
			time.Sleep(time.Millisecond)
		}
		good.Cancel()
		l.Close()
		w.end()
	})
}

// attempts is how often the attacker says the same, and spare how many names may come from threads that were needed.
const (
	attempts = 24
	spare    = 8
)

func names(p *program) int {
	all, _, _ := p.Task.Space.Names()
	return len(all)
}

// targets are the ports of the service that the attacker can send to: the service's own, and that of its connection.
func targets(p *program, w *world) (all []mach.Name) {
	right, _ := w.launchd.Space.SendPort(w.services["s"])
	if n, kr := p.Task.Space.InsertSend(right.CopySend(), false); kr == 0 {
		all = append(all, n)
	}
	names, types, _ := p.Task.Space.Names()
	for i, n := range names {
		if types[i]&mach.TypeSend == 0 || types[i]&mach.TypeReceive != 0 {
			continue
		}
		if port, kr := p.Task.Space.SendPort(n); kr == 0 && port.Type() == mach.PortTypeConnection {
			all = append(all, n)
		}
	}
	return all
}

// hostile builds a message: the lower bits of shape say how many descriptors it has, the upper ones of what kind.
func hostile(p *program, th *object.Thread, to mach.Name, id uint32, shape uint8, body, memory []byte) []byte {
	count := int(shape & 3)
	bits := mach.MakeBits(mach.CopySend, 0, 0)
	b := make([]byte, mach.HeaderSize)
	reply := mach.NullName
	if shape&4 != 0 {
		reply = th.IPC.SpecialReplyPort()
		bits = mach.MakeBits(mach.CopySend, mach.MakeSendOnce, 0)
	}
	if count > 0 {
		bits |= mach.BitsComplex
		b = binary.LittleEndian.AppendUint32(b, uint32(count))
	}
	for i := range count {
		d := mach.Descriptor{Type: mach.DescriptorPort}
		switch port, _ := p.Task.Space.Allocate(th.IPC, mach.RightReceive); (int(shape>>4) + i) % 5 {
		case 0:
			d.Name, d.Disposition = port, mach.MakeSend
		case 1:
			at, _ := p.Task.Store(append([]byte(nil), memory...))
			d = mach.Descriptor{Type: mach.DescriptorOOL, Address: at, Size: uint32(len(memory)), Deallocate: true}
		case 2:
			d.Name, d.Disposition = port, mach.MoveReceive
		case 3:
			d.Name, d.Disposition = port, mach.MakeSendOnce
		case 4:
			d.Disposition = mach.CopySend // no right at all
		}
		at := len(b)
		b = append(b, make([]byte, d.Type.Size())...)
		d.Encode(b[at:])
	}
	b = append(b, body...)
	b = append(b, make([]byte, -len(b)&3)...)
	(&mach.Header{Bits: bits, Size: uint32(len(b)), Remote: to, Local: reply, ID: int32(id)}).Encode(b)
	return b
}
