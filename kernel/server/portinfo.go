package server

import (
	"fmt"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// MachPortPeek serves mach_port_peek.
func (c ports) MachPortPeek(_ *rpc.Message[port], task port, name mach.Name, trailer int32, seqno, room uint32) (uint32,
	uint32, int32, []uint8, mach.KernReturn) {
	s := c.space(task)
	if s == nil {
		return 0, 0, 0, nil, mach.KernInvalidTask
	}
	o := mach.Option(uint32(trailer))
	m, kr := s.Peek(c.by.IPC, name, seqno, o, room)
	if kr != 0 {
		return 0, 0, 0, nil, kr
	}
	elements := o.TrailerElements()
	b := make([]byte, mach.TrailerSize(elements))
	t := mach.Trailer{Seqno: m.Seqno, Security: m.From.Security, Audit: m.From.Audit}
	t.Encode(b, elements)
	return m.Seqno, m.Size, m.ID, b, 0
}

// MachPortSetMscount serves mach_port_set_mscount.
func (c ports) MachPortSetMscount(_ *rpc.Message[port], task port, name mach.Name, n uint32) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.SetMakeSendCount(name, n)
}

// MachPortSetSeqno serves mach_port_set_seqno.
func (c ports) MachPortSetSeqno(_ *rpc.Message[port], task port, name mach.Name, seqno uint32) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.SetSeqno(name, seqno)
}

// MachPortGetAttributes serves mach_port_get_attributes.
func (c ports) MachPortGetAttributes(_ *rpc.Message[port], task port, name mach.Name, flavor int32,
	room uint32) ([]int32, mach.KernReturn) {
	s := c.readSpace(task)
	if s == nil {
		return nil, mach.KernInvalidArgument
	}
	var w words
	switch a := mach.AttributeFlavor(flavor); a {
	case mach.AttrReceiveStatus, mach.AttrInfoExt:
		need := statusWords
		if a == mach.AttrInfoExt {
			need = infoExtWords
		}
		if room < uint32(need) {
			return nil, mach.KernFailure
		}
		st, kr := s.ReceiveStatus(name)
		if kr != 0 {
			return nil, kr
		}
		w = make(words, 0, infoExtWords)
		w.status(&st)
		w.zero(need - len(w))
	case mach.AttrLimitsInfo, mach.AttrDNRequestsSize, mach.AttrServiceThrottled:
		if room < 1 {
			return nil, mach.KernFailure
		}
		v, kr := s.Attributes(name, a)
		switch {
		case kr != 0:
			return nil, kr
		case a == mach.AttrLimitsInfo && !name.Valid():
			return nil, 0
		}
		w.u32(v)
	default:
		return nil, mach.KernInvalidArgument
	}
	return w, 0
}

// Words of a mach_port_status_t, and of a mach_port_info_ext_t, which adds a boost count and six that are not used.
const (
	statusWords  = 10
	infoExtWords = statusWords + 7
)

func (w *words) status(st *ipc.Status) {
	w.flag(st.InSet)
	w.u32(st.Seqno)
	w.u32(st.MakeSends)
	w.u32(st.QueueLimit)
	w.u32(st.Messages)
	w.u32(st.SendOnceRights)
	w.flag(st.SendRights)
	w.flag(st.PortDestroyed)
	w.flag(st.NoSenders)
	w.u32(uint32(st.Flags))
}

// MachPortSetAttributes serves mach_port_set_attributes.
func (c ports) MachPortSetAttributes(_ *rpc.Message[port], task port, name mach.Name, flavor int32,
	info []int32) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	v := uint32(0)
	switch a := mach.AttributeFlavor(flavor); {
	case len(info) > 0:
		v = uint32(info[0])
	case a == mach.AttrLimitsInfo || a == mach.AttrDNRequestsSize:
		return mach.KernFailure
	}
	return s.SetAttributes(name, mach.AttributeFlavor(flavor), v)
}

// MachPortAssertAttributes serves mach_port_assert_attributes: a guard that is not what the caller says kills it.
func (c ports) MachPortAssertAttributes(_ *rpc.Message[port], task port, name mach.Name, flavor int32,
	info []int32) mach.KernReturn {
	s := c.space(task)
	switch {
	case s == nil:
		return mach.KernInvalidTask
	case mach.AttributeFlavor(flavor) != mach.AttrGuardInfo:
		return mach.KernInvalidArgument
	case len(info) < 2:
		return mach.KernFailure
	}
	return s.AssertGuard(c.by.IPC, name, uint64(uint32(info[0]))|uint64(uint32(info[1]))<<32)
}

// MachPortGetContext serves mach_port_get_context.
func (c ports) MachPortGetContext(_ *rpc.Message[port], task port, name mach.Name) (uint64, mach.KernReturn) {
	s := c.readSpace(task)
	if s == nil {
		return 0, mach.KernInvalidArgument
	}
	return s.Context(name)
}

// MachPortSetContext serves mach_port_set_context.
func (c ports) MachPortSetContext(_ *rpc.Message[port], task port, name mach.Name, context uint64) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.SetContext(c.by.IPC, name, context)
}

