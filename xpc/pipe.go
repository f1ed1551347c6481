package xpc

import (
	"context"
	"fmt"

	"portcullis.dev/mach"
)

// PipeID is the id of a message to a bare port that is an XPC dictionary and wants an answer; the number of a routine
// may be in its lower bits. launchd is asked so.
const PipeID = idSync

// Pipe sends a dictionary to a port, as xpc_pipe_routine does, and returns the answer.
func (p *Process) Pipe(ctx context.Context, port mach.Name, routine int32, d *Dictionary) (*Dictionary, error) {
	th, err := p.borrow()
	if err != nil {
		return nil, err
	}
	defer p.giveBack(th)
	reply, err := th.replyPort()
	if err != nil {
		return nil, err
	}
	m, err := p.build(th.out, d, PipeID|routine)
	if err != nil {
		return nil, err
	}
	th.out = m.room
	m.address(port, mach.CopySend, reply)
	w := th.watch(ctx)
	in, kr := exchange(th, m, reply)
	w.end()
	if kr != 0 {
		th.dropReply()
		if sending(kr) {
			p.failed(m, kr)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("xpc: pipe: %w", kr)
	}
	m.sent()
	if in.header.ID != idReply {
		p.discardRights(in)
		return nil, ErrInterrupted
	}
	return p.dictionary(in)
}

// sending says that a code tells why a message was not sent, not why none was received.
func sending(kr mach.KernReturn) bool { return kr >= mach.SendInProgress && kr < mach.RcvInProgress }

// IsPipe says that the bytes of a received message are an XPC dictionary that wants an answer.
func IsPipe(b []byte) bool {
	var h mach.Header
	return h.Decode(b) && h.ID&0x70000000 == PipeID
}

// OpenPipe decodes the bytes of a message that a thread of the task received from a bare port. The message must be
// answered or dropped. Where it is malformed, all that it brought is given up.
func (p *Process) OpenPipe(b []byte) (*Message, error) {
	in := parse(b)
	reply := in.reply()
	d, err := p.dictionary(in)
	if err != nil {
		if reply != 0 {
			p.calls(func(th Thread) { th.Deallocate(reply) })
		}
		return nil, err
	}
	if reply != 0 {
		p.active.Add(1)
	}
	return &Message{Dictionary: d, ID: in.header.ID, p: p, token: in.trailer.Audit, reply: reply}, nil
}

// Drain takes the first n messages out of a port, or all if n is negative, and gives up what they bring.
func (p *Process) Drain(port mach.Name, n int) {
	th, err := p.borrow()
	if err != nil {
		return
	}
	defer p.giveBack(th)
	for ; n != 0; n-- {
		in, kr := th.receive(port, mach.RcvTimeout, 0)
		if kr != 0 {
			return
		}
		p.discardRights(in)
	}
}
