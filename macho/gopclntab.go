package macho

import (
	"errors"
	"slices"
	"sync"

	"portcullis.dev/internal/pclntab"
)

// goTable is the function table of a Go program.
type goTable struct {
	once  sync.Once
	table *pclntab.Table
}

// pclntab returns the Go function table, empty where the image has none that is known.
func (m *Image) pclntab() *pclntab.Table {
	t := &m.gofuncs
	t.once.Do(func() {
		t.table = &pclntab.Table{}
		if m.Type == Object || !m.InScope() {
			return
		}
		for i := range m.Sections {
			if s := &m.Sections[i]; s.Name == "__gopclntab" {
				m.readPCLNTab(t, s)
				return
			}
		}
	})
	return t.table
}

func (m *Image) readPCLNTab(t *goTable, s *Section) {
	b := s.Data()
	if len(b) == 0 {
		return
	}
	read, err := pclntab.Parse(b, func(t *pclntab.Table, n int) uint64 {
		return m.goText(t, s.Addr+pclntab.TextSlot, n)
	})
	var defect *pclntab.Error
	if errors.As(err, &defect) {
		m.problem(uint64(s.Offset)+uint64(defect.Offset), "%s", defect.Reason)
	}
	if err == nil {
		t.table = read
	}
}

// goText returns the address that the offsets of functions count from. Until Go 1.25 the table's header has it at
// slot; since then the linker keeps it in the runtime's module data alone. It is the beginning of __text in programs
// that the Go linker made by itself; in those that Apple's or LLVM's linker made it is where the offsets fall on the
// function starts which that linker lists.
func (m *Image) goText(t *pclntab.Table, slot uint64, n int) uint64 {
	if p, ok := m.Pointer(slot); ok && p.Import == "" && p.Target != 0 {
		if s := m.SectionAt(p.Target); s != nil && s.IsCode() {
			return p.Target
		}
	}
	s := m.Section("__TEXT", "__text")
	if s == nil {
		return 0
	}
	if m.cmds.functionStarts.empty() {
		return s.Addr
	}
	const probes = 64
	if n < probes {
		return 0 // too few to be told from chance
	}
	starts, found := m.readFunctionStarts(), uint64(0) // not Functions, which may ask for this table
	for _, text := range starts {
		matches := true
		for i := 0; i < probes && matches; i++ {
			// Spread over the table; the first function is at the very beginning.
			off := t.Offset(i * (n - 1) / (probes - 1))
			_, matches = slices.BinarySearch(starts, text+uint64(off))
		}
		if matches && found != 0 {
			return 0
		}
		if matches {
			found = text
		}
	}
	return found
}

// goFunctions calls yield with the address of every function of a Go program, until it returns false.
func (m *Image) goFunctions(yield func(addr uint64) bool) {
	t := m.pclntab()
	for i := range t.Count() {
		if !yield(t.At(i)) {
			return
		}
	}
}

// goFunctionName returns the name of the Go function that holds addr.
func (m *Image) goFunctionName(addr uint64) (name string, start uint64, ok bool) {
	return m.pclntab().Name(addr)
}

// goLine returns the source line of an instruction of a Go program.
func (m *Image) goLine(addr uint64) (file string, line int, ok bool) { return m.pclntab().Line(addr) }
