package ipc

import "portcullis.dev/mach"

// CopySend makes a send right like one that the caller holds, without counting as a new one. A nil port stays nil; the
// right to a dead one is dead.
//
// Source: XNU osfmk/ipc/ipc_port.c, ipc_port_copy_send_any.
func (p *Port) CopySend() *Port {
	if !p.valid() {
		return p
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead.Load() {
		return deadPort
	}
	p.sends++
	return p
}

// Release destroys a right that is in no space; d is a MOVE form and says which. A nil port is none.
func (p *Port) Release(d mach.Disposition) {
	if !p.valid() {
		return
	}
	var c cleanup
	c.right(p, d)
	c.run(p.kernel)
}

// DeadRight returns the right to a port that is dead (MACH_PORT_DEAD, IP_DEAD).
func DeadRight() *Port { return deadPort }

// HasSenders says that there are send rights to the port.
func (p *Port) HasSenders() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sends > 0 && !p.dead.Load()
}

// Receiver returns the space that holds the receive right; nil in transit, for the kernel's, and for dead ports.
func (p *Port) Receiver() *Space {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.receiver
}

// SendPort finds the port that a name denotes a send right to, for calls that are given the name of an object.
//
// Source: XNU osfmk/ipc/ipc_object.c, ipc_object_translate.
func (s *Space) SendPort(name mach.Name) (*Port, mach.KernReturn) {
	return s.translate(name, mach.TypeSend)
}

// ReceivePort finds the port that a name denotes the receive right of.
func (s *Space) ReceivePort(name mach.Name) (*Port, mach.KernReturn) {
	return s.translate(name, mach.TypeReceive)
}

func (s *Space) translate(name mach.Name, right mach.RightType) (p *Port, kr mach.KernReturn) {
	kr = s.locked(func(*cleanup) mach.KernReturn {
		e, _ := s.lookup(name)
		switch {
		case !e.live():
			return mach.KernInvalidName
		case e.rights&right == 0:
			return mach.KernInvalidRight
		}
		p = e.port
		return 0
	})
	return p, kr
}

// DropSend gives up one reference of the send right that the space has to a port, or all of them; false if it has none.
//
// Source: XNU osfmk/kern/task.c, task_resume.
func (s *Space) DropSend(t *Thread, p *Port, which Refs) (found bool) {
	s.locked(func(c *cleanup) mach.KernReturn {
		p.mu.Lock()
		defer p.mu.Unlock()
		e, i, ok := s.find(p)
		if found = ok && e.rights&mach.TypeSend != 0 && !p.dead.Load(); !found {
			return 0
		}
		n := uint32(1)
		if which == AllRefs {
			n = e.urefs
		}
		return s.dropSends(t, c, e, i, n)
	})
	return found
}

// Refs says how many user references.
type Refs uint8

const (
	OneRef Refs = iota
	AllRefs
)

// Unpin lets the last reference to a pinned send right go, as when the thread that it controls ends.
//
// Source: XNU osfmk/ipc/ipc_object.c, ipc_object_unpin.
func (s *Space) Unpin(p *Port) {
	s.locked(func(*cleanup) mach.KernReturn {
		p.mu.Lock()
		defer p.mu.Unlock()
		if e, _, ok := s.find(p); ok {
			e.flags &^= entryPinned
		}
		return 0
	})
}
