package ipc

import (
	"encoding/binary"
	"slices"

	"portcullis.dev/mach"
)

// receiveUser receives a message into the buffer of a.
//
// Source: XNU osfmk/ipc/mach_msg.c, mach_msg_receive_results.
func (t *Thread) receiveUser(a *Args, o mach.Option) mach.KernReturn {
	if kr, waiting := t.line(a, o, false); waiting {
		s := &t.started
		t.parker.Park()
		s.stop()
		if kr := t.leave(s); kr != 0 {
			return kr
		}
	} else if kr != 0 {
		return kr
	}
	return t.received(a, o)
}

// received delivers what is in the thread's waiter.
func (t *Thread) received(a *Args, o mach.Option) mach.KernReturn {
	w := &t.wait
	m := w.msg
	w.msg = nil
	c := &t.cleanup
	defer c.run(t.space.kernel)
	if a.Grow != nil {
		n := uint32(mach.HeaderSize)
		if m != nil && w.large == 0 {
			n = (m.size + 3) &^ 3
		}
		// Not a byte more than is written: what is behind the trailer in the receiver's memory stays as it is.
		a.Buffer = a.Grow(int(min(n+uint32(mach.TrailerSize(o.TrailerElements())), w.room)))
	}
	if w.large != 0 {
		if m == nil {
			w.writeLarge(a, o)
			return mach.RcvTooLarge
		}
		return t.receiveError(c, m, a, o, 0, mach.RcvTooLarge)
	}
	tr := mach.Trailer{Seqno: w.seqno, Security: m.sender.Security, Audit: m.sender.Audit, Context: m.dest.contextNow()}
	h, kr := t.space.copyoutHeader(c, m, o)
	if kr != 0 {
		return t.receiveError(c, m, a, o, tr.Context, kr)
	}
	b := a.Buffer
	h.Encode(b)
	n := mach.HeaderSize
	if m.complex {
		binary.LittleEndian.PutUint32(b[n:], uint32(len(m.desc)))
		n += mach.BodySize
		var bad mach.KernReturn
		n, bad = t.copyoutBody(c, m, b, n, o, a.BufferAt)
		if bad != 0 {
			kr = mach.RcvBodyError | bad
		}
	}
	n += copy(b[n:], m.body)
	tr.Encode(b[n:], o.TrailerElements())
	if o&mach.MsgVector != 0 && copy(a.BufferAux, m.aux) == 0 && len(a.BufferAux) >= auxHeaderSize {
		clear(a.BufferAux[:auxHeaderSize]) // that there is none
	}
	a.Received = m.number
	t.space.kernel.free(m)
	return kr
}

// writeLarge tells a receiver what did not fit: its size, that of auxiliary data, and whose message it was if asked.
//
// Source: XNU osfmk/ipc/mach_msg.c, mach_msg_receive_too_large.
func (w *waiter) writeLarge(a *Args, o mach.Option) {
	le := binary.LittleEndian
	if o&mach.RcvLargeIdentity != 0 && len(a.Buffer) >= 16 {
		le.PutUint32(a.Buffer[12:], uint32(w.source))
	}
	if len(a.Buffer) >= 8 {
		le.PutUint32(a.Buffer[4:], w.large)
	}
	if o&mach.MsgVector != 0 && len(a.BufferAux) >= auxHeaderSize {
		le.PutUint32(a.BufferAux, w.largeAux)
	}
}

// receiveError destroys a message that cannot be delivered. Its receiver gets a header that says where it had come, and a
// trailer of the kernel's, as much of it as there is room for. The right that it was sent with is used up.
//
// Source: XNU osfmk/ipc/mach_msg.c, mach_msg_receive_error; osfmk/ipc/ipc_kmsg.c, ipc_kmsg_copyout_dest_to_user.
func (t *Thread) receiveError(c *cleanup, m *Message, a *Args, o mach.Option, context uint64,
	kr mach.KernReturn) mach.KernReturn {
	h := m.header(nameOf(m.reply), t.space.copyoutDest(c, m, nil), m.reserved)
	h.Size, h.Bits = mach.HeaderSize, h.Bits&^mach.BitsComplex
	aux := len(m.aux) > 0
	c.add(task{kind: taskMessage, msg: m})
	if !h.Encode(a.Buffer) {
		return mach.RcvInvalidData
	}
	var b [mach.MaxTrailerSize]byte
	tr := mach.Trailer{Seqno: t.wait.seqno, Security: kernelIdentity.Security, Context: context}
	copy(a.Buffer[mach.HeaderSize:], b[:tr.Encode(b[:], o.TrailerElements())])
	if o&mach.MsgVector != 0 && len(a.BufferAux) >= auxHeaderSize {
		clear(a.BufferAux[:auxHeaderSize])
		if aux {
			a.BufferAux[0] = auxHeaderSize
		}
	}
	return kr
}

