package image

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// debugRoot is where distributions put debug information that they took out of programs.
const debugRoot = "/usr/lib/debug"

// AddDebug looks for the separate debug information of an image: by its build ID, or by the name and checksum that the
// image holds, beside it and below /usr/lib/debug. Finding none is no error.
//
// Source: Debugging with GDB, Debugging Information in Separate Files.
func (im *Image) AddDebug() {
	f := im.File
	if f == nil || f.debug != nil || f.hasDebug() {
		return
	}
	if id := f.note("GNU", noteGNUBuildID); len(id) > 1 {
		h := hex.EncodeToString(id)
		if f.addDebug(filepath.Join(debugRoot, ".build-id", h[:2], h[2:]+".debug"), func(g *File, _ *os.File) bool {
			return bytes.Equal(g.note("GNU", noteGNUBuildID), id)
		}) {
			return
		}
	}
	link := f.data(f.elf.Section(".gnu_debuglink"))
	n := bytes.IndexByte(link, 0)
	if n <= 0 || n > 255 || len(link) < n&^3+8 || !filepath.IsAbs(im.Path) {
		return
	}
	base := filepath.Base(string(link[:n]))
	sum := binary.LittleEndian.Uint32(link[n&^3+4:])
	dir := filepath.Dir(im.Path)
	for _, path := range []string{filepath.Join(dir, base), filepath.Join(dir, ".debug", base),
		filepath.Join(debugRoot, dir, base)} {
		if path != im.Path && f.addDebug(path, func(_ *File, file *os.File) bool { return checksum(file) == sum }) {
			return
		}
	}
}

func checksum(file *os.File) uint32 {
	h := crc32.NewIEEE()
	_, _ = io.Copy(h, io.NewSectionReader(file, 0, maxDebugSize)) // what is not whole has another sum
	return h.Sum32()
}

func (f *File) hasDebug() bool {
	for _, name := range []string{".debug_info", ".zdebug_info"} {
		if f.elf.Section(name) != nil {
			return true
		}
	}
	return false
}

// addDebug opens a file with debug information, where it is the right one.
func (f *File) addDebug(path string, right func(*File, *os.File) bool) bool {
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return false
	}
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	g, err := NewFile(file, st.Size())
	if err != nil || !right(g, file) {
		file.Close()
		return false
	}
	g.closer = file
	f.debug = g
	return true
}
