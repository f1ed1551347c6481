package ipc

import (
	"sync/atomic"

	"portcullis.dev/mach"
)

// Attachment is something of the kernel's that lives as long as the receive right of a task: a timer.
type Attachment interface {
	// PortDied is called once, with nothing locked.
	PortDied()
}

// AllocateAttached makes a receive right of a type with something attached. The kernel gets a send right to it.
func (s *Space) AllocateAttached(typ mach.PortType, a Attachment) (name mach.Name, p *Port, kr mach.KernReturn) {
	kr = s.locked(func(*cleanup) mach.KernReturn {
		if !s.kernel.chargePort(s.account) {
			return mach.KernResourceShortage
		}
		e, i, ok := s.claim()
		if !ok {
			s.account.ports.Add(-1)
			return mach.KernResourceShortage
		}
		p = s.kernel.newPort(typ, s.account)
		p.attached = a
		p.makeSends, p.sends = 1, 1
		s.own(e, i, p)
		name = s.name(i)
		return 0
	})
	return name, p, kr
}

// Attached returns what is attached to the port; nil for most.
func (p *Port) Attached() Attachment { return p.attached }

// Post puts a message of the kernel's into the port's queue, without waiting for room. While it is there, busy is set;
// if busy is set already, nothing is posted. It returns false if no message was posted.
//
// Source: XNU osfmk/ipc/ipc_kmsg.c, kernel_mach_msg_send_kmsg and ipc_kmsg_keep_alive_try_reusing.
func (p *Port) Post(id int32, body []byte, busy *atomic.Bool) bool {
	if !busy.CompareAndSwap(false, true) {
		return false
	}
	m := p.kernel.newMessageTo(p, messageCost+int64(len(body)))
	if m == nil {
		busy.Store(false)
		return false
	}
	m.busy = busy
	m.id, m.dest, m.destDisp = id, p, mach.MoveSend
	m.body = append(m.body, body...)
	m.size = mach.HeaderSize + uint32(len(body))
	var c cleanup
	p.mu.Lock()
	if p.dead.Load() {
		p.mu.Unlock()
		p.kernel.free(m)
		return false
	}
	p.sends++
	p.post(&c, m)
	c.run(p.kernel)
	return true
}
