// Package elfnote keeps entitlements in ELF files, as a code signature does in Mach-O files.
//
// They are a note, in a section of its own that is not loaded: .note.portcullis, owner "Portcullis", type 1, holding
// the property list. Nothing that the kernel or the dynamic linker looks at changes: no segment moves and no program
// header is written, so that every program runs as before, whatever made it. The note is evidence of nothing: there is
// no signature, and who can write the file can change it.
package elfnote

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	Section = ".note.portcullis"
	Owner   = "Portcullis"

	// TypeEntitlements is the type of the note that holds a property list of entitlements.
	TypeEntitlements = 1

	// MaxSize bounds a note, in bytes.
	MaxSize = 1 << 20
)

const (
	headerSize  = 64 // of an Elf64_Ehdr
	sectionSize = 64 // of an Elf64_Shdr
	maxSections = 0xff00
	maxNames    = 64 << 20
)

// ErrNone is returned by [Read] for a file without the note.
var ErrNone = errors.New("no entitlements in the ELF file")

// Recognized reports whether a file begins as ELF files do.
func Recognized(head []byte) bool { return bytes.HasPrefix(head, []byte(elf.ELFMAG)) }

// layout is what matters of a file.
type layout struct {
	size     uint64
	header   [headerSize]byte
	sections []section
	names    uint64 // index of the section with names, 0: none
	strings  []byte
	loaded   uint64 // where segments and program headers end in the file
}

type section struct {
	raw  [sectionSize]byte
	name string
}

var le = binary.LittleEndian

func (s *section) typ() uint32    { return le.Uint32(s.raw[4:]) }
func (s *section) flags() uint64  { return le.Uint64(s.raw[8:]) }
func (s *section) offset() uint64 { return le.Uint64(s.raw[24:]) }
func (s *section) size() uint64   { return le.Uint64(s.raw[32:]) }

// end returns where the section ends in the file; 0 where it is not there.
func (s *section) end() uint64 {
	if elf.SectionType(s.typ()) == elf.SHT_NOBITS {
		return 0
	}
	return s.offset() + s.size()
}

