package restrict

import (
	"sync/atomic"

	"portcullis.dev/kernel/ipc"
)

// Task is what the restrictions know of a task. Set it up before the task runs and leave it alone then.
type Task struct {
	Policy       Policy
	Entitlements map[string]bool

	Launchd  bool // the first process: it makes service ports and may move them
	Debugged bool // a debugger is attached
	FatalPAC bool // arm64e: pointer authentication failures kill
	Bits32   bool // a 32-bit process
	SDK      int  // major version of the macOS SDK it was linked with, 0 if unknown

	// MovableControl lets the task's own task and thread control ports move.
	MovableControl bool

	// Filtered says that the sandbox filters the task's messages (TFRO_FILTER_MSG); see [Restrictions.Filter].
	Filtered bool

	// Audit lets the task live and lists what it did.
	Audit bool

	// Owner is for whoever made the task; the package does not look at it.
	Owner any

	behavior       atomic.Uint32
	movedWeakReply atomic.Bool // and was reported for it
}

// NewTask makes a task with the guard behaviour its policy gives it.
func NewTask(p Policy) *Task {
	t := &Task{Policy: p}
	t.SetBehavior(t.DefaultBehavior())
	return t
}

// entitled says that the task holds an entitlement.
func (t *Task) entitled(name string) bool { return t.Entitlements[name] }

// GuardBehavior says what becomes of guards that are not always fatal (task_exc_guard). Only the bits for Mach ports
// mean something here.
type GuardBehavior uint32

const (
	MPDeliver GuardBehavior = 0x10
	MPOnce    GuardBehavior = 0x20
	MPCorpse  GuardBehavior = 0x40
	MPFatal   GuardBehavior = 0x80

	vmDeliver GuardBehavior = 0x01
	vmOnce    GuardBehavior = 0x02
	vmFatal   GuardBehavior = 0x08
)

// DefaultBehavior returns what a task starts with: optional guards are fatal under platform restrictions, reported for
// the first process, and invisible for everybody else.
//
// Source: XNU osfmk/kern/task.c, task_set_exc_guard_default, and the default of the boot argument of that name.
func (t *Task) DefaultBehavior() GuardBehavior {
	switch {
	case t.Policy&Enhanced != 0 && t.Policy&versionMask > 0x100:
		return vmDeliver | vmFatal | MPDeliver | MPFatal
	case t.Launchd:
		return vmDeliver | vmFatal | MPDeliver | MPCorpse
	}
	return 0
}

// Behavior returns the task's guard behaviour.
func (t *Task) Behavior() GuardBehavior { return GuardBehavior(t.behavior.Load()) }

// SetBehavior replaces the task's guard behaviour.
func (t *Task) SetBehavior(b GuardBehavior) { t.behavior.Store(uint32(b)) }

// UpgradeBehavior replaces the task's guard behaviour as a task may: nothing that delivers guards or makes them fatal
// can be turned off, and delivering once cannot be turned on. It returns false if that was asked.
//
// Source: XNU osfmk/kern/task.c, task_set_exc_guard_behavior and the masks beside it.
func (t *Task) UpgradeBehavior(b GuardBehavior) bool {
	const keep, never = vmDeliver | vmFatal | MPDeliver | MPFatal, vmOnce | MPOnce
	for {
		now := t.Behavior()
		if now&keep&^b != 0 || b&never&^now != 0 {
			return false
		}
		if t.behavior.CompareAndSwap(uint32(now), uint32(b)) {
			return true
		}
	}
}

// Control is what a task or thread control port stands for, if it knows whose it is.
type Control interface {
	ipc.Object
	// ControlTask returns the task that the port controls, or whose thread it controls; nil if it is gone.
	ControlTask() *Task
}

// TaskOf returns what is known of a space's task; nil if the space was not made by [Task.NewSpace].
func TaskOf(s *ipc.Space) *Task {
	t, _ := s.Owner.(*Task)
	return t
}

// taskOf returns what is known of a space's task; a space that was not made for one is nobody special.
func taskOf(s *ipc.Space) *Task {
	if t, ok := s.Owner.(*Task); ok {
		return t
	}
	return &nobody
}

var nobody = Task{Policy: Default}

// NewSpace makes the space of a task.
func (t *Task) NewSpace(k *ipc.Kernel, c ipc.SpaceConfig) *ipc.Space {
	c.Policy, c.Filtered, c.Owner = uint32(t.Policy), t.Filtered, t
	return k.NewSpace(c)
}
