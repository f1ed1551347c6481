package server_test

import (
	"sync"
	"testing"
	"time"

	"portcullis.dev/defs/task"
	"portcullis.dev/defs/threadact"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/mach/state"
	"portcullis.dev/rules"
)

// runner is the registers of a thread that can be stopped.
type runner struct {
	mu sync.Mutex
	state.ARM64
	stopped, ended bool
}

func (r *runner) do(f func()) { r.mu.Lock(); defer r.mu.Unlock(); f() }

func (r *runner) Get(f uint32) (w []uint32, kr mach.KernReturn) {
	r.do(func() { w, kr = r.ARM64.Get(f) })
	return w, kr
}

func (r *runner) Set(f uint32, w []uint32) (kr mach.KernReturn) {
	r.do(func() { kr = r.ARM64.Set(f, w) })
	return kr
}

func (r *runner) Stop() mach.KernReturn { r.do(func() { r.stopped = true }); return 0 }
func (r *runner) Continue()             { r.do(func() { r.stopped = false }) }
func (r *runner) Interrupt()            {}
func (r *runner) End()                  { r.do(func() { r.ended = true }) }
func (r *runner) runs() (b bool)        { r.do(func() { b = !r.stopped && !r.ended }); return b }

// spawner makes threads.
type spawner struct{ made []*runner }

func (s *spawner) Spawn() (ipc.Parker, object.Runner, mach.KernReturn) {
	r := &runner{stopped: true}
	s.made = append(s.made, r)
	return nil, r, 0
}

// TestThreadRuns makes, stops, reads, changes and ends threads by messages, of one's own task and of another.
func TestThreadRuns(t *testing.T) {
	w := newWorld(t, object.Config{DeveloperMode: true}, server.Config{})
	p := w.level(rules.LevelNone)
	s := &spawner{}
	other := w.join(object.TaskConfig{Restrict: restrict.NewTask(restrict.Default), Spawn: s})
	c := p.c
	control := p.of(other, object.Control)

	th, kr := task.ThreadCreate(c, control)
	w.want(kr, 0)
	r := s.made[0]
	words, kr := threadact.ThreadGetState(c, th, state.ARMThreadState64, 68)
	w.want(kr, 0)
	_, kr = threadact.ThreadGetState(c, th, state.ARMThreadState64, 67)
	w.want(kr, mach.KernInvalidArgument)
	words[64] = 0x4000
	w.want(threadact.ThreadSetState(c, th, state.ARMThreadState64, words), 0)
	w.want(threadact.ActSetState(c, th, state.ARMThreadState64, words), 0)
	_, kr = threadact.ActGetState(c, th, state.ARMThreadState64, 68)
	w.want(kr, 0)
	w.want(threadact.ThreadResume(c, th), 0)
	if r.PC != 0x4000 || !r.runs() {
		t.Errorf("pc %#x, runs: %v", r.PC, r.runs())
	}
	w.want(threadact.ThreadSuspend(c, th), 0)
	if r.runs() {
		t.Error("not suspended")
	}
	w.want(threadact.ThreadResume(c, th), 0)
	w.want(threadact.ThreadResume(c, th), mach.KernFailure)
	got, kr := threadact.ThreadConvertThreadState(c, th, object.ConvertToSelf, state.ARMThreadState64, words, 1296)
	if w.want(kr, 0); len(got) != 68 {
		t.Errorf("%d words", len(got))
	}
	_, kr = threadact.ThreadConvertThreadState(c, th, 9, state.ARMThreadState64, words, 1296)
	w.want(kr, mach.KernInvalidArgument)

	running, kr := task.ThreadCreateRunning(c, control, state.ARMThreadState64, words)
	if w.want(kr, 0); !s.made[1].runs() || s.made[1].PC != 0x4000 {
		t.Error("does not run")
	}
	w.want(threadact.ThreadTerminate(c, running), 0)
	if !s.made[1].ended {
		t.Error("not ended")
	}
	_, kr = task.ThreadCreateRunning(c, control, state.ARMThreadState64, words[1:])
	w.want(kr, mach.KernInvalidArgument)
	_, kr = task.ThreadCreate(c, p.self)
	w.want(kr, mach.KernNotSupported)

	read := p.name(other.th.ThreadPort(p.Task, object.Read)) // good for reading and for stopping
	w.want(threadact.ThreadSuspend(c, read), 0)
	w.want(threadact.ThreadResume(c, read), 0)
	_, kr = threadact.ThreadConvertThreadState(c, read, object.ConvertToSelf, state.ARMThreadState64, words, 1296)
	w.want(kr, mach.KernInvalidArgument)
	for _, kr := range []mach.KernReturn{
		threadact.ThreadAbort(c, read), threadact.ThreadAbortSafely(c, read),
		threadact.ThreadSetState(c, read, 6, words), threadact.ThreadTerminate(c, read)} { // which takes the right along
		w.want(kr, mach.KernInvalidArgument)
	}
	_, kr = task.ThreadCreate(c, p.of(other, object.Read))
	w.want(kr, mach.KernInvalidArgument)
	w.end()
}

// TestThreadAbort: a receive of another thread ends.
func TestThreadAbort(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p := w.level(rules.Level2)
	th, kr := p.NewThread(object.PThread, nil, &runner{})
	w.want(kr, 0)
	n := p.port()
	done := make(chan mach.KernReturn, 1)
	go func() {
		done <- th.IPC.Msg2(&ipc.Args{Options: mach.RcvMsg, Receive: n, Buffer: make([]byte, 100)})
	}()
	name := th.Self()
	for {
		w.want(threadact.ThreadAbort(p.c, name), 0)
		w.want(threadact.ThreadAbortSafely(p.c, name), 0)
		select {
		case kr := <-done:
			w.want(kr, mach.RcvInterrupted)
			w.end()
			return
		case <-time.After(time.Millisecond):
		}
	}
}

// TestTaskState: the debug registers of a task are zero and stay so.
func TestTaskState(t *testing.T) {
	for cpu, flavor := range map[string]int32{"arm64": state.ARMDebugState64, "x86_64": state.X86DebugState64} {
		w := newWorld(t, object.Config{CPU: cpu}, server.Config{})
		p := w.level(rules.LevelNone)
		words, kr := task.TaskGetState(p.c, p.self, flavor, 1296)
		if w.want(kr, 0); len(words) != state.Count(cpu, uint32(flavor)) {
			t.Errorf("%d words", len(words))
		}
		w.want(task.TaskSetState(p.c, p.self, flavor, words), 0)
		words[0] = 1
		w.want(task.TaskSetState(p.c, p.self, flavor, words), mach.KernNotSupported)
		_, kr = task.TaskGetState(p.c, p.self, flavor, 3)
		w.want(kr, mach.KernInvalidArgument)
		_, kr = task.TaskGetState(p.c, p.self, 6, 1296)
		w.want(kr, mach.KernInvalidArgument)
		w.want(task.TaskSetState(p.c, p.self, 6, words), mach.KernInvalidArgument)
		w.end()
	}
}
