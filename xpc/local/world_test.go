package local_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/kernel/restrict"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
	"portcullis.dev/xpc"
	"portcullis.dev/xpc/local"
)

// world is a machine with the simplest of bootstrap servers: names and rights in a map, asked without messages.
type world struct {
	testing.TB
	*object.Machine
	who     local.Registry
	launchd *object.Task
	th      *object.Thread
	home    mach.Name // immovable port that service ports come home to

	mu       sync.Mutex
	services map[string]mach.Name // launchd's names
	pid      int32
	quiet    bool // guards are expected
}

// clock is the real one.
type clock struct{ start time.Time }

func (c clock) Now() uint64 { return uint64(time.Since(c.start)) }
func (c clock) AfterFunc(d time.Duration, f func()) func() bool {
	return time.AfterFunc(d, f).Stop
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, services: make(map[string]mach.Name)}
	w.Machine = object.New(object.Config{Clock: clock{time.Now()}})
	r := restrict.NewTask(restrict.ForLevel(rules.LevelPlatform))
	r.Launchd = true
	var err error
	if w.launchd, err = w.NewTask(object.TaskConfig{PID: 1, Restrict: r}); err != nil {
		t.Fatal(err)
	}
	w.th, _ = w.launchd.NewThread(object.MainThread, nil, nil)
	w.home, _ = w.launchd.Space.Construct(w.th.IPC, &ipc.ConstructOptions{Flags: mach.ImmovableReceive})
	w.pid = 100
	return w
}

// program is a task with XPC in it.
type program struct {
	*xpc.Process
	*local.Task
	w     *world
	token mach.AuditToken
}

func token(uid uint32, pid int32, version uint32) mach.AuditToken {
	return mach.AuditToken{uid, uid, 20, uid, 20, uint32(pid), 1, version}
}

func (w *world) start(level rules.Level) *program {
	w.Helper()
	w.mu.Lock()
	w.pid++
	pid := w.pid
	w.mu.Unlock()
	return w.startAs(level, token(501, pid, 1), &xpc.Identity{Executable: "/bin/true"})
}

func (w *world) startAs(level rules.Level, tok mach.AuditToken, id *xpc.Identity) *program {
	w.Helper()
	r := restrict.NewTask(restrict.ForLevel(level))
	t, err := local.NewTask(w.Machine, object.TaskConfig{PID: tok.PID(), Restrict: r,
		Identity: ipc.Identity{Security: [2]uint32{tok[1], tok[2]}, Audit: tok}}, &w.who)
	if err != nil {
		w.Fatal(err)
	}
	t.Violation = func(v restrict.Violation) {
		if !w.quiet {
			w.Errorf("process %d at level %v ran into %v", tok.PID(), level, v)
		}
	}
	w.who.Set(tok, id)
	return &program{xpc.NewProcess(t), t, w, tok}
}

// offer makes a service port and gives its receive right to a program, which listens on it.
func (p *program) offer(name string) *xpc.Listener { return p.ListenOn(name, p.offerRaw(name)) }

func (p *program) offerRaw(name string) mach.Name {
	p.w.Helper()
	l := p.w.launchd.Space
	p.w.mu.Lock()
	n, ok := p.w.services[name]
	if !ok {
		var kr mach.KernReturn
		n, kr = l.Construct(p.w.th.IPC, &ipc.ConstructOptions{Flags: mach.StrictServicePort | mach.InsertSendRight |
			mach.QueueLimit, QueueLimit: 1024, Service: &ipc.ServiceInfo{Name: name}})
		p.w.ok(kr)
		p.w.services[name] = n
	}
	p.w.mu.Unlock()
	_, kr := l.RequestNotification(p.w.th.IPC, n, mach.NotifyPortDestroyed, 0, p.w.home, mach.MakeSendOnce)
	p.w.ok(kr)
	// The move takes a message, as it does in life.
	box, kr := p.Task.Space.Allocate(nil, mach.RightReceive)
	p.w.ok(kr)
	th, _ := p.Task.Task.NewThread(object.PThread, nil, nil)
	defer th.Terminate()
	boxThere, _, kr := p.Task.Space.ExtractRight(p.w.th.IPC, box, mach.MakeSend)
	p.w.ok(kr)
	m := make([]byte, 40)
	(&mach.Header{Bits: mach.BitsComplex | mach.MakeBits(mach.MoveSend, 0, 0), Size: 40, Remote: boxThere}).Encode(m)
	m[24] = 1
	(&mach.Descriptor{Name: n, Disposition: mach.MoveReceive}).Encode(m[28:])
	p.w.ok(p.w.th.IPC.Msg2(&ipc.Args{Options: mach.SendMsg | mach.SendMQCall, Send: m}))
	b := make([]byte, 256)
	p.w.ok(th.IPC.Msg2(&ipc.Args{Options: mach.RcvMsg, Receive: box, Buffer: b}))
	var d mach.Descriptor
	d.Decode(b[28:])
	p.w.ok(p.Task.Space.ModRefs(th.IPC, box, mach.RightReceive, -1))
	return d.Name
}

// comeHome takes a service port back that was given up by its holder.
func (w *world) comeHome() {
	w.Helper()
	b := make([]byte, 256)
	w.ok(w.th.IPC.Msg2(&ipc.Args{Options: mach.RcvMsg | mach.RcvTimeout, Timeout: 5000, Receive: w.home, Buffer: b}))
	var d mach.Descriptor
	if d.Decode(b[28:]); d.Type != mach.DescriptorPort || !d.Name.Valid() {
		w.Fatalf("no port came home")
	}
}

// dial connects to a service of the world.
func (p *program) dial(name string) *xpc.Connection {
	return p.ConnectBy(name, func(context.Context) (mach.Name, error) {
		p.w.mu.Lock()
		n := p.w.services[name]
		p.w.mu.Unlock()
		if n == 0 {
			return 0, xpc.ErrUnknownService
		}
		p.w.mu.Lock()
		defer p.w.mu.Unlock()
		right, kr := p.w.launchd.Space.SendPort(n)
		if kr != 0 {
			return 0, kr
		}
		name, kr := p.Task.Space.InsertSend(right.CopySend(), false)
		return name, kr.Err()
	})
}

func (w *world) ok(kr mach.KernReturn) {
	w.Helper()
	if kr != 0 {
		w.Fatal(kr)
	}
}

// end ends all programs and checks that nothing is left.
func (w *world) end() {
	w.Helper()
	w.Close()
	deadline := time.Now().Add(5 * time.Second)
	for (w.IPC.Stats() != (ipc.Stats{}) || w.Stats().Files > 0) && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if s := w.IPC.Stats(); s != (ipc.Stats{}) {
		w.Errorf("left behind in ipc: %+v", s)
	}
	if s := w.Stats(); s != (object.Stats{}) {
		w.Errorf("left behind: %+v", s)
	}
}

func inTime(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func dict(kv ...any) *xpc.Dictionary {
	d := xpc.NewDictionary()
	for i := 0; i < len(kv); i += 2 {
		d.Set(kv[i].(string), kv[i+1].(xpc.Value))
	}
	return d
}
