package amd64

import "portcullis.dev/check/flow/op"

// two translates the opcodes behind 0f.
func (t *translation) two() {
	f := &t.f
	size := t.size()
	switch o := f.opcode; {
	case o == 0x05:
		t.in.Flow, t.in.Name = op.Trap, "syscall"
	case o == 0x0b, o == 0xb9, o == 0xff:
		t.in.Flow, t.in.Name = op.Stop, "ud2"
	case o == 0x0d, o >= 0x18 && o < 0x20: // prefetch, endbr, nop
	case o >= 0x40 && o < 0x50:
		t.in.Name = "cmov"
		v := t.readRM(size, t1)
		t.emit(op.Op{Kind: op.Select, Dst: t3, A: v, B: op.Reg(t.reg()), Cond: conditions[o&15], Width: max(32, size*8)})
		t.write(t.reg(), size, t3)
	case o >= 0x80 && o < 0x90:
		t.branch(conditions[o&15])
	case o >= 0x90 && o < 0xa0:
		t.in.Name = "setcc"
		t.emit(op.Op{Kind: op.Const, Dst: t2, Imm: 1})
		t.emit(op.Op{Kind: op.Const, Dst: t3})
		t.emit(op.Op{Kind: op.Select, Dst: t3, A: t2, B: t3, Cond: conditions[o&15], Width: 64})
		t.writeRM(1, t3)
	case o == 0xa0, o == 0xa8:
		t.clobber(t3)
		t.push(t3)
	case o == 0xa1, o == 0xa9:
		t.pop(t3)
	case o == 0xa2:
		for _, r := range []op.Reg{rax, rbx, rcx, rdx} {
			t.clobber(r)
		}
	case o == 0xa3:
		t.flagsLost()
	case o == 0xba && f.reg == 4:
		t.flagsLost()
	case o == 0xa4, o == 0xa5, o == 0xab, o == 0xac, o == 0xad, o == 0xb3, o == 0xba, o == 0xbb:
		t.in.Name = "bits"
		if f.mod != 3 && (o == 0xab || o == 0xb3 || o == 0xbb) { // the bit may lie anywhere
			a, imm := t.mem()
			t.emit(op.Op{Kind: op.Havoc, A: a, Imm: imm})
		} else {
			t.lose(size)
		}
		t.flagsLost()
	case o == 0xaf:
		t.in.Name = "imul"
		v := t.readRM(size, t1)
		t.emit(op.Op{Kind: op.Mul, Dst: t3, A: op.Reg(t.reg()), B: v, Width: size * 8})
		t.write(t.reg(), size, t3)
		t.flagsLost()
	case o == 0xb0, o == 0xb1:
		t.in.Name = "cmpxchg"
		t.lose(t.sizeOf())
		t.clobber(rax)
		t.flagsLost()
	case o == 0xb6, o == 0xb7, o == 0xbe, o == 0xbf:
		t.in.Name = "movzx"
		t.extend(1+o&1, o >= 0xbe)
	case o == 0xb8, o == 0xbc, o == 0xbd, o == 0x02, o == 0x03:
		t.in.Name = "bits"
		t.clobber(op.Reg(t.reg()))
		t.flagsLost()
	case o == 0xc0, o == 0xc1:
		t.in.Name = "xadd"
		t.lose(t.sizeOf())
		if t.sizeOf() == 1 && !f.legacyRex && f.reg >= 4 {
			t.clobber(op.Reg(f.reg - 4))
		}
		t.clobber(op.Reg(t.reg()))
		t.flagsLost()
	case o == 0xc3:
		t.in.Name = "movnti"
		t.writeRM(size, op.Reg(t.reg()))
	case o == 0xc7:
		t.in.Name = "cmpxchg8b"
		t.lose(16)
		t.clobber(rax)
		t.clobber(rdx)
		t.flagsLost()
		if f.reg != 1 && f.mod != 3 {
			a, imm := t.mem()
			t.emit(op.Op{Kind: op.Havoc, A: a, Imm: imm})
		}
	case o >= 0xc8 && o < 0xd0:
		t.in.Name = "bswap"
		t.clobber(op.Reg(int(o&7) + f.b))
	case o == 0xae:
		t.in.Name = "fxsave"
		if f.mod != 3 && f.reg != 7 && f.reg != 5 && f.reg != 2 {
			a, imm := t.mem()
			t.emit(op.Op{Kind: op.Havoc, A: a, Imm: imm})
		} else if f.mod == 3 && f.pp == 0xf3 {
			t.clobber(op.Reg(t.rm()))
		}
		t.flagsLost()
	case o == 0x77, o == 0x0e, o == 0x08, o == 0x09:
	case o >= 0x10 && o < 0x18, o >= 0x28 && o < 0x30, o >= 0x50 && o < 0x80, o == 0xc2, o >= 0xc4 && o < 0xc7,
		o >= 0xd0, o == 0x0f:
		t.vectors()
	case o == 0x31, o == 0x01:
		t.in.Name = "system"
		for _, r := range []op.Reg{rax, rbx, rcx, rdx} {
			t.clobber(r)
		}
		if o == 0x01 {
			if f.modrm && f.mod != 3 {
				t.lose(16)
			} else {
				t.clobber(op.Reg(t.rm()))
			}
			t.flagsLost()
		}
	default:
		t.in.Name = "system"
		t.all()
	}
}

