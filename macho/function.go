package macho

import (
	"slices"
	"sync"
)

// maxFunctions limits how many function starts are kept; the largest programs have about a million.
const maxFunctions = 1 << 22

type functionTable struct {
	once   sync.Once
	starts []uint64
}

// Functions returns the addresses at which functions begin, ascending, each once. The slice is shared: do not change
// it.
//
// LC_FUNCTION_STARTS has them all in a linked image, stripped or not. Where it is missing (object files, Go programs)
// they are put together from the symbols in code sections, the Go function table, the exports, the entry point, and
// the beginnings of code sections.
func (m *Image) Functions() []uint64 {
	t := &m.functions
	t.once.Do(func() {
		if t.starts = m.readFunctionStarts(); len(t.starts) == 0 {
			t.starts = m.guessFunctions()
		}
	})
	return t.starts
}

// readFunctionStarts reads LC_FUNCTION_STARTS: distances in ULEB128, the first from the Mach-O header.
func (m *Image) readFunctionStarts() []uint64 {
	b := m.linkedit(m.cmds.functionStarts, "function starts")
	if len(b) == 0 {
		return nil
	}
	n := 0
	for _, c := range b {
		if c < 0x80 && c != 0 {
			n++
		}
	}
	starts := make([]uint64, 0, min(n, maxFunctions))
	for addr, pos := m.base, 0; pos < len(b); {
		d, n := uleb(b[pos:])
		if n == 0 || addr+d < addr {
			m.problem(uint64(m.cmds.functionStarts.off)+uint64(pos), "function start that is cut short or too large")
			break
		}
		if d == 0 {
			break
		}
		if len(starts) >= maxFunctions {
			m.problem(uint64(m.cmds.functionStarts.off), "more than %d function starts", maxFunctions)
			break
		}
		addr, pos = addr+d, pos+n
		starts = append(starts, addr)
	}
	return starts
}

// guessFunctions puts function starts together for an image that does not list them.
func (m *Image) guessFunctions() []uint64 {
	if !m.InScope() {
		return nil
	}
	code := m.CodeSections()
	var starts []uint64
	add := func(addr uint64) bool {
		if len(starts) >= maxFunctions {
			m.problem(0, "more than %d functions", maxFunctions)
			return false
		}
		starts = append(starts, addr)
		return true
	}
	inCode := func(addr uint64) bool {
		return slices.ContainsFunc(code, func(s *Section) bool { return s.Contains(addr) })
	}
	for _, s := range code {
		add(s.Addr)
	}
	if addr, ok := m.Entry(); ok && inCode(addr) {
		add(addr)
	}
	t, found := m.symtab(), false
	for i := range t.n {
		s := t.at(i)
		if s.typ&nStab != 0 || s.typ&nTypeMask != nSect || s.desc&nAltEntry != 0 || s.sect == 0 ||
			int(s.sect) > len(m.Sections) {
			continue
		}
		c := &m.Sections[s.sect-1]
		if !c.IsCode() || !c.Contains(s.value) || isLabel(t.prefix(s.strx)) {
			continue
		}
		found = true
		if !add(s.value) {
			break
		}
	}
	if !found {
		m.goFunctions(func(addr uint64) bool { return !inCode(addr) || add(addr) })
		for _, e := range m.exported() {
			if inCode(e.addr) && !add(e.addr) {
				break
			}
		}
	}
	slices.Sort(starts)
	return slices.Compact(starts)
}

// isLabel says whether a symbol is a label of the assembler rather than a name that somebody gave: L… and ltmp0.
func isLabel(name []byte) bool {
	return len(name) > 0 && name[0] == 'L' || len(name) > 4 && string(name[:4]) == "ltmp"
}

// Function returns the bounds of the function that holds addr: where it begins, and where the next one begins or its
// section ends. ok is false outside of code sections.
func (m *Image) Function(addr uint64) (start, end uint64, ok bool) {
	s := m.SectionAt(addr)
	if s == nil || !s.IsCode() {
		return 0, 0, false
	}
	starts := m.Functions()
	i, exact := slices.BinarySearch(starts, addr)
	if exact {
		i++
	}
	start, end = s.Addr, s.Addr+s.Size
	if i > 0 && starts[i-1] > start {
		start = starts[i-1]
	}
	if i < len(starts) && starts[i] < end {
		end = starts[i]
	}
	return start, end, true
}
