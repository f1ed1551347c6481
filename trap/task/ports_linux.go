package task

import (
	"portcullis.dev/mach"
	"portcullis.dev/trap"
)

// Self returns the name of the task's control port (mach_task_self).
func (th *Thread) Self() (mach.Name, error) { return th.name(trap.OpTaskSelf, "task_self") }

// ThreadSelf returns a new reference to the thread's control port (mach_thread_self).
func (th *Thread) ThreadSelf() (mach.Name, error) {
	return th.name(trap.OpThreadSelf, "mach_thread_self")
}

// HostSelf returns a new reference to the host port (mach_host_self).
func (th *Thread) HostSelf() (mach.Name, error) { return th.name(trap.OpHostSelf, "mach_host_self") }

// BootstrapPort returns a new reference to the task's bootstrap port; 0 if it has none.
func (th *Thread) BootstrapPort() (mach.Name, error) {
	v, err := th.value(trap.OpBootstrapPort, "task_get_bootstrap_port")
	return mach.Name(v), err
}

// SpecialReplyPort makes the thread a new special reply port (thread_get_special_reply_port).
func (th *Thread) SpecialReplyPort() (mach.Name, error) {
	return th.name(trap.OpSpecialReplyPort, "thread_get_special_reply_port")
}

// own is the argument that says which task is meant.
func (th *Thread) own() uint64 {
	if th.self == 0 {
		th.self, _ = th.Self()
	}
	return uint64(th.self)
}

// Allocate is mach_port_allocate: it makes a receive right, a port set or a dead name.
func (th *Thread) Allocate(r mach.Right) (mach.Name, error) {
	v, err := th.value(trap.OpPortAllocate, "mach_port_allocate", th.own(), uint64(r))
	return mach.Name(v), err
}

// Construct is mach_port_construct for all but service ports, which are launchd's.
func (th *Thread) Construct(f mach.ConstructFlags, context uint64) (mach.Name, error) {
	v, err := th.value(trap.OpPortConstruct, "mach_port_construct", th.own(), uint64(f), context)
	return mach.Name(v), err
}

// PortOptions are the options of mach_port_construct.
type PortOptions struct {
	Flags      mach.ConstructFlags
	Context    uint64    // also the guard, with mach.ContextAsGuard
	QueueLimit uint32    // with mach.QueueLimit
	Service    mach.Name // send right to the service that a mach.ConnectionPort is for
}

// ConstructWith is mach_port_construct with all options but those of service ports.
func (th *Thread) ConstructWith(o PortOptions) (mach.Name, error) {
	v, err := th.value(trap.OpPortConstruct, "mach_port_construct", th.own(), uint64(o.Flags), o.Context,
		uint64(o.QueueLimit), uint64(o.Service))
	return mach.Name(v), err
}

// ConstructConnection makes a connection port for a service that the task can send to (MPO_CONNECTION_PORT).
func (th *Thread) ConstructConnection(f mach.ConstructFlags, service mach.Name) (mach.Name, error) {
	v, err := th.value(trap.OpPortConstruct, "mach_port_construct", th.own(), uint64(f|mach.ConnectionPort), 0, 0,
		uint64(service))
	return mach.Name(v), err
}

// ConstructService makes a service port (MPO_SERVICE_PORT), which is for launchd alone.
func (th *Thread) ConstructService(f mach.ConstructFlags, name string, domain uint8) (mach.Name, error) {
	if err := th.call(trap.OpPortConstruct, []byte(name), th.own(), uint64(f|mach.ServicePort), 0, 0, 0,
		uint64(domain)); err != nil {
		return 0, err
	}
	if kr := mach.KernReturn(int32(th.c.Result[0])); kr != 0 {
		return 0, kr
	}
	return mach.Name(th.c.Result[1]), nil
}

// Destroy is mach_port_destroy.
func (th *Thread) Destroy(name mach.Name) error {
	_, err := th.value(trap.OpPortDestroy, "mach_port_destroy", th.own(), uint64(name))
	return err
}

// Deallocate is mach_port_deallocate.
func (th *Thread) Deallocate(name mach.Name) error {
	_, err := th.value(trap.OpPortDeallocate, "mach_port_deallocate", th.own(), uint64(name))
	return err
}

// ModRefs is mach_port_mod_refs.
func (th *Thread) ModRefs(name mach.Name, r mach.Right, delta int32) error {
	_, err := th.value(trap.OpPortModRefs, "mach_port_mod_refs", th.own(), uint64(name), uint64(r),
		uint64(int64(delta)))
	return err
}

// Destruct is mach_port_destruct.
func (th *Thread) Destruct(name mach.Name, delta int32, guard uint64) error {
	_, err := th.value(trap.OpPortDestruct, "mach_port_destruct", th.own(), uint64(name), uint64(int64(delta)), guard)
	return err
}

// InsertRight is mach_port_insert_right: poly is the right that is taken, as d says, and name what it is to be called.
func (th *Thread) InsertRight(name, poly mach.Name, d mach.Disposition) error {
	_, err := th.value(trap.OpPortInsertRight, "mach_port_insert_right", th.own(), uint64(name), uint64(poly), uint64(d))
	return err
}

// InsertMember is mach_port_insert_member.
func (th *Thread) InsertMember(name, set mach.Name) error {
	_, err := th.value(trap.OpPortInsertMember, "mach_port_insert_member", th.own(), uint64(name), uint64(set))
	return err
}

// ExtractMember is mach_port_extract_member.
func (th *Thread) ExtractMember(name, set mach.Name) error {
	_, err := th.value(trap.OpPortExtractMember, "mach_port_extract_member", th.own(), uint64(name), uint64(set))
	return err
}

// Guard is mach_port_guard.
func (th *Thread) Guard(name mach.Name, value uint64, f mach.GuardFlags) error {
	_, err := th.value(trap.OpPortGuard, "mach_port_guard", th.own(), uint64(name), value,
		uint64(f&mach.GuardStrict))
	return err
}

// Unguard is mach_port_unguard.
func (th *Thread) Unguard(name mach.Name, value uint64) error {
	_, err := th.value(trap.OpPortUnguard, "mach_port_unguard", th.own(), uint64(name), value)
	return err
}

// Type is mach_port_type.
func (th *Thread) Type(name mach.Name) (mach.RightType, error) {
	v, err := th.value(trap.OpPortType, "mach_port_type", th.own(), uint64(name))
	return mach.RightType(v), err
}

// RequestNotification is mach_port_request_notification; the name of a right to the port notified so far comes back.
func (th *Thread) RequestNotification(name mach.Name, id int32, sync uint32, notify mach.Name,
	d mach.Disposition) (mach.Name, error) {
	v, err := th.value(trap.OpPortRequestNotification, "mach_port_request_notification", th.own(), uint64(name),
		uint64(int64(id)), uint64(sync), uint64(notify), uint64(d))
	return mach.Name(v), err
}
