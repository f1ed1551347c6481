package ipc

import (
	"encoding/binary"

	"portcullis.dev/mach"
)

// Args are the arguments of one mach_msg2 call.
type Args struct {
	Options mach.Option
	Send    []byte // message to send; a send that fails half way writes it anew
	SendAux []byte // auxiliary data, with its 8-byte header; mach.MsgVector
	Timeout uint32 // milliseconds, of each half

	Receive mach.Name // receive right or set
	Buffer  []byte    // for the message and its trailer
	// Grow, if not nil, makes the Buffer when it is known how much is needed; Room says how much that may be.
	Grow      func(n int) []byte
	Room      uint32
	BufferAux []byte
	BufferAt  uint64 // address of Buffer in the task: the guard of ports received guarded

	// Number is what the message that is sent is known by to who looks on, and Received the number of the one that was
	// received: 0 for those of the kernel.
	Number, Received uint64
}

// Msg2 is mach_msg2: it sends, receives, or does one after the other.
func (t *Thread) Msg2(a *Args) mach.KernReturn {
	o := t.options(a.Options) | mach.MachMsg2
	if o&mach.SendMsg != 0 {
		if kr := t.space.kernel.restrict.SendOptions(t, o); kr != 0 {
			return kr
		}
		if kr := t.sendUser(a, o, false); kr != 0 {
			return kr
		}
	}
	if o&mach.RcvMsg != 0 {
		return t.receiveUser(a, o)
	}
	return 0
}

// StartMsg2 is Msg2 for a thread that has nobody to sleep for it while it waits for a message: if waiting is true, the call
// goes on by itself, and once there is something to finish wakeup is called, from anywhere and perhaps before StartMsg2
// returns, with ports locked. Then FinishMsg2 returns what Msg2 would have. The thread still sleeps where a message cannot
// be sent at once.
func (t *Thread) StartMsg2(a *Args, wakeup func()) (kr mach.KernReturn, waiting bool) {
	o := t.options(a.Options) | mach.MachMsg2
	if o&mach.SendMsg != 0 {
		if kr := t.space.kernel.restrict.SendOptions(t, o); kr != 0 {
			return kr, false
		}
		if kr := t.sendUser(a, o, false); kr != 0 {
			return kr, false
		}
	}
	if o&mach.RcvMsg == 0 {
		return 0, false
	}
	t.wakeup = wakeup
	if kr, waiting = t.line(a, o, true); kr != 0 || waiting {
		return kr, waiting
	}
	return t.received(a, o), false
}

// FinishMsg2 ends a call that StartMsg2 began and left waiting, after its wakeup was called.
func (t *Thread) FinishMsg2() mach.KernReturn {
	s := t.started
	t.started = started{}
	s.stop()
	if kr := t.leave(&s); kr != 0 {
		return kr
	}
	return t.received(s.args, s.options)
}

// MsgLegacy is mach_msg as it was before mach_msg2.
func (t *Thread) MsgLegacy(a *Args) mach.KernReturn {
	o := t.options(a.Options & 0xffffffff)
	if o&mach.SendMsg != 0 {
		if kr := t.sendUser(a, o, true); kr != 0 {
			return kr
		}
	}
	if o&mach.RcvMsg != 0 {
		return t.receiveUser(a, o)
	}
	return 0
}

// options clears what is not a user's and adds what the space's policy is.
//
// Source: XNU osfmk/ipc/ipc_policy.c, ipc_current_msg_options.
func (t *Thread) options(o mach.Option) mach.Option {
	o &= mach.OptionUser
	if o&mach.SendFilterNonfatal != 0 {
		o = o&^mach.SendFilterNonfatal | mach.PolicyFilterNonfatal
	}
	if t.space.filtered {
		o |= mach.PolicyFilterMsg
	}
	return o | mach.Option(t.space.policy)<<mach.PolicyShift
}

// sendAlways is the kernel's meaning of the bit that users know as SendFilterNonfatal: the queue limit does not count.
const sendAlways = mach.SendFilterNonfatal

// What a message costs the kernel beside its bytes.
const (
	messageCost = 256
	itemCost    = 128 // a descriptor
	portCost    = 16  // a port in an array
)

// layout is what a look over the user's bytes says of a message.
type layout struct {
	header mach.Header
	descs  uint32 // descriptors
	start  int    // of inline data
	ports  uint64
	arrays int
	cost   uint64
}

// begin reads the header.
//
// Source of order, here and in sendUser: XNU osfmk/ipc/mach_msg.c, mach_msg_validate_data_vectors and
// mach_msg_copyin_user_header.
func (l *layout) begin(b []byte) mach.KernReturn {
	if len(b) < mach.HeaderSize || len(b)&3 != 0 {
		return mach.SendMsgTooSmall
	}
	if len(b) > mach.MaxBodySize {
		return mach.SendTooLarge
	}
	l.header.Decode(b)
	l.header.Bits &= mach.BitsUser
	l.start = mach.HeaderSize
	return 0
}

