package amd64

// form is an instruction taken apart.
type form struct {
	length           int
	opsize16, addr32 bool
	rep, repne       bool
	segment          bool // fs or gs: the address is not what its registers say
	lock             bool
	rexW             bool
	r, x, b          int // register extensions: 0 or 8; EVEX adds 16
	legacyRex        bool
	vex, evex        bool
	vvvv             int
	wide             bool // VEX.L or EVEX.L'L not 0
	pp               byte // mandatory prefix: 0, 0x66, 0xf3, 0xf2
	opmap            byte // 0: one byte; 1: 0f; 2: 0f38; 3: 0f3a; 5, 6: EVEX
	opcode           byte
	modrm            bool
	mod, reg, rm     int // reg and rm without extensions
	base, index      int // of memory: -1 none
	scale            int
	rip              bool
	disp             int64
	dispAt, immAt    int // offsets of the 4-byte displacement and of the immediate; 0 none
	imm              int64
	immLen           int
}

// shapes of one-byte opcodes.
const (
	none = iota
	mrm
	mrmB  // modrm, imm8
	mrmZ  // modrm, imm16/32
	immB  // imm8 or rel8
	immZ  // imm16/32
	immV  // imm16/32/64
	immW  // imm16
	rel32 // 32 bits whatever the prefix
	moffs
	enter
	group3b // f6: imm8 for /0 and /1
	group3z
	bad
)

var oneByte = func() (t [256]uint8) {
	for i := range t {
		t[i] = none
	}
	for i := 0; i < 0x40; i += 8 {
		for j := range 4 {
			t[i+j] = mrm
		}
		t[i+4], t[i+5], t[i+6], t[i+7] = immB, immZ, bad, bad
	}
	for _, i := range []int{0x60, 0x61, 0x82, 0x9a, 0xce, 0xd4, 0xd5, 0xd6, 0xea} {
		t[i] = bad
	}
	for i := 0x70; i < 0x80; i++ {
		t[i] = immB
	}
	for i := 0x84; i < 0x90; i++ {
		t[i] = mrm
	}
	t[0x63], t[0x68], t[0x69], t[0x6a], t[0x6b] = mrm, immZ, mrmZ, immB, mrmB
	t[0x80], t[0x81], t[0x83] = mrmB, mrmZ, mrmB
	for i := 0xa0; i < 0xa4; i++ {
		t[i] = moffs
	}
	t[0xa8], t[0xa9] = immB, immZ
	for i := 0xb0; i < 0xb8; i++ {
		t[i], t[i+8] = immB, immV
	}
	t[0xc0], t[0xc1], t[0xc2], t[0xc6], t[0xc7], t[0xc8], t[0xca], t[0xcd] = mrmB, mrmB, immW, mrmB, mrmZ, enter, immW, immB
	for i := 0xd0; i < 0xd4; i++ {
		t[i] = mrm
	}
	for i := 0xd8; i < 0xe0; i++ {
		t[i] = mrm
	}
	for i := 0xe0; i < 0xe8; i++ {
		t[i] = immB
	}
	t[0xe8], t[0xe9], t[0xeb] = rel32, rel32, immB
	t[0xf6], t[0xf7], t[0xfe], t[0xff] = group3b, group3z, mrm, mrm
	return t
}()

// twoByte says which opcodes behind 0f have no modrm, an imm8, a rel32 or are no instructions.
var twoByte = func() (t [256]uint8) {
	for i := range t {
		t[i] = mrm
	}
	for _, i := range []int{0x05, 0x06, 0x07, 0x08, 0x09, 0x0b, 0x0e, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x37, 0x77, 0xa0,
		0xa1, 0xa2, 0xa8, 0xa9, 0xaa} {
		t[i] = none
	}
	for i := 0x80; i < 0x90; i++ {
		t[i] = rel32
	}
	for i := 0xc8; i < 0xd0; i++ {
		t[i] = none
	}
	for _, i := range []int{0x70, 0x71, 0x72, 0x73, 0xa4, 0xac, 0xba, 0xc2, 0xc4, 0xc5, 0xc6, 0x0f} {
		t[i] = mrmB
	}
	for _, i := range []int{0x04, 0x0a, 0x0c, 0x24, 0x25, 0x26, 0x27, 0x36, 0x39, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0xa6,
		0xa7} {
		t[i] = bad
	}
	return t
}()

