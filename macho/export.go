package macho

import (
	"slices"
	"sync"
)

const (
	exportReexport = 0x08 // EXPORT_SYMBOL_FLAGS_REEXPORT
	exportKindMask = 0x03
	exportAbsolute = 0x02
	maxExportNames = 64 << 20 // bytes of all names
	maxExports     = 1 << 22
)

// Export is a name that an image offers to others.
type Export struct {
	Name string
	Addr uint64
}

type exportTable struct {
	once  sync.Once
	names []byte
	list  []exportEntry
}

// exportEntry keeps names in one block: a trie of many exports makes many strings.
type exportEntry struct {
	addr uint64
	name uint32 // start in names
	size uint32
}

// Exports returns the names in the export trie with their addresses, by ascending address; re-exports of other
// libraries' names and absolute symbols are left out.
func (m *Image) Exports() []Export {
	list := m.exported()
	out := make([]Export, len(list))
	for i, e := range list {
		out[i] = Export{m.exportName(e), e.addr}
	}
	return out
}

func (m *Image) exportName(e exportEntry) string {
	return string(m.exports.names[e.name : e.name+e.size])
}

// exportBefore returns the last exported name at low to addr.
func (m *Image) exportBefore(addr, low uint64) (name string, start uint64, ok bool) {
	list := m.exported()
	i, _ := slices.BinarySearchFunc(list, addr, func(e exportEntry, a uint64) int {
		if e.addr <= a {
			return -1
		}
		return 1
	})
	if i == 0 || list[i-1].addr < low {
		return "", 0, false
	}
	return m.exportName(list[i-1]), list[i-1].addr, true
}

// exported reads the export trie.
func (m *Image) exported() []exportEntry {
	t := &m.exports
	t.once.Do(func() {
		e := m.cmds.exportsTrie
		if e.empty() {
			e = m.cmds.exportInfo
		}
		trie := m.linkedit(e, "export trie")
		if len(trie) == 0 || !m.InScope() {
			return
		}
		if at, what := t.read(trie, m.base); what != "" {
			m.problem(uint64(e.off)+uint64(at), "export trie: %s", what)
		}
		slices.SortStableFunc(t.list, func(a, b exportEntry) int {
			switch {
			case a.addr < b.addr:
				return -1
			case a.addr > b.addr:
				return 1
			}
			return 0
		})
	})
	return t.list
}

// read walks over the trie depth first. Each node is visited once, so a trie that refers back to itself ends too.
func (t *exportTable) read(trie []byte, base uint64) (at int, what string) {
	type edge struct {
		node   uint32 // offset of the child
		label  uint32 // offset of the label
		prefix uint32 // length of the name before the label
	}
	seen := make([]uint64, len(trie)/64+1)
	var name []byte
	spent := 0 // bytes of edges read: where nodes do not overlap, no more than there are
	todo := []edge{{}}
	for first := true; len(todo) > 0; first = false {
		e := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		name = name[:e.prefix]
		if !first {
			label := cstring(trie, uint64(e.label))
			name = append(name, label...)
			if len(name) > maxNameLength {
				return int(e.label), "name is too long"
			}
		}
		pos := int(e.node)
		if seen[pos/64]>>(pos%64)&1 != 0 {
			return pos, "node with two parents"
		}
		seen[pos/64] |= 1 << (pos % 64)
		size, n := uleb(trie[pos:])
		if n == 0 || size > uint64(len(trie)-pos-n) {
			return pos, "node is cut short"
		}
		info, pos := trie[pos+n:pos+n+int(size)], pos+n+int(size)
		if len(info) > 0 {
			flags, n := uleb(info)
			addr, k := uleb(info[n:])
			if n == 0 || k == 0 {
				return pos, "export is cut short"
			}
			if flags&exportReexport == 0 && flags&exportKindMask != exportAbsolute {
				if len(t.names)+len(name) > maxExportNames || len(t.list) >= maxExports {
					return pos, "too many names"
				}
				t.list = append(t.list, exportEntry{base + addr, uint32(len(t.names)), uint32(len(name))})
				t.names = append(t.names, name...)
			}
		}
		if pos >= len(trie) {
			return pos, "node without a number of children"
		}
		children, pos := int(trie[pos]), pos+1
		for range children {
			label := cstring(trie, uint64(pos))
			if label == nil {
				return pos, "label has no end"
			}
			child, n := uleb(trie[min(pos+len(label)+1, len(trie)):])
			if n == 0 || child >= uint64(len(trie)) {
				return pos, "child lies outside of the trie"
			}
			todo = append(todo, edge{uint32(child), uint32(pos), uint32(len(name))})
			pos += len(label) + 1 + n
			if spent += len(label) + 1 + n; spent > len(trie) {
				return pos, "nodes overlap"
			}
		}
	}
	return 0, ""
}
