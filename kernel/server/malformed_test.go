package server_test

import (
	"encoding/binary"
	"testing"

	"portcullis.dev/defs/clock"
	"portcullis.dev/defs/hostpriv"
	"portcullis.dev/defs/machhost"
	"portcullis.dev/defs/machport"
	"portcullis.dev/defs/machvm"
	"portcullis.dev/defs/semaphore"
	"portcullis.dev/defs/task"
	"portcullis.dev/defs/threadact"
	"portcullis.dev/kernel/client"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// subsystems are the first and the last message of each interface that is served.
var subsystems = [][2]int32{
	{machport.IDMachPortNames, machport.IDMachPortAssertAttributes},
	{task.IDTaskTerminate, task.IDTaskRegisterHardenedExceptionHandler},
	{threadact.IDThreadTerminate, threadact.IDThreadAdoptExceptionHandler},
	{machvm.IDMachVmAllocate, machvm.IDMachVmRemapNew},
	{machhost.IDHostInfo, machhost.IDMachZoneInfoForZone},
	{hostpriv.IDHostGetBootInfo, hostpriv.IDHostProcessorSetPriv},
	{semaphore.IDSemaphoreSignal, semaphore.IDSemaphoreTimedwaitSignal},
	{clock.IDClockGetTime, clock.IDClockAlarm},
}

// send sends a request to a port that no call is for, and returns the code of the reply.
func (p *person) send(id int32, body int, items ...rpc.Item[mach.Name]) mach.KernReturn {
	p.w.Helper()
	rep, kr := p.c.Caller.Call(&rpc.Message[mach.Name]{ID: id, Dest: p.host, DestDisposition: mach.CopySend,
		Complex: len(items) > 0, Items: items, Body: make([]byte, body)}, &rpc.Options{})
	p.w.want(kr, 0)
	if rep.Complex || len(rep.Body) < 12 {
		return 0
	}
	return mach.KernReturn(int32(binary.LittleEndian.Uint32(rep.Body[8:])))
}

// known lists the messages that the server knows.
func (p *person) known() (ids []int32) {
	for _, s := range subsystems {
		for id := s[0]; id <= s[1]; id++ {
			if p.send(id, 0) != mach.MigBadID {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// TestMalformed sends requests of wrong sizes, and with wrong descriptors, for every routine: they are refused with
// MIG's errors, and every right in them is destroyed.
func TestMalformed(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p := w.join(object.TaskConfig{})
	everything = p.known()
	n := p.port()
	moved := rpc.Item[mach.Name]{Type: mach.DescriptorPort, Disposition: mach.MoveSend, Port: n}
	copied := rpc.Item[mach.Name]{Type: mach.DescriptorPort, Disposition: mach.CopySend, Port: n}
	once := rpc.Item[mach.Name]{Type: mach.DescriptorPort, Disposition: mach.MakeSendOnce, Port: n}
	mem := rpc.Item[mach.Name]{Type: mach.DescriptorOOL, Copy: mach.CopyVirtual, Data: []byte("memory"), Size: 6}
	for _, id := range everything {
		for _, r := range []struct {
			what  string
			body  int
			items []rpc.Item[mach.Name]
		}{
			{"long", 8192, nil},
			{"two bytes of a count", 12, []rpc.Item[mach.Name]{mem, mem, mem}},
			{"rights", 8192, []rpc.Item[mach.Name]{copied, moved, copied}},
			{"a right to answer where none belongs", 8192, []rpc.Item[mach.Name]{once}},
			{"rights and memory", 24, []rpc.Item[mach.Name]{copied, mem, copied}},
		} {
			w.want(p.Space.ModRefs(p.th.IPC, n, mach.RightSend, 1), 0) // which a moved right takes
			for _, it := range r.items {
				if it.Disposition == mach.MoveSend {
					w.want(p.Space.ModRefs(p.th.IPC, n, mach.RightSend, 1), 0)
				}
			}
			before, ports := p.rights()[n], w.IPC.Stats().Ports
			kr := p.send(id, r.body, r.items...)
			if kr != mach.MigBadArguments && kr != mach.MigTypeError {
				t.Errorf("message %d, %s: %v", id, r.what, kr)
			}
			after := p.rights()[n]
			for _, it := range r.items {
				switch it.Disposition {
				case mach.MoveSend:
					before[1]--
				case mach.MakeSendOnce:
					if got := p.next(n); got != mach.NotifySendOnce {
						t.Errorf("message %d, %s: no word of the right that was destroyed but %d", id, r.what, got)
					}
				}
			}
			rights, kr := p.Space.SendRights(n)
			if w.want(kr, 0); rights != 1 || before != after || w.IPC.Stats().Ports != ports || p.mem.Len() != 0 {
				t.Fatalf("message %d, %s: %d send rights, %v before, %v after, %d pieces of memory", id, r.what, rights, before,
					after, p.mem.Len())
			}
			w.want(p.Space.ModRefs(p.th.IPC, n, mach.RightSend, -1), 0)
		}
	}
	if kr := p.send(9999, 0); kr != mach.MigBadID {
		t.Errorf("a message that nobody knows: %v", kr)
	}
	w.end()
}

// TestNobodyWaits makes calls whose replies nobody gets: what was made for the reply is given up.
func TestNobodyWaits(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p := w.join(object.TaskConfig{})
	ports := w.IPC.Stats().Ports
	caller := &client.Caller{Thread: p.th.IPC, Memory: p.mem, Kind: mach.SendAny}
	for _, id := range []int32{task.IDTaskThreads, task.IDTaskCreateIdentityToken, task.IDSemaphoreCreate} {
		body := make([]byte, 0, 16)
		if id == task.IDSemaphoreCreate {
			body = rpcBody(0, 0)
		}
		w.want(caller.Send(&rpc.Message[mach.Name]{ID: id, Dest: p.self, DestDisposition: mach.CopySend, Body: body},
			&rpc.Options{}), 0)
	}
	if s := w.IPC.Stats(); s.Ports != ports || s.Messages != 0 {
		t.Errorf("%d ports before, now %+v", ports, s)
	}
	w.end()
}

// rpcBody writes an NDR record and words.
func rpcBody(v ...uint32) []byte {
	w := rpc.NewWriter(32)
	for _, x := range v {
		w.Uint32(x)
	}
	return w.B
}
