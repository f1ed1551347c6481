package xpc

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// The first four bytes of an encoded value say how it travels; a version follows.
const (
	magicMach   = 0x40585043 // "CPX@": in Mach messages
	magicStream = 0x42133742 // over byte streams
	wireVersion = 5
)

// LargeData is how many bytes of Data a Mach message carries among its other values; longer ones go beside it, as
// memory out of line.
const LargeData = 0x4000

// MaxDepth bounds arrays and dictionaries within each other. What Apple's bound is is not known.
const MaxDepth = 128

// Marshal encodes a value for a byte stream, as xpc_make_serialization does. Values that only a kernel can hand over
// give an error.
func Marshal(v Value) ([]byte, error) {
	e := encoder{}
	if err := e.graph(magicStream, v); err != nil {
		return nil, err
	}
	return e.b, nil
}

// encoder writes a value. Values with a descriptor of their own are collected in the order in which they are met, which
// is how the reader finds them.
type encoder struct {
	b        []byte
	beside   []Value
	kernel   bool // there is one, to hand over rights
	scratch4 [4]byte
}

func (e *encoder) graph(magic uint32, v Value) error {
	e.u32(magic)
	e.u32(wireVersion)
	return e.value(v, 0)
}

func (e *encoder) u32(v uint32)  { e.b = binary.LittleEndian.AppendUint32(e.b, v) }
func (e *encoder) u64(v uint64)  { e.b = binary.LittleEndian.AppendUint64(e.b, v) }
func (e *encoder) tag(t Type)    { e.u32(uint32(t)) }
func (e *encoder) pad(start int) { e.b = append(e.b, e.scratch4[:-(len(e.b)-start)&3]...) }

// length writes the length of bytes.
func (e *encoder) length(n int) error {
	if n > math.MaxUint32-4 {
		return fmt.Errorf("xpc: %d bytes are more than a message holds", n)
	}
	e.u32(uint32(n))
	return nil
}

func (e *encoder) value(v Value, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("xpc: values lie more than %d deep within each other", MaxDepth)
	}
	if v == nil {
		return fmt.Errorf("xpc: a nil value cannot be encoded")
	}
	e.tag(v.Type())
	switch v := v.(type) {
	case Null:
	case Bool:
		n := uint32(0)
		if v {
			n = 1
		}
		e.u32(n)
	case Int64:
		e.u64(uint64(v))
	case Uint64:
		e.u64(uint64(v))
	case Double:
		e.u64(math.Float64bits(float64(v)))
	case Date:
		e.u64(uint64(v))
	case Data:
		return e.data(v)
	case String:
		return e.text(string(v))
	case UUID:
		e.b = append(e.b, v[:]...)
	case Array:
		return e.container(len(v), depth, func(i int) error { return e.value(v[i], depth+1) })
	case *Dictionary:
		return e.dictionary(v, depth)
	case *Error:
		return e.dictionary(v.Info, depth)
	case *FileTransfer:
		e.u64(v.ID)
		return e.value(v.Info, depth+1)
	case *SharedMemory:
		e.u64(uint64(v.Len()))
		return e.descriptor(v)
	default:
		return e.descriptor(v)
	}
	return nil
}

// descriptor puts a value beside the message.
func (e *encoder) descriptor(v Value) error {
	if !e.kernel {
		return fmt.Errorf("xpc: a value of type %v cannot leave the machine", v.Type())
	}
	e.beside = append(e.beside, v)
	return nil
}

func (e *encoder) data(v Data) error {
	if err := e.length(len(v)); err != nil {
		return err
	}
	if e.kernel && len(v) > LargeData {
		e.beside = append(e.beside, v)
		return nil
	}
	start := len(e.b)
	e.b = append(e.b, v...)
	e.pad(start)
	return nil
}

func (e *encoder) text(s string) error {
	if strings.IndexByte(s, 0) >= 0 {
		return fmt.Errorf("xpc: a string with a zero byte cannot be encoded")
	}
	if err := e.length(len(s) + 1); err != nil {
		return err
	}
	e.cstring(s)
	return nil
}

func (e *encoder) cstring(s string) {
	start := len(e.b)
	e.b = append(append(e.b, s...), 0)
	e.pad(start)
}

// container writes the length of what follows it, the count, and n items.
func (e *encoder) container(n, depth int, item func(int) error) error {
	at := len(e.b)
	e.u32(0)
	e.u32(uint32(n))
	for i := range n {
		if err := item(i); err != nil {
			return err
		}
	}
	size := len(e.b) - at - 4
	if size > math.MaxUint32-4 {
		return fmt.Errorf("xpc: %d bytes are more than a message holds", size)
	}
	binary.LittleEndian.PutUint32(e.b[at:], uint32(size))
	return nil
}

func (e *encoder) dictionary(d *Dictionary, depth int) error {
	return e.container(d.Len(), depth, func(i int) error {
		p := &d.pairs[i]
		if strings.IndexByte(p.key, 0) >= 0 {
			return fmt.Errorf("xpc: a key with a zero byte cannot be encoded")
		}
		e.cstring(p.key)
		if err := e.value(p.value, depth+1); err != nil {
			return fmt.Errorf("%w (under %q)", err, p.key)
		}
		return nil
	})
}
