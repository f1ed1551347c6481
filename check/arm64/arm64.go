// Package arm64 translates arm64 and arm64e machine code to the operations of package op, and finds the
// instructions of a text section that reach given stubs or pointer slots.
//
// Instructions are four bytes, little-endian, so nothing can go out of step; what matters is that every register an
// instruction writes is either modelled or clobbered. Encodings follow the Arm Architecture Reference Manual,
// chapter C4 ("A64 Instruction Set Encoding"). Pointer authentication is taken to leave values as they are: a signed
// pointer counts as the pointer.
package arm64

import (
	"fmt"

	"portcullis.dev/check/flow/op"
)

// Registers of the small machine: x0 to x30 are 0 to 30.
const (
	SP  op.Reg = 31
	LR  op.Reg = 30
	FP  op.Reg = 29
	t0  op.Reg = 32 // temporaries, never live beyond an instruction
	t1  op.Reg = 33
	t2  op.Reg = 34
	zr  op.Reg = 36 // set to zero before it is read
	vec op.Reg = 40 // two lanes for each vector register
)

// lane returns the low (0) or high (1) half of a vector register.
func lane(v uint32, half op.Reg) op.Reg { return vec + op.Reg(v&31)*2 + half }

// ISA describes arm64 to the flow engine.
var ISA = &op.ISA{
	Name: "arm64", Decode: Decode, Align: 4, MaxLen: 4, SP: SP, FP: FP,
	Args:   []op.Reg{0, 1, 2, 3, 4, 5, 6, 7},
	Extra:  []op.Reg{8, 20},
	Result: []op.Reg{0, 1},
	// x18 belongs to the platform; of v8 to v15 a callee keeps the low halves.
	Saved: []op.Reg{19, 20, 21, 22, 23, 24, 25, 26, 27, 28, FP, lane(8, 0), lane(9, 0), lane(10, 0), lane(11, 0),
		lane(12, 0), lane(13, 0), lane(14, 0), lane(15, 0)},
	Number:  16,
	RegName: regName,
}

func regName(r op.Reg, width uint8) string {
	switch {
	case r == SP:
		return "sp"
	case r < 31 && width == 32:
		return fmt.Sprintf("w%d", r)
	case r < 31:
		return fmt.Sprintf("x%d", r)
	}
	return ""
}

// translation is one instruction at work.
type translation struct {
	in *op.Inst
	w  uint32
}

func (t *translation) emit(o op.Op) { t.in.Ops = append(t.in.Ops, o) }

func (t *translation) bits(hi, lo uint) uint32 { return t.w >> lo & (1<<(hi-lo+1) - 1) }

func (t *translation) sbits(hi, lo uint) int64 {
	n := hi - lo + 1
	return int64(uint64(t.w)>>lo<<(64-n)) >> (64 - n)
}

// width is that of the general registers of the instruction, by its top bit.
func (t *translation) width() uint8 {
	if t.w>>31 == 1 {
		return 64
	}
	return 32
}

// src is a register operand where 31 means zero.
func (t *translation) src(r uint32) op.Reg {
	if r == 31 {
		t.emit(op.Op{Kind: op.Const, Dst: zr})
		return zr
	}
	return op.Reg(r)
}

// dst is a register result where 31 means none.
func dst(r uint32) op.Reg {
	if r == 31 {
		return op.None
	}
	return op.Reg(r)
}

func (t *translation) rd() uint32 { return t.w & 31 }
func (t *translation) rn() uint32 { return t.w >> 5 & 31 }
func (t *translation) rm() uint32 { return t.w >> 16 & 31 }

// clobber forgets a general register.
func (t *translation) clobber(r uint32) {
	if r != 31 {
		t.emit(op.Op{Kind: op.Clobber, Dst: op.Reg(r), A: srcOrNone(t.rn()), B: srcOrNone(t.rm())})
	}
}

func srcOrNone(r uint32) op.Reg {
	if r == 31 {
		return op.None
	}
	return op.Reg(r)
}

// clobberVec forgets a vector register.
func (t *translation) clobberVec(v uint32) {
	for h := op.Reg(0); h < 2; h++ {
		t.emit(op.Op{Kind: op.Clobber, Dst: lane(v, h), A: lane(t.rn(), h), B: lane(t.rm(), h)})
	}
}

func (t *translation) all() { t.emit(op.Op{Kind: op.ClobberAll}) }

// Decode translates the instruction at the start of code.
func Decode(code []byte, addr uint64, in *op.Inst) {
	*in = op.Inst{Addr: addr, Len: 4, Ops: in.Ops[:0]}
	if len(code) < 4 {
		in.Flow = op.Undecodable
		return
	}
	t := translation{in, uint32(code[0]) | uint32(code[1])<<8 | uint32(code[2])<<16 | uint32(code[3])<<24}
	switch t.w >> 25 & 15 {
	case 8, 9:
		t.immediate()
	case 10, 11:
		t.branch()
	case 4, 6, 12, 14:
		t.memory()
	case 5, 13:
		t.register()
	case 7, 15:
		t.vector()
	case 0:
		if t.w>>31 == 0 {
			in.Flow, in.Name = op.Stop, "udf"
			break
		}
		fallthrough // matrix extension
	case 2: // scalable vectors
		in.Name = "sve"
		t.all()
	default:
		in.Flow = op.Undecodable
	}
}

