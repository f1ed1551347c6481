package image

import (
	"cmp"
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"slices"
	"strings"
)

// Line is a place in the source. Several belong to one address where functions were inlined.
type Line struct {
	Function string // as the debug information has it; empty where it does not tell
	File     string
	Line     int
	Inline   bool // the function was inlined into the next one
}

// lines is the debug information of a file.
type lines struct {
	data  *dwarf.Data
	units []unitRange // sorted by start
	bad   bool
}

type unitRange struct {
	start, end uint64
	unit       *dwarf.Entry
}

const (
	maxUnits  = 1 << 20
	maxDIEs   = 1 << 20 // looked at for one address
	maxInline = 64
	maxOrigin = 8 // references from one entry to the next, for a name
)

// survive calls f; where the standard library's reader stumbles over debug information that makes no sense, it says so.
func survive(f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("debug information: %v", p)
		}
	}()
	f()
	return nil
}

func (f *File) lineTable() *lines {
	f.once.lines.Do(func() {
		f.lines = &lines{}
		if survive(f.readUnits) != nil {
			f.lines.bad = true
		}
	})
	return f.lines
}

// readUnits finds which compilation unit describes which code.
func (f *File) readUnits() {
	total, any := uint64(0), false
	for _, s := range f.elf.Sections {
		if strings.HasPrefix(s.Name, ".debug_") || strings.HasPrefix(s.Name, ".zdebug_") {
			any = any || s.Type != elf.SHT_NOBITS
			total += s.Size
			if s.Size > maxDebugSize || s.FileSize > uint64(f.size) && s.Type != elf.SHT_NOBITS {
				return
			}
		}
	}
	if !any || total > maxDebugSize {
		return
	}
	d, err := f.elf.DWARF()
	if err != nil {
		return
	}
	f.lines.data = d
	r := d.Reader()
	for n := 0; n < maxUnits; n++ {
		e, err := r.Next()
		if err != nil || e == nil {
			break
		}
		if e.Tag == dwarf.TagCompileUnit || e.Tag == dwarf.TagSkeletonUnit {
			ranges, err := d.Ranges(e)
			if err == nil {
				for _, x := range ranges {
					f.lines.units = append(f.lines.units, unitRange{x[0], x[1], e})
				}
			}
		}
		r.SkipChildren()
	}
	slices.SortFunc(f.lines.units, func(a, b unitRange) int { return cmp.Compare(a.start, b.start) })
}

// Lines returns the source lines of an address of the file, the innermost inlined function first; none where no debug
// information tells.
func (f *File) Lines(addr uint64) []Line {
	for _, g := range []*File{f, f.debug} {
		if g == nil {
			continue
		}
		var out []Line
		if survive(func() { out = g.lineTable().at(addr) }) == nil && len(out) > 0 {
			return out
		}
	}
	if _, t := f.Code(); t != nil {
		if file, line, ok := t.Line(addr); ok {
			name, _, _ := t.Name(addr)
			return []Line{{Function: name, File: file, Line: line}}
		}
	}
	return nil
}

func (l *lines) at(addr uint64) []Line {
	if l.data == nil || l.bad {
		return nil
	}
	i, exact := slices.BinarySearchFunc(l.units, addr, func(u unitRange, a uint64) int { return cmp.Compare(u.start, a) })
	if !exact {
		i--
	}
	for ; i >= 0 && addr >= l.units[i].end; i-- {
		if addr-l.units[i].start > 1<<32 || len(l.units)-i > maxUnits {
			return nil
		}
		if i > 0 && l.units[i-1].end <= l.units[i].start { // none of those before reaches further
			return nil
		}
	}
	if i < 0 {
		return nil
	}
	unit := l.units[i].unit
	r, err := l.data.LineReader(unit)
	if err != nil || r == nil {
		return nil
	}
	var entry dwarf.LineEntry
	if err := r.SeekPC(addr, &entry); err != nil || entry.File == nil {
		return nil
	}
	files := r.Files()
	out := []Line{{File: entry.File.Name, Line: entry.Line}}
	chain := l.inlined(unit, addr)
	for n, e := range chain { // outermost function first
		at := &out[0]
		at.Function = l.name(e)
		if n+1 == len(chain) {
			break
		}
		// What stands in out[0] is where the next one was called from, and the place known so far is the next one's.
		inner := *at
		inner.Function, inner.Inline = "", true
		next := chain[n+1]
		at.File, at.Line = "", 0
		if i, ok := next.Val(dwarf.AttrCallFile).(int64); ok && i >= 0 && i < int64(len(files)) && files[i] != nil {
			at.File = files[i].Name
		}
		if line, ok := next.Val(dwarf.AttrCallLine).(int64); ok {
			at.Line = int(line)
		}
		out = append([]Line{inner}, out...)
	}
	return out
}

// inlined returns the function that holds addr, then the functions inlined there, from the outside to the inside.
func (l *lines) inlined(unit *dwarf.Entry, addr uint64) (chain []*dwarf.Entry) {
	r := l.data.Reader()
	r.Seek(unit.Offset)
	if e, err := r.Next(); err != nil || e == nil || !e.Children {
		return nil
	}
	depth := 0
	for n := 0; n < maxDIEs && len(chain) < maxInline; n++ {
		e, err := r.Next()
		if err != nil || e == nil {
			return chain
		}
		if e.Tag == 0 {
			if depth == 0 || len(chain) > 0 { // the end of the unit, or of what held the address
				return chain
			}
			depth--
			continue
		}
		enter := false
		switch e.Tag {
		case dwarf.TagSubprogram, dwarf.TagInlinedSubroutine:
			if l.holds(e, addr) {
				chain = append(chain, e)
				enter = true
				depth = 0
			}
		case dwarf.TagLexDwarfBlock, dwarf.TagTryDwarfBlock, dwarf.TagCatchDwarfBlock:
			enter = l.holds(e, addr)
		case dwarf.TagNamespace, dwarf.TagModule, dwarf.TagStructType, dwarf.TagClassType, dwarf.TagUnionType:
			enter = len(chain) == 0
		}
		if !e.Children {
			continue
		}
		if enter {
			depth++
		} else {
			r.SkipChildren()
		}
	}
	return chain
}

func (l *lines) holds(e *dwarf.Entry, addr uint64) bool {
	ranges, err := l.data.Ranges(e)
	if err != nil {
		return false
	}
	for _, x := range ranges {
		if addr >= x[0] && addr < x[1] {
			return true
		}
	}
	return false
}

// name returns the function of an entry: its linkage name, else its plain one, its own or that of the entry it refers
// to.
func (l *lines) name(e *dwarf.Entry) string {
	plain := ""
	for range maxOrigin {
		if s, ok := e.Val(dwarf.AttrLinkageName).(string); ok && s != "" {
			return s
		}
		if s, ok := e.Val(dwarf.AttrName).(string); ok && plain == "" {
			plain = s
		}
		ref, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
		if !ok {
			ref, ok = e.Val(dwarf.AttrSpecification).(dwarf.Offset)
		}
		if !ok {
			break
		}
		r := l.data.Reader()
		r.Seek(ref)
		next, err := r.Next()
		if err != nil || next == nil {
			break
		}
		e = next
	}
	return plain
}
