package defs_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"

	"portcullis.dev/mach"
	"portcullis.dev/mig/model"
)

// A value of an argument is a string of bytes, as C has it in memory: numbers and arrays of them little-endian, strings
// without their NUL, rights as names. It is the common form in which tests give values to either side and get them
// back.

// random makes values for the arguments of a routine that go in, or come out.
func random(rnd *rand.Rand, r *model.Routine, in bool, room map[*model.Arg]int) map[*model.Arg][]byte {
	values := map[*model.Arg][]byte{}
	counts := map[*model.Arg]int{}
	for _, a := range r.Args {
		if in && !a.Direction.Sent() || !in && !a.Direction.Returned() {
			continue
		}
		t := a.Type
		n := t.Size()
		switch {
		case t.Shape == model.String || t.Shape == model.VarString:
			n = rnd.IntN(t.Count)
		case t.Shape == model.VarArray:
			most := t.Count
			if most == 0 {
				most = 300
			}
			if limit, ok := room[a]; ok && !in {
				most = min(most, limit)
			}
			count := rnd.IntN(most + 1)
			if a.SameCount != nil {
				count = counts[a.SameCount]
			}
			counts[a] = count
			n = count * t.Elem.Size()
		}
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
			if t.Shape == model.String || t.Shape == model.VarString || t.IsPort() {
				b[i] |= 1 // neither NUL nor MACH_PORT_NULL
			}
		}
		values[a] = b
	}
	return values
}

// fill sets v, of any Go type that generated code uses, to a value.
func fill(v reflect.Value, b []byte) []byte {
	switch v.Kind() {
	case reflect.String:
		v.SetString(string(b))
		return nil
	case reflect.Struct: // rpc.Right, rpc.Rights
		if ports := v.FieldByName("Ports"); ports.IsValid() {
			return fill(ports, b)
		}
		return fill(v.FieldByName("Port"), b)
	case reflect.Slice:
		n := 0
		if len(b) > 0 {
			n = len(b) / size(v.Type().Elem())
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		fallthrough
	case reflect.Array:
		if v.Type().Elem().Kind() == reflect.Slice { // each a piece of the same length
			for i, n := 0, len(b)/v.Len(); i < v.Len(); i++ {
				fill(v.Index(i), b[i*n:(i+1)*n])
			}
			return nil
		}
		for i := range v.Len() {
			b = fill(v.Index(i), b)
		}
		return b
	}
	var word [8]byte
	n := copy(word[:size(v.Type())], b)
	u := binary.LittleEndian.Uint64(word[:])
	if v.CanInt() {
		v.SetInt(int64(u<<(64-8*n)) >> (64 - 8*n))
	} else {
		v.SetUint(u)
	}
	return b[n:]
}

func size(t reflect.Type) int {
	if t.Kind() == reflect.Array {
		return t.Len() * size(t.Elem())
	}
	return int(t.Size())
}

// flat is the inverse of fill.
func flat(v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.String:
		return []byte(v.String())
	case reflect.Struct:
		if ports := v.FieldByName("Ports"); ports.IsValid() {
			return flat(ports)
		}
		return flat(v.FieldByName("Port"))
	case reflect.Slice, reflect.Array:
		b := []byte{}
		for i := range v.Len() {
			b = append(b, flat(v.Index(i))...)
		}
		return b
	}
	u := uint64(0)
	if v.CanInt() {
		u = uint64(v.Int())
	} else {
		u = v.Uint()
	}
	return binary.LittleEndian.AppendUint64(nil, u)[:size(v.Type())]
}

// memory is out-of-line memory of the tests, at addresses that mean nothing.
type memory map[uint64][]byte

func (m memory) Load(address uint64, n int) ([]byte, error) {
	b, ok := m[address]
	if !ok || len(b) < n {
		return nil, fmt.Errorf("%d bytes at %#x are not mapped", n, address)
	}
	return b[:n], nil
}

func (m memory) Store(b []byte) (uint64, error) {
	address := uint64(0x100000 + 0x100000*len(m))
	m[address] = b
	return address, nil
}

// deliver does to the bytes of a message what a kernel does between sending and receiving: the two ports of the header
// change places, and rights arrive as what the receiver is given.
func deliver(b []byte) []byte {
	b = append([]byte(nil), b...)
	var h mach.Header
	h.Decode(b)
	flag := h.Bits & mach.BitsComplex
	h.Bits = mach.MakeBits(h.Bits.Local().Received(), h.Bits.Remote().Received(), 0) | flag
	h.Remote, h.Local = h.Local, h.Remote
	h.Encode(b)
	if flag == 0 {
		return b
	}
	at := mach.HeaderSize + mach.BodySize
	for range binary.LittleEndian.Uint32(b[mach.HeaderSize:]) {
		var d mach.Descriptor
		n := d.Decode(b[at:])
		if d.Type == mach.DescriptorPort || d.Type == mach.DescriptorOOLPorts {
			d.Disposition = d.Disposition.Received()
		}
		at += d.Encode(b[at:])
		if n == 0 {
			panic("a descriptor of no known type")
		}
	}
	return b
}

// withTrailer appends a trailer with everything in it.
func withTrailer(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	t := mach.Trailer{Seqno: 7, Security: [2]uint32{501, 20}, Audit: mach.AuditToken{1, 2, 3, 4, 5, 6, 7, 8}, Context: 9}
	end := make([]byte, mach.MaxTrailerSize)
	t.Encode(end, mach.TrailerAV)
	return append(b, end...)
}

// withShortTrailer appends a trailer of eight bytes, as nobody who asks for more should get it.
func withShortTrailer(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return append(b, 0, 0, 0, 0, 8, 0, 0, 0)
}
