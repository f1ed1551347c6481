package server

import (
	"portcullis.dev/defs/hostpriv"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// hostPriv serves host_priv: the computer as its owner may change it.
type hostPriv struct{ *call }

var _ hostpriv.Server[port] = hostPriv{}

// priv returns the host if the caller holds its privileged port as its own host port; nil otherwise.
func (c hostPriv) priv(p port) *object.Host { return c.m.HostPrivOf(c.by.Task(), p) }

// HostGetBootInfo serves host_get_boot_info: there was no booter.
func (c hostPriv) HostGetBootInfo(_ *rpc.Message[port], p port) (string, mach.KernReturn) {
	if c.priv(p) == nil {
		return "", mach.KernInvalidHost
	}
	return "", 0
}

// HostReboot serves host_reboot, which nobody may do to the computer from here.
func (c hostPriv) HostReboot(_ *rpc.Message[port], p port, _ int32) mach.KernReturn {
	if c.priv(p) == nil {
		return mach.KernInvalidHost
	}
	return mach.KernNoAccess
}

// HostPrivStatistics serves host_priv_statistics.
func (c hostPriv) HostPrivStatistics(_ *rpc.Message[port], p port, flavor int32, room uint32) ([]int32,
	mach.KernReturn) {
	if c.priv(p) == nil {
		return nil, mach.KernInvalidHost
	}
	return c.server.statistics(flavor, room)
}

// HostGetSpecialPort serves host_get_special_port.
func (c hostPriv) HostGetSpecialPort(_ *rpc.Message[port], p port, _, which int32) (port, mach.KernReturn) {
	return c.priv(p).SpecialPort(object.HostPort(which))
}

// HostSetSpecialPort serves host_set_special_port.
func (c hostPriv) HostSetSpecialPort(_ *rpc.Message[port], p port, which int32, right port) mach.KernReturn {
	return c.priv(p).SetSpecialPort(c.by, object.HostPort(which), right)
}

// HostGetClockControl serves host_get_clock_control: clocks cannot be set from here.
//
// Source: XNU osfmk/kern/clock_oldops.c, host_get_clock_control.
func (c hostPriv) HostGetClockControl(_ *rpc.Message[port], p port, id int32) (port, mach.KernReturn) {
	if c.priv(p) == nil {
		return nil, mach.KernInvalidArgument
	}
	return nil, mach.KernFailure
}

// HostProcessorSets serves host_processor_sets.
func (c hostPriv) HostProcessorSets(_ *rpc.Message[port], p port) ([]port, mach.KernReturn) {
	name, kr := c.priv(p).ProcessorSetName()
	if kr != 0 {
		return nil, kr
	}
	return []port{name}, 0
}

// HostProcessorSetPriv serves host_processor_set_priv.
func (c hostPriv) HostProcessorSetPriv(_ *rpc.Message[port], p, name port) (port, mach.KernReturn) {
	set, kr := c.priv(p).ProcessorSet(name)
	if kr == 0 {
		drop(name)
	}
	return set, kr
}

// HostProcessors serves host_processors: processors cannot be had one by one.
func (c hostPriv) HostProcessors(_ *rpc.Message[port], p port) ([]port, mach.KernReturn) {
	if c.priv(p) == nil {
		return nil, mach.KernInvalidArgument
	}
	return nil, mach.KernResourceShortage
}

// ThreadWire serves thread_wire, which is not done any more.
//
// Source: XNU osfmk/kern/thread.c, thread_wire.
func (hostPriv) ThreadWire(_ *rpc.Message[port], _, _ port, _ int32) mach.KernReturn {
	return mach.KernNotSupported
}

// VmWire serves vm_wire: memory is not wired here.
func (c hostPriv) VmWire(req *rpc.Message[port], p, task port, addr, size uint64, access int32) mach.KernReturn {
	return c.MachVmWire(req, p, task, addr, size, access)
}

// MachVmWire serves mach_vm_wire.
func (c hostPriv) MachVmWire(_ *rpc.Message[port], p, task port, _, _ uint64, access int32) mach.KernReturn {
	switch {
	case c.priv(p) == nil:
		return mach.KernInvalidHost
	case c.task(task, object.Control) == nil:
		return mach.KernInvalidTask
	case Protection(access)&^ProtAll != 0:
		return mach.KernInvalidArgument
	}
	return mach.KernResourceShortage
}
