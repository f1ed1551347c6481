package ipc

import (
	"fmt"
	"slices"

	"portcullis.dev/mach"
)

// The reference model: rights and queues as simply as they can be said. It counts by looking everywhere, keeps no
// lists that could go wrong, and knows no locks. Where the kernel chooses a name, the model is told which and checks
// that the choice was allowed.

type modelPort struct {
	id        int
	dead      bool
	owner     *modelTask // who has the receive right; nil in transit
	ownerName mach.Name
	limit     int
	makeSends uint32
	queue     []*modelMsg
	noSenders *modelPort // send-once rights held
	destroyed *modelPort
	goingTo   *modelPort
}

type modelEntry struct {
	port    *modelPort // of send, receive and send-once rights; may be dead if nobody looked yet
	send    bool
	receive bool
	once    bool
	deadTo  bool
	set     bool
	members map[*modelPort]bool
	urefs   int
	notify  *modelPort // of a dead-name request
	armed   bool       // a request was made, answered or not
}

type modelTask struct {
	names map[mach.Name]*modelEntry
}

type modelRight struct {
	port *modelPort // nil: null or dead
	dead bool
	disp mach.Disposition // MOVE form
}

type modelMsg struct {
	id       int32
	value    uint32
	notice   bool // from the kernel
	dest     modelRight
	reply    modelRight
	rights   []modelRight
	circular bool
}

type model struct {
	tasks []*modelTask
	ports []*modelPort
	todo  []func()
	err   error
}

func (m *model) fail(format string, args ...any) {
	if m.err == nil {
		m.err = fmt.Errorf(format, args...)
	}
}

func (m *model) newPort() *modelPort {
	p := &modelPort{id: len(m.ports), limit: mach.QueueLimitDefault}
	m.ports = append(m.ports, p)
	return p
}

// drain does what has to be done after an operation, in order.
func (m *model) drain() {
	for len(m.todo) > 0 {
		f := m.todo[0]
		m.todo = m.todo[1:]
		f()
	}
}

// sends counts the send rights to a port: names and messages.
func (m *model) sends(p *modelPort) (n int) {
	for _, t := range m.tasks {
		for _, e := range t.names {
			if e.port == p && e.send {
				n++
			}
		}
	}
	for _, q := range m.ports {
		for _, msg := range q.queue {
			for _, r := range append([]modelRight{msg.dest, msg.reply}, msg.rights...) {
				if r.port == p && r.disp == mach.MoveSend {
					n++
				}
			}
		}
	}
	return n
}

// lostSend looks whether the last send right is gone. held counts those in the caller's hands.
func (m *model) lostSend(p *modelPort, held int) {
	if p.dead || p.noSenders == nil || m.sends(p)+held > 0 {
		return
	}
	to := p.noSenders
	p.noSenders = nil
	m.notice(to, mach.NotifyNoSenders, p.makeSends)
}

// notice sends a notification, later.
func (m *model) notice(to *modelPort, id int32, value uint32) {
	m.todo = append(m.todo, func() {
		if !to.dead {
			to.queue = append(to.queue, &modelMsg{id: id, value: value, notice: true,
				dest: modelRight{port: to, disp: mach.MoveSendOnce}})
		}
	})
}

// destroyRight destroys a right that is in nobody's hands, later.
func (m *model) destroyRight(r modelRight) {
	if r.port == nil {
		return
	}
	m.todo = append(m.todo, func() {
		switch {
		case r.disp == mach.MoveSendOnce:
			m.notice(r.port, mach.NotifySendOnce, 0)
		case r.port.dead:
		case r.disp == mach.MoveSend:
			m.lostSend(r.port, 0)
		default:
			m.kill(r.port)
		}
	})
}

func (m *model) destroyMsg(msg *modelMsg) {
	m.todo = append(m.todo, func() {
		for _, r := range append([]modelRight{msg.dest, msg.reply}, msg.rights...) {
			m.destroyRight(r)
		}
	})
}

// limbo takes the receive right away from wherever it is.
func (m *model) limbo(p *modelPort) {
	if p.owner != nil {
		for _, e := range p.owner.names {
			delete(e.members, p)
		}
	}
	p.owner, p.ownerName, p.makeSends, p.goingTo = nil, 0, 0, nil
}

// kill destroys a port, or sends its receive right to whoever wants it back.
func (m *model) kill(p *modelPort) {
	if p.dead {
		return
	}
	m.limbo(p)
	if to := p.destroyed; to != nil {
		p.destroyed = nil
		m.todo = append(m.todo, func() {
			r := modelRight{port: p, disp: mach.MoveReceive}
			msg := &modelMsg{id: mach.NotifyPortDestroyed, notice: true, rights: []modelRight{r},
				dest: modelRight{port: to, disp: mach.MoveSendOnce}}
			if m.circular(p, to) || to.dead {
				m.destroyMsg(msg)
				return
			}
			p.goingTo = to
			to.queue = append(to.queue, msg)
		})
		return
	}
	p.dead = true
	for _, msg := range p.queue {
		m.destroyMsg(msg)
	}
	p.queue = nil
	if ns := p.noSenders; ns != nil {
		p.noSenders = nil
		m.notice(ns, mach.NotifySendOnce, 0)
	}
	for _, t := range m.tasks {
		for n, e := range t.names {
			if e.port == p && e.notify != nil {
				m.notice(e.notify, mach.NotifyDeadName, uint32(n))
				e.notify = nil
			}
		}
	}
}

func (m *model) circular(p, dest *modelPort) bool {
	for at := dest; at != nil; at = at.goingTo {
		if at == p {
			return true
		}
	}
	return false
}

