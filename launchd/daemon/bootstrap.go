//go:build linux

package daemon

import (
	"portcullis.dev/defs/bootstrap"
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/launchd"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
	"portcullis.dev/xpc"
)

// Routines of the XPC protocol of launchd that are answered on the bootstrap port; those of launchctl are in
// control.go.
const (
	routineCheckIn  = 206
	routineLookUp   = 207
	routineIdentify = 0x700 // ours: which program runs in the process of a token
)

// bootstrapServer answers questions that come to the bootstrap port, in both protocols: MIG and XPC dictionaries.
type bootstrapServer struct {
	d    *Daemon
	port mach.Name
	th   *object.Thread
	done chan struct{}
}

func newBootstrap(d *Daemon) (*bootstrapServer, error) {
	th, kr := d.task.Task.NewThread(object.PThread, nil, nil)
	if kr != 0 {
		return nil, kr
	}
	s := &bootstrapServer{d: d, th: th, done: make(chan struct{})}
	s.port, kr = d.task.Space.Construct(th.IPC, &ipc.ConstructOptions{Flags: mach.StrictServicePort |
		mach.InsertSendRight | mach.QueueLimit, QueueLimit: mach.QueueLimitLarge,
		Service: &ipc.ServiceInfo{Name: "com.apple.xpc.bootstrap", Domain: ipc.DomainPort}})
	return s, kr.Err()
}

// right returns a new send right to the bootstrap port.
func (s *bootstrapServer) right() *ipc.Port {
	p, kr := s.d.task.Space.SendPort(s.port)
	if kr != 0 {
		return nil
	}
	return p.CopySend()
}

func (s *bootstrapServer) run() {
	defer close(s.done)
	buf := make([]byte, 4096)
	args := ipc.Args{Receive: s.port}
	for {
		args.Options = mach.RcvMsg | mach.RcvLarge | mach.Option(mach.TrailerAudit<<24)
		args.Buffer = buf
		kr := s.th.IPC.Msg2(&args)
		restrict.Of(s.th.IPC).Return(kr)
		switch kr {
		case 0:
			s.answer(buf)
		case mach.RcvTooLarge:
			var h mach.Header
			h.Decode(buf)
			buf = make([]byte, int(h.Size)+mach.MaxTrailerSize+8)
		case mach.RcvInterrupted:
			return
		default:
			s.d.log("bootstrap port: %v", kr)
			if kr &^= mach.MsgMask; kr != mach.RcvBodyError && kr != mach.RcvHeaderError {
				return
			}
			s.refuse(buf)
		}
		if len(buf) > 1<<20 {
			buf = make([]byte, 4096)
		}
	}
}

// refuse gives up what came with a message that did not come whole.
func (s *bootstrapServer) refuse(b []byte) {
	if m, err := rpc.Decode(b, arena{s.d.task}); err == nil {
		rpc.Refuse(destroyer{s}, m)
	}
}

func (s *bootstrapServer) stop() {
	s.th.IPC.Kill()
	<-s.done
}

