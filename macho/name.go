package macho

import (
	"slices"
	"sync"
)

// nameTable finds symbols by address. The first few questions are answered by reading through the symbol table, which
// is cheaper than sorting the hundred thousands of entries that large programs have.
type nameTable struct {
	mu    sync.Mutex
	asked int
	index []nameEntry // by ascending address; nil until asked for often
}

type nameEntry struct {
	addr uint64
	sym  uint32
}

const (
	asksBeforeIndex = 16
	smallSymtab     = 1024
)

// SymbolName returns the name of the function or object that holds addr, as the file spells it, and the address the
// name stands at. ok is false where no name is known: a name from before the beginning of the function, or of the
// section of data, that holds addr is not taken for its own.
//
// Names come from the symbol table; in images without one from the Go function table, then from the exports.
func (m *Image) SymbolName(addr uint64) (name string, start uint64, ok bool) {
	s := m.SectionAt(addr)
	if s == nil {
		return "", 0, false
	}
	low := s.Addr
	if s.IsCode() {
		low, _, _ = m.Function(addr)
	}
	if name, start, ok = m.symbolBefore(addr, low); ok {
		return name, start, true
	}
	if name, start, ok = m.goFunctionName(addr); ok {
		return name, start, true
	}
	return m.exportBefore(addr, low)
}

// symbolBefore returns the last name at low to addr in the symbol table.
func (m *Image) symbolBefore(addr, low uint64) (name string, start uint64, ok bool) {
	t := m.symtab()
	if t.n == 0 {
		return "", 0, false
	}
	var best sym
	rank := 0
	consider := func(s sym) {
		if rank > 0 && s.value < best.value {
			return
		}
		r := nameRank(&s, t.name(s.strx))
		if r > 0 && (rank == 0 || s.value > best.value || r > rank) {
			best, rank = s, r
		}
	}
	if index := m.nameIndex(t); index != nil {
		i, _ := slices.BinarySearchFunc(index, addr, func(e nameEntry, a uint64) int {
			if e.addr <= a {
				return -1
			}
			return 1
		})
		// From the nearest address down; rank decides among the names of one address.
		for i--; i >= 0 && index[i].addr >= low && (rank == 0 || index[i].addr == best.value); i-- {
			consider(t.at(int(index[i].sym)))
		}
	} else {
		for i := range t.n {
			if s := t.at(i); s.defined() && s.value >= low && s.value <= addr {
				consider(s)
			}
		}
	}
	if rank == 0 {
		return "", 0, false
	}
	return string(t.name(best.strx)), best.value, true
}

// defined says whether the entry names a place in a section.
func (s *sym) defined() bool { return s.typ&nStab == 0 && s.typ&nTypeMask == nSect }

// nameRank orders the names of one address: those that other images see, those the image shares, those of one file,
// and private ones of the assembler. 0 is for labels, which name nothing.
func nameRank(s *sym, name []byte) int {
	switch {
	case len(name) == 0 || isLabel(name):
		return 0
	case s.typ&nExt != 0 && s.typ&nPrivExt == 0:
		return 4
	case s.typ&nExt != 0:
		return 3
	case name[0] == 'l':
		return 1
	}
	return 2
}

// nameIndex returns the sorted index of the symbol table, nil while it is not worth making.
func (m *Image) nameIndex(t *symtab) []nameEntry {
	n := &m.names
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	if n.index != nil || n.asked <= asksBeforeIndex && t.n > smallSymtab {
		return n.index
	}
	n.index = make([]nameEntry, 0, t.n)
	for i := range t.n {
		if s := t.at(i); s.defined() {
			n.index = append(n.index, nameEntry{s.value, uint32(i)})
		}
	}
	slices.SortFunc(n.index, func(a, b nameEntry) int {
		switch {
		case a.addr != b.addr && a.addr < b.addr:
			return -1
		case a.addr != b.addr:
			return 1
		}
		return int(b.sym) - int(a.sym) // read from the end, so that the first of equals is met first
	})
	return n.index
}