// live says that a name is one to calls that translate it.
func (e *modelEntry) live() bool { return e != nil && (e.set || e.port != nil && !e.port.dead) }

// look turns an entry whose port has died into a dead name.
func (e *modelEntry) look() {
	if e.port == nil || !e.port.dead || e.receive {
		return
	}
	if e.armed {
		e.urefs++
	}
	*e = modelEntry{deadTo: true, urefs: e.urefs}
}

// drop removes a name, telling whoever asked to be told.
func (m *model) drop(t *modelTask, n mach.Name) {
	if e := t.names[n]; e.notify != nil && !e.port.dead {
		m.notice(e.notify, mach.NotifyPortDeleted, uint32(n))
	}
	delete(t.names, n)
}

// copyin takes a right out of a task.
func (m *model) copyin(t *modelTask, n mach.Name, d mach.Disposition, dest bool) (r modelRight, kr mach.KernReturn) {
	e := t.names[n]
	if e == nil {
		return r, mach.KernInvalidName
	}
	r = modelRight{port: e.port, disp: transitDisposition(d)}
	switch d {
	case mach.MakeSend, mach.MakeSendOnce:
		if !e.receive {
			return r, mach.KernInvalidRight
		}
		if d == mach.MakeSend {
			e.port.makeSends++
		}
		return r, 0
	case mach.MoveReceive:
		if !e.receive {
			return r, mach.KernInvalidRight
		}
		p := e.port
		m.limbo(p)
		if e.send {
			e.receive = false
		} else {
			m.drop(t, n)
		}
		return r, 0
	}
	if !e.send && !e.once && !e.deadTo {
		return r, mach.KernInvalidRight
	}
	if !(dest && e.once && e.port.dead && !e.armed) {
		e.look()
	}
	if e.deadTo {
		if dest {
			return r, mach.KernInvalidRight
		}
		if d != mach.CopySend {
			if e.urefs--; e.urefs == 0 {
				delete(t.names, n)
			}
		}
		return modelRight{dead: true, disp: r.disp}, 0
	}
	if (d == mach.MoveSendOnce) != e.once {
		return r, mach.KernInvalidRight
	}
	switch {
	case d == mach.CopySend:
	case e.once:
		m.drop(t, n)
	case e.urefs > 1:
		e.urefs--
	case e.receive:
		e.send, e.urefs = false, 0
	default:
		m.drop(t, n)
	}
	return r, 0
}

// copyout gives a task a right under the name that the kernel chose.
func (m *model) copyout(t *modelTask, r modelRight, name mach.Name) {
	if r.port == nil || r.port.dead {
		want := mach.NullName
		if r.port != nil || r.dead {
			want = mach.DeadName
		}
		if name != want {
			m.fail("a dead or null right arrived as %v, want %v", name, want)
		}
		if r.port != nil {
			m.destroyRight(r)
		}
		return
	}
	e := t.names[name]
	known := mach.NullName
	for n, o := range t.names {
		if o.port == r.port && (o.send || o.receive) {
			known = n
		}
	}
	if r.disp != mach.MoveSendOnce && known != 0 && known != name {
		m.fail("a right to a known port arrived as %v, want %v", name, known)
	}
	if (known == 0 || r.disp == mach.MoveSendOnce) && e != nil {
		m.fail("a right arrived under the name %v, which is in use", name)
	}
	if e == nil {
		e = &modelEntry{port: r.port}
		t.names[name] = e
	}
	switch r.disp {
	case mach.MoveSend:
		e.send = true
		e.urefs++
	case mach.MoveSendOnce:
		e.once, e.urefs = true, 1
	case mach.MoveReceive:
		e.receive = true
		r.port.owner, r.port.ownerName, r.port.goingTo = t, name, nil
	}
}

// typeOf returns what a name denotes.
func (e *modelEntry) typeOf() (t mach.RightType) {
	e.look()
	for bit, has := range map[mach.RightType]bool{mach.TypeSend: e.send, mach.TypeReceive: e.receive,
		mach.TypeSendOnce: e.once, mach.TypeDeadName: e.deadTo, mach.TypePortSet: e.set,
		mach.TypeDeadNameRequest: e.notify != nil} {
		if has {
			t |= bit
		}
	}
	return t
}

// loseReceive takes a receive right out of an entry because its port is destroyed.
func (m *model) loseReceive(t *modelTask, n mach.Name) {
	e := t.names[n]
	p := e.port
	switch {
	case !e.send:
		m.drop(t, n)
		m.kill(p)
	case p.destroyed != nil:
		e.receive = false
		m.kill(p)
	default:
		m.kill(p)
		e.receive = false
		e.look()
	}
}

// destroy gives up all rights of a name.
func (m *model) destroy(t *modelTask, n mach.Name) {
	e := t.names[n]
	p := e.port
	if p == nil || p.dead {
		delete(t.names, n)
		return
	}
	m.drop(t, n)
	if e.send {
		m.lostSend(p, 0)
	}
	switch {
	case e.receive:
		m.kill(p)
	case e.once:
		m.notice(p, mach.NotifySendOnce, 0)
	}
}

// take finds the message that the kernel delivered: the first of its kind.
func (p *modelPort) take(id int32, value uint32) *modelMsg {
	for i, msg := range p.queue {
		if msg.id == id && (!msg.notice || id == mach.NotifyPortDestroyed || msg.value == value) {
			for _, before := range p.queue[:i] {
				if !before.notice && !msg.notice {
					return nil
				}
			}
			p.queue = slices.Delete(p.queue, i, i+1)
			return msg
		}
	}
	return nil
}