// three translates the opcodes behind 0f38 and 0f3a that have no VEX prefix.
func (t *translation) three() {
	f := &t.f
	if f.opmap == 2 && f.opcode >= 0xf0 { // movbe, crc32, adcx, movdir
		t.in.Name = "movbe"
		t.clobber(op.Reg(t.reg()))
		if f.mod == 3 {
			t.clobber(op.Reg(t.rm()))
		} else if f.opcode != 0xf0 && f.opcode != 0xf6 {
			t.lose(64)
		}
		if f.opcode == 0xf8 {
			t.emit(op.Op{Kind: op.Havoc, A: op.Reg(t.reg()), Size: 64})
		}
		t.flagsLost()
		return
	}
	t.vectors()
}

func (t *translation) xreg() int { return t.f.reg + t.f.r }
func (t *translation) xrm() int {
	if t.f.evex {
		return t.f.rm + t.f.b + t.f.x<<1
	}
	return t.f.rm + t.f.b
}

// vexed translates instructions with a VEX or EVEX prefix.
func (t *translation) vexed() {
	f := &t.f
	if f.opmap == 2 && f.opcode >= 0xf0 || f.opmap == 3 && f.opcode >= 0xf0 { // bit manipulation
		t.in.Name = "bits"
		for _, r := range []int{t.reg(), f.vvvv & 15} {
			if op.Reg(r) != SP {
				t.clobber(op.Reg(r))
			}
		}
		if f.mod == 3 && op.Reg(t.rm()) != SP {
			t.clobber(op.Reg(t.rm()))
		}
		t.flagsLost()
		return
	}
	t.vectors()
}

