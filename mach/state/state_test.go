package state_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"portcullis.dev/mach"
	"portcullis.dev/mach/state"
)

var le = binary.LittleEndian

func bytesOf(w []uint32) (b []byte) {
	for _, v := range w {
		b = le.AppendUint32(b, v)
	}
	return b
}

// TestCounts pins the counts of the flavors: sizes of Mach's structures in words.
func TestCounts(t *testing.T) {
	for _, tt := range []struct {
		cpu    string
		counts map[uint32]int
	}{
		{"x86_64", map[uint32]int{4: 168 / 4, 5: 524 / 4, 6: 16 / 4, 7: 176 / 4, 8: 532 / 4, 9: 24 / 4, 11: 64 / 4,
			12: 72 / 4, 22: 1}},
		{"arm64", map[uint32]int{1: 280 / 4, 6: 272 / 4, 7: 16 / 4, 10: 16 / 4, 15: 520 / 4, 17: 528 / 4, 27: 1}},
	} {
		for f := range uint32(60) {
			if got := state.Count(tt.cpu, f); got != tt.counts[f] {
				t.Errorf("%s, flavor %d: %d words, want %d", tt.cpu, f, got, tt.counts[f])
			}
			name, known := mach.ThreadFlavorName(tt.cpu, f)
			if tt.counts[f] > 0 && !known {
				t.Errorf("%s, flavor %d (%s) has no name", tt.cpu, f, name)
			}
		}
	}
}

// gregs are Linux's general registers on x86_64, by their place in gregset_t.
var gregs = []string{"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx",
	"rsp", "rip", "eflags", "csgsfs", "err", "trapno", "oldmask", "cr2"}

// amd64 returns Linux's bytes with a value of its own in every register, and the values by name.
func amd64() (g []uint64, fx []byte, value map[string]uint64) {
	value = map[string]uint64{}
	for i, name := range gregs {
		value[name] = 0x1111_0000_0000 + uint64(i+1)*0x01010101
	}
	value["eflags"] = 0x246
	value["csgsfs"] = 0x002b_0011_0022_0033 // ss, fs, gs, cs
	value["trapno"], value["err"] = 14, 6
	for _, name := range gregs {
		g = append(g, value[name])
	}
	fx = make([]byte, state.FXSaveSize)
	for i := range fx {
		fx[i] = byte(i) ^ byte(i>>8)*0x80
	}
	le.PutUint32(fx[24:], 0x1f80)
	le.PutUint32(fx[28:], 0x0002_ffff)
	return g, fx, value
}

// TestLists: flavors that list flavors are read, and not set.
func TestLists(t *testing.T) {
	for _, tt := range []struct {
		r interface {
			Get(uint32) ([]uint32, mach.KernReturn)
			Set(uint32, []uint32) mach.KernReturn
		}
		flavor uint32
		want   []uint32
	}{
		{&state.AMD64{}, 0, []uint32{1, 2, 3}},
		{&state.AMD64{}, 128, []uint32{7, 8, 9, 12}},
		{&state.AMD64{}, 129, []uint32{7, 8, 9, 12, 18}},
		{&state.AMD64{}, 130, []uint32{7, 8, 9, 12, 18, 21}},
		{&state.AMD64{}, 131, []uint32{7, 8, 9, 12, 18, 21, 22}},
		{&state.ARM64{}, 0, []uint32{1, 2, 3, 4}},
		{&state.ARM64{}, 128, []uint32{1, 2, 7, 15}},
		{&state.ARM64{}, 129, nil},
		{&state.ARM64{}, 130, nil},
		{&state.ARM64{}, 131, []uint32{1, 2, 7, 15, 27}},
	} {
		got, kr := tt.r.Get(tt.flavor)
		if !slices.Equal(got, tt.want) || (kr == 0) != (tt.want != nil) {
			t.Errorf("%T %d: %v, %v; want %v", tt.r, tt.flavor, got, kr, tt.want)
		}
		if kr := tt.r.Set(tt.flavor, tt.want); kr != mach.KernInvalidArgument {
			t.Errorf("%T %d is set: %v", tt.r, tt.flavor, kr)
		}
	}
}