// MachPortGetSrights serves mach_port_get_srights.
func (c ports) MachPortGetSrights(_ *rpc.Message[port], task port, name mach.Name) (uint32, mach.KernReturn) {
	s := c.space(task)
	if s == nil {
		return 0, mach.KernInvalidTask
	}
	return s.SendRights(name)
}

// MachPortDnrequestInfo serves mach_port_dnrequest_info.
func (c ports) MachPortDnrequestInfo(_ *rpc.Message[port], task port, name mach.Name) (total, used uint32,
	kr mach.KernReturn) {
	s := c.space(task)
	if s == nil {
		return 0, 0, mach.KernInvalidTask
	}
	return s.Requests(name)
}

// generations are the bits of a name that count generations.
const generations = 0xff

// MachPortSpaceInfo serves mach_port_space_info. There is no tree beside the table.
func (c ports) MachPortSpaceInfo(_ *rpc.Message[port], task port) (info [6]uint32, table [][7]uint32, _ [][9]uint32,
	kr mach.KernReturn) {
	s := c.readSpace(task)
	if s == nil {
		return info, nil, nil, mach.KernInvalidArgument
	}
	all, kr := s.Table()
	table = make([][7]uint32, len(all))
	for i, e := range all {
		object := uint32(0)
		if e.Port != nil {
			object = c.m.PortID(e.Port)
		}
		table[i] = [7]uint32{uint32(e.Name), 0, uint32(e.Type), e.Refs, object, e.Next, 0}
	}
	info[0], info[1] = generations, uint32(len(all))
	return info, table, nil, kr
}

// MachPortSpaceBasicInfo serves mach_port_space_basic_info, for which an inspect port will do.
func (c ports) MachPortSpaceBasicInfo(_ *rpc.Message[port], task port) (info [6]uint32, kr mach.KernReturn) {
	s := c.unjudgedSpace(task, object.Inspect)
	if s == nil {
		return info, mach.KernInvalidTask
	}
	size, used, kr := s.TableSize()
	info[0], info[1], info[2] = generations, uint32(size), uint32(used)
	return info, kr
}

// MachPortKernelObject serves mach_port_kernel_object. Addresses are not given out.
func (c ports) MachPortKernelObject(req *rpc.Message[port], task port, name mach.Name) (uint32, uint32,
	mach.KernReturn) {
	typ, _, _, kr := c.MachPortKobjectDescription(req, task, name)
	return typ, 0, kr
}

// MachPortKobject serves mach_port_kobject.
func (c ports) MachPortKobject(req *rpc.Message[port], task port, name mach.Name) (uint32, uint64, mach.KernReturn) {
	typ, addr, _, kr := c.MachPortKobjectDescription(req, task, name)
	return typ, addr, kr
}

// MachPortKobjectDescription serves mach_port_kobject_description: only identity tokens have one.
func (c ports) MachPortKobjectDescription(_ *rpc.Message[port], task port, name mach.Name) (typ uint32, addr uint64,
	description string, kr mach.KernReturn) {
	s := c.readSpace(task)
	if s == nil {
		return 0, 0, "", mach.KernInvalidArgument
	}
	p, kr := s.PortNamed(name)
	if kr != 0 {
		return 0, 0, "", kr
	}
	if tok := c.m.TokenOf(p); tok != nil {
		description = fmt.Sprintf("%d,%d,%d", tok.PID(), tok.UniqueID(), tok.UniqueID())
	}
	return uint32(p.Type()), 0, description, 0
}

// MachPortGetServicePortInfo serves mach_port_get_service_port_info.
func (c ports) MachPortGetServicePortInfo(_ *rpc.Message[port], task port, name mach.Name) (b [serviceInfoSize]uint8,
	kr mach.KernReturn) {
	s := c.readSpace(task)
	if s == nil {
		return b, mach.KernInvalidTask
	}
	info, kr := s.Service(name)
	if kr == 0 {
		copy(b[:serviceNameSize-1], info.Name)
		b[serviceNameSize] = info.Domain
	}
	return b, kr
}

// MachPortIsConnectionForService serves mach_port_is_connection_for_service. Which filter a connection has is the
// sandbox's to say, which is not here.
//
// Source: XNU osfmk/ipc/mach_port.c, mach_port_is_connection_for_service without callbacks.
func (c ports) MachPortIsConnectionForService(_ *rpc.Message[port], task port, connection,
	service mach.Name) (uint64, mach.KernReturn) {
	switch {
	case c.space(task) == nil:
		return 0, mach.KernInvalidTask
	case !connection.Valid() || !service.Valid():
		return 0, mach.KernInvalidName
	}
	return 0, mach.KernNotSupported
}

// MachPortSpecialReplyPortResetLink serves mach_port_special_reply_port_reset_link, which kernels that are released do
// not have.
func (ports) MachPortSpecialReplyPortResetLink(_ *rpc.Message[port], _ port, _ mach.Name) (int32, mach.KernReturn) {
	return 0, mach.KernNotSupported
}