// scan reads the descriptors without taking any right.
//
// Source of checks and order: XNU osfmk/ipc/mach_msg.c, mach_msg_trap_send; osfmk/ipc/ipc_kmsg.c,
// ipc_kmsg_measure_descriptors_from_user and the inflate functions.
func (l *layout) scan(b []byte, o mach.Option) mach.KernReturn {
	if l.header.Bits&mach.BitsComplex != 0 {
		const base = mach.HeaderSize + mach.BodySize
		if len(b) < base {
			return mach.SendMsgTooSmall
		}
		l.descs = binary.LittleEndian.Uint32(b[mach.HeaderSize:])
		if uint64(l.descs) > uint64(len(b)-base)/mach.PortDescriptorSize {
			return mach.SendMsgTooSmall
		}
		if o&mach.SendKobjectCall != 0 && l.descs > mach.MaxKobjectDescriptors {
			return mach.SendTooLarge
		}
		l.start = base
		if kr := l.measure(b, o); kr != 0 {
			return kr
		}
	}
	l.cost += messageCost + uint64(len(b)) + uint64(l.descs)*itemCost + l.ports*portCost
	return 0
}

// measure finds where the descriptors end, then looks at each.
func (l *layout) measure(b []byte, o mach.Option) mach.KernReturn {
	first := l.start
	for range l.descs {
		if len(b)-l.start < mach.PortDescriptorSize {
			return mach.SendMsgTooSmall
		}
		typ := mach.DescriptorType(b[l.start+11])
		special := typ == mach.DescriptorOOLVolatile || typ == mach.DescriptorGuardedPort
		if typ.Size() == 0 || special && o&(mach.SendKobjectCall|mach.SendDKCall) != 0 {
			return mach.SendInvalidType
		}
		if len(b)-l.start < typ.Size() {
			return mach.SendMsgTooSmall
		}
		l.start += typ.Size()
	}
	var d mach.Descriptor
	for i := first; i < l.start; {
		i += d.Decode(b[i:])
		switch d.Type {
		case mach.DescriptorPort:
			l.ports++
		case mach.DescriptorGuardedPort:
			l.ports++
			if d.Flags == 0 || d.Flags&^mach.GuardedFlagsMask != 0 ||
				d.Flags&mach.GuardedUnguardedOnSend != 0 && d.Address != 0 || d.Disposition != mach.MoveReceive {
				return mach.SendInvalidType
			}
		case mach.DescriptorOOLPorts:
			l.arrays++
			l.ports += uint64(d.Size)
		default:
			if d.Copy != mach.CopyPhysical && d.Copy != mach.CopyVirtual {
				return mach.SendInvalidType
			}
			l.cost += uint64(d.Size)
		}
	}
	if l.ports > mach.MaxPorts {
		return mach.SendTooLarge
	}
	return 0
}

// sendUser sends a message of the thread's task.
func (t *Thread) sendUser(a *Args, o mach.Option, legacy bool) mach.KernReturn {
	var l layout
	s, k := t.space, t.space.kernel
	if kr := l.begin(a.Send); kr != 0 {
		return kr
	}
	if legacy {
		if l.header.Bits&mach.BitsComplex != 0 && len(a.Send) < mach.HeaderSize+mach.BodySize {
			return mach.SendMsgTooSmall
		}
		if kr := k.restrict.LegacySend(t, l.header.ID, o); kr != 0 {
			return kr
		}
	}
	if kr := checkAux(a.SendAux, o); kr != 0 {
		return kr
	}
	if kr := l.scan(a.Send, o); kr != 0 {
		return kr
	}
	c := &t.cleanup
	defer c.run(k)
	m := k.newMessage(s.account)
	m.number = a.Number
	cost := int64(l.cost) + int64(len(a.SendAux))
	if !k.chargeBytes(s.account, cost) {
		k.free(m)
		return mach.SendNoBuffer
	}
	m.charged = cost
	m.id, m.size, m.sender = l.header.ID, uint32(len(a.Send)), s.identity
	m.body = append(m.body, a.Send[l.start:]...)
	if o&mach.MsgVector != 0 {
		m.aux = append(m.aux, a.SendAux...)
	}
	always, kr := t.copyinHeader(c, m, &l.header, o)
	if kr != 0 {
		k.free(m)
		return kr
	}
	if always {
		o |= sendAlways
	}
	if kr = t.checkHeader(m, o, l.arrays); kr != 0 {
		c.add(task{kind: taskMessage, msg: m})
		return kr
	}
	if l.header.Bits&mach.BitsComplex != 0 {
		m.complex = true
		if kr = t.copyinBody(c, m, a.Send[mach.HeaderSize+mach.BodySize:l.start], o); kr != 0 {
			c.add(task{kind: taskMessage, msg: m})
			return kr
		}
	}
	if kr = t.deliver(c, m, o, a.Timeout); kr != 0 {
		kr |= t.pseudoReceive(c, m, a, &l)
	}
	return kr
}

func checkAux(aux []byte, o mach.Option) mach.KernReturn {
	switch {
	case o&mach.MsgVector == 0 || len(aux) == 0:
		return 0
	case len(aux) < 8:
		return mach.SendAuxTooSmall
	case len(aux) > mach.MaxAuxSize:
		return mach.SendAuxTooLarge
	}
	return 0
}

