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

var aluNames = [8]string{"add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"}
var aluKinds = [8]op.Kind{op.Add, op.Or, op.Add, op.Sub, op.And, op.Sub, op.Xor, op.Sub}

// alu does an arithmetic operation of a with b (None: imm); put stores the result.
func (t *translation) alu(which int, a, b op.Reg, imm int64, size uint8, put func(op.Reg)) {
	w := size * 8
	t.in.Name = aluNames[which]
	k := aluKinds[which]
	same := a == b
	switch which {
	case 7:
		t.emit(op.Op{Kind: op.Flags, Test: op.Cmp, A: a, B: b, Imm: imm, Width: w})
		return
	case 2, 3:
		if which == 3 && same {
			t.emit(op.Op{Kind: op.Const, Dst: t2, Imm: -1, Width: w})
			t.emit(op.Op{Kind: op.Const, Dst: t3})
		} else {
			t.emit(op.Op{Kind: k, Dst: t3, A: a, B: b, Imm: imm, Width: w})
			t.emit(op.Op{Kind: k, Dst: t2, A: t3, B: op.None, Imm: 1, Width: w})
		}
		t.emit(op.Op{Kind: op.Select, Dst: t3, A: t2, B: t3, Cond: op.Ult, Width: w})
		put(t3)
		t.flagsLost()
		return
	case 5:
		if !same {
			t.emit(op.Op{Kind: op.Flags, Test: op.Cmp, A: a, B: b, Imm: imm, Width: w})
			t.emit(op.Op{Kind: k, Dst: t3, A: a, B: b, Imm: imm, Width: w})
			put(t3)
			return
		}
	}
	if same && (which == 5 || which == 6) {
		t.emit(op.Op{Kind: op.Const, Dst: t3})
	} else {
		t.emit(op.Op{Kind: k, Dst: t3, A: a, B: b, Imm: imm, Width: w})
	}
	put(t3)
	t.emit(op.Op{Kind: op.Flags, Test: op.Res, A: t3, B: op.None, Width: w})
}

func (t *translation) test(a, b op.Reg, imm int64, size uint8) {
	t.in.Name = "test"
	if a == b { // a test of a register with itself compares it with zero
		t.emit(op.Op{Kind: op.Flags, Test: op.Cmp, A: a, B: op.None, Width: size * 8})
		return
	}
	t.emit(op.Op{Kind: op.Flags, Test: op.Tst, A: a, B: b, Imm: imm, Width: size * 8})
}

func (t *translation) push(v op.Reg) {
	t.in.Name = "push"
	t.emit(op.Op{Kind: op.Move, Dst: t1, A: v, Width: 64})
	t.emit(op.Op{Kind: op.Sub, Dst: SP, A: SP, B: op.None, Imm: 8, Width: 64})
	t.emit(op.Op{Kind: op.Store, A: SP, B: t1, Size: 8})
}

func (t *translation) pop(dst op.Reg) {
	t.in.Name = "pop"
	t.emit(op.Op{Kind: op.Load, Dst: t1, A: SP, B: op.None, Size: 8, Width: 64})
	t.emit(op.Op{Kind: op.Add, Dst: SP, A: SP, B: op.None, Imm: 8, Width: 64})
	t.emit(op.Op{Kind: op.Move, Dst: dst, A: t1, Width: 64})
}

func (t *translation) branch(cond op.Cond) {
	t.in.Flow, t.in.Name, t.in.Cond = op.Branch, "jcc", cond
	t.in.Target = t.next + uint64(t.f.imm)
}

