package arm64

import "portcullis.dev/check/flow/op"

// register translates "Data Processing -- Register".
func (t *translation) register() {
	wd := t.width()
	switch {
	case t.w&0x1f000000 == 0x0a000000:
		t.logicalReg(wd)
	case t.w&0x1f200000 == 0x0b000000:
		if t.bits(23, 22) == 3 {
			t.in.Flow = op.Undecodable
			return
		}
		t.addSub0(t.src(t.rn()), t.shifted(wd), wd)
	case t.w&0x1f200000 == 0x0b200000:
		t.addSub(op.Reg(t.rn()), t.extended(wd), 0, wd)
	case t.w&0x1fe00000 == 0x1a000000:
		t.withCarry(wd)
	case t.w&0x1fe00000 == 0x1a400000:
		t.emit(op.Op{Kind: op.ClobberFlags})
	case t.w&0x1fe00000 == 0x1a800000:
		t.selection(wd)
	case t.w&0x1f000000 == 0x1b000000:
		t.multiply(wd)
	case t.w&0x5fe00000 == 0x1ac00000:
		t.twoSource(wd)
	case t.w&0x5fe00000 == 0x5ac00000:
		if t.rm() == 1 { // pointer authentication: the pointer stays what it is
			t.in.Name = "pac"
			return
		}
		t.in.Name = "rev"
		if t.rd() != 31 {
			t.emit(op.Op{Kind: op.Clobber, Dst: op.Reg(t.rd()), A: op.None, B: op.None, Width: wd})
		}
	default:
		t.in.Flow = op.Undecodable
	}
}

// addSub0 is addSub where register 31 is zero, not the stack pointer.
func (t *translation) addSub0(a, b op.Reg, wd uint8) {
	if t.rd() == 31 && t.w>>29&1 == 0 {
		return
	}
	if a == zr && t.w>>30&1 == 1 {
		t.in.Name = "neg"
	}
	t.addSub(a, b, 0, wd)
}

// shifted is the second operand of a shifted-register form.
func (t *translation) shifted(wd uint8) op.Reg {
	m := t.src(t.rm())
	n := int64(t.bits(15, 10))
	if n == 0 {
		return m
	}
	k := [4]op.Kind{op.Shl, op.Shr, op.Sar, op.Ror}[t.bits(23, 22)]
	t.emit(op.Op{Kind: k, Dst: t0, A: m, B: op.None, Imm: n, Width: wd})
	return t0
}

// extended is the second operand of an extended-register form, or the index of a load.
func (t *translation) extended(wd uint8) op.Reg { return t.extend(int64(t.bits(12, 10)), wd) }

func (t *translation) extend(shift int64, wd uint8) op.Reg {
	option := t.bits(15, 13)
	m := t.src(t.rm())
	size := uint8(8) << (option & 3)
	if size < 64 {
		t.emit(op.Op{Kind: op.Extract, Dst: t0, A: m, Size: size, Signed: option&4 != 0, Width: wd})
		m = t0
	}
	if shift != 0 {
		t.emit(op.Op{Kind: op.Shl, Dst: t0, A: m, B: op.None, Imm: shift, Width: wd})
		m = t0
	}
	return m
}

func (t *translation) logicalReg(wd uint8) {
	opc := t.bits(30, 29)
	if wd == 32 && t.bits(15, 10) >= 32 {
		t.in.Flow = op.Undecodable
		return
	}
	t.in.Name = logicalNames[opc]
	a, b := t.src(t.rn()), t.shifted(wd)
	if t.w>>21&1 == 1 {
		t.emit(op.Op{Kind: op.Xor, Dst: t1, A: b, B: op.None, Imm: -1, Width: wd})
		b = t1
	}
	d := dst(t.rd())
	switch {
	case opc == 1 && t.rn() == 31:
		t.in.Name = "mov"
		t.emit(op.Op{Kind: op.Move, Dst: d, A: b, Width: wd})
		return
	case opc == 3 && a == b:
		t.emit(op.Op{Kind: op.Flags, Test: op.Res, A: a, B: op.None, Width: wd})
	case opc == 3:
		t.emit(op.Op{Kind: op.Flags, Test: op.Tst, A: a, B: b, Width: wd})
	case opc == 2 && a == b:
		t.emit(op.Op{Kind: op.Const, Dst: d})
		return
	}
	t.emit(op.Op{Kind: logicalKinds[opc], Dst: d, A: a, B: b, Width: wd})
}

