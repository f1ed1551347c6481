// Package bootstrap gives the tasks of a kernel a bootstrap port: names of services, to check in under and to look up. It
// is what launchd is to programs that nobody wrote a job for: any name can be had, and nothing is started on demand.
//
// The server is a task like others, with the process id 1. Service ports are made by it alone, move once to who checks in,
// and come back when that program ends, with the messages that nobody took.
package bootstrap

import (
	"errors"
	"fmt"
	"sync"

	"portcullis.dev/defs/bootstrap"
	"portcullis.dev/defs/notify"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// Return codes of the interface (BOOTSTRAP_…).
//
// Source: launchd-842 liblaunch/bootstrap.h.
const (
	NotPrivileged  mach.KernReturn = 1100
	NameInUse      mach.KernReturn = 1101
	UnknownService mach.KernReturn = 1102
	ServiceActive  mach.KernReturn = 1103
	NoMemory       mach.KernReturn = 1105
)

// maxNames bounds the names of services.
const maxNames = 1 << 14

// Server is the task that holds the names.
type Server struct {
	task   *object.Task
	thread *object.Thread
	port   mach.Name // the bootstrap port: its receive right
	right  *ipc.Port
	notify mach.Name
	set    mach.Name
	done   sync.WaitGroup

	names map[string]*service
	ports map[mach.Name]*service
}

// service is a name. The server has a send right to its port under port.
type service struct {
	name  string
	port  mach.Name
	made  bool // by the server; else a program registered it
	inUse bool // a program has the receive right
}

// program is what the server's task runs.
type program struct{}

// Name returns the name that listings show.
func (program) Name() string { return "bootstrap" }

// New starts the server. Tasks that inherit from none get the bootstrap port from [Server.Lend].
func New(m *object.Machine) (*Server, error) {
	known := restrict.NewTask(restrict.Platform)
	known.Launchd = true
	t, err := m.NewTask(object.TaskConfig{PID: 1, Restrict: known, Root: true, Process: program{},
		Identity: ipc.Identity{Audit: mach.AuditToken{5: 1, 7: 1}}})
	if err != nil {
		return nil, err
	}
	s := &Server{task: t, names: map[string]*service{}, ports: map[mach.Name]*service{}}
	if err := s.prepare(); err != nil {
		t.Terminate()
		return nil, fmt.Errorf("starting the bootstrap server: %w", err)
	}
	s.done.Go(s.run)
	return s, nil
}

func (s *Server) prepare() error {
	var kr [8]mach.KernReturn
	s.thread, kr[0] = s.task.NewThread(object.MainThread, nil, nil)
	if kr[0] != 0 {
		return kr[0]
	}
	th, space := s.thread.IPC, s.task.Space
	s.port, kr[1] = space.Construct(th, &ipc.ConstructOptions{Flags: mach.ServicePort | mach.InsertSendRight,
		Service: &ipc.ServiceInfo{Name: "bootstrap", Domain: ipc.DomainPort}})
	s.notify, kr[2] = space.Construct(th, &ipc.ConstructOptions{Flags: mach.NotificationPort})
	s.set, kr[3] = space.Allocate(th, mach.RightPortSet)
	kr[4] = space.InsertMember(th, s.port, s.set)
	kr[5] = space.InsertMember(th, s.notify, s.set)
	s.right, kr[6] = space.SendPort(s.port)
	for _, k := range kr {
		if k != 0 {
			return k
		}
	}
	return nil
}

// Lend makes the server's port the bootstrap port of a task.
func (s *Server) Lend(t *object.Task) error {
	if kr := t.PutSpecialPort(object.TaskBootstrapPort, s.right.CopySend()); kr != 0 {
		return kr
	}
	return nil
}

// Close ends the server. Names are gone.
func (s *Server) Close() {
	s.task.Terminate()
	s.done.Wait()
}

// bufferSize is room for every request of the interface.
const bufferSize = 4096

func (s *Server) run() {
	b := make([]byte, bufferSize)
	th := s.thread.IPC
	for {
		o := mach.RcvMsg | mach.RcvLarge | mach.Option(mach.TrailerAudit)<<24
		switch kr := th.Msg2(&ipc.Args{Options: o, Receive: s.set, Buffer: b}); kr {
		case 0:
			s.message(b)
		case mach.RcvTooLarge:
			// No request is so large: it is taken out to be destroyed.
			th.Msg2(&ipc.Args{Options: o &^ mach.RcvLarge, Receive: s.set, Buffer: b})
		default:
			return
		}
		restrict.Of(th).Return(0)
	}
}

// message answers one message.
func (s *Server) message(b []byte) {
	req, err := rpc.Decode(b, noMemory{})
	if err != nil {
		s.discard(b)
		return
	}
	if req.Dest == s.notify {
		notify.Serve(notices{s}, req)
		return
	}
	rep, kr := bootstrap.Serve(s.server(), req)
	if !rpc.Answer(destroyer{s}, req, rep, kr) {
		return
	}
	out, err := rpc.Encode(rep, noMemory{})
	if err == nil && s.thread.IPC.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendMQCall | mach.SendTimeout, Send: out}) == 0 {
		return
	}
	rpc.Refuse(destroyer{s}, rep)
	if err == nil && kr == 0 {
		s.recover(rep)
	}
}

// recover takes back a receive right that nobody was there to receive.
func (s *Server) recover(rep *rpc.Message[mach.Name]) {
	for i := range rep.Items {
		if v := s.ports[rep.Items[i].Port]; v != nil {
			v.inUse = false
		}
	}
}

// discard destroys what an unreadable message brought.
func (s *Server) discard(b []byte) {
	var h mach.Header
	if h.Decode(b) && h.Remote.Valid() {
		s.task.Space.Deallocate(s.thread.IPC, h.Remote)
	}
}

var errMemory = errors.New("requests have no memory out of line")

type noMemory struct{}

func (noMemory) Load(uint64, int) ([]byte, error) { return nil, errMemory }
func (noMemory) Store([]byte) (uint64, error)     { return 0, errMemory }

type destroyer struct{ s *Server }

// Destroy implements [rpc.Destroyer].
func (d destroyer) Destroy(p mach.Name, disp mach.Disposition) {
	if !p.Valid() {
		return
	}
	if disp == mach.MoveReceive {
		d.s.task.Space.ModRefs(d.s.thread.IPC, p, mach.RightReceive, -1)
		return
	}
	d.s.task.Space.Deallocate(d.s.thread.IPC, p)
}