func TestAMD64(t *testing.T) {
	g, fx, value := amd64()
	var r state.AMD64
	if !r.Load(g, fx) {
		t.Fatal("not loaded")
	}
	get := func(f uint32) []byte {
		w, kr := r.Get(f)
		if kr != 0 || len(w) != state.Count("x86_64", f) {
			t.Fatalf("flavor %d: %d words, %v", f, len(w), kr)
		}
		return bytesOf(w)
	}
	general := get(state.X86ThreadState64)
	for i, name := range []string{"rax", "rbx", "rcx", "rdx", "rdi", "rsi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12",
		"r13", "r14", "r15", "rip", "eflags"} {
		if got := le.Uint64(general[8*i:]); got != value[name] {
			t.Errorf("%s at %d: %#x, want %#x", name, 8*i, got, value[name])
		}
	}
	for i, want := range []uint64{0x33, 0x11, 0x22} {
		if got := le.Uint64(general[144+8*i:]); got != want {
			t.Errorf("selector %d: %#x, want %#x", i, got, want)
		}
	}
	if e := get(state.X86ExceptionState64); le.Uint16(e) != 14 || le.Uint16(e[2:]) != 0 || le.Uint32(e[4:]) != 6 ||
		le.Uint64(e[8:]) != value["cr2"] {
		t.Errorf("exception state % x", e)
	}
	float := get(state.X86FloatState64)
	for _, at := range []struct{ mach, linux, size int }{
		{8, 0, 2}, {10, 2, 2}, {12, 4, 1}, {14, 6, 2}, {16, 8, 4}, {20, 12, 2}, {24, 16, 4}, {28, 20, 2}, {32, 24, 4},
		{36, 28, 4}, {40, 32, 128}, {168, 160, 256}} {
		if !slices.Equal(float[at.mach:at.mach+at.size], fx[at.linux:at.linux+at.size]) {
			t.Errorf("floating-point state at %d", at.mach)
		}
	}
	for i, b := range slices.Concat(float[:8], float[424:]) {
		if b != 0 {
			t.Errorf("Linux's own byte %d is shown: %#x", i, b)
		}
	}
	if !slices.Equal(get(state.X86DebugState64), make([]byte, 64)) {
		t.Error("debug registers out of nowhere")
	}
	for f, inner := range map[uint32]uint32{7: 4, 8: 5, 9: 6, 12: 11} {
		b, in := get(f), get(inner)
		if le.Uint32(b) != inner || le.Uint32(b[4:]) != uint32(len(in)/4) || !slices.Equal(b[8:], in) {
			t.Errorf("flavor %d is not %d with a header", f, inner)
		}
	}
	for _, f := range []uint32{1, 2, 3, 10, 13, 17, 23, 99} {
		if _, kr := r.Get(f); kr != mach.KernInvalidArgument {
			t.Errorf("flavor %d: %v", f, kr)
		}
	}
}

