package unwind

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// frameSection is an .eh_frame by hand: a function of 0x20 bytes at 0x1000 that pushes rbp and makes it its frame, one
// at 0x1040 that is interrupted, and one at 0x1080 that ends the stack.
func frameSection() Section {
	le := binary.LittleEndian
	var b []byte
	record := func(body ...byte) {
		for len(body)%4 != 0 {
			body = append(body, 0)
		}
		b = le.AppendUint32(b, uint32(len(body)))
		b = append(b, body...)
	}
	cie := func(augmentation string, insns ...byte) int {
		at := len(b)
		body := []byte{0, 0, 0, 0, 1}
		body = append(append(body, augmentation...), 0)
		body = append(body, 1, 0x78, 16, 1, 0) // code 1, data -8, return address 16, augmentation: absolute addresses
		record(append(body, insns...)...)
		return at
	}
	fde := func(cie int, start, size uint64, insns ...byte) {
		body := le.AppendUint32(nil, uint32(len(b)+4-cie))
		body = le.AppendUint64(body, start)
		body = le.AppendUint64(body, size)
		record(append(append(body, 0), insns...)...)
	}
	plain := []byte{0x0c, 7, 8, 0x80 | 16, 1} // def_cfa rsp+8; rip at cfa-8
	c := cie("zR", plain...)
	fde(c, 0x1000, 0x20,
		0x41, 0x0e, 16, 0x80|6, 2, // advance 1: cfa rsp+16, rbp at cfa-16
		0x43, 0x0d, 6, // advance 3: cfa rbp+16
		0x50, 0x0a, 0x0c, 7, 8, 0xc0|6, // advance 16: remember; cfa rsp+8; rbp as at first
		0x41, 0x0b) // advance 1: restore
	s := cie("zRS", 0x0f, 2, 0x77, 0, // cfa: rsp
		0x10, 16, 2, 0x77, 8, // rip at rsp+8
		0x16, 7, 3, 0x77, 16, 0x06) // rsp: what stands at rsp+16
	fde(s, 0x1040, 0x20)
	e := cie("zR", append(slices.Clone(plain), 0x07, 16)...) // rip undefined
	fde(e, 0x1080, 0x20)
	record()
	return Section{Data: b, EH: true}
}

// stack is memory at 0x7000.
type stack [64]uint64

const stackBase = 0x7000

