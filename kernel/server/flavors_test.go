package server_test

import (
	"testing"

	"portcullis.dev/defs/machport"
	"portcullis.dev/defs/machvm"
	"portcullis.dev/defs/task"
	"portcullis.dev/defs/threadact"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
	"portcullis.dev/rules"
)

// TestFlavors calls what takes ports of tasks and threads with each flavor of port: a stronger one does for whatever a
// weaker one does, and nothing that comes back is stronger. It mirrors XNU tests/ipc/ipc_read_inspect.c.
func TestFlavors(t *testing.T) {
	w := newWorld(t, object.Config{DeveloperMode: true}, server.Config{})
	mine, theirs := &process{space: newSpace()}, &process{space: newSpace()}
	p := w.join(object.TaskConfig{Process: mine})
	o := w.join(object.TaskConfig{Process: theirs})
	c := p.c
	at, kr := machvm.MachVmAllocate(o.c, o.self, 0, page, int32(server.VMAnywhere))
	w.want(kr, 0)
	w.want(task.TaskSetSpecialPort(o.c, o.self, int32(object.TaskBootstrapPort), o.port()), 0)
	remap := func(from mach.Name, copied, prot int32) mach.KernReturn {
		_, _, _, kr := machvm.MachVmRemapNew(c, p.self, 0, page, 0, int32(server.VMAnywhere), from, at, copied, prot, prot, 1)
		return kr
	}
	special := func(which object.TaskPort) func(mach.Name) mach.KernReturn {
		return func(n mach.Name) mach.KernReturn {
			_, kr := task.TaskGetSpecialPort(c, n, int32(which))
			return kr
		}
	}
	threadSpecial := func(which object.ThreadPort) func(mach.Name) mach.KernReturn {
		return func(n mach.Name) mach.KernReturn {
			_, kr := threadact.ThreadGetSpecialPort(c, n, int32(which))
			return kr
		}
	}
	type row struct {
		what  string
		least object.Flavor
		call  func(mach.Name) mach.KernReturn
	}
	tasks := []row{
		{"TASK_KERNEL_PORT", object.Control, special(object.TaskKernelPort)},
		{"TASK_BOOTSTRAP_PORT", object.Control, special(object.TaskBootstrapPort)},
		{"TASK_HOST_PORT", object.Control, special(object.TaskHostPort)},
		{"TASK_READ_PORT", object.Read, special(object.TaskReadPort)},
		{"TASK_INSPECT_PORT", object.Inspect, special(object.TaskInspectPort)},
		{"TASK_NAME_PORT", object.Inspect, special(object.TaskNamePort)},
		{"mach_vm_write", object.Control, func(n mach.Name) mach.KernReturn {
			return machvm.MachVmWrite(c, n, at, []byte("data"))
		}},
		{"mach_vm_remap_new, to write", object.Control, func(n mach.Name) mach.KernReturn { return remap(n, 0, 3) }},
		{"mach_vm_remap_new, to read", object.Read, func(n mach.Name) mach.KernReturn { return remap(n, 0, 1) }},
		{"mach_vm_remap_new, copied", object.Read, func(n mach.Name) mach.KernReturn { return remap(n, 1, 3) }},
		{"task_get_exception_ports", object.Control, func(n mach.Name) mach.KernReturn {
			_, _, _, _, kr := task.TaskGetExceptionPorts(c, n, int32(mach.ExcMaskAll))
			return kr
		}},
		{"mach_vm_read", object.Read, func(n mach.Name) mach.KernReturn {
			_, kr := machvm.MachVmRead(c, n, at, 4)
			return kr
		}},
		{"task_get_mach_voucher", object.Read, func(n mach.Name) mach.KernReturn {
			_, kr := task.TaskGetMachVoucher(c, n, 0)
			return kr
		}},
		{"mach_port_space_info", object.Read, func(n mach.Name) mach.KernReturn {
			_, _, _, kr := machport.MachPortSpaceInfo(c, n)
			return kr
		}},
		{"task_get_exc_guard_behavior", object.Inspect, func(n mach.Name) mach.KernReturn {
			_, kr := task.TaskGetExcGuardBehavior(c, n)
			return kr
		}},
		{"task_threads", object.Inspect, func(n mach.Name) mach.KernReturn {
			_, kr := task.TaskThreads(c, n)
			return kr
		}},
		{"task_info", object.Name, func(n mach.Name) mach.KernReturn {
			_, kr := task.TaskInfo(c, n, 18, 10)
			return kr
		}},
	}
	threads := []row{
		{"THREAD_KERNEL_PORT", object.Control, threadSpecial(object.ThreadKernelPort)},
		{"THREAD_READ_PORT", object.Read, threadSpecial(object.ThreadReadPort)},
		{"THREAD_INSPECT_PORT", object.Inspect, threadSpecial(object.ThreadInspectPort)},
		{"thread_get_exception_ports", object.Control, func(n mach.Name) mach.KernReturn {
			_, _, _, _, kr := threadact.ThreadGetExceptionPorts(c, n, int32(mach.ExcMaskAll))
			return kr
		}},
		{"thread_get_mach_voucher", object.Read, func(n mach.Name) mach.KernReturn {
			_, kr := threadact.ThreadGetMachVoucher(c, n, 0)
			return kr
		}},
		{"thread_policy_get", object.Inspect, func(n mach.Name) mach.KernReturn {
			_, _, kr := threadact.ThreadPolicyGet(c, n, 9, 2, 0)
			return kr
		}},
	}
	check := func(rows []row, f object.Flavor, n mach.Name) {
		for _, x := range rows {
			if kr := x.call(n); (kr == 0) != (f <= x.least) {
				t.Errorf("%s with flavor %d, needs %d: %v", x.what, f, x.least, kr)
			}
		}
	}
	for f := object.Control; f <= object.Name; f++ {
		check(tasks, f, p.of(o, f))
	}
	for f := object.Control; f <= object.Inspect; f++ {
		check(threads, f, p.name(o.th.ThreadPort(p.Task, f)))
	}
	w.end()
}

