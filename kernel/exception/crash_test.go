package exception_test

import (
	"testing"

	"portcullis.dev/kernel/exception"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

func TestCrashCodes(t *testing.T) {
	guard := exception.GuardOf(&restrict.Violation{Code: 0x2000000680000001, Subcode: 0x6e})
	for _, tt := range []struct {
		name      string
		got       exception.Exception
		code, sub int64
	}{
		{"abort", exception.Crash(exception.SIGABRT, exception.Exception{}), 0x06000000, 0},
		{"bad access", exception.Crash(exception.SIGSEGV, x), 0x0b100001, x.Subcode},
		{"guard", exception.Crash(exception.SIGKILL, guard), 0x09c00001, 0x6e},
	} {
		if tt.got.Type != mach.ExcCrash || tt.got.Code != tt.code || tt.got.Subcode != tt.sub {
			t.Errorf("%s: %v, want (%#x, %#x)", tt.name, tt.got, tt.code, tt.sub)
		}
	}
	r := exception.Reason{Namespace: exception.ReasonGuard, Code: 0x2000000680000001}
	if got := r.Subcode(); got != 23<<32|0x80000001 {
		t.Errorf("reason %#x", got)
	}
}

// TestCrashNotToItself: EXC_CRASH passes over handlers in the task that crashes; other exceptions do not.
func TestCrashNotToItself(t *testing.T) {
	w := newWorld(t, object.Config{})
	p, reporter := w.plain(), w.plain()
	own, there := p.port(), reporter.port()
	p.handle(object.TaskLevel, p, own, mach.ExceptionDefault|codes, 0)
	p.handle(object.HostLevel, reporter, there, mach.ExceptionDefault|codes, 0)
	r := p.raise(exception.Crash(exception.SIGSEGV, x))
	m := reporter.receive(there)
	if m.u32(60) != uint32(mach.ExcCrash) || m.u64(68) != 0x0b100001 {
		t.Errorf("%d, %#x", m.u32(60), m.u64(68))
	}
	w.want(reporter.reply(m, answer(0, 0, nil)), 0)
	r.want(exception.Handled)
	th, _ := p.thread()
	if !p.as(th).empty(own) {
		t.Error("the task was asked about its own crash")
	}
	w.end()
}

// TestGuard: who is asked about a guard that a call ran into.
func TestGuard(t *testing.T) {
	for _, tt := range []struct {
		name      string
		level     rules.Level
		behavior  restrict.GuardBehavior
		guard     ipc.Guard
		developer bool
		fate      restrict.Fate // as listed; Unseen for nothing listed
		asked     bool
	}{
		{"fatal", rules.LevelNone, 0, ipc.GuardImmovable, false, restrict.Killed, false},
		{"fatal, Developer Mode", rules.LevelNone, 0, ipc.GuardImmovable, true, restrict.Killed, true},
		{"optional, fatal", rules.Level1, 0x90, ipc.GuardInvalidName, false, restrict.Killed, false},
		{"optional, reported", rules.LevelNone, 0x50, ipc.GuardInvalidName, false, restrict.Reported, true},
		{"optional, neither", rules.LevelNone, 0x10, ipc.GuardInvalidName, false, restrict.Offered, true},
		{"optional, not delivered", rules.LevelNone, 0, ipc.GuardInvalidName, true, restrict.Unseen, false},
		{"soft", rules.Level1, 0x90, ipc.GuardMoveWeakReply, false, restrict.Reported, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, object.Config{DeveloperMode: tt.developer})
			p, handler := w.level(tt.level), w.plain()
			port := handler.port()
			p.handle(object.TaskLevel, handler, port, mach.ExceptionIdentityProtected|codes, 0)
			p.Restrict.SetBehavior(tt.behavior)
			w.Restrict.Violate(p.th.IPC, ipc.Violation{Guard: tt.guard, Target: 0x103, Payload: 9})
			seen := restrict.Of(p.th.IPC).Return(mach.KernDenied)
			v := restrict.Violation{Fate: restrict.Unseen}
			if len(seen) == 1 {
				v = seen[0]
			}
			if v.Fate != tt.fate {
				t.Errorf("%v, want %v", v.Fate, tt.fate)
			}
			outcome := make(chan exception.Outcome, 1)
			go func() { outcome <- exception.Guard(p.th, &v) }()
			if tt.asked {
				m := handler.receive(port)
				if m.u32(56) != uint32(mach.ExcGuard) || m.u64(64) != uint64(v.Code) || m.u64(72) != 9 {
					t.Errorf("%d: %#x, %#x", m.u32(56), m.u64(64), m.u64(72))
				}
				w.want(handler.reply(m, answer(0, 0, nil)), 0)
			}
			if got := <-outcome; (got == exception.Handled) != tt.asked {
				t.Errorf("%v, asked: %v", got, tt.asked)
			}
			if !handler.empty(port) {
				t.Error("asked all the same")
			}
			w.end()
		})
	}
}

// TestNotifyCorpse: the task's own handler, then the host's, learn of a corpse, in the form they asked for.
func TestNotifyCorpse(t *testing.T) {
	for _, f := range forms {
		w := newWorld(t, object.Config{})
		p, first, last := w.plain(), w.plain(), w.plain()
		port, lastPort := first.port(), last.port()
		p.handle(object.TaskLevel, first, port, f.behavior, 4)
		p.handle(object.HostLevel, last, lastPort, f.behavior, 4)
		id := p.th.ID()
		right, kr := p.Corpse()
		w.want(kr, 0)
		r := &raised{w, make(chan exception.Outcome, 1)}
		go func() {
			r.outcome <- exception.NotifyCorpse(w.KernelThread(), p.Task, id, p.cpu, mach.ExcCrash, 0x1234)
		}()
		w.want(first.Space.Deallocate(first.th.IPC, first.receive(port).Remote), 0)
		m := last.receive(lastPort)
		if m.ID != f.id || m.u32(f.exception) != uint32(mach.ExcCorpseNotify) || m.u32(f.code) != uint32(mach.ExcCrash) ||
			m.u32(f.code+f.codeSize) != 0x1234 || f.threadID != 0 && m.u64(f.threadID) != id {
			t.Errorf("%v: % x", f.behavior, m.b)
		}
		if f.task != 0 {
			task, kr := last.Space.SendPort(m.name(f.task))
			if w.want(kr, 0); w.TaskUnjudged(task, object.Control) != p.Task || m.name(f.thread) != 0 {
				t.Errorf("%v: thread %#x, task %v", f.behavior, m.name(f.thread), task.Type())
			}
		}
		if f.token != 0 {
			token, kr := last.Space.SendPort(m.name(f.token))
			w.want(kr, 0)
			control, kr := w.TokenOf(token).TaskPort(last.th, object.Control)
			w.want(kr, 0)
			control.ReleaseSend()
		}
		body := answer(0, 0, nil)
		if f.flavor != 0 {
			body = answer(0, 4, moved(m, f.flavor+8))
		}
		w.want(last.reply(m, body), 0)
		r.want(exception.Handled)
		if p.cpu.pc() != 0x400000 {
			t.Errorf("%v: registers of a corpse are set", f.behavior)
		}
		right.ReleaseSend()
		w.end()
	}
	w := newWorld(t, object.Config{})
	p := w.plain()
	right, kr := p.Corpse()
	w.want(kr, 0)
	if got := exception.NotifyCorpse(w.KernelThread(), p.Task, 1, nil, mach.ExcGuard, 0); got != exception.Unhandled {
		t.Error(got)
	}
	right.ReleaseSend()
	w.end()
}
