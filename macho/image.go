package macho

import (
	"encoding/binary"
	"encoding/hex"
	"sync"
)

// Image is one Mach-O image: a slice of a universal file, a member of an archive, or the whole file.
//
// The exported fields come from the header and the load commands and are not to be changed.
type Image struct {
	Member   string // archive member; empty outside of archives
	Offset   int64  // of the Mach-O header in the file, in bytes
	Size     int64  // bytes of the file that belong to the image
	CPU      CPU
	SubCPU   uint32 // with its capability bits, such as the ABI version of arm64e
	Arch     string // lipo's name: arm64, arm64e, x86_64, x86_64h, i386, armv7, …
	Type     Type
	Flags    Flags
	Segments []Segment
	Sections []Section // of all segments, in order: symbols refer to them by index + 1
	UUID     UUID      // zero where the image has none
	Builds   []Build   // platforms; a zippered library has two
	Install  *Library  // LC_ID_DYLIB: the library's own name; nil where there is none
	Dylibs   []Library // libraries linked against, in order: ordinal n is Dylibs[n-1]
	RPaths   []string

	// Encryption is the encrypted range of an App Store image, nil where there is no such command.
	// See [Image.Encrypted].
	Encryption *Encryption

	data  []byte           // the image: offsets in it are relative to the Mach-O header
	bo    binary.ByteOrder // of the image's processor
	is64  bool
	base  uint64 // preferred address of the Mach-O header
	entry entryPoint
	cmds  tables

	mu       sync.Mutex
	problems []error

	syms      symtab
	pool      namePool
	fixups    fixupTable
	binds     bindTable
	rebases   rebaseTable
	stubs     stubTable
	objc      objcTable
	functions functionTable
	names     nameTable
	exports   exportTable
	gofuncs   goTable
	relocs    relocTable
	lines     lineTable
	dieTable  dieTable
}

// UUID identifies one build of an image; a dSYM has the UUID of the image it belongs to.
type UUID [16]byte

// String returns the UUID as dwarfdump and crash reports print it.
func (u UUID) String() string {
	h := []byte(hex.EncodeToString(u[:]))
	for i, c := range h {
		if c >= 'a' {
			h[i] = c - 'a' + 'A'
		}
	}
	return string(h[:8]) + "-" + string(h[8:12]) + "-" + string(h[12:16]) + "-" + string(h[16:20]) + "-" + string(h[20:])
}

// LinkKind says how an image needs a library.
type LinkKind uint8

// Kinds of links, after the load commands.
const (
	LinkNormal   LinkKind = iota // LC_LOAD_DYLIB
	LinkWeak                     // LC_LOAD_WEAK_DYLIB: may be missing
	LinkReexport                 // LC_REEXPORT_DYLIB: its exports are the image's own
	LinkLazy                     // LC_LAZY_LOAD_DYLIB
	LinkUpward                   // LC_LOAD_UPWARD_DYLIB
)

// String returns the kind in lower case.
func (k LinkKind) String() string {
	return [...]string{"normal", "weak", "reexport", "lazy", "upward"}[k]
}

// Library is a library an image is or links against.
type Library struct {
	Name    string // install name, such as /usr/lib/libSystem.B.dylib
	Current Version
	Compat  Version
	Kind    LinkKind // LinkNormal for LC_ID_DYLIB
}

// Encryption is a range of the file that the App Store encrypts.
type Encryption struct {
	Offset uint32 // in the image, in bytes
	Size   uint32
	ID     uint32 // 0: the range exists but is in clear
}

type entryPoint struct {
	kind byte   // 0 none, 'm' LC_MAIN, 't' LC_UNIXTHREAD
	val  uint64 // LC_MAIN: file offset; LC_UNIXTHREAD: address
}

// extent is a range of the image that a load command names.
type extent struct{ off, size uint32 }

func (e extent) empty() bool { return e.size == 0 }

// tables are the parts of the link-edit data.
type tables struct {
	symOff, nsyms          uint32
	strs                   extent
	undefFirst, undefCount uint32
	indirect               extent // in entries
	extrel, locrel         extent // in entries
	hasDysymtab            bool
	rebase, bind, weakBind extent
	lazyBind, exportInfo   extent
	functionStarts         extent
	chained, exportsTrie   extent
	codeSignature          extent
}