// checkHeader asks the restrictions about a message whose header rights are in transit.
func (t *Thread) checkHeader(m *Message, o mach.Option, arrays int) mach.KernReturn {
	t.send = Send{ID: m.id, Options: o, Dest: m.dest, Arrays: arrays}
	if m.reply.valid() && m.reply.Active() {
		t.send.Reply = m.reply
	}
	kr := t.space.kernel.restrict.SendHeader(t, &t.send)
	t.send = Send{}
	return kr
}

// deliver brings a message to its port. Nothing is locked. An error leaves the message with the caller.
//
// Source: XNU osfmk/ipc/ipc_kmsg.c, ipc_kmsg_send.
func (t *Thread) deliver(c *cleanup, m *Message, o mach.Option, timeout uint32) mach.KernReturn {
	if m.circular {
		c.add(task{kind: taskMessage, msg: m})
		return 0
	}
	p := m.dest
	p.mu.Lock()
	if p.dead.Load() {
		p.mu.Unlock()
		c.add(task{kind: taskMessage, msg: m})
		return 0
	}
	if p.kernelOwned {
		p.queue.seqno++
		o := p.object
		p.mu.Unlock()
		t.serve(c, m, p, o)
		return 0
	}
	if kr := t.enter(p, m, o, timeout); kr != 0 {
		return kr
	}
	if p.dead.Load() {
		p.mu.Unlock()
		c.add(task{kind: taskMessage, msg: m})
		return 0
	}
	p.queue.put(m)
	p.pump()
	p.mu.Unlock()
	return 0
}

// enter takes a place in the queue of a locked port, waiting for one if need be. It returns with the port locked if it
// got a place or the port died, and unlocked with an error.
//
// Source: XNU osfmk/ipc/ipc_mqueue.c, ipc_mqueue_send_locked.
func (t *Thread) enter(p *Port, m *Message, o mach.Option, timeout uint32) mach.KernReturn {
	q := &p.queue
	if !p.full() || q.count < mach.QueueLimitKernel && (o&sendAlways != 0 || m.destDisp == mach.MoveSendOnce) {
		q.count++
		return 0
	}
	if o&mach.SendTimeout != 0 && timeout == 0 {
		p.mu.Unlock()
		return mach.SendTimedOut
	}
	if q.count >= mach.QueueLimitKernel {
		p.mu.Unlock()
		return mach.SendNoBuffer
	}
	w := &t.wait
	n := w.begin(false)
	p.senders.push(w)
	p.mu.Unlock()
	r := w.sleep(n, o&mach.SendTimeout != 0, milliseconds(timeout))
	p.mu.Lock()
	p.senders.remove(w)
	switch r {
	case waitTimedOut:
		p.mu.Unlock()
		return mach.SendTimedOut
	case waitInterrupted:
		p.mu.Unlock()
		return mach.SendInterrupted
	}
	return 0
}

// leaveQueue gives back a place, to a sender that waits for one if there is any.
func (p *Port) leaveQueue() {
	p.queue.count--
	p.admit()
}

// admit lets senders in while there is room; each is given its place.
func (p *Port) admit() {
	for !p.full() {
		w := p.senders.claimFirst()
		if w == nil {
			return
		}
		p.queue.count++
		w.result = waitAwakened
		w.wake()
	}
}

// post puts a message of the kernel into the queue of a locked port and unlocks it. The kernel does not wait.
func (p *Port) post(c *cleanup, m *Message) {
	if p.queue.count >= mach.QueueLimitKernel {
		p.mu.Unlock()
		c.add(task{kind: taskMessage, msg: m})
		return
	}
	p.queue.count++
	p.queue.put(m)
	p.pump()
	p.mu.Unlock()
}

// pump hands waiting messages to waiting receivers: of the port first, then of sets it is in. The port is locked.
func (p *Port) pump() {
	for p.queue.head != nil {
		w := p.receivers.claimFirst()
		for i := 0; w == nil && i < len(p.members); i++ {
			s := p.members[i].set
			s.mu.Lock()
			if !s.dead.Load() {
				s.markReady(p.members[i])
				w = s.receivers.claimFirst()
			}
			s.mu.Unlock()
		}
		if w == nil {
			return
		}
		p.hand(w)
		w.result = waitAwakened
		w.wake()
	}
}

// hand gives the first message to a receiver. A receiver that asked for it is only told of a message that does not fit.
func (p *Port) hand(w *waiter) {
	m := p.queue.head
	if !w.fits(m) {
		w.large, w.largeAux, w.source = m.size, uint32(len(m.aux)), p.receiverName
		if w.options&mach.RcvLarge != 0 {
			return
		}
	}
	w.msg = p.queue.take()
	w.seqno = p.queue.seqno
	p.queue.seqno++
	p.leaveQueue()
}

// fits says that message and trailer have room in the receiver's buffer.
func (w *waiter) fits(m *Message) bool {
	return uint64(m.size)+uint64(mach.TrailerSize(w.options.TrailerElements())) <= uint64(w.room) &&
		(w.options&mach.MsgVector == 0 || len(m.aux) <= int(w.auxRoom))
}
