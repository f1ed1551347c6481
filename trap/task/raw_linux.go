package task

import (
	"encoding/binary"

	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
	"portcullis.dev/trap"
)

// Call is one mach_msg2 call whose messages are bytes, laid out as XNU has them for 64-bit tasks.
type Call struct {
	Options mach.Option
	Timeout uint32    // milliseconds
	Send    []byte    // written anew if the kernel returned what it could not send
	Receive mach.Name // receive right or set, with mach.RcvMsg
	Buffer  []byte    // for what is received, with its trailer
	Memory  Memory
}

// Memory is where out-of-line memory of a task lies, for messages as bytes.
type Memory interface {
	rpc.Memory
	// Put puts back at its address what Load returned: the kernel has taken nothing of the message.
	Put(address uint64, b []byte)
}

// loaded is a piece of memory that a message on its way takes along.
type loaded struct {
	address uint64
	data    []byte
}

// MsgBytes makes the call. What was received is in the buffer, or in memory of its own if it did not fit. Out-of-line
// memory of both messages is in c.Memory, from which it is loaded, and where what comes is stored.
func (th *Thread) MsgBytes(c *Call) (received []byte, kr mach.KernReturn) {
	gone := mach.RcvPortDied
	if c.Options&mach.SendMsg != 0 {
		gone = mach.SendInvalidDest
		taken, err := th.layOut(c.Send, c.Memory)
		defer func() {
			if err != nil || kr.SendTookNothing() {
				for _, l := range taken {
					c.Memory.Put(l.address, l.data)
				}
			}
		}()
		if err != nil {
			th.unlay()
			return nil, code(err)
		}
	}
	if err := th.call(trap.OpMsg2, nil, uint64(c.Options&^mach.RcvLarge), uint64(c.Receive), anyRoom, uint64(c.Timeout), 0,
		0, uint64(len(c.Send))); err != nil {
		return nil, gone
	}
	kr = mach.KernReturn(int32(th.c.Result[0]))
	back := kr != 0 && th.c.Result[1] == 1
	part := kr&^mach.MsgMask == mach.RcvBodyError || kr&^mach.MsgMask == mach.RcvHeaderError
	if !back && !part && (kr != 0 || c.Options&mach.RcvMsg == 0) {
		return nil, kr
	}
	out, err := th.lent()
	if err != nil {
		return nil, gone
	}
	into := c.Buffer
	if back {
		into = c.Send
	}
	if len(into) < len(out) {
		into = make([]byte, len(out))
	}
	into = into[:copy(into, out)]
	th.settle(into, c.Memory)
	if back {
		return nil, kr
	}
	return into, kr
}

// Interrupt makes the call that the thread sleeps in return, if there is one. It may be called from anywhere.
func (th *Thread) Interrupt() {
	th.task.socket.Send(&trap.Packet{Kind: trap.Interrupt, A: th.index}, nil)
}

// layOut puts a message and its memory into the lane, and returns the memory.
func (th *Thread) layOut(b []byte, memory Memory) (taken []loaded, err error) {
	th.used = 0
	for d := range descriptors(b) {
		data, err := memory.Load(d.Address, memorySize(&d))
		if err != nil {
			return taken, mach.SendInvalidMemory
		}
		taken = append(taken, loaded{d.Address, data})
		if err := th.piece(d.Address, data, len(b)); err != nil {
			return taken, err
		}
	}
	return taken, th.put(b)
}

// unlay forgets what was put into the lane.
func (th *Thread) unlay() {
	for i, f := range th.given {
		if f != nil {
			f.Close()
			th.given[i] = nil
		}
	}
	th.pieces, th.given, th.used = th.pieces[:0], th.given[:0], 0
}

// settle gives memory that came with a message addresses of the task's.
func (th *Thread) settle(b []byte, memory Memory) {
	for d, at := range descriptors(b) {
		data, err := incoming{th}.Load(d.Address, memorySize(&d))
		var address uint64
		if err == nil {
			address, err = memory.Store(data)
		}
		if err != nil {
			d.Size = 0
		}
		d.Address = address
		d.Encode(at)
	}
}

// memorySize returns how many bytes of memory a descriptor stands for.
func memorySize(d *mach.Descriptor) int {
	if d.Type == mach.DescriptorOOLPorts {
		return 4 * int(d.Size)
	}
	return int(d.Size)
}

// descriptors walks through the descriptors of a message that stand for memory, if it is any, with the bytes of each.
func descriptors(b []byte) func(func(mach.Descriptor, []byte) bool) {
	return func(yield func(mach.Descriptor, []byte) bool) {
		var h mach.Header
		if len(b) < mach.HeaderSize+mach.BodySize {
			return
		}
		if h.Decode(b); h.Bits&mach.BitsComplex == 0 {
			return
		}
		n := binary.LittleEndian.Uint32(b[mach.HeaderSize:])
		for at := mach.HeaderSize + mach.BodySize; n > 0; n-- {
			var d mach.Descriptor
			size := d.Decode(b[at:])
			if size == 0 {
				return
			}
			switch d.Type {
			case mach.DescriptorOOL, mach.DescriptorOOLVolatile, mach.DescriptorOOLPorts:
				if d.Size != 0 && !yield(d, b[at:at+size]) {
					return
				}
			}
			at += size
		}
	}
}
