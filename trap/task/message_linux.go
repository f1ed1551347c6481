package task

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
	"portcullis.dev/trap"
)

// Message is a message in the form in which a task has it.
type Message = rpc.Message[mach.Name]

// Args are the arguments of mach_msg2 that are not in the message.
type Args struct {
	Options mach.Option
	Timeout uint32    // milliseconds
	Receive mach.Name // receive right or set, with mach.RcvMsg
	Room    uint32    // bytes for a received message and its trailer; 0 for any
}

// anyRoom is more than any message needs.
const anyRoom = mach.MaxBodySize + mach.HeaderSize + mach.MaxTrailerSize

// Msg sends m if the options say so, receives if they say so, and returns what was received. The context interrupts it. An
// error holds the mach.KernReturn. After a send that failed half way m holds the rights that came back.
func (th *Thread) Msg(ctx context.Context, m *Message, a Args) (*Message, error) {
	got, kr, err := th.msg(ctx, m, a)
	switch {
	case err != nil:
		return nil, err
	case kr == mach.RcvInterrupted || kr == mach.SendInterrupted:
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", kr, context.Cause(ctx))
		}
		return nil, kr
	case kr != 0:
		return nil, kr
	}
	return got, nil
}

func (th *Thread) msg(ctx context.Context, m *Message, a Args) (*Message, mach.KernReturn, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	var raw []byte
	if a.Options&mach.SendMsg != 0 {
		th.used = 0
		var err error
		// Pieces are put behind the message, whose size is known before.
		if raw, err = rpc.Encode(m, &outgoing{th, size(m)}); err != nil {
			return nil, 0, err
		}
		if err := th.put(raw); err != nil {
			return nil, 0, err
		}
	}
	if a.Room == 0 {
		a.Room = anyRoom
	}
	defer th.interruptible(ctx)()
	err := th.call(trap.OpMsg2, nil, uint64(a.Options), uint64(a.Receive), uint64(a.Room), uint64(a.Timeout), 0, 0,
		uint64(len(raw)))
	if err != nil {
		return nil, 0, err
	}
	c := th.c
	kr := mach.KernReturn(int32(c.Result[0]))
	if kr != 0 && c.Result[1] == 1 {
		if back, err := rpc.Decode(th.mem.Out()[:min(c.OutSize, trap.OutSize)], incoming{th}); err == nil {
			// What a sender has in Remote a receiver finds in Reply.
			back.Dest, back.Reply = back.Reply, back.Dest
			back.DestDisposition, back.ReplyDisposition = back.ReplyDisposition, back.DestDisposition
			*m = *back
		}
	}
	if spoiled := kr &^ mach.MsgMask; spoiled == mach.RcvBodyError {
		th.refuse()
	}
	if kr != 0 || a.Options&mach.RcvMsg == 0 {
		return nil, kr, nil
	}
	b, err := th.received()
	if err != nil {
		return nil, 0, err
	}
	got, err := rpc.Decode(b, incoming{th})
	if err != nil {
		return nil, 0, err
	}
	return got, 0, nil
}

// refuse gives up what came with a message that did not come whole.
func (th *Thread) refuse() {
	b, err := th.received()
	if err != nil {
		return
	}
	if m, err := rpc.Decode(b, incoming{th}); err == nil {
		rpc.Refuse(Caller{th, mach.SendMQCall}, m)
	}
}

// size returns the size of a message as bytes.
func size(m *Message) int {
	n := mach.HeaderSize + len(m.Body)
	if m.Complex {
		n += mach.BodySize
		for i := range m.Items {
			n += m.Items[i].Type.Size()
		}
	}
	return n
}

// put puts an encoded message into the lane.
func (th *Thread) put(raw []byte) error {
	if len(raw) <= trap.RequestMax {
		copy(th.mem.In(), raw)
		th.used = max(th.used, len(raw))
		return nil
	}
	f, err := trap.NewBulk(raw)
	if err != nil {
		return err
	}
	if len(th.pieces) >= trap.OOLMax {
		f.Close()
		return mach.SendTooLarge
	}
	// The message itself is the first entry.
	th.pieces = append(th.pieces, trap.Piece{})
	copy(th.pieces[1:], th.pieces)
	th.pieces[0] = trap.Piece{Size: uint64(len(raw)), Offset: trap.Bulk}
	th.given = append(th.given, nil)
	copy(th.given[1:], th.given)
	th.given[0] = f
	th.used = 0
	return nil
}

// outgoing puts the out-of-line memory of a message behind it.
type outgoing struct {
	th     *Thread
	behind int
}

func (o *outgoing) Load(uint64, int) ([]byte, error) { return nil, errors.ErrUnsupported }

// Store implements [rpc.Memory].
func (o *outgoing) Store(b []byte) (uint64, error) {
	address := trap.Cookie + uint64(len(o.th.pieces))
	return address, o.th.piece(address, b, o.behind)
}

// piece puts a piece of memory that goes with a message of a size behind it, or into a file of its own.
func (th *Thread) piece(address uint64, b []byte, behind int) error {
	if len(th.pieces) >= trap.OOLMax-1 {
		return mach.SendTooLarge
	}
	p := trap.Piece{Address: address, Size: uint64(len(b)), Offset: trap.Bulk}
	at := (max(th.used, behind) + 15) &^ 15
	var f *os.File
	most := trap.InlineMax
	if th.large { // the pages in the lane are made the second time: a thread may send so much only once
		most = trap.LentMax
	}
	if len(b) <= most && behind <= trap.RequestMax && at+len(b) <= trap.InSize {
		copy(th.mem.In()[at:], b)
		p.Offset = uint64(at)
		th.used = at + len(b)
	} else {
		var err error
		if f, err = trap.NewBulk(b); err != nil {
			return err
		}
		th.large = true
	}
	th.given = append(th.given, f)
	th.pieces = append(th.pieces, p)
	return nil
}