// parse takes the instruction at the start of code apart. It returns false where the bytes are no instruction it knows
// the length of.
func parse(code []byte, f *form) bool {
	*f = form{base: -1, index: -1}
	if len(code) > 15 {
		code = code[:15]
	}
	i := 0
	for ; i < len(code); i++ {
		switch code[i] {
		case 0x66:
			f.opsize16 = true
			if f.pp == 0 {
				f.pp = 0x66
			}
		case 0x67:
			f.addr32 = true
		case 0xf2:
			f.repne, f.pp = true, 0xf2
		case 0xf3:
			f.rep, f.pp = true, 0xf3
		case 0x64, 0x65:
			f.segment = true
		case 0xf0:
			f.lock = true
		case 0x2e, 0x36, 0x3e, 0x26:
		default:
			goto opcode
		}
	}
opcode:
	if i < len(code) && code[i]&0xf0 == 0x40 {
		rex := code[i]
		f.legacyRex = true
		f.rexW = rex&8 != 0
		f.r, f.x, f.b = int(rex&4)<<1, int(rex&2)<<2, int(rex&1)<<3
		i++
	}
	if i >= len(code) {
		return false
	}
	shape := uint8(bad)
	switch b := code[i]; {
	case b == 0x0f:
		if i+1 >= len(code) {
			return false
		}
		i++
		switch code[i] {
		case 0x38, 0x3a:
			f.opmap = 2
			shape = mrm
			if code[i] == 0x3a {
				f.opmap, shape = 3, mrmB
			}
			if i++; i >= len(code) {
				return false
			}
			f.opcode = code[i]
		default:
			f.opmap, f.opcode = 1, code[i]
			shape = twoByte[code[i]]
		}
		i++
	case b == 0xc5 || b == 0xc4 || b == 0x62:
		n, ok := f.vector(code[i:])
		if !ok {
			return false
		}
		i += n
		switch {
		case f.opmap == 3:
			shape = mrmB
		case f.opmap == 1 && f.opcode == 0x77 && !f.evex:
			shape = none
		case f.opmap == 1 && twoByte[f.opcode] == mrmB && f.opcode != 0x0f && f.opcode != 0xa4 && f.opcode != 0xac &&
			f.opcode != 0xba:
			shape = mrmB
		case f.opmap >= 1 && f.opmap <= 6 && f.opmap != 4:
			shape = mrm
		}
	default:
		f.opcode = b
		shape = oneByte[b]
		i++
	}
	return f.operands(code, i, shape)
}

// vector reads a VEX or EVEX prefix and the opcode behind it.
func (f *form) vector(c []byte) (int, bool) {
	if f.legacyRex || f.lock {
		return 0, false
	}
	inv := func(b byte, bit uint, as int) int {
		if b>>bit&1 == 0 {
			return as
		}
		return 0
	}
	pps := [4]byte{0, 0x66, 0xf3, 0xf2}
	f.vex = true
	switch {
	case c[0] == 0xc5 && len(c) > 2:
		f.r = inv(c[1], 7, 8)
		f.vvvv = int(^c[1] >> 3 & 15)
		f.wide, f.pp, f.opmap, f.opcode = c[1]&4 != 0, pps[c[1]&3], 1, c[2]
		return 3, true
	case c[0] == 0xc4 && len(c) > 3:
		f.r, f.x, f.b = inv(c[1], 7, 8), inv(c[1], 6, 8), inv(c[1], 5, 8)
		f.opmap = c[1] & 31
		f.rexW = c[2]&0x80 != 0
		f.vvvv = int(^c[2] >> 3 & 15)
		f.wide, f.pp, f.opcode = c[2]&4 != 0, pps[c[2]&3], c[3]
		return 4, f.opmap >= 1 && f.opmap <= 3
	case c[0] == 0x62 && len(c) > 4:
		if c[1]&8 != 0 || c[2]&4 == 0 {
			return 0, false
		}
		f.evex = true
		f.r, f.x, f.b = inv(c[1], 7, 8)|inv(c[1], 4, 16), inv(c[1], 6, 8), inv(c[1], 5, 8)
		f.opmap = c[1] & 7
		f.rexW = c[2]&0x80 != 0
		f.vvvv = int(^c[2]>>3&15) | inv(c[3], 3, 16)
		f.wide, f.pp, f.opcode = c[3]&0x60 != 0, pps[c[2]&3], c[4]
		return 5, true
	}
	return 0, false
}