func (s *bootstrapServer) answer(b []byte) {
	if xpc.IsPipe(b) {
		s.answerXPC(b)
		return
	}
	mem := arena{s.d.task}
	req, err := rpc.Decode(b, mem)
	if err != nil {
		s.d.log("bootstrap port: %v", err)
		return
	}
	c := launchd.Caller{PID: int(req.Trailer.Audit.PID()), UID: req.Trailer.Audit[1]}
	core := s.d.core
	rep, kr := bootstrap.Serve(&bootstrap.Funcs[mach.Name]{
		DoCheckIn2: func(_ *rpc.Message[mach.Name], _ mach.Name, name string, flags uint64) (mach.Name, [16]uint8,
			mach.KernReturn) {
			port, kr := core.CheckIn(c, name, flags)
			return port, [16]uint8{}, kr
		},
		DoLookUp2: func(_ *rpc.Message[mach.Name], _ mach.Name, _ rpc.Right[mach.Name], name string, _ int32, _ [16]uint8,
			flags uint64) (mach.Name, mach.KernReturn) {
			return core.LookUp(c, name, flags)
		},
		DoParent: func(*rpc.Message[mach.Name], mach.Name, rpc.Right[mach.Name]) (mach.Name, mach.KernReturn) {
			return s.port, 0
		},
		DoPidIsManaged: func(_ *rpc.Message[mach.Name], _ mach.Name, pid int32) (int32, mach.KernReturn) {
			_, _, ok := core.Managed(int(pid))
			if ok {
				return 1, 0
			}
			return 0, 0
		},
	}, req)
	d := destroyer{s}
	if !rpc.Answer(d, req, rep, kr) {
		return
	}
	out, err := rpc.Encode(rep, mem)
	if err == nil {
		kr := s.th.IPC.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendMQCall | mach.SendTimeout, Send: out})
		restrict.Of(s.th.IPC).Return(kr)
		if kr == mach.SendInvalidDest {
			// Whoever asked is gone, and nothing has left this task: neither the right to answer, nor the receive right of
			// a service.
			d.Destroy(rep.Dest, rep.DestDisposition)
			for i := range rep.Items {
				if rep.Items[i].Disposition == mach.MoveReceive {
					core.Returned(rep.Items[i].Port)
				}
			}
		}
	}
}

// answerXPC answers a dictionary. The number of the routine is in the message's id or under a key.
func (s *bootstrapServer) answerXPC(b []byte) {
	m, err := s.d.xpc.OpenPipe(b)
	if err != nil {
		s.d.log("bootstrap port: %v", err)
		return
	}
	defer m.Drop()
	routine := uint64(m.ID &^ xpc.PipeID)
	if routine == 0 {
		routine = m.Uint64("routine")
	}
	t := m.Token()
	c := launchd.Caller{PID: int(t.PID()), UID: t[1]}
	reply := xpc.NewDictionary()
	switch routine {
	case routineLookUp:
		port, kr := s.d.core.LookUp(c, m.Text("name"), m.Uint64("flags"))
		if kr == 0 {
			kr = s.d.copySend(port)
		}
		if kr != 0 {
			reply.Set("error", xpc.Int64(xpcError(kr)))
			break
		}
		right := s.d.xpc.SendRight(port)
		defer right.Close()
		reply.Set("port", right).Set("req_pid", xpc.Int64(t.PID()))
	case routineIdentify:
		id, err := s.d.identify(tokenOf(m.Data("token")))
		if err != nil {
			reply.Set("error", xpc.Int64(errNoProcess)).Set("message", xpc.String(err.Error()))
			break
		}
		v, err := xpc.Encode(id.Entitlements)
		if err != nil {
			v = xpc.NewDictionary()
		}
		reply.Set("executable", xpc.String(id.Executable)).Set("entitlements", v)
	default:
		reply.Set("error", xpc.Int64(errNotImplemented))
	}
	if err := m.Reply(reply); err != nil {
		s.d.log("bootstrap port: %v", err)
	}
}

// Error numbers of launchd beyond those of Unix (xpc_strerror).
const (
	errNoProcess      = 3 // ESRCH
	errNotImplemented = 116
	errUnknownService = 124 // what clients turn into BOOTSTRAP_UNKNOWN_SERVICE
)

func xpcError(kr mach.KernReturn) int64 {
	if kr == xpc.BootstrapUnknownService {
		return errUnknownService
	}
	return int64(kr)
}

// destroyer implements rpc.Destroyer.
type destroyer struct{ s *bootstrapServer }

func (d destroyer) Destroy(n mach.Name, how mach.Disposition) {
	if !n.Valid() {
		return
	}
	space, th := d.s.d.task.Space, d.s.th.IPC
	var kr mach.KernReturn
	if how == mach.MoveReceive {
		kr = space.ModRefs(th, n, mach.RightReceive, -1)
	} else {
		kr = space.Deallocate(th, n)
	}
	restrict.Of(th).Return(kr)
}

// arena is the memory of the task, for rpc.
type arena struct{ t xpc.Task }

func (a arena) Load(at uint64, n int) ([]byte, error) { return a.t.Load(at, n) }
func (a arena) Store(b []byte) (uint64, error)        { return a.t.Store(b) }