// one translates the one-byte opcodes.
func (t *translation) one() {
	f := &t.f
	o := f.opcode
	switch {
	case o < 0x40:
		t.aluForms()
	case o < 0x58:
		t.push(op.Reg(int(o&7) + f.b))
	case o < 0x60:
		t.pop(op.Reg(int(o&7) + f.b))
	case o == 0x63:
		t.in.Name = "movsxd"
		t.extend(4, f.rexW)
	case o == 0x68, o == 0x6a:
		t.in.Name = "push"
		t.emit(op.Op{Kind: op.Sub, Dst: SP, A: SP, B: op.None, Imm: 8, Width: 64})
		t.emit(op.Op{Kind: op.StoreImm, A: SP, B: op.None, Size: 8, Val: uint64(f.imm)})
	case o == 0x69, o == 0x6b:
		t.in.Name = "imul"
		v := t.readRM(t.size(), t1)
		t.emit(op.Op{Kind: op.Mul, Dst: t1, A: v, B: op.None, Imm: f.imm, Width: t.size() * 8})
		t.write(t.reg(), t.size(), t1)
		t.flagsLost()
	case o >= 0x6c && o < 0x70, o >= 0xa4 && o < 0xa8, o >= 0xaa && o < 0xb0:
		t.strings()
	case o >= 0x70 && o < 0x80:
		t.branch(conditions[o&15])
	case o >= 0x80 && o < 0x84:
		size := t.sizeOf()
		a := t.readRM(size, t1)
		t.alu(f.reg, a, op.None, f.imm, size, func(v op.Reg) { t.writeRM(size, v) })
	case o == 0x84, o == 0x85:
		size := t.sizeOf()
		t.test(t.readRM(size, t1), t.read(t.reg(), size, t2), 0, size)
	case o == 0x86, o == 0x87:
		t.in.Name = "xchg"
		size := t.sizeOf()
		t.emit(op.Op{Kind: op.Move, Dst: t3, A: t.readRM(size, t1), Width: 64})
		t.writeRM(size, t.read(t.reg(), size, t2))
		t.write(t.reg(), size, t3)
	case o >= 0x88 && o < 0x8c:
		t.mov()
	case o == 0x8c:
		t.lose(2)
	case o == 0x8d:
		t.lea()
	case o == 0x8e:
	case o == 0x8f:
		t.pop(t3)
		t.writeRM(8, t3)
	case o >= 0x90 && o < 0x98:
		if r := int(o&7) + f.b; r != 0 {
			t.in.Name = "xchg"
			size := t.size()
			t.emit(op.Op{Kind: op.Move, Dst: t3, A: rax, Width: 64})
			t.write(0, size, op.Reg(r))
			t.write(r, size, t3)
		}
	case o == 0x98:
		t.in.Name = "cdqe"
		size := t.size()
		t.emit(op.Op{Kind: op.Extract, Dst: t1, A: rax, Size: size * 4, Signed: true, Width: 64})
		t.write(0, size, t1)
	case o == 0x99:
		t.in.Name = "cdq"
		size := t.size()
		t.emit(op.Op{Kind: op.Sar, Dst: t1, A: rax, B: op.None, Imm: int64(size)*8 - 1, Width: size * 8})
		t.write(2, size, t1)
	default:
		t.oneHigh()
	}
}

func (t *translation) aluForms() {
	f := &t.f
	which := int(f.opcode >> 3)
	size := t.sizeOf()
	switch f.opcode & 7 {
	case 0, 1:
		b := t.read(t.reg(), size, t2)
		if f.mod == 3 && t.rm() == t.reg() {
			t.alu(which, b, b, 0, size, func(v op.Reg) { t.writeRM(size, v) })
			return
		}
		t.alu(which, t.readRM(size, t1), b, 0, size, func(v op.Reg) { t.writeRM(size, v) })
	case 2, 3:
		a := t.read(t.reg(), size, t2)
		if f.mod == 3 && t.rm() == t.reg() {
			t.alu(which, a, a, 0, size, func(v op.Reg) { t.write(t.reg(), size, v) })
			return
		}
		t.alu(which, a, t.readRM(size, t1), 0, size, func(v op.Reg) { t.write(t.reg(), size, v) })
	case 4, 5:
		t.alu(which, rax, op.None, f.imm, size, func(v op.Reg) { t.write(0, size, v) })
	}
}

func (t *translation) mov() {
	t.in.Name = "mov"
	size := t.sizeOf()
	if t.f.opcode < 0x8a {
		t.writeRM(size, t.read(t.reg(), size, t2))
		return
	}
	if t.f.mod != 3 && size >= 4 {
		a, imm := t.mem()
		t.emit(op.Op{Kind: op.Load, Dst: op.Reg(t.reg()), A: a, B: op.None, Imm: imm, Size: size, Width: 64})
		return
	}
	t.write(t.reg(), size, t.readRM(size, t1))
}

func (t *translation) lea() {
	t.in.Name = "lea"
	if t.f.mod == 3 {
		t.in.Flow = op.Undecodable
		return
	}
	if t.f.segment && !t.f.addr32 { // segments do not count
		t.f.segment = false
	}
	size := t.size()
	a, imm := t.mem()
	switch {
	case a == op.None && size == 8:
		t.emit(op.Op{Kind: op.Addr, Dst: op.Reg(t.reg()), Imm: imm})
	case a == op.None:
		t.emit(op.Op{Kind: op.Addr, Dst: t1, Imm: imm})
		t.write(t.reg(), size, t1)
	case size >= 4:
		t.emit(op.Op{Kind: op.Add, Dst: op.Reg(t.reg()), A: a, B: op.None, Imm: imm, Width: size * 8})
	default:
		t.emit(op.Op{Kind: op.Add, Dst: t1, A: a, B: op.None, Imm: imm, Width: 64})
		t.write(t.reg(), size, t1)
	}
}