// received returns the message in the lane.
func (th *Thread) received() ([]byte, error) {
	b, err := th.lent()
	return append([]byte(nil), b...), err
}

// lent returns the message in the lane. It is valid until the next call.
func (th *Thread) lent() ([]byte, error) {
	c := th.c
	if c.OOLOutCount > 0 && c.OOLOut[0].Address == 0 {
		return th.take(0)
	}
	return th.mem.Out()[:min(c.OutSize, trap.OutSize)], nil
}

// take fetches the memory file of an entry.
func (th *Thread) take(entry uint32) ([]byte, error) {
	f, answer, err := th.task.ask(&trap.Packet{Kind: trap.Take, A: th.index, B: entry})
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, trap.ErrPacket
	}
	defer f.Close()
	size := th.c.OOLOut[entry].Size
	b := room(int(size))
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, int64(len(b))), b); err != nil || answer.B == 0 {
		return b, err
	}
	return b, th.task.socket.Send(&trap.Packet{Kind: trap.Return, A: answer.B}, nil)
}

// incoming finds the out-of-line memory of a received message.
type incoming struct{ th *Thread }

// Load implements [rpc.Memory].
func (i incoming) Load(address uint64, size int) ([]byte, error) {
	c := i.th.c
	for n := range min(c.OOLOutCount, trap.OOLMax) {
		e := c.OOLOut[n]
		if e.Address != address || e.Size != uint64(size) {
			continue
		}
		if e.Offset == trap.Bulk {
			return i.th.take(n)
		}
		return clone(i.th.mem.Out()[e.Offset : e.Offset+e.Size]), nil
	}
	return nil, fmt.Errorf("no memory came for %#x", address)
}

func (incoming) Store([]byte) (uint64, error) { return 0, errors.ErrUnsupported }

// destroy gives up what moving the right would have given away.
func (th *Thread) destroy(name mach.Name, d mach.Disposition) {
	if !name.Valid() {
		return
	}
	switch d {
	case mach.MoveReceive:
		th.ModRefs(name, mach.RightReceive, -1)
	case mach.MoveSend, mach.MoveSendOnce:
		th.Deallocate(name)
	}
}

// Caller makes calls of compiled interfaces; it implements [rpc.Caller].
type Caller struct {
	th   *Thread
	kind mach.Option
}

// Kernel returns a caller for the kernel's objects: tasks, threads, the host.
func (th *Thread) Kernel() Caller { return Caller{th, mach.SendKobjectCall} }

// Peer returns a caller for ports of other tasks.
func (th *Thread) Peer() Caller { return Caller{th, mach.SendMQCall} }

// Call implements [rpc.Caller].
func (c Caller) Call(req *Message, o *rpc.Options) (*Message, mach.KernReturn) {
	return c.th.round(req, o, c.kind)
}

// Send implements [rpc.Caller].
func (c Caller) Send(req *Message, o *rpc.Options) mach.KernReturn {
	return c.th.oneWay(req, o, c.kind)
}

// Destroy implements [rpc.Destroyer].
func (c Caller) Destroy(name mach.Name, d mach.Disposition) { c.th.destroy(name, d) }

// ReplyPort returns the thread's reply port (mig_get_reply_port): a right that cannot leave the task, made when it is first
// needed.
func (th *Thread) ReplyPort() (mach.Name, error) {
	if th.reply == 0 {
		n, err := th.Construct(mach.ReplyPort, 0)
		if err != nil {
			return 0, err
		}
		th.reply = n
	}
	return th.reply, nil
}

func (th *Thread) round(req *Message, o *rpc.Options, kind mach.Option) (*Message, mach.KernReturn) {
	if o == nil {
		o = &rpc.Options{}
	}
	if !o.OwnReply {
		var err error
		if o.Special {
			req.Reply, err = th.SpecialReplyPort()
		} else {
			req.Reply, err = th.ReplyPort()
		}
		if err != nil {
			return nil, code(err)
		}
		req.ReplyDisposition = mach.MakeSendOnce
	}
	reply := req.Reply
	a := Args{Options: mach.SendMsg | mach.RcvMsg | kind | o.Extra | trailer(o.Trailer), Timeout: o.Timeout,
		Receive: reply}
	if o.Timed {
		a.Options |= mach.SendTimeout | mach.RcvTimeout
	}
	if o.SendTimed {
		a.Options |= mach.SendTimeout
	}
	got, kr, err := th.msg(context.Background(), req, a)
	if err != nil {
		return nil, code(err)
	}
	if kr != 0 && reply == th.reply {
		// An answer may still come to it: the next call must not find that.
		th.reply = 0
		th.ModRefs(reply, mach.RightReceive, -1)
	}
	return got, kr
}

// trailer asks for elements of a trailer.
func trailer(elements uint32) mach.Option { return mach.Option(elements&0xf) << 24 }

func (th *Thread) oneWay(req *Message, o *rpc.Options, kind mach.Option) mach.KernReturn {
	if o == nil {
		o = &rpc.Options{}
	}
	a := Args{Options: mach.SendMsg | kind | o.Extra, Timeout: o.Timeout}
	if o.Timed || o.SendTimed {
		a.Options |= mach.SendTimeout
	}
	_, kr, err := th.msg(context.Background(), req, a)
	if err != nil {
		return code(err)
	}
	return kr
}

// code returns the return code in an error; that of a kernel that is gone if there is none.
func code(err error) mach.KernReturn {
	var kr mach.KernReturn
	if errors.As(err, &kr) {
		return kr
	}
	return mach.SendInvalidDest
}