// TestThreadsRace lists the threads of a task, its own and another, while they come and go. It mirrors XNU
// tests/ipc/ipc_thread_ports_race.c.
func TestThreadsRace(t *testing.T) {
	for _, f := range []object.Flavor{object.Control, object.Read} {
		for _, remote := range []bool{false, true} {
			w := newWorld(t, object.Config{DeveloperMode: true}, server.Config{})
			p := w.level(rules.Level2)
			o := p
			if remote {
				o = w.level(rules.Level2)
			}
			caller := p.c.Caller // without the recorder, which wants nothing to change but by its calls
			port, stop, done := p.of(o, f), make(chan struct{}), make(chan struct{})
			go func() {
				defer close(done)
				for {
					select {
					case <-stop:
						return
					default:
					}
					var batch [10]*object.Thread
					for i := range batch {
						batch[i], _ = o.NewThread(object.PThread, nil, &runner{})
					}
					for _, th := range batch {
						th.Terminate()
					}
				}
			}()
			for range 400 {
				list, kr := task.TaskThreads[mach.Name](caller, port)
				if w.want(kr, 0); len(list) == 0 {
					t.Error("a task without threads")
				}
				for _, n := range list {
					if n != mach.DeadName {
						p.Space.Deallocate(p.th.IPC, n)
					}
				}
			}
			close(stop)
			<-done
			w.end()
		}
	}
}

// TestDeadNotify asks to be notified at a dead name: nothing is armed, and nothing is given up twice. It mirrors XNU
// tests/ipc/port_notification_99449706.c.
func TestDeadNotify(t *testing.T) {
	w := newWorld(t, object.Config{}, server.Config{})
	p := w.level(rules.LevelNone)
	dead, kr := machport.MachPortAllocate(p.c, p.self, uint32(mach.RightDeadName))
	w.want(kr, 0)
	n := p.port()
	right := rpc.Right[mach.Name]{Port: dead, Disposition: mach.MoveSendOnce}
	for _, id := range []int32{mach.NotifyPortDestroyed, mach.NotifyNoSenders, mach.NotifyDeadName} {
		w.want(p.Space.ModRefs(p.th.IPC, dead, mach.RightDeadName, 1), 0)
		refs := p.rights()[dead]
		_, kr = machport.MachPortRequestNotification[mach.Name](p.c.Caller, p.self, n, id, 0, right)
		w.want(kr, mach.KernInvalidCapability)
		if now := p.rights()[dead]; now[1] != refs[1]-1 { // which the message took
			t.Errorf("notification %d: %d references before, %d after", id, refs[1], now[1])
		}
	}
	w.end()
}
