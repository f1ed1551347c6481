package object_test

import (
	"sync"
	"testing"
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
)

// runner is a thread that can be stopped, and counts.
type runner struct {
	mu                      sync.Mutex
	t                       testing.TB
	words                   []uint32
	stopped, ended          bool
	stops, goes, interrupts int
}

func (r *runner) do(f func()) { r.mu.Lock(); defer r.mu.Unlock(); f() }

func (r *runner) Get(f uint32) (w []uint32, kr mach.KernReturn) {
	r.do(func() {
		if !r.stopped {
			r.t.Error("registers of a running thread are read")
		}
		w = append(w, r.words...)
	})
	if f != 6 {
		return nil, mach.KernInvalidArgument
	}
	return w, 0
}

func (r *runner) Set(f uint32, w []uint32) mach.KernReturn {
	if f != 6 {
		return mach.KernInvalidArgument
	}
	r.do(func() {
		if !r.stopped {
			r.t.Error("registers of a running thread are set")
		}
		r.words = w
	})
	return 0
}

func (r *runner) Stop() (kr mach.KernReturn) {
	r.do(func() {
		if r.ended {
			kr = mach.KernAborted
			return
		}
		if r.stopped {
			r.t.Error("stopped twice")
		}
		r.stopped = true
		r.stops++
	})
	return kr
}

func (r *runner) Continue() {
	r.do(func() {
		if !r.stopped {
			r.t.Error("goes on, and never stopped")
		}
		r.stopped = false
		r.goes++
	})
}

func (r *runner) Interrupt() { r.do(func() { r.interrupts++ }) }
func (r *runner) End()       { r.do(func() { r.ended = true }) }

func (r *runner) runs() (b bool) { r.do(func() { b = !r.stopped && !r.ended }); return b }

// running makes a thread that can be stopped.
func (p *person) running(kind object.ThreadKind) (*object.Thread, *runner) {
	p.w.Helper()
	r := &runner{t: p.w, words: []uint32{1, 2, 3}}
	th, kr := p.NewThread(kind, nil, r)
	p.w.want(kr, 0)
	return th, r
}

func TestSuspendThread(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	th, r := p.running(object.PThread)
	for range 2 {
		w.want(th.Suspend(), 0)
	}
	if r.runs() || th.SuspendCount() != 2 || r.stops != 1 {
		t.Error("not suspended")
	}
	words, kr := th.GetState(6, 3)
	if w.want(kr, 0); len(words) != 3 || r.runs() {
		t.Errorf("%v", words)
	}
	w.want(th.Resume(), 0)
	if r.runs() {
		t.Error("resumed too early")
	}
	w.want(th.Resume(), 0)
	w.want(th.Resume(), mach.KernFailure)
	if !r.runs() || r.goes != 1 {
		t.Error("not resumed")
	}
	_, kr = th.GetState(6, 2)
	w.want(kr, mach.KernInvalidArgument) // no room
	_, kr = th.GetState(7, 99)
	w.want(kr, mach.KernInvalidArgument)
	_, kr = th.ActGetState(p.th, 6, 3)
	w.want(kr, 0)
	_, kr = th.ActGetState(th, 6, 3)
	w.want(kr, mach.KernInvalidArgument)
	w.want(th.SetState(p.th, 6, []uint32{4}), 0)
	if !r.runs() || r.words[0] != 4 {
		t.Error("not set, or left stopped")
	}
	w.want(th.Suspend(), 0)
	w.want(th.Terminate(), 0)
	w.want(th.Suspend(), mach.KernTerminated)
	w.want(th.Resume(), mach.KernTerminated)
	w.want(th.Abort(), mach.KernTerminated)
	w.want(th.AbortSafely(), mach.KernTerminated)
	w.want(th.AwaitRelease(), mach.KernAborted)
	if !r.ended {
		t.Error("nobody told that it ended")
	}
	none := (*object.Thread)(nil)
	for _, f := range []func() mach.KernReturn{none.Suspend, none.Resume, none.Abort, none.AbortSafely,
		none.TerminateFromUser} {
		w.want(f(), mach.KernInvalidArgument)
	}
	w.end()
}

// TestStopFails: a thread that ended by itself cannot be stopped, and nothing is counted.
func TestStopFails(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	th, r := p.running(object.PThread)
	r.End()
	_, kr := th.GetState(6, 3)
	w.want(kr, mach.KernAborted)
	w.want(th.SetState(p.th, 6, nil), mach.KernAborted)
	w.want(th.Suspend(), mach.KernTerminated)
	w.want(p.Suspend(), 0)
	w.want(p.Resume(), 0)
	if r.stops+r.goes > 0 {
		t.Error("stopped")
	}
	w.end()
}

