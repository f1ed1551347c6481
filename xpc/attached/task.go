//go:build linux

package attached

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"portcullis.dev/mach"
	"portcullis.dev/trap/task"
	"portcullis.dev/xpc"
)

// Task is this process as a task. It implements xpc.Task, xpc.FilePorts, xpc.Regions and xpc.Identifier.
type Task struct {
	*task.Task
	xpc.Arena
	p *xpc.Process

	mu        sync.Mutex
	own       *task.Thread // for calls that do not wait; made when it is first needed
	bootstrap mach.Name
}

// Join makes the process a task of the kernel that the environment names, and returns XPC in it. A process joins once.
func Join(ctx context.Context) (*xpc.Process, error) {
	t, err := task.Join(ctx)
	if err != nil {
		return nil, err
	}
	own := &Task{Task: t}
	own.p = xpc.NewProcess(own)
	return own.p, nil
}

// Bootstrap implements xpc.Task.
func (t *Task) Bootstrap() (name mach.Name) {
	t.quickly(func(th *task.Thread) (err error) {
		if t.bootstrap == 0 {
			t.bootstrap, err = th.BootstrapPort()
		}
		name = t.bootstrap
		return err
	})
	return name
}

// NewThread implements xpc.Task.
func (t *Task) NewThread() (xpc.Thread, error) {
	th, err := t.Task.NewThread()
	if err != nil {
		return nil, err
	}
	return &thread{t: t, th: th}, nil
}

// LendsMemory implements xpc.Lender: what is sent is copied into the lane, or into a file.
func (t *Task) LendsMemory() {}

// thread implements xpc.Thread over a thread of package task.
type thread struct {
	t     *Task
	th    *task.Thread
	call  task.Call
	large []byte // a message that did not fit
	from  mach.Name
	busy  atomic.Bool // in a call that may sleep
}

// code returns the return code in an error.
func code(err error, otherwise mach.KernReturn) mach.KernReturn {
	var kr mach.KernReturn
	switch {
	case err == nil:
		return 0
	case errors.As(err, &kr):
		return kr
	}
	return otherwise
}

func (h *thread) Msg2(c *xpc.Call) mach.KernReturn {
	if h.large != nil && c.Options&mach.SendMsg == 0 && c.Receive == h.from {
		return h.deliver(c.Buffer, h.large)
	}
	h.call = task.Call{Options: c.Options, Timeout: c.Timeout, Send: c.Send, Receive: c.Receive, Buffer: c.Buffer,
		Memory: &h.t.Arena}
	h.busy.Store(true)
	b, kr := h.th.MsgBytes(&h.call)
	h.busy.Store(false)
	if len(b) > len(c.Buffer) {
		h.from = c.Receive
		if too := h.deliver(c.Buffer, b); kr == 0 {
			return too
		}
	}
	return kr
}

// deliver puts a received message into a buffer, or keeps it if it does not fit.
func (h *thread) deliver(buffer, b []byte) mach.KernReturn {
	if len(b) > len(buffer) {
		h.large = b
		copy(buffer, b[:mach.HeaderSize])
		return mach.RcvTooLarge
	}
	copy(buffer, b)
	h.large = nil
	return 0
}

// Interrupt implements xpc.Thread. A call that is only about to sleep is not interrupted.
func (h *thread) Interrupt() {
	if h.busy.Load() {
		h.th.Interrupt()
	}
}

func (h *thread) SpecialReplyPort() mach.Name {
	n, _ := h.th.SpecialReplyPort()
	return n
}

func (h *thread) Construct(o *xpc.PortOptions) (mach.Name, mach.KernReturn) {
	n, err := h.th.ConstructWith(task.PortOptions{Flags: o.Flags, Context: o.Guard, QueueLimit: o.QueueLimit,
		Service: o.Service})
	return n, code(err, mach.KernFailure)
}

func (h *thread) Destruct(name mach.Name, sends int32, guard uint64) mach.KernReturn {
	return code(h.th.Destruct(name, sends, guard), mach.KernFailure)
}

func (h *thread) Deallocate(n mach.Name) mach.KernReturn {
	return code(h.th.Deallocate(n), mach.KernFailure)
}

func (h *thread) ModRefs(n mach.Name, r mach.Right, delta int32) mach.KernReturn {
	return code(h.th.ModRefs(n, r, delta), mach.KernFailure)
}

func (h *thread) MakeSend(n mach.Name) mach.KernReturn {
	return code(h.th.InsertRight(n, n, mach.MakeSend), mach.KernFailure)
}

func (h *thread) Request(name mach.Name, id int32, sync uint32, notify mach.Name) mach.KernReturn {
	previous, err := h.th.RequestNotification(name, id, sync, notify, mach.MakeSendOnce)
	if previous.Valid() {
		h.th.Deallocate(previous)
	}
	return code(err, mach.KernFailure)
}

func (h *thread) Close() { h.th.Close() }

// routineIdentify is the number of the question that launchd answers.
const routineIdentify = 0x700

// identifyTime is how long launchd may take to answer.
const identifyTime = 10 * time.Second

// Identify implements xpc.Identifier: launchd knows which program runs in which process, because its kernel saw it
// start.
func (t *Task) Identify(token mach.AuditToken) (*xpc.Identity, error) {
	bp := t.Bootstrap()
	if bp == 0 {
		return nil, fmt.Errorf("nothing more is known of process %d: there is no launchd", token.PID())
	}
	ctx, cancel := context.WithTimeout(context.Background(), identifyTime)
	defer cancel()
	b := make(xpc.Data, 0, 4*len(token))
	for _, w := range token {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	d, err := t.p.Pipe(ctx, bp, routineIdentify, xpc.NewDictionary().Set("token", b))
	if err != nil {
		return nil, err
	}
	if d.Int64("error") != 0 {
		return nil, errors.New(d.Text("message"))
	}
	id := &xpc.Identity{Executable: d.Text("executable"), Entitlements: make(map[string]any)}
	if e := d.Dict("entitlements"); e != nil {
		for k, v := range e.All() {
			id.Entitlements[k] = plain(v)
		}
	}
	return id, nil
}

// plain turns a value into what package plist makes of it.
func plain(v xpc.Value) any {
	switch v := v.(type) {
	case xpc.Bool:
		return bool(v)
	case xpc.String:
		return string(v)
	case xpc.Int64:
		return int64(v)
	case xpc.Uint64:
		return uint64(v)
	case xpc.Double:
		return float64(v)
	case xpc.Data:
		return []byte(v)
	case xpc.Array:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = plain(e)
		}
		return list
	case *xpc.Dictionary:
		m := make(map[string]any, v.Len())
		for k, e := range v.All() {
			m[k] = plain(e)
		}
		return m
	}
	return nil
}
