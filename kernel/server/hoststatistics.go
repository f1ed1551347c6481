package server

import (
	"math"

	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// Flavors of host_statistics and host_statistics64.
const (
	hostLoad        = 1
	hostVM          = 2
	hostCPULoad     = 3
	hostVM64        = 4
	hostExtmod64    = 5
	hostExpiredTask = 6
)

const (
	vmStatisticsLeast = 12 // HOST_VM_INFO_REV0_COUNT
	vm64Least         = 24 // HOST_VM_INFO64_REV0_COUNT
	vm64Words         = 38
	extmodWords       = 12
	powerWords        = 12
	loadScale         = 1000 // LOAD_SCALE
)

// Flavors of host_processor_info.
const (
	processorBasic   = 1
	processorCPULoad = 2
)

// HostStatistics serves host_statistics.
func (c host) HostStatistics(_ *rpc.Message[port], p port, flavor int32, room uint32) ([]int32, mach.KernReturn) {
	if c.m.HostOf(p) == nil {
		return nil, mach.KernInvalidHost
	}
	return c.server.statistics(flavor, room)
}

// HostStatistics64 serves host_statistics64.
//
// Source: XNU osfmk/kern/host.c, host_statistics64.
func (c host) HostStatistics64(_ *rpc.Message[port], p port, flavor int32, room uint32) ([]int32, mach.KernReturn) {
	if c.m.HostOf(p) == nil {
		return nil, mach.KernInvalidHost
	}
	switch flavor {
	case hostVM64:
		w := make(words, 0, vm64Words)
		w.vm64(c.server.load().Pages)
		if room < vm64Words {
			w = w[:vm64Least]
		}
		return w.fit(room, vm64Least, mach.KernFailure)
	case hostExtmod64:
		w := make(words, extmodWords)
		return w.fit(room, 0, mach.KernFailure)
	}
	return c.server.statistics(flavor, room)
}

// statistics is host_statistics of a host.
//
// Source: XNU osfmk/kern/host.c, host_statistics.
func (s *Server) statistics(flavor int32, room uint32) ([]int32, mach.KernReturn) {
	load := s.load()
	w := make(words, 0, 15)
	least := 0
	switch flavor {
	case hostLoad:
		for _, v := range load.Average {
			w.u32(uint32(v * loadScale))
		}
		for _, v := range load.Average {
			w.u32(machFactor(v, len(load.Ticks)))
		}
	case hostVM:
		least = vmStatisticsLeast
		p := load.Pages
		for _, v := range []uint64{p.Free, p.Active, p.Inactive, p.Wired, p.ZeroFilled, p.Reactivated, p.PagedIn, p.PagedOut,
			p.Faults, p.CopyOnWrites, p.Lookups, 0, p.Purgeable, 0, p.Speculative} {
			w.size(v)
		}
		if room == uint32(len(w))-2 { // between the sizes that there were
			w = w[:vmStatisticsLeast]
		}
	case hostCPULoad:
		var sum [4]uint32
		for _, t := range load.Ticks {
			for i, v := range t {
				sum[i] += v
			}
		}
		for _, v := range sum {
			w.u32(v)
		}
	case hostExpiredTask:
		w.zero(powerWords)
	default:
		return nil, mach.KernInvalidArgument
	}
	return w.fit(room, least, mach.KernFailure)
}

// machFactor says how much of the processors is left for one more thread, in thousandths.
//
// Source: XNU osfmk/kern/sched_average.c, compute_averages.
func machFactor(runnable float64, processors int) uint32 {
	n := float64(processors)
	if runnable > n {
		return uint32(n / (runnable + 1) * loadScale)
	}
	return uint32(math.Max(0, n-runnable) * loadScale)
}

// vm64 writes a vm_statistics64. Memory is not compressed.
func (w *words) vm64(p Pages) {
	for _, v := range []uint64{p.Free, p.Active, p.Inactive, p.Wired} {
		w.size(v)
	}
	for _, v := range []uint64{p.ZeroFilled, p.Reactivated, p.PagedIn, p.PagedOut, p.Faults, p.CopyOnWrites, p.Lookups, 0,
		0} {
		w.u64(v)
	}
	w.size(p.Purgeable)
	w.size(p.Speculative)
	w.zero(vm64Words - vm64Least)
}

// HostProcessorInfo serves host_processor_info.
//
// Source: XNU osfmk/kern/host.c, host_processor_info; osfmk/kern/processor.c, processor_info.
func (c host) HostProcessorInfo(_ *rpc.Message[port], p port, flavor int32) (uint32, []int32, mach.KernReturn) {
	if c.m.HostOf(p) == nil {
		return 0, nil, mach.KernInvalidArgument
	}
	k, load := c.server.computer(), c.server.load()
	var w words
	for i := range k.Processors {
		switch flavor {
		case processorBasic:
			w.u32(k.CPUType)
			w.u32(k.CPUSubtype)
			w.flag(true) // running
			w.u32(i)
			w.flag(i == 0) // the one that the kernel started on
		case processorCPULoad:
			var ticks [4]uint32
			if int(i) < len(load.Ticks) {
				ticks = load.Ticks[i]
			}
			for _, v := range ticks {
				w.u32(v)
			}
		default:
			return 0, nil, mach.KernInvalidArgument
		}
	}
	return k.Processors, w, 0
}
