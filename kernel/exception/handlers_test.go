package exception_test

import (
	"sync"
	"testing"

	"portcullis.dev/kernel/exception"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/mach/state"
	"portcullis.dev/rules"
)

// stateAt is where the registers of a mach_exception_raise_state lie.
const stateAt = 64

// TestReplies mirrors XNU tests/mach_exception_reply.c, and goes on: whatever an answer holds, sending it succeeds,
// nothing is left of it, and what is not the answer that was asked for makes the next handler be asked.
func TestReplies(t *testing.T) {
	simple := mach.MakeBits(mach.MoveSendOnce, 0, 0)
	body := answer(0, 0, nil)
	for _, tt := range []struct {
		name  string
		build func(p *person, m *message, port mach.Name) []byte
		want  exception.Outcome
	}{
		{"as it should be", func(p *person, m *message, port mach.Name) []byte {
			return build(simple, m.Remote, 0, 2505, body)
		}, exception.Handled},
		{"reply port, copied", func(p *person, m *message, port mach.Name) []byte {
			return build(mach.MakeBits(mach.MoveSendOnce, mach.CopySend, 0), m.Remote, port, 2505, body)
		}, exception.Unhandled},
		{"reply port, moved", func(p *person, m *message, port mach.Name) []byte {
			return build(mach.MakeBits(mach.MoveSendOnce, mach.MoveSend, 0), m.Remote, port, 2505, body)
		}, exception.Unhandled},
		{"reply port, send-once", func(p *person, m *message, port mach.Name) []byte {
			return build(mach.MakeBits(mach.MoveSendOnce, mach.MakeSendOnce, 0), m.Remote, port, 2505, body)
		}, exception.Unhandled},
		{"complex without descriptors", func(p *person, m *message, port mach.Name) []byte {
			return build(mach.MakeBits(mach.MoveSendOnce, mach.CopySend, 0)|mach.BitsComplex, m.Remote, port, 2505,
				make([]byte, 4))
		}, exception.Unhandled},
		{"port descriptor", func(p *person, m *message, port mach.Name) []byte {
			return build(simple, m.Remote, 0, 2505, nil, mach.Descriptor{Type: mach.DescriptorPort, Name: port,
				Disposition: mach.CopySend})
		}, exception.Unhandled},
		{"receive right", func(p *person, m *message, port mach.Name) []byte {
			return build(simple, m.Remote, 0, 2505, body, mach.Descriptor{Type: mach.DescriptorPort, Name: p.port(),
				Disposition: mach.MoveReceive})
		}, exception.Unhandled},
		{"memory out of line", func(p *person, m *message, port mach.Name) []byte {
			return build(simple, m.Remote, 0, 2505, nil, mach.Descriptor{Type: mach.DescriptorOOL, Address: 0x1000,
				Size: 100, Copy: mach.CopyVirtual})
		}, exception.Unhandled},
		{"array of ports", func(p *person, m *message, port mach.Name) []byte {
			return build(simple, m.Remote, 0, 2505, nil, mach.Descriptor{Type: mach.DescriptorOOLPorts, Address: 0x2000,
				Size: 2, Copy: mach.CopyVirtual, Disposition: mach.CopySend})
		}, exception.Unhandled},
		{"garbage for a voucher", func(p *person, m *message, port mach.Name) []byte {
			b := build(simple, m.Remote, 0, 2505, body)
			le.PutUint32(b[16:], 0xdead)
			return b
		}, exception.Handled},
		{"an error", func(p *person, m *message, port mach.Name) []byte {
			return build(simple, m.Remote, 0, 2505, answer(mach.KernFailure, 0, nil))
		}, exception.Unhandled},
		{"id of the request", func(p *person, m *message, port mach.Name) []byte {
			return build(simple, m.Remote, 0, 2405, body)
		}, exception.Unhandled},
		{"id of another behaviour", func(p *person, m *message, port mach.Name) []byte {
			return build(simple, m.Remote, 0, 2501, body)
		}, exception.Unhandled},
		{"id of a notification", func(p *person, m *message, port mach.Name) []byte {
			return build(simple, m.Remote, 0, mach.NotifySendOnce, body)
		}, exception.Unhandled},
		{"nothing but a header", func(p *person, m *message, port mach.Name) []byte {
			return build(simple, m.Remote, 0, 2505, nil)
		}, exception.Unhandled},
		{"no return code", func(p *person, m *message, port mach.Name) []byte {
			return build(simple, m.Remote, 0, 2505, body[:8])
		}, exception.Unhandled},
		{"too long", func(p *person, m *message, port mach.Name) []byte {
			return build(simple, m.Remote, 0, 2505, append(answer(0, 0, nil), 0, 0, 0, 0))
		}, exception.Unhandled},
		{"very long", func(p *person, m *message, port mach.Name) []byte {
			return build(simple, m.Remote, 0, 2505, make([]byte, 1<<16))
		}, exception.Unhandled},
		{"registers where none are asked for", func(p *person, m *message, port mach.Name) []byte {
			return build(simple, m.Remote, 0, 2505, answer(0, 4, make([]uint32, 42)))
		}, exception.Unhandled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, object.Config{})
			p, handler := w.plain(), w.withMemory()
			port := handler.port()
			p.handle(object.ThreadLevel, handler, port, mach.ExceptionDefault|codes, 0)
			r := p.raise(x)
			m := handler.receive(port)
			w.want(handler.send(tt.build(handler, m, port)), 0)
			r.want(tt.want)
			w.end()
		})
	}
}

