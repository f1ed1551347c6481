package crash

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"

	"portcullis.dev/macho"
)

// Symbols names functions by the images and dSYM files of a folder. An image is found by its UUID, which a report
// prints for every image, so that a name is never taken from another build.
type Symbols struct {
	mu     sync.Mutex
	byUUID map[macho.UUID]*macho.Image
	files  []*macho.File
	Images int // images found
}

// OpenSymbols reads the images at a path: a Mach-O file, a dSYM bundle, or a folder with any of these in it. Close
// releases them.
func OpenSymbols(path string) (*Symbols, error) {
	s := &Symbols{byUUID: map[macho.UUID]*macho.Image{}}
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			if p == path {
				return err
			}
			return nil // a part of the tree that is closed to us has no symbols for us
		}
		st, err := os.Stat(p) // frameworks are full of symbolic links
		if err != nil || !st.Mode().IsRegular() || !machO(p) {
			return nil
		}
		survive(func() {
			// What is not an image after all has no symbols; frames without one say so in the answer.
			if f, err := macho.Open(p); err == nil {
				s.add(f)
			}
		})
		return nil
	})
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("read symbols: %w", err)
	}
	if s.Images == 0 {
		s.Close()
		return nil, fmt.Errorf("read symbols: %s: no Mach-O image with a UUID in it", path)
	}
	return s, nil
}

func (s *Symbols) add(f *macho.File) {
	kept := false
	for _, im := range f.Images {
		if im.UUID == (macho.UUID{}) {
			continue
		}
		s.Images++
		kept = true
		if old := s.byUUID[im.UUID]; old == nil || im.Type == macho.DSYM { // a dSYM has lines as well
			s.byUUID[im.UUID] = im
		}
	}
	if !kept {
		f.Close()
		return
	}
	s.files = append(s.files, f)
}

// Close releases the images.
func (s *Symbols) Close() {
	for _, f := range s.files {
		f.Close()
	}
}

// machO reports whether a file begins as a Mach-O or universal file does.
func machO(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [64]byte
	n, _ := f.Read(head[:])
	return macho.Recognized(head[:n])
}

// symbolicate fills in the frames of a thread that have no symbol.
func (r *Report) symbolicate(t *Thread) {
	if r.symbols == nil || t == nil {
		return
	}
	s := r.symbols
	s.mu.Lock()
	defer s.mu.Unlock()
	if !survive(func() { r.nameFrames(t) }) {
		r.Notes = append(r.Notes, "a file with symbols became shorter while it was read; functions may lack their names")
	}
}

// survive calls f, which reads mapped files, and reports whether it came to its end: it does not where somebody cuts
// such a file off meanwhile.
func survive(f func()) (whole bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			// Faults of memory access, and only those, know an address.
			if _, ok := p.(interface{ Addr() uintptr }); !ok {
				panic(p)
			}
		}
	}()
	f()
	return true
}

func (r *Report) nameFrames(t *Thread) {
	s := r.symbols
	for i := range t.Frames {
		f := &t.Frames[i]
		if f.Symbol != "" && f.Line != 0 {
			continue
		}
		im := r.image(f)
		if im == nil && f.Address != 0 {
			im = r.imageAtAddress(f)
		}
		if im == nil {
			continue
		}
		m := s.byUUID[parseUUID(im.UUID)]
		if m == nil {
			continue
		}
		offset := f.Offset
		if f.Address >= im.Base && im.Base != 0 {
			offset = f.Address - im.Base
		}
		addr := m.Base() + offset
		if i > 0 && addr > 0 && !f.Inline {
			addr-- // the return address may belong to the next line, or to the next function
		}
		if f.Symbol == "" {
			if name, start, ok := m.SymbolName(addr); ok {
				f.Symbol, f.SymbolAt = name, int64(m.Base()+offset-start)
			}
		}
		if file, line, ok := m.Line(addr); ok && f.Line == 0 {
			f.File, f.Line = file, line
		}
	}
}

// imageAtAddress finds the image of a frame whose image the text does not name.
func (r *Report) imageAtAddress(f *Frame) *Image {
	for i := range r.Images {
		r.loadImage(i)
		if im := &r.Images[i]; f.Address >= im.Base && f.Address-im.Base < im.Size {
			f.ImageIndex, f.Image, f.Offset = i, im.Name, f.Address-im.Base
			return im
		}
	}
	return nil
}

// parseUUID reads a UUID with or without dashes; the zero value stands for no UUID.
func parseUUID(s string) (u macho.UUID) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err == nil && len(b) == len(u) {
		copy(u[:], b)
	}
	return u
}
