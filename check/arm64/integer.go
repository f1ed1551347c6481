package arm64

import (
	"math/bits"

	"portcullis.dev/check/flow/op"
)

// immediate translates "Data Processing -- Immediate".
func (t *translation) immediate() {
	in := t.in
	wd := t.width()
	switch t.bits(25, 23) {
	case 0, 1:
		imm := t.sbits(23, 5)<<2 | int64(t.bits(30, 29))
		at := in.Addr + uint64(imm)
		in.Name = "adr"
		if t.w>>31 == 1 {
			at = in.Addr&^0xfff + uint64(imm<<12)
			in.Name = "adrp"
		}
		t.emit(op.Op{Kind: op.Addr, Dst: dst(t.rd()), Imm: int64(at)})
	case 2:
		imm := int64(t.bits(21, 10))
		if t.w>>22&1 == 1 {
			imm <<= 12
		}
		t.addSub(op.Reg(t.rn()), op.None, imm, wd)
	case 3: // tags, minimum and maximum
		in.Name = "minmax"
		t.clobber(t.rd())
		if t.rd() == 31 {
			t.emit(op.Op{Kind: op.Clobber, Dst: SP, A: SP, B: op.None})
		}
	case 4:
		imm, ok := bitmask(t.bits(22, 22), t.bits(15, 10), t.bits(21, 16), wd)
		if !ok {
			in.Flow = op.Undecodable
			return
		}
		t.logicalImm(imm, wd)
	case 5:
		t.moveWide(wd)
	case 6:
		t.bitfield(wd)
	case 7:
		in.Name = "extr"
		lsb := int64(t.bits(15, 10))
		if t.bits(30, 29) != 0 || lsb >= int64(wd) {
			in.Flow = op.Undecodable
			return
		}
		n, m := t.src(t.rn()), t.src(t.rm())
		switch {
		case n == m:
			t.emit(op.Op{Kind: op.Ror, Dst: dst(t.rd()), A: n, B: op.None, Imm: lsb, Width: wd})
		case lsb == 0:
			t.emit(op.Op{Kind: op.Move, Dst: dst(t.rd()), A: m, Width: wd})
		default:
			t.emit(op.Op{Kind: op.Shr, Dst: t0, A: m, B: op.None, Imm: lsb, Width: wd})
			t.emit(op.Op{Kind: op.Shl, Dst: t1, A: n, B: op.None, Imm: int64(wd) - lsb, Width: wd})
			t.emit(op.Op{Kind: op.Or, Dst: dst(t.rd()), A: t0, B: t1, Width: wd})
		}
	}
}

// addSub emits an addition or subtraction whose operation and flags bits stand at 30 and 29. B None: with imm.
func (t *translation) addSub(a, b op.Reg, imm int64, wd uint8) {
	sub, flags := t.w>>30&1 == 1, t.w>>29&1 == 1
	k := op.Add
	t.in.Name = "add"
	if sub {
		k, t.in.Name = op.Sub, "sub"
	}
	d := op.Reg(t.rd())
	if flags {
		d = dst(t.rd())
		switch {
		case sub:
			t.in.Name = "subs"
			t.emit(op.Op{Kind: op.Flags, Test: op.Cmp, A: a, B: b, Imm: imm, Width: wd})
		case b == op.None && imm != 0: // an addition compares with the negated number
			t.emit(op.Op{Kind: op.Flags, Test: op.Cmp, A: a, B: op.None, Imm: -imm, Width: wd})
		default:
			t.emit(op.Op{Kind: op.Add, Dst: t2, A: a, B: b, Imm: imm, Width: wd})
			t.emit(op.Op{Kind: op.Flags, Test: op.Res, A: t2, B: op.None, Width: wd})
		}
	}
	if k == op.Add && b == op.None && imm == 0 {
		t.in.Name = "mov"
		t.emit(op.Op{Kind: op.Add, Dst: d, A: a, B: op.None, Width: wd})
		return
	}
	t.emit(op.Op{Kind: k, Dst: d, A: a, B: b, Imm: imm, Width: wd})
}

var logicalKinds = [4]op.Kind{op.And, op.Or, op.Xor, op.And}
var logicalNames = [4]string{"and", "orr", "eor", "ands"}

