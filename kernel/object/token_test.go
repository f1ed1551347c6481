package object_test

import (
	"testing"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
)

// TestCreateToken goes through what task_create_identity_token takes and refuses.
func TestCreateToken(t *testing.T) {
	w := newWorld(t, object.Config{})
	p, dead, corpse := w.plain(), w.plain(), w.plain()
	dead.Terminate()
	held, kr := corpse.Corpse()
	w.want(kr, 0)
	for _, c := range []struct {
		name string
		task *object.Task
		want mach.KernReturn
	}{
		{"null", nil, mach.KernInvalidArgument},
		{"kernel", w.Kernel, mach.KernInvalidArgument},
		{"live", p.Task, 0},
		{"corpse", corpse.Task, 0},
		{"dead", dead.Task, mach.KernInvalidArgument},
	} {
		right, kr := c.task.CreateToken(p.Task)
		if kr != c.want || (right != nil) != (kr == 0) {
			t.Errorf("%s: %v, want %v", c.name, kr, c.want)
			continue
		}
		if kr == 0 {
			if right.Type() != mach.PortTypeTaskIDToken || !right.Policy().SendMovable {
				t.Errorf("%s: port of type %v", c.name, right.Type())
			}
			before := w.Stats().Tokens
			drop(right)
			if right.Active() || w.Stats().Tokens != before-1 {
				t.Errorf("%s: the token outlives its rights", c.name)
			}
		}
	}
	drop(held)
	w.end()
}

// TestTokenTaskPort goes through the steps of task_identity_token_get_task_port.
func TestTokenTaskPort(t *testing.T) {
	refused := false
	w := newWorld(t, object.Config{Hooks: object.Hooks{
		TokenTask: func(by, target *object.Task, _ object.Flavor) bool {
			if by == target {
				t.Error("no policy module is asked about the caller itself")
			}
			return refused
		},
	}})
	p, other, gone, corpse := w.plain(), w.plain(), w.plain(), w.plain()
	token := func(of *person) *object.Token {
		right, kr := of.CreateToken(p.Task)
		w.want(kr, 0)
		return w.TokenOf(p.look(p.name(right)))
	}
	own, others, goner := token(p), token(other), token(gone)
	gone.Terminate()
	later := w.joinAs(object.TaskConfig{PID: gone.PID(), Restrict: restrict.NewTask(restrict.Default)})
	held, kr := corpse.Corpse()
	w.want(kr, 0)
	dead := token(corpse)
	foreign := mach.KernInvalidArgument // control of another task, without Developer Mode

	for _, c := range []struct {
		name      string
		token     *object.Token
		f         object.Flavor
		developer bool
		refused   bool
		want      mach.KernReturn
		of        *object.Task
	}{
		{"1: not a token", w.TokenOf(p.look(p.port())), object.Name, true, false, mach.KernInvalidArgument, nil},
		{"1: a thread's port", w.TokenOf(p.look(p.th.Self())), object.Name, true, false, mach.KernInvalidArgument, nil},
		{"2: no such flavor", own, 4, true, false, mach.KernInvalidArgument, nil},
		{"3: corpse, read", dead, object.Read, true, false, mach.KernInvalidArgument, nil},
		{"3: corpse, inspect", dead, object.Inspect, true, false, mach.KernInvalidArgument, nil},
		{"3: corpse, name", dead, object.Name, true, false, mach.KernInvalidArgument, nil},
		{"3: corpse, control", dead, object.Control, false, false, 0, corpse.Task},
		{"4: process gone, id in use again", goner, object.Name, true, false, mach.KernNotFound, nil},
		{"5: own control", own, object.Control, false, true, 0, p.Task},
		{"6: foreign control", others, object.Control, false, false, foreign, nil},
		{"6: foreign control, developer", others, object.Control, true, false, 0, other.Task},
		{"7: refused, control", others, object.Control, true, true, mach.KernDenied, nil},
		{"7: refused, read", others, object.Read, false, true, mach.KernDenied, nil},
		{"7: refused, name", others, object.Name, false, true, mach.KernDenied, nil},
		{"7: corpse refused", dead, object.Control, false, true, mach.KernDenied, nil},
		{"8: read", others, object.Read, false, false, 0, other.Task},
		{"8: inspect", others, object.Inspect, false, false, 0, other.Task},
		{"8: name", others, object.Name, false, false, 0, other.Task},
		{"8: own read", own, object.Read, false, true, 0, p.Task},
	} {
		w.SetDeveloperMode(c.developer)
		refused = c.refused
		right, kr := c.token.TaskPort(p.th, c.f)
		if kr != c.want {
			t.Errorf("%s: %v, want %v", c.name, kr, c.want)
		}
		if kr != 0 {
			continue
		}
		if got := w.TaskUnjudged(right, c.f); got != c.of || right.Type() != typeOf(c.f) {
			t.Errorf("%s: task %p, want %p; type %v", c.name, got, c.of, right.Type())
		}
		drop(right)
	}
	// The corpse goes, and its token with it.
	drop(held)
	_, kr = dead.TaskPort(p.th, object.Control)
	w.want(kr, mach.KernNotFound)
	if w.Find(gone.PID()) != later.Task {
		t.Error("the process id was not used again")
	}
	w.end()
}

