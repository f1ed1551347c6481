package amd64

import (
	"bufio"
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"portcullis.dev/check/flow/op"
)

func TestLength(t *testing.T) {
	tests := []struct {
		name string
		code []byte
	}{
		{"push rbp", []byte{0x55}},
		{"mov rbp, rsp", []byte{0x48, 0x89, 0xe5}},
		{"mov dword [rsp], 0", []byte{0xc7, 0x04, 0x24, 0, 0, 0, 0}},
		{"movabs rax, imm64", []byte{0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8}},
		{"mov ax, imm16", []byte{0x66, 0xb8, 1, 2}},
		{"call [rip+x]", []byte{0xff, 0x15, 1, 2, 3, 4}},
		{"test byte [rip+x], 1", []byte{0xf6, 0x05, 1, 2, 3, 4, 1}},
		{"not eax", []byte{0xf7, 0xd0}},
		{"test eax, imm32", []byte{0xf7, 0xc0, 1, 2, 3, 4}},
		{"nopw cs:[rax+rax]", []byte{0x66, 0x2e, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0}},
		{"vzeroupper", []byte{0xc5, 0xf8, 0x77}},
		{"vmovups ymm0, [rsi]", []byte{0xc5, 0xfc, 0x10, 0x06}},
		{"vpalignr xmm0, xmm1, xmm2, 8", []byte{0xc4, 0xe3, 0x71, 0x0f, 0xc2, 8}},
		{"vpshufd zmm0, zmm1, 0x4e", []byte{0x62, 0xf1, 0x7d, 0x48, 0x70, 0xc1, 0x4e}},
		{"vmovdqu64 zmm1, [rdi+64]", []byte{0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x4f, 1}},
		{"pshufb xmm0, xmm1", []byte{0x66, 0x0f, 0x38, 0x00, 0xc1}},
		{"roundsd xmm0, xmm1, 9", []byte{0x66, 0x0f, 0x3a, 0x0b, 0xc1, 9}},
		{"mulx rax, rcx, [rsp+8]", []byte{0xc4, 0xe2, 0xf3, 0xf6, 0x44, 0x24, 8}},
		{"enter", []byte{0xc8, 0x10, 0, 0}},
		{"lock cmpxchg16b [rdi]", []byte{0xf0, 0x48, 0x0f, 0xc7, 0x0f}},
	}
	for _, c := range tests {
		if n := Length(c.code); n != len(c.code) {
			t.Errorf("%s: length %d, want %d", c.name, n, len(c.code))
		}
		for i := range c.code {
			if n := Length(c.code[:i]); n != 0 && c.code[0] != 0x66 {
				t.Errorf("%s cut to %d bytes: length %d", c.name, i, n)
			}
		}
	}
}

// TestAgainstDisassembler compares lengths, flow and destinations with llvm-objdump on the test's own program, or the one
// that PORTCULLIS_X86_BINARY names.
func TestAgainstDisassembler(t *testing.T) {
	objdump, err := exec.LookPath("llvm-objdump-19")
	if err != nil {
		t.Skip("SKIPPED: llvm-objdump-19 is not installed; lengths are not compared with a disassembler")
	}
	path := os.Getenv("PORTCULLIS_X86_BINARY")
	if path == "" {
		if runtime.GOARCH != "amd64" {
			t.Skip("SKIPPED: the test itself is no x86_64 program to compare on")
		}
		if path, err = os.Executable(); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"-d", "--x86-asm-syntax=intel", path}
	if f, err := elf.Open(path); err == nil {
		f.Close()
		args = append(args, "-j", ".text")
	}
	cmd := exec.Command(objdump, args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	n, unknown, wrong := 0, 0, 0
	sc := bufio.NewScanner(out)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		addr, rest, ok := strings.Cut(sc.Text(), ": ")
		if !ok {
			continue
		}
		at, err := strconv.ParseUint(strings.TrimSpace(addr), 16, 64)
		if err != nil {
			continue
		}
		hexes, text, _ := strings.Cut(rest, "\t")
		code := parseHex(hexes)
		// Far transfers stand in tables between code only.
		if len(code) == 0 || strings.Contains(text, "<unknown>") || len(code) > 1 && code[0] == 0xff &&
			(code[1]>>3&7 == 3 || code[1]>>3&7 == 5) {
			continue
		}
		n++
		var in op.Inst
		Decode(append(bytes.Clone(code), 0, 0, 0, 0), at, &in)
		switch {
		case in.Flow == op.Undecodable:
			if unknown++; unknown <= 10 {
				t.Logf("%x % x %s: not known", at, code, text)
			}
		case int(in.Len) != len(code):
			// The disassembler prints some prefixes as instructions of their own.
			if p := strings.TrimSpace(text); p == "lock" || p == "rep" || p == "repne" || p == "data16" || p == "notrack" ||
				strings.HasPrefix(p, "rex64") {
				continue
			}
			if wrong++; wrong <= 10 {
				t.Errorf("%x % x %s: length %d", at, code, text, in.Len)
			}
		default:
			compareFlow(t, &in, code, strings.Fields(text))
			compareWrites(t, &in, code, text)
		}
	}
	t.Logf("%d instructions compared, %d not known, %d wrong", n, unknown, wrong)
	if n < 10000 || unknown > n/2000 {
		t.Errorf("%d instructions compared, %d not known", n, unknown)
	}
}

