// Package image finds the ELF images of a process: which files its memory was loaded from, where they lie, what they
// are called and which build they are, and what their symbols and debug information say about an address.
//
// The process and its files may be hostile, and may change while they are read: a file may be deleted, replaced, cut,
// or be no ELF file any more. What cannot be read is left out, and the image says why.
package image

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"portcullis.dev/crash/unwind"
)

// Image is a file that lies in the memory of a process.
type Image struct {
	Path    string // as the process sees it; a word in brackets where there is no file
	Name    string // its last part
	Base    uint64 // run-time address of the file's first byte
	Size    uint64 // from there to the end of its last mapping
	Bias    uint64 // run-time addresses are those of the file plus this
	Arch    unwind.Arch
	BuildID []byte
	UUID    UUID
	Main    bool // the program itself
	Deleted bool // the file has no name any more
	File    *File
	Problem error // why there is less than there should be; nil mostly

	maps   []Mapping
	closer io.Closer
}

// Opened is a file from which a mapping was loaded.
type Opened interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Source opens files that a process has mapped. It must make sure that it is the file and not another of that name; an
// error tells that the file is not to be had.
type Source func(m Mapping) (Opened, error)

// Process is the images and the memory of a process.
type Process struct {
	Images []*Image // the program first, then the kernel's own, then the others by address

	maps []Mapping
	at   []span // sorted by start
}

type span struct {
	start, end uint64
	exec       bool
	image      *Image // nil: code of no image
}

const (
	maxImages = 10_000
	maxVDSO   = 1 << 20
	wordVDSO  = "[vdso]"
)

// Load finds the images of a process in its memory map. The program is the image at the path program, where there is
// one; memory and open may be nil. Close releases the files.
func Load(maps []Mapping, program string, memory io.ReaderAt, open Source) *Process {
	p := &Process{maps: maps}
	type key struct {
		path, device string
		inode        uint64
	}
	seen := map[key]*Image{}
	for _, m := range maps {
		im := (*Image)(nil)
		switch {
		case m.Inode != 0 && m.Path != "":
			k := key{m.Path, m.Device, m.Inode}
			im = seen[k]
			if im != nil && m.Offset == 0 && m.Start != im.Base && im.executable() && !im.adjoins(m) {
				im = nil // the same file a second time
			}
			if im == nil {
				im = &Image{Path: m.Path, Name: name(m.Path), Deleted: m.Deleted}
				seen[k] = im
				p.Images = append(p.Images, im)
			}
		case m.Path == wordVDSO:
			im = &Image{Path: m.Path, Name: m.Path}
			p.Images = append(p.Images, im)
		default:
			continue
		}
		im.maps = append(im.maps, m)
	}
	p.Images = slices.DeleteFunc(p.Images, func(im *Image) bool { return !im.executable() })
	if len(p.Images) > maxImages {
		p.Images = p.Images[:maxImages]
	}
	for _, im := range p.Images {
		im.load(memory, open)
	}
	for i, im := range p.Images {
		if program != "" && im.Path == program {
			im.Main = true
			break
		}
		if program == "" && i == 0 && im.Path != wordVDSO {
			im.Main = true // the kernel maps the program lowest, as a rule
		}
	}
	rank := func(im *Image) int {
		switch {
		case im.Main:
			return 0
		case im.Path == wordVDSO:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(p.Images, func(a, b *Image) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Base, b.Base))
	})
	p.place()
	return p
}

// place makes the index of addresses.
func (p *Process) place() {
	owner := map[uint64]*Image{}
	for _, im := range p.Images {
		for _, m := range im.maps {
			owner[m.Start] = im
		}
	}
	for _, m := range p.maps {
		p.at = append(p.at, span{m.Start, m.End, m.Executable(), owner[m.Start]})
	}
}

func (im *Image) executable() bool {
	return slices.ContainsFunc(im.maps, func(m Mapping) bool { return m.Executable() })
}

// adjoins reports whether a mapping continues the image.
func (im *Image) adjoins(m Mapping) bool { return im.maps[len(im.maps)-1].End == m.Start }

// load reads the file of an image and finds where it lies.
func (im *Image) load(memory io.ReaderAt, open Source) {
	first, last := im.maps[0], im.maps[len(im.maps)-1]
	im.Base, im.Size = first.Start-first.Offset, last.End-(first.Start-first.Offset)
	if first.Offset > first.Start {
		im.Base, im.Size = first.Start, last.End-first.Start
	}
	switch {
	case im.Path == wordVDSO:
		if memory == nil || last.End-first.Start > maxVDSO {
			im.Problem = errors.New("memory cannot be read")
			break
		}
		b := make([]byte, last.End-first.Start)
		n, err := memory.ReadAt(b, int64(first.Start))
		if n < len(b) {
			im.Problem = fmt.Errorf("memory: %w", err)
			break
		}
		im.File, im.Problem = NewImageFile(b)
	default:
		im.open(memory, open)
	}
	if im.File == nil {
		return
	}
	im.Arch, im.BuildID, im.UUID = im.File.Arch(), im.File.BuildID(), im.File.UUID()
	if bias, ok := im.File.bias(im.maps); ok {
		im.Bias = bias
	} else if im.Path == wordVDSO || im.File.memory {
		im.Bias = im.Base - im.File.low()
	} else {
		im.Problem = errors.Join(im.Problem, errReplaced)
		im.Release()
		im.File, im.BuildID, im.UUID = nil, nil, UUID{}
	}
}