// InScope says whether the image's processor is one that Portcullis reads code for: arm64, arm64e, x86_64, x86_64h.
// Of other images only what the load commands and the symbol table tell is available.
func (m *Image) InScope() bool { return inScope(m.CPU) }

// ARM64E says whether the image uses pointer authentication.
func (m *Image) ARM64E() bool { return m.CPU == CPUARM64 && m.SubCPU&subtypeMask == subARM64E }

// ByteOrder returns the byte order of the image.
func (m *Image) ByteOrder() binary.ByteOrder { return m.bo }

// Base returns the address the Mach-O header has unless the image is slid; 0 in object files.
func (m *Image) Base() uint64 { return m.base }

// Encrypted says whether part of the image is encrypted, as the App Store delivers it: its code cannot be read.
func (m *Image) Encrypted() bool { return m.Encryption != nil && m.Encryption.ID != 0 }

// Simulator says whether all platforms the image is built for are simulators.
func (m *Image) Simulator() bool {
	for _, b := range m.Builds {
		if !b.Platform.Simulator() {
			return false
		}
	}
	return len(m.Builds) > 0
}

// Platform returns the first platform the image is built for, or a zero Build where it does not say.
func (m *Image) Platform() Build {
	if len(m.Builds) == 0 {
		return Build{}
	}
	return m.Builds[0]
}

// Library returns the install name of the library with the ordinal of an [Import], or what a special ordinal means.
func (m *Image) Library(ordinal int) string {
	switch {
	case ordinal > 0 && ordinal <= len(m.Dylibs):
		return m.Dylibs[ordinal-1].Name
	case ordinal == OrdinalSelf:
		return "this image"
	case ordinal == OrdinalMain:
		return "main executable"
	case ordinal == OrdinalFlat:
		return "flat namespace"
	case ordinal == OrdinalWeak:
		return "weak definition"
	}
	return ""
}

// Entry returns the address of the entry point: main for LC_MAIN, start for LC_UNIXTHREAD.
func (m *Image) Entry() (addr uint64, ok bool) {
	switch m.entry.kind {
	case 't':
		return m.entry.val, true
	case 'm':
		for i := range m.Segments {
			if s := &m.Segments[i]; s.FileSize > 0 && m.entry.val >= s.Offset && m.entry.val-s.Offset < s.FileSize {
				return s.Addr + (m.entry.val - s.Offset), true
			}
		}
	}
	return 0, false
}

// CodeSignature returns the embedded signature, a SuperBlob with what follows it; nil where the image is not signed.
func (m *Image) CodeSignature() []byte { return m.linkedit(m.cmds.codeSignature, "code signature") }

// CodeSignatureOffset returns where in the file [Image.CodeSignature] begins.
func (m *Image) CodeSignatureOffset() int64 { return m.fileOffset(uint64(m.cmds.codeSignature.off)) }

// Problems returns what could not be read of the image so far; each is a *[FormatError]. Parts of an image are read
// when first asked for, so the list may grow with use.
func (m *Image) Problems() []error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]error(nil), m.problems...)
}

// problem records damage at offset off of m.data, once for each place and cause.
func (m *Image) problem(off uint64, format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.problems) >= maxProblems {
		return
	}
	err := formatError(m.fileOffset(off), format, args...)
	err.Member, err.Arch = m.Member, m.Arch
	for _, p := range m.problems {
		if *p.(*FormatError) == *err {
			return
		}
	}
	m.problems = append(m.problems, err)
}

// fileOffset turns an offset in m.data into one in the file.
func (m *Image) fileOffset(off uint64) int64 { return m.Offset + int64(off) }

// bytesAt returns size bytes at offset off of the image's data, or nil where they do not all exist.
func (m *Image) bytesAt(off, size uint64) []byte {
	n := uint64(len(m.data))
	if off > n || size > n-off {
		return nil
	}
	return m.data[off : off+size : off+size]
}

// linkedit returns the bytes of a table, nil where it is empty or, with a problem noted, where it is out of bounds.
func (m *Image) linkedit(e extent, what string) []byte {
	if e.empty() {
		return nil
	}
	b := m.bytesAt(uint64(e.off), uint64(e.size))
	if b == nil {
		m.problem(uint64(e.off), "%s of %#x bytes reaches beyond the end of the image", what, e.size)
	}
	return b
}