func parseHex(s string) []byte {
	var b []byte
	for _, h := range strings.Fields(s) {
		x, err := strconv.ParseUint(h, 16, 8)
		if err != nil || len(h) != 2 {
			return nil
		}
		b = append(b, byte(x))
	}
	return b
}

func compareFlow(t *testing.T, in *op.Inst, code []byte, words []string) {
	t.Helper()
	for len(words) > 1 && (words[0] == "lock" || words[0] == "rep" || words[0] == "notrack" || words[0] == "bnd" ||
		words[0] == "data16" || words[0] == "repne") {
		words = words[1:]
	}
	if len(words) == 0 {
		return
	}
	var want []op.Flow
	switch m := words[0]; {
	case m == "call":
		want = []op.Flow{op.Call, op.CallReg}
	case m == "jmp":
		want = []op.Flow{op.Jump, op.JumpReg}
	case m[0] == 'j', strings.HasPrefix(m, "loop"):
		want = []op.Flow{op.Branch}
	case m == "ret", m == "retf", m == "iretd", m == "iretq":
		want = []op.Flow{op.Return}
	case m == "syscall":
		want = []op.Flow{op.Trap}
	case m == "ud2", m == "hlt":
		want = []op.Flow{op.Stop}
	default:
		want = []op.Flow{op.Next}
	}
	ok := false
	for _, w := range want {
		ok = ok || w == in.Flow
	}
	if !ok {
		t.Errorf("%x % x %v: flow %d", in.Addr, code, words, in.Flow)
	}
	if in.Flow == op.Jump || in.Flow == op.Branch || in.Flow == op.Call {
		target, err := strconv.ParseUint(strings.TrimPrefix(words[1], "0x"), 16, 64)
		if err == nil && target != in.Target {
			t.Errorf("%x % x %v: target %#x", in.Addr, code, words, in.Target)
		}
	}
}

var readers = map[string]bool{"cmp": true, "test": true, "push": true, "call": true, "jmp": true, "bt": true, "nop": true,
	"mul": true, "div": true, "idiv": true, "ud1": true, "incsspq": true, "wrpkru": true, "endbr64": true, "verr": true,
	"lldt": true, "ltr": true, "rdsspq": false, "wrfsbase": true, "wrgsbase": true, "ptwrite": true}

// compareWrites checks that the general register that stands first in the text is written.
func compareWrites(t *testing.T, in *op.Inst, code []byte, text string) {
	t.Helper()
	m, operands, _ := strings.Cut(strings.TrimSpace(text), "\t")
	first, _, _ := strings.Cut(operands, ",")
	first = strings.TrimSpace(first)
	if readers[m] || strings.ContainsAny(first, "[ ") || m == "imul" && !strings.Contains(operands, ",") {
		return
	}
	want := -1
	for r := range names64 {
		if first == names64[r] || first == names32[r] {
			want = r
		}
	}
	if want < 0 {
		return
	}
	// xor r, r and the like are constants; what matters is that the register is named at all.
	for _, o := range in.Ops {
		if o.Kind == op.ClobberAll || o.Dst == op.Reg(want) && o.Kind != op.Flags && o.Kind != op.Store {
			return
		}
	}
	if m == "xchg" || m == "ja" {
		return
	}
	t.Errorf("%x % x %s: %s is not written by %+v", in.Addr, code, text, names64[want], in.Ops)
}

func FuzzDecode(f *testing.F) {
	for _, s := range [][]byte{{0x48, 0x89, 0xe5}, {0xc7, 0x04, 0x24, 0, 0, 0, 0}, {0x62, 0xf1, 0x7d, 0x48, 0x70, 0xc1, 0x4e},
		{0x0f, 0x29, 0x44, 0x24, 0x10}, {0x66, 0x0f, 0x38, 0, 0xc1}, {0xff, 0x25, 1, 2, 3, 4}, {0xf3, 0x48, 0xab}} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var in op.Inst
		Decode(b, 0x100000, &in)
		if in.Flow != op.Undecodable && (in.Len == 0 || int(in.Len) > len(b) || in.Len > 15) {
			t.Fatalf("length %d of %d bytes", in.Len, len(b))
		}
		if n := Length(b); in.Flow != op.Undecodable && n != int(in.Len) {
			t.Fatalf("length %d and %d", n, in.Len)
		}
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
	})
}
