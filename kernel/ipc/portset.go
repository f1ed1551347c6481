package ipc

import (
	"slices"
	"sync"
	"sync/atomic"

	"portcullis.dev/mach"
)

// PortSet is receive rights that are received from together.
type PortSet struct {
	kernel *Kernel
	owner  *account

	dead      atomic.Bool
	mu        sync.Mutex
	receivers waitList
	first     *member // members that may have messages, in a list
	last      *member
}

// member is the membership of a port in a set. It is in Port.members, guarded by the port, and in the set's ready list,
// guarded by the set.
type member struct {
	port       *Port
	set        *PortSet
	ready      bool
	prev, next *member
}

// markReady puts the member in the ready list, at the end.
func (s *PortSet) markReady(m *member) {
	if m.ready {
		return
	}
	m.ready, m.prev, m.next = true, s.last, nil
	if s.last == nil {
		s.first = m
	} else {
		s.last.next = m
	}
	s.last = m
}

func (s *PortSet) unready(m *member) {
	if !m.ready {
		return
	}
	if m.prev == nil {
		s.first = m.next
	} else {
		m.prev.next = m.next
	}
	if m.next == nil {
		s.last = m.prev
	} else {
		m.next.prev = m.prev
	}
	m.ready, m.prev, m.next = false, nil, nil
}

// remove ends a membership on the set's side; the port is locked and drops it on its own.
func (s *PortSet) remove(m *member) {
	s.mu.Lock()
	s.unready(m)
	s.mu.Unlock()
}

// in says whether a locked port is a member of s, or of any set if s is nil. Sets that died are forgotten on the way.
func (p *Port) in(s *PortSet) bool {
	p.members = slices.DeleteFunc(p.members, func(m *member) bool {
		if m.set.dead.Load() {
			m.set.owner.members.Add(-1)
			return true
		}
		return false
	})
	for _, m := range p.members {
		if s == nil || m.set == s {
			return true
		}
	}
	return false
}

// join makes a locked port a member. Messages that wait already go to receivers that wait already.
func (p *Port) join(s *PortSet) mach.KernReturn {
	if p.in(s) {
		return mach.KernAlreadyInSet
	}
	if s.owner.members.Add(1) > s.kernel.limits.Ports {
		s.owner.members.Add(-1)
		return mach.KernResourceShortage
	}
	p.members = append(p.members, &member{port: p, set: s})
	p.pump()
	return 0
}

// leave ends a membership on both sides; false if there is none. The port is locked.
func (p *Port) leave(s *PortSet) bool {
	for i, m := range p.members {
		if m.set == s {
			s.remove(m)
			s.owner.members.Add(-1)
			p.members = slices.Delete(p.members, i, i+1)
			return true
		}
	}
	return false
}

// destroy ends the set. Members forget it when they next look.
func (s *PortSet) destroy() {
	s.mu.Lock()
	s.dead.Store(true)
	for s.first != nil {
		s.unready(s.first)
	}
	s.receivers.wakeAll(waitRestart)
	s.mu.Unlock()
	s.kernel.live.sets.Add(-1)
	s.owner.ports.Add(-1)
}
