package macho

import "bytes"

// Segment is a range of memory that is mapped from the file.
type Segment struct {
	Name     string
	Addr     uint64 // preferred address
	Size     uint64 // in memory, in bytes
	Offset   uint64 // in the image
	FileSize uint64 // bytes in the file; the rest is zero
	Prot     uint32 // initial protection: 1 read, 2 write, 4 execute
	Flags    uint32
	Sections []Section // part of Image.Sections
}

// SegmentReadOnly marks segments that dyld makes read-only once it has bound them (SG_READ_ONLY).
const SegmentReadOnly = 0x10

// Section is a part of a segment.
type Section struct {
	Name      string
	Segment   string
	Addr      uint64
	Size      uint64
	Offset    uint32 // in the image; 0 where the section has no bytes in the file
	Align     uint32 // power of two
	Flags     uint32 // type and attributes
	Reserved1 uint32 // of pointer and stub sections: first index into the indirect symbol table
	Reserved2 uint32 // of stub sections: size of a stub in bytes

	relOff, nReloc uint32
	image          *Image
}

// SectionType is the low byte of a section's flags.
type SectionType uint8

// Section types of mach-o/loader.h.
const (
	Regular             SectionType = 0x0
	ZeroFill            SectionType = 0x1
	CStrings            SectionType = 0x2
	Literals4           SectionType = 0x3
	Literals8           SectionType = 0x4
	LiteralPointers     SectionType = 0x5
	NonLazyPointers     SectionType = 0x6
	LazyPointers        SectionType = 0x7
	SymbolStubs         SectionType = 0x8
	ModInitPointers     SectionType = 0x9
	GBZeroFill          SectionType = 0xc
	Literals16          SectionType = 0xe
	LazyDylibPointers   SectionType = 0x10
	ThreadLocalZeroFill SectionType = 0x12
)

const (
	attrPureInstructions = 0x80000000
	attrSomeInstructions = 0x00000400
	attrDebug            = 0x02000000
)

// Type returns the section's type.
func (s *Section) Type() SectionType { return SectionType(s.Flags) }

// IsCode says whether the section holds instructions (S_ATTR_PURE_INSTRUCTIONS or S_ATTR_SOME_INSTRUCTIONS).
func (s *Section) IsCode() bool { return s.Flags&(attrPureInstructions|attrSomeInstructions) != 0 }

// IsStubs says whether the section holds stubs, which jump to imports and are nobody's own code.
func (s *Section) IsStubs() bool {
	return s.Type() == SymbolStubs || s.Name == "__stubs" || s.Name == "__auth_stubs" || s.Name == "__objc_stubs" ||
		s.Name == "__stub_helper"
}

// Contains says whether addr lies in the section.
func (s *Section) Contains(addr uint64) bool { return addr-s.Addr < s.Size }

// noBytes says whether the section is filled with zeroes rather than from the file.
func (s *Section) noBytes() bool {
	switch s.Type() {
	case ZeroFill, GBZeroFill, ThreadLocalZeroFill:
		return true
	}
	return false
}

// Data returns the section's bytes in the file; nil for one that is zero-filled, and for one that reaches beyond the
// end of the image (which [Image.Problems] then tells).
func (s *Section) Data() []byte {
	if s.noBytes() || s.Size == 0 || s.Offset == 0 {
		return nil
	}
	b := s.image.bytesAt(uint64(s.Offset), s.Size)
	if b == nil {
		s.image.problem(uint64(s.Offset), "section %s,%s of %#x bytes reaches beyond the end of the image",
			s.Segment, s.Name, s.Size)
	}
	return b
}

