package container

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

// The parts of a zip file. Source: PKWARE's APPNOTE.TXT, section 4.3.
const (
	localMagic  = "PK\x03\x04"
	entryMagic  = "PK\x01\x02"
	endMagic    = "PK\x05\x06"
	end64Magic  = "PK\x06\x06"
	locateMagic = "PK\x06\x07"
	descMagic   = "PK\x07\x08"

	localSize  = 30
	entrySize  = 46
	endSize    = 22
	end64Size  = 56
	locateSize = 20

	flagEncrypted  = 1 << 0
	flagDescriptor = 1 << 3 // sizes and checksum stand behind the data

	methodStore   = 0
	methodDeflate = 8
)

// zipEntry is a member as the central directory, or its own local header, describes it.
type zipEntry struct {
	name        string
	flags       uint16
	method      uint16
	crc         uint32
	packed      uint64
	size        uint64
	header      uint64 // offset of the local header
	mode        uint32 // Unix mode, where the archive was made on Unix
	sizeUnknown bool   // in a truncated archive: sizes and checksum stand behind the data
}

// walkZip reads the members of a zip archive. The directory at its end is read entry by entry, never as a whole: it can
// describe millions of members. p is the place inside.
func (w *walker) walkZip(p place, data []byte) error {
	dir, base, ok := zipDirectory(data)
	if !ok {
		if err := w.failf(p, int64(len(data)), "truncated: the zip archive has no directory at its end"); err != nil {
			return err
		}
		return w.salvageZip(p, data)
	}
	// The directory ends at its end record, or at whatever other record comes before that.
	for at := dir; bytes.HasPrefix(data[at:], []byte(entryMagic)); {
		e, n, err := parseEntry(data, at)
		if err != nil {
			return w.fail(p, int64(at), err)
		}
		if err := w.zipMember(p, data, e, base, at); err != nil {
			if isExhausted(err) {
				return w.fail(p, int64(at), err)
			}
			return err
		}
		at += n
		if at < len(data) && !bytes.HasPrefix(data[at:], []byte("PK")) {
			return w.failf(p, int64(at), "no zip directory entry where one should be")
		}
	}
	return nil
}

// zipDirectory finds the central directory: its offset, and what to add to the offsets in it because something, such as
// a program that unpacks, stands before the archive.
func zipDirectory(data []byte) (dir, base int, ok bool) {
	for at := len(data) - endSize; at >= 0 && at >= len(data)-endSize-0xffff; at-- {
		if !bytes.HasPrefix(data[at:], []byte(endMagic)) ||
			at+endSize+int(binary.LittleEndian.Uint16(data[at+20:])) > len(data) {
			continue
		}
		size := uint64(binary.LittleEndian.Uint32(data[at+12:]))
		off := uint64(binary.LittleEndian.Uint32(data[at+16:]))
		end := at
		if l := at - locateSize; l >= 0 && bytes.HasPrefix(data[l:], []byte(locateMagic)) {
			// The record is before its locator. The offset in the locator is wrong where something was prepended.
			e := binary.LittleEndian.Uint64(data[l+8:])
			if e > uint64(l-end64Size) || !bytes.HasPrefix(data[e:], []byte(end64Magic)) {
				e = uint64(max(l-end64Size, 0))
			}
			if bytes.HasPrefix(data[e:], []byte(end64Magic)) && int(e)+end64Size <= l {
				size = binary.LittleEndian.Uint64(data[e+40:])
				off = binary.LittleEndian.Uint64(data[e+48:])
				end = int(e)
			}
		}
		if size > uint64(end) || off > uint64(end) {
			continue
		}
		start := end - int(size)
		isDir := func(i int) bool { return size == 0 || bytes.HasPrefix(data[i:], []byte(entryMagic)) }
		switch {
		case isDir(start) && start >= int(off):
			return start, start - int(off), true
		case isDir(int(off)):
			return int(off), 0, true
		}
	}
	return 0, 0, false
}