// operands reads modrm, displacement and immediate.
func (f *form) operands(c []byte, i int, shape uint8) bool {
	if shape == bad {
		return false
	}
	switch shape {
	case mrm, mrmB, mrmZ, group3b, group3z:
		if i >= len(c) {
			return false
		}
		m := c[i]
		f.modrm, f.mod, f.reg, f.rm = true, int(m>>6), int(m>>3&7), int(m&7)
		i++
		if f.mod != 3 {
			var ok bool
			if i, ok = f.memory(c, i); !ok {
				return false
			}
		}
	}
	if shape == group3b || shape == group3z {
		switch {
		case f.reg > 1:
			shape = mrm
		case shape == group3b:
			shape = mrmB
		default:
			shape = mrmZ
		}
	}
	n := 0
	switch shape {
	case mrmB, immB:
		n = 1
	case immW:
		n = 2
	case enter:
		n = 3
	case mrmZ, immZ:
		n = 4
		if f.opsize16 && !f.rexW {
			n = 2
		}
	case immV:
		n = 4
		if f.rexW {
			n = 8
		} else if f.opsize16 {
			n = 2
		}
	case rel32:
		n = 4
	case moffs:
		n = 8
		if f.addr32 {
			n = 4
		}
	}
	if f.opmap == 1 && f.opcode == 0x78 && !f.vex && (f.pp == 0x66 || f.pp == 0xf2) { // extrq, insertq
		n = 2
	}
	if i+n > len(c) {
		return false
	}
	if n > 0 {
		var u uint64
		for j := n - 1; j >= 0; j-- {
			u = u<<8 | uint64(c[i+j])
		}
		f.imm = int64(u<<(64-8*n)) >> (64 - 8*n)
		f.immAt, f.immLen = i, n
	}
	f.length = i + n
	return true
}

func (f *form) memory(c []byte, i int) (int, bool) {
	n := 0
	f.base = f.rm + f.b
	if f.rm == 4 {
		if i >= len(c) {
			return 0, false
		}
		s := c[i]
		i++
		f.scale = 1 << (s >> 6)
		if x := int(s>>3&7) + f.x&15; x != 4 {
			f.index = x
		}
		f.base = int(s&7) + f.b
		if s&7 == 5 && f.mod == 0 {
			f.base = -1
			n = 4
		}
	} else if f.rm == 5 && f.mod == 0 {
		f.base, f.rip = -1, true
		n = 4
	}
	switch f.mod {
	case 1:
		n = 1
	case 2:
		n = 4
	}
	if i+n > len(c) {
		return 0, false
	}
	switch n {
	case 1:
		f.disp = int64(int8(c[i]))
	case 4:
		f.disp = int64(int32(uint32(c[i]) | uint32(c[i+1])<<8 | uint32(c[i+2])<<16 | uint32(c[i+3])<<24))
		f.dispAt = i
	}
	return i + n, true
}

// Length returns the length in bytes of the instruction at the start of code, or 0 where it is none that is known.
func Length(code []byte) int {
	var f form
	if !parse(code, &f) {
		return 0
	}
	return f.length
}