// readSegment takes in a segment command and its sections.
func (m *Image) readSegment(b []byte, off int, is64 bool) {
	bo := m.bo
	head, sect := segmentCommandSize32, sectionSize32
	if is64 {
		head, sect = segmentCommandSize64, sectionSize64
	}
	if len(b) < head {
		m.problem(uint64(off)+4, "segment command of %d bytes is too short", len(b))
		return
	}
	s := Segment{Name: fixedName(b[8:24])}
	if is64 {
		s.Addr, s.Size = bo.Uint64(b[24:]), bo.Uint64(b[32:])
		s.Offset, s.FileSize = bo.Uint64(b[40:]), bo.Uint64(b[48:])
		s.Prot, s.Flags = bo.Uint32(b[60:]), bo.Uint32(b[68:])
	} else {
		s.Addr, s.Size = uint64(bo.Uint32(b[24:])), uint64(bo.Uint32(b[28:]))
		s.Offset, s.FileSize = uint64(bo.Uint32(b[32:])), uint64(bo.Uint32(b[36:]))
		s.Prot, s.Flags = bo.Uint32(b[44:]), bo.Uint32(b[52:])
	}
	if n := uint64(len(m.data)); s.FileSize > 0 && (s.Offset > n || s.FileSize > n-s.Offset) {
		m.problem(uint64(off), "segment %s of %#x bytes at %#x reaches beyond the end of the image",
			s.Name, s.FileSize, s.Offset)
		s.FileSize = n - min(s.Offset, n)
	}
	if s.FileSize > s.Size {
		s.FileSize = s.Size
	}
	if s.Size > -s.Addr-1 { // a segment that wraps around the address space
		m.problem(uint64(off), "segment %s of %#x bytes at address %#x wraps around", s.Name, s.Size, s.Addr)
		s.Size = -s.Addr - 1
		s.FileSize = min(s.FileSize, s.Size)
	}
	n := sectionCount(bo, b, is64)
	if want := bo.Uint32(b[head-8:]); uint64(want) > uint64(n) {
		m.problem(uint64(off+head)-8, "segment %s names %d sections but holds %d", s.Name, want, n)
	}
	first := len(m.Sections)
	for i := range n {
		e := b[head+i*sect:][:sect]
		c := Section{Name: fixedName(e[:16]), Segment: fixedName(e[16:32]), image: m}
		if is64 {
			c.Addr, c.Size = bo.Uint64(e[32:]), bo.Uint64(e[40:])
			e = e[48:]
		} else {
			c.Addr, c.Size = uint64(bo.Uint32(e[32:])), uint64(bo.Uint32(e[36:]))
			e = e[40:]
		}
		c.Offset, c.Align = bo.Uint32(e), bo.Uint32(e[4:])
		c.relOff, c.nReloc = bo.Uint32(e[8:]), bo.Uint32(e[12:])
		c.Flags, c.Reserved1, c.Reserved2 = bo.Uint32(e[16:]), bo.Uint32(e[20:]), bo.Uint32(e[24:])
		if c.Size > -c.Addr-1 {
			m.problem(uint64(off), "section %s,%s of %#x bytes at address %#x wraps around",
				c.Segment, c.Name, c.Size, c.Addr)
			c.Size = 0
		}
		m.Sections = append(m.Sections, c)
	}
	s.Sections = m.Sections[first:len(m.Sections):len(m.Sections)]
	m.Segments = append(m.Segments, s)
}

// fixedName reads a name of up to sixteen bytes.
func fixedName(b []byte) string {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		b = b[:end]
	}
	if s, ok := commonNames[string(b)]; ok {
		return s
	}
	return string(b)
}

// commonNames spares an allocation for each of the names that most images use.
var commonNames = func() map[string]string {
	names := map[string]string{"": ""}
	for _, s := range []string{
		"__PAGEZERO", "__TEXT", "__DATA", "__DATA_CONST", "__AUTH", "__AUTH_CONST", "__LINKEDIT", "__DWARF", "__LD",
		"__text", "__stubs", "__auth_stubs", "__objc_stubs", "__stub_helper", "__cstring", "__const", "__data",
		"__bss", "__common", "__got", "__auth_got", "__la_symbol_ptr", "__nl_symbol_ptr", "__unwind_info",
		"__eh_frame", "__gcc_except_tab", "__compact_unwind", "__cfstring", "__mod_init_func", "__thread_vars",
		"__objc_selrefs", "__objc_methname", "__objc_const", "__objc_classname", "__objc_methtype", "__objc_data",
		"__debug_info", "__debug_abbrev", "__debug_line", "__debug_str", "__debug_line_str", "__apple_names",
		"__apple_types", "__apple_namespac", "__apple_objc", "__init_offsets", "__literal16", "__literal8",
	} {
		names[s] = s
	}
	return names
}()