// memory has bytes at every address.
type memory struct{}

func (memory) CopyIn(_ *ipc.Thread, _ uint64, size uint32, _ bool) ([]byte, bool) {
	return make([]byte, size), true
}
func (memory) CopyOut(*ipc.Thread, []byte) (uint64, bool) { return 0, false }

func (w *world) withMemory() *person {
	w.Helper()
	w.pid++
	t, err := w.NewTask(object.TaskConfig{PID: w.pid, Restrict: restrict.NewTask(restrict.Default), Memory: memory{}})
	if err != nil {
		w.Fatal(err)
	}
	p := &person{w: w, Task: t}
	p.th, p.cpu = p.thread()
	return p
}

// TestStateReplies: registers that come back are taken if they are registers that a thread can have, and whole.
func TestStateReplies(t *testing.T) {
	for _, tt := range []struct {
		name string
		body func(m *message) []byte
		want exception.Outcome
		pc   uint64
	}{
		{"set", func(m *message) []byte { return answer(0, 4, moved(m, stateAt)) }, exception.Handled, 0x500000},
		{"another flavor", func(m *message) []byte {
			return answer(0, 7, append([]uint32{4, 42}, moved(m, stateAt)...))
		}, exception.Handled, 0x500000},
		{"the floating-point unit's", func(m *message) []byte { return answer(0, 5, make([]uint32, 131)) },
			exception.Handled, 0x400000},
		{"no address of a program", func(m *message) []byte {
			words := moved(m, stateAt)
			words[33] = 0xffff8000
			return answer(0, 4, words)
		}, exception.Unhandled, 0x400000},
		{"too few", func(m *message) []byte { return answer(0, 4, moved(m, stateAt)[:41]) }, exception.Unhandled, 0x400000},
		{"none", func(m *message) []byte { return answer(0, 4, []uint32{}) }, exception.Unhandled, 0x400000},
		{"a flavor that is none", func(m *message) []byte { return answer(0, 99, moved(m, stateAt)) },
			exception.Unhandled, 0x400000},
		{"another processor's", func(m *message) []byte { return answer(0, 17, make([]uint32, 132)) },
			exception.Unhandled, 0x400000},
		{"a count beyond the message", func(m *message) []byte {
			b := answer(0, 4, moved(m, stateAt))
			le.PutUint32(b[16:], 1296)
			return b
		}, exception.Unhandled, 0x400000},
		{"a count beyond all messages", func(m *message) []byte {
			b := answer(0, 4, moved(m, stateAt))
			le.PutUint32(b[16:], 0xffffffff)
			return b
		}, exception.Unhandled, 0x400000},
		{"a count short of the message", func(m *message) []byte {
			b := answer(0, 4, moved(m, stateAt))
			le.PutUint32(b[16:], 41)
			return b
		}, exception.Unhandled, 0x400000},
		{"success without registers", func(m *message) []byte { return answer(0, 0, nil) }, exception.Unhandled, 0x400000},
		{"an error with registers", func(m *message) []byte { return answer(5, 4, moved(m, stateAt)) },
			exception.Unhandled, 0x400000},
		{"an error", func(m *message) []byte { return answer(5, 0, nil) }, exception.Unhandled, 0x400000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, object.Config{})
			p, handler := w.plain(), w.plain()
			port := handler.port()
			p.handle(object.TaskLevel, handler, port, mach.ExceptionState|codes, state.X86ThreadState64)
			r := p.raise(x)
			m := handler.receive(port)
			w.want(handler.reply(m, tt.body(m)), 0)
			r.want(tt.want)
			if p.cpu.pc() != tt.pc {
				t.Errorf("pc is %#x, want %#x", p.cpu.pc(), tt.pc)
			}
			w.end()
		})
	}
}

