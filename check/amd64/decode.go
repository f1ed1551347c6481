package amd64

import "portcullis.dev/check/flow/op"

// translation is one instruction at work.
type translation struct {
	in     *op.Inst
	f      form
	next   uint64 // address of the next instruction
	memReg op.Reg // base of the memory operand once it is formed
	memImm int64
	formed bool
}

func (t *translation) emit(o op.Op) { t.in.Ops = append(t.in.Ops, o) }

func (t *translation) clobber(r op.Reg) {
	t.emit(op.Op{Kind: op.Clobber, Dst: r, A: op.None, B: op.None})
}

func (t *translation) all() { t.emit(op.Op{Kind: op.ClobberAll}) }

func (t *translation) flagsLost() { t.emit(op.Op{Kind: op.ClobberFlags}) }

// Decode translates the instruction at the start of code.
func Decode(code []byte, addr uint64, in *op.Inst) {
	*in = op.Inst{Addr: addr, Ops: in.Ops[:0]}
	t := translation{in: in}
	if !parse(code, &t.f) {
		in.Flow = op.Undecodable
		return
	}
	in.Len = uint8(t.f.length)
	t.next = addr + uint64(t.f.length)
	if t.f.dispAt != 0 && t.f.rip {
		in.Field = uint8(t.f.dispAt)
	}
	switch {
	case t.f.vex:
		t.vexed()
	case t.f.opmap == 0:
		t.one()
	case t.f.opmap == 1:
		t.two()
	default:
		t.three()
	}
}

// size is the operand size in bytes of an instruction that is not one of bytes.
func (t *translation) size() uint8 {
	switch {
	case t.f.rexW:
		return 8
	case t.f.opsize16:
		return 2
	}
	return 4
}

// sizeOf is the operand size where the lowest bit of the opcode tells bytes from words.
func (t *translation) sizeOf() uint8 {
	if t.f.opcode&1 == 0 {
		return 1
	}
	return t.size()
}

func (t *translation) reg() int { return t.f.reg + t.f.r&8 }
func (t *translation) rm() int  { return t.f.rm + t.f.b }

// mem forms the address of the memory operand.
func (t *translation) mem() (op.Reg, int64) {
	if t.formed {
		return t.memReg, t.memImm
	}
	f := &t.f
	t.formed = true
	switch {
	case f.segment || f.addr32:
		t.clobber(t0)
		t.memReg, t.memImm = t0, 0
	case f.rip:
		t.memReg, t.memImm = op.None, int64(t.next)+f.disp
	case f.index < 0 && f.base < 0:
		t.emit(op.Op{Kind: op.Const, Dst: t0, Imm: f.disp})
		t.memReg, t.memImm = t0, 0
	case f.index < 0:
		t.memReg, t.memImm = op.Reg(f.base), f.disp
	default:
		x := op.Reg(f.index)
		if f.scale > 1 {
			shift := int64(1)
			for n := f.scale; n > 2; n >>= 1 {
				shift++
			}
			t.emit(op.Op{Kind: op.Shl, Dst: t0, A: x, B: op.None, Imm: shift, Width: 64})
			x = t0
		}
		if f.base >= 0 {
			t.emit(op.Op{Kind: op.Add, Dst: t0, A: op.Reg(f.base), B: x, Width: 64})
			x = t0
		}
		t.memReg, t.memImm = x, f.disp
	}
	return t.memReg, t.memImm
}

// read returns a register that holds general register n; of bytes, ah to bh are moved to a temporary.
func (t *translation) read(n int, size uint8, tmp op.Reg) op.Reg {
	if size == 1 && !t.f.legacyRex && n >= 4 && n < 8 {
		t.emit(op.Op{Kind: op.Extract, Dst: tmp, A: op.Reg(n - 4), Lsb: 8, Size: 8, Width: 64})
		return tmp
	}
	return op.Reg(n)
}

// readRM returns a register that holds the modrm operand.
func (t *translation) readRM(size uint8, tmp op.Reg) op.Reg {
	if t.f.mod == 3 {
		return t.read(t.rm(), size, tmp)
	}
	a, imm := t.mem()
	t.emit(op.Op{Kind: op.Load, Dst: tmp, A: a, B: op.None, Imm: imm, Size: size, Width: 64})
	return tmp
}

// extend moves the modrm operand of from bytes to the register operand, zero- or sign-extended.
func (t *translation) extend(from uint8, signed bool) {
	size := t.size()
	w := max(32, size*8)
	if t.f.mod == 3 {
		t.emit(op.Op{Kind: op.Extract, Dst: t3, A: t.read(t.rm(), from, t1), Size: from * 8, Signed: signed, Width: w})
	} else {
		a, imm := t.mem()
		t.emit(op.Op{Kind: op.Load, Dst: t3, A: a, B: op.None, Imm: imm, Size: from, Signed: signed, Width: w})
	}
	t.write(t.reg(), size, t3)
}

// write puts v into general register n. Four bytes clear the upper half, one and two leave the rest alone.
func (t *translation) write(n int, size uint8, v op.Reg) {
	switch {
	case size >= 4:
		t.emit(op.Op{Kind: op.Move, Dst: op.Reg(n), A: v, Width: size * 8})
	case size == 1 && !t.f.legacyRex && n >= 4 && n < 8:
		t.emit(op.Op{Kind: op.Insert, Dst: op.Reg(n - 4), A: v, Lsb: 8, Size: 8, Width: 64})
	default:
		t.emit(op.Op{Kind: op.Insert, Dst: op.Reg(n), A: v, Size: size * 8, Width: 64})
	}
}

func (t *translation) writeRM(size uint8, v op.Reg) {
	if t.f.mod == 3 {
		t.write(t.rm(), size, v)
		return
	}
	a, imm := t.mem()
	t.emit(op.Op{Kind: op.Store, A: a, B: v, Imm: imm, Size: size})
}

// lose forgets the modrm operand.
func (t *translation) lose(size uint8) {
	if t.f.mod == 3 {
		t.clobber(op.Reg(t.rm()))
		return
	}
	a, imm := t.mem()
	t.emit(op.Op{Kind: op.Havoc, A: a, Imm: imm, Size: size})
}

// conditions, in the order of their encoding.
var conditions = [16]op.Cond{op.Maybe, op.Maybe, op.Ult, op.Uge, op.Eq, op.Ne, op.Ule, op.Ugt, op.Neg, op.Pos, op.Maybe,
	op.Maybe, op.Slt, op.Sge, op.Sle, op.Sgt}
