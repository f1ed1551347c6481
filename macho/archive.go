package macho

import (
	"bytes"
	"strconv"
	"strings"
)

// Static archives (ar.h). Three dialects write names longer than the 16 bytes of the header in their own ways:
// BSD puts "#1/N" there and the name in the first N bytes of the member; GNU puts "/N", an offset into a member
// called "//"; a thin archive holds no members at all, only the paths of files elsewhere.
const (
	archiveMagic      = "!<arch>\n"
	thinArchiveMagic  = "!<thin>\n"
	archiveHeaderSize = 60
	archiveEndOfHead  = "`\n"
)

// readArchive reads the members of the static archive at data.
func (f *File) readArchive(data []byte, base int64) {
	switch {
	case bytes.HasPrefix(data, []byte(thinArchiveMagic)):
		f.fail(formatError(base, "thin archive, whose members are other files: check those instead"), "")
		return
	case !bytes.HasPrefix(data, []byte(archiveMagic)):
		f.fail(notMachO(base), "")
		return
	}
	f.Archive = true
	var longNames []byte
	for off := len(archiveMagic); off < len(data); {
		head := data[off:]
		if len(head) < archiveHeaderSize {
			if len(bytes.Trim(head, "\n\x00 ")) > 0 {
				f.fail(formatError(base+int64(off), "archive member header is cut short"), "")
			}
			return
		}
		head = head[:archiveHeaderSize]
		if string(head[58:60]) != archiveEndOfHead {
			f.fail(formatError(base+int64(off), "archive member header has no end mark"), "")
			return
		}
		size, err := strconv.ParseUint(strings.TrimSpace(string(head[48:58])), 10, 40)
		start := off + archiveHeaderSize
		if err != nil {
			f.fail(formatError(base+int64(off)+48, "archive member has no readable size"), "")
			return
		}
		name := strings.TrimRight(string(head[:16]), " ")
		cut := false
		if size > uint64(len(data)-start) {
			f.fail(formatError(base+int64(off)+48, "archive member of %d bytes reaches beyond the end of the file",
				size), name)
			size, cut = uint64(len(data)-start), true
		}
		body := data[start : start+int(size) : start+int(size)]
		skip := 0
		switch {
		case strings.HasPrefix(name, "#1/"):
			n, err := strconv.ParseUint(name[3:], 10, 32)
			if err != nil || n > uint64(len(body)) {
				f.fail(formatError(base+int64(off), "archive member name %q does not fit the member", name), "")
				name, n = "", 0
			} else {
				name = string(bytes.TrimRight(body[:n], "\x00"))
			}
			skip = int(n)
		case name == "//":
			longNames = body
		case len(name) > 1 && name[0] == '/' && name[1] >= '0' && name[1] <= '9':
			n, err := strconv.ParseUint(name[1:], 10, 32)
			if err != nil || n >= uint64(len(longNames)) {
				f.fail(formatError(base+int64(off), "archive member name %q is not in the name table", name), "")
				break
			}
			rest := longNames[n:]
			if end := bytes.IndexByte(rest, '\n'); end >= 0 {
				rest = rest[:end]
			}
			if len(rest) > maxNameLength {
				rest = rest[:maxNameLength]
			}
			name = strings.TrimSuffix(string(rest), "/")
		case len(name) > 1:
			name = strings.TrimSuffix(name, "/")
		}
		if !isArchiveIndex(name) {
			f.readAny(body[skip:], base+int64(start+skip), name, depthMember)
		}
		if cut {
			return
		}
		off = start + int(size)
		off += off & 1 // members begin at even offsets
	}
}

// isArchiveIndex tells the symbol and name tables of an archive from its members.
func isArchiveIndex(name string) bool {
	switch name {
	case "/", "//", "/SYM64", "/SYM64/":
		return true
	}
	return strings.HasPrefix(name, "__.SYMDEF")
}