func (t *translation) withCarry(wd uint8) {
	if t.bits(15, 10) != 0 { // rmif, setf8
		t.emit(op.Op{Kind: op.ClobberFlags})
		return
	}
	a, b, d := t.src(t.rn()), t.src(t.rm()), dst(t.rd())
	if t.w>>30&1 == 0 {
		t.in.Name = "adc"
		t.emit(op.Op{Kind: op.Add, Dst: t0, A: a, B: b, Width: wd})
		t.emit(op.Op{Kind: op.Add, Dst: t1, A: t0, B: op.None, Imm: 1, Width: wd})
		t.emit(op.Op{Kind: op.Select, Dst: d, A: t1, B: t0, Cond: op.Uge, Width: wd})
	} else {
		t.in.Name = "sbc"
		t.emit(op.Op{Kind: op.Sub, Dst: t0, A: a, B: b, Width: wd})
		t.emit(op.Op{Kind: op.Sub, Dst: t1, A: t0, B: op.None, Imm: 1, Width: wd})
		t.emit(op.Op{Kind: op.Select, Dst: d, A: t0, B: t1, Cond: op.Uge, Width: wd})
	}
	if t.w>>29&1 == 1 {
		t.emit(op.Op{Kind: op.ClobberFlags})
	}
}

func (t *translation) selection(wd uint8) {
	if t.w>>29&1 == 1 || t.w>>11&1 == 1 {
		t.in.Flow = op.Undecodable
		return
	}
	a, b := t.src(t.rn()), t.src(t.rm())
	switch t.w>>29&2 | t.w>>10&1 {
	case 0:
		t.in.Name = "csel"
	case 1:
		t.in.Name = "csinc"
		t.emit(op.Op{Kind: op.Add, Dst: t0, A: b, B: op.None, Imm: 1, Width: wd})
		b = t0
	case 2:
		t.in.Name = "csinv"
		t.emit(op.Op{Kind: op.Xor, Dst: t0, A: b, B: op.None, Imm: -1, Width: wd})
		b = t0
	case 3:
		t.in.Name = "csneg"
		t.emit(op.Op{Kind: op.Const, Dst: t1})
		t.emit(op.Op{Kind: op.Sub, Dst: t0, A: t1, B: b, Width: wd})
		b = t0
	}
	t.emit(op.Op{Kind: op.Select, Dst: dst(t.rd()), A: a, B: b, Cond: conditions[t.bits(15, 12)], Width: wd})
}

func (t *translation) multiply(wd uint8) {
	a, b := t.src(t.rn()), t.src(t.rm())
	sum := t.src(t.bits(14, 10))
	k := op.Add
	if t.w>>15&1 == 1 {
		k = op.Sub
	}
	t.in.Name = "mul"
	switch t.bits(23, 21) {
	case 0:
	case 1, 5:
		signed := t.bits(23, 21) == 1
		t.emit(op.Op{Kind: op.Extract, Dst: t0, A: a, Size: 32, Signed: signed, Width: 64})
		t.emit(op.Op{Kind: op.Extract, Dst: t1, A: b, Size: 32, Signed: signed, Width: 64})
		a, b = t0, t1
	default:
		t.clobber(t.rd())
		return
	}
	t.emit(op.Op{Kind: op.Mul, Dst: t0, A: a, B: b, Width: wd})
	t.emit(op.Op{Kind: k, Dst: dst(t.rd()), A: sum, B: t0, Width: wd})
}

func (t *translation) twoSource(wd uint8) {
	t.in.Name = "shift"
	code := t.bits(15, 10)
	if code >= 8 && code <= 11 && t.w>>29&1 == 0 {
		k := [4]op.Kind{op.Shl, op.Shr, op.Sar, op.Ror}[code-8]
		a, b := t.src(t.rn()), t.src(t.rm())
		t.emit(op.Op{Kind: k, Dst: dst(t.rd()), A: a, B: b, Width: wd})
		return
	}
	t.in.Name = "div"
	t.clobber(t.rd())
	if code == 4 && t.rd() == 31 { // irg may write the stack pointer
		t.emit(op.Op{Kind: op.Clobber, Dst: SP, A: SP, B: op.None})
	}
	if t.w>>29&1 == 1 {
		t.emit(op.Op{Kind: op.ClobberFlags})
	}
}
