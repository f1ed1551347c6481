package trace_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/kernel/server"
	"portcullis.dev/kernel/trace"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
	"portcullis.dev/trap"
)

var update = flag.Bool("update", false, "write the golden files anew")

type named string

func (n named) Name() string { return string(n) }

// party is a task with a thread whose calls are recorded.
type party struct {
	t    *testing.T
	r    *trace.Recorder
	task *object.Task
	th   *object.Thread
	tid  int
}

func join(t *testing.T, m *object.Machine, r *trace.Recorder, pid int32, name string, tid int) *party {
	t.Helper()
	task, err := m.NewTask(object.TaskConfig{PID: pid, Process: named(name),
		Restrict: restrict.NewTask(restrict.ForLevel(rules.LevelNone))})
	if err != nil {
		t.Fatal(err)
	}
	th, kr := task.NewThread(object.MainThread, nil, nil)
	must(t, kr)
	r.Started(task)
	return &party{t, r, task, th, tid}
}

func (p *party) msg(a *ipc.Args) mach.KernReturn {
	p.r.Call(p.th, p.tid, a)
	kr := p.th.IPC.Msg2(a)
	p.r.Return(p.th, p.tid, a, kr)
	return kr
}

func (p *party) port() mach.Name {
	name, kr := p.task.Space.Allocate(p.th.IPC, mach.RightReceive)
	must(p.t, kr)
	must(p.t, p.task.Space.InsertRight(p.th.IPC, name, name, mach.MakeSend))
	return name
}

func must(t *testing.T, kr mach.KernReturn) {
	t.Helper()
	if kr != 0 {
		t.Fatal(kr)
	}
}

func message(h mach.Header, ds ...mach.Descriptor) []byte {
	b := make([]byte, mach.HeaderSize)
	if len(ds) > 0 {
		h.Bits |= mach.BitsComplex
		b = append(b, byte(len(ds)), 0, 0, 0)
		for i := range ds {
			d := make([]byte, ds[i].Type.Size())
			ds[i].Encode(d)
			b = append(b, d...)
		}
	}
	h.Size = uint32(len(b))
	h.Encode(b)
	return b
}

// scenario is a client that sends a server a port, which the server answers; a call to the kernel; calls that fail; and one
// that never returns.
func scenario(t *testing.T, s trace.Sink) error {
	t.Helper()
	m := object.New(object.Config{Server: server.New(server.Config{})})
	t.Cleanup(m.Close)
	r := trace.New(s)
	client, srv := join(t, m, r, 30, "client", 31), join(t, m, r, 20, "server", 0)
	service := srv.port()
	right, kr := srv.task.Space.SendPort(service)
	must(t, kr)
	to, kr := client.task.Space.InsertSend(right.MakeSend(), false)
	must(t, kr)
	reply, gift := client.port(), client.port()

	send := mach.SendMsg | mach.SendMQCall
	must(t, client.msg(&ipc.Args{Options: send, Send: message(mach.Header{
		Bits: mach.MakeBits(mach.CopySend, mach.MakeSendOnce, 0), Remote: to, Local: reply, ID: 1000},
		mach.Descriptor{Type: mach.DescriptorPort, Disposition: mach.MoveReceive, Name: gift})}))
	in := &ipc.Args{Options: mach.RcvMsg, Receive: service, Buffer: make([]byte, 200)}
	must(t, srv.msg(in))
	var h mach.Header
	h.Decode(in.Buffer)
	must(t, srv.msg(&ipc.Args{Options: send, Send: message(mach.Header{
		Bits: mach.MakeBits(mach.MoveSendOnce, 0, 0), Remote: h.Remote, ID: 1100})}))
	must(t, client.msg(&ipc.Args{Options: mach.RcvMsg, Receive: reply, Buffer: make([]byte, 200)}))

	must(t, client.msg(&ipc.Args{Options: mach.SendMsg | mach.RcvMsg | mach.SendKobjectCall, Receive: reply,
		Buffer: make([]byte, 200), Send: message(mach.Header{Bits: mach.MakeBits(mach.CopySend, mach.MakeSendOnce, 0),
			Remote: client.task.Self(), Local: reply, ID: 3404})}))

	if kr := client.msg(&ipc.Args{Options: send, Send: message(mach.Header{Bits: mach.MakeBits(mach.CopySend, 0, 0),
		Remote: 0x9903, ID: 7})}); kr != mach.SendInvalidDest {
		t.Fatal(kr)
	}
	if kr := client.msg(&ipc.Args{Options: send, Send: []byte{1, 2, 3, 4}}); kr != mach.SendMsgTooSmall {
		t.Fatal(kr)
	}
	r.Operation(client.th, 31, trap.OpPortAllocate, &[12]uint64{0x103, 1}, &[8]uint64{1: 0x1203}, 0, 0)
	r.Operation(client.th, 31, trap.OpPortModRefs, &[12]uint64{0x103, 0x1203, 0, ^uint64(0)}, &[8]uint64{},
		mach.KernInvalidRight, 0)
	r.Operation(client.th, 31, trap.Op(999), &[12]uint64{}, &[8]uint64{}, mach.KernInvalidArgument, 0)
	code := rules.Code(0x2000000680000001)
	r.Violated(client.task, 31, &restrict.Violation{Code: code, Subcode: 0x6e, Fate: restrict.Killed})
	r.Call(srv.th, 0, &ipc.Args{Options: mach.RcvMsg, Receive: service})
	r.Ended(client.task)
	if err := r.Close(); err != nil {
		return err
	}
	r.Ended(srv.task) // too late, and told nobody
	return r.Close()
}

