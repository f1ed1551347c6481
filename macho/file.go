package macho

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
)

// File is a Mach-O file: one image, or a container of several.
type File struct {
	// Images holds every image that could be read: all slices of a universal file, all members of a static archive,
	// in the order of the file.
	Images []*Image
	// Errors says what could not be read. Each is a *[FormatError]; one that wraps [ErrNotMachO] is about an archive
	// member or a slice that is not Mach-O at all, such as LLVM bitcode.
	Errors []error
	// Universal says that the file begins with a universal (fat) header.
	Universal bool
	// Archive says that the file, or a slice of it, is a static archive.
	Archive bool

	data  []byte
	unmap func() error
}

const (
	fatMagic32   = 0xcafebabe
	fatMagic64   = 0xcafebabf
	fatCigam32   = 0xbebafeca
	fatCigam64   = 0xbfbafeca
	machMagic32  = 0xfeedface
	machMagic64  = 0xfeedfacf
	machCigam32  = 0xcefaedfe
	machCigam64  = 0xcffaedfe
	maxFatSlices = 44 // a Java class file begins like a universal file whose slice count is at least 45
)

// Open maps the file at path and reads its headers. The caller must Close the file when neither it nor anything taken
// from it is used any more.
//
// The mapping is private but follows the file: who truncates the file meanwhile makes reads of the lost pages fault.
// A program that must survive that calls [runtime/debug.SetPanicOnFault] in the goroutines that read.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the mapping outlives the descriptor
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch {
	case !st.Mode().IsRegular():
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	case st.Size() < 4:
		return nil, fmt.Errorf("%s: %w", path, notMachO(0))
	case st.Size() > math.MaxInt:
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("too large to map")}
	}
	data, unmap, err := mapFile(f, st.Size())
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	file, err := Parse(data)
	if err != nil {
		_ = unmap()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file.unmap = unmap
	return file, nil
}

// Parse reads the headers of the file that data holds. The File keeps data, which must not change.
//
// It returns an error only where nothing could be read at all; it then is a *[FormatError], and wraps [ErrNotMachO]
// where data is something else. Damage to parts is in [File.Errors].
func Parse(data []byte) (*File, error) {
	f := &File{data: data}
	f.readAny(data, 0, "", depthFile)
	if len(f.Images) == 0 && len(f.Errors) > 0 && !f.Archive && len(f.Errors) == 1 {
		return nil, f.Errors[0]
	}
	return f, nil
}

// Recognized says whether data begins as a file that [Parse] reads: the cheap test while walking through folders.
// Eight bytes are enough.
func Recognized(data []byte) bool {
	if len(data) < 8 {
		return false
	}
	switch binary.BigEndian.Uint32(data) {
	case machMagic32, machMagic64, machCigam32, machCigam64:
		return true
	case fatMagic32, fatMagic64:
		n := binary.BigEndian.Uint32(data[4:])
		return n <= maxFatSlices
	case fatCigam32, fatCigam64:
		return binary.LittleEndian.Uint32(data[4:]) <= maxFatSlices
	}
	return string(data[:8]) == archiveMagic || string(data[:8]) == thinArchiveMagic
}

// Close gives the mapping back. Nothing taken from the file may be used afterwards, except copies.
func (f *File) Close() error {
	unmap := f.unmap
	f.unmap, f.Images, f.data = nil, nil, nil
	if unmap == nil {
		return nil
	}
	return unmap()
}

// Size returns the length of the file in bytes.
func (f *File) Size() int64 { return int64(len(f.data)) }

// depth says how deep in containers a part lies. Universal files hold archives or images, archives hold images;
// nothing else nests.
type depth int

const (
	depthFile depth = iota
	depthSlice
	depthMember
)

func notMachO(off int64) *FormatError {
	return &FormatError{Offset: off, What: ErrNotMachO.Error(), Err: ErrNotMachO}
}

