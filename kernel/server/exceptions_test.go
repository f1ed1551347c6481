package server_test

import (
	"slices"
	"testing"

	"portcullis.dev/defs/hostpriv"
	"portcullis.dev/defs/task"
	"portcullis.dev/defs/threadact"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// TestExceptionPorts sets, swaps and gets exception ports of task, thread and host by messages.
func TestExceptionPorts(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p := w.root(rules.LevelNone)
	c := p.c
	type set = func(recorder, mach.Name, int32, mach.Name, int32, int32) mach.KernReturn
	type swap = func(recorder, mach.Name, int32, mach.Name, int32, int32) ([]int32, []mach.Name, []int32, []int32,
		mach.KernReturn)
	type get = func(recorder, mach.Name, int32) ([]int32, []mach.Name, []int32, []int32, mach.KernReturn)
	const behavior = int32(mach.ExceptionState)
	for _, x := range []struct {
		what string
		on   mach.Name
		off  mach.Name // stands for something else
		set  set
		swap swap
		get  get
	}{
		{"task", p.self, p.thread,
			func(c recorder, on mach.Name, m int32, n mach.Name, b, f int32) mach.KernReturn {
				return task.TaskSetExceptionPorts(c, on, m, n, b, f)
			},
			func(c recorder, on mach.Name, m int32, n mach.Name, b, f int32) ([]int32, []mach.Name, []int32, []int32,
				mach.KernReturn) {
				return task.TaskSwapExceptionPorts(c, on, m, n, b, f)
			},
			func(c recorder, on mach.Name, m int32) ([]int32, []mach.Name, []int32, []int32, mach.KernReturn) {
				return task.TaskGetExceptionPorts(c, on, m)
			}},
		{"thread", p.thread, p.self,
			func(c recorder, on mach.Name, m int32, n mach.Name, b, f int32) mach.KernReturn {
				return threadact.ThreadSetExceptionPorts(c, on, m, n, b, f)
			},
			func(c recorder, on mach.Name, m int32, n mach.Name, b, f int32) ([]int32, []mach.Name, []int32, []int32,
				mach.KernReturn) {
				return threadact.ThreadSwapExceptionPorts(c, on, m, n, b, f)
			},
			func(c recorder, on mach.Name, m int32) ([]int32, []mach.Name, []int32, []int32, mach.KernReturn) {
				return threadact.ThreadGetExceptionPorts(c, on, m)
			}},
		{"host", p.host, p.self,
			func(c recorder, on mach.Name, m int32, n mach.Name, b, f int32) mach.KernReturn {
				return hostpriv.HostSetExceptionPorts(c, on, m, n, b, f)
			},
			func(c recorder, on mach.Name, m int32, n mach.Name, b, f int32) ([]int32, []mach.Name, []int32, []int32,
				mach.KernReturn) {
				return hostpriv.HostSwapExceptionPorts(c, on, m, n, b, f)
			},
			func(c recorder, on mach.Name, m int32) ([]int32, []mach.Name, []int32, []int32, mach.KernReturn) {
				return hostpriv.HostGetExceptionPorts(c, on, m)
			}},
	} {
		t.Run(x.what, func(t *testing.T) {
			a, b := p.port(), p.port()
			w.want(x.set(c, x.on, 2|4, a, behavior, 6), 0)
			w.want(x.set(c, x.on, 1<<20, a, behavior, 6), mach.KernInvalidArgument)
			w.want(x.set(c, x.on, 2, a, 99, 6), mach.KernInvalidArgument)
			w.want(x.set(c, x.off, 2, a, behavior, 6), mach.KernInvalidArgument)
			masks, handlers, behaviors, flavors, kr := x.swap(c, x.on, 2, b, behavior, 6)
			if w.want(kr, 0); !slices.Equal(masks, []int32{2}) || !slices.Equal(handlers, []mach.Name{a}) ||
				!slices.Equal(behaviors, []int32{behavior}) || !slices.Equal(flavors, []int32{6}) {
				t.Errorf("swapped %v %v %v %v", masks, handlers, behaviors, flavors)
			}
			_, _, _, _, kr = x.swap(c, x.on, 1<<20, b, behavior, 6)
			w.want(kr, mach.KernInvalidArgument)
			masks, handlers, _, _, kr = x.get(c, x.on, 2|4)
			if w.want(kr, 0); len(masks) != 2 || !slices.Contains(handlers, a) || !slices.Contains(handlers, b) {
				t.Errorf("set are %v %v, want %v and %v", masks, handlers, a, b)
			}
			_, _, _, _, kr = x.get(c, x.on, 1<<20)
			w.want(kr, mach.KernInvalidArgument)
			w.want(x.set(c, x.on, 2|4, 0, 0, 0), 0)
		})
	}
	w.end()
}

// TestExceptionPortsInfo asks who handles exceptions without getting rights: a read port will do.
func TestExceptionPortsInfo(t *testing.T) {
	w := newWorld(t, object.Config{DeveloperMode: true}, server.Config{})
	p, o := w.level(rules.LevelNone), w.level(rules.LevelNone)
	n := o.port()
	w.want(task.TaskSetExceptionPorts(o.c, o.self, 2, n, int32(mach.ExceptionState), 6), 0)
	w.want(threadact.ThreadSetExceptionPorts(o.c, o.thread, 2, n, int32(mach.ExceptionState), 6), 0)
	port, kr := o.Space.SendPort(n)
	w.want(kr, 0)
	want := [][2]uint32{{w.PortID(port), o.ID()}}
	masks, handlers, behaviors, flavors, kr := task.TaskGetExceptionPortsInfo(p.c, p.of(o, object.Read), 2)
	if w.want(kr, 0); !slices.Equal(masks, []int32{2}) || !slices.Equal(handlers, want) ||
		!slices.Equal(behaviors, []int32{2}) || !slices.Equal(flavors, []int32{6}) {
		t.Errorf("%v %v %v %v", masks, handlers, behaviors, flavors)
	}
	thread := p.name(o.th.ThreadPort(p.Task, object.Read))
	masks, handlers, _, _, kr = threadact.ThreadGetExceptionPortsInfo(p.c, thread, 2)
	if w.want(kr, 0); !slices.Equal(masks, []int32{2}) || !slices.Equal(handlers, want) {
		t.Errorf("%v %v, want %v", masks, handlers, want)
	}
	_, _, _, _, kr = task.TaskGetExceptionPortsInfo(p.c, p.of(o, object.Inspect), 2)
	w.want(kr, mach.KernInvalidArgument)
	_, _, _, _, kr = threadact.ThreadGetExceptionPortsInfo(p.c, thread, 1<<20)
	w.want(kr, mach.KernInvalidArgument)
	w.end()
}

// TestHardenedHandler registers a hardened handler, which freezes a task's choice, and lets a thread adopt it.
func TestHardenedHandler(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p := w.level(rules.Level2)
	c := p.c
	exc, kr := p.Space.Construct(p.th.IPC, &ipc.ConstructOptions{Flags: mach.ExceptionPort | mach.InsertSendRight})
	w.want(kr, 0)
	codes := mach.MachExceptionCodes
	behavior := int32(mach.ExceptionStateIdentityProtected | codes)
	w.want(threadact.ThreadAdoptExceptionHandler(c, p.thread, exc, 2, behavior, 6), mach.KernDenied)
	w.want(task.TaskRegisterHardenedExceptionHandler(c, p.self, 7, 2, behavior, 6, p.port()), mach.KernInvalidArgument)
	w.want(task.TaskRegisterHardenedExceptionHandler(c, p.self, 7, 2, behavior, 6, exc), 0)
	w.want(task.TaskRegisterHardenedExceptionHandler(c, p.self, 7, 2, behavior, 6, exc), mach.KernInvalidArgument)
	if e, key, ok := p.Hardened(); !ok || key != 7 || e.Mask != 2 {
		t.Errorf("registered %+v, key %d", e, key)
	}
	w.want(threadact.ThreadAdoptExceptionHandler(c, p.thread, exc, 4, behavior, 6), mach.KernDenied)
	w.want(threadact.ThreadAdoptExceptionHandler(c, p.thread, exc, 2, behavior, 6), 0)
	_, handlers, _, _, kr := threadact.ThreadGetExceptionPorts(c, p.thread, 2)
	if w.want(kr, 0); !slices.Equal(handlers, []mach.Name{exc}) {
		t.Errorf("adopted %v, want %v", handlers, exc)
	}
	w.end()
}
