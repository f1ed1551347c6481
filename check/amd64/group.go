package amd64

import "portcullis.dev/check/flow/op"

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
