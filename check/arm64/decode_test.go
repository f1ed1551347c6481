package arm64

import (
	"encoding/binary"
	"testing"

	"golang.org/x/arch/arm64/arm64asm"

	"portcullis.dev/check/flow/op"
)

// writes lists the registers that the operations of an instruction write, temporaries aside.
func writes(in *op.Inst) (regs map[op.Reg]bool, all bool) {
	regs = map[op.Reg]bool{}
	for _, o := range in.Ops {
		switch o.Kind {
		case op.ClobberAll:
			all = true
		case op.Store, op.StoreImm, op.Havoc, op.Flags, op.ClobberFlags, op.Nop:
		default:
			if o.Dst != op.None && (o.Dst < t0 || o.Dst >= vec) {
				regs[o.Dst] = true
			}
		}
	}
	return regs, all
}

func decode(w uint32, at uint64) op.Inst {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], w)
	var in op.Inst
	Decode(b[:], at, &in)
	return in
}

func TestConstants(t *testing.T) {
	tests := []struct {
		name string
		w    uint32
		want uint64
	}{
		{"mov w3, #1", 0x52800023, 1},
		{"mov x3, #0x80000003", 0xd2b00003, 0x80000000},
		{"mov w3, #-0x7fffffff", 0x12b00003, 0x7fffffff},
		{"orr w3, wzr, #0x80000001", 0x320107e3, 0x80000001},
		{"mov w3, #0xffff0000", 0x52bfffe3, 0xffff0000},
		{"mov x0, #-1", 0x92800000, 0xffffffffffffffff},
	}
	for _, c := range tests {
		in := decode(c.w, 0)
		in.Ops = in.Ops[max(0, len(in.Ops)-1):] // the zero register may be set first
		if len(in.Ops) != 1 || in.Ops[0].Kind != op.Const {
			t.Errorf("%s: %+v is no constant", c.name, in.Ops)
			continue
		}
		got := uint64(in.Ops[0].Imm)
		if in.Ops[0].Width == 32 {
			got &= 0xffffffff
		}
		if got != c.want {
			t.Errorf("%s gives %#x, want %#x", c.name, got, c.want)
		}
	}
}

func TestFlow(t *testing.T) {
	tests := []struct {
		name   string
		w      uint32
		flow   op.Flow
		target uint64
	}{
		{"bl", 0x94000002, op.Call, 0x1008},
		{"b", 0x17ffffff, op.Jump, 0xffc},
		{"cbz x0", 0xb4000040, op.Branch, 0x1008},
		{"tbnz w1, #3", 0x371fffe1, op.Branch, 0xffc},
		{"b.ne", 0x54000041, op.Branch, 0x1008},
		{"blr x8", 0xd63f0100, op.CallReg, 0},
		{"blraa x8, x9", 0xd73f0909, op.CallReg, 0},
		{"blraaz x8", 0xd63f091f, op.CallReg, 0},
		{"br x16", 0xd61f0200, op.JumpReg, 0},
		{"braa x16, x17", 0xd71f0a11, op.JumpReg, 0},
		{"ret", 0xd65f03c0, op.Return, 0},
		{"retab", 0xd65f0fff, op.Return, 0},
		{"svc #0x80", 0xd4001001, op.Trap, 0},
		{"svc #0x2a", 0xd4000541, op.Trap, 0},
		{"brk #1", 0xd4200020, op.Stop, 0},
		{"udf #0", 0, op.Stop, 0},
		{"pacibsp", 0xd503237f, op.Next, 0},
		{"autibsp", 0xd50323ff, op.Next, 0},
		{"nop", 0xd503201f, op.Next, 0},
	}
	for _, c := range tests {
		in := decode(c.w, 0x1000)
		if in.Flow != c.flow || in.Target != c.target {
			t.Errorf("%s: flow %d to %#x, want %d to %#x", c.name, in.Flow, in.Target, c.flow, c.target)
		}
		if c.flow == op.Next && len(in.Ops) != 0 {
			t.Errorf("%s does something: %+v", c.name, in.Ops)
		}
	}
}