// parseEntry reads the directory entry at at, n bytes long.
func parseEntry(data []byte, at int) (e zipEntry, n int, err error) {
	b := data[at:]
	if len(b) < entrySize {
		return e, 0, errors.New("truncated: the zip directory ends early")
	}
	le := binary.LittleEndian
	nameLen, extraLen, commentLen := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	if n = entrySize + nameLen + extraLen + commentLen; n > len(b) {
		return e, 0, errors.New("truncated: the zip directory ends early")
	}
	e = zipEntry{
		name:   string(b[entrySize : entrySize+nameLen]),
		flags:  le.Uint16(b[8:]),
		method: le.Uint16(b[10:]),
		crc:    le.Uint32(b[16:]),
		packed: uint64(le.Uint32(b[20:])),
		size:   uint64(le.Uint32(b[24:])),
		header: uint64(le.Uint32(b[42:])),
	}
	if maker := b[5]; maker == 3 || maker == 19 { // Unix, macOS
		e.mode = le.Uint32(b[38:]) >> 16
	}
	e.zip64(b[entrySize+nameLen:entrySize+nameLen+extraLen], &e.size, &e.packed, &e.header)
	return e, n, nil
}

// zip64 fills the fields that are too large for 32 bits from the extra field 1, which holds those in this order.
func (e *zipEntry) zip64(extra []byte, fields ...*uint64) {
	for len(extra) >= 4 {
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if extra = extra[4:]; n > len(extra) {
			return
		}
		if id == 1 {
			b := extra[:n]
			for _, f := range fields {
				if *f == 0xffffffff && len(b) >= 8 {
					*f, b = binary.LittleEndian.Uint64(b), b[8:]
				}
			}
			return
		}
		extra = extra[n:]
	}
}

func (e *zipEntry) isFile() bool {
	const typeMask, regular = 0xf000, 0x8000
	t := e.mode & typeMask
	return (t == 0 || t == regular) && !bytes.HasSuffix([]byte(e.name), []byte("/"))
}

func (e *zipEntry) isLink() bool { return e.mode&0xf000 == 0xa000 }

// zipMember reads the member whose directory entry is at at.
func (w *walker) zipMember(p place, data []byte, e zipEntry, base, at int) error {
	m, ok, err := w.member(p, e.name, int64(at))
	if !ok {
		return err
	}
	switch {
	case e.isLink():
		w.stats.Links++
		return nil
	case !e.isFile():
		return nil
	}
	header := e.header + uint64(base)
	if header < e.header || header > uint64(len(data)) || uint64(len(data))-header < localSize ||
		!bytes.HasPrefix(data[header:], []byte(localMagic)) {
		return w.failf(m, int64(at), "the zip directory places it at %#x, where no member begins", header)
	}
	start := header + localSize + uint64(binary.LittleEndian.Uint16(data[header+26:])) +
		uint64(binary.LittleEndian.Uint16(data[header+28:]))
	if start > uint64(len(data)) || e.packed > uint64(len(data))-start {
		return w.failf(m, int64(header), "truncated: %d compressed bytes do not fit the archive", e.packed)
	}
	_, err = w.zipContent(m, e, data[start:start+e.packed], int64(header))
	return err
}

// zipContent offers a member of which data is the compressed form, and says how much of it was consumed.
func (w *walker) zipContent(m place, e zipEntry, data []byte, at int64) (consumed int, err error) {
	if e.flags&flagEncrypted != 0 {
		return 0, w.failf(m, at, "encrypted")
	}
	if e.size > uint64(w.limits.MemberSize) {
		return 0, w.fail(m, at, errMemberSize)
	}
	in := bytes.NewReader(data)
	used := func() int { return len(data) - in.Len() }
	var r io.Reader
	switch e.method {
	case methodStore:
		if e.packed != e.size {
			return 0, w.failf(m, at, "stored without compression, but its sizes differ")
		}
		r = in
	case methodDeflate:
		f, err := w.takeInflater(in)
		if err != nil {
			return 0, w.fail(m, at, err)
		}
		defer func() { w.inflaters = append(w.inflaters, f) }()
		r = f
	default:
		return 0, w.failf(m, at, "compression method %d%s is not supported", e.method, methodName(e.method))
	}
	check := &zipCheck{r: &meter{w: w, r: r, in: func() int64 { return int64(used()) }}, entry: e}
	size := int64(e.size)
	if e.sizeUnknown {
		size = -1
	}
	if err := w.offer(m, &content{r: check, size: size, at: at}); err != nil {
		return 0, err
	}
	if e.sizeUnknown { // find the end
		if _, err := io.Copy(io.Discard, check); err != nil {
			return 0, errSalvage
		}
	}
	return used(), nil
}

func methodName(m uint16) string {
	switch m {
	case 9:
		return " (Deflate64)"
	case 12:
		return " (bzip2)"
	case 14:
		return " (LZMA)"
	case 93:
		return " (Zstandard)"
	case 95:
		return " (xz)"
	case 99:
		return " (AES encryption)"
	}
	return ""
}