func (im *Image) open(memory io.ReaderAt, open Source) {
	if open != nil {
		f, err := open(im.maps[0])
		if err == nil {
			if err = im.same(f, memory); err == nil {
				if im.File, err = NewFile(f, f.Size()); err == nil {
					im.closer = f
					return
				}
			}
			f.Close()
		}
		im.Problem = err
	}
	file, err := NewMemoryFile(memory, im.Base)
	if err != nil {
		im.Problem = errors.Join(im.Problem, err)
		return
	}
	im.File = file
}

// same compares the beginning of a file, where its headers and its build ID are, with what the process has loaded.
func (im *Image) same(f io.ReaderAt, memory io.ReaderAt) error {
	m := im.maps[0]
	if memory == nil || m.Offset != 0 || strings.Contains(m.Perm, "w") {
		return nil
	}
	const page = 4096
	var loaded, file [page]byte
	if n, _ := memory.ReadAt(loaded[:], int64(m.Start)); n < page {
		return nil // cannot be compared: the inode has to do
	}
	if n, _ := f.ReadAt(file[:], 0); !bytes.Equal(loaded[:n], file[:n]) || n == 0 {
		return errReplaced
	}
	return nil
}

var errReplaced = errors.New("the file is not the one that was loaded")

// bias returns what to add to addresses of the file, as the mappings of its segments tell.
func (f *File) bias(maps []Mapping) (uint64, bool) {
	const page = 4095 // what the kernel aligns to is a multiple of it
	for _, m := range maps {
		if !m.Executable() {
			continue
		}
		for _, p := range f.elf.Progs {
			if p.Type == 1 && p.Flags&1 != 0 && m.Offset >= p.Off&^page && m.Offset < p.Off+p.Filesz {
				return m.Start - m.Offset + p.Off - p.Vaddr, true
			}
		}
	}
	return 0, false
}

// low returns the address that the file gives to its own first byte.
func (f *File) low() uint64 {
	for _, p := range f.elf.Progs {
		if p.Type == 1 {
			return p.Vaddr - p.Off
		}
	}
	return 0
}

// Release closes the file.
func (im *Image) Release() {
	if im.closer != nil {
		im.closer.Close()
		im.closer = nil
	}
	if im.File != nil && im.File.debug != nil && im.File.debug.closer != nil {
		im.File.debug.closer.Close()
	}
}

// Settle reads what only the memory of the process tells, so that the process is not needed any more.
func (p *Process) Settle() {
	for _, im := range p.Images {
		if im.File != nil && im.File.memory {
			im.File.Code()
			im.File.allSymbols()
		}
	}
}

// Close closes the files of all images. What was read before stays.
func (p *Process) Close() {
	for _, im := range p.Images {
		im.Release()
	}
}

// Find returns what unwinding needs to know about the code at a run-time address.
func (p *Process) Find(pc uint64) *unwind.Code {
	s, ok := p.span(pc)
	if !ok || !s.exec {
		return nil
	}
	if s.image == nil || s.image.File == nil {
		return &unwind.Code{}
	}
	table, golang := s.image.File.Code()
	return &unwind.Code{Bias: s.image.Bias, Table: table, Go: golang}
}

// Image returns the image at a run-time address, nil where there is none, and its index.
func (p *Process) Image(addr uint64) (*Image, int) {
	if s, ok := p.span(addr); ok && s.image != nil {
		return s.image, slices.Index(p.Images, s.image)
	}
	return nil, -1
}

func (p *Process) span(addr uint64) (span, bool) {
	i, exact := slices.BinarySearchFunc(p.at, addr, func(s span, a uint64) int { return cmp.Compare(s.start, a) })
	if !exact {
		i--
	}
	if i < 0 || addr >= p.at[i].end {
		return span{}, false
	}
	return p.at[i], true
}

// MapSummary counts the memory of a process by kind, as one line each.
func (p *Process) MapSummary() string {
	kinds := map[string]uint64{}
	for _, m := range p.maps {
		kind := "anonymous"
		switch {
		case strings.HasPrefix(m.Path, "["):
			kind = strings.Trim(m.Path, "[]")
		case m.Path != "" && m.Executable():
			kind = "file, code"
		case m.Path != "":
			kind = "file"
		}
		kinds[kind] += m.End - m.Start
	}
	var names []string
	for k := range kinds {
		names = append(names, k)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, k := range names {
		fmt.Fprintf(&b, "%-16s %10dK\n", k, kinds[k]>>10)
	}
	return b.String()
}