func TestSuspendTask(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	th, r := p.running(object.PThread)
	w.want(p.Resume(), mach.KernFailure)
	w.want(p.Suspend(), 0)
	w.want(p.Suspend(), 0)
	w.want(th.Suspend(), 0)
	_, late := p.running(object.PThread) // made meanwhile
	if r.runs() || late.runs() || p.SuspendCount() != 2 {
		t.Error("not suspended")
	}
	w.want(p.Resume(), 0)
	if r.runs() || late.runs() {
		t.Error("resumed too early")
	}
	w.want(p.Resume(), 0)
	if r.runs() || !late.runs() {
		t.Error("the thread that was suspended itself runs, or the other does not")
	}
	w.want(th.Resume(), 0)
	if !r.runs() {
		t.Error("not resumed")
	}
	w.want(p.Suspend(), 0)
	right, kr := p.Corpse()
	w.want(kr, 0)
	w.want(p.Suspend(), 0)
	w.want(p.Resume(), 0)
	drop(right)
	w.want(p.Suspend(), mach.KernFailure)
	w.want(p.Resume(), mach.KernFailure)
	w.want((*object.Task)(nil).Suspend(), mach.KernInvalidArgument)
	w.want(w.Kernel.Suspend(), mach.KernInvalidArgument)
	w.end()
}

// TestAwaitRelease: a thread that the kernel serves goes on when nothing holds it, or ends.
func TestAwaitRelease(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	th, _ := p.running(object.PThread)
	w.want(th.AwaitRelease(), 0)
	done := make(chan mach.KernReturn, 1)
	wait := func() { go func() { done <- th.AwaitRelease() }() }
	w.want(p.Suspend(), 0)
	w.want(th.Suspend(), 0)
	wait()
	w.want(p.Resume(), 0)
	w.want(th.Abort(), 0) // does not let it go
	select {
	case <-done:
		t.Error("goes on while it is suspended")
	case <-time.After(2 * time.Millisecond):
	}
	w.want(th.Resume(), 0)
	w.want(<-done, 0)
	w.want(th.Suspend(), 0)
	wait()
	w.want(th.Terminate(), 0)
	w.want(<-done, mach.KernAborted)
	w.end()
}

// TestAbort: a thread that waits in the kernel is interrupted.
func TestAbort(t *testing.T) {
	for _, abort := range []func(*object.Thread) mach.KernReturn{(*object.Thread).Abort, (*object.Thread).AbortSafely} {
		w := newWorld(t, object.Config{})
		p := w.plain()
		th, r := p.running(object.PThread)
		n := p.port()
		done := make(chan mach.KernReturn, 1)
		go func() {
			done <- th.IPC.Msg2(&ipc.Args{Options: mach.RcvMsg, Receive: n, Buffer: make([]byte, 100)})
		}()
		var kr mach.KernReturn
		for waits := true; waits; {
			w.want(abort(th), 0)
			select {
			case kr = <-done:
				waits = false
			case <-time.After(time.Millisecond):
			}
		}
		w.want(kr, mach.RcvInterrupted)
		if r.interrupts == 0 {
			t.Error("system calls are not interrupted")
		}
		w.end()
	}
}

// spawner makes threads.
type spawner struct {
	t    testing.TB
	made []*runner
	kr   mach.KernReturn
}

func (s *spawner) Spawn() (ipc.Parker, object.Runner, mach.KernReturn) {
	r := &runner{t: s.t, stopped: true}
	if s.kr == 0 {
		s.made = append(s.made, r)
	}
	return nil, r, s.kr
}

func TestCreateThread(t *testing.T) {
	w := newWorld(t, object.Config{})
	s := &spawner{t: t}
	p := w.joinAs(object.TaskConfig{PID: 7, Restrict: restrict.NewTask(restrict.ForLevel(2)), Spawn: s})
	th, kr := p.CreateThread()
	w.want(kr, 0)
	if s.made[0].runs() || th.SuspendCount() != 1 {
		t.Error("runs at once")
	}
	w.want(p.Suspend(), 0)
	w.want(th.Resume(), 0)
	if s.made[0].runs() {
		t.Error("runs in a suspended task")
	}
	w.want(p.Resume(), 0)
	if !s.made[0].runs() {
		t.Error("does not run")
	}
	w.want(th.TerminateFromUser(), 0)
	w.want(th.TerminateFromUser(), mach.KernTerminated)
	w.want(p.th.TerminateFromUser(), mach.KernDenied)

	th, kr = p.CreateRunning(6, []uint32{9})
	if w.want(kr, 0); !s.made[1].runs() || s.made[1].words[0] != 9 || th.SuspendCount() != 0 {
		t.Error("does not run with its registers")
	}
	_, kr = p.CreateRunning(99, nil)
	if w.want(kr, mach.KernInvalidArgument); !s.made[2].ended {
		t.Error("a thread is left over")
	}
	s.kr = mach.KernResourceShortage
	_, kr = p.CreateThread()
	w.want(kr, mach.KernResourceShortage)
	for _, who := range []*object.Task{nil, w.Kernel} {
		_, kr = who.CreateThread()
		w.want(kr, mach.KernInvalidArgument)
	}
	_, kr = w.plain().CreateThread()
	w.want(kr, mach.KernNotSupported)
	p.Terminate()
	_, kr = p.CreateThread()
	w.want(kr, mach.KernFailure)
	w.end()
}

