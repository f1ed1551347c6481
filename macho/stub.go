package macho

import (
	"encoding/binary"
	"slices"
	"sync"
)

// Stub is a piece of linker-made code that jumps to an import.
type Stub struct {
	Addr   uint64
	Size   int    // in bytes
	Import Import // what it jumps to; for an Objective-C stub, _objc_msgSend
	Slot   uint64 // address of the pointer it jumps through; 0 where that is not known
	// Selector is what an Objective-C stub (__objc_stubs) sends; empty for other stubs.
	Selector string
}

// Name returns the name of the import the stub jumps to, as the file spells it.
func (s *Stub) Name() string { return s.Import.Name }

// maxStubs limits how many stubs are kept; large programs have some ten thousand.
const maxStubs = 1 << 18

// minStubSize is that of the smallest stub of a processor in scope: x86_64's jmp *slot(%rip).
const minStubSize = 6

type stubTable struct {
	once  sync.Once
	stubs []Stub
}

// Stubs returns every stub of a linked image whose import is known, by ascending address. The slice is shared: do not
// change it.
//
// What a stub jumps to is read from its instructions and the fixup of the slot they load. Where these do not tell, the
// indirect symbol table is asked, which the linker writes for tools and dyld no longer reads.
func (m *Image) Stubs() []Stub {
	t := &m.stubs
	t.once.Do(func() {
		if m.Type == Object || !m.InScope() {
			return
		}
		for i := range m.Sections {
			s := &m.Sections[i]
			switch {
			case s.Name == "__objc_stubs":
				t.stubs = m.readObjCStubs(s, t.stubs)
			case s.Type() == SymbolStubs || s.Name == "__stubs" || s.Name == "__auth_stubs":
				t.stubs = m.readStubs(s, t.stubs)
			}
		}
		slices.SortFunc(t.stubs, func(a, b Stub) int {
			if a.Addr < b.Addr {
				return -1
			}
			return 1
		})
		t.stubs = slices.CompactFunc(t.stubs, func(a, b Stub) bool { return a.Addr == b.Addr })
	})
	return t.stubs
}

// Stub returns the stub at addr.
func (m *Image) Stub(addr uint64) (s Stub, ok bool) {
	stubs := m.Stubs()
	i, ok := slices.BinarySearchFunc(stubs, addr, func(s Stub, a uint64) int {
		switch {
		case s.Addr < a:
			return -1
		case s.Addr > a:
			return 1
		}
		return 0
	})
	if !ok {
		return Stub{}, false
	}
	return stubs[i], true
}

// readStubs reads a section of stubs of one size.
func (m *Image) readStubs(s *Section, stubs []Stub) []Stub {
	data, size := s.Data(), int(min(s.Reserved2, 64))
	var at cursor
	if size < minStubSize {
		switch {
		case m.CPU == CPUAMD64:
			size = minStubSize
		case s.Name == "__auth_stubs":
			size = 16
		default:
			size = 12
		}
	}
	for off := 0; off+size <= len(data); off += size {
		if len(stubs) >= maxStubs {
			m.problem(uint64(s.Offset), "more than %d stubs", maxStubs)
			break
		}
		stub := Stub{Addr: s.Addr + uint64(off), Size: size}
		j := m.decodeJump(data[off:off+size], stub.Addr)
		if j.ok && j.slot != 0 {
			stub.Slot = j.slot
			if _, imp, ok := m.slot(j.slot, m.Bytes(j.slot, 8), &at); ok {
				stub.Import = imp
			}
		}
		if stub.Import.Name == "" && s.Reserved2 != 0 {
			stub.Import, _ = m.indirect(uint64(s.Reserved1) + uint64(off/size))
		}
		if stub.Import.Name != "" {
			stubs = append(stubs, stub)
		}
	}
	return stubs
}

// readObjCStubs reads stubs that load a selector and jump to objc_msgSend.
func (m *Image) readObjCStubs(s *Section, stubs []Stub) []Stub {
	data, kept := s.Data(), 0
	var at cursor
	for off := 0; off+12 <= len(data); {
		addr := s.Addr + uint64(off)
		j := m.decodeJump(data[off:min(off+32, len(data))], addr)
		size := 4
		switch {
		case !j.ok && m.CPU == CPUAMD64:
			size = 1
		case j.ok && m.CPU == CPUARM64 && j.slot != 0:
			size = 32 // padded with brk
		case j.ok:
			size = j.size
		}
		off += size
		if !j.ok || j.arg == 0 {
			continue
		}
		if len(stubs) >= maxStubs {
			m.problem(uint64(s.Offset), "more than %d stubs", maxStubs)
			break
		}
		stub := Stub{Addr: addr, Size: size, Slot: j.slot, Import: Import{Name: "_objc_msgSend"}}
		if j.slot != 0 {
			if _, imp, ok := m.slot(j.slot, m.Bytes(j.slot, 8), &at); ok && imp.Name != "" {
				stub.Import = imp
			}
		}
		if sel, ok := m.Pointer(j.arg); ok && sel.Import == "" && kept < len(m.data) {
			if name := cstring(m.rest(sel.Target), 0); len(name) <= 4096 {
				stub.Selector = string(name)
				kept += len(name)
			}
		}
		stubs = append(stubs, stub)
	}
	return stubs
}