// TestSilentHandlers: a handler that does not answer holds up the thread that waits, until it or the thread ends.
func TestSilentHandlers(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(p, handler *person, m *message)
		want exception.Outcome
		next bool // the handler of the host is asked
	}{
		{"the right to answer is given up", func(p, h *person, m *message) {
			p.w.want(h.Space.Deallocate(h.th.IPC, m.Remote), 0)
		}, exception.Handled, true},
		{"the handler's task ends", func(p, h *person, m *message) { h.Terminate() }, exception.Handled, true},
		{"the thread is aborted", func(p, h *person, m *message) { p.w.want(p.th.Abort(), 0) }, exception.Unhandled, false},
		{"the thread is ended", func(p, h *person, m *message) { p.w.want(p.th.Terminate(), 0) }, exception.Ended, false},
		{"its task ends", func(p, h *person, m *message) { p.Terminate() }, exception.Ended, false},
		{"its task becomes a corpse", func(p, h *person, m *message) {
			right, kr := p.Corpse()
			p.w.want(kr, 0)
			right.ReleaseSend()
		}, exception.Ended, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, object.Config{})
			p, handler, last := w.plain(), w.plain(), w.plain()
			port, lastPort := handler.port(), last.port()
			p.handle(object.TaskLevel, handler, port, mach.ExceptionDefault|codes, 0)
			p.handle(object.HostLevel, last, lastPort, mach.ExceptionDefault|codes, 0)
			r := p.raise(x)
			m := handler.receive(port)
			w.want(p.th.AbortSafely(), 0)
			r.waits()
			tt.do(p, handler, m)
			if tt.next {
				w.want(last.reply(last.receive(lastPort), answer(0, 0, nil)), 0)
			}
			r.want(tt.want)
			if !tt.next {
				w.want(handler.reply(m, answer(0, 0, nil)), 0) // late, and in vain
				if tt.want == exception.Unhandled {            // who comes next is sent the message, and not waited for
					last.receive(lastPort)
				}
				if !last.empty(lastPort) {
					t.Error("the next handler is asked")
				}
			}
			w.end()
		})
	}
}

