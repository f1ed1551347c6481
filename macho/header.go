package macho

import (
	"bytes"
	"encoding/binary"
)

// newImage reads the Mach-O header at the start of data, which lies at offset base of the file, and the load commands.
func newImage(data []byte, base int64, member string) (*Image, *FormatError) {
	m := &Image{Member: member, Offset: base, Size: int64(len(data)), data: data}
	if len(data) < machHeaderSize32 {
		return nil, formatError(m.Offset, "Mach-O header is cut short")
	}
	h := data
	size := machHeaderSize32
	switch binary.BigEndian.Uint32(h) {
	case machMagic64:
		m.bo, m.is64, size = binary.BigEndian, true, machHeaderSize64
	case machCigam64:
		m.bo, m.is64, size = binary.LittleEndian, true, machHeaderSize64
	case machMagic32:
		m.bo = binary.BigEndian
	case machCigam32:
		m.bo = binary.LittleEndian
	default:
		return nil, notMachO(m.Offset)
	}
	if len(h) < size {
		return nil, formatError(m.Offset, "Mach-O header is cut short")
	}
	m.CPU, m.SubCPU = CPU(m.bo.Uint32(h[4:])), m.bo.Uint32(h[8:])
	m.Arch = archName(m.CPU, m.SubCPU)
	m.Type, m.Flags = Type(m.bo.Uint32(h[12:])), Flags(m.bo.Uint32(h[24:]))
	ncmds, cmdSize := m.bo.Uint32(h[16:]), m.bo.Uint32(h[20:])
	fail := func(off int, format string, args ...any) (*Image, *FormatError) {
		err := formatError(m.Offset+int64(off), format, args...)
		err.Arch = m.Arch
		return nil, err
	}
	switch {
	case m.InScope() && (!m.is64 || m.bo != binary.LittleEndian):
		return fail(4, "%s image with a header of the wrong width or byte order", m.Arch)
	case m.Type == Core:
		return fail(12, "core dump, which holds the memory of a process and no image to check")
	case m.Type == FileSet:
		return fail(12, "file set of a kernel collection: kernel code is not under the restrictions")
	case uint64(cmdSize) > uint64(len(h)-size):
		return fail(20, "load commands of %#x bytes reach beyond the end of the image", cmdSize)
	case uint64(ncmds)*8 > uint64(cmdSize):
		return fail(16, "%d load commands do not fit into %#x bytes", ncmds, cmdSize)
	}
	cmds := commands{m: m, b: h[size : size+int(cmdSize)], off: size, n: int(ncmds)}
	if err := cmds.count(); err != nil {
		err.Arch = m.Arch
		return nil, err
	}
	if cmds.segments > maxSegments || cmds.sections > maxSections {
		return fail(16, "%d segments and %d sections, more than any linker makes", cmds.segments, cmds.sections)
	}
	m.Segments = make([]Segment, 0, cmds.segments)
	m.Sections = make([]Section, 0, cmds.sections)
	m.Dylibs = make([]Library, 0, cmds.dylibs)
	cmds.each(func(cmd uint32, b []byte, off int) { m.readCommand(cmd, b, off) })
	m.setBase()
	return m, nil
}

// commands walks over the load commands of an image.
type commands struct {
	m   *Image
	b   []byte
	off int // of b in m.data
	n   int

	segments, sections, dylibs int
}

// count checks the sizes of all commands, and counts what they will need.
func (c *commands) count() *FormatError {
	b, off := c.b, c.off
	for i := range c.n {
		if len(b) < 8 {
			return formatError(c.m.fileOffset(uint64(off)), "load command %d of %d is cut short", i+1, c.n)
		}
		size := c.m.bo.Uint32(b[4:])
		if size < 8 || uint64(size) > uint64(len(b)) {
			return formatError(c.m.fileOffset(uint64(off)+4), "load command %d has size %#x, with %#x bytes left",
				i+1, size, len(b))
		}
		switch cmd := c.m.bo.Uint32(b); cmd {
		case lcSegment64, lcSegment:
			c.segments++
			c.sections += sectionCount(c.m.bo, b[:size], cmd == lcSegment64)
		case lcLoadDylib, lcLoadWeakDylib, lcReexportDylib, lcLazyLoadDylib, lcLoadUpwardDylib:
			c.dylibs++
		}
		b, off = b[size:], off+int(size)
	}
	return nil
}