func (f *File) fail(err *FormatError, member string) {
	if err.Member == "" {
		err.Member = member
	}
	f.Errors = append(f.Errors, err)
}

// readAny reads what begins at data, which lies at offset base of the file.
func (f *File) readAny(data []byte, base int64, member string, d depth) {
	if len(data) < 4 {
		f.fail(notMachO(base), member)
		return
	}
	switch magic := binary.BigEndian.Uint32(data); magic {
	case machMagic32, machMagic64, machCigam32, machCigam64:
		f.readImage(data, base, member)
	case fatMagic32, fatMagic64, fatCigam32, fatCigam64:
		if d != depthFile {
			f.fail(formatError(base, "universal file inside another container"), member)
			return
		}
		f.readFat(data, magic)
	default:
		if d == depthMember {
			err := notMachO(base)
			if isBitcode(data) {
				err.What = "LLVM bitcode, which holds no machine code"
			}
			f.fail(err, member)
			return
		}
		f.readArchive(data, base)
	}
}

// isBitcode recognises LLVM bitcode, bare ("BC" 0xc0de) or in its wrapper.
func isBitcode(data []byte) bool {
	switch binary.BigEndian.Uint32(data) {
	case 0x4243c0de, 0xdec0170b:
		return true
	}
	return false
}

// readImage reads the image that data is.
func (f *File) readImage(data []byte, base int64, member string) {
	m, err := newImage(data, base, member)
	if err != nil {
		f.fail(err, member)
		return
	}
	f.Images = append(f.Images, m)
}

// readFat reads a universal header and every slice it names.
func (f *File) readFat(data []byte, magic uint32) {
	var bo binary.ByteOrder = binary.BigEndian
	if magic == fatCigam32 || magic == fatCigam64 {
		bo = binary.LittleEndian
	}
	entry := fatEntrySize32
	if magic == fatMagic64 || magic == fatCigam64 {
		entry = fatEntrySize64
	}
	if len(data) < fatHeaderSize {
		f.fail(formatError(0, "universal header is cut short"), "")
		return
	}
	n := bo.Uint32(data[4:])
	if n > maxFatSlices {
		f.fail(notMachO(0), "")
		return
	}
	f.Universal = true
	if n == 0 {
		f.fail(formatError(4, "universal file without slices"), "")
		return
	}
	type extent struct{ lo, hi uint64 }
	var taken []extent
	for i := range int(n) {
		at := fatHeaderSize + i*entry
		if at+entry > len(data) {
			f.fail(formatError(int64(at), "universal header names %d slices but ends after %d", n, i), "")
			return
		}
		e := data[at : at+entry]
		arch := archName(CPU(bo.Uint32(e)), bo.Uint32(e[4:]))
		var off, size uint64
		if entry == fatEntrySize64 {
			off, size = bo.Uint64(e[8:]), bo.Uint64(e[16:])
		} else {
			off, size = uint64(bo.Uint32(e[8:])), uint64(bo.Uint32(e[12:]))
		}
		if off > uint64(len(data)) || size > uint64(len(data))-off {
			err := formatError(int64(at), "slice of %#x bytes at %#x reaches beyond the end of the file", size, off)
			err.Arch = arch
			f.fail(err, "")
			continue
		}
		overlaps := off < uint64(at+entry)
		for _, t := range taken {
			overlaps = overlaps || off < t.hi && t.lo < off+size
		}
		if overlaps {
			// Refused, so that a small file cannot ask for the same work many times over.
			err := formatError(int64(at), "slice overlaps another part of the file")
			err.Arch = arch
			f.fail(err, "")
			continue
		}
		taken = append(taken, extent{off, off + size})
		before := len(f.Errors)
		f.readAny(data[off:off+size:off+size], int64(off), "", depthSlice)
		for _, err := range f.Errors[before:] {
			if fe, ok := err.(*FormatError); ok && fe.Arch == "" {
				fe.Arch = arch
			}
		}
	}
}