func TestSetAMD64(t *testing.T) {
	load := func() (r state.AMD64, g []uint64, fx []byte) {
		g, fx, _ = amd64()
		r.Load(g, fx)
		return r, g, fx
	}
	r, g, fx := load()
	for f := range uint32(30) { // what was got can be set, and changes nothing
		if w, kr := r.Get(f); kr == 0 && f != 0 {
			want := mach.KernReturn(0)
			if f == state.X86ExceptionState || f == state.X86ExceptionState64 || f == state.X86PageinState {
				want = mach.KernInvalidArgument
			}
			if kr := r.Set(f, w); kr != want {
				t.Errorf("flavor %d: %v, want %v", f, kr, want)
			}
			if kr := r.Set(f, w[1:]); kr != mach.KernInvalidArgument {
				t.Errorf("flavor %d, short: %v", f, kr)
			}
			if kr := r.Set(f, append(w, 0)); kr != mach.KernInvalidArgument {
				t.Errorf("flavor %d, long: %v", f, kr)
			}
		}
	}
	g2, fx2 := slices.Clone(g), slices.Clone(fx)
	if !r.Store(g2, fx2) || !slices.Equal(g, g2) || !slices.Equal(fx, fx2) {
		t.Error("setting what was got changes something")
	}

	w, _ := r.Get(state.X86ThreadState)
	w[2+32], w[2+33] = 0xdead, 0x7f // rip
	w[2+0] = 0x1234                 // rax
	w[2+34] = 0xffffffff            // flags
	w[2+36] = 0x7b                  // cs
	if kr := r.Set(state.X86ThreadState, w); kr != 0 {
		t.Fatal(kr)
	}
	r.Store(g, fx)
	if g[16] != 0x7f0000dead || uint32(g[13]) != 0x1234 || uint32(g[17]) != 0xfffe8fff || uint16(g[18]) != 0x33 {
		t.Errorf("rip %#x, rax %#x, flags %#x, selectors %#x", g[16], g[13], g[17], g[18])
	}
	before := r
	for _, high := range []int{2 + 15, 2 + 33} { // rsp, rip
		bad := slices.Clone(w)
		bad[high] = 0x8000
		if kr := r.Set(state.X86ThreadState, bad); kr != mach.KernInvalidArgument || r != before {
			t.Errorf("no program has such an address: %v", kr)
		}
	}
	w[1]++
	if kr := r.Set(state.X86ThreadState, w); kr != mach.KernInvalidArgument {
		t.Errorf("header: %v", kr)
	}

	r, g, fx = load()
	w, _ = r.Get(state.X86FloatState64)
	w[8], w[9] = 0xffffffff, 0 // mxcsr and its mask
	w[42] = 0x5678             // xmm0
	if kr := r.Set(state.X86FloatState64, w); kr != 0 {
		t.Fatal(kr)
	}
	tail := slices.Clone(fx[416:])
	r.Store(g, fx)
	if le.Uint32(fx[24:]) != 0x0002ffff || le.Uint32(fx[28:]) != 0x0002ffff || le.Uint32(fx[160:]) != 0x5678 ||
		!slices.Equal(fx[416:], tail) {
		t.Errorf("mxcsr %#x, mask %#x", le.Uint32(fx[24:]), le.Uint32(fx[28:]))
	}
	d := make([]uint32, 16)
	d[14] = 1
	if kr := r.Set(state.X86DebugState64, d); kr != mach.KernNotSupported {
		t.Errorf("debug registers: %v", kr)
	}
	if r.Load(g[1:], nil) || r.Load(g, fx[1:]) || r.Store(g[1:], nil) || r.Store(g, fx[1:]) {
		t.Error("short structures")
	}
}

// arm64 returns Linux's registers with a value of its own in each.
func arm64() (general []uint64, floating []byte) {
	for i := range uint64(state.ARM64Words) {
		general = append(general, 0x2222_0000_0000_0000+i*0x01010101)
	}
	general[33] = 0x60001000
	floating = make([]byte, state.FloatingSize)
	for i := range floating {
		floating[i] = byte(i + 1)
	}
	return general, floating
}