// SegmentAt returns the segment that holds addr, nil where none does.
func (m *Image) SegmentAt(addr uint64) *Segment {
	for i := range m.Segments {
		if s := &m.Segments[i]; addr-s.Addr < s.Size {
			return s
		}
	}
	return nil
}

// SectionAt returns the section that holds addr, nil where none does.
func (m *Image) SectionAt(addr uint64) *Section {
	for i := range m.Sections {
		if s := &m.Sections[i]; s.Contains(addr) {
			return s
		}
	}
	return nil
}

// Section returns the section with the given names, nil where there is none.
func (m *Image) Section(segment, name string) *Section {
	for i := range m.Sections {
		if s := &m.Sections[i]; s.Name == name && s.Segment == segment {
			return s
		}
	}
	return nil
}

// Segment returns the segment with the given name, nil where there is none.
func (m *Image) Segment(name string) *Segment {
	for i := range m.Segments {
		if s := &m.Segments[i]; s.Name == name {
			return s
		}
	}
	return nil
}

// CodeSections returns the sections that hold the image's own instructions: those marked as code, without stubs.
func (m *Image) CodeSections() []*Section {
	var code []*Section
	for i := range m.Sections {
		if s := &m.Sections[i]; s.IsCode() && !s.IsStubs() && !s.noBytes() {
			code = append(code, s)
		}
	}
	return code
}

// Bytes returns the n bytes that the file has for address addr: what memory holds before any fixup. It returns nil
// where they are not all in the file and in one segment: unmapped, zero-filled, cut off, or n < 0.
func (m *Image) Bytes(addr uint64, n int) []byte {
	if n < 0 {
		return nil
	}
	b := m.rest(addr)
	if len(b) < n {
		return nil
	}
	return b[:n:n]
}

// rest returns the bytes of the file from addr to the end of its segment.
func (m *Image) rest(addr uint64) []byte {
	for i := range m.Segments {
		if s := &m.Segments[i]; addr-s.Addr < s.FileSize {
			return m.bytesAt(s.Offset+(addr-s.Addr), s.FileSize-(addr-s.Addr))
		}
	}
	return nil
}

// CString returns the zero-terminated string at addr; ok is false where there is none of at most 64 KiB.
func (m *Image) CString(addr uint64) (s string, ok bool) {
	b := m.rest(addr)
	if len(b) > 1<<16 {
		b = b[:1<<16]
	}
	end := bytes.IndexByte(b, 0)
	if end < 0 {
		return "", false
	}
	return string(b[:end]), true
}

// ReadOnly says whether what lies at addr stays what it is while the program runs: text, constants, literals, and
// pointer tables that nothing but the dynamic linker writes.
func (m *Image) ReadOnly(addr uint64) bool {
	seg := m.SegmentAt(addr)
	if seg == nil {
		return false
	}
	s := m.SectionAt(addr)
	if m.Type != Object {
		switch {
		case seg.Prot&2 == 0, seg.Flags&SegmentReadOnly != 0:
			return true
		case seg.Name == "__DATA_CONST" || seg.Name == "__AUTH_CONST":
			return true
		}
	}
	if s == nil {
		return false
	}
	switch s.Type() {
	case CStrings, Literals4, Literals8, Literals16, NonLazyPointers:
		return true
	}
	return s.Segment == "__TEXT" || s.Segment == "__DATA_CONST" || s.Segment == "__AUTH_CONST" ||
		s.Name == "__const" || s.Name == "__cfstring" || s.Name == "__got" || s.Name == "__auth_got"
}
