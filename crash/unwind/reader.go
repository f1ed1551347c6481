package unwind

import (
	"encoding/binary"
	"errors"
)

var errShort = errors.New("the data ends early")

// reader reads little-endian data; after the first read beyond the end everything is 0 and err is set.
type reader struct {
	data []byte
	off  int
	err  error
}

func (r *reader) left() int { return len(r.data) - r.off }

func (r *reader) bytes(n uint64) []byte {
	if r.err != nil || n > uint64(r.left()) {
		r.err = errShort
		return nil
	}
	b := r.data[r.off : r.off+int(n)]
	r.off += int(n)
	return b
}

func (r *reader) u8() uint8 {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.bytes(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) uleb() uint64 {
	var v uint64
	for shift := uint(0); ; shift += 7 {
		b := r.u8()
		if shift < 64 {
			v |= uint64(b&0x7f) << shift
		}
		if b < 0x80 {
			return v
		}
	}
}

func (r *reader) sleb() int64 {
	var v int64
	for shift := uint(0); ; {
		b := r.u8()
		if shift < 64 {
			v |= int64(b&0x7f) << shift
		}
		shift += 7
		if b < 0x80 {
			if b&0x40 != 0 && shift < 64 {
				v |= -1 << shift
			}
			return v
		}
	}
}

func (r *reader) string() string {
	start := r.off
	for r.u8() != 0 {
	}
	if r.err != nil {
		return ""
	}
	return string(r.data[start : r.off-1])
}

// pointer reads a value in an encoding of .eh_frame; at is the address of the section's first byte. Encodings that ask
// for what no known compiler emits there are refused.
//
// Source: Linux Standard Base, Core Specification, DWARF exception header encoding.
func (r *reader) pointer(enc uint8, at uint64) uint64 {
	if enc == encOmit {
		return 0
	}
	pos := at + uint64(r.off)
	var v uint64
	switch enc & 0x0f {
	case 0x00, 0x04, 0x0c:
		v = r.u64()
	case 0x01:
		v = r.uleb()
	case 0x02:
		v = uint64(r.u16())
	case 0x03:
		v = uint64(r.u32())
	case 0x09:
		v = uint64(r.sleb())
	case 0x0a:
		v = uint64(int64(int16(r.u16())))
	case 0x0b:
		v = uint64(int64(int32(r.u32())))
	default:
		r.err = errEncoding
		return 0
	}
	switch enc & 0x70 {
	case 0x00:
	case 0x10:
		v += pos
	default:
		r.err = errEncoding
		return 0
	}
	if enc&0x80 != 0 {
		r.err = errEncoding // indirect: personality routines alone, which nobody asks for
	}
	return v
}

const encOmit = 0xff

var errEncoding = errors.New("an encoding of pointers that is not known")
