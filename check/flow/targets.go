package flow

import "slices"

// Targets are the addresses that a scan of a text section looks for. The zero value looks for nothing.
// It may be shared by concurrent scans.
type Targets struct {
	Code  []uint64 // stubs and functions that branches may lead to
	Slots []uint64 // pointer slots that code may load
	// Data are addresses that code may form, load from or store to. A site of theirs lies in the instruction that
	// does, or in one that takes part.
	Data []uint64
}

// ScanOverlap is how many bytes neighbouring chunks of a text section should share when they are scanned apart: a
// slot's page and its load may stand that far from each other.
const ScanOverlap = 4096

// Range is a range of addresses that holds all of a set.
type Range struct {
	Lo, Size uint64 // Size 0: an empty set
	set      []uint64
}

// NewRange builds the smallest range around a set.
func NewRange(set []uint64) Range {
	if len(set) == 0 {
		return Range{}
	}
	s := slices.Clone(set)
	slices.Sort(s)
	s = slices.Compact(s)
	return Range{s[0], s[len(s)-1] - s[0] + 1, s}
}

// Has tells whether an address is one of the set.
func (r *Range) Has(addr uint64) bool {
	if addr-r.Lo >= r.Size {
		return false
	}
	_, ok := slices.BinarySearch(r.set, addr)
	return ok
}
