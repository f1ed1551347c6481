package arm64

import "portcullis.dev/check/flow/op"

// memory translates "Loads and Stores".
func (t *translation) memory() {
	w := t.w
	vector := w>>26&1 == 1
	switch {
	case w&0x3f000000 == 0x08000000:
		t.exclusive()
	case w&0x3e000000 == 0x0c000000:
		t.structures()
	case w&0x3b000000 == 0x18000000:
		t.literal(vector)
	case w&0x3a000000 == 0x28000000:
		t.pair(vector)
	case w&0x3b000000 == 0x39000000:
		size, ok := t.accessSize(vector)
		if !ok {
			return
		}
		t.access(vector, size, op.Reg(t.rn()), int64(t.bits(21, 10))*int64(size))
	case w&0x3b200000 == 0x38000000:
		t.unscaled(vector)
	case w&0x3b200c00 == 0x38200800:
		t.indexed(vector)
	case w&0x3b200c00 == 0x38200000:
		t.atomic(vector)
	case w&0x3b200400 == 0x38200400 && !vector && w>>30 == 3:
		t.authenticated()
	case w&0x3f200c00 == 0x19000000:
		// ldapur, stlur
		if size, ok := t.accessSize(false); ok {
			t.access(false, size, op.Reg(t.rn()), t.sbits(20, 12))
		}
	default: // tags, memory copies
		t.in.Name = "mops"
		t.clobber(t.rd())
		t.clobber(t.rm())
		t.clobber(t.bits(14, 10))
		t.clobberBase()
		t.emit(op.Op{Kind: op.Havoc, A: op.Reg(t.rn())})
		t.emit(op.Op{Kind: op.ClobberFlags})
		if vector {
			t.clobberVec(t.rd())
			t.clobberVec(t.bits(14, 10))
		}
	}
}

func (t *translation) clobberBase() {
	r := op.Reg(t.rn())
	t.emit(op.Op{Kind: op.Clobber, Dst: r, A: r, B: op.None})
}

// accessSize is the size in bytes of a single load or store.
func (t *translation) accessSize(vector bool) (uint8, bool) {
	size := uint8(1) << t.bits(31, 30)
	if vector && t.w>>23&1 == 1 {
		return 16, size == 1
	}
	return size, true
}

// access loads or stores one register at [base + imm], as opc (bits 23 and 22) says.
func (t *translation) access(vector bool, size uint8, base op.Reg, imm int64) {
	opc := t.bits(23, 22)
	if vector {
		t.vectorAccess(opc&1 == 1, t.rd(), size, base, imm)
		return
	}
	switch opc {
	case 0:
		t.in.Name = "str"
		t.emit(op.Op{Kind: op.Store, A: base, B: t.src(t.rd()), Size: size, Imm: imm})
	case 1:
		t.in.Name = "ldr"
		t.emit(op.Op{Kind: op.Load, Dst: dst(t.rd()), A: base, B: op.None, Size: size, Imm: imm, Width: 64})
	default:
		if size == 8 || size == 4 && opc == 3 {
			return // prefetch
		}
		t.in.Name = "ldrs"
		wd := uint8(64)
		if opc == 3 {
			wd = 32
		}
		t.emit(op.Op{Kind: op.Load, Dst: dst(t.rd()), A: base, B: op.None, Size: size, Imm: imm, Signed: true, Width: wd})
	}
}

func (t *translation) vectorAccess(load bool, v uint32, size uint8, base op.Reg, imm int64) {
	if !load {
		t.in.Name = "str"
		t.emit(op.Op{Kind: op.Store, A: base, B: lane(v, 0), Size: min(size, 8), Imm: imm})
		if size == 16 {
			t.emit(op.Op{Kind: op.Store, A: base, B: lane(v, 1), Size: 8, Imm: imm + 8})
		}
		return
	}
	t.in.Name = "ldr"
	t.emit(op.Op{Kind: op.Load, Dst: lane(v, 0), A: base, B: op.None, Size: min(size, 8), Imm: imm, Width: 64})
	if size == 16 {
		t.emit(op.Op{Kind: op.Load, Dst: lane(v, 1), A: base, B: op.None, Size: 8, Imm: imm + 8, Width: 64})
	} else {
		t.emit(op.Op{Kind: op.Const, Dst: lane(v, 1)})
	}
}

// add moves a base register on.
func (t *translation) add(r op.Reg, imm int64) {
	t.emit(op.Op{Kind: op.Add, Dst: r, A: r, B: op.None, Imm: imm, Width: 64})
}

func (t *translation) unscaled(vector bool) {
	size, ok := t.accessSize(vector)
	if !ok {
		t.in.Flow = op.Undecodable
		return
	}
	base, imm := op.Reg(t.rn()), t.sbits(20, 12)
	switch t.bits(11, 10) {
	case 1: // post-index
		t.access(vector, size, base, 0)
		if t.rd() != t.rn() || t.rn() == 31 || vector {
			t.add(base, imm)
		}
	case 3: // pre-index
		t.add(base, imm)
		t.access(vector, size, base, 0)
	default:
		t.access(vector, size, base, imm)
	}
}

func (t *translation) indexed(vector bool) {
	size, ok := t.accessSize(vector)
	if !ok {
		t.in.Flow = op.Undecodable
		return
	}
	shift := int64(0)
	if t.w>>12&1 == 1 {
		for n := size; n > 1; n >>= 1 {
			shift++
		}
	}
	m := t.extend(shift, 64)
	t.emit(op.Op{Kind: op.Add, Dst: t1, A: op.Reg(t.rn()), B: m, Width: 64})
	t.access(vector, size, t1, 0)
}