// auxHeaderSize is the size of what auxiliary data begins with: its size, and an unused word.
const auxHeaderSize = 8

// contextNow returns the context of a port.
func (p *Port) contextNow() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.context
}

// line gets a message, or the size of one that is too large, into the thread's waiter, or puts the thread in line for one;
// then t.started says where. If alone, nobody sleeps.
func (t *Thread) line(a *Args, o mach.Option, alone bool) (kr mach.KernReturn, waiting bool) {
	s, w, name, timeout := t.space, &t.wait, a.Receive, a.Timeout
	w.room, w.auxRoom, w.options = uint32(min(len(a.Buffer), 1<<31)), uint32(min(len(a.BufferAux), 1<<31)), o
	if a.Grow != nil {
		w.room = min(a.Room, 1<<31)
	}
	s.mu.Lock()
	e, _ := s.lookup(name)
	if e == nil || e.rights&(mach.TypeReceive|mach.TypePortSet) == 0 {
		// Who asks for what is no name at all is not blamed.
		//
		// Source: XNU osfmk/ipc/ipc_mqueue.c, ipc_mqueue_copyin.
		blame := e.live() && e.flags&entryExReceive == 0
		s.mu.Unlock()
		if blame {
			t.violate(GuardRcvInvalidName, name, 0)
		}
		return mach.RcvInvalidName, false
	}
	p, set := e.port, e.set
	var n uint64
	if set != nil {
		s.mu.Unlock()
		if n, kr = t.awaitSet(set, o, timeout, alone); n == 0 {
			return kr, false
		}
	} else {
		p.mu.Lock()
		s.mu.Unlock()
		w.large, w.msg = 0, nil
		if p.queue.head != nil {
			p.hand(w)
			p.mu.Unlock()
			return 0, false
		}
		if o&mach.RcvTimeout != 0 && timeout == 0 {
			p.mu.Unlock()
			return mach.RcvTimedOut, false
		}
		n = w.begin(alone)
		p.receivers.push(w)
		p.mu.Unlock()
	}
	t.started = started{args: a, options: o, set: set, port: p}
	t.started.stop = w.arm(n, o&mach.RcvTimeout != 0, milliseconds(timeout))
	return 0, true
}

// leave takes the thread out of the line that it was in, and says how its wait ended.
func (t *Thread) leave(s *started) mach.KernReturn {
	w := &t.wait
	switch r := w.result; {
	case r == waitAwakened:
		return 0
	case s.set != nil:
		s.set.mu.Lock()
		s.set.receivers.remove(w)
		s.set.mu.Unlock()
		return wakeError(r)
	default:
		s.port.mu.Lock()
		s.port.receivers.remove(w)
		s.port.mu.Unlock()
		return wakeError(r)
	}
}

func wakeError(r waitResult) mach.KernReturn {
	switch r {
	case waitTimedOut:
		return mach.RcvTimedOut
	case waitInterrupted:
		return mach.RcvInterrupted
	}
	return mach.RcvPortChanged
}

// awaitSet takes the first message of a set, or gets in line; then n is the number of the sleep.
func (t *Thread) awaitSet(set *PortSet, o mach.Option, timeout uint32, alone bool) (n uint64, kr mach.KernReturn) {
	w := &t.wait
	for {
		set.mu.Lock()
		m := set.first
		switch {
		case set.dead.Load():
			set.mu.Unlock()
			return 0, mach.RcvPortChanged
		case m != nil:
			set.mu.Unlock()
			if t.takeFrom(set, m) {
				return 0, 0
			}
			continue
		case o&mach.RcvTimeout != 0 && timeout == 0:
			set.mu.Unlock()
			return 0, mach.RcvTimedOut
		}
		n = w.begin(alone)
		set.receivers.push(w)
		set.mu.Unlock()
		return n, 0
	}
}

// takeFrom takes a message from a member that was ready when last seen; false if it is not any more.
func (t *Thread) takeFrom(set *PortSet, m *member) bool {
	p, w := m.port, &t.wait
	p.mu.Lock()
	defer p.mu.Unlock()
	w.large, w.msg = 0, nil
	took := slices.Contains(p.members, m) && p.queue.head != nil
	if took {
		p.hand(w)
	}
	set.mu.Lock()
	set.unready(m)
	if took && p.queue.head != nil && !set.dead.Load() {
		set.markReady(m) // at the end of the line: members take turns
	}
	set.mu.Unlock()
	return took
}

// copyoutBody gives the receiver rights and memory of the descriptors, writes them to b from n on and returns where
// inline data starts. bad has the resource bits of what could not be given.
func (t *Thread) copyoutBody(c *cleanup, m *Message, b []byte, n int, o mach.Option, at uint64) (int, mach.KernReturn) {
	var bad mach.KernReturn
	for i := range m.desc {
		d, kr := t.copyoutItem(c, &m.desc[i], o&mach.RcvGuardedDesc != 0, arrives, at)
		bad |= kr
		n += d.Encode(b[n:])
	}
	m.desc = m.desc[:0]
	return n, bad
}

