// Package hostile makes bad input for tests: Mach-O files that are cut, flipped and lie about their sizes, and archives
// that want to be larger, deeper or elsewhere than they are.
//
// Everything is made from a seed, so that a test which fails can be run again with the same bytes.
package hostile

import (
	"encoding/binary"
	"math/rand/v2"
)

// Region is a part of a file.
type Region struct{ Off, Len int }

// commands are the load commands that name tables in the file, by where their offset and size fields stand. Source:
// Apple's <mach-o/loader.h>.
var commands = map[uint32][]struct{ off, size, unit int }{
	0x2:        {{8, 12, 16}, {16, 20, 1}},                                       // LC_SYMTAB
	0xb:        {{56, 60, 4}},                                                    // LC_DYSYMTAB: indirect symbols
	0x1d:       {{8, 12, 1}},                                                     // LC_CODE_SIGNATURE
	0x26:       {{8, 12, 1}},                                                     // LC_FUNCTION_STARTS
	0x29:       {{8, 12, 1}},                                                     // LC_DATA_IN_CODE
	0x80000022: {{8, 12, 1}, {16, 20, 1}, {24, 28, 1}, {32, 36, 1}, {40, 44, 1}}, // LC_DYLD_INFO_ONLY
	0x80000033: {{8, 12, 1}},                                                     // LC_DYLD_EXPORTS_TRIE
	0x80000034: {{8, 12, 1}},                                                     // LC_DYLD_CHAINED_FIXUPS
}

const headerSize = 32 // of a 64-bit image

// Regions returns the parts of a thin little-endian 64-bit image that say how to read the rest: header and load
// commands first, then the beginning of each table, relocations and debug information. Of anything else it returns
// the first 4 KiB.
func Regions(data []byte) []Region {
	le := binary.LittleEndian
	if len(data) < headerSize || le.Uint32(data) != 0xfeedfacf {
		return []Region{{0, min(len(data), 4096)}}
	}
	end := min(headerSize+int(le.Uint32(data[20:])), len(data))
	out := []Region{{0, end}}
	for at := headerSize; at+8 <= end; {
		size := int(le.Uint32(data[at+4:]))
		if size < 8 || at+size > end {
			break
		}
		if le.Uint32(data[at:]) == segment {
			out = append(out, sectionRegions(data, at, size)...)
		}
		for _, f := range commands[le.Uint32(data[at:])] {
			if f.size+4 > size {
				continue
			}
			off, n := int(le.Uint32(data[at+f.off:])), int(le.Uint32(data[at+f.size:]))*f.unit
			if n > 0 && off+n <= len(data) {
				out = append(out, Region{off, min(n, 512)})
			}
		}
		at += size
	}
	return out
}

const (
	segment      = 0x19 // LC_SEGMENT_64
	segmentSize  = 72
	sectionSize  = 80
	relocSize    = 8
	debugSection = "__debug_" // DWARF
)

// sectionRegions returns the relocations of the sections of a segment command, and those sections that hold debug
// information.
func sectionRegions(data []byte, at, size int) []Region {
	le := binary.LittleEndian
	var out []Region
	add := func(off, n, most int) {
		if n > 0 && off > 0 && off+n <= len(data) {
			out = append(out, Region{off, min(n, most)})
		}
	}
	for s := at + segmentSize; s+sectionSize <= at+size; s += sectionSize {
		off := int(le.Uint32(data[s+48:]))
		if n := le.Uint64(data[s+40:]); n < uint64(len(data)) && string(data[s:s+len(debugSection)]) == debugSection {
			add(off, int(n), 4096)
		}
		add(int(le.Uint32(data[s+56:])), int(le.Uint32(data[s+60:]))*relocSize, 512)
	}
	return out
}

// lies are numbers that hurt where a size, an offset or a count is due.
var lies = []uint64{0, 1, 7, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 1, 1<<64 - 16}

// Mutate returns a damaged copy of data: up to four bits, numbers or stretches changed, most of them in regions.
func Mutate(seed uint64, data []byte, regions []Region) []byte {
	rng := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
	out := append([]byte(nil), data...)
	if len(out) < 16 {
		return out
	}
	for range 1 + rng.IntN(4) {
		r := Region{0, len(out)}
		if rng.IntN(8) != 0 {
			r = regions[rng.IntN(len(regions))]
		}
		at := min(r.Off+rng.IntN(max(r.Len, 1)), len(out)-8)
		lie := lies[rng.IntN(len(lies))]
		switch rng.IntN(6) {
		case 0, 1:
			out[at] ^= 1 << rng.IntN(8)
		case 2:
			binary.LittleEndian.PutUint32(out[at&^3:], uint32(lie))
		case 3:
			binary.LittleEndian.PutUint64(out[at&^3:], lie)
		case 4:
			binary.LittleEndian.PutUint32(out[at&^3:], rng.Uint32N(uint32(len(out))+16))
		case 5: // a stretch from somewhere else
			from := rng.IntN(len(out) - 8)
			copy(out[at:min(at+1+rng.IntN(64), len(out))], out[from:])
		}
	}
	return out
}

// Lie returns data with the 32-bit number at offset at replaced by the n-th of several that hurt; no ok where there are
// no more.
func Lie(data []byte, at, n int) (out []byte, ok bool) {
	if n >= len(lies) || at+4 > len(data) {
		return nil, false
	}
	out = append([]byte(nil), data...)
	if lies[n] > 0xffffffff && at+8 <= len(data) {
		binary.LittleEndian.PutUint64(out[at:], lies[n])
	} else {
		binary.LittleEndian.PutUint32(out[at:], uint32(lies[n]))
	}
	return out, true
}

// Universal returns a universal file of slices, each placed at the offset and with the size that it claims.
func Universal(slices ...Slice) []byte {
	be := binary.BigEndian
	out := be.AppendUint32(nil, 0xcafebabe)
	out = be.AppendUint32(out, uint32(len(slices)))
	for _, s := range slices {
		for _, v := range []uint32{s.CPU, 0, s.Off, s.Size, 0} {
			out = be.AppendUint32(out, v)
		}
	}
	for _, s := range slices {
		if end := int(s.Off) + len(s.Data); len(s.Data) > 0 && end > len(out) {
			out = append(out, make([]byte, end-len(out))...)
		}
		copy(out[min(int(s.Off), len(out)):], s.Data)
	}
	return out
}

// Slice is an entry of a universal file, which may lie.
type Slice struct {
	CPU, Off, Size uint32
	Data           []byte
}
