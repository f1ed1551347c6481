package xpc

import (
	"context"
	"fmt"
	"strings"

	"portcullis.dev/defs/bootstrap"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// Codes of the bootstrap interface (BOOTSTRAP_, launchd-842 liblaunch/bootstrap.h).
const (
	BootstrapNotPrivileged  mach.KernReturn = 1100
	BootstrapNameInUse      mach.KernReturn = 1101
	BootstrapUnknownService mach.KernReturn = 1102
	BootstrapServiceActive  mach.KernReturn = 1103
)

// LookUp asks the bootstrap port for the service of a name and returns a send right to its port, which the caller gives
// up. Nobody offering the name is ErrUnknownService.
func (p *Process) LookUp(ctx context.Context, name string) (mach.Name, error) {
	var port mach.Name
	err := p.bootstrapCall(ctx, name, func(c rpc.Caller[mach.Name], bp mach.Name) (kr mach.KernReturn) {
		port, _, kr = bootstrap.LookUp2(c, bp, name, 0, [16]byte{}, 0)
		return kr
	})
	return port, err
}

// CheckIn asks the bootstrap port for the receive right of a service that this program offers.
func (p *Process) CheckIn(ctx context.Context, name string) (mach.Name, error) {
	var port mach.Name
	err := p.bootstrapCall(ctx, name, func(c rpc.Caller[mach.Name], bp mach.Name) (kr mach.KernReturn) {
		port, _, kr = bootstrap.CheckIn2(c, bp, name, 0)
		return kr
	})
	return port, err
}

func (p *Process) bootstrapCall(ctx context.Context, name string, f func(rpc.Caller[mach.Name],
	mach.Name) mach.KernReturn) error {
	bp := p.task.Bootstrap()
	if bp == 0 {
		return fmt.Errorf("xpc: %s: there is no bootstrap port", name)
	}
	if len(name) > maxServiceName || strings.IndexByte(name, 0) >= 0 {
		return fmt.Errorf("xpc: the name of a service has at most %d bytes, none of them zero: %q", maxServiceName, name)
	}
	th, err := p.borrow()
	if err != nil {
		return err
	}
	defer p.giveBack(th)
	w := th.watch(ctx)
	kr := f(&mig{p, th}, bp)
	w.end()
	switch {
	case kr == 0:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case kr == BootstrapUnknownService:
		return fmt.Errorf("%w: %s", ErrUnknownService, name)
	}
	return fmt.Errorf("xpc: %s: %w", name, kr)
}

// maxServiceName is the longest name of a service: 128 bytes with the zero at its end.
const maxServiceName = 127

// mig makes MIG calls from a task: rpc.Caller for a thread.
type mig struct {
	p  *Process
	th *caller
}

// memory adapts a task to rpc.Memory.
type memory struct{ t Task }

func (m memory) Load(at uint64, n int) ([]byte, error) { return m.t.Load(at, n) }
func (m memory) Store(b []byte) (uint64, error)        { return m.t.Store(b) }

// Call implements rpc.Caller.
func (m *mig) Call(req *rpc.Message[mach.Name], o *rpc.Options) (*rpc.Message[mach.Name], mach.KernReturn) {
	reply, err := m.th.replyPort()
	if err != nil {
		return nil, mach.KernResourceShortage
	}
	req.Reply, req.ReplyDisposition = reply, mach.MakeSendOnce
	b, err := rpc.Encode(req, memory{m.p.task})
	if err != nil {
		return nil, mach.MigArrayTooLarge
	}
	call := Call{Options: sendOptions | mach.RcvMsg | mach.RcvLarge | trailerAudit, Send: b, Receive: reply,
		Buffer: m.th.buf}
	kr := m.th.Msg2(&call)
	if kr == mach.RcvTooLarge {
		m.th.grow()
		call.Options, call.Buffer = call.Options&^(mach.SendMsg|mach.SendMQCall), m.th.buf
		kr = m.th.Msg2(&call)
	}
	if kr != 0 {
		m.th.dropReply()
		return nil, kr
	}
	rep, err := rpc.Decode(m.th.buf, memory{m.p.task})
	if err != nil {
		return nil, mach.MigReplyMismatch
	}
	rep.Body = append([]byte(nil), rep.Body...)
	return rep, 0
}

// Send implements rpc.Caller.
func (m *mig) Send(req *rpc.Message[mach.Name], o *rpc.Options) mach.KernReturn {
	b, err := rpc.Encode(req, memory{m.p.task})
	if err != nil {
		return mach.MigArrayTooLarge
	}
	return m.th.Msg2(&Call{Options: sendOptions, Send: b})
}

// Destroy implements rpc.Destroyer.
func (m *mig) Destroy(n mach.Name, d mach.Disposition) { dropPort(m.th, n, d) }
