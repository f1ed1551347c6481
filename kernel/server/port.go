package server

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// ports serves mach_port: names and rights of a task.
type ports struct{ *call }

// space returns the space of the task that a control port stands for (convert_port_to_space); nil if there is none.
func (c ports) space(p port) *ipc.Space {
	if t := c.task(p, object.Control); t != nil {
		return t.Space
	}
	return nil
}

// readSpace returns the space of the task that a read port stands for, without the policy's say
// (convert_port_to_space_read_no_eval).
func (c ports) readSpace(p port) *ipc.Space { return c.unjudgedSpace(p, object.Read) }

func (c ports) unjudgedSpace(p port, f object.Flavor) *ipc.Space {
	if t := c.m.TaskUnjudged(p, f); t != nil {
		return t.Space
	}
	return nil
}

// MachPortNames serves mach_port_names.
func (c ports) MachPortNames(_ *rpc.Message[port], task port) ([]mach.Name, []uint32, mach.KernReturn) {
	s := c.space(task)
	if s == nil {
		return nil, nil, mach.KernInvalidTask
	}
	names, rights, kr := s.Names()
	types := make([]uint32, len(rights))
	for i, r := range rights {
		types[i] = uint32(r)
	}
	return names, types, kr
}

// MachPortType serves mach_port_type.
func (c ports) MachPortType(_ *rpc.Message[port], task port, name mach.Name) (uint32, mach.KernReturn) {
	s := c.space(task)
	if s == nil {
		return 0, mach.KernInvalidTask
	}
	rights, kr := s.Type(c.by.IPC, name)
	return uint32(rights), kr
}

// MachPortRename serves mach_port_rename, which is no longer done.
func (c ports) MachPortRename(_ *rpc.Message[port], task port, _, to mach.Name) mach.KernReturn {
	switch {
	case c.space(task) == nil:
		return mach.KernInvalidTask
	case !to.Valid():
		return mach.KernInvalidValue
	}
	return mach.KernNotSupported
}

// MachPortAllocateName serves mach_port_allocate_name.
func (c ports) MachPortAllocateName(_ *rpc.Message[port], task port, right uint32, name mach.Name) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.AllocateName(c.by.IPC, mach.Right(right), name)
}

// MachPortAllocate serves mach_port_allocate.
func (c ports) MachPortAllocate(_ *rpc.Message[port], task port, right uint32) (mach.Name, mach.KernReturn) {
	s := c.space(task)
	if s == nil {
		return 0, mach.KernInvalidTask
	}
	return s.Allocate(c.by.IPC, mach.Right(right))
}

// A mach_port_qos_t is two words: two bits, and the length of messages to keep room for.
const (
	qosName     = 1 // the caller chooses the name
	qosPrealloc = 2 // room for a message is kept; accepted, and no longer done
)

// MachPortAllocateQos serves mach_port_allocate_qos.
func (c ports) MachPortAllocateQos(req *rpc.Message[port], task port, right uint32, qos [2]int32) ([2]int32, mach.Name,
	mach.KernReturn) {
	if qos[0]&qosName != 0 {
		return qos, 0, mach.KernInvalidArgument
	}
	return c.MachPortAllocateFull(req, task, right, nil, qos, 0)
}

// MachPortAllocateFull serves mach_port_allocate_full.
func (c ports) MachPortAllocateFull(_ *rpc.Message[port], task port, right uint32, proto port, qos [2]int32,
	name mach.Name) (_ [2]int32, _ mach.Name, kr mach.KernReturn) {
	s := c.space(task)
	switch {
	case s == nil:
		return qos, 0, mach.KernInvalidTask
	case proto != nil, qos[0]&qosName != 0 && !name.Valid():
		return qos, 0, mach.KernInvalidValue
	}
	if qos[0]&qosPrealloc != 0 {
		switch {
		case uint32(qos[1]) > maxMessage:
			return qos, 0, mach.KernResourceShortage
		case mach.Right(right) != mach.RightReceive:
			return qos, 0, mach.KernInvalidValue
		}
		qos[0] &^= qosPrealloc
	}
	if qos[0]&qosName != 0 {
		kr = s.AllocateName(c.by.IPC, mach.Right(right), name)
	} else {
		name, kr = s.Allocate(c.by.IPC, mach.Right(right))
	}
	return qos, name, kr
}

// maxMessage is the largest message that fits into 32 bits with its trailer (MACH_MSG_SIZE_MAX - MAX_TRAILER_SIZE).
const maxMessage = 1<<32 - 1 - mach.MaxTrailerSize

// MachPortDestroy serves mach_port_destroy.
func (c ports) MachPortDestroy(_ *rpc.Message[port], task port, name mach.Name) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.Destroy(c.by.IPC, name)
}

// MachPortDeallocate serves mach_port_deallocate.
func (c ports) MachPortDeallocate(_ *rpc.Message[port], task port, name mach.Name) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.Deallocate(c.by.IPC, name)
}

// MachPortGetRefs serves mach_port_get_refs.
func (c ports) MachPortGetRefs(_ *rpc.Message[port], task port, name mach.Name, right uint32) (uint32,
	mach.KernReturn) {
	s := c.space(task)
	if s == nil {
		return 0, mach.KernInvalidTask
	}
	return s.References(c.by.IPC, name, mach.Right(right))
}

// MachPortModRefs serves mach_port_mod_refs.
func (c ports) MachPortModRefs(_ *rpc.Message[port], task port, name mach.Name, right uint32,
	delta int32) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.ModRefs(c.by.IPC, name, mach.Right(right), delta)
}

