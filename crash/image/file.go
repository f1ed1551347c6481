package image

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"portcullis.dev/crash/unwind"
	"portcullis.dev/internal/pclntab"
)

// File is an ELF file, or what of one lies in the memory of a process.
type File struct {
	elf    *elf.File
	r      io.ReaderAt
	size   int64
	memory bool // sections are missing: what the process has in its memory is all there is

	once struct{ code, symbols, lines sync.Once }
	code struct {
		table  *unwind.Table
		golang *pclntab.Table
	}
	symbols []symbol
	lines   *lines
	debug   *File     // separate debug information
	closer  io.Closer // of the separate debug information
}

// Limits of what is read from one file.
const (
	maxSectionSize = 256 << 20
	maxDebugSize   = 1 << 30 // of all debug information together
	maxNotes       = 1 << 20
	maxHeaders     = 1 << 12 // program headers
)

// NewFile reads the headers of an ELF file of 64 bits, little endian, for x86-64 or arm64.
func NewFile(r io.ReaderAt, size int64) (*File, error) {
	f, err := elf.NewFile(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, err
	}
	if f.Class != elf.ELFCLASS64 || f.Data != elf.ELFDATA2LSB || arch(f.Machine) == 0 {
		return nil, fmt.Errorf("an ELF file for %s, %s, %s, which is not supported", f.Machine, f.Class, f.Data)
	}
	if len(f.Progs) > maxHeaders {
		return nil, fmt.Errorf("%d program headers", len(f.Progs))
	}
	return &File{elf: f, r: r, size: size}, nil
}

func arch(m elf.Machine) unwind.Arch {
	switch m {
	case elf.EM_X86_64:
		return unwind.AMD64
	case elf.EM_AARCH64:
		return unwind.ARM64
	}
	return 0
}

// Arch returns the architecture.
func (f *File) Arch() unwind.Arch { return arch(f.elf.Machine) }

// data reads a section, decompressed; nil where it has no data in the file, or too many.
func (f *File) data(s *elf.Section) []byte {
	if s == nil || s.Type == elf.SHT_NOBITS || s.Size > maxSectionSize || s.FileSize > uint64(f.size) {
		return nil
	}
	b, err := s.Data()
	if err != nil {
		return nil // a part that cannot be read is as good as none: frames then lack what it would have told
	}
	return b
}

// segment returns the bytes at an address of the file, up to the end of the segment.
func (f *File) segment(addr uint64) []byte {
	for _, p := range f.elf.Progs {
		if p.Type == elf.PT_LOAD && addr >= p.Vaddr && addr-p.Vaddr < p.Filesz {
			n := p.Filesz - (addr - p.Vaddr)
			if n > maxSectionSize {
				return nil
			}
			return read(p.ReaderAt, int64(addr-p.Vaddr), n)
		}
	}
	return nil
}

// read reads n bytes, or as many as there are.
func read(r io.ReaderAt, off int64, n uint64) []byte {
	b, err := io.ReadAll(io.NewSectionReader(r, off, int64(n))) // in steps: n may be a lie
	if err != nil && len(b) == 0 {
		return nil
	}
	return b
}

// note returns the contents of a note.
func (f *File) note(owner string, typ uint32) []byte {
	for _, p := range f.elf.Progs {
		if p.Type == elf.PT_NOTE && p.Filesz <= maxNotes {
			if d := findNote(read(p.ReaderAt, 0, p.Filesz), owner, typ); d != nil {
				return d
			}
		}
	}
	for _, s := range f.elf.Sections {
		if s.Type == elf.SHT_NOTE && s.Size <= maxNotes {
			if d := findNote(f.data(s), owner, typ); d != nil {
				return d
			}
		}
	}
	return nil
}

func findNote(b []byte, owner string, typ uint32) []byte {
	align := func(n uint64) uint64 { return (n + 3) &^ 3 }
	for len(b) >= 12 {
		names, descs := uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[4:]))
		t := binary.LittleEndian.Uint32(b[8:])
		b = b[12:]
		if align(names) > uint64(len(b)) {
			return nil
		}
		n := bytes.TrimRight(b[:names], "\x00")
		b = b[align(names):]
		if descs > uint64(len(b)) {
			return nil
		}
		if string(n) == owner && t == typ {
			return b[:descs]
		}
		b = b[min(align(descs), uint64(len(b))):]
	}
	return nil
}

const (
	noteGNUBuildID = 3 // NT_GNU_BUILD_ID
	noteGoBuildID  = 4 // cmd/internal/buildid
)

// BuildID returns what the linker named the build with: the GNU build ID, or that of Go; nil where it has none.
func (f *File) BuildID() []byte {
	if id := f.note("GNU", noteGNUBuildID); len(id) > 0 {
		return id
	}
	return f.note("Go", noteGoBuildID)
}

// UUID is the identity of an image, as crash reports print it.
type UUID [16]byte

// String returns the form with dashes.
func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// uuid makes an identity of a build ID: its first 16 bytes, or a hash of one that is shorter, and of Go's, which are
// text. No build ID gives the zero identity.
func uuid(id []byte, text bool) (u UUID) {
	if len(id) == 0 {
		return u
	}
	if len(id) < len(u) || text {
		sum := sha256.Sum256(id)
		id = sum[:]
	}
	copy(u[:], id)
	return u
}

// UUID returns the identity that follows from the build ID.
func (f *File) UUID() UUID {
	if id := f.note("GNU", noteGNUBuildID); len(id) > 0 {
		return uuid(id, false)
	}
	return uuid(f.note("Go", noteGoBuildID), true)
}

// Code returns what unwinding needs, read at the first call.
func (f *File) Code() (*unwind.Table, *pclntab.Table) {
	f.once.code.Do(func() {
		var sections []unwind.Section
		if s := f.elf.Section(".eh_frame"); s != nil && s.Type != elf.SHT_NOBITS {
			sections = append(sections, unwind.Section{Data: f.data(s), Addr: s.Addr, EH: true})
		} else if addr := f.ehFrame(); addr != 0 {
			sections = append(sections, unwind.Section{Data: f.segment(addr), Addr: addr, EH: true})
		}
		for _, name := range []string{".debug_frame", ".zdebug_frame"} {
			if b := f.data(f.elf.Section(name)); len(b) > 0 {
				sections = append(sections, unwind.Section{Data: b})
			}
		}
		// The table has what stands before a defect, which is all that there is to have.
		f.code.table, _ = unwind.NewTable(sections...)
		f.code.golang = f.goTable()
	})
	return f.code.table, f.code.golang
}

// ehFrame returns the address of .eh_frame as the program headers tell it, 0 where they do not.
//
// Source: Linux Standard Base, Core Specification, .eh_frame_hdr.
func (f *File) ehFrame() uint64 {
	const ptGNUEHFrame = 0x6474e550
	for _, p := range f.elf.Progs {
		if p.Type != ptGNUEHFrame || p.Filesz < 8 {
			continue
		}
		b := read(p.ReaderAt, 0, 8)
		if len(b) == 8 && b[0] == 1 && b[1] == 0x1b { // pcrel, sdata4
			return p.Vaddr + 4 + uint64(int64(int32(binary.LittleEndian.Uint32(b[4:]))))
		}
	}
	return 0
}
