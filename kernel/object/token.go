package object

import (
	"sync/atomic"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// Token names a task for good without giving any power over it, and without keeping it alive: whoever has the token and
// may have the task's ports can ask for them. The identity is the unique id of the process, so that a token never
// speaks of a later process with the same process id.
type Token struct {
	m      *Machine
	port   portal
	maker  *Task
	pid    int32
	unique uint64
	corpse bool // of the corpse with the unique id, not of the process
	gone   atomic.Bool
}

// CreateToken makes an identity token of a task and returns a send right to it (task_create_identity_token). by pays
// for it.
//
// Source: XNU osfmk/kern/task_ident.c, task_create_identity_token.
func (t *Task) CreateToken(by *Task) (*ipc.Port, mach.KernReturn) {
	if t == nil || t == t.m.Kernel {
		return nil, mach.KernInvalidArgument
	}
	tok := &Token{m: t.m, maker: by, pid: t.pid, unique: t.unique}
	t.mu.Lock()
	over := t.life == dead
	tok.corpse = t.life == corpse
	t.mu.Unlock()
	if over {
		return nil, mach.KernInvalidArgument
	}
	if !by.charge() {
		return nil, mach.KernResourceShortage
	}
	tok.port = portal{t.m, tok}
	t.m.live.tokens.Add(1)
	return t.m.IPC.NewObjectPort(mach.PortTypeTaskIDToken, &tok.port).MakeSend(), 0
}

// noSenders ends a token: nobody can make another right to it.
func (tok *Token) noSenders(p *ipc.Port) {
	if !tok.gone.CompareAndSwap(false, true) {
		return
	}
	p.Destroy()
	tok.maker.made.Add(-1)
	tok.m.live.tokens.Add(-1)
}

// TokenOf returns the token that a port stands for; nil if it is none (convert_port_to_task_id_token).
func (m *Machine) TokenOf(p *ipc.Port) *Token {
	tok, _ := m.objectOf(p).(*Token)
	return tok
}

// Task returns the task that the token names, if it is there.
//
// Source: XNU osfmk/kern/task_ident.c, task_identity_token_get_task_grp.
func (tok *Token) Task() (*Task, mach.KernReturn) {
	if tok == nil {
		return nil, mach.KernInvalidArgument
	}
	m := tok.m
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tasks[tok.pid]
	if tok.corpse {
		t = m.corpses[tok.unique]
	}
	if t == nil || t.unique != tok.unique {
		return nil, mach.KernNotFound
	}
	return t, 0
}

// TaskPort returns a send right to a port of the task (task_identity_token_get_task_port). A task that asks for its own
// control port gets the one it knows.
//
// Source: XNU osfmk/kern/task_ident.c, task_identity_token_get_task_port.
func (tok *Token) TaskPort(by *Thread, f Flavor) (*ipc.Port, mach.KernReturn) {
	if tok == nil || f > Name || tok.corpse && f != Control {
		return nil, mach.KernInvalidArgument
	}
	t, kr := tok.Task()
	switch {
	case kr != 0:
		return nil, kr
	case f == Control && t == by.task:
		return t.TaskPort(by.task, f), 0
	case f <= Read && tok.m.judge(by.task, t, f, false) != 0:
		return nil, mach.KernInvalidArgument
	}
	if refuse := tok.m.hooks.TokenTask; refuse != nil && t != by.task && refuse(by.task, t, f) {
		return nil, mach.KernDenied
	}
	return t.TaskPort(by.task, f), 0
}

// PID returns the process id of the task that the token names.
func (tok *Token) PID() int32 { return tok.pid }

// UniqueID returns the unique id of the process.
func (tok *Token) UniqueID() uint64 { return tok.unique }
