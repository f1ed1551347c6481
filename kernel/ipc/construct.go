package ipc

import "portcullis.dev/mach"

// ServiceInfo is what launchd says of a service port it makes (mach_service_port_info).
type ServiceInfo struct {
	Name   string // at most 254 bytes
	Domain uint8
}

// DomainPort is the domain of the bootstrap port itself (XPC_DOMAIN_PORT).
const DomainPort = 7

// AnonymousService as a service port name means that a connection belongs to no service (MPO_ANONYMOUS_SERVICE).
const AnonymousService mach.Name = 0xfffffffe

// ConstructOptions are the options of mach_port_construct.
type ConstructOptions struct {
	Flags       mach.ConstructFlags
	QueueLimit  uint32
	Context     uint64
	Service     *ServiceInfo // mach.ServicePort
	ServiceName mach.Name    // mach.ConnectionPort: send right to the service the connection is for
}

// Construct makes a receive right of any type.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_construct, newest public tree.
func (s *Space) Construct(t *Thread, o *ConstructOptions) (name mach.Name, kr mach.KernReturn) {
	if o.Flags&^mach.ConstructFlagsKnown != 0 {
		return 0, mach.KernInvalidArgument
	}
	switch o.Flags & mach.ConstructTypeMask {
	case 0, mach.ServicePort, mach.ConnectionPort, mach.ReplyPort, mach.WeakReplyPort, mach.NotificationPort,
		mach.ExceptionPort, mach.ConnectionPortWithPortArray:
	default:
		return 0, mach.KernInvalidArgument
	}
	typ, kr := s.kernel.restrict.Construct(t, s, o)
	switch {
	case kr != 0:
		return 0, kr
	case o.Flags&mach.QueueLimit != 0 && o.QueueLimit > mach.QueueLimitMax:
		return 0, mach.KernInvalidValue
	case o.Flags&mach.TGBlockTracking != 0:
		return 0, mach.KernDenied // for the graphics server alone, which is not here
	}
	kr = s.locked(func(c *cleanup) mach.KernReturn {
		if o.Flags&mach.ConstructTypeMask == mach.ConnectionPort && o.ServiceName != AnonymousService {
			if kr := s.isService(o.ServiceName); kr != 0 {
				return kr
			}
		}
		if !s.kernel.chargePort(s.account) {
			return mach.KernResourceShortage
		}
		e, i, ok := s.claim()
		if !ok {
			s.account.ports.Add(-1)
			return mach.KernResourceShortage
		}
		p := s.kernel.newPort(typ, s.account)
		s.own(e, i, p)
		name = s.name(i)
		p.configure(o)
		if o.Flags&mach.InsertSendRight != 0 {
			p.makeSends, p.sends = 1, 1
			s.place(c, e, i, p, mach.MoveSend, arrives)
		}
		return 0
	})
	return name, kr
}

// configure sets what the options ask for on a port nobody else has seen.
func (p *Port) configure(o *ConstructOptions) {
	p.immovable = p.immovable || o.Flags&mach.ImmovableReceive != 0
	p.enforceReply = o.Flags&mach.EnforceReplyPortSemantics != 0
	p.service = o.Service
	p.filtered = o.Service != nil || o.Flags&mach.ConstructTypeMask == mach.ConnectionPort &&
		o.ServiceName != AnonymousService && o.Flags&mach.ImmovableReceive == 0 // which is the way back to the client
	if o.Flags&mach.QueueLimit != 0 {
		p.queue.limit = int(o.QueueLimit)
	}
	p.donation = o.Flags&(mach.ImportanceReceiver|mach.DenapReceiver|mach.TempOwner) != 0
	p.tempOwner = o.Flags&mach.TempOwner != 0
	p.context = o.Context
	if o.Flags&mach.ContextAsGuard != 0 {
		p.guarded, p.strict = true, o.Flags&mach.Strict != 0
		if p.throttles() {
			p.keepsGuard, p.homeGuard = true, o.Context
		}
	}
}

// isService checks the name that a connection port is derived from.
//
// Source: XNU osfmk/ipc/ipc_service_port.c, ipc_service_port_derive_sblabel of the newest public tree, which translates
// the name as a send right.
func (s *Space) isService(n mach.Name) mach.KernReturn {
	if !n.Valid() {
		return mach.KernInvalidName
	}
	e, _ := s.lookup(n)
	switch {
	case !e.live():
		return mach.KernInvalidName
	case e.rights&mach.TypeSend == 0:
		return mach.KernInvalidRight
	case !e.port.throttles():
		return mach.KernInvalidCapability
	}
	return 0
}

// ReplyPort makes a plain receive right, which is what mach_reply_port means to this day; 0 if there is no room.
func (t *Thread) ReplyPort() mach.Name {
	name, _ := t.space.Allocate(t, mach.RightReceive)
	return name
}

// SpecialReplyPort makes a new special reply port for the thread, with a send right; 0 if there is no room.
//
// Source: XNU osfmk/kern/ipc_tt.c, thread_get_special_reply_port.
func (t *Thread) SpecialReplyPort() (name mach.Name) {
	s := t.space
	s.locked(func(c *cleanup) mach.KernReturn {
		if !s.kernel.chargePort(s.account) {
			return mach.KernResourceShortage
		}
		e, i, ok := s.claim()
		if !ok {
			s.account.ports.Add(-1)
			return mach.KernResourceShortage
		}
		p := s.kernel.newPort(mach.PortTypeSpecialReply, s.account)
		p.makeSends, p.sends = 1, 1
		s.own(e, i, p)
		s.place(c, e, i, p, mach.MoveSend, arrives)
		name = s.name(i)
		return 0
	})
	return name
}