func (t *translation) literal(vector bool) {
	at := int64(t.in.Addr) + t.sbits(23, 5)*4
	opc := t.bits(31, 30)
	t.in.Name = "ldr"
	if vector {
		if opc == 3 {
			t.in.Flow = op.Undecodable
			return
		}
		t.vectorAccess(true, t.rd(), 4<<opc, op.None, at)
		return
	}
	switch opc {
	case 0, 1:
		t.emit(op.Op{Kind: op.Load, Dst: dst(t.rd()), A: op.None, B: op.None, Size: 4 << opc, Imm: at, Width: 64})
	case 2:
		t.emit(op.Op{Kind: op.Load, Dst: dst(t.rd()), A: op.None, B: op.None, Size: 4, Imm: at, Signed: true, Width: 64})
	}
}

func (t *translation) pair(vector bool) {
	opc := t.bits(31, 30)
	load := t.w>>22&1 == 1
	size := uint8(4)
	signed := false
	switch {
	case opc == 3:
		t.in.Flow = op.Undecodable
		return
	case vector:
		size = 4 << opc
	case opc == 2:
		size = 8
	case opc == 1 && load:
		signed = true
	case opc == 1: // stgp: tags and two registers
		size = 8
	}
	imm := t.sbits(21, 15) * int64(size)
	if !vector && opc == 1 && !load {
		imm = t.sbits(21, 15) * 16
	}
	base := op.Reg(t.rn())
	mode := t.bits(24, 23)
	at := imm
	switch mode {
	case 1:
		at = 0
	case 3:
		t.add(base, imm)
		at = 0
	}
	r1, r2 := t.rd(), t.bits(14, 10)
	one := func(r uint32, imm int64) {
		switch {
		case vector:
			t.vectorAccess(load, r, size, base, imm)
		case load:
			t.emit(op.Op{Kind: op.Load, Dst: dst(r), A: base, B: op.None, Size: size, Imm: imm, Signed: signed, Width: 64})
		default:
			t.emit(op.Op{Kind: op.Store, A: base, B: t.src(r), Size: size, Imm: imm})
		}
	}
	if load && !vector && r1 == t.rn() { // the first load must not spoil the base of the second
		one(r2, at+int64(size))
		one(r1, at)
	} else {
		one(r1, at)
		one(r2, at+int64(size))
	}
	t.in.Name = "stp"
	if load {
		t.in.Name = "ldp"
	}
	if mode == 1 {
		t.add(base, imm)
	}
}

// exclusive translates exclusive and ordered accesses and compare-and-swap.
func (t *translation) exclusive() {
	size := uint8(1) << t.bits(31, 30)
	base := op.Reg(t.rn())
	if t.w>>23&1 == 1 && t.w>>21&1 == 0 { // ldar, stlr, ldlar, stllr
		if t.w>>22&1 == 1 {
			t.in.Name = "ldar"
			t.emit(op.Op{Kind: op.Load, Dst: dst(t.rd()), A: base, B: op.None, Size: size, Width: 64})
		} else {
			t.in.Name = "stlr"
			t.emit(op.Op{Kind: op.Store, A: base, B: t.src(t.rd()), Size: size})
		}
		return
	}
	t.in.Name = "exclusive"
	pair := t.w>>21&1 == 1
	t.emit(op.Op{Kind: op.Havoc, A: base, Size: 16})
	for _, r := range []uint32{t.rd(), t.bits(14, 10), t.rm()} {
		t.clobber(r)
		if pair && r != 31 {
			t.clobber(r + 1)
		}
	}
}

// atomic translates read-modify-write instructions.
func (t *translation) atomic(vector bool) {
	base := op.Reg(t.rn())
	size := uint8(1) << t.bits(31, 30)
	t.in.Name = "atomic"
	if vector {
		t.emit(op.Op{Kind: op.Havoc, A: base, Size: 8})
		t.clobberVec(t.rd())
		return
	}
	if t.w>>15&1 == 1 {
		switch t.bits(14, 12) {
		case 0: // swp
		case 4: // ldapr
			t.in.Name = "ldapr"
			t.emit(op.Op{Kind: op.Load, Dst: dst(t.rd()), A: base, B: op.None, Size: size, Width: 64})
			return
		default: // 64-byte accesses
			t.emit(op.Op{Kind: op.Havoc, A: base})
			t.all()
			return
		}
	}
	t.emit(op.Op{Kind: op.Havoc, A: base, Size: size})
	t.clobber(t.rd())
}

// authenticated translates ldraa and ldrab.
func (t *translation) authenticated() {
	t.in.Name = "ldraa"
	imm := (t.sbits(22, 22)<<9 | int64(t.bits(20, 12))) * 8
	base := op.Reg(t.rn())
	if t.w>>11&1 == 1 {
		t.add(base, imm)
		imm = 0
	}
	t.emit(op.Op{Kind: op.Load, Dst: dst(t.rd()), A: base, B: op.None, Size: 8, Imm: imm, Width: 64})
}

// structures translates loads and stores of several vector registers.
func (t *translation) structures() {
	t.in.Name = "ld1"
	if t.w>>22&1 == 1 {
		for i := range uint32(4) {
			t.clobberVec(t.rd() + i)
		}
	} else {
		t.in.Name = "st1"
		t.emit(op.Op{Kind: op.Havoc, A: op.Reg(t.rn()), Size: 64})
	}
	if t.w>>23&1 == 1 {
		t.clobberBase()
	}
}