// inflater is a deflate decoder that can be used again.
type inflater interface {
	io.Reader
	flate.Resetter
}

func (w *walker) takeInflater(r io.Reader) (inflater, error) {
	if n := len(w.inflaters); n > 0 {
		f := w.inflaters[n-1]
		w.inflaters = w.inflaters[:n-1]
		return f, f.Reset(r, nil)
	}
	f, ok := flate.NewReader(r).(inflater)
	if !ok {
		return nil, errors.New("the deflate decoder cannot be reset")
	}
	return f, nil
}

// zipCheck holds a member against the size and checksum that the archive declares.
type zipCheck struct {
	r     io.Reader
	entry zipEntry
	n     uint64
	crc   uint32
}

func (z *zipCheck) Read(p []byte) (int, error) {
	n, err := z.r.Read(p)
	z.n += uint64(n)
	if z.entry.sizeUnknown {
		return n, orCutShort(err)
	}
	z.crc = crc32.Update(z.crc, crc32.IEEETable, p[:n])
	switch {
	case z.n > z.entry.size:
		return n, fmt.Errorf("holds more than the %d bytes it declares", z.entry.size)
	case err == io.EOF && z.n < z.entry.size:
		return n, fmt.Errorf("truncated: holds %d of the %d bytes it declares", z.n, z.entry.size)
	case err == io.EOF && z.crc != z.entry.crc:
		return n, fmt.Errorf("checksum %08x is not the declared %08x", z.crc, z.entry.crc)
	}
	return n, orCutShort(err)
}

// orCutShort leaves the regular end alone.
func orCutShort(err error) error {
	if err == io.EOF {
		return err
	}
	return cutShort(err)
}

// errSalvage ends the reading of a truncated archive.
var errSalvage = errors.New("no further member can be found")

// salvageZip reads the members of an archive without a directory, one local header after the other.
func (w *walker) salvageZip(p place, data []byte) error {
	le := binary.LittleEndian
	for at := 0; len(data)-at >= localSize && bytes.HasPrefix(data[at:], []byte(localMagic)); {
		b := data[at:]
		nameLen, extraLen := int(le.Uint16(b[26:])), int(le.Uint16(b[28:]))
		start := localSize + nameLen + extraLen
		if start > len(b) {
			return nil
		}
		e := zipEntry{
			name:   string(b[localSize : localSize+nameLen]),
			flags:  le.Uint16(b[6:]),
			method: le.Uint16(b[8:]),
			crc:    le.Uint32(b[14:]),
			packed: uint64(le.Uint32(b[18:])),
			size:   uint64(le.Uint32(b[22:])),
		}
		e.zip64(b[localSize+nameLen:start], &e.size, &e.packed)
		body := b[start:]
		e.sizeUnknown = e.flags&flagDescriptor != 0 && e.packed == 0 && e.isFile()
		m, ok, err := w.member(p, e.name, int64(at))
		switch {
		case isExhausted(err):
			return w.fail(p, int64(at), err)
		case err != nil:
			return err
		case e.sizeUnknown && (e.method != methodDeflate || e.flags&flagEncrypted != 0):
			if err := w.failf(m, int64(at), "its end cannot be found without the directory"); err != nil {
				return err
			}
			next := bytes.Index(body, []byte(localMagic))
			if next < 0 {
				return nil
			}
			at += start + next
			continue
		case !e.sizeUnknown && e.packed > uint64(len(body)):
			return w.failf(m, int64(at), "truncated: %d of %d compressed bytes are there", len(body), e.packed)
		}
		if !e.sizeUnknown {
			body = body[:e.packed]
		}
		used := len(body)
		if ok && e.isFile() {
			n, err := w.zipContent(m, e, body, int64(at))
			if errors.Is(err, errSalvage) {
				return nil
			}
			if err != nil {
				return err
			}
			if e.sizeUnknown {
				used = n
			}
		}
		at += start + used
		if e.flags&flagDescriptor != 0 {
			at += descriptorSize(data[at:])
		}
	}
	return nil
}

// descriptorSize is the size of the data descriptor that data begins with: with or without magic number, with sizes of
// 32 or 64 bits; known by what follows.
func descriptorSize(data []byte) int {
	for _, n := range []int{16, 12, 24, 20} {
		withMagic := n == 16 || n == 24
		if len(data) >= n+2 && string(data[n:n+2]) == "PK" && withMagic == bytes.HasPrefix(data, []byte(descMagic)) {
			return n
		}
	}
	return 0
}
