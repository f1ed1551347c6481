//go:build linux

package daemon

import (
	"encoding/binary"
	"sync"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/xpc"
	"portcullis.dev/xpc/local"
)

// ports are service ports in the task of a launchd. It implements launchd.Ports.
//
// Receive rights that are watched are in a port set. A thread receives from the set with room for less than any
// message has, so that it learns of a message and leaves it where it is.
type ports struct {
	task  *local.Task
	p     *xpc.Process
	th    *object.Thread // watches the set
	calls *object.Thread
	mu    sync.Mutex // for calls, armed
	armed map[mach.Name]bool
	set   mach.Name
	home  mach.Name // receives what comes home; immovable, as the kernel wants it
	homes *object.Thread
	done  sync.WaitGroup
}

// events is who is told.
type events interface {
	Demanded(mach.Name)
	Returned(mach.Name)
}

func newPorts(t *local.Task, p *xpc.Process) (*ports, error) {
	s := &ports{task: t, p: p, armed: make(map[mach.Name]bool)}
	for _, th := range []**object.Thread{&s.th, &s.calls, &s.homes} {
		var kr mach.KernReturn
		if *th, kr = t.Task.NewThread(object.PThread, nil, nil); kr != 0 {
			return nil, kr
		}
	}
	var kr mach.KernReturn
	if s.set, kr = t.Space.Allocate(s.calls.IPC, mach.RightPortSet); kr != 0 {
		return nil, kr
	}
	s.home, kr = t.Space.Construct(s.calls.IPC, &ipc.ConstructOptions{Flags: mach.ImmovableReceive | mach.QueueLimit,
		QueueLimit: mach.QueueLimitLarge})
	return s, kr.Err()
}

// run tells e of events until stop is called.
func (s *ports) run(e events) {
	s.done.Go(func() { s.watch(e) })
	s.done.Go(func() { s.receiveHome(e) })
}

func (s *ports) stop() {
	s.th.IPC.Kill()
	s.homes.IPC.Kill()
	s.done.Wait()
}

func (s *ports) watch(e events) {
	buf := make([]byte, mach.HeaderSize)
	for {
		kr := s.th.IPC.Msg2(&ipc.Args{Options: mach.RcvMsg | mach.RcvLarge | mach.RcvLargeIdentity, Receive: s.set,
			Buffer: buf})
		restrict.Of(s.th.IPC).Return(kr)
		switch kr {
		case mach.RcvTooLarge:
			name := mach.Name(binary.LittleEndian.Uint32(buf[12:]))
			s.Unwatch(name)
			e.Demanded(name)
		default:
			return
		}
	}
}

// receiveHome receives port-destroyed notifications, which bring receive rights.
func (s *ports) receiveHome(e events) {
	buf := make([]byte, 256)
	for {
		kr := s.homes.IPC.Msg2(&ipc.Args{Options: mach.RcvMsg, Receive: s.home, Buffer: buf})
		restrict.Of(s.homes.IPC).Return(kr)
		if kr != 0 {
			return
		}
		var h mach.Header
		h.Decode(buf)
		var d mach.Descriptor
		if h.ID == mach.NotifyPortDestroyed && h.Bits&mach.BitsComplex != 0 &&
			d.Decode(buf[mach.HeaderSize+mach.BodySize:]) != 0 && d.Disposition == mach.MoveReceive && d.Name.Valid() {
			s.mu.Lock()
			delete(s.armed, d.Name)
			s.mu.Unlock()
			e.Returned(d.Name)
		}
	}
}

// call makes a kernel call that does not wait.
func (s *ports) call(f func(*ipc.Thread) mach.KernReturn) mach.KernReturn {
	s.mu.Lock()
	defer s.mu.Unlock()
	kr := f(s.calls.IPC)
	restrict.Of(s.calls.IPC).Return(kr)
	return kr
}

// serviceDomain is what the kernel is told of the domain of service ports; Apple's numbers are not known but for that
// of the bootstrap port.
const serviceDomain = 1

// Create implements launchd.Ports.
func (s *ports) Create(service string) (name mach.Name, err error) {
	kr := s.call(func(t *ipc.Thread) (kr mach.KernReturn) {
		name, kr = s.task.Space.Construct(t, &ipc.ConstructOptions{Flags: mach.StrictServicePort | mach.InsertSendRight |
			mach.QueueLimit, QueueLimit: mach.QueueLimitLarge,
			Service: &ipc.ServiceInfo{Name: service, Domain: serviceDomain}})
		return kr
	})
	return name, kr.Err()
}

// Arm implements launchd.Ports. A request that was made before still stands if the right never left; the kernel takes
// no second one.
func (s *ports) Arm(name mach.Name) error {
	return s.call(func(t *ipc.Thread) mach.KernReturn {
		if s.armed[name] {
			return 0
		}
		_, kr := s.task.Space.RequestNotification(t, name, mach.NotifyPortDestroyed, 0, s.home, mach.MakeSendOnce)
		s.armed[name] = kr == 0
		return kr
	}).Err()
}

// Watch implements launchd.Ports.
func (s *ports) Watch(name mach.Name) {
	s.call(func(t *ipc.Thread) mach.KernReturn { return s.task.Space.InsertMember(t, name, s.set) })
}

// Unwatch implements launchd.Ports.
func (s *ports) Unwatch(name mach.Name) {
	s.call(func(t *ipc.Thread) mach.KernReturn { return s.task.Space.ExtractMember(t, name, s.set) })
}

// Drain implements launchd.Ports.
func (s *ports) Drain(name mach.Name, n int) { s.p.Drain(name, n) }

// Destroy implements launchd.Ports.
func (s *ports) Destroy(name mach.Name) {
	s.call(func(t *ipc.Thread) mach.KernReturn {
		delete(s.armed, name)
		rights, kr := s.task.Space.Type(t, name)
		if kr == 0 && rights&mach.TypeReceive != 0 {
			kr = s.task.Space.ModRefs(t, name, mach.RightReceive, -1)
		}
		if rights&(mach.TypeSend|mach.TypeDeadName) != 0 {
			kr = s.task.Space.Deallocate(t, name)
		}
		return kr
	})
}
