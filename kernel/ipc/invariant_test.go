package ipc

import (
	"fmt"

	"portcullis.dev/mach"
)

// census counts every right in a kernel at rest and compares with what ports say of themselves.
type census struct {
	problems []string
	ports    map[*Port]*counted
	messages int64
	todo     []*Port
}

type counted struct{ sends, sendOnces, receivers int }

func (c *census) bad(format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf(format, args...))
}

// of returns the counts of a live port and sees to it that its queue is looked into; nil for dead and null ones.
func (c *census) of(p *Port) *counted {
	if !p.valid() || p.dead.Load() {
		return nil
	}
	n := c.ports[p]
	if n == nil {
		n = &counted{}
		c.ports[p] = n
		c.todo = append(c.todo, p)
	}
	return n
}

func (c *census) right(p *Port, d mach.Disposition) {
	n := c.of(p)
	if n == nil {
		return
	}
	switch d {
	case mach.MoveSend:
		n.sends++
	case mach.MoveSendOnce:
		n.sendOnces++
	case mach.MoveReceive:
		n.receivers++
		if p.receiver != nil || p.kernelOwned {
			c.bad("a port is in a message and has a receiver")
		}
	}
}

// takeCensus counts everything that can be reached from the spaces and kernel ports given, which must be all there are.
// It returns what does not add up.
func takeCensus(k *Kernel, spaces []*Space, kernelPorts ...*Port) []string {
	c := &census{ports: map[*Port]*counted{}}
	for _, s := range spaces {
		if s.active {
			c.space(s)
		}
	}
	for _, p := range kernelPorts {
		if n := c.of(p); n != nil {
			n.receivers++
		}
	}
	for len(c.todo) > 0 {
		p := c.todo[0]
		c.todo = c.todo[1:]
		c.queue(p)
	}
	for p, n := range c.ports {
		if p.sends != n.sends || p.sendOnces != n.sendOnces {
			c.bad("port %v of %v says %d send and %d send-once rights, there are %d and %d", p.receiverName, p.typ,
				p.sends, p.sendOnces, n.sends, n.sendOnces)
		}
		if n.receivers != 1 {
			c.bad("port of %v has %d receive rights", p.typ, n.receivers)
		}
	}
	if st := k.Stats(); st.Ports != int64(len(c.ports)) || st.Messages != c.messages {
		c.bad("the kernel counts %d ports and %d messages, there are %d and %d", st.Ports, st.Messages, len(c.ports),
			c.messages)
	}
	return c.problems
}

func (c *census) space(s *Space) {
	used, reverse := 0, 0
	for i := 1; i < len(s.table); i++ {
		e := &s.table[i]
		if e.rights == 0 {
			continue
		}
		used++
		c.entry(s, e, uint32(i), &reverse)
	}
	if used != s.used {
		c.bad("space counts %d names, has %d", s.used, used)
	}
	if reverse != len(s.reverse) {
		c.bad("space finds %d ports by right, has %d", len(s.reverse), reverse)
	}
	free := 0
	for i := s.table[0].next; i != 0; i = s.table[i].next {
		if s.table[i].rights != 0 {
			c.bad("a used entry is in the free list")
		}
		if free++; free > len(s.table) {
			c.bad("the free list is a circle")
			return
		}
	}
	if free+used+1 != len(s.table) {
		c.bad("%d entries are neither free nor used", len(s.table)-free-used-1)
	}
}

func (c *census) entry(s *Space, e *entry, i uint32, reverse *int) {
	switch e.rights {
	case mach.TypeSend, mach.TypeReceive, mach.TypeSendReceive, mach.TypeSendOnce:
	case mach.TypePortSet:
		if e.set == nil || e.set.dead.Load() {
			c.bad("a set is dead")
		}
		return
	case mach.TypeDeadName:
		if e.port != nil || e.urefs == 0 || e.request != nil {
			c.bad("a dead name holds something")
		}
		return
	default:
		c.bad("an entry has rights %v", e.rights)
		return
	}
	wantRefs := e.rights != mach.TypeReceive
	if (e.urefs > 0) != wantRefs || e.urefs > mach.MaxURefs {
		c.bad("%v has %d references", e.rights, e.urefs)
	}
	if e.rights == mach.TypeSend {
		*reverse++
		if s.reverse[e.port] != i {
			c.bad("a send right is not found by its port")
		}
	}
	if e.request != nil && e.request.notify != nil {
		c.right(e.request.notify, mach.MoveSendOnce)
	}
	n := c.of(e.port)
	if n == nil {
		if e.rights&mach.TypeReceive != 0 {
			c.bad("a receive right is dead")
		}
		return
	}
	if e.rights&mach.TypeSend != 0 {
		n.sends++
	}
	if e.rights == mach.TypeSendOnce {
		n.sendOnces++
	}
	if e.rights&mach.TypeReceive != 0 {
		n.receivers++
		if e.port.receiver != s || e.port.receiverName != s.name(i) {
			c.bad("a receive right does not know where it is")
		}
	}
}

func (c *census) queue(p *Port) {
	for _, q := range []*Port{p.noSenders, p.portDestroyed} {
		c.right(q, mach.MoveSendOnce)
	}
	waiting := 0
	for m := p.queue.head; m != nil; m = m.next {
		waiting++
		c.messages++
		if m.dest != p {
			c.bad("a message waits at the wrong port")
		}
		c.right(m.dest, m.destDisp)
		c.right(m.reply, m.replyDisp)
		c.right(m.voucher, mach.MoveSend)
		for _, d := range m.desc {
			c.right(d.Port, d.Disposition)
			for _, q := range d.Ports {
				c.right(q, d.Disposition)
			}
			if d.Disposition == mach.MoveReceive && d.Port.valid() && !d.Port.dead.Load() && d.Port.destination != p {
				c.bad("a port in transit does not know where it goes")
			}
		}
	}
	if waiting != p.queue.count {
		c.bad("a queue counts %d messages, has %d", p.queue.count, waiting)
	}
}