// TestPortDied: a handler that answers MACH_RCV_PORT_DIED is the last to be asked. A thread that did something it cannot do
// goes back to it; who waits for the outcome of a crash, guard or corpse is not told that it was handled.
func TestPortDied(t *testing.T) {
	for _, tt := range []struct {
		x    exception.Exception
		b    mach.ExceptionBehavior
		want exception.Outcome
	}{
		{x, mach.ExceptionDefault | codes, exception.Handled},
		{x, mach.ExceptionState | codes, exception.Handled},
		{exception.Crash(exception.SIGSEGV, x), mach.ExceptionDefault | codes, exception.Unhandled},
		{exception.Exception{Type: mach.ExcGuard}, mach.ExceptionDefault | codes, exception.Unhandled},
		{exception.Exception{Type: mach.ExcResource}, mach.ExceptionDefault | codes, exception.Unhandled},
		{exception.Exception{Type: mach.ExcCorpseNotify}, mach.ExceptionDefault | codes, exception.Unhandled},
	} {
		w := newWorld(t, object.Config{})
		p, handler := w.plain(), w.plain()
		port, host := handler.port(), handler.port()
		p.handle(object.TaskLevel, handler, port, tt.b, state.X86ThreadState64)
		p.handle(object.HostLevel, handler, host, mach.ExceptionDefault|codes, 0)
		var r *raised
		var right *ipc.Port
		if tt.x.Type == mach.ExcCorpseNotify {
			var kr mach.KernReturn
			right, kr = p.Corpse()
			w.want(kr, 0)
			r = &raised{w, make(chan exception.Outcome, 1)}
			go func() {
				r.outcome <- exception.NotifyCorpse(w.KernelThread(), p.Task, p.th.ID(), nil, mach.ExcCrash, 0)
			}()
		} else {
			r = p.raise(tt.x)
		}
		m := handler.receive(port)
		if tt.b.Base() == mach.ExceptionState {
			w.want(handler.reply(m, answer(mach.RcvPortDied, 4, moved(m, stateAt))), 0)
		} else {
			w.want(handler.reply(m, answer(mach.RcvPortDied, 0, nil)), 0)
		}
		r.want(tt.want)
		if !handler.empty(host) || p.cpu.pc() != 0x400000 {
			t.Errorf("%v: the next is asked, or registers are set: pc %#x", tt.x, p.cpu.pc())
		}
		right.ReleaseSend()
		w.end()
	}
}

// TestAbortOutcomeAwaited: the wait for the answer to a crash or a guard is not interrupted; that to other exceptions is.
func TestAbortOutcomeAwaited(t *testing.T) {
	for _, x := range []exception.Exception{exception.Crash(exception.SIGSEGV, x), {Type: mach.ExcGuard},
		{Type: mach.ExcResource}} {
		w := newWorld(t, object.Config{})
		p, handler := w.plain(), w.plain()
		port := handler.port()
		p.handle(object.TaskLevel, handler, port, mach.ExceptionDefault|codes, 0)
		r := p.raise(x)
		m := handler.receive(port)
		w.want(p.th.Abort(), 0)
		r.waits()
		w.want(handler.reply(m, answer(0, 0, nil)), 0)
		r.want(exception.Handled)
		w.end()
	}
}

// TestUnread: messages that nobody receives hold up their senders alone, and go with the port.
func TestUnread(t *testing.T) {
	w := newWorld(t, object.Config{})
	p, handler := w.plain(), w.plain()
	port := handler.port()
	p.handle(object.TaskLevel, handler, port, mach.ExceptionStateIdentity|codes, state.X86ThreadState64)
	var all []*raised
	for range 3 * mach.QueueLimitDefault {
		th, _ := p.thread()
		all = append(all, p.as(th).raise(x))
	}
	for _, r := range all {
		r.waits()
	}
	handler.Terminate()
	for _, r := range all {
		r.want(exception.Unhandled)
	}
	w.end()
}

// TestHandlerFaults: a handler that faults while it handles waits for itself; the end of its task ends both.
func TestHandlerFaults(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	th, _ := p.thread()
	handler := p.as(th)
	port := handler.port()
	p.handle(object.TaskLevel, handler, port, mach.ExceptionDefault|codes, 0)
	first := p.raise(x)
	handler.receive(port)
	second := handler.raise(x)
	first.waits()
	second.waits()
	p.Terminate()
	first.want(exception.Ended)
	second.want(exception.Ended)
	w.end()
}

// TestSuspended: a thread that was suspended while its exception was handled does not go on before it is resumed.
func TestSuspended(t *testing.T) {
	w := newWorld(t, object.Config{DeveloperMode: true})
	p, handler := w.plain(), w.plain()
	port := handler.port()
	p.handle(object.TaskLevel, handler, port, mach.ExceptionDefault|codes, 0)
	done := make(chan mach.KernReturn, 1)
	go func() {
		exception.Raise(p.th, x)
		done <- p.th.AwaitRelease()
	}()
	m := handler.receive(port)
	thread, kr := handler.Space.SendPort(m.name(28))
	w.want(kr, 0)
	th := w.ThreadOf(handler.Task, thread, object.Control)
	w.want(th.Suspend(), 0)
	words, kr := th.GetState(state.X86ThreadState64, 42)
	w.want(kr, 0)
	words[32] = 0x600000
	w.want(th.SetState(handler.th, state.X86ThreadState64, words), 0)
	w.want(handler.reply(m, answer(0, 0, nil)), 0)
	select {
	case <-done:
		t.Error("the thread goes on although it is suspended")
	default:
	}
	w.want(th.Resume(), 0)
	w.want(<-done, 0)
	if p.cpu.pc() != 0x600000 {
		t.Errorf("pc %#x", p.cpu.pc())
	}
	w.end()
}