// vectors translates what works on vector registers.
func (t *translation) vectors() {
	f := &t.f
	t.in.Name = "simd"
	if t.vectorMove() {
		return
	}
	o := f.opcode
	first := f.opmap == 1 || f.opmap == 5
	// Zeroing idioms.
	if f.opmap == 1 && f.mod == 3 && (o == 0x57 || o == 0xef) && (!f.vex && t.xreg() == t.xrm() ||
		f.vex && !f.evex && f.vvvv == t.xrm()) {
		t.in.Name = "xorps"
		t.emit(op.Op{Kind: op.Const, Dst: lane(t.xreg(), 0)})
		t.emit(op.Op{Kind: op.Const, Dst: lane(t.xreg(), 1)})
		return
	}
	stores := false
	general := false // writes a general register named by reg
	switch {
	case first:
		switch o {
		case 0x11, 0x13, 0x17, 0x29, 0x2b, 0x7e, 0x7f, 0xd6, 0xe7, 0x91:
			stores = true
		case 0x2c, 0x2d, 0x50, 0x78, 0x79, 0xc5, 0xd7, 0x93:
			general = true
		case 0x77:
			if f.vex {
				for i := range 16 {
					t.clobber(lane(i, 0))
					t.clobber(lane(i, 1))
				}
			}
			return
		}
		switch o {
		case 0x2e, 0x2f, 0x98, 0x99:
			t.flagsLost()
			return
		case 0xf7: // maskmovdqu stores at rdi
			t.emit(op.Op{Kind: op.Havoc, A: rdi, Size: 16})
			return
		}
	case f.opmap == 2:
		switch {
		case o == 0x2e, o == 0x2f, o == 0x8e, o == 0x8a, o == 0x8b, o == 0x63, o >= 0xa0 && o < 0xa4,
			f.evex && f.pp == 0xf3 && (o&0xf8 == 0x10 || o&0xf8 == 0x20 || o&0xf8 == 0x30):
			stores = f.vex
		case o == 0x0e, o == 0x0f, o == 0x17, o >= 0x80 && o < 0x83:
			t.flagsLost()
		}
	case f.opmap == 3:
		switch {
		case o >= 0x14 && o < 0x18, o == 0x19, o == 0x1b, o == 0x39, o == 0x3b, o == 0x1d:
			stores = true
		case o >= 0x60 && o < 0x64:
			t.clobber(rcx)
			t.flagsLost()
		}
	}
	if general {
		t.clobber(op.Reg(t.reg()))
	}
	if stores {
		if f.mod != 3 {
			t.lose(64)
			return
		}
		t.clobber(op.Reg(t.rm()))
		t.loseVector(t.xrm())
	}
	t.loseVector(t.xreg())
	if f.opmap == 1 && o >= 0x71 && o <= 0x73 { // shifts by an immediate write vvvv, or rm
		t.loseVector(t.xrm())
		t.loseVector(f.vvvv)
	}
	if f.vex && f.opmap == 2 && (o >= 0x90 && o < 0x94) { // gathers write their mask
		t.loseVector(f.vvvv)
	}
}

func (t *translation) loseVector(v int) {
	a, b := op.None, op.None
	if t.f.mod == 3 {
		a = lane(t.xrm(), 0)
		if t.f.rm+t.f.b < 16 && t.f.opmap == 1 && (t.f.opcode == 0x6e || t.f.opcode == 0x2a || t.f.opcode == 0xc4) ||
			t.f.opmap == 3 && t.f.opcode == 0x22 {
			b = op.Reg(t.rm())
		}
	}
	for h := op.Reg(0); h < 2; h++ {
		x := a
		if h == 1 && a != op.None {
			x = a + 1
		}
		t.emit(op.Op{Kind: op.Clobber, Dst: lane(v, h), A: x, B: b})
	}
}