func TestARM64(t *testing.T) {
	general, floating := arm64()
	r := state.ARM64{Fault: 0x1234, Syndrome: 0x5_92000046}
	if !r.Load(general, floating) {
		t.Fatal("not loaded")
	}
	get := func(f uint32) []byte {
		w, kr := r.Get(f)
		if kr != 0 || len(w) != state.Count("arm64", f) {
			t.Fatalf("flavor %d: %d words, %v", f, len(w), kr)
		}
		return bytesOf(w)
	}
	b := get(state.ARMThreadState64)
	for i, v := range general[:33] { // x0-28, fp, lr, sp, pc
		if got := le.Uint64(b[8*i:]); got != v {
			t.Errorf("register %d: %#x, want %#x", i, got, v)
		}
	}
	if le.Uint32(b[264:]) != 0x60001000 || le.Uint32(b[268:]) != 0 {
		t.Error("cpsr, padding")
	}
	if b := get(state.ARMThreadState); le.Uint32(b) != 6 || le.Uint32(b[4:]) != 68 ||
		!slices.Equal(b[8:], get(state.ARMThreadState64)) {
		t.Error("the unified flavor is not the other with a header")
	}
	if e := get(state.ARMExceptionState64); le.Uint64(e) != 0x1234 || le.Uint32(e[8:]) != 0x92000046 ||
		le.Uint32(e[12:]) != 0 {
		t.Errorf("exception state % x", e)
	}
	if e := get(state.ARMExceptionState64b); le.Uint64(e[8:]) != 0x5_92000046 {
		t.Errorf("exception state, second form: % x", e)
	}
	if n := get(state.ARMNeonState64); !slices.Equal(n[:512], floating[16:]) ||
		!slices.Equal(n[512:520], floating[:8]) || le.Uint64(n[520:]) != 0 {
		t.Error("v0-31, fpsr, fpcr, padding")
	}
	for _, f := range []uint32{1, 6, 7, 10, 17} {
		w, _ := r.Get(f)
		if kr := r.Set(f, w); kr != 0 {
			t.Errorf("flavor %d: %v", f, kr)
		}
		if kr := r.Set(f, w[1:]); kr != mach.KernInvalidArgument {
			t.Errorf("flavor %d, short: %v", f, kr)
		}
	}
	g2, f2 := slices.Clone(general), slices.Clone(floating)
	if !r.Store(g2, f2) || !slices.Equal(g2, general) || !slices.Equal(f2, floating) {
		t.Error("setting what was got changes something")
	}
	w, _ := r.Get(state.ARMThreadState64)
	w[64], w[65], w[66] = 0x4000, 1, 0xf000001f
	r.Set(state.ARMThreadState64, w)
	n, _ := r.Get(state.ARMNeonState64)
	n[0], n[128] = 0x9abc, 7
	r.Set(state.ARMNeonState64, n)
	r.Store(general, floating)
	if general[32] != 0x1_0000_4000 || general[33] != 0xf0000000 || le.Uint32(floating[16:]) != 0x9abc ||
		le.Uint32(floating) != 7 {
		t.Errorf("pc %#x, state %#x", general[32], general[33])
	}
	d := make([]uint32, 130)
	if kr := r.Set(state.ARMDebugState64, d); kr != 0 {
		t.Error(kr)
	}
	d[3] = 1
	if kr := r.Set(state.ARMDebugState64, d); kr != mach.KernNotSupported {
		t.Errorf("debug registers: %v", kr)
	}
	if r.Load(general[1:], nil) || r.Load(general, floating[1:]) || r.Store(general[1:], nil) ||
		r.Store(general, floating[1:]) || !r.Load(general, nil) || !r.Store(general, nil) {
		t.Error("short structures, or none")
	}
}

func TestOnlyPC(t *testing.T) {
	for _, tt := range []struct {
		cpu string
		f   uint32
		pc  int // word
	}{{"x86_64", 4, 32}, {"x86_64", 7, 34}, {"x86_64", 5, -1}, {"arm64", 6, 64}, {"arm64", 1, 66}, {"arm64", 17, -1}} {
		n := state.Count(tt.cpu, tt.f)
		old, fresh := make([]uint32, n), make([]uint32, n)
		for i := range fresh {
			fresh[i] = uint32(i) + 1
		}
		for i, w := range state.OnlyPC(tt.cpu, tt.f, old, fresh) {
			want := uint32(0)
			if tt.pc >= 0 && (i == tt.pc || i == tt.pc+1) {
				want = fresh[i]
			}
			if w != want {
				t.Errorf("%s, flavor %d, word %d: %d, want %d", tt.cpu, tt.f, i, w, want)
			}
		}
		if got := state.OnlyPC(tt.cpu, tt.f, old, fresh[1:]); !slices.Equal(got, old) {
			t.Error("words that are not of the flavor count")
		}
	}
}
