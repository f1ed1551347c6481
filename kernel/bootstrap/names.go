package bootstrap

import (
	"portcullis.dev/defs/bootstrap"
	"portcullis.dev/defs/notify"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

type message = rpc.Message[mach.Name]

func (s *Server) server() *bootstrap.Funcs[mach.Name] {
	return &bootstrap.Funcs[mach.Name]{
		DoCheckIn2: func(_ *message, _ mach.Name, name string, _ uint64) (mach.Name, [16]uint8, mach.KernReturn) {
			p, kr := s.checkIn(name)
			return p, [16]uint8{}, kr
		},
		DoRegister2: func(_ *message, _ mach.Name, name string, port mach.Name, _ uint64) mach.KernReturn {
			return s.register(name, port)
		},
		DoLookUp2: func(_ *message, _ mach.Name, _ rpc.Right[mach.Name], name string, _ int32, _ [16]uint8,
			_ uint64) (mach.Name, mach.KernReturn) {
			v := s.find(name)
			if v == nil {
				return 0, UnknownService
			}
			return v.port, 0
		},
		DoParent: func(*message, mach.Name, rpc.Right[mach.Name]) (mach.Name, mach.KernReturn) {
			return s.port, 0
		},
		DoGetRootBootstrap: func(*message, mach.Name) (mach.Name, mach.KernReturn) {
			// The right moves with the answer.
			return s.port, s.task.Space.ModRefs(s.thread.IPC, s.port, mach.RightSend, 1)
		},
		DoPidIsManaged: func(*message, mach.Name, int32) (int32, mach.KernReturn) { return 0, 0 },
	}
}

// find returns a service whose port is alive.
func (s *Server) find(name string) *service {
	v := s.names[name]
	if v == nil {
		return nil
	}
	if t, kr := s.task.Space.Type(s.thread.IPC, v.port); kr != 0 || t&mach.TypeSend == 0 {
		s.forget(v)
		return nil
	}
	return v
}

// forget gives a name up. What was registered may be a port of the server's own, so that one reference is all that goes.
func (s *Server) forget(v *service) {
	delete(s.names, v.name)
	if !v.made {
		s.task.Space.Deallocate(s.thread.IPC, v.port)
		return
	}
	s.task.Space.Destroy(s.thread.IPC, v.port)
	delete(s.ports, v.port)
}

// checkIn gives the receive right of a name's port away, and sees to it that it comes back.
func (s *Server) checkIn(name string) (mach.Name, mach.KernReturn) {
	th, space := s.thread.IPC, s.task.Space
	v := s.find(name)
	switch {
	case name == "":
		return 0, UnknownService
	case v != nil && !v.made:
		return 0, NotPrivileged
	case v != nil && v.inUse:
		return 0, ServiceActive
	case v == nil && len(s.names) >= maxNames:
		return 0, NoMemory
	case v == nil:
		p, kr := space.Construct(th, &ipc.ConstructOptions{Flags: mach.StrictServicePort | mach.InsertSendRight,
			Service: &ipc.ServiceInfo{Name: name}})
		if kr != 0 {
			return 0, kr
		}
		v = &service{name: name, port: p, made: true}
		s.names[name], s.ports[p] = v, v
	}
	if _, kr := space.RequestNotification(th, v.port, notify.IDMachNotifyPortDestroyed, 0, s.notify,
		mach.MakeSendOnce); kr != 0 {
		return 0, kr
	}
	v.inUse = true
	return v.port, 0
}

// register keeps a send right under a name; the null port takes the name away.
func (s *Server) register(name string, port mach.Name) mach.KernReturn {
	v := s.find(name)
	if v != nil && v.made {
		return NotPrivileged
	}
	if v != nil && v.port == port {
		return NameInUse
	}
	if v != nil && port.Valid() {
		return NameInUse
	}
	if v != nil {
		s.forget(v)
	}
	switch {
	case !port.Valid():
		return 0
	case name == "":
		return UnknownService
	case len(s.names) >= maxNames:
		return NoMemory
	}
	v = &service{name: name, port: port}
	s.names[name] = v
	return 0
}

// notices is what the kernel tells of ports.
type notices struct{ s *Server }

func (n notices) MachNotifyPortDestroyed(_ *message, _, port mach.Name) mach.KernReturn {
	if v := n.s.ports[port]; v != nil {
		v.inUse = false
	}
	return 0
}

func (notices) MachNotifyPortDeleted(*message, mach.Name, mach.Name) mach.KernReturn  { return 0 }
func (notices) MachNotifySendPossible(*message, mach.Name, mach.Name) mach.KernReturn { return 0 }
func (notices) MachNotifyNoSenders(*message, mach.Name, uint32) mach.KernReturn       { return 0 }
func (notices) MachNotifySendOnce(*message, mach.Name) mach.KernReturn                { return 0 }
func (notices) MachNotifyDeadName(*message, mach.Name, mach.Name) mach.KernReturn     { return 0 }
