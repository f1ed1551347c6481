package server

import (
	"portcullis.dev/defs/hostpriv"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// hostPriv serves host_priv: the computer as its owner may change it.
type hostPriv struct {
	*call
	*hostpriv.Funcs[port] // what is not served
}

var noHostPriv hostpriv.Funcs[port]

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
