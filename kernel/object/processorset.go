package object

import (
	"portcullis.dev/kernel/ipc"
	"portcullis.dev/mach"
)

// ProcessorSet is the set of all processors, which is the only one there is. It has a name port, for everybody, and a
// port for who may change it.
type ProcessorSet struct{ port portal }

// ProcessorSetName makes a send right to the name of the set of all processors (processor_set_default).
func (h *Host) ProcessorSetName() (*ipc.Port, mach.KernReturn) {
	if h == nil {
		return nil, mach.KernInvalidArgument
	}
	return h.makeServiceSend(hostSetName), 0
}

// ProcessorSet makes a send right to a processor set of which the caller has the name (host_processor_set_priv). The
// receiver must have come of [Machine.HostPrivOf].
//
// Source: XNU osfmk/kern/host.c, host_processor_set_priv.
func (h *Host) ProcessorSet(name *ipc.Port) (*ipc.Port, mach.KernReturn) {
	if h == nil || h.m.ProcessorSetOf(name) == nil {
		return nil, mach.KernInvalidArgument
	}
	return h.makeServiceSend(hostSet), 0
}

// ProcessorSetOf returns the processor set whose port, or name port, p is; nil if it is none
// (convert_port_to_pset_name).
func (m *Machine) ProcessorSetOf(p *ipc.Port) *ProcessorSet {
	s, _ := m.objectOf(p).(*ProcessorSet)
	return s
}

// IsProcessorSet says that p is the port of the set, for who may change it and see what runs on it
// (convert_port_to_pset).
func (m *Machine) IsProcessorSet(p *ipc.Port) bool {
	return m.ProcessorSetOf(p) != nil && p.Type() == mach.PortTypeProcessorSet
}

// Ports of the host beside its own, made when first needed.
const (
	hostClocks   = 0
	hostSetName  = hostClocks + clocks
	hostSet      = hostSetName + 1
	hostServices = hostSet + 1
)

// makeServiceSend makes a send right to one of the host's other ports.
func (h *Host) makeServiceSend(i int) *ipc.Port {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.services[i] == nil {
		var o *portal
		typ := mach.PortTypeClock
		switch i {
		case hostSetName, hostSet:
			s := &ProcessorSet{}
			s.port = portal{h.m, s}
			o, typ = &s.port, mach.PortTypeProcessorSetName
			if i == hostSet {
				typ = mach.PortTypeProcessorSet
			}
		default:
			c := &ClockService{m: h.m, id: ClockID(i - hostClocks)}
			c.port = portal{h.m, c}
			o = &c.port
		}
		h.services[i] = h.m.IPC.NewObjectPort(typ, o)
	}
	return h.services[i].MakeSend()
}
