package arm64

import "portcullis.dev/check/flow/op"

// vector translates "Data Processing -- Scalar Floating-Point and Advanced SIMD": moves and zeroing are modelled, for
// they build structs on the stack; the rest clobbers its destination.
func (t *translation) vector() {
	w := t.w
	d, n := t.rd(), t.rn()
	wide := w>>30&1 == 1
	switch {
	case w&0x9ff80400 == 0x0f000400:
		t.modified(wide)
	case w&0xfffffc00 == 0x9e660000, w&0xfffffc00 == 0x1e260000, w&0xfffffc00 == 0x9eae0000:
		t.in.Name = "fmov"
		t.emit(op.Op{Kind: op.Move, Dst: dst(d), A: lane(n, op.Reg(w>>19&1)), Width: t.width()})
	case w&0xfffffc00 == 0x9e670000, w&0xfffffc00 == 0x1e270000:
		t.in.Name = "fmov"
		t.emit(op.Op{Kind: op.Move, Dst: lane(d, 0), A: t.src(n), Width: t.width()})
		t.emit(op.Op{Kind: op.Const, Dst: lane(d, 1)})
	case w&0xfffffc00 == 0x9eaf0000:
		t.in.Name = "fmov"
		t.emit(op.Op{Kind: op.Move, Dst: lane(d, 1), A: t.src(n), Width: 64})
	case w&0xbfe0fc00 == 0x0ea01c00 && n == t.rm():
		t.in.Name = "mov"
		t.emit(op.Op{Kind: op.Move, Dst: lane(d, 0), A: lane(n, 0), Width: 64})
		t.high(d, n, wide)
	case w&0xbfe0fc00 == 0x2e201c00 && n == t.rm():
		t.in.Name = "eor"
		t.emit(op.Op{Kind: op.Const, Dst: lane(d, 0)})
		t.emit(op.Op{Kind: op.Const, Dst: lane(d, 1)})
	case w&0xbfe0fc00 == 0x0e000c00:
		t.duplicate(wide)
	case w&0xffe0fc00 == 0x4e001c00:
		t.in.Name = "ins"
		if size, at, ok := t.element(); ok {
			t.emit(op.Op{Kind: op.Insert, Dst: lane(d, op.Reg(at/64)), A: t.src(n), Size: size, Lsb: at % 64, Width: 64})
		} else {
			t.in.Flow = op.Undecodable
		}
	case w&0xbfe0fc00 == 0x0e003c00, w&0xbfe0fc00 == 0x0e002c00:
		t.in.Name = "umov"
		if size, at, ok := t.element(); ok {
			wd := uint8(32)
			if wide {
				wd = 64
			}
			t.emit(op.Op{Kind: op.Extract, Dst: dst(d), A: lane(n, op.Reg(at/64)), Size: size, Lsb: at % 64,
				Signed: w>>12&1 == 0, Width: wd})
		} else {
			t.in.Flow = op.Undecodable
		}
	case w&0x5f000000 == 0x1e000000:
		t.in.Name = "fp"
		switch {
		case w>>21&1 == 0 || t.bits(15, 10) == 0: // conversions from and to general registers
			t.clobber(d)
			t.clobberVec(d)
		case t.bits(15, 10) == 8, t.bits(11, 10) == 1: // fcmp, fccmp
			t.emit(op.Op{Kind: op.ClobberFlags})
		default:
			t.clobberVec(d)
		}
	default:
		t.in.Name = "simd"
		t.clobberVec(d)
	}
}

func (t *translation) high(d, n uint32, wide bool) {
	if wide {
		t.emit(op.Op{Kind: op.Move, Dst: lane(d, 1), A: lane(n, 1), Width: 64})
	} else {
		t.emit(op.Op{Kind: op.Const, Dst: lane(d, 1)})
	}
}

// element decodes imm5: the size of an element and its place, in bits.
func (t *translation) element() (size, at uint8, ok bool) {
	imm5 := t.rm()
	for i := range uint8(4) {
		if imm5>>i&1 == 1 {
			return 8 << i, uint8(imm5>>(i+1)) * (8 << i), true
		}
	}
	return 0, 0, false
}

func (t *translation) duplicate(wide bool) {
	t.in.Name = "dup"
	size, _, ok := t.element()
	if !ok {
		t.in.Flow = op.Undecodable
		return
	}
	d := t.rd()
	t.emit(op.Op{Kind: op.Extract, Dst: t1, A: t.src(t.rn()), Size: size, Width: 64})
	for n := int64(size); n < 64; n *= 2 {
		t.emit(op.Op{Kind: op.Shl, Dst: t0, A: t1, B: op.None, Imm: n, Width: 64})
		t.emit(op.Op{Kind: op.Or, Dst: t1, A: t1, B: t0, Width: 64})
	}
	t.emit(op.Op{Kind: op.Move, Dst: lane(d, 0), A: t1, Width: 64})
	if wide {
		t.emit(op.Op{Kind: op.Move, Dst: lane(d, 1), A: t1, Width: 64})
	} else {
		t.emit(op.Op{Kind: op.Const, Dst: lane(d, 1)})
	}
}

// modified translates moves of a modified immediate (movi, mvni); AdvSIMDExpandImm of the manual.
func (t *translation) modified(wide bool) {
	imm8 := uint64(t.bits(18, 16)<<5 | t.bits(9, 5))
	cmode, inv := t.bits(15, 12), t.w>>29&1 == 1
	t.in.Name = "movi"
	var x uint64
	switch {
	case cmode < 8 && cmode&1 == 0:
		x = imm8 << (8 * (cmode >> 1))
		x |= x << 32
	case cmode < 12 && cmode&1 == 0:
		x = imm8 << (8 * (cmode >> 1 & 1))
		x |= x << 16
		x |= x << 32
	case cmode == 12 || cmode == 13:
		n := 8 * (cmode - 11)
		x = imm8<<n | (1<<n - 1)
		x |= x << 32
	case cmode == 14 && !inv:
		x = imm8 * 0x0101010101010101
	case cmode == 14:
		for i := range 8 {
			if imm8>>i&1 == 1 {
				x |= 0xff << (8 * i)
			}
		}
		inv = false
	default: // orr, bic, fmov
		t.clobberVec(t.rd())
		return
	}
	if inv {
		x = ^x
	}
	t.emit(op.Op{Kind: op.Const, Dst: lane(t.rd(), 0), Imm: int64(x)})
	if wide {
		t.emit(op.Op{Kind: op.Const, Dst: lane(t.rd(), 1), Imm: int64(x)})
	} else {
		t.emit(op.Op{Kind: op.Const, Dst: lane(t.rd(), 1)})
	}
}
