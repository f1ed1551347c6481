package object

import (
	"sync"

	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// HostPort numbers the special ports of the host.
type HostPort int32

const (
	HostSecurityPort  HostPort = 0 // never given out
	HostNamePort      HostPort = 1 // HOST_PORT
	HostPrivPort      HostPort = 2
	HostIOMainPort    HostPort = 3
	HostMaxKernelPort HostPort = 7 // from here on they are daemons'
	HostTelemetryPort HostPort = 20
	HostNodePort      HostPort = 26
	HostMaxPort       HostPort = 35
)

// EventMonitorEntitlement lets a program other than launchd set HOST_TELEMETRY_PORT.
const EventMonitorEntitlement = "com.apple.private.xpc.launchd.event-monitor"

// Host is the computer: ports of daemons, and where exceptions go that no task cares for. The privileged port is for
// those who may change it.
type Host struct {
	m    *Machine
	port portal

	mu         sync.Mutex
	ports      [2]*ipc.Port // plain and privileged, made when first needed
	services   [hostServices]*ipc.Port
	special    [HostMaxPort + 1]*ipc.Port
	exceptions actions
	requests   []*hostRequest
	unwatch    func() // ends the watch of the calendar; nil if there is none
}

func newHost(m *Machine) *Host {
	h := &Host{m: m}
	h.port = portal{m, h}
	return h
}

// makeSend makes a send right to the host's port.
func (h *Host) makeSend(privileged bool) *ipc.Port {
	i, typ := 0, mach.PortTypeHost
	if privileged {
		i, typ = 1, mach.PortTypeHostPriv
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ports[i] == nil {
		h.ports[i] = h.m.IPC.NewObjectPort(typ, &h.port)
	}
	return h.ports[i].MakeSend()
}

// close gives up everything.
func (h *Host) close() {
	h.leaves(nil)
	h.mu.Lock()
	rights := h.exceptions.take(append([]*ipc.Port(nil), h.special[:]...))
	ports := append(h.services[:], h.ports[:]...)
	h.special, h.ports = [len(h.special)]*ipc.Port{}, [2]*ipc.Port{}
	h.services = [hostServices]*ipc.Port{}
	h.mu.Unlock()
	release(rights...)
	for _, p := range ports {
		if p != nil {
			p.Destroy()
		}
	}
}

// HostOf returns the host if a port stands for it, privileged or not (convert_port_to_host).
func (m *Machine) HostOf(p *ipc.Port) *Host {
	h, _ := m.objectOf(p).(*Host)
	return h
}

// HostPrivOf returns the host if the port is its privileged one, and is the caller's own host port.
//
// Source: XNU osfmk/kern/ipc_host.c, convert_port_to_host_priv.
func (m *Machine) HostPrivOf(caller *Task, p *ipc.Port) *Host {
	h := m.HostOf(p)
	if h == nil || p.Type() != mach.PortTypeHostPriv {
		return nil
	}
	caller.mu.Lock()
	defer caller.mu.Unlock()
	if caller.special[TaskHostPort] != p {
		return nil
	}
	return h
}

// SpecialPort returns a send right to a special port, nil if it is not set. The receiver must have come of
// [Machine.HostPrivOf].
//
// Source: XNU osfmk/kern/host.c, host_get_special_port.
func (h *Host) SpecialPort(which HostPort) (*ipc.Port, mach.KernReturn) {
	if h == nil || which <= HostSecurityPort || which > HostMaxPort {
		return nil, mach.KernInvalidArgument
	}
	switch which {
	case HostNamePort, HostPrivPort:
		return h.makeSend(which == HostPrivPort), 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.special[which].CopySend(), 0
}

// SetSpecialPort replaces a special port of a daemon, which is launchd's business (host_set_special_port). An immovable
// right is refused, other than by tasks and threads, with KERN_DENIED.
//
// Source: XNU osfmk/kern/host.c, host_set_special_port_from_user and kernel_set_special_port.
func (h *Host) SetSpecialPort(by *Thread, which HostPort, right *ipc.Port) mach.KernReturn {
	if h == nil || which <= HostMaxKernelPort || which > HostMaxPort {
		return mach.KernInvalidArgument
	}
	r := by.task.Restrict
	switch {
	case !h.m.canStash(by.task, right):
		return mach.KernDenied
	case !r.Launchd && !(which == HostTelemetryPort && r.Entitlements[EventMonitorEntitlement]) &&
		(h.m.Restrict.NotMac || !h.m.Restrict.SIPOff):
		return mach.KernNoAccess
	}
	if refuse := h.m.hooks.SetHostPort; refuse != nil && refuse(by.task, which) {
		return mach.KernNoAccess
	}
	if which == HostNodePort {
		return mach.KernNotSupported
	}
	h.mu.Lock()
	old := h.special[which]
	h.special[which] = right
	h.mu.Unlock()
	release(old)
	return 0
}

func (h *Host) withActions(_ bool, f func(*actions)) mach.KernReturn {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(&h.exceptions)
	return 0
}

// SetExceptionPorts is host_set_exception_ports. The receiver must have come of [Machine.HostPrivOf].
//
// Source: XNU osfmk/kern/ipc_host.c, host_set_exception_ports.
func (h *Host) SetExceptionPorts(by *Thread, e ExceptionAction) mach.KernReturn {
	if h == nil {
		return mach.KernInvalidArgument
	}
	if kr := h.m.mayExcept(by, nil, &e, false); kr != 0 {
		return kr
	}
	return setActions(h, &e, false)
}

// SwapExceptionPorts is host_swap_exception_ports; see [Task.SwapExceptionPorts].
func (h *Host) SwapExceptionPorts(by *Thread, e ExceptionAction, max int) ([]ExceptionAction, mach.KernReturn) {
	if h == nil {
		return nil, mach.KernInvalidArgument
	}
	if kr := h.m.mayExcept(by, nil, &e, false); kr != 0 {
		return nil, kr
	}
	return swapActions(h, &e, max)
}

// ExceptionPorts is host_get_exception_ports.
func (h *Host) ExceptionPorts(m mach.ExceptionMask, max int) ([]ExceptionAction, mach.KernReturn) {
	if h == nil {
		return nil, mach.KernInvalidArgument
	}
	return getActions(h, m, max)
}