// strings translates the string instructions.
func (t *translation) strings() {
	t.in.Name = "string"
	switch t.f.opcode & 0xfe {
	case 0x6c, 0xa4, 0xaa: // ins, movs, stos
		t.emit(op.Op{Kind: op.Havoc, A: rdi})
	case 0xac: // lods
		t.clobber(rax)
	}
	for _, r := range []op.Reg{rsi, rdi, rcx} {
		t.emit(op.Op{Kind: op.Clobber, Dst: r, A: r, B: op.None})
	}
	t.flagsLost()
}

// oneHigh translates the one-byte opcodes from 9a on.
func (t *translation) oneHigh() {
	f := &t.f
	switch o := f.opcode; {
	case o == 0x9b, o == 0x9e, o >= 0xf8 && o < 0xfe, o == 0xf5:
		if o != 0x9b {
			t.flagsLost()
		}
	case o == 0x9c:
		t.clobber(t3)
		t.push(t3)
	case o == 0x9d:
		t.pop(t3)
		t.flagsLost()
	case o == 0x9f, o == 0xa0, o == 0xa1, o == 0xd7, o == 0xe4, o == 0xe5, o == 0xec, o == 0xed:
		t.clobber(rax)
	case o == 0xa2, o == 0xa3:
		t.clobber(t0)
		t.emit(op.Op{Kind: op.Havoc, A: t0, Size: 8})
	case o == 0xa8, o == 0xa9:
		t.test(rax, op.None, f.imm, t.sizeOf())
	case o >= 0xb0 && o < 0xb8:
		t.in.Name = "mov"
		t.emit(op.Op{Kind: op.Const, Dst: t1, Imm: f.imm})
		t.write(int(o&7)+f.b, 1, t1)
	case o >= 0xb8 && o < 0xc0:
		t.in.Name = "mov"
		if size := t.size(); size >= 4 {
			t.emit(op.Op{Kind: op.Const, Dst: op.Reg(int(o&7) + f.b), Imm: f.imm, Width: size * 8})
		} else {
			t.emit(op.Op{Kind: op.Const, Dst: t1, Imm: f.imm})
			t.write(int(o&7)+f.b, size, t1)
		}
	case o == 0xc0, o == 0xc1, o >= 0xd0 && o < 0xd4:
		t.shift()
	case o == 0xc2, o == 0xc3, o == 0xca, o == 0xcb, o == 0xcf:
		t.in.Flow, t.in.Name = op.Return, "ret"
	case o == 0xc6, o == 0xc7:
		t.movImm()
	case o == 0xc9:
		t.in.Name = "leave"
		t.emit(op.Op{Kind: op.Move, Dst: SP, A: BP, Width: 64})
		t.pop(BP)
	case o == 0xcc: // int3: a debugger goes on
	case o >= 0xd8 && o < 0xe0:
		t.x87()
	case o >= 0xe0 && o < 0xe3:
		t.clobber(rcx)
		t.branch(op.Maybe)
	case o == 0xe3:
		t.branch(op.Eq)
		t.in.Test, t.in.A, t.in.Width = op.Cmp, rcx, 64
		if f.addr32 {
			t.in.Width = 32
		}
	case o == 0xe6, o == 0xe7, o == 0xee, o == 0xef: // out
	case o == 0xe8, o == 0xe9, o == 0xeb:
		t.in.Flow, t.in.Name = op.Jump, "jmp"
		if o == 0xe8 {
			t.in.Flow, t.in.Name = op.Call, "call"
		}
		t.in.Target = t.next + uint64(f.imm)
	case o == 0xf4:
		t.in.Flow, t.in.Name = op.Stop, "hlt"
	case o == 0xf6, o == 0xf7:
		t.group3()
	case o == 0xfe, o == 0xff:
		t.group5()
	default: // int, enter, far transfers
		t.in.Name = "system"
		t.all()
	}
}

func (t *translation) movImm() {
	f := &t.f
	size := t.sizeOf()
	t.in.Name = "mov"
	if f.reg != 0 { // transactions
		t.all()
		return
	}
	if f.mod != 3 {
		a, imm := t.mem()
		v := uint64(f.imm)
		if size < 8 {
			v &= 1<<(size*8) - 1
		}
		t.emit(op.Op{Kind: op.StoreImm, A: a, B: op.None, Imm: imm, Size: size, Val: v})
		return
	}
	t.emit(op.Op{Kind: op.Const, Dst: t1, Imm: f.imm})
	if size >= 4 {
		t.in.Ops = t.in.Ops[:0]
		t.emit(op.Op{Kind: op.Const, Dst: op.Reg(t.rm()), Imm: f.imm, Width: size * 8})
		return
	}
	t.write(t.rm(), size, t1)
}