// copyoutItem gives the space one right or piece of memory and describes it.
func (t *Thread) copyoutItem(c *cleanup, item *Item, guardedOK bool, how arrival, at uint64) (d mach.Descriptor,
	kr mach.KernReturn) {
	d = mach.Descriptor{Type: item.Type, Disposition: item.Disposition, Copy: item.Copy, Deallocate: item.Deallocate,
		Size: item.Size}
	switch item.Type {
	case mach.DescriptorPort:
		d.Name, kr = t.space.copyoutPort(c, item.Port, item.Disposition, how)
	case mach.DescriptorGuardedPort:
		d.Flags = item.Flags
		if !guardedOK {
			c.right(item.Port, item.Disposition)
			break
		}
		if item.Flags&mach.GuardedImmovableReceive != 0 && item.Port.valid() {
			item.Port.mu.Lock()
			item.Port.guarded, item.Port.strict, item.Port.context = true, false, at
			item.Port.mu.Unlock()
			d.Address, d.Flags = at, mach.GuardedImmovableReceive
			if how == arrives {
				how = arrivesImmovable
			}
		}
		d.Name, kr = t.space.copyoutPort(c, item.Port, item.Disposition, how)
	case mach.DescriptorOOLPorts:
		d.Address, kr = t.copyoutArray(c, item, how)
		d.Deallocate, d.Copy = true, mach.CopyVirtual
	default:
		d.Deallocate = item.Copy == mach.CopyVirtual
		if item.Size > 0 {
			d.Address, kr = t.copyoutMemory(item.Data)
		}
		if kr != 0 {
			d.Size = 0
		}
	}
	*item = Item{}
	return d, kr
}

func (t *Thread) copyoutMemory(b []byte) (uint64, mach.KernReturn) {
	if t.space.memory != nil {
		if addr, ok := t.space.memory.CopyOut(t, b); ok {
			return addr, 0
		}
	}
	t.space.kernel.release(b)
	return 0, mach.MsgVMSpace
}

func (t *Thread) copyoutArray(c *cleanup, item *Item, how arrival) (uint64, mach.KernReturn) {
	if len(item.Ports) == 0 {
		return 0, 0
	}
	var bad mach.KernReturn
	b := make([]byte, 4*len(item.Ports))
	for i, p := range item.Ports {
		name, kr := t.space.copyoutPort(c, p, item.Disposition, how)
		bad |= kr
		binary.LittleEndian.PutUint32(b[4*i:], uint32(name))
	}
	addr, kr := t.copyoutMemory(b)
	return addr, bad | kr
}

// takeBack destroys the send-once right to a reply port of the space and returns the port's name, from which another
// can be made; 0 if it is no such port.
func (p *Port) takeBack(s *Space) mach.Name {
	if !p.valid() || !isReplyPort(p) {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.receiver != s || p.dead.Load() {
		return 0
	}
	p.sendOnces--
	return p.receiverName
}

// pseudoReceive gives the task back a message that it could not send: rights return under the names they have now, and
// the send buffer says which, in the form in which they could be sent again.
//
// Source: XNU osfmk/ipc/ipc_kmsg.c, ipc_kmsg_copyout_pseudo.
func (t *Thread) pseudoReceive(c *cleanup, m *Message, a *Args, l *layout) (bad mach.KernReturn) {
	s := t.space
	h := mach.Header{Size: m.size, Voucher: l.header.Voucher, ID: m.id}
	var kr mach.KernReturn
	h.Remote, kr = s.copyoutPort(c, m.dest, m.destDisp, arrives)
	bad |= kr
	reply := m.replyDisp
	if name := m.reply.takeBack(s); name != 0 {
		h.Local, reply = name, mach.MakeSendOnce
	} else {
		h.Local, kr = s.copyoutPort(c, m.reply, m.replyDisp, arrives)
		bad |= kr
	}
	voucher := m.voucherDisp
	if m.voucher.valid() {
		if m.voucherWas == mach.MoveSend {
			h.Voucher, kr = s.copyoutPort(c, m.voucher, mach.MoveSend, arrives)
			bad |= kr
		} else {
			voucher = mach.CopySend
			c.right(m.voucher, mach.MoveSend)
		}
	}
	m.dest, m.reply, m.voucher = nil, nil, nil
	h.Bits = mach.MakeBits(m.destDisp, reply, voucher) | l.header.Bits&mach.BitsComplex
	h.Encode(a.Send)
	n := mach.HeaderSize + mach.BodySize
	for i := range m.desc {
		d, kr := t.copyoutItem(c, &m.desc[i], true, comesBack, a.BufferAt)
		if kr != 0 {
			bad |= mach.RcvBodyError | kr
		}
		n += d.Encode(a.Send[n:])
	}
	m.desc = m.desc[:0]
	s.kernel.free(m)
	return bad
}