// conditions, in the order of their encoding, in terms of a comparison A - B.
var conditions = [16]op.Cond{op.Eq, op.Ne, op.Uge, op.Ult, op.Neg, op.Pos, op.Maybe, op.Maybe,
	op.Ugt, op.Ule, op.Sge, op.Slt, op.Sgt, op.Sle, op.Always, op.Always}

func (t *translation) branch() {
	in, w := t.in, t.w
	switch {
	case w&0x7c000000 == 0x14000000:
		in.Target = in.Addr + uint64(t.sbits(25, 0)*4)
		in.Flow, in.Name = op.Jump, "b"
		if w>>31 == 1 {
			in.Flow, in.Name = op.Call, "bl"
		}
	case w&0xff000000 == 0x54000000:
		in.Target = in.Addr + uint64(t.sbits(23, 5)*4)
		in.Flow, in.Name, in.Cond = op.Branch, "b.cond", conditions[w&15]
	case w&0x7e000000 == 0x34000000:
		in.Target = in.Addr + uint64(t.sbits(23, 5)*4)
		in.Flow, in.Name, in.Cond, in.Test = op.Branch, "cbz", op.Eq, op.Cmp
		if w>>24&1 == 1 {
			in.Name, in.Cond = "cbnz", op.Ne
		}
		in.Width, in.A = t.width(), t.src(t.rd())
	case w&0x7e000000 == 0x36000000:
		in.Target = in.Addr + uint64(t.sbits(18, 5)*4)
		in.Flow, in.Name, in.Cond, in.Test = op.Branch, "tbz", op.Eq, op.Tst
		if w>>24&1 == 1 {
			in.Name, in.Cond = "tbnz", op.Ne
		}
		in.Width, in.A = 64, t.src(t.rd())
		in.Imm = int64(uint64(1) << (w>>31<<5 | t.bits(23, 19)))
	case w&0x7e000000 == 0x74000000: // compare and branch
		in.Target = in.Addr + uint64(t.sbits(13, 5)*4)
		in.Flow, in.Name, in.Cond = op.Branch, "cb", op.Maybe
	case w&0xfe000000 == 0xd6000000:
		t.branchRegister()
	case w&0xff000000 == 0x55000000:
		in.Flow, in.Name = op.Return, "ret"
	case w&0xff000000 == 0xd4000000:
		switch {
		case w&0xffe0001f == 0xd4000001:
			in.Flow, in.Name = op.Trap, "svc"
		case w&0xffe0001f == 0xd4200000 && t.bits(20, 5) == 0xf000:
			in.Name = "brk" // __builtin_debugtrap goes on
		case w&0xffe0001f == 0xd4200000, w&0xffe0001f == 0xd4400000:
			in.Flow, in.Name = op.Stop, "brk"
		default:
			in.Name = "hvc"
			t.all()
		}
	case w&0xff000000 == 0xd5000000:
		t.system()
	default:
		in.Flow = op.Undecodable
	}
}

func (t *translation) branchRegister() {
	in := t.in
	in.Reg = op.Reg(t.rn())
	if t.rn() == 31 {
		in.Reg = t.src(31)
	}
	switch t.bits(24, 21) {
	case 0, 8:
		in.Flow, in.Name = op.JumpReg, "br"
	case 1, 9:
		in.Flow, in.Name = op.CallReg, "blr"
	case 2:
		in.Flow, in.Name = op.Return, "ret"
	case 4, 5:
		in.Flow, in.Name = op.Stop, "eret"
	default:
		in.Flow = op.Undecodable
	}
}

func (t *translation) system() {
	w := t.w
	switch {
	case w&0xfffff01f == 0xd503201f: // hints: nop, pacibsp, autibsp, bti
		if t.bits(11, 5) == 40 { // chkfeat x16
			t.in.Name = "chkfeat"
			t.emit(op.Op{Kind: op.Clobber, Dst: 16, A: op.None, B: op.None})
		}
	case w&0xfffff000 == 0xd5033000, w&0xfffff000 == 0xd5031000: // barriers
	case w&0xff600000 == 0xd5600000 || w&0xff600000 == 0xd5400000: // 128-bit system registers
		t.in.Name = "mrrs"
		t.clobber(t.rd())
		t.clobber(t.rd() | 1)
	case w>>21&1 == 1:
		t.in.Name = "mrs"
		if t.rd() != 31 {
			t.emit(op.Op{Kind: op.Clobber, Dst: op.Reg(t.rd()), A: op.None, B: op.None})
		}
	default:
		t.emit(op.Op{Kind: op.ClobberFlags})
	}
}