var clock = regexp.MustCompile(`(?m)^ +[0-9]+\.[0-9]{6}`)

func TestText(t *testing.T) {
	var b bytes.Buffer
	if err := scenario(t, trace.NewText(&b)); err != nil {
		t.Fatal(err)
	}
	got := clock.ReplaceAll(b.Bytes(), []byte("    0.000000"))
	golden := filepath.Join("testdata", "scenario.text")
	if *update {
		os.MkdirAll("testdata", 0o755)
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update):\n%s", golden, got)
	}
}

// TestChrome reads the trace as a viewer does: slices lie in order, every arrow has two ends in slices of two threads.
func TestChrome(t *testing.T) {
	var b bytes.Buffer
	if err := scenario(t, trace.NewChrome(&b)); err != nil {
		t.Fatal(err)
	}
	var events []struct {
		Name, Ph string
		Ts, Dur  float64
		PID, TID uint64
		ID       uint64
	}
	if err := json.Unmarshal(b.Bytes(), &events); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	inside := func(pid, tid uint64, at float64) bool {
		for _, e := range events {
			if e.Ph == "X" && e.PID == pid && e.TID == tid && e.Ts <= at && at <= e.Ts+e.Dur+0.001 {
				return true
			}
		}
		return false
	}
	from, to, slices, names := map[uint64]uint64{}, map[uint64]uint64{}, 0, 0
	for _, e := range events {
		switch e.Ph {
		case "s":
			from[e.ID] = e.PID
		case "f":
			to[e.ID] = e.PID
		case "X":
			slices++
		case "M":
			names++
		}
		if (e.Ph == "s" || e.Ph == "f") && !inside(e.PID, e.TID, e.Ts) {
			t.Errorf("an arrow ends outside of every slice: %+v", e)
		}
	}
	for id, pid := range to {
		if from[id] == 0 || from[id] == pid {
			t.Errorf("arrow %d leads from %d to %d", id, from[id], pid)
		}
	}
	if len(to) != 2 || slices != 11 || names != 8 {
		t.Errorf("%d arrows, %d slices, %d names, want 2, 11 and 8\n%s", len(to), slices, names, b.String())
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no room") }

func TestErrors(t *testing.T) {
	for _, s := range []trace.Sink{trace.NewText(broken{}), trace.NewChrome(broken{})} {
		if err := scenario(t, s); err == nil {
			t.Errorf("%T does not tell that nothing could be written", s)
		}
	}
}
