package lsmp_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/lsmp"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

var update = flag.Bool("update", false, "write the golden files anew")

type named string

func (n named) Name() string { return string(n) }

// world is a server with a guarded port in a set, a client that has a send right to it, and a message from the client on
// the port that carries a receive right.
func world(t *testing.T) *object.Machine {
	t.Helper()
	m := object.New(object.Config{})
	t.Cleanup(m.Close)
	task := func(pid int32, name string, l rules.Level) (*object.Task, *ipc.Thread) {
		tk, err := m.NewTask(object.TaskConfig{PID: pid, Process: named(name), Restrict: restrict.NewTask(restrict.ForLevel(l))})
		if err != nil {
			t.Fatal(err)
		}
		th, kr := tk.NewThread(object.MainThread, nil, nil)
		must(t, kr)
		return tk, th.IPC
	}
	server, st := task(20, "server", rules.LevelNone)
	client, ct := task(30, "client", rules.Level2)

	service, kr := server.Space.Construct(st, &ipc.ConstructOptions{Flags: mach.QueueLimit | mach.ContextAsGuard |
		mach.Strict, Context: 0xfeed, QueueLimit: 7})
	must(t, kr)
	must(t, server.Space.InsertRight(st, service, service, mach.MakeSend))
	set, kr := server.Space.Allocate(st, mach.RightPortSet)
	must(t, kr)
	must(t, server.Space.InsertMember(st, service, set))
	right, kr := server.Space.SendPort(service)
	must(t, kr)
	to, kr := client.Space.InsertSend(right.MakeSend(), false)
	must(t, kr)

	carried, kr := client.Space.Allocate(ct, mach.RightReceive)
	must(t, kr)
	must(t, client.Space.InsertRight(ct, carried, carried, mach.MakeSend))
	msg := make([]byte, mach.HeaderSize+mach.BodySize+mach.PortDescriptorSize)
	h := mach.Header{Bits: mach.MakeBits(mach.CopySend, 0, 0) | mach.BitsComplex, Size: uint32(len(msg)), Remote: to, ID: 1}
	h.Encode(msg)
	msg[mach.HeaderSize] = 1
	d := mach.Descriptor{Type: mach.DescriptorPort, Disposition: mach.MoveReceive, Name: carried}
	d.Encode(msg[mach.HeaderSize+mach.BodySize:])
	must(t, ct.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendMQCall, Send: msg}))
	return m
}

func must(t *testing.T, kr mach.KernReturn) {
	t.Helper()
	if kr != 0 {
		t.Fatal(kr)
	}
}

// port finds the port that a task has a name of a right for, other than its own task's and thread's.
func port(t *testing.T, l *lsmp.Listing, pid int32, right string) *lsmp.Port {
	t.Helper()
	for i := range l.Ports {
		for _, h := range l.Ports[i].Holders {
			if h.PID == pid && slices.Contains(h.Rights, right) && l.Ports[i].Object == "" {
				return &l.Ports[i]
			}
		}
	}
	t.Fatalf("task %d has no port with a %s right", pid, right)
	return nil
}

func TestListing(t *testing.T) {
	l := lsmp.Of(world(t))
	p := port(t, l, 20, "receive")
	if p.Receiver != "task" || p.Messages != 1 || p.QueueLimit != 7 || p.Context != 0xfeed ||
		!slices.Equal(p.Flags, []string{"guarded", "strict"}) || p.Sends != 3 || p.Carried != 1 {
		t.Errorf("the server's port: %+v", p)
	}
	if len(p.Holders) != 2 || p.Holders[0].PID != 20 || p.Holders[1].PID != 30 ||
		!slices.Equal(p.Holders[1].Rights, []string{"send"}) {
		t.Errorf("its holders: %+v", p.Holders)
	}
	var carried *lsmp.Port
	for i := range l.Ports {
		if l.Ports[i].Receiver == "message" {
			carried = &l.Ports[i]
		}
	}
	if carried == nil || carried.Transit != p.ID || carried.Sends != 1 || carried.Holders[0].PID != 30 {
		t.Errorf("the port in the message: %+v", carried)
	}
	if l.Tasks[0].PID != 20 || l.Tasks[1].Program != "client" || l.Tasks[1].Level != rules.Level2 || l.Tasks[1].Threads != 1 {
		t.Errorf("tasks: %+v", l.Tasks)
	}
	set := l.Tasks[0].Names[slices.IndexFunc(l.Tasks[0].Names, func(n lsmp.Name) bool { return n.Rights[0] == "port-set" })]
	if !slices.Equal(set.Members, []lsmp.Number{p.Holders[0].Name}) {
		t.Errorf("members of the set: %v", set.Members)
	}
	if l.Totals.Messages != 1 || l.Totals.Sets != 1 || l.Totals.Spaces < 2 {
		t.Errorf("totals: %+v", l.Totals)
	}
	if own := l.Select(30); len(own.Tasks) != 1 || len(own.Ports) >= len(l.Ports) {
		t.Errorf("selected %d tasks, %d of %d ports", len(own.Tasks), len(own.Ports), len(l.Ports))
	}
}

func TestRoundTrip(t *testing.T) {
	l := lsmp.Of(world(t))
	var b bytes.Buffer
	if err := l.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	got, err := lsmp.Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, l) {
		t.Errorf("it comes back as %+v, was %+v", got, l)
	}
	for _, bad := range []string{"", "{", `{"version":99}`, `{"version":1,"ports":[{"id":"7"}]}`} {
		if _, err := lsmp.Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// TestForms compares with golden files, once the ids of ports, which differ from run to run, are numbered.
func TestForms(t *testing.T) {
	l := lsmp.Of(world(t))
	ids := map[lsmp.Number]lsmp.Number{}
	for i := range l.Ports {
		ids[l.Ports[i].ID] = lsmp.Number(i + 1)
	}
	for i := range l.Ports {
		l.Ports[i].ID, l.Ports[i].Transit = ids[l.Ports[i].ID], ids[l.Ports[i].Transit]
	}
	for i := range l.Tasks {
		for j := range l.Tasks[i].Names {
			n := &l.Tasks[i].Names[j]
			n.Port = ids[n.Port]
		}
	}
	for name, write := range map[string]func(*bytes.Buffer) error{
		"text": func(b *bytes.Buffer) error { return l.WriteText(b) },
		"dot":  func(b *bytes.Buffer) error { return l.WriteDOT(b) },
		"json": func(b *bytes.Buffer) error { return l.WriteJSON(b) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		if name == "json" && !json.Valid(b.Bytes()) {
			t.Error("the JSON is not valid")
		}
		golden := filepath.Join("testdata", "listing."+name)
		if *update {
			os.MkdirAll("testdata", 0o755)
			if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b.Bytes(), want) {
			t.Errorf("%s differs (go test -update):\n%s", golden, b.String())
		}
	}
}
