package amd64

import "portcullis.dev/check/flow/op"

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
	t.relative()
}

// relative sets the target of a branch.
func (t *translation) relative() {
	t.in.Target = t.next + uint64(t.f.imm)
	if t.f.immLen == 4 {
		t.in.Field = uint8(t.f.immAt)
	}
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
		t.relative()
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