func (t *translation) logicalImm(imm uint64, wd uint8) {
	opc := t.bits(30, 29)
	t.in.Name = logicalNames[opc]
	d := op.Reg(t.rd())
	a := t.src(t.rn())
	if opc == 3 {
		d = dst(t.rd())
		t.emit(op.Op{Kind: op.Flags, Test: op.Tst, A: a, B: op.None, Imm: int64(imm), Width: wd})
	}
	if opc == 1 && a == zr {
		t.in.Name = "mov"
		t.emit(op.Op{Kind: op.Const, Dst: d, Imm: int64(imm), Width: wd})
		return
	}
	t.emit(op.Op{Kind: logicalKinds[opc], Dst: d, A: a, B: op.None, Imm: int64(imm), Width: wd})
}

// bitmask decodes a bitmask immediate (DecodeBitMasks of the manual's shared pseudocode).
func bitmask(n, imms, immr uint32, wd uint8) (uint64, bool) {
	if wd == 32 && n != 0 {
		return 0, false
	}
	length := bits.Len32(n<<6|^imms&0x3f) - 1
	if length < 1 {
		return 0, false
	}
	size := uint32(1) << length
	s, r := imms&(size-1), immr&(size-1)
	if s == size-1 {
		return 0, false
	}
	pattern := uint64(1)<<(s+1) - 1
	if r != 0 {
		pattern = pattern>>r | pattern<<(size-r)
		if size < 64 {
			pattern &= uint64(1)<<size - 1
		}
	}
	for at := size; at < 64; at *= 2 {
		pattern |= pattern << at
	}
	if wd == 32 {
		pattern &= 0xffffffff
	}
	return pattern, true
}

func (t *translation) moveWide(wd uint8) {
	imm := uint64(t.bits(20, 5))
	shift := 16 * t.bits(22, 21)
	if wd == 32 && shift > 16 {
		t.in.Flow = op.Undecodable
		return
	}
	t.in.Name = "mov"
	switch t.bits(30, 29) {
	case 0:
		t.emit(op.Op{Kind: op.Const, Dst: dst(t.rd()), Imm: int64(^(imm << shift)), Width: wd})
	case 2:
		t.emit(op.Op{Kind: op.Const, Dst: dst(t.rd()), Imm: int64(imm << shift), Width: wd})
	case 3:
		t.in.Name = "movk"
		if t.rd() != 31 {
			t.emit(op.Op{Kind: op.Const, Dst: t0, Imm: int64(imm)})
			t.emit(op.Op{Kind: op.Insert, Dst: op.Reg(t.rd()), A: t0, Size: 16, Lsb: uint8(shift), Width: wd})
		}
	default:
		t.in.Flow = op.Undecodable
	}
}

func (t *translation) bitfield(wd uint8) {
	immr, imms := uint8(t.bits(21, 16)), uint8(t.bits(15, 10))
	opc := t.bits(30, 29)
	if immr >= wd || imms >= wd || opc == 3 {
		t.in.Flow = op.Undecodable
		return
	}
	a, d := t.src(t.rn()), dst(t.rd())
	signed := opc == 0
	if opc == 1 {
		t.in.Name = "bfm"
		switch {
		case d == op.None:
		case imms >= immr:
			n := imms - immr + 1
			t.emit(op.Op{Kind: op.Extract, Dst: t0, A: a, Lsb: immr, Size: n, Width: wd})
			t.emit(op.Op{Kind: op.Insert, Dst: d, A: t0, Size: n, Width: wd})
		default:
			t.emit(op.Op{Kind: op.Insert, Dst: d, A: a, Size: imms + 1, Lsb: wd - immr, Width: wd})
		}
		return
	}
	t.in.Name = "ubfm"
	if signed {
		t.in.Name = "sbfm"
	}
	if imms >= immr {
		t.emit(op.Op{Kind: op.Extract, Dst: d, A: a, Lsb: immr, Size: imms - immr + 1, Signed: signed, Width: wd})
		return
	}
	t.emit(op.Op{Kind: op.Extract, Dst: t0, A: a, Size: imms + 1, Signed: signed, Width: wd})
	t.emit(op.Op{Kind: op.Shl, Dst: d, A: t0, B: op.None, Imm: int64(wd - immr), Width: wd})
}
