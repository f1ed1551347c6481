// Package amd64 translates x86_64 machine code to the operations of package op, and finds the instructions of a text
// section that reach given stubs or pointer slots.
//
// Instructions are 1 to 15 bytes long, so first of all lengths must be right: [Length] knows the forms of the one-,
// two- and three-byte opcode maps and of the VEX and EVEX prefixes (Intel 64 manual, volume 2, chapter 2 and
// appendix A). What an instruction does is modelled for moves, integer arithmetic, conditions and the vector moves
// that compilers build structs with; every other instruction clobbers all it may write.
package amd64

import "portcullis.dev/check/flow/op"

// Registers of the small machine: rax to r15 are 0 to 15 in the order of their encoding.
const (
	rax op.Reg = 0
	rcx op.Reg = 1
	rdx op.Reg = 2
	rbx op.Reg = 3
	SP  op.Reg = 4
	BP  op.Reg = 5
	rsi op.Reg = 6
	rdi op.Reg = 7
	r11 op.Reg = 11
	t0  op.Reg = 16 // addresses
	t1  op.Reg = 17
	t2  op.Reg = 18
	t3  op.Reg = 19
	vec op.Reg = 24 // two lanes for each of 32 vector registers
)

func lane(v int, half op.Reg) op.Reg { return vec + op.Reg(v&31)*2 + half }

// ISA describes x86_64 to the flow engine.
var ISA = &op.ISA{
	Name: "x86_64", Decode: Decode, Align: 1, MaxLen: 15, SP: SP, FP: BP,
	Args:      []op.Reg{rdi, rsi, rdx, rcx, 8, 9},
	Extra:     []op.Reg{10, 13},
	Result:    []op.Reg{rax, rdx},
	Saved:     []op.Reg{rbx, BP, 12, 13, 14, 15},
	Number:    rax,
	TrapArgs:  []op.Reg{rdi, rsi, rdx, 10, 8, 9},
	StackArgs: 0, EntryArgs: 8,
	RegName: regName,
}

var names64 = [16]string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
	"r14", "r15"}
var names32 = [16]string{"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d",
	"r13d", "r14d", "r15d"}

func regName(r op.Reg, width uint8) string {
	switch {
	case r > 15:
		return ""
	case width == 32:
		return names32[r]
	}
	return names64[r]
}
