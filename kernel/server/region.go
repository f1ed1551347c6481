package server

import (
	"portcullis.dev/mach"
	"portcullis.dev/mig/rpc"
)

// Flavors of mach_vm_region.
const (
	regionBasic64        = 9
	regionBasic          = 10 // is the 64-bit one
	regionExtendedLegacy = 11 // is the other, without its last word
	regionTop            = 12
	regionExtended       = 13
)

// Sizes that a vm_region_submap_info_64 has had.
const (
	submapLeast = 16 // VM_REGION_SUBMAP_INFO_V0_COUNT_64
	submapV1    = 17
	submapWords = 19
)

// shareMode says whether memory is shared (SM_*).
func (r *Region) shareMode() uint8 {
	switch {
	case r.Shared:
		return 4 // shared
	case r.File:
		return 1 // copied on write
	}
	return 2 // private
}

// MachVmRegion serves mach_vm_region, for which a read port will do.
//
// Source: XNU osfmk/vm/vm_map.c, vm_map_region.
func (c memory) MachVmRegion(_ *rpc.Message[port], p port, addr uint64, flavor int32, room uint32) (uint64, uint64,
	[]int32, port, mach.KernReturn) {
	s := c.readSpace(p)
	if s == nil {
		return 0, 0, nil, nil, mach.KernInvalidArgument
	}
	var w words
	r, kr := s.Region(c.by.IPC, addr)
	switch flavor {
	case regionBasic64, regionBasic:
		w.u32(uint32(r.Current))
		w.u32(uint32(r.Max))
		w.u32(r.Inheritance)
		w.flag(r.Shared)
		w.flag(r.Reserved)
		w.u64(r.Offset)
		w.zero(2) // behavior, wired
	case regionExtended, regionExtendedLegacy:
		w.u32(uint32(r.Current))
		w.u32(r.Tag)
		w.u32(r.Resident)
		w.zero(3) // shared, swapped out, dirtied
		w.u32(1)  // references
		w.u32(r.backing())
		if flavor == regionExtended {
			w.zero(1) // reusable
		}
	case regionTop:
		w.zero(1) // no object has a number
		w.u32(1)
		if r.Shared {
			w.u32(0)
			w.u32(r.Resident)
		} else {
			w.u32(r.Resident)
			w.u32(0)
		}
		w.u32(uint32(r.shareMode()))
	default:
		return 0, 0, nil, nil, mach.KernInvalidArgument
	}
	if int(room) < len(w) {
		return 0, 0, nil, nil, mach.KernInvalidArgument
	}
	return r.Address, r.Size, w, nil, kr
}

// backing returns depth of shadows, whether a pager backs it, and the share mode, in one word.
func (r *Region) backing() uint32 {
	return uint32(r.shareMode())<<24 | uint32(integer(r.File))<<16
}

// MachVmRegionRecurse serves mach_vm_region_recurse. Maps are not nested here.
//
// Source: XNU osfmk/vm/vm_map.c, vm_map_region_recurse_64.
func (c memory) MachVmRegionRecurse(_ *rpc.Message[port], p port, addr uint64, _ uint32, room uint32) (uint64, uint64,
	uint32, []int32, mach.KernReturn) {
	s := c.readSpace(p)
	if s == nil || room < submapLeast {
		return 0, 0, 0, nil, mach.KernInvalidArgument
	}
	r, kr := s.Region(c.by.IPC, addr)
	if kr != 0 {
		return 0, 0, 0, nil, kr
	}
	w := make(words, 0, submapWords)
	w.u32(uint32(r.Current))
	w.u32(uint32(r.Max))
	w.u32(r.Inheritance)
	w.u64(r.Offset)
	w.u32(r.Tag)
	w.u32(r.Resident)
	w.zero(3) // shared, swapped out, dirtied
	w.u32(1)  // references
	w.u32(r.backing())
	w.zero(submapWords - len(w)) // no submap, no behavior, no number, not wired
	switch {
	case room >= submapWords:
	case room >= submapV1:
		w = w[:submapV1]
	default:
		w = w[:submapLeast]
	}
	return r.Address, r.Size, 0, w, 0
}
