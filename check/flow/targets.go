package flow

import (
	mathbits "math/bits"
	"slices"
)

// Targets are the addresses that a scan of a text section looks for. The zero value looks for nothing.
// It may be shared by concurrent scans.
type Targets struct {
	Code  []uint64 // stubs and functions that branches may lead to
	Slots []uint64 // pointer slots that code may load
}

// ScanOverlap is how many bytes neighbouring chunks of a text section should share when they are scanned apart: a
// slot's page and its load may stand that far from each other.
const ScanOverlap = 4096

// Region is an aligned power-of-two range of addresses that holds all of a set.
type Region struct {
	Base, Mask uint64 // addr&Mask == Base
	set        []uint64
}

// NewRegion builds the smallest such region around a set; of an empty set it holds no address.
func NewRegion(set []uint64) Region {
	if len(set) == 0 {
		return Region{Base: 1, Mask: 0}
	}
	s := slices.Clone(set)
	slices.Sort(s)
	n := mathbits.Len64(s[0] ^ s[len(s)-1])
	m := ^uint64(0) << n
	return Region{s[0] & m, m, slices.Compact(s)}
}

// Has tells whether an address is one of the set.
func (r *Region) Has(addr uint64) bool {
	_, ok := slices.BinarySearch(r.set, addr)
	return ok
}
