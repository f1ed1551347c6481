package ipc

import (
	"encoding/binary"

	"portcullis.dev/mach"
)

// copyinHeader takes the rights of a message header. It takes all or none; an error has been taken down. always says
// that the send must not fail for want of room, because a send-possible request found room.
//
// Source: XNU osfmk/ipc/ipc_kmsg.c, ipc_kmsg_copyin_header and the functions it is made of, newest public tree.
func (t *Thread) copyinHeader(c *cleanup, m *Message, h *mach.Header, o mach.Option) (always bool, kr mach.KernReturn) {
	var replyBits uint32
	if kr = validateHeader(h); kr == 0 {
		kr = t.copyinHeaderRights(c, m, h, &replyBits)
	} else if kr == mach.SendInvalidReply {
		replyBits = ^uint32(0) // the voucher is the reply port
	}
	switch kr {
	case 0:
	case mach.SendInvalidVoucher:
		t.violate(GuardSendInvalidVoucher, h.Voucher, uint64(h.Bits.Voucher()))
		return false, kr
	case mach.SendInvalidReply:
		t.violate(GuardSendInvalidReply, h.Local, Payload(0, replyBits, uint32(h.Bits.Local())))
		return false, kr
	default:
		return false, kr
	}
	m.destDisp = h.Bits.Remote().Received()
	if h.Bits.Local() != 0 {
		m.replyDisp = h.Bits.Local().Received()
	}
	if m.voucherWas = h.Bits.Voucher(); m.voucherWas != 0 {
		m.voucherDisp = mach.MoveSend
	} else {
		m.reserved = h.Voucher
	}
	if o&mach.SendNotify != 0 && m.destDisp != mach.MoveSendOnce {
		always = t.armSendPossible(m.dest, h.Remote)
	}
	return always, 0
}

// armSendPossible arms the request on the destination's name, if there is one, to tell when a full queue has room; if
// the queue is not full the send will not fail for it.
func (t *Thread) armSendPossible(p *Port, name mach.Name) bool {
	s := t.space
	s.mu.Lock()
	defer s.mu.Unlock()
	e, _ := s.lookup(name)
	if e == nil || e.port != p || e.request == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead.Load() || p.kernelOwned {
		return false
	}
	if !p.full() {
		return true
	}
	if e.request.sendPossible && e.request.notify != nil {
		e.request.armed, p.armed = true, true
	}
	return false
}

// validateHeader checks what can be said of a header without looking at names.
func validateHeader(h *mach.Header) mach.KernReturn {
	anySend := func(d mach.Disposition) bool { return d.AnySend() || d.AnySendOnce() }
	reply := h.Bits.Local()
	if reply == 0 && h.Local != 0 || reply != 0 && !anySend(reply) {
		return mach.SendInvalidHeader
	}
	voucher := mach.NullName
	switch h.Bits.Voucher() {
	case 0:
	case mach.MoveSend, mach.CopySend:
		if voucher = h.Voucher; voucher == mach.DeadName {
			return mach.SendInvalidVoucher
		}
	default:
		return mach.SendInvalidVoucher
	}
	dest := h.Bits.Remote()
	switch {
	case !anySend(dest):
		return mach.SendInvalidHeader
	case !h.Remote.Valid():
		return mach.SendInvalidDest
	case h.Remote == voucher && dest != mach.MoveSend && dest != mach.CopySend:
		return mach.SendInvalidDest
	case h.Remote == h.Local && (dest == mach.MoveSendOnce || reply == mach.MoveSendOnce):
		return mach.SendInvalidDest
	case h.Local.Valid() && h.Local == voucher:
		return mach.SendInvalidReply
	}
	return 0
}

const portRights = mach.TypeSend | mach.TypeReceive | mach.TypeSendOnce