func (t *translation) shift() {
	f := &t.f
	size := t.sizeOf()
	w := size * 8
	t.in.Name = "shift"
	k := [8]op.Kind{op.Ror, op.Ror, op.Nop, op.Nop, op.Shl, op.Shr, op.Shl, op.Sar}[f.reg]
	n, by := f.imm&31, op.None
	if size == 8 {
		n = f.imm & 63
	}
	switch f.opcode {
	case 0xd0, 0xd1:
		n = 1
	case 0xd2, 0xd3:
		by = rcx
	}
	if f.reg == 0 && by == op.None {
		n = (int64(w) - n%int64(w)) % int64(w)
	}
	// Counts of bytes and words are not cut to their width; turning left by a register is not modelled.
	if k == op.Nop || f.reg == 0 && by != op.None || size < 4 && (by != op.None || n >= int64(w)) {
		t.lose(size)
		t.flagsLost()
		return
	}
	v := t.readRM(size, t1)
	t.emit(op.Op{Kind: k, Dst: t3, A: v, B: by, Imm: n, Width: w})
	t.writeRM(size, t3)
	if by == op.None && n != 0 && f.reg >= 4 {
		t.emit(op.Op{Kind: op.Flags, Test: op.Res, A: t3, B: op.None, Width: w})
	} else if by != op.None || n != 0 {
		t.flagsLost()
	}
}

func (t *translation) group3() {
	f := &t.f
	size := t.sizeOf()
	w := size * 8
	switch f.reg {
	case 0, 1:
		t.test(t.readRM(size, t1), op.None, f.imm, size)
	case 2:
		t.in.Name = "not"
		t.emit(op.Op{Kind: op.Xor, Dst: t3, A: t.readRM(size, t1), B: op.None, Imm: -1, Width: w})
		t.writeRM(size, t3)
	case 3:
		t.in.Name = "neg"
		v := t.readRM(size, t1)
		t.emit(op.Op{Kind: op.Const, Dst: t2})
		t.emit(op.Op{Kind: op.Flags, Test: op.Cmp, A: t2, B: v, Width: w})
		t.emit(op.Op{Kind: op.Sub, Dst: t3, A: t2, B: v, Width: w})
		t.writeRM(size, t3)
	default:
		t.in.Name = "mul"
		t.clobber(rax)
		t.clobber(rdx)
		t.flagsLost()
	}
}

func (t *translation) group5() {
	f := &t.f
	size := t.sizeOf()
	switch {
	case f.reg < 2:
		t.in.Name = "inc"
		k := op.Add
		if f.reg == 1 {
			k = op.Sub
		}
		t.emit(op.Op{Kind: k, Dst: t3, A: t.readRM(size, t1), B: op.None, Imm: 1, Width: size * 8})
		t.writeRM(size, t3)
		t.emit(op.Op{Kind: op.Flags, Test: op.Res, A: t3, B: op.None, Width: size * 8})
	case f.opcode == 0xfe:
		t.in.Flow = op.Undecodable
	case f.reg == 2, f.reg == 4:
		t.in.Flow, t.in.Name = op.CallReg, "call"
		if f.reg == 4 {
			t.in.Flow, t.in.Name = op.JumpReg, "jmp"
		}
		t.in.Reg = t.readRM(8, t1)
	case f.reg == 6:
		t.push(t.readRM(8, t1))
	default:
		t.in.Name = "far"
		t.in.Flow = op.Undecodable
	}
}

// x87 translates floating-point instructions: only what they write to memory, rax and the flags counts.
func (t *translation) x87() {
	f := &t.f
	t.in.Name = "x87"
	if f.mod == 3 {
		if f.opcode == 0xdf && f.reg == 4 {
			t.clobber(rax)
		}
		t.flagsLost()
		return
	}
	if f.opcode&1 == 0 && f.opcode != 0xdf || f.reg == 0 || f.opcode == 0xd9 && (f.reg == 4 || f.reg == 5) {
		return
	}
	size := uint8(16)
	if (f.opcode == 0xd9 || f.opcode == 0xdd) && f.reg == 6 {
		size = 0
	}
	a, imm := t.mem()
	t.emit(op.Op{Kind: op.Havoc, A: a, Imm: imm, Size: size})
}
