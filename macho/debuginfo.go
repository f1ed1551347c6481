package macho

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// maxDebugSection limits what a compressed section may grow to.
const maxDebugSection = 64 << 20

// debugSection returns the section of DWARF data with the given name, which may be compressed.
func (m *Image) debugSection(name string) *Section {
	for i := range m.Sections {
		if s := &m.Sections[i]; s.Name == "__debug_"+name || s.Name == "__zdebug_"+name {
			return s
		}
	}
	return nil
}

// debugData returns the content of a section of DWARF data. Compressed ones, which the Go linker makes, begin with
// "ZLIB" and the size in eight bytes, big end first.
func (m *Image) debugData(s *Section) []byte {
	b := s.Data()
	if len(b) < 12 || string(b[:4]) != "ZLIB" {
		return b
	}
	size := binary.BigEndian.Uint64(b[4:])
	if size > maxDebugSection {
		m.problem(uint64(s.Offset), "section %s of %#x bytes, decompressed, is too large", s.Name, size)
		return nil
	}
	r, err := zlib.NewReader(bytes.NewReader(b[12:]))
	if err == nil {
		var out []byte
		if out, err = io.ReadAll(io.LimitReader(r, int64(size))); err == nil {
			return out
		}
	}
	m.problem(uint64(s.Offset), "section %s cannot be decompressed: %v", s.Name, err)
	return nil
}

// ObjectFile returns the path of the object file that the code at addr was linked from, as the linker's debug map
// (N_OSO) tells; ok is false where the image has none.
func (m *Image) ObjectFile(addr uint64) (path string, ok bool) {
	t := m.symtab()
	var object uint32
	var best uint64
	for i := range t.n {
		switch s := t.at(i); s.typ {
		case stabObject:
			object = s.strx
		case stabFunc:
			// The name of a function, then without a name its size.
			if s.sect == 0 || s.value > addr || s.value < best || object == 0 || i+1 >= t.n {
				continue
			}
			if end := t.at(i + 1); end.typ == stabFunc && addr-s.value < end.value {
				best, path, ok = s.value, string(t.name(object)), true
			}
		}
	}
	return path, ok
}

// ByUUID returns the image with the given UUID, nil where the file has none.
func (f *File) ByUUID(id UUID) *Image {
	if id == (UUID{}) {
		return nil
	}
	for _, m := range f.Images {
		if m.UUID == id {
			return m
		}
	}
	return nil
}

// OpenDSYM looks for the debug information of the image with the given UUID: in NAME.dSYM beside the file at path,
// and beside each of the bundles that the file lies in. It returns the open file, which the caller must Close, and
// the image in it; the error wraps [os.ErrNotExist] where there is none with that UUID.
func OpenDSYM(path string, id UUID) (*File, *Image, error) {
	const upmost, most = 4, 64 // bundles around a file, files in a dSYM
	missing := fmt.Errorf("no dSYM with UUID %v: %w", id, os.ErrNotExist)
	if id == (UUID{}) {
		return nil, nil, missing
	}
	for up, p := 0, filepath.Clean(path); up <= upmost; up++ {
		dir := filepath.Join(p+".dSYM", "Contents", "Resources", "DWARF")
		entries, err := os.ReadDir(dir)
		for _, e := range entries[:min(len(entries), most)] {
			f, err := Open(filepath.Join(dir, e.Name()))
			if err != nil {
				continue // what else lies in the folder is not asked for
			}
			if m := f.ByUUID(id); m != nil {
				return f, m, nil
			}
			_ = f.Close()
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			missing = fmt.Errorf("no dSYM with UUID %v: %w", id, err)
		}
		parent := filepath.Dir(p)
		if parent == p {
			break
		}
		p = parent
	}
	return nil, nil, missing
}
