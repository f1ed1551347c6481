package object_test

import (
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// BenchmarkTask makes a task with its main thread and all its ports, and ends it.
func BenchmarkTask(b *testing.B) {
	w := newWorld(b, object.Config{DeveloperMode: true})
	other := w.plain()
	b.ReportAllocs()
	for b.Loop() {
		p := w.level(rules.Level3)
		var rights [7]*ipc.Port
		for f := range 4 {
			rights[f] = p.TaskPort(other.Task, object.Flavor(f))
		}
		for f := range 3 {
			rights[4+f] = p.th.ThreadPort(other.Task, object.Flavor(f))
		}
		p.Terminate()
		drop(rights[:]...)
	}
	b.StopTimer()
	w.end()
}

// BenchmarkTaskBare makes a task without threads, and ends it.
func BenchmarkTaskBare(b *testing.B) {
	w := newWorld(b, object.Config{})
	b.ReportAllocs()
	for b.Loop() {
		t, err := w.NewTask(object.TaskConfig{PID: 7, Restrict: restrict.NewTask(restrict.ForLevel(rules.Level3))})
		if err != nil {
			b.Fatal(err)
		}
		t.Terminate()
	}
	b.StopTimer()
	w.end()
}

// BenchmarkToken makes a token of a task, asks it for the task's port, and gives it up.
func BenchmarkToken(b *testing.B) {
	w := newWorld(b, object.Config{DeveloperMode: true})
	p, other := w.plain(), w.plain()
	b.ReportAllocs()
	for b.Loop() {
		right, _ := other.CreateToken(p.Task)
		port, kr := w.TokenOf(right).TaskPort(p.th, object.Read)
		if kr != 0 {
			b.Fatal(kr)
		}
		drop(port, right)
	}
	b.StopTimer()
	w.end()
}

// BenchmarkSemaphore passes a turn between two threads and back.
func BenchmarkSemaphore(b *testing.B) {
	w := newWorld(b, object.Config{})
	p := w.plain()
	ping, _ := p.semaphore(object.FIFO, 0)
	pong, _ := p.semaphore(object.FIFO, 0)
	s := p.sleep(func(th *object.Thread) (kr mach.KernReturn) {
		for kr == 0 {
			if kr = th.WaitSemaphore(ping); kr == 0 {
				kr = th.SignalSemaphore(pong)
			}
		}
		return kr
	})
	b.ReportAllocs()
	for b.Loop() {
		p.th.SignalSemaphore(ping)
		if kr := p.th.WaitSemaphore(pong); kr != 0 {
			b.Fatal(kr)
		}
	}
	b.StopTimer()
	s.th.Terminate()
	<-s.done
	w.end()
}