func TestConvertState(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	words := []uint32{1, 2}
	for _, tt := range []struct {
		th   *object.Thread
		d    int32
		room int
		want mach.KernReturn
	}{
		{p.th, object.ConvertToSelf, 2, 0}, {p.th, object.ConvertFromSelf, 3, 0},
		{p.th, object.ConvertToSelf, 1, mach.KernInsufficientBufferSize}, {p.th, 0, 2, mach.KernInvalidArgument},
		{p.th, 3, 2, mach.KernInvalidArgument}, {nil, object.ConvertToSelf, 2, mach.KernInvalidArgument},
	} {
		got, kr := tt.th.ConvertState(tt.d, words, tt.room)
		if kr != tt.want || kr == 0 && len(got) != 2 {
			t.Errorf("%+v: %v, %v", tt, got, kr)
		}
	}
	w.end()
}

// TestSuspendRace: whoever suspends, resumes, looks at registers and ends threads at once leaves those that remain
// running.
func TestSuspendRace(t *testing.T) {
	w := newWorld(t, object.Config{})
	p := w.plain()
	var ths []*object.Thread
	var rs []*runner
	for range 4 {
		th, r := p.running(object.RawThread)
		ths, rs = append(ths, th), append(rs, r)
	}
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for n := range 300 {
				th := ths[(i+n)%len(ths)]
				switch (i + n) % 3 {
				case 0:
					if th.Suspend() == 0 {
						th.Resume()
					}
				case 1:
					if p.Suspend() == 0 {
						p.Resume()
					}
				default:
					th.GetState(6, 3)
				}
				if i == 0 && n == 150 {
					ths[0].Terminate()
				}
			}
		})
	}
	wg.Wait()
	for i, r := range rs {
		if r.runs() != (i != 0) || i != 0 && r.stops != r.goes {
			t.Errorf("thread %d: stopped %d times, went on %d times", i, r.stops, r.goes)
		}
	}
	w.end()
}

// TestSubstitute: without Developer Mode a task's own read port is its control port when it arrives; elsewhere, and if
// it was made in Developer Mode, it is what it is.
func TestSubstitute(t *testing.T) {
	for _, developer := range []bool{false, true} {
		w := newWorld(t, object.Config{DeveloperMode: developer})
		p, other := w.plain(), w.plain()
		type ported func(*object.Task) *ipc.Port
		for _, tt := range []struct {
			port         ported
			self         mach.Name
			read, weaker mach.PortType
		}{
			{func(by *object.Task) *ipc.Port { return p.TaskPort(by, object.Read) }, p.Self(), mach.PortTypeTaskRead, 0},
			{func(by *object.Task) *ipc.Port { return p.th.ThreadPort(by, object.Read) }, p.th.Self(), mach.PortTypeThreadRead,
				0},
			{func(by *object.Task) *ipc.Port { return p.TaskPort(by, object.Inspect) }, 0, 0, mach.PortTypeTaskInspect},
			{func(by *object.Task) *ipc.Port { return p.th.ThreadPort(by, object.Inspect) }, 0, 0,
				mach.PortTypeThreadInspect},
		} {
			n := p.name(tt.port(p.Task))
			typ := p.look(n).Type()
			switch {
			case tt.weaker != 0:
				if typ != tt.weaker {
					t.Errorf("%v", typ)
				}
			case developer && typ != tt.read, !developer && n != tt.self:
				t.Errorf("developer %v: %v", developer, typ)
			}
			if typ := other.look(other.name(tt.port(other.Task))).Type(); typ != tt.read && typ != tt.weaker {
				t.Errorf("developer %v, elsewhere: %v", developer, typ)
			}
		}
		w.end()
	}
}

// TestEnroll: threads that nobody knew of are found before threads are listed or stopped.
func TestEnroll(t *testing.T) {
	w := newWorld(t, object.Config{})
	var p *person
	var found []*runner
	p = w.joinAs(object.TaskConfig{PID: 7, Restrict: restrict.NewTask(restrict.Default), Enroll: func() {
		_, r := p.running(object.PThread)
		found = append(found, r)
	}})
	rights, kr := p.Threads(p.Task, object.Control)
	if w.want(kr, 0); len(rights) != 2 || len(found) != 1 {
		t.Errorf("%d threads, %d found", len(rights), len(found))
	}
	drop(rights...)
	if w.want(p.Suspend(), 0); len(found) != 2 || found[0].runs() || found[1].runs() {
		t.Error("not all are stopped")
	}
	p.Terminate()
	p.Suspend()
	if _, kr = p.Threads(p.Task, object.Control); kr != mach.KernFailure || len(found) != 2 {
		t.Errorf("%v, %d found", kr, len(found))
	}
	w.end()
}
