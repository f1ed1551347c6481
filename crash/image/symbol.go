package image

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"slices"
	"strings"
)

// symbol is a function by name.
type symbol struct {
	addr, size uint64
	name       string
	rank       uint8 // smaller is better among those of one address
}

const (
	maxSymbols = 1 << 22
	maxName    = 1 << 14
)

// allSymbols returns the functions of the file, sorted by address, one for each address.
func (f *File) allSymbols() []symbol {
	f.once.symbols.Do(func() {
		var all []symbol
		for _, s := range f.elf.Sections {
			if s.Type == elf.SHT_SYMTAB || s.Type == elf.SHT_DYNSYM {
				if s.Link < uint32(len(f.elf.Sections)) {
					all = f.readSymbols(all, f.data(s), f.data(f.elf.Sections[s.Link]))
				}
			}
		}
		if f.memory {
			all = f.dynamicSymbols(all)
		}
		slices.SortFunc(all, func(a, b symbol) int {
			return cmp.Or(cmp.Compare(a.addr, b.addr), cmp.Compare(a.rank, b.rank), strings.Compare(a.name, b.name))
		})
		f.symbols = slices.CompactFunc(all, func(a, b symbol) bool { return a.addr == b.addr })
	})
	return f.symbols
}

const symbolSize = 24 // bytes of an Elf64_Sym

func (f *File) readSymbols(all []symbol, table, strs []byte) []symbol {
	le := binary.LittleEndian
	for ; len(table) >= symbolSize && len(all) < maxSymbols; table = table[symbolSize:] {
		info, section := table[4], elf.SectionIndex(le.Uint16(table[6:]))
		s := symbol{addr: le.Uint64(table[8:]), size: le.Uint64(table[16:])}
		if section == elf.SHN_UNDEF || section == elf.SHN_ABS || s.addr == 0 {
			continue
		}
		switch elf.ST_TYPE(info) {
		case elf.STT_FUNC, elf.STT_GNU_IFUNC:
		case elf.STT_NOTYPE: // functions in assembly are often left without a type
			if !f.executable(s.addr) {
				continue
			}
			s.rank = 4
		default:
			continue
		}
		switch elf.ST_BIND(info) {
		case elf.STB_GLOBAL:
		case elf.STB_WEAK:
			s.rank++
		default:
			s.rank += 2
		}
		s.name = text(strs, le.Uint32(table))
		if s.name == "" || strings.HasPrefix(s.name, "$") || strings.HasPrefix(s.name, ".L") {
			continue
		}
		all = append(all, s)
	}
	return all
}

func text(strs []byte, off uint32) string {
	if uint64(off) >= uint64(len(strs)) {
		return ""
	}
	b := strs[off:]
	n := bytes.IndexByte(b[:min(len(b), maxName)], 0)
	if n < 0 {
		return ""
	}
	return string(b[:n])
}

func (f *File) executable(addr uint64) bool {
	for _, p := range f.elf.Progs {
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 && addr >= p.Vaddr && addr-p.Vaddr < p.Memsz {
			return true
		}
	}
	return false
}

// dynamicSymbols reads the symbols that the dynamic linker uses, which a file in memory has without sections. How many
// there are is told by the names, which linkers put behind them.
func (f *File) dynamicSymbols(all []symbol) []symbol {
	var symtab, strtab, strsize uint64
	for _, p := range f.elf.Progs {
		if p.Type != elf.PT_DYNAMIC || p.Filesz > maxNotes {
			continue
		}
		for b := read(p.ReaderAt, 0, p.Filesz); len(b) >= 16; b = b[16:] {
			v := binary.LittleEndian.Uint64(b[8:])
			switch elf.DynTag(binary.LittleEndian.Uint64(b)) {
			case elf.DT_SYMTAB:
				symtab = v
			case elf.DT_STRTAB:
				strtab = v
			case elf.DT_STRSZ:
				strsize = v
			}
		}
	}
	// The dynamic linker of glibc turns these into addresses of the process.
	if l, ok := f.r.(*loaded); ok && symtab > l.bias && strtab > l.bias && l.bias != 0 {
		symtab, strtab = symtab-l.bias, strtab-l.bias
	}
	table, strs := f.segment(symtab), f.segment(strtab)
	if strtab <= symtab || table == nil {
		return all
	}
	table = table[:min(uint64(len(table)), strtab-symtab)]
	return f.readSymbols(all, table, strs[:min(uint64(len(strs)), strsize)])
}

// Symbol returns the name of the function at an address of the file as the file has it, and where the function begins.
func (f *File) Symbol(addr uint64) (name string, start uint64, ok bool) {
	if _, t := f.Code(); t != nil {
		if name, start, ok := t.Name(addr); ok {
			return name, start, true
		}
	}
	for _, g := range []*File{f, f.debug} {
		if g == nil {
			continue
		}
		all := g.allSymbols()
		i, exact := slices.BinarySearchFunc(all, addr, func(s symbol, a uint64) int { return cmp.Compare(s.addr, a) })
		if !exact {
			i--
		}
		// A function that ends before addr may lie inside a longer one, but not far behind.
		for back := 0; i >= 0 && back < 16; i, back = i-1, back+1 {
			s := all[i]
			if addr-s.addr < s.size || s.size == 0 && back == 0 && f.sameSection(s.addr, addr) {
				return s.name, s.addr, true
			}
		}
	}
	return "", 0, false
}

// sameSection reports whether two addresses are in one section, or in one segment where there are no sections.
func (f *File) sameSection(a, b uint64) bool {
	for _, s := range f.elf.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && a >= s.Addr && a-s.Addr < s.Size {
			return b >= s.Addr && b-s.Addr < s.Size
		}
	}
	return len(f.elf.Sections) == 0 && f.executable(a) && f.executable(b)
}
