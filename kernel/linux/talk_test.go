//go:build linux

package linux_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"portcullis.dev/kernel/linux"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/trap/task"
)

// publish makes a port that the process has the only right to receive for the bootstrap port of all that come after it.
func publish(th *task.Thread) (mach.Name, error) {
	name, err := th.Construct(mach.InsertSendRight, 0)
	return name, err
}

func init() {
	roles["echo"] = func(say func(string, ...any)) error {
		ctx := context.Background()
		th, err := joined()
		if err != nil {
			return err
		}
		port, err := publish(th)
		if err != nil {
			return err
		}
		say("port %d", port)
		m, err := th.Msg(ctx, nil, task.Args{Options: mach.RcvMsg, Receive: port})
		for err == nil {
			reply := task.Message{ID: m.ID + 100, Dest: m.Reply, DestDisposition: mach.MoveSendOnce, Body: m.Body,
				Complex: m.Complex, Items: m.Items}
			for i := range reply.Items {
				reply.Items[i].Copy = mach.CopyVirtual
			}
			m, err = th.Msg(ctx, &reply, task.Args{Options: mach.SendMsg | mach.RcvMsg | mach.SendMQCall, Receive: port})
		}
		return err
	}
	roles["ask"] = func(say func(string, ...any)) error {
		ctx := context.Background()
		t, err := task.Join(ctx)
		if err != nil {
			return err
		}
		th, err := t.NewThread()
		if err != nil {
			return err
		}
		service, err := th.BootstrapPort()
		if err != nil {
			return err
		}
		for _, size := range []int{0, 100, 4096, 20_000, 70_000, 1 << 20, 2 << 20} {
			body := make([]byte, size)
			for i := range body {
				body[i] = byte(i * 7)
			}
			inline := task.Message{ID: 5, Dest: service, DestDisposition: mach.CopySend, Body: body}
			got, kr := th.Peer().Call(&inline, nil)
			if kr != 0 {
				return fmt.Errorf("%d inline bytes: %w", size, kr)
			}
			if got.ID != 105 || string(got.Body) != string(body) {
				return fmt.Errorf("%d inline bytes came back as %d", size, len(got.Body))
			}
			ool := task.Message{ID: 6, Dest: service, DestDisposition: mach.CopySend, Complex: true}
			ool.AddMemory(body, false, false)
			ool.AddMemory([]byte("another"), false, false)
			if got, kr = th.Peer().Call(&ool, nil); kr != 0 {
				return fmt.Errorf("%d bytes out of line: %w", size, kr)
			}
			if len(got.Items) != 2 || string(got.Items[0].Data) != string(body) || string(got.Items[1].Data) != "another" {
				return fmt.Errorf("%d bytes out of line came back otherwise", size)
			}
		}
		say("done")
		return nil
	}
	roles["ping"] = func(say func(string, ...any)) error {
		ctx := context.Background()
		t, err := task.Join(ctx)
		if err != nil {
			return err
		}
		th, err := t.NewThread()
		if err != nil {
			return err
		}
		service, err := th.BootstrapPort()
		if err != nil {
			return err
		}
		say("ready")
		var n int
		for {
			if _, err := fmt.Scan(&n); err != nil {
				return nil
			}
			took := make([]int64, n)
			for i := range n {
				start := time.Now()
				m := task.Message{ID: 5, Dest: service, DestDisposition: mach.CopySend, Body: make([]byte, 24)}
				if _, kr := th.Peer().Call(&m, nil); kr != 0 {
					return kr
				}
				took[i] = int64(time.Since(start))
			}
			slices.Sort(took)
			say("done %d %d %d", took[n/2], took[n*99/100], took[n*999/1000])
		}
	}
}

// service starts a process in a role and makes the port that it says its bootstrap port of all tasks that inherit from
// nobody.
func (w *world) service(role string) *actor {
	w.Helper()
	a := w.start(role)
	var name mach.Name
	fmt.Sscan(a.hears("port "), &name)
	w.lend(a, name)
	return a
}

// lend makes a port of the actor's the bootstrap port of processes that start from now on.
func (w *world) lend(a *actor, name mach.Name) {
	p := w.Find(a.cmd.Process.Pid)
	if p == nil {
		w.Fatal("the process is no task")
	}
	port, kr := p.Task.Space.SendPort(name)
	if kr != 0 {
		w.Fatal(kr)
	}
	w.whenStarted(func(q *linux.Process) {
		if kr := q.Task.PutSpecialPort(object.TaskBootstrapPort, port.CopySend()); kr != 0 {
			w.Error(kr)
		}
	})
}

func TestTalk(t *testing.T) {
	w := newWorld(t, 0x402, nil)
	w.service("echo")
	a := w.start("ask")
	a.hears("done")
	if s := a.ends(); !s.Success() {
		t.Error(s)
	}
	for _, v := range w.violations {
		t.Errorf("%+v", v.Violation)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	w := newWorld(b, 0x402, nil)
	w.service("echo")
	a := w.start("ping")
	a.hears("ready")
	a.tell("100")
	a.hears("done")
	b.ResetTimer()
	a.tell("%d", b.N)
	var p50, p99, p999 float64
	fmt.Sscan(a.hears("done"), &p50, &p99, &p999)
	b.ReportMetric(p50, "p50-ns")
	b.ReportMetric(p99, "p99-ns")
	b.ReportMetric(p999, "p99.9-ns")
}
