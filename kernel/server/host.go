package server

import (
	"portcullis.dev/defs/machhost"
	"portcullis.dev/kernel/object"
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// host serves mach_host: the computer as everybody may see it.
type host struct{ *call }

var _ machhost.Server[port] = host{}

// Flavors of host_info.
const (
	hostBasic         = 1
	hostSched         = 3
	hostResourceSizes = 4
	hostPriority      = 5
	hostSemaphores    = 7
	hostMachMsg       = 8
	hostPurgable      = 9
	hostDebug         = 10
	hostDebugger      = 11
	hostPreferredArch = 12
)

const (
	basicHostLeast = 5 // HOST_BASIC_INFO_OLD_COUNT
	basicHostWords = 12
	purgableWords  = 68
	memory32Max    = 1 << 31 // memory_size is capped at 2 GB
	quantum        = 10      // milliseconds
)

// computer describes the computer; a small one if nobody knows it.
func (s *Server) computer() Computer {
	if s.host == nil {
		return Computer{Processors: 1, PhysicalProcessors: 1, Memory: 1 << 30, PageSize: pageSize,
			CPUType: 0x0100000c, CPUSubtype: 0, Version: "Portcullis"}
	}
	return s.host.Computer()
}

func (s *Server) load() Load {
	if s.host == nil {
		return Load{Ticks: make([][4]uint32, 1)}
	}
	return s.host.Load()
}

// HostInfo serves host_info.
//
// Source: XNU osfmk/kern/host.c, host_info.
func (c host) HostInfo(_ *rpc.Message[port], p port, flavor int32, room uint32) ([]int32, mach.KernReturn) {
	if c.m.HostOf(p) == nil {
		return nil, mach.KernInvalidArgument
	}
	k := c.server.computer()
	w := make(words, 0, purgableWords)
	least := 0
	switch flavor {
	case hostBasic:
		least = basicHostLeast
		w.u32(k.Processors)
		w.u32(k.Processors)
		w.u32(uint32(min(k.Memory, memory32Max)))
		w.u32(k.CPUType)
		w.u32(k.CPUSubtype)
		if room >= basicHostWords {
			w.u32(0) // kind of hardware threads
			w.u32(k.PhysicalProcessors)
			w.u32(k.PhysicalProcessors)
			w.u32(k.Processors)
			w.u32(k.Processors)
			w.u64(k.Memory)
		}
	case hostSched:
		w.u32(quantum)
		w.u32(quantum)
	case hostResourceSizes:
		if room < 5 {
			return nil, mach.KernFailure
		}
		return nil, mach.KernInvalidArgument
	case hostPriority:
		for _, v := range []uint32{80, 80, 64, basePriority, 0, 0, 0, 79} {
			w.u32(v)
		}
	case hostSemaphores, hostMachMsg:
	case hostPurgable:
		w.zero(purgableWords)
	case hostDebug:
		return nil, mach.KernNotSupported
	case hostDebugger:
		w.flag(c.m.Restrict.KernelDebugging)
	case hostPreferredArch:
		w.u32(k.CPUType)
		w.u32(k.CPUSubtype)
	default:
		return nil, mach.KernInvalidArgument
	}
	return w.fit(room, least, mach.KernFailure)
}

// HostKernelVersion serves host_kernel_version.
func (c host) HostKernelVersion(_ *rpc.Message[port], p port) (string, mach.KernReturn) {
	if c.m.HostOf(p) == nil {
		return "", mach.KernInvalidArgument
	}
	return c.server.computer().Version, 0
}

// HostPageSize serves what the library makes of host_page_size.
func (c host) HostPageSize(_ *rpc.Message[port], p port) (uint64, mach.KernReturn) {
	if c.m.HostOf(p) == nil {
		return 0, mach.KernInvalidArgument
	}
	return uint64(c.server.computer().PageSize), 0
}

// HostGetIoMain serves host_get_io_main: what the host keeps as its special port.
func (c host) HostGetIoMain(_ *rpc.Message[port], p port) (port, mach.KernReturn) {
	h := c.m.HostOf(p)
	if h == nil {
		return nil, mach.KernInvalidArgument
	}
	return h.SpecialPort(object.HostIOMainPort)
}

// HostGetClockService serves host_get_clock_service.
func (c host) HostGetClockService(_ *rpc.Message[port], p port, id int32) (port, mach.KernReturn) {
	return c.m.HostOf(p).ClockService(object.ClockID(id))
}

// ProcessorSetDefault serves processor_set_default.
func (c host) ProcessorSetDefault(_ *rpc.Message[port], p port) (port, mach.KernReturn) {
	return c.m.HostOf(p).ProcessorSetName()
}

// HostCreateMachVoucher serves host_create_mach_voucher.
func (c host) HostCreateMachVoucher(_ *rpc.Message[port], p port, recipes []uint8) (port, mach.KernReturn) {
	return c.m.HostOf(p).CreateVoucher(recipes)
}

// HostRequestNotification serves host_request_notification.
func (c host) HostRequestNotification(_ *rpc.Message[port], p port, kind int32, notify port) mach.KernReturn {
	return c.m.HostOf(p).RequestNotification(c.by.Task(), object.HostEvent(kind), notify)
}

// MachZoneInfo serves mach_zone_info, which needs privileges that nobody has here.
func (host) MachZoneInfo(*rpc.Message[port], port) ([][80]uint8, [][8]uint64, mach.KernReturn) {
	return nil, nil, mach.KernNoAccess
}

// MachZoneInfoForZone serves mach_zone_info_for_zone.
func (host) MachZoneInfoForZone(*rpc.Message[port], port, [80]uint8) (info [8]uint64, kr mach.KernReturn) {
	return info, mach.KernNoAccess
}

// MachMemoryInfo serves mach_memory_info.
func (host) MachMemoryInfo(*rpc.Message[port], port) ([][80]uint8, [][8]uint64, [][22]uint64, mach.KernReturn) {
	return nil, nil, nil, mach.KernNoAccess
}