// each calls fn for every command; count has checked them.
func (c *commands) each(fn func(cmd uint32, b []byte, off int)) {
	b, off := c.b, c.off
	for range c.n {
		size := int(c.m.bo.Uint32(b[4:]))
		fn(c.m.bo.Uint32(b), b[:size:size], off)
		b, off = b[size:], off+size
	}
}

// sectionCount returns how many sections of a segment command exist within it.
func sectionCount(bo binary.ByteOrder, cmd []byte, is64 bool) int {
	head, sect := segmentCommandSize32, sectionSize32
	if is64 {
		head, sect = segmentCommandSize64, sectionSize64
	}
	if len(cmd) < head {
		return 0
	}
	return int(min(uint64(bo.Uint32(cmd[head-8:])), uint64((len(cmd)-head)/sect)))
}

// readCommand takes in one load command, which begins at offset off of m.data. Commands that are cut short are noted
// and skipped; commands that are not known are none of a reader's business.
func (m *Image) readCommand(cmd uint32, b []byte, off int) {
	bo := m.bo
	need := func(n int) bool {
		if len(b) < n {
			m.problem(uint64(off)+4, "load command %#x of %d bytes is too short: %d are due", cmd&^reqDyld, len(b), n)
			return false
		}
		return true
	}
	ext := func(at int) extent { return extent{bo.Uint32(b[at:]), bo.Uint32(b[at+4:])} }
	switch cmd {
	case lcSegment64, lcSegment:
		m.readSegment(b, off, cmd == lcSegment64)
	case lcSymtab:
		if need(24) {
			m.cmds.symOff, m.cmds.nsyms = bo.Uint32(b[8:]), bo.Uint32(b[12:])
			m.cmds.strs = ext(16)
		}
	case lcDysymtab:
		if need(80) {
			m.cmds.hasDysymtab = true
			m.cmds.undefFirst, m.cmds.undefCount = bo.Uint32(b[24:]), bo.Uint32(b[28:])
			m.cmds.indirect, m.cmds.extrel, m.cmds.locrel = ext(56), ext(64), ext(72)
		}
	case lcDyldInfo, lcDyldInfoOnly:
		if need(48) {
			m.cmds.rebase, m.cmds.bind, m.cmds.weakBind = ext(8), ext(16), ext(24)
			m.cmds.lazyBind, m.cmds.exportInfo = ext(32), ext(40)
		}
	case lcFunctionStarts, lcDyldChainedFixups, lcDyldExportsTrie, lcCodeSignature:
		if need(16) {
			switch cmd {
			case lcFunctionStarts:
				m.cmds.functionStarts = ext(8)
			case lcDyldChainedFixups:
				m.cmds.chained = ext(8)
			case lcDyldExportsTrie:
				m.cmds.exportsTrie = ext(8)
			case lcCodeSignature:
				m.cmds.codeSignature = ext(8)
			}
		}
	case lcUUID:
		if need(24) {
			copy(m.UUID[:], b[8:])
		}
	case lcRPath:
		if need(12) {
			m.RPaths = append(m.RPaths, m.lcString(b, off, 8))
		}
	case lcIDDylib, lcLoadDylib, lcLoadWeakDylib, lcReexportDylib, lcLazyLoadDylib, lcLoadUpwardDylib:
		m.readDylib(cmd, b, off)
	case lcBuildVersion:
		if need(24) {
			m.Builds = append(m.Builds, Build{Platform(bo.Uint32(b[8:])), Version(bo.Uint32(b[12:])),
				Version(bo.Uint32(b[16:]))})
		}
	case lcVersionMinMacOS, lcVersionMinIPhoneOS, lcVersionMinTVOS, lcVersionMinWatchOS:
		if need(16) {
			m.Builds = append(m.Builds, Build{m.oldPlatform(cmd), Version(bo.Uint32(b[8:])), Version(bo.Uint32(b[12:]))})
		}
	case lcEncryptionInfo, lcEncryptionInfo64:
		if need(20) {
			m.Encryption = &Encryption{bo.Uint32(b[8:]), bo.Uint32(b[12:]), bo.Uint32(b[16:])}
		}
	case lcMain:
		if need(24) {
			m.entry = entryPoint{'m', bo.Uint64(b[8:])}
		}
	case lcUnixThread:
		m.readThread(b)
	}
}

