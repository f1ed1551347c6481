package macho

import "path"

// fileName returns the name of file n of the unit, with the directory that the table gives it.
func (u *lineUnit) fileName(t *lineTable, n uint64) string {
	b := t.data[:u.program]
	if u.version >= 5 {
		dirs, next := u.entries(t, b, u.tables)
		files, _ := u.entries(t, b, next)
		name, dir, ok := files(n)
		if !ok || path.IsAbs(name) {
			return name
		}
		d, _, _ := dirs(dir)
		if base, _, _ := dirs(0); dir != 0 && d != "" && !path.IsAbs(d) {
			d = path.Join(base, d)
		}
		return path.Join(d, name)
	}
	dirs, pos := u.tables, u.tables
	for { // to the end of the directories
		s := cstring(b, uint64(pos))
		if s == nil {
			return ""
		}
		pos += len(s) + 1
		if len(s) == 0 {
			break
		}
	}
	for i := uint64(1); ; i++ {
		s := cstring(b, uint64(pos))
		if len(s) == 0 {
			return ""
		}
		pos += len(s) + 1
		dir, k := uleb(b[pos:])
		pos += k
		for range 2 { // time and size
			_, l := uleb(b[pos:])
			pos += l
			k = min(k, l)
		}
		if k == 0 {
			return ""
		}
		if i < n {
			continue
		}
		name := string(s)
		if i != n || path.IsAbs(name) || dir == 0 {
			return name
		}
		for at := dirs; ; dir-- {
			d := cstring(b, uint64(at))
			if len(d) == 0 {
				return name
			}
			if dir == 1 {
				return path.Join(string(d), name)
			}
			at += len(d) + 1
		}
	}
}

// entries reads a table of directories or files of DWARF 5 at offset pos, and returns how to look an entry up, and
// where the table ends.
func (u *lineUnit) entries(t *lineTable, b []byte, pos int) (look func(n uint64) (string, uint64, bool), next int) {
	none := func(uint64) (string, uint64, bool) { return "", 0, false }
	if pos >= len(b) {
		return none, len(b)
	}
	type format struct{ content, form uint64 }
	formats := make([]format, b[pos])
	pos++
	number := func() uint64 {
		v, n := uleb(b[pos:])
		if n == 0 {
			pos = len(b)
		}
		pos += n
		return v
	}
	for i := range formats {
		formats[i] = format{number(), number()}
	}
	count := number()
	if len(formats) == 0 {
		return none, pos
	}
	entry := func() (name string, dir uint64, ok bool) {
		for _, f := range formats {
			s, v, n := u.form(t, b[pos:], f.form)
			if n == 0 {
				pos = len(b)
				return "", 0, false
			}
			pos += n
			switch f.content {
			case 1: // DW_LNCT_path
				name = string(s)
			case 2: // DW_LNCT_directory_index
				dir = v
			}
		}
		return name, dir, true
	}
	start := pos
	for i := uint64(0); i < count && pos < len(b); i++ {
		entry()
	}
	next = pos
	return func(n uint64) (string, uint64, bool) {
		if n >= count {
			return "", 0, false
		}
		pos = start
		for range n {
			if _, _, ok := entry(); !ok {
				return "", 0, false
			}
		}
		return entry()
	}, next
}

// form reads one value of a table of DWARF 5: a string, or a number; n is its length, 0 where it cannot be read.
func (u *lineUnit) form(t *lineTable, b []byte, form uint64) (s []byte, v uint64, n int) {
	fixed := func(size int) (s []byte, v uint64, n int) {
		if len(b) < size {
			return nil, 0, 0
		}
		for i := range min(size, 8) {
			v |= uint64(b[i]) << (8 * i)
		}
		return nil, v, size
	}
	word := 4
	if u.dwarf64 {
		word = 8
	}
	switch form {
	case 0x08: // DW_FORM_string
		s = cstring(b, 0)
		if s == nil {
			return nil, 0, 0
		}
		return s, 0, len(s) + 1
	case 0x0e: // DW_FORM_strp
		_, v, n = fixed(word)
		return cstring(t.str, v), 0, n
	case 0x1f: // DW_FORM_line_strp
		_, v, n = fixed(word)
		return cstring(t.lineStr, v), 0, n
	case 0x0b: // DW_FORM_data1
		return fixed(1)
	case 0x05: // DW_FORM_data2
		return fixed(2)
	case 0x06: // DW_FORM_data4
		return fixed(4)
	case 0x07: // DW_FORM_data8
		return fixed(8)
	case 0x1e: // DW_FORM_data16: an MD5 sum
		return fixed(16)
	case 0x0f: // DW_FORM_udata
		v, n = uleb(b)
		return nil, v, n
	case 0x09: // DW_FORM_block
		v, n = uleb(b)
		if n == 0 || v > uint64(len(b)-n) {
			return nil, 0, 0
		}
		return nil, 0, n + int(v)
	}
	return nil, 0, 0
}