// copyinHeaderRights takes the rights under one lock of the space: names are looked up and the reply port is checked
// first, so that nothing fails once the destination has been taken.
func (t *Thread) copyinHeaderRights(c *cleanup, m *Message, h *mach.Header, replyBits *uint32) mach.KernReturn {
	s := t.space
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.active {
		return mach.SendInvalidDest
	}
	voucher := mach.NullName
	if h.Bits.Voucher() != 0 {
		voucher = h.Voucher
	}
	if voucher != 0 {
		e, _ := s.lookup(voucher)
		if e == nil || e.rights&mach.TypeSend == 0 || e.port.typ != mach.PortTypeVoucher {
			return mach.SendInvalidVoucher
		}
	}
	if e, _ := s.lookup(h.Remote); e == nil || e.rights&portRights == 0 {
		return mach.SendInvalidDest
	}
	reply := h.Bits.Local()
	if h.Local.Valid() {
		e, _ := s.lookup(h.Local)
		if e != nil {
			*replyBits = e.bits()
		}
		if e == nil || e.rights&portRights == 0 {
			return mach.SendInvalidReply
		}
		if !t.checkReply(s, h.Local, e, reply) {
			return mach.SendInvalidReply
		}
	}
	dest, extra := h.Bits.Remote(), copyinFlags(0)
	switch {
	case voucher == h.Remote:
		dest, extra = pairDisposition(dest, h.Bits.Voucher())
	case h.Local == h.Remote && sendPair(dest) && sendPair(reply):
		dest, extra = pairDisposition(dest, reply)
	}
	var kr mach.KernReturn
	m.dest, kr = t.copyin(c, s, h.Remote, dest, ReasonDestination, allowImmovable|extra, nil)
	if kr != 0 {
		m.dest = nil
		return mach.SendInvalidDest
	}
	if voucher == h.Remote {
		m.voucher = m.dest
	} else if voucher != 0 {
		m.voucher, _ = t.copyin(c, s, voucher, h.Bits.Voucher(), ReasonVoucher, deadOK, nil)
	}
	switch {
	case extra != 0 && h.Local == h.Remote:
		m.reply = m.dest
	case h.Local.Valid():
		if m.reply, kr = t.copyin(c, s, h.Local, reply, ReasonReply, deadOK, nil); kr != 0 {
			m.reply = deadPort // taking the destination has used up the right: same name, different dispositions
		}
	case h.Local == mach.DeadName:
		m.reply = deadPort
	}
	return 0
}

func sendPair(d mach.Disposition) bool { return d == mach.MoveSend || d == mach.CopySend }

// pairDisposition says how to take two send rights of one name at once, so that moving the first does not make the
// second fail.
func pairDisposition(a, b mach.Disposition) (mach.Disposition, copyinFlags) {
	switch {
	case a == mach.MoveSend && b == mach.MoveSend:
		return mach.MoveSend, extraMove
	case a == mach.MoveSend || b == mach.MoveSend:
		return mach.MoveSend, extraCopy
	}
	return mach.CopySend, extraCopy
}

// checkReply says that taking the reply port will succeed.
//
// Source: XNU osfmk/ipc/ipc_right.c, ipc_right_copyin_check_reply, newest public tree. That tree lets a send-once right
// to a reply port through here and then stops the machine; here the call fails as for other rights that cannot be used.
func (t *Thread) checkReply(s *Space, name mach.Name, e *entry, d mach.Disposition) bool {
	p := e.port
	if isReplyPort(p) && !d.AnySendOnce() {
		return false
	}
	if d == mach.MakeSend || d == mach.MakeSendOnce {
		return e.rights&mach.TypeReceive != 0
	}
	if d == mach.MoveSend && e.flags&entryPinned != 0 && p.Active() && e.urefs == 1 {
		s.kernel.restrict.Pinned(t, s, name, PinnedCopyin)
		return false
	}
	if e.rights&(mach.TypeSend|mach.TypeSendOnce) == 0 {
		return false
	}
	if !p.Active() {
		return true
	}
	if e.flags&entryImmovableSend != 0 {
		t.immovable(s, name, p, mach.MoveSendOnce)
		return false
	}
	if d != mach.MoveSendOnce {
		return e.rights&mach.TypeSend != 0
	}
	if isReplyPort(p) {
		t.violate(GuardInvalidRight, name, Payload(flagInvalidRightCopyin, uint32(ReasonReply), uint32(d)))
		return false
	}
	return e.rights&mach.TypeSendOnce != 0
}

// copyinBody takes rights and memory of the descriptors in b. An error leaves what was taken in the message.
func (t *Thread) copyinBody(c *cleanup, m *Message, b []byte, o mach.Option) mach.KernReturn {
	flags, lend := deadOK, t.space.lender != nil
	if m.dest.kernelReceives() {
		flags |= allowImmovable
		lend = false
	}
	for len(b) > 0 {
		var d mach.Descriptor
		b = b[d.Decode(b):]
		item := Item{Type: d.Type, Copy: d.Copy, Deallocate: d.Deallocate, Size: d.Size, Flags: d.Flags}
		var kr mach.KernReturn
		switch d.Type {
		case mach.DescriptorPort, mach.DescriptorGuardedPort:
			kr = t.copyinPort(c, m, &item, &d, flags)
		case mach.DescriptorOOLPorts:
			kr = t.copyinArray(c, m, &item, &d, flags, o)
		default:
			if d.Size > 0 {
				var ok bool
				if item.Data, ok = t.copyinData(&d, lend); !ok {
					kr = mach.SendInvalidMemory
				}
			}
		}
		if kr != 0 {
			return kr
		}
		m.desc = append(m.desc, item)
	}
	return 0
}