// vectorMove translates the moves of vector registers that copy or build memory.
func (t *translation) vectorMove() bool {
	f := &t.f
	if f.opmap != 1 || f.evex {
		return false
	}
	o := f.opcode
	d, s := t.xreg(), t.xrm()
	switch {
	case (o == 0x10 || o == 0x28) && (f.pp == 0 || f.pp == 0x66), o == 0x6f && (f.pp == 0x66 || f.pp == 0xf3):
		t.in.Name = "movups"
		if f.mod == 3 {
			t.copyVector(d, s)
			return true
		}
		a, imm := t.mem()
		t.emit(op.Op{Kind: op.Load, Dst: lane(d, 0), A: a, B: op.None, Imm: imm, Size: 8, Width: 64})
		t.emit(op.Op{Kind: op.Load, Dst: lane(d, 1), A: a, B: op.None, Imm: imm + 8, Size: 8, Width: 64})
	case (o == 0x11 || o == 0x29 || o == 0x2b || o == 0xe7) && (f.pp == 0 && o != 0xe7 || f.pp == 0x66),
		o == 0x7f && (f.pp == 0x66 || f.pp == 0xf3):
		t.in.Name = "movups"
		if f.mod == 3 {
			t.copyVector(s, d)
			return true
		}
		a, imm := t.mem()
		t.emit(op.Op{Kind: op.Store, A: a, B: lane(d, 0), Imm: imm, Size: 8})
		t.emit(op.Op{Kind: op.Store, A: a, B: lane(d, 1), Imm: imm + 8, Size: 8})
		if f.wide {
			t.emit(op.Op{Kind: op.Havoc, A: a, Imm: imm + 16, Size: 16})
		}
	case o == 0x7e && f.pp == 0xf3: // movq
		t.in.Name = "movq"
		if f.mod == 3 {
			t.emit(op.Op{Kind: op.Move, Dst: lane(d, 0), A: lane(s, 0), Width: 64})
		} else {
			a, imm := t.mem()
			t.emit(op.Op{Kind: op.Load, Dst: lane(d, 0), A: a, B: op.None, Imm: imm, Size: 8, Width: 64})
		}
		t.emit(op.Op{Kind: op.Const, Dst: lane(d, 1)})
	case o == 0xd6 && f.pp == 0x66, o == 0x13 && f.mod != 3, (o == 0x11 && f.pp >= 0xf2) && f.mod != 3:
		t.in.Name = "movq"
		if f.mod == 3 {
			t.emit(op.Op{Kind: op.Move, Dst: lane(s, 0), A: lane(d, 0), Width: 64})
			t.emit(op.Op{Kind: op.Const, Dst: lane(s, 1)})
			return true
		}
		size := uint8(8)
		if o == 0x11 && f.pp == 0xf3 {
			size = 4
		}
		a, imm := t.mem()
		t.emit(op.Op{Kind: op.Store, A: a, B: lane(d, 0), Imm: imm, Size: size})
	case o == 0x10 && f.pp >= 0xf2 && f.mod != 3: // movss, movsd
		t.in.Name = "movsd"
		size := uint8(8)
		if f.pp == 0xf3 {
			size = 4
		}
		a, imm := t.mem()
		t.emit(op.Op{Kind: op.Load, Dst: lane(d, 0), A: a, B: op.None, Imm: imm, Size: size, Width: 64})
		t.emit(op.Op{Kind: op.Const, Dst: lane(d, 1)})
	case o == 0x6e && f.pp == 0x66:
		t.in.Name = "movd"
		size := uint8(4)
		if f.rexW {
			size = 8
		}
		t.emit(op.Op{Kind: op.Move, Dst: lane(d, 0), A: t.readRM(size, t1), Width: size * 8})
		t.emit(op.Op{Kind: op.Const, Dst: lane(d, 1)})
	case o == 0x7e && f.pp == 0x66:
		t.in.Name = "movd"
		size := uint8(4)
		if f.rexW {
			size = 8
		}
		t.writeRM(size, lane(d, 0))
	case o == 0x6c && f.pp == 0x66 && !f.vex: // punpcklqdq
		t.in.Name = "punpcklqdq"
		if f.mod == 3 {
			t.emit(op.Op{Kind: op.Move, Dst: lane(d, 1), A: lane(s, 0), Width: 64})
		} else {
			a, imm := t.mem()
			t.emit(op.Op{Kind: op.Load, Dst: lane(d, 1), A: a, B: op.None, Imm: imm, Size: 8, Width: 64})
		}
	default:
		return false
	}
	return true
}

func (t *translation) copyVector(d, s int) {
	t.emit(op.Op{Kind: op.Move, Dst: lane(d, 0), A: lane(s, 0), Width: 64})
	t.emit(op.Op{Kind: op.Move, Dst: lane(d, 1), A: lane(s, 1), Width: 64})
}
