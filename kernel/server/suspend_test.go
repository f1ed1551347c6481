package server_test

import (
	"testing"

	"portcullis.dev/defs/task"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/server"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// TestSuspend stops another task and lets it go on, by counts and by tokens. What is left of either goes with whoever
// suspended.
//
// Source: XNU osfmk/kern/task.c; tests/task_suspend_resume.c uses them.
func TestSuspend(t *testing.T) {
	w := newWorld(t, object.Config{DeveloperMode: true}, server.Config{})
	p, o := w.level(rules.Level2), w.level(rules.Level2)
	r := &runner{}
	_, kr := o.NewThread(object.PThread, nil, r)
	w.want(kr, 0)
	c, read := p.c, p.of(o, object.Read)
	check := func(what string, runs bool) {
		t.Helper()
		if r.runs() != runs {
			t.Errorf("%s: runs is %v", what, r.runs())
		}
	}
	w.want(task.TaskResume(c, read), mach.KernFailure)
	before := len(p.rights())
	w.want(task.TaskSuspend(c, read), 0)
	check("task_suspend", false)
	if len(p.rights()) != before+1 {
		t.Error("no right of the one who suspends")
	}
	token, kr := task.TaskSuspend2(c, read)
	w.want(kr, 0)
	if got := mach.RightType(p.rights()[token][0]); got != mach.TypeSendOnce {
		t.Errorf("the token is a right of type %#x", got)
	}
	w.want(task.TaskResume(c, read), 0)
	if len(p.rights()) != before+1 {
		t.Error("the right of the one who suspended is still there")
	}
	check("suspended twice, resumed once", false)
	w.want(task.TaskResume2(c, token), 0)
	check("task_resume2", true)
	if len(p.rights()) != before {
		t.Error("the token is still there")
	}
	w.want(task.TaskResume2(c, p.self), mach.SendInvalidDest) // a send right is no token

	token, kr = task.TaskSuspend2(c, read)
	w.want(kr, 0)
	check("task_suspend2", false)
	w.want(p.Space.Deallocate(p.th.IPC, token), 0)
	check("the token is given up", true)

	for _, port := range []object.Flavor{object.Inspect, object.Name} {
		w.want(task.TaskSuspend(c, p.of(o, port)), mach.KernInvalidArgument)
		_, kr = task.TaskSuspend2(c, p.of(o, port))
		w.want(kr, mach.KernInvalidArgument)
	}
	w.want(task.TaskSuspend(c, read), 0)
	w.want(task.TaskSuspend(c, read), 0)
	_, kr = task.TaskSuspend2(c, read)
	w.want(kr, 0)
	check("suspended by a task that ends", false)
	w.want(p.Terminate(), 0)
	check("the task that suspended has ended", true)
	w.end()
}