func (s *stack) ReadAt(p []byte, off int64) (int, error) {
	b := make([]byte, 0, len(s)*8)
	for _, v := range s {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return bytes.NewReader(b).ReadAt(p, off-stackBase)
}

func table(t testing.TB) *Table {
	t.Helper()
	table, err := NewTable(frameSection())
	if err != nil || len(table.entries) != 3 {
		t.Fatalf("%d entries, %v", len(table.entries), err)
	}
	return table
}

func amd64(pc, sp, fp uint64) Registers {
	r := Registers{Arch: AMD64}
	r.Set(RIP, pc)
	r.Set(RSP, sp)
	r.Set(RBP, fp)
	return r
}

func code(c *Code, from, to uint64) Find {
	return func(pc uint64) *Code {
		if pc >= from && pc < to {
			return c
		}
		return nil
	}
}

func pcs(frames []Frame) (all []uint64) {
	for i := range frames {
		all = append(all, frames[i].PC)
	}
	return all
}

func TestCFI(t *testing.T) {
	find := code(&Code{Table: table(t)}, 0x1000, 0x2000)
	for _, tt := range []struct {
		name   string
		regs   Registers
		memory stack
		want   []uint64
		end    string
	}{
		{"at the entry", amd64(0x1000, 0x7000, 0x70f0), stack{0x1090}, []uint64{0x1000, 0x1090}, ErrEnd.Error()},
		{"pushed", amd64(0x1001, 0x7000, 0x70f0), stack{0x70f0, 0x1090}, []uint64{0x1001, 0x1090}, ErrEnd.Error()},
		{"in the frame", amd64(0x1008, 0x7000, 0x7010), stack{2: 0x70f0, 3: 0x1090}, []uint64{0x1008, 0x1090}, ErrEnd.Error()},
		{"popped", amd64(0x1014, 0x7000, 0x70f0), stack{0x1090}, []uint64{0x1014, 0x1090}, ErrEnd.Error()},
		{"behind the epilogue", amd64(0x1016, 0x7000, 0x7010), stack{2: 0, 3: 0x1090}, []uint64{0x1016, 0x1090}, ErrEnd.Error()},
		{"interrupted at an entry", amd64(0x1041, 0x7000, 0), stack{1: 0x1000, 2: 0x7040, 8: 0x1090},
			[]uint64{0x1041, 0x1000, 0x1090}, ErrEnd.Error()},
		{"recursion without end", amd64(0x1008, 0x7000, 0x7010), stack{2: 0x7010, 3: 0x1009}, []uint64{0x1008, 0x1009},
			"does not lie above"},
		{"a return address without code", amd64(0x1000, 0x7000, 0), stack{0x9999}, []uint64{0x1000}, "no code at the return"},
		{"a stack that is not there", amd64(0x1000, 0x9000, 0), stack{}, []uint64{0x1000}, "cannot be read"},
		{"a call through a wild pointer", amd64(0x10, 0x7000, 0), stack{0x1001, 0x1090}, []uint64{0x10, 0x1001, 0x1090},
			ErrEnd.Error()},
	} {
		frames, err := Walk(tt.regs, &tt.memory, find)
		if !slices.Equal(pcs(frames), tt.want) || err == nil || !strings.Contains(err.Error(), tt.end) {
			t.Errorf("%s: %#x, %v; want %#x, %s", tt.name, pcs(frames), err, tt.want, tt.end)
		}
	}
}

func TestFramePointers(t *testing.T) {
	memory := &stack{4: stackBase + 64, 5: 0x1104, 8: 0, 9: 0x1208}
	for _, a := range []Arch{AMD64, ARM64} {
		r := Registers{Arch: a}
		l := a.layout()
		r.Set(l.pc, 0x1000)
		r.Set(l.sp, stackBase)
		r.Set(l.fp, stackBase+32)
		frames, err := Walk(r, memory, code(&Code{}, 0x1000, 0x2000))
		if want := []uint64{0x1000, 0x1104, 0x1208}; !slices.Equal(pcs(frames), want) || !errors.Is(err, ErrEnd) {
			t.Errorf("%s: %#x, %v", a, pcs(frames), err)
		}
	}
}

// TestSignalFrames goes through the registers that the kernel saved, and a signed return address, on arm64.
func TestSignalFrames(t *testing.T) {
	memory := make([]byte, 1024)
	put := func(at int, v uint64) { binary.LittleEndian.PutUint64(memory[at:], v) }
	copy(memory[800:], trampolines[ARM64][0])
	const saved = 128 + 176 // of what the kernel leaves at the stack pointer
	put(saved+8*(1+31), stackBase+880)
	put(saved+8*(1+32), 0x1100)
	put(saved+8*(1+29), stackBase+904)
	put(904, 0)
	put(912, 0x7f<<48|0x1208)
	r := Registers{Arch: ARM64}
	r.Set(PC, stackBase+800)
	r.Set(SP, stackBase)
	frames, err := Walk(r, offset{bytes.NewReader(memory)}, code(&Code{}, 0x1000, 0x2000))
	if want := []uint64{stackBase + 800, 0x1100, 0x1208}; !slices.Equal(pcs(frames), want) || !errors.Is(err, ErrEnd) ||
		!frames[0].Signal || frames[1].Returned || !frames[2].Returned {
		t.Errorf("%#x, %v; want %#x", pcs(frames), err, want)
	}
	amd := make([]byte, 512)
	for i, n := range ucontext[AMD64].regs {
		binary.LittleEndian.PutUint64(amd[40+8*i:], uint64(1000+n))
	}
	regs, ok := Ucontext(AMD64, amd)
	if v, known := regs.Get(RDI); !ok || !known || v != 1000+RDI || regs.PC() != 1000+RIP || regs.Flags != 998 {
		t.Errorf("%+v, %v", regs, ok)
	}
	if _, ok := Ucontext(AMD64, amd[:100]); ok {
		t.Error("a context that is cut is taken")
	}
}

type offset struct{ r io.ReaderAt }

func (o offset) ReadAt(p []byte, at int64) (int, error) { return o.r.ReadAt(p, at-stackBase) }

func TestExpressions(t *testing.T) {
	regs := amd64(0x100f, 0x7000, 0)
	memory := &stack{0xdeadbeefcafe, 7}
	for _, tt := range []struct {
		name string
		expr []byte
		want uint64
		bad  bool
	}{
		{"entry of a procedure linkage table", []byte{0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22}, 0x7010, false},
		{"memory", []byte{0x77, 0, 0x06}, 0xdeadbeefcafe, false},
		{"part of a word", []byte{0x77, 0, 0x94, 2}, 0xcafe, false},
		{"stack", []byte{0x31, 0x32, 0x33, 0x17, 0x1c, 0x16, 0x1e}, ^uint64(2), false}, // (1 - 2) * 3
		{"branch", []byte{0x30, 0x28, 2, 0, 0x35, 0x2f, 0x36}, 0, true},
		{"endless", []byte{0x2f, 0xfd, 0xff}, 0, true},
		{"division by zero", []byte{0x31, 0x30, 0x1b}, 0, true},
		{"empty", nil, 0, true},
		{"cut", []byte{0x0c, 1}, 0, true},
		{"unknown register", []byte{0x90 - 0x20 + 15, 0}, 0, true},
	} {
		got, err := evaluate(tt.expr, &regs, memory)
		if (err != nil) != tt.bad || !tt.bad && got != tt.want {
			t.Errorf("%s: %#x, %v; want %#x", tt.name, got, err, tt.want)
		}
	}
}

func TestDeepStack(t *testing.T) {
	frames, err := Walk(amd64(0x1000, 0, 8), endless{}, code(&Code{}, 0x1000, 0x2000))
	if len(frames) != MaxFrames || !errors.Is(err, ErrDeep) {
		t.Errorf("%d frames, %v", len(frames), err)
	}
}

// endless is memory in which each frame leads to another one above it.
type endless struct{}

func (endless) ReadAt(p []byte, off int64) (int, error) {
	v := uint64(off) + 16
	if off%16 == 0 {
		v = 0x1234
	}
	for i := range p {
		p[i] = byte(v >> (8 * (i % 8)))
	}
	return len(p), nil
}

func FuzzTable(f *testing.F) {
	f.Add(frameSection().Data, uint64(0x1008), true)
	f.Fuzz(func(t *testing.T, data []byte, pc uint64, eh bool) {
		table, _ := NewTable(Section{Data: data, EH: eh})
		for _, e := range table.entries[:min(len(table.entries), 100)] {
			if d, ok := table.find(e.start); ok {
				_, _ = d.row(e.start + e.size - 1)
			}
		}
		if d, ok := table.find(pc); ok {
			_, _ = d.row(pc)
		}
	})
}

// FuzzWalk unwinds over memory and call frame information of any content.
func FuzzWalk(f *testing.F) {
	f.Add(frameSection().Data, []byte("memory"), uint64(0x1008), uint64(0x7000), uint64(0x7010), false)
	f.Fuzz(func(t *testing.T, section, memory []byte, pc, sp, fp uint64, arm bool) {
		table, _ := NewTable(Section{Data: section, EH: true})
		r := amd64(pc, sp, fp)
		if arm {
			r = Registers{Arch: ARM64}
			r.Set(PC, pc)
			r.Set(SP, sp)
			r.Set(X29, fp)
			r.Set(X30, pc+4)
		}
		c := &Code{Table: table}
		frames, err := Walk(r, offset{bytes.NewReader(memory)}, func(pc uint64) *Code { return c })
		if len(frames) == 0 || len(frames) > MaxFrames || err == nil {
			t.Errorf("%d frames, %v", len(frames), err)
		}
	})
}