// MachPortGetSetStatus serves mach_port_get_set_status.
func (c ports) MachPortGetSetStatus(_ *rpc.Message[port], task port, name mach.Name) ([]mach.Name, mach.KernReturn) {
	s := c.readSpace(task)
	if s == nil {
		return nil, mach.KernInvalidArgument
	}
	return s.SetStatus(c.by.IPC, name)
}

// MachPortMoveMember serves mach_port_move_member.
func (c ports) MachPortMoveMember(_ *rpc.Message[port], task port, member, after mach.Name) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.MoveMember(c.by.IPC, member, after)
}

// MachPortInsertMember serves mach_port_insert_member.
func (c ports) MachPortInsertMember(_ *rpc.Message[port], task port, name, set mach.Name) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.InsertMember(c.by.IPC, name, set)
}

// MachPortExtractMember serves mach_port_extract_member.
func (c ports) MachPortExtractMember(_ *rpc.Message[port], task port, name, set mach.Name) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.ExtractMember(c.by.IPC, name, set)
}

// MachPortRequestNotification serves mach_port_request_notification.
func (c ports) MachPortRequestNotification(_ *rpc.Message[port], task port, name mach.Name, id int32, sync uint32,
	notify port) (port, mach.KernReturn) {
	s := c.space(task)
	if s == nil {
		return nil, mach.KernInvalidTask
	}
	return s.RequestCarried(c.by.IPC, name, id, sync, notify)
}

// MachPortInsertRight serves mach_port_insert_right.
func (c ports) MachPortInsertRight(_ *rpc.Message[port], task port, name mach.Name,
	poly rpc.Right[port]) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.PlaceRight(name, poly.Port, poly.Disposition)
}

// MachPortExtractRight serves mach_port_extract_right.
func (c ports) MachPortExtractRight(_ *rpc.Message[port], task port, name mach.Name, disp uint32) (rpc.Right[port],
	mach.KernReturn) {
	s := c.space(task)
	if s == nil {
		return rpc.Right[port]{}, mach.KernInvalidTask
	}
	if disp > uint32(mach.DisposeSendOnce) {
		return rpc.Right[port]{}, mach.KernInvalidValue
	}
	p, d, kr := s.TakeRight(c.by.IPC, name, mach.Disposition(disp))
	return rpc.Right[port]{Port: p, Disposition: d}, kr
}

// MachPortConstruct serves mach_port_construct. The options are flags and a queue limit, a word that names a service
// port or is the address of what launchd says of one, and one that means nothing here.
func (c ports) MachPortConstruct(_ *rpc.Message[port], task port, options [3]uint64, context uint64) (mach.Name,
	mach.KernReturn) {
	s := c.space(task)
	if s == nil {
		return 0, mach.KernInvalidTask
	}
	o := ipc.ConstructOptions{Flags: mach.ConstructFlags(options[0]), QueueLimit: uint32(options[0] >> 32),
		Context: context}
	switch o.Flags & mach.ConstructTypeMask {
	case mach.ServicePort:
		if options[1] != 0 {
			info, kr := c.serviceInfo(options[1])
			if kr != 0 {
				return 0, kr
			}
			o.Service = info
		}
	case mach.ConnectionPort:
		o.ServiceName = mach.Name(options[1])
	}
	return s.Construct(c.by.IPC, &o)
}

// A mach_service_port_info is a string and a number.
const (
	serviceNameSize = 255
	serviceInfoSize = serviceNameSize + 1
)

func (c ports) serviceInfo(addr uint64) (*ipc.ServiceInfo, mach.KernReturn) {
	b, ok := c.by.IPC.CopyIn(addr, serviceInfoSize)
	if !ok {
		return nil, mach.KernMemoryError
	}
	defer c.m.IPC.Release(b)
	n := 0
	for n < serviceNameSize && b[n] != 0 {
		n++
	}
	if n == serviceNameSize {
		return nil, mach.KernInvalidArgument
	}
	return &ipc.ServiceInfo{Name: string(b[:n]), Domain: b[serviceNameSize]}, 0
}

// MachPortDestruct serves mach_port_destruct.
func (c ports) MachPortDestruct(_ *rpc.Message[port], task port, name mach.Name, delta int32,
	guard uint64) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.Destruct(c.by.IPC, name, delta, guard)
}

// MachPortGuard serves mach_port_guard.
func (c ports) MachPortGuard(_ *rpc.Message[port], task port, name mach.Name, guard uint64,
	strict int32) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	var f mach.GuardFlags
	if strict != 0 {
		f = mach.GuardStrict
	}
	return s.Guard(c.by.IPC, name, guard, f)
}

// MachPortGuardWithFlags serves mach_port_guard_with_flags.
func (c ports) MachPortGuardWithFlags(_ *rpc.Message[port], task port, name mach.Name,
	guard, flags uint64) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.Guard(c.by.IPC, name, guard, mach.GuardFlags(flags))
}

// MachPortUnguard serves mach_port_unguard.
func (c ports) MachPortUnguard(_ *rpc.Message[port], task port, name mach.Name, guard uint64) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.Unguard(c.by.IPC, name, guard)
}

// MachPortSwapGuard serves mach_port_swap_guard.
func (c ports) MachPortSwapGuard(_ *rpc.Message[port], task port, name mach.Name, old, guard uint64) mach.KernReturn {
	s := c.space(task)
	if s == nil {
		return mach.KernInvalidTask
	}
	return s.SwapGuard(c.by.IPC, name, old, guard)
}