// copyinData takes the memory of a descriptor, which may be lent where the kernel does not look at it.
func (t *Thread) copyinData(d *mach.Descriptor, lend bool) ([]byte, bool) {
	if lend {
		return t.space.lender.Lend(t, d.Address, d.Size)
	}
	return t.copyinMemory(d.Address, d.Size, d.Deallocate)
}

func (t *Thread) copyinMemory(addr uint64, size uint32, deallocate bool) ([]byte, bool) {
	if t.space.memory == nil {
		return nil, false
	}
	b, ok := t.space.memory.CopyIn(t, addr, size, deallocate)
	if ok && len(b) != int(size) {
		t.space.kernel.release(b)
		ok = false
	}
	return b, ok
}

// takeRight takes one right of a body and says if it is a receive right on a circle.
func (t *Thread) takeRight(c *cleanup, m *Message, name mach.Name, d mach.Disposition, why Reason, flags copyinFlags,
	gd *mach.Descriptor) (*Port, mach.KernReturn) {
	if !name.Valid() {
		if name == mach.DeadName {
			return deadPort, 0
		}
		return nil, 0
	}
	s := t.space
	s.mu.Lock()
	if !s.active {
		s.mu.Unlock()
		return nil, mach.KernInvalidTask
	}
	p, kr := t.copyin(c, s, name, d, why, flags, gd)
	s.mu.Unlock()
	if kr == 0 && d == mach.MoveReceive && s.kernel.circular(p, m.dest) {
		m.circular = true
	}
	return p, kr
}

func (t *Thread) copyinPort(c *cleanup, m *Message, item *Item, d *mach.Descriptor, flags copyinFlags) mach.KernReturn {
	why, flag, gd := ReasonDescriptor, uint8(flagSendInvalidPort), (*mach.Descriptor)(nil)
	if d.Type == mach.DescriptorGuardedPort {
		why, flag, gd = ReasonGuarded, flagSendInvalidGuarded, d
	}
	var kr mach.KernReturn
	if item.Port, kr = t.takeRight(c, m, d.Name, d.Disposition, why, flags, gd); kr != 0 {
		if kr == mach.KernInvalidRight {
			t.violate(GuardSendInvalidRight, d.Name, Payload(flag, 0, uint32(d.Disposition)))
		}
		return mach.SendInvalidRight
	}
	item.Disposition = transitDisposition(d.Disposition)
	if gd != nil && item.Port.valid() {
		item.Flags |= mach.GuardedUnguardedOnSend // which it is now; who takes it guarded does not see this
	}
	return 0
}

// transitDisposition is Received, with none for what is no right: a null name may come with any disposition.
func transitDisposition(d mach.Disposition) mach.Disposition {
	if !d.Any() {
		return mach.DispositionNone
	}
	return d.Received()
}

func (t *Thread) copyinArray(c *cleanup, m *Message, item *Item, d *mach.Descriptor, flags copyinFlags,
	o mach.Option) mach.KernReturn {
	if kr := t.space.kernel.restrict.ArrayDisposition(t, o, d.Disposition); kr != 0 {
		return kr
	}
	item.Disposition = transitDisposition(d.Disposition)
	if d.Size == 0 {
		return 0
	}
	names, ok := t.copyinMemory(d.Address, 4*d.Size, d.Deallocate)
	if !ok {
		return mach.SendInvalidMemory
	}
	defer t.space.kernel.release(names)
	item.Ports = make([]*Port, 0, d.Size)
	for ; len(names) > 0; names = names[4:] {
		name := mach.Name(binary.LittleEndian.Uint32(names))
		p, kr := t.takeRight(c, m, name, d.Disposition, ReasonOOL, flags, nil)
		if kr != 0 {
			for _, p := range item.Ports {
				c.right(p, item.Disposition)
			}
			if kr == mach.KernInvalidRight {
				t.violate(GuardSendInvalidRight, name, Payload(flagSendInvalidOOL, 0, uint32(d.Disposition)))
			}
			return mach.SendInvalidRight
		}
		item.Ports = append(item.Ports, p)
	}
	return 0
}
