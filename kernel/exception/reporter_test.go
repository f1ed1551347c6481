package exception_test

import (
	"testing"

	"portcullis.dev/defs/machexc"
	"portcullis.dev/defs/task"
	"portcullis.dev/defs/threadact"
	"portcullis.dev/kernel/client"
	"portcullis.dev/kernel/exception"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/mach/state"
	"portcullis.dev/mig/rpc"
	"portcullis.dev/rules"
)

// reporter is a crash reporter in a task of its own, which knows nothing but its port and makes all calls by messages.
type reporter struct {
	machexc.Funcs[mach.Name]
	*person
	c *client.Caller

	seen  exception.Exception
	pc    uint64
	wrote mach.KernReturn // what setting the registers returned
	kr    mach.KernReturn // of what failed first
}

// MachExceptionRaiseIdentityProtected implements machexc.Server: it reads the registers of the thread that it was.
func (r *reporter) MachExceptionRaiseIdentityProtected(_ *rpc.Message[mach.Name], _ mach.Name, id uint64,
	token mach.Name, kind int32, code []int64) mach.KernReturn {
	r.seen = exception.Exception{Type: mach.ExceptionType(kind), Code: code[0], Subcode: code[1]}
	var victim mach.Name
	if victim, r.kr = task.TaskIdentityTokenGetTaskPort(r.c, token, int32(object.Read)); r.kr != 0 {
		return r.kr
	}
	threads, kr := task.TaskThreads(r.c, victim)
	if r.kr = kr; kr != 0 {
		return kr
	}
	for _, th := range threads {
		info, kr := threadact.ThreadInfo(r.c, th, 4, 6) // THREAD_IDENTIFIER_INFO
		if kr != 0 || uint64(uint32(info[0]))|uint64(uint32(info[1]))<<32 != id {
			continue
		}
		words, kr := threadact.ThreadGetState(r.c, th, state.X86ThreadState64, 42)
		if r.kr = kr; kr != 0 {
			return kr
		}
		r.pc = uint64(words[32]) | uint64(words[33])<<32
		r.wrote = threadact.ThreadSetState(r.c, th, state.X86ThreadState64, words)
	}
	r.c.Destroy(token, mach.MoveSend)
	return mach.KernFailure
}

// TestReporter is the way of a secure reporter from outside: from the registration to the registers.
func TestReporter(t *testing.T) {
	w := newWorld(t, object.Config{Server: server.New(server.Config{})})
	join := func(l rules.Level) (*person, *client.Caller) {
		w.pid++
		mem := &client.Memory{}
		tk, err := w.NewTask(object.TaskConfig{PID: w.pid, Restrict: restrict.NewTask(restrict.ForLevel(l)), Memory: mem})
		if err != nil {
			t.Fatal(err)
		}
		p := &person{w: w, Task: tk}
		p.th, p.cpu = p.thread()
		return p, &client.Caller{Thread: p.th.IPC, Memory: mem, Kind: mach.SendKobjectCall}
	}
	p, c := join(rules.Level2)
	outside, rc := join(rules.Level2)
	r := &reporter{person: outside, c: rc}
	port := r.port()
	there, kr := p.Space.InsertSend(r.right(port), false)
	w.want(kr, 0)
	w.want(task.TaskSetExceptionPorts(c, p.Self(), int32(mach.ExcMaskAll), there,
		int32(-0x80000000|int64(mach.ExceptionIdentityProtected)), 0), 0)
	p.cpu.RIP = 0x401234

	raised := p.raise(x)
	b := make([]byte, 1<<10)
	w.want(r.th.IPC.Msg2(&ipc.Args{Options: mach.RcvMsg, Receive: port, Buffer: b}), 0)
	req, err := rpc.Decode(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	rep, kr := machexc.Serve[mach.Name](r, req)
	if !rpc.Answer[mach.Name](r.c, req, rep, kr) {
		t.Fatal("no answer")
	}
	out, err := rpc.Encode(rep, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.want(r.send(out), 0)
	raised.want(exception.Unhandled)
	if r.kr != 0 || r.seen != x || r.pc != 0x401234 || r.wrote != mach.KernInvalidArgument {
		t.Errorf("%v: %v, pc %#x, set: %v", r.kr, r.seen, r.pc, r.wrote)
	}
	w.end()
}