// TestAnswerPolicy: registers that another task's handler answers with are set, and raise no guard: the newest kernel
// counts them by analytics alone.
//
// Source: XNU osfmk/ipc/ipc_policy.c, ipc_sec_policy_array and mach_port_guard_ast.
func TestAnswerPolicy(t *testing.T) {
	for l := rules.LevelNone; l <= rules.LevelPlatform; l++ {
		for _, foreign := range []bool{false, true} {
			w := newWorld(t, object.Config{})
			p := w.level(l)
			th, _ := p.thread()
			handler := p.as(th)
			if foreign {
				handler = w.plain()
			}
			port := handler.port()
			p.handle(object.TaskLevel, handler, port, mach.ExceptionStateIdentityProtected|codes, state.X86ThreadState64)
			r := p.raise(x)
			m := handler.receive(port)
			w.want(handler.reply(m, answer(0, state.X86ThreadState64, moved(m, 88))), 0)
			r.want(exception.Handled)
			if p.cpu.pc() != 0x500000 {
				t.Errorf("%v, foreign %v: not set", l, foreign)
			}
			if seen := restrict.Of(p.th.IPC).Return(0); len(seen) > 0 {
				t.Errorf("%v, foreign %v: %+v", l, foreign, seen)
			}
			w.end()
		}
	}
}

// TestHardened mirrors XNU tests/ipc/hardened_exceptions.c: of the registers that the hardened handler answers with, the
// program counter alone counts.
func TestHardened(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.level(rules.Level2)
	th, _ := p.thread()
	handler := p.as(th)
	port, kr := p.Space.Construct(p.th.IPC, &ipc.ConstructOptions{Flags: mach.ExceptionPort | mach.InsertSendRight})
	w.want(kr, 0)
	action := func() object.ExceptionAction {
		return object.ExceptionAction{Mask: mach.ExcBadAccess.Mask(), Port: p.right(port),
			Behavior: mach.ExceptionStateIdentityProtected | codes, Flavor: state.X86ThreadState64}
	}
	w.want(p.RegisterHardened(p.th, action(), 1), 0)
	w.want(p.th.AdoptHandler(p.th, action()), 0)
	r := p.raise(x)
	m := handler.receive(port)
	words := moved(m, 88) // rax too
	words[14] = 0x1234    // rsp
	w.want(handler.reply(m, answer(0, state.X86ThreadState64, words)), 0)
	r.want(exception.Handled)
	if p.cpu.pc() != 0x500000 || p.cpu.ax() != 1 || p.cpu.RSP != 0x7000_0000 {
		t.Errorf("pc %#x, rax %d, rsp %#x", p.cpu.pc(), p.cpu.ax(), p.cpu.RSP)
	}
	w.end()
}

// TestManyAtOnce: threads of several tasks fault again and again while handlers answer, fall silent and end.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, object.Config{})
	var tasks []*person
	handler := w.plain()
	port := handler.port()
	for i := range 4 {
		p := w.plain()
		f := forms[2*i]
		p.handle(object.TaskLevel, handler, port, f.behavior, state.X86ThreadState64)
		tasks = append(tasks, p)
	}
	var wg sync.WaitGroup
	const rounds = 50
	for _, p := range tasks {
		for range 3 {
			th, _ := p.thread()
			wg.Go(func() {
				for range rounds {
					exception.Raise(th, x)
				}
			})
		}
	}
	for i := range len(tasks) * 3 * rounds {
		m := handler.receive(port)
		switch i % 7 {
		case 0:
			handler.Space.Deallocate(handler.th.IPC, m.Remote)
		case 1:
			handler.reply(m, []byte("garbage."))
		default:
			handler.reply(m, answer(0, 0, nil))
		}
	}
	wg.Wait()
	w.end()
}