// readDylib takes in a command that names a library. One that is cut short still takes an ordinal.
func (m *Image) readDylib(cmd uint32, b []byte, off int) {
	var d Library
	if len(b) < dylibCommandHeaderSize {
		m.problem(uint64(off)+4, "load command %#x of %d bytes is too short for a library", cmd&^reqDyld, len(b))
	} else {
		d = Library{Name: m.lcString(b, off, 8), Current: Version(m.bo.Uint32(b[16:])), Compat: Version(m.bo.Uint32(b[20:]))}
	}
	switch cmd {
	case lcIDDylib:
		m.Install = &d
		return
	case lcLoadWeakDylib:
		d.Kind = LinkWeak
	case lcReexportDylib:
		d.Kind = LinkReexport
	case lcLazyLoadDylib:
		d.Kind = LinkLazy
	case lcLoadUpwardDylib:
		d.Kind = LinkUpward
	}
	m.Dylibs = append(m.Dylibs, d)
}

// lcString reads the string a load command refers to by the offset at b[at:].
func (m *Image) lcString(b []byte, off, at int) string {
	start := m.bo.Uint32(b[at:])
	if uint64(start) > uint64(len(b)) {
		m.problem(uint64(off+at), "string at %#x of a load command of %#x bytes", start, len(b))
		return ""
	}
	s := b[start:]
	if end := bytes.IndexByte(s, 0); end >= 0 {
		s = s[:end]
	}
	return string(s)
}

// oldPlatform tells the platform of an LC_VERSION_MIN command. These are older than simulators' own platforms: for
// Intel the mobile ones mean the simulator.
func (m *Image) oldPlatform(cmd uint32) Platform {
	intel := m.CPU == CPUAMD64 || m.CPU == CPU386
	switch cmd {
	case lcVersionMinIPhoneOS:
		if intel {
			return IOSSimulator
		}
		return IOS
	case lcVersionMinTVOS:
		if intel {
			return TVOSSimulator
		}
		return TVOS
	case lcVersionMinWatchOS:
		if intel {
			return WatchOSSimulator
		}
		return WatchOS
	}
	return MacOS
}

// readThread takes the program counter out of an LC_UNIXTHREAD.
func (m *Image) readThread(b []byte) {
	if len(b) < 16 {
		return
	}
	pc := -1
	switch flavor := m.bo.Uint32(b[8:]); {
	case m.CPU == CPUARM64 && flavor == threadStateARM64:
		pc = 16 + 32*8 // x0-x28, fp, lr, sp, pc
	case m.CPU == CPUAMD64 && flavor == threadStateX86_64:
		pc = 16 + 16*8 // rip follows sixteen general registers
	}
	if pc >= 0 && pc+8 <= len(b) {
		m.entry = entryPoint{'t', m.bo.Uint64(b[pc:])}
	}
}

// setBase finds the preferred address of the Mach-O header: that of the segment the header lies in.
func (m *Image) setBase() {
	for i := range m.Segments {
		if s := &m.Segments[i]; s.Name == "__TEXT" {
			m.base = s.Addr
			return
		}
	}
	for i := range m.Segments {
		if s := &m.Segments[i]; s.Offset == 0 && s.FileSize > 0 {
			m.base = s.Addr
			return
		}
	}
}