// jump is what a stub does.
type jump struct {
	ok   bool
	slot uint64 // the pointer jumped through; 0 for a direct jump
	arg  uint64 // the pointer loaded into the second argument register; 0 for none
	size int    // of the instructions up to the jump, in bytes
}

// decodeJump reads the code of a stub at addr. It knows the few instructions that linkers put there.
func (m *Image) decodeJump(b []byte, addr uint64) jump {
	if m.CPU == CPUAMD64 {
		return decodeJumpAMD64(b, addr)
	}
	return decodeJumpARM64(b, addr)
}

// decodeJumpAMD64 reads [endbr64] [mov rsi, [rip+d]] jmp [rip+d].
func decodeJumpAMD64(b []byte, addr uint64) (j jump) {
	le := binary.LittleEndian
	for at := 0; at+6 <= len(b); {
		switch {
		case b[at] == 0xff && b[at+1] == 0x25: // jmp *d(%rip)
			j.size = at + 6
			j.slot = addr + uint64(j.size) + uint64(int64(int32(le.Uint32(b[at+2:]))))
			j.ok = true
			return j
		case b[at] == 0x48 && b[at+1] == 0x8b && b[at+2] == 0x35 && at+7 <= len(b): // movq d(%rip), %rsi
			at += 7
			j.arg = addr + uint64(at) + uint64(int64(int32(le.Uint32(b[at-4:]))))
		case le.Uint32(b[at:]) == 0xfa1e0ff3: // endbr64
			at += 4
		default:
			return jump{}
		}
	}
	return jump{}
}

// decodeJumpARM64 follows address arithmetic through registers up to a branch.
func decodeJumpARM64(b []byte, addr uint64) (j jump) {
	var value, loaded [32]uint64 // what a register holds, or the address it was loaded from; 0: not known
	for at := 0; at+4 <= len(b); at += 4 {
		in, pc := binary.LittleEndian.Uint32(b[at:]), addr+uint64(at)
		rd, rn := in&31, in>>5&31
		switch {
		case in&0x9f000000 == 0x90000000: // adrp
			value[rd], loaded[rd] = pc&^0xfff+adrImm(in)<<12, 0
		case in&0x9f000000 == 0x10000000: // adr
			value[rd], loaded[rd] = pc+adrImm(in), 0
		case in&0xff800000 == 0x91000000: // add xd, xn, #imm{, lsl #12}
			if value[rn] == 0 {
				return jump{}
			}
			value[rd], loaded[rd] = value[rn]+uint64(in>>10&0xfff)<<(12*(in>>22&1)), 0
		case in&0xffc00000 == 0xf9400000: // ldr xd, [xn, #imm]
			if value[rn] == 0 {
				return jump{}
			}
			loaded[rd], value[rd] = value[rn]+uint64(in>>10&0xfff)*8, 0
		case in&0xff000000 == 0x58000000: // ldr xd, literal
			loaded[rd], value[rd] = pc+uint64(int64(int32(in<<8))>>13)*4, 0
		case in == 0xd503201f, in&0xffffff3f == 0xd503241f: // nop, bti
		case in&0xfffffc1f == 0xd61f0000, // br xn
			in&0xfffffc00 == 0xd71f0800, in&0xfffffc00 == 0xd71f0c00, // braa, brab xn, xm
			in&0xfffffc1f == 0xd61f081f, in&0xfffffc1f == 0xd61f0c1f: // braaz, brabz xn
			return jump{ok: loaded[rn] != 0, slot: loaded[rn], arg: loaded[1], size: at + 4}
		case in&0xfc000000 == 0x14000000: // b
			return jump{ok: true, arg: loaded[1], size: at + 4}
		default:
			return jump{}
		}
	}
	return jump{}
}

// adrImm returns the signed immediate of an adr or adrp.
func adrImm(in uint32) uint64 {
	v := in>>29&3 | in>>5&0x7ffff<<2
	return uint64(int64(int32(v<<11)) >> 11)
}
