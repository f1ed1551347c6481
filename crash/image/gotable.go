package image

import (
	"debug/elf"
	"encoding/binary"

	"portcullis.dev/internal/pclntab"
)

// goTable returns the function table of a Go program, nil where there is none.
func (f *File) goTable() *pclntab.Table {
	var s *elf.Section
	for _, name := range []string{".gopclntab", ".data.rel.ro.gopclntab"} {
		if s = f.elf.Section(name); s != nil {
			break
		}
	}
	b := f.data(s)
	if len(b) == 0 {
		return nil
	}
	t, err := pclntab.Parse(b, func(t *pclntab.Table, n int) uint64 {
		if text := binary.LittleEndian.Uint64(b[pclntab.TextSlot:]); text != 0 && f.elf.Type == elf.ET_EXEC && f.executable(text) {
			return text // up to Go 1.25
		}
		if n > 0 {
			if text := f.goText(s.Addr, t.Offset(0)); text != 0 {
				return text
			}
		}
		if s := f.elf.Section(".text"); s != nil { // where Go's own linker puts it
			return s.Addr
		}
		return 0
	})
	if err != nil {
		return nil
	}
	return t
}

// goText finds the address that Go's table counts functions from. A program that another linker made has C in front of
// it, and stripping takes the symbol away. The runtime keeps the addresses of the table and of the first function in one
// structure, moduledata; what points to the table is that structure.
//
// Source: Go runtime/symtab.go, type moduledata, whose beginning is the same from Go 1.18 to 1.26.
func (f *File) goText(table uint64, first uint32) uint64 {
	const minpc = 8 + 5*24 + 24 + 8 // behind a pointer, six slices and a pointer
	check := func(pc uint64) bool { return pc != 0 && f.executable(pc) && pc >= uint64(first) }
	le := binary.LittleEndian
	for _, s := range f.elf.Sections {
		if s.Type != elf.SHT_PROGBITS || s.Flags&elf.SHF_ALLOC == 0 || s.Flags&elf.SHF_EXECINSTR != 0 || s.Addr%8 != 0 {
			continue
		}
		b := f.data(s)
		for at := 0; at+minpc+8 <= len(b); at += 8 {
			if le.Uint64(b[at:]) == table {
				if pc := le.Uint64(b[at+minpc:]); check(pc) {
					return pc - uint64(first)
				}
			}
		}
	}
	// In programs that are relocated the addresses stand in the relocations.
	const relative = 24 // bytes of an Elf64_Rela
	for _, s := range f.elf.Sections {
		if s.Type != elf.SHT_RELA || s.Flags&elf.SHF_ALLOC == 0 {
			continue
		}
		at := map[uint64]bool{} // where the address of the first function may stand
		b := f.data(s)
		for r := b; len(r) >= relative && len(at) < maxSymbols; r = r[relative:] {
			if le.Uint64(r[16:]) == table {
				at[le.Uint64(r)+minpc] = true
			}
		}
		if len(at) == 0 {
			continue
		}
		for r := b; len(r) >= relative; r = r[relative:] {
			if pc := le.Uint64(r[16:]); at[le.Uint64(r)] && check(pc) {
				return pc - uint64(first)
			}
		}
	}
	return 0
}