// open reads the section headers of a program or library.
func open(r io.ReaderAt, size int64) (*layout, error) {
	l := &layout{size: uint64(size)}
	if n, err := r.ReadAt(l.header[:], 0); n < headerSize {
		if n >= 4 && !Recognized(l.header[:n]) {
			return nil, errors.New("offset 0: not an ELF file")
		}
		if err == nil || errors.Is(err, io.EOF) {
			err = errors.New("offset 0: the ELF header is cut off")
		}
		return nil, err
	}
	h := l.header[:]
	if !Recognized(h) {
		return nil, errors.New("offset 0: not an ELF file")
	}
	if elf.Class(h[elf.EI_CLASS]) != elf.ELFCLASS64 || elf.Data(h[elf.EI_DATA]) != elf.ELFDATA2LSB {
		return nil, errors.New("offset 4: an ELF file that is not of 64 bits, little endian")
	}
	if t := elf.Type(le.Uint16(h[16:])); t != elf.ET_EXEC && t != elf.ET_DYN {
		return nil, fmt.Errorf("offset 16: an ELF file of type %s: no program", t)
	}
	if err := l.readSegments(r); err != nil {
		return nil, err
	}
	at, each, count, names := le.Uint64(h[40:]), le.Uint16(h[58:]), uint64(le.Uint16(h[60:])), uint64(le.Uint16(h[62:]))
	if at == 0 {
		if count != 0 {
			return nil, errors.New("offset 40: section headers without a place")
		}
		return l, nil
	}
	if each != sectionSize {
		return nil, fmt.Errorf("offset 58: section headers of %d bytes", each)
	}
	if count == 0 || names >= maxSections {
		return nil, fmt.Errorf("offset 60: more than %d sections", maxSections)
	}
	if at > l.size || count*sectionSize > l.size-at {
		return nil, fmt.Errorf("offset 40: section headers at %#x, beyond the end of the file", at)
	}
	table := make([]byte, count*sectionSize)
	if _, err := r.ReadAt(table, int64(at)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	l.sections = make([]section, count)
	for i := range l.sections {
		copy(l.sections[i].raw[:], table[i*sectionSize:])
	}
	l.names = names
	if names == 0 {
		return l, nil
	}
	if names >= count {
		return nil, fmt.Errorf("offset 62: names in section %d of %d", names, count)
	}
	s := &l.sections[names]
	if s.offset() > l.size || s.size() > l.size-s.offset() || s.size() > maxNames {
		return nil, fmt.Errorf("offset %#x: section names beyond the end of the file", at+names*sectionSize)
	}
	l.strings = make([]byte, s.size())
	if _, err := r.ReadAt(l.strings, int64(s.offset())); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for i := range l.sections {
		n := le.Uint32(l.sections[i].raw[:])
		if uint64(n) < uint64(len(l.strings)) {
			b, _, _ := bytes.Cut(l.strings[n:min(uint64(n)+256, uint64(len(l.strings)))], []byte{0})
			l.sections[i].name = string(b)
		}
	}
	return l, nil
}

// readSegments finds where what the kernel loads ends in the file.
func (l *layout) readSegments(r io.ReaderAt) error {
	at, each, count := le.Uint64(l.header[32:]), uint64(le.Uint16(l.header[54:])), uint64(le.Uint16(l.header[56:]))
	const programSize = 56 // of an Elf64_Phdr
	if count == 0 {
		return nil
	}
	if each != programSize || at > l.size || count*each > l.size-at {
		return fmt.Errorf("offset 32: program headers at %#x, beyond the end of the file", at)
	}
	table := make([]byte, count*each)
	if _, err := r.ReadAt(table, int64(at)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	l.loaded = at + count*each
	for ; len(table) > 0; table = table[programSize:] {
		if end := le.Uint64(table[8:]) + le.Uint64(table[32:]); end <= l.size {
			l.loaded = max(l.loaded, end)
		}
	}
	return nil
}

// own returns the index of our section, -1 where there is none.
func (l *layout) own() int {
	for i := range l.sections {
		s := &l.sections[i]
		if s.name == Section && elf.SectionType(s.typ()) == elf.SHT_NOTE && uint64(i) != l.names && i > 0 {
			return i
		}
	}
	return -1
}

// Read returns the property list in a program or library. It returns [ErrNone] where there is none; any other error
// names the offset of what is wrong.
func Read(r io.ReaderAt, size int64) ([]byte, error) {
	l, err := open(r, size)
	if err != nil {
		return nil, err
	}
	i := l.own()
	if i < 0 {
		return nil, ErrNone
	}
	s := &l.sections[i]
	if s.offset() > l.size || s.size() > l.size-s.offset() {
		return nil, fmt.Errorf("offset %#x: the entitlements lie beyond the end of the file", s.offset())
	}
	if s.size() > MaxSize {
		return nil, fmt.Errorf("offset %#x: entitlements of %d bytes, more than the limit of %d", s.offset(), s.size(), MaxSize)
	}
	b := make([]byte, s.size())
	if _, err := r.ReadAt(b, int64(s.offset())); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for at := uint64(0); uint64(len(b))-at >= 12; {
		names, descs, typ := uint64(le.Uint32(b[at:])), uint64(le.Uint32(b[at+4:])), le.Uint32(b[at+8:])
		desc := at + 12 + align(names)
		if desc > uint64(len(b)) || descs > uint64(len(b))-desc {
			return nil, fmt.Errorf("offset %#x: a note longer than its section", s.offset()+at)
		}
		owner := string(bytes.TrimRight(b[at+12:at+12+min(names, desc-at-12)], "\x00"))
		if owner == Owner && typ == TypeEntitlements {
			return b[desc : desc+descs], nil
		}
		if at = desc + align(descs); at > uint64(len(b)) {
			break
		}
	}
	return nil, fmt.Errorf("offset %#x: section %s holds no note of %s", s.offset(), Section, Owner)
}

func align(n uint64) uint64 { return (n + 3) &^ 3 }

// note makes the contents of the section.
func note(plist []byte) []byte {
	b := le.AppendUint32(nil, uint32(len(Owner)+1))
	b = le.AppendUint32(b, uint32(len(plist)))
	b = le.AppendUint32(b, TypeEntitlements)
	b = append(b, Owner...)
	b = append(b, make([]byte, align(uint64(len(Owner)+1))-uint64(len(Owner)))...)
	b = append(b, plist...)
	return append(b, make([]byte, align(uint64(len(plist)))-uint64(len(plist)))...)
}

// Write writes the file that r holds to w, with the property list instead of the one it has, if any. What stands in r
// keeps its place and its bytes but for four fields of the header; the note, the names of the sections and the section
// headers come behind it. Writing again replaces them, so that a file does not grow.
func Write(w io.Writer, r io.ReaderAt, size int64, plist []byte) error {
	if len(plist) > MaxSize {
		return fmt.Errorf("entitlements of %d bytes, more than the limit of %d", len(plist), MaxSize)
	}
	l, err := open(r, size)
	if err != nil {
		return err
	}
	keep := l.keep()
	own := l.ensure()
	if len(l.sections) >= maxSections {
		return fmt.Errorf("offset 60: %d sections, there is no room for another", len(l.sections))
	}
	tail := &tail{at: keep}
	tail.align(8)
	tail.put(&l.sections[own], note(plist))
	tail.put(&l.sections[l.names], l.strings)
	tail.align(8)
	le.PutUint64(l.header[40:], tail.at)
	le.PutUint16(l.header[58:], sectionSize)
	le.PutUint16(l.header[60:], uint16(len(l.sections)))
	le.PutUint16(l.header[62:], uint16(l.names))
	for i := range l.sections {
		tail.add(l.sections[i].raw[:])
	}
	if _, err := w.Write(l.header[:]); err != nil {
		return err
	}
	if n, err := io.Copy(w, io.NewSectionReader(r, headerSize, int64(keep)-headerSize)); err != nil {
		return err
	} else if n != int64(keep)-headerSize {
		return io.ErrUnexpectedEOF
	}
	_, err = w.Write(tail.data)
	return err
}

// tail is what comes behind the part of the file that stays.
type tail struct {
	data []byte
	at   uint64 // offset in the file of what comes next
}

func (t *tail) align(to uint64) { t.add(make([]byte, (to-t.at%to)%to)) }

func (t *tail) add(b []byte) {
	t.data = append(t.data, b...)
	t.at += uint64(len(b))
}

// put makes b the contents of a section.
func (t *tail) put(s *section, b []byte) {
	le.PutUint64(s.raw[24:], t.at)
	le.PutUint64(s.raw[32:], uint64(len(b)))
	t.add(b)
}

// keep returns how much of the file stays: what comes in front of our section where nothing follows but what Write put
// there, else all.
func (l *layout) keep() uint64 {
	i := l.own()
	if i < 0 {
		return l.size
	}
	at := l.sections[i].offset()
	table := le.Uint64(l.header[40:])
	if at < l.loaded || table < at || table+uint64(len(l.sections))*sectionSize != l.size {
		return l.size // another tool has moved it: its bytes stay, unused
	}
	for n := range l.sections {
		s := &l.sections[n]
		if uint64(n) != l.names && n != i && s.end() > at || uint64(n) == l.names && s.offset() < at {
			return l.size
		}
	}
	return at
}

// ensure makes sure that there are a section for us and one for names, and returns the index of ours. Sections are
// added at the end, since symbols know the others by number.
func (l *layout) ensure() int {
	if len(l.sections) == 0 {
		l.sections = make([]section, 1) // the first one means none
	}
	if len(l.strings) == 0 {
		l.strings = []byte{0}
	}
	for i := range l.sections {
		if n := le.Uint32(l.sections[i].raw[:]); uint64(n) >= uint64(len(l.strings)) {
			le.PutUint32(l.sections[i].raw[:], 0) // a name that is not there must not become one that is added
		}
	}
	if l.names == 0 || l.sections[l.names].flags()&uint64(elf.SHF_ALLOC) != 0 {
		l.names = uint64(len(l.sections))
		l.add(".shstrtab", elf.SHT_STRTAB, 1)
	}
	i := l.own()
	if i < 0 {
		i = len(l.sections)
		l.add(Section, elf.SHT_NOTE, 4)
	}
	return i
}

// add adds a section. Its name may be followed by anything: names are ended by a zero.
func (l *layout) add(name string, typ elf.SectionType, alignment uint64) {
	s := section{name: name}
	if n := len(l.strings); n > 0 && l.strings[n-1] != 0 {
		l.strings = append(l.strings, 0)
	}
	le.PutUint32(s.raw[:], uint32(len(l.strings)))
	l.strings = append(append(l.strings, name...), 0)
	le.PutUint32(s.raw[4:], uint32(typ))
	le.PutUint64(s.raw[48:], alignment)
	l.sections = append(l.sections, s)
}
