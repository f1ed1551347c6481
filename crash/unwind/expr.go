package unwind

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	maxSteps = 1000 // of one expression
	maxStack = 64
)

var errExpression = errors.New("a DWARF expression that makes no sense")

// evaluate runs a DWARF expression over the registers of a frame and the memory of the process. Initial values are
// pushed first.
//
// Source: DWARF Debugging Information Format version 5, sections 2.5 and 6.4.2.
func evaluate(expr []byte, regs *Registers, mem io.ReaderAt, initial ...uint64) (uint64, error) {
	stack := append(make([]uint64, 0, 16), initial...)
	r := &reader{data: expr}
	bad := false
	pop := func() uint64 {
		if len(stack) == 0 {
			bad = true
			return 0
		}
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		return v
	}
	push := func(v uint64) { stack = append(stack, v) }
	pick := func(n int) {
		if n >= len(stack) {
			bad = true
			return
		}
		push(stack[len(stack)-1-n])
	}
	compare := func(f func(a, b int64) bool) {
		b, a := int64(pop()), int64(pop())
		if f(a, b) {
			push(1)
		} else {
			push(0)
		}
	}
	register := func(n uint64, off int64) {
		v, ok := regs.Get(int(min(n, registers)))
		if !ok {
			bad = true
		}
		push(v + uint64(off))
	}
	for steps := 0; r.left() > 0; steps++ {
		if steps >= maxSteps || len(stack) > maxStack || bad || r.err != nil {
			return 0, errExpression
		}
		op := r.u8()
		switch {
		case op >= 0x30 && op <= 0x4f: // lit
			push(uint64(op - 0x30))
			continue
		case op >= 0x70 && op <= 0x8f: // breg
			register(uint64(op-0x70), r.sleb())
			continue
		}
		switch op {
		case 0x03, 0x0e, 0x0f: // addr, const8u, const8s
			push(r.u64())
		case 0x06:
			v, err := readWord(mem, pop())
			if err != nil {
				return 0, err
			}
			push(v)
		case 0x08:
			push(uint64(r.u8()))
		case 0x09:
			push(uint64(int64(int8(r.u8()))))
		case 0x0a:
			push(uint64(r.u16()))
		case 0x0b:
			push(uint64(int64(int16(r.u16()))))
		case 0x0c:
			push(uint64(r.u32()))
		case 0x0d:
			push(uint64(int64(int32(r.u32()))))
		case 0x10:
			push(r.uleb())
		case 0x11:
			push(uint64(r.sleb()))
		case 0x12:
			pick(0)
		case 0x13:
			pop()
		case 0x14:
			pick(1)
		case 0x15:
			pick(int(r.u8()))
		case 0x16: // swap
			b, a := pop(), pop()
			push(b)
			push(a)
		case 0x17: // rot: the first entry becomes the third
			c, b, a := pop(), pop(), pop()
			push(c)
			push(a)
			push(b)
		case 0x19:
			v := int64(pop())
			if v < 0 {
				v = -v
			}
			push(uint64(v))
		case 0x1a:
			b, a := pop(), pop()
			push(a & b)
		case 0x1b:
			b, a := int64(pop()), int64(pop())
			if b == 0 {
				return 0, errExpression
			}
			push(uint64(a / b))
		case 0x1c:
			b, a := pop(), pop()
			push(a - b)
		case 0x1d:
			b, a := pop(), pop()
			if b == 0 {
				return 0, errExpression
			}
			push(a % b)
		case 0x1e:
			b, a := pop(), pop()
			push(a * b)
		case 0x1f:
			push(-pop())
		case 0x20:
			push(^pop())
		case 0x21:
			b, a := pop(), pop()
			push(a | b)
		case 0x22:
			b, a := pop(), pop()
			push(a + b)
		case 0x23:
			push(pop() + r.uleb())
		case 0x24:
			b, a := pop(), pop()
			push(a << b)
		case 0x25:
			b, a := pop(), pop()
			push(a >> b)
		case 0x26:
			b, a := pop(), int64(pop())
			push(uint64(a >> b))
		case 0x27:
			b, a := pop(), pop()
			push(a ^ b)
		case 0x28, 0x2f: // bra, skip
			to := int(int16(r.u16()))
			if op == 0x28 && pop() == 0 {
				break
			}
			if to += r.off; to < 0 || to > len(r.data) {
				return 0, errExpression
			}
			r.off = to
		case 0x29:
			compare(func(a, b int64) bool { return a == b })
		case 0x2a:
			compare(func(a, b int64) bool { return a >= b })
		case 0x2b:
			compare(func(a, b int64) bool { return a > b })
		case 0x2c:
			compare(func(a, b int64) bool { return a <= b })
		case 0x2d:
			compare(func(a, b int64) bool { return a < b })
		case 0x2e:
			compare(func(a, b int64) bool { return a != b })
		case 0x92:
			n := r.uleb()
			register(n, r.sleb())
		case 0x94: // deref_size
			n := r.u8()
			v, err := readWord(mem, pop())
			if err != nil {
				return 0, err
			}
			if n < 8 {
				v &= 1<<(8*n) - 1
			}
			push(v)
		case 0x96: // nop
		default:
			return 0, fmt.Errorf("DWARF operation %#x is not known", op)
		}
	}
	v := pop()
	if bad || r.err != nil {
		return 0, errExpression
	}
	return v, nil
}

// readWord reads 64 bits of the process.
func readWord(mem io.ReaderAt, addr uint64) (uint64, error) {
	var b [8]byte
	if mem == nil {
		return 0, errMemory
	}
	if n, err := mem.ReadAt(b[:], int64(addr)); n < len(b) {
		return 0, fmt.Errorf("memory at %#x: %w", addr, errors.Join(errMemory, err))
	}
	return binary.LittleEndian.Uint64(b[:]), nil
}

var errMemory = errors.New("cannot be read")