func typeOf(f object.Flavor) mach.PortType {
	return [...]mach.PortType{mach.PortTypeTaskControl, mach.PortTypeTaskRead, mach.PortTypeTaskInspect,
		mach.PortTypeTaskName}[f]
}

// TestTaskIdent mirrors XNU tests/task_ident_test.c, at every level: a task's own token gives the names that it knows.
func TestTaskIdent(t *testing.T) {
	for _, c := range tasks {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, object.Config{})
			p := w.join(restrict.NewTask(c.policy))
			right, kr := p.CreateToken(p.Task)
			w.want(kr, 0)
			token := p.name(right)
			right, kr = w.TokenOf(p.look(token)).TaskPort(p.th, object.Control)
			w.want(kr, 0)
			self := p.Self()
			if n := p.name(right); n != self {
				t.Errorf("control: %v, want %v", n, self)
			}
			w.want(p.Space.Deallocate(p.th.IPC, self), 0)
			w.want(p.Space.Deallocate(p.th.IPC, self), 0)
			kr = p.Space.Deallocate(p.th.IPC, self)
			w.want(kr, mach.KernInvalidCapability) // still pinned
			p.guards(kr)
			for which, f := range map[object.TaskPort]object.Flavor{object.TaskReadPort: object.Read,
				object.TaskInspectPort: object.Inspect, object.TaskNamePort: object.Name} {
				special, kr := w.TaskSpecialPort(p.th, p.look(self), which)
				w.want(kr, 0)
				right, kr := w.TokenOf(p.look(token)).TaskPort(p.th, f)
				w.want(kr, 0)
				if a, b := p.name(special), p.name(right); a != b {
					t.Errorf("flavor %d: %v and %v", f, a, b)
				}
			}
			_, kr = w.TokenOf(p.look(p.th.Self())).TaskPort(p.th, object.Name)
			w.want(kr, mach.KernInvalidArgument)
			w.want(p.send(p.port(), mach.CopySend, token), 0) // tokens move
			w.want(p.Space.Deallocate(p.th.IPC, token), 0)
			w.end()
		})
	}
}

// TestTooManyObjects: what a task may make is bounded, and what is gone does not count.
func TestTooManyObjects(t *testing.T) {
	w := newWorld(t, object.Config{Objects: 4})
	p := w.plain() // its thread is the first
	var rights []*ipc.Port
	for range 3 {
		right, kr := p.CreateToken(p.Task)
		w.want(kr, 0)
		rights = append(rights, right)
	}
	_, kr := p.CreateToken(p.Task)
	w.want(kr, mach.KernResourceShortage)
	_, kr = p.CreateSemaphore(object.FIFO, 0)
	w.want(kr, mach.KernResourceShortage)
	_, kr = p.NewThread(object.RawThread, nil, nil)
	w.want(kr, mach.KernResourceShortage)
	drop(rights[0])
	right, kr := p.CreateSemaphore(object.FIFO, 0)
	w.want(kr, 0)
	drop(right)
	th, kr := p.NewThread(object.RawThread, nil, nil)
	w.want(kr, 0)
	th.Terminate()
	drop(rights[1:]...)
	w.end()
}
