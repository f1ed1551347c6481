package exception

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// caller calls a handler for the thread that waits.
type caller struct {
	by *ipc.Thread
}

var _ rpc.Caller[*ipc.Port] = (*caller)(nil)

// Call implements [rpc.Caller]. Rights that are to be copied are copied; the answer has rights of its own.
func (c *caller) Call(req *rpc.Message[*ipc.Port], _ *rpc.Options) (*rpc.Message[*ipc.Port], mach.KernReturn) {
	items := make([]ipc.Item, len(req.Items))
	for i, it := range req.Items {
		it.Port, it.Disposition = it.Port.CopySend(), mach.MoveSend
		items[i] = ipc.Item(it)
	}
	a, kr := c.by.Ask(req.Dest, req.ID, req.Body, items...)
	if kr != 0 {
		return nil, kr
	}
	rep := &rpc.Message[*ipc.Port]{ID: a.ID, Reply: a.Reply, ReplyDisposition: a.ReplyDisposition, Complex: a.Complex,
		Body: a.Body}
	for _, it := range a.Items {
		rep.Items = append(rep.Items, rpc.Item[*ipc.Port](it))
	}
	return rep, 0
}

// Send implements [rpc.Caller]. No exception goes without an answer.
func (c *caller) Send(*rpc.Message[*ipc.Port], *rpc.Options) mach.KernReturn {
	return mach.KernNotSupported
}

// Destroy implements [rpc.Destroyer].
func (c *caller) Destroy(p *ipc.Port, d mach.Disposition) { p.Release(d) }
