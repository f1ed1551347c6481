package xpc

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// SyntaxError says where and why bytes are no encoded value.
type SyntaxError struct {
	Offset int
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("xpc: offset %d: %s", e.Offset, e.Reason) }

// Unmarshal decodes what Marshal, xpc_make_serialization or a RemoteXPC peer made of a value. Data lies in b. Memory
// and time are bounded by a small multiple of len(b).
func Unmarshal(b []byte) (Value, error) {
	d := decoder{b: b}
	return d.graph(magicStream)
}

// decoder reads a value. beside, if there is a kernel, gives what a value with a descriptor of its own stands for;
// size is what the message says of large data and shared memory.
type decoder struct {
	b      []byte
	at     int
	beside func(t Type, size uint64) (Value, error)
}

func (d *decoder) fail(format string, a ...any) error {
	return &SyntaxError{d.at, fmt.Sprintf(format, a...)}
}

func (d *decoder) graph(magic uint32) (Value, error) {
	m, err := d.u32()
	if err != nil {
		return nil, err
	}
	v, err := d.u32()
	switch {
	case err != nil:
		return nil, err
	case m != magic:
		d.at = 0
		return nil, d.fail("magic is %#x, want %#x", m, magic)
	case v != wireVersion:
		d.at = 4
		return nil, d.fail("version is %d, want %d", v, wireVersion)
	}
	value, err := d.value(0)
	if err == nil && d.at != len(d.b) {
		return nil, d.fail("%d bytes are left over", len(d.b)-d.at)
	}
	return value, err
}

// take returns the next n bytes and passes what fills them up to a multiple of four.
func (d *decoder) take(n int) ([]byte, error) {
	padded := (n + 3) &^ 3
	if n < 0 || padded < n || padded > len(d.b)-d.at {
		return nil, d.fail("%d bytes are wanted, %d are left", n, len(d.b)-d.at)
	}
	b := d.b[d.at : d.at+n : d.at+n]
	d.at += padded
	return b, nil
}

func (d *decoder) u32() (uint32, error) {
	b, err := d.take(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (d *decoder) u64() (uint64, error) {
	b, err := d.take(8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

func (d *decoder) value(depth int) (Value, error) {
	if depth > MaxDepth {
		return nil, d.fail("values lie more than %d deep within each other", MaxDepth)
	}
	start := d.at
	tag, err := d.u32()
	if err != nil {
		return nil, err
	}
	t := Type(tag &^ 0xfff)
	switch t {
	case TypeNull:
		return Null{}, nil
	case TypeBool:
		v, err := d.u32()
		return Bool(v != 0), err
	case TypeInt64, TypeUint64, TypeDouble, TypeDate:
		return d.number(t)
	case TypeData:
		return d.data()
	case TypeString:
		return d.text()
	case TypeUUID:
		b, err := d.take(16)
		if err != nil {
			return nil, err
		}
		return UUID(b), nil
	case TypeArray:
		return d.array(depth)
	case TypeDictionary:
		return d.dictionary(depth)
	case TypeError:
		v, err := d.dictionary(depth)
		if err != nil {
			return nil, err
		}
		return &Error{v}, nil
	case TypeFileTransfer:
		id, err := d.u64()
		if err != nil {
			return nil, err
		}
		info, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		return &FileTransfer{id, info}, nil
	case TypeSharedMemory:
		size, err := d.u64()
		if err != nil {
			return nil, err
		}
		return d.descriptor(t, size)
	case TypeFD, TypeSendRight, TypeEndpoint, TypeReceiveRight, TypeSendOnce, TypeConnection:
		return d.descriptor(t, 0)
	}
	if t == 0 || t >= typeLimit {
		d.at = start
		return nil, d.fail("there is no type %#x", tag)
	}
	return Null{}, nil // known to Apple's libraries, and null on arrival
}

func (d *decoder) number(t Type) (Value, error) {
	v, err := d.u64()
	switch {
	case err != nil:
		return nil, err
	case t == TypeInt64:
		return Int64(v), nil
	case t == TypeUint64:
		return Uint64(v), nil
	case t == TypeDate:
		return Date(v), nil
	}
	return Double(math.Float64frombits(v)), nil
}

func (d *decoder) descriptor(t Type, size uint64) (Value, error) {
	if d.beside == nil {
		return nil, d.fail("a value of type %v cannot come over a byte stream", t)
	}
	v, err := d.beside(t, size)
	if err != nil {
		return nil, d.fail("%v", err)
	}
	return v, nil
}

func (d *decoder) data() (Value, error) {
	n, err := d.u32()
	if err != nil {
		return nil, err
	}
	if d.beside != nil && n > LargeData {
		return d.descriptor(TypeData, uint64(n))
	}
	b, err := d.take(int(n))
	if err != nil {
		return nil, err
	}
	return Data(b), nil
}

func (d *decoder) text() (Value, error) {
	n, err := d.u32()
	if err != nil {
		return nil, err
	}
	b, err := d.take(int(n))
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(b, 0) != len(b)-1 || len(b) == 0 {
		return nil, d.fail("the zero byte of a string is not its last")
	}
	return String(b[:len(b)-1]), nil
}

// container reads the head of an array or dictionary: the count, and where its items end.
func (d *decoder) container(least int) (n, end int, err error) {
	size, err := d.u32()
	if err != nil {
		return 0, 0, err
	}
	if size < 4 || uint64(size) > uint64(len(d.b)-d.at) {
		return 0, 0, d.fail("an array or dictionary of %d bytes, %d are left", size, len(d.b)-d.at)
	}
	end = d.at + int(size)
	count, err := d.u32()
	if err != nil {
		return 0, 0, err
	}
	if uint64(count)*uint64(least) > uint64(end-d.at) {
		return 0, 0, d.fail("%d values cannot be in %d bytes", count, end-d.at)
	}
	return int(count), end, nil
}

func (d *decoder) array(depth int) (Value, error) {
	n, end, err := d.container(4)
	if err != nil {
		return nil, err
	}
	a := make(Array, 0, n)
	for range n {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		a = append(a, v)
	}
	if d.at != end {
		return nil, d.fail("an array ends at %d, its last value elsewhere", end)
	}
	return a, nil
}

func (d *decoder) dictionary(depth int) (*Dictionary, error) {
	n, end, err := d.container(8)
	if err != nil {
		return nil, err
	}
	dict := &Dictionary{pairs: make([]pair, 0, n)}
	for range n {
		if d.at > end {
			return nil, d.fail("a dictionary ends at %d, in the middle of a value", end)
		}
		i := bytes.IndexByte(d.b[d.at:end], 0)
		if i < 0 {
			return nil, d.fail("a key has no end")
		}
		key, err := d.take(i + 1)
		if err != nil {
			return nil, err
		}
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if dict.find(string(key[:i])) >= 0 {
			return nil, d.fail("the key %q is there twice", key[:i])
		}
		dict.Set(string(key[:i]), v)
	}
	if d.at != end {
		return nil, d.fail("a dictionary ends at %d, its last value elsewhere", end)
	}
	return dict, nil
}
