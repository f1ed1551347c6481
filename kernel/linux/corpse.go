//go:build linux

package linux

import (
	"portcullis.dev/kernel/exception"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
)

// corpse tells whoever handles EXC_CORPSE_NOTIFY what is left of the process, whose threads stand, and says whether
// somebody handled it. th is the thread that died. The process stays until they have answered, so that its memory can be
// read; without a handler nothing is made of the task. Others work meanwhile: the caller sees to that.
func (p *Process) corpse(th *object.Thread, stops *Stops, reason exception.Reason) bool {
	if !p.mourned() {
		return false
	}
	p.freeze(stops)
	right, kr := p.Task.Corpse()
	if kr != 0 {
		return false
	}
	defer right.ReleaseSend()
	by := p.kernel.KernelThread()
	p.mu.Lock()
	p.errand = by
	if p.gone {
		by.Kill()
	}
	p.mu.Unlock()
	return exception.NotifyCorpse(by, p.Task, th.ID(), th.Registers(), mach.ExcCrash, reason.Subcode()) ==
		exception.Handled
}

// freeze takes down where threads of a process that is about to end stand. They do so for good: what asks for them from
// now on must not stop them once more.
func (p *Process) freeze(stops *Stops) {
	for _, s := range stops.Threads {
		if t, err := p.thread(s.TID); err == nil {
			t.registers.stand(s, true)
		}
	}
}

// mourned says that somebody handles EXC_CORPSE_NOTIFY.
func (p *Process) mourned() bool {
	for _, l := range []object.Level{object.TaskLevel, object.HostLevel} {
		if h, ok := p.Task.Handler(l, mach.ExcCorpseNotify); ok {
			own := h.Port.Receiver() == p.Task.Space
			h.Port.ReleaseSend()
			if !own {
				return true
			}
		}
	}
	return false
}
