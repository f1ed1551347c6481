package image

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
)

// NewMemoryFile reads what of an ELF file lies in the memory of a process at base: the headers and the loaded
// segments. Sections, and with them most symbols and all lines, are in no process's memory.
func NewMemoryFile(mem io.ReaderAt, base uint64) (*File, error) {
	if mem == nil {
		return nil, errors.New("neither the file nor the process's memory can be read")
	}
	raw := &loaded{mem: mem, base: base}
	first, err := elf.NewFile(raw)
	if err != nil {
		return nil, err
	}
	if len(first.Progs) > maxHeaders {
		return nil, fmt.Errorf("%d program headers", len(first.Progs))
	}
	end := int64(0)
	low, have := uint64(0), false
	for _, p := range first.Progs {
		if p.Type != elf.PT_LOAD {
			continue
		}
		if !have {
			low, have = p.Vaddr-p.Off, true // the headers' own address in the file
		}
		if p.Off < 1<<40 && p.Filesz < 1<<40 {
			end = max(end, int64(p.Off+p.Filesz))
		}
		raw.progs = append(raw.progs, p.ProgHeader)
	}
	raw.bias = base - low
	f, err := NewFile(raw, end)
	if err != nil {
		return nil, err
	}
	f.memory = true
	return f, nil
}

// NewImageFile reads an ELF file that lies in memory as a whole, as the kernel's own does in every process.
func NewImageFile(b []byte) (*File, error) { return NewFile(bytes.NewReader(b), int64(len(b))) }

// loaded reads a process's memory as if it were the file it was loaded from.
type loaded struct {
	mem        io.ReaderAt
	base, bias uint64
	progs      []elf.ProgHeader // nil while they are read: they lie behind the file's header
}

const fileHeader = 64 // bytes of an ELF header

func (l *loaded) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		at, limit := l.address(uint64(off) + uint64(n))
		if limit == 0 {
			return n, io.EOF
		}
		chunk := p[n:]
		if uint64(len(chunk)) > limit {
			chunk = chunk[:limit]
		}
		got, err := l.mem.ReadAt(chunk, int64(at))
		n += got
		if got < len(chunk) {
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
	}
	for i := range p { // there are no section headers in memory: e_shoff, e_shentsize, e_shnum, e_shstrndx
		if o := off + int64(i); o >= 0x28 && o < 0x30 || o >= 0x3a && o < fileHeader {
			p[i] = 0
		} else if o >= fileHeader {
			break
		}
	}
	return len(p), nil
}

// address returns where a byte of the file lies, and how many follow it there.
func (l *loaded) address(off uint64) (at, limit uint64) {
	if l.progs == nil {
		const firstPage = 4096
		if off >= firstPage {
			return 0, 0
		}
		return l.base + off, firstPage - off
	}
	for _, p := range l.progs {
		if off >= p.Off && off-p.Off < p.Filesz {
			return l.bias + p.Vaddr + off - p.Off, p.Filesz - (off - p.Off)
		}
	}
	return 0, 0
}