// TestDestinations compares what is written with x/arch's decoder: the first operand of an instruction that is a
// general register is its destination, but for the families listed.
func TestDestinations(t *testing.T) {
	reads := map[arm64asm.Op]bool{}
	for _, o := range []arm64asm.Op{arm64asm.STR, arm64asm.STRB, arm64asm.STRH, arm64asm.STP, arm64asm.STNP, arm64asm.STUR,
		arm64asm.STURB, arm64asm.STURH, arm64asm.STTR, arm64asm.STTRB, arm64asm.STTRH, arm64asm.STLR, arm64asm.STLRB,
		arm64asm.STLRH, arm64asm.CBZ, arm64asm.CBNZ, arm64asm.TBZ, arm64asm.TBNZ, arm64asm.CMP, arm64asm.CMN, arm64asm.TST,
		arm64asm.CCMP, arm64asm.CCMN, arm64asm.BR, arm64asm.BLR, arm64asm.RET, arm64asm.PRFM, arm64asm.PRFUM, arm64asm.MSR,
		arm64asm.SYS, arm64asm.DC, arm64asm.IC, arm64asm.TLBI, arm64asm.AT} {
		reads[o] = true
	}
	n := 0
	state := uint64(12345)
	for range 2_000_000 {
		state = state*6364136223846793005 + 1442695040888963407
		w := uint32(state >> 32)
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], w)
		x, err := arm64asm.Decode(b[:])
		if err != nil || reads[x.Op] {
			continue
		}
		in := decode(w, 0x10000)
		regs, all := writes(&in)
		if all || in.Flow == op.Stop || in.Flow == op.Undecodable {
			continue // unknown code is always safe; x/arch accepts some reserved encodings
		}
		args := 1
		switch x.Op {
		case arm64asm.LDP, arm64asm.LDNP, arm64asm.LDPSW, arm64asm.LDXP, arm64asm.LDAXP:
			args = 2
		}
		for _, a := range x.Args[:args] {
			var d op.Reg
			switch r := a.(type) {
			case arm64asm.Reg:
				switch {
				case r >= arm64asm.W0 && r <= arm64asm.W30:
					d = op.Reg(r - arm64asm.W0)
				case r >= arm64asm.X0 && r <= arm64asm.X30:
					d = op.Reg(r - arm64asm.X0)
				case r >= arm64asm.S0 && r <= arm64asm.S31:
					d = lane(uint32(r-arm64asm.S0), 0)
				case r >= arm64asm.D0 && r <= arm64asm.D31:
					d = lane(uint32(r-arm64asm.D0), 0)
				case r >= arm64asm.V0 && r <= arm64asm.V31:
					d = lane(uint32(r-arm64asm.V0), 0)
				default:
					continue
				}
			case arm64asm.RegSP:
				if d = op.Reg(r - arm64asm.RegSP(arm64asm.X0)); r < arm64asm.RegSP(arm64asm.X0) {
					d = op.Reg(r - arm64asm.RegSP(arm64asm.W0))
				}
				if d > 31 {
					continue
				}
			default:
				continue
			}
			n++
			if d < vec && harmless(&in, w, d) {
				continue
			}
			if !regs[d] && !storesFP(x.Op) && !(in.Name == "pac") {
				t.Fatalf("%08x %v: register %d is not written by %+v", w, x, d, in.Ops)
			}
		}
		// A base that is written back.
		for _, a := range x.Args {
			if m, ok := a.(arm64asm.MemImmediate); ok && (m.Mode == arm64asm.AddrPreIndex || m.Mode == arm64asm.AddrPostIndex) {
				base := op.Reg(w >> 5 & 31)
				if !regs[base] {
					t.Fatalf("%08x %v: base %d is not written", w, x, base)
				}
			}
		}
	}
	if n < 100_000 {
		t.Fatalf("only %d destinations were compared", n)
	}
}

// harmless tells whether nothing is left out where d is not written: a field of the zero register, a hint.
func harmless(in *op.Inst, w uint32, d op.Reg) bool {
	return in.Name == "" || w>>25&15 == 5 && w&31 == 31
}

func storesFP(o arm64asm.Op) bool {
	return o == arm64asm.FCMP || o == arm64asm.FCMPE || o == arm64asm.FCCMP || o == arm64asm.FCCMPE
}

func FuzzDecode(f *testing.F) {
	for _, w := range []uint32{0xd503201f, 0x94000002, 0xa9be4ff4, 0x320107e3, 0x6f00e400, 0x3c8143e0} {
		var b [4]byte
		binary.LittleEndian.PutUint32(b[:], w)
		f.Add(b[:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var in op.Inst
		Decode(b, 0x100000, &in)
		if in.Len != 4 {
			t.Fatalf("length %d", in.Len)
		}
		check(t, &in)
	})
}

// check holds operations to what the engine relies on.
func check(t *testing.T, in *op.Inst) {
	t.Helper()
	for _, o := range in.Ops {
		if o.Dst != op.None && o.Dst >= op.MaxRegs || o.A != op.None && o.A >= op.MaxRegs || o.B != op.None && o.B >= op.MaxRegs {
			t.Fatalf("register out of range in %+v", o)
		}
		memory := o.Kind == op.Load || o.Kind == op.Store || o.Kind == op.StoreImm || o.Kind == op.Havoc
		needsA := !memory && o.Kind != op.Const && o.Kind != op.Addr && o.Kind != op.Nop && o.Kind != op.Clobber &&
			o.Kind != op.ClobberFlags && o.Kind != op.ClobberAll
		if needsA && o.A == op.None || o.Kind == op.Insert && o.Dst == op.None ||
			(o.Kind == op.Store || o.Kind == op.Select) && o.B == op.None {
			t.Fatalf("operand missing in %+v", o)
		}
		if (o.Kind == op.Load || o.Kind == op.Store || o.Kind == op.StoreImm) && (o.Size == 0 || o.Size > 8) {
			t.Fatalf("size of %+v", o)
		}
	}
}
