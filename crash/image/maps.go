package image

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Mapping is a range of a process's memory, a line of /proc/PID/maps.
type Mapping struct {
	Start, End uint64
	Offset     uint64 // in the file
	Perm       string // "r-xp"
	Device     string // "fe:00"
	Inode      uint64
	Path       string // of the file, or a word in brackets; empty where there is none
	Deleted    bool   // the file has no name any more
}

// Executable reports whether code may run there.
func (m *Mapping) Executable() bool { return len(m.Perm) > 2 && m.Perm[2] == 'x' }

const (
	maxMaps    = 64 << 20 // bytes of text
	maxMapping = 200_000  // vm.max_map_count is 65530 where nobody raised it
)

// ParseMaps reads the text of /proc/PID/maps. Mappings come in the order of their addresses and do not overlap; a line
// that is none ends the reading with an error, and the mappings in front of it are returned. The last line may be cut.
//
// Source: proc_pid_maps(5).
func ParseMaps(text []byte) ([]Mapping, error) {
	if len(text) > maxMaps {
		text = text[:maxMaps]
	}
	var all []Mapping
	last := uint64(0)
	for n := 1; len(text) > 0; n++ {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		text = rest
		m, err := parseMapping(string(line))
		if err == nil && m.Start < last {
			err = errors.New("begins inside the mapping before it")
		}
		if err == nil && len(all) == maxMapping {
			err = fmt.Errorf("more than %d mappings", maxMapping)
		}
		if err != nil {
			if !whole {
				return all, nil
			}
			return all, fmt.Errorf("line %d of the memory map: %w", n, err)
		}
		last = m.End
		all = append(all, m)
	}
	return all, nil
}

func parseMapping(line string) (Mapping, error) {
	var m Mapping
	var words [5]string
	rest := line
	for i := range words {
		rest = strings.TrimLeft(rest, " ")
		end := strings.IndexByte(rest, ' ')
		if end < 0 {
			end = len(rest)
		}
		words[i], rest = rest[:end], rest[end:]
	}
	from, to, ok := strings.Cut(words[0], "-")
	if !ok {
		return m, errors.New("no range of addresses")
	}
	var err error
	number := func(s string, base int) uint64 {
		v, e := strconv.ParseUint(s, base, 64)
		if err == nil && e != nil {
			err = fmt.Errorf("%.40q is no number", s)
		}
		return v
	}
	m.Start, m.End, m.Offset = number(from, 16), number(to, 16), number(words[2], 16)
	m.Perm, m.Device, m.Inode = words[1], words[3], number(words[4], 10)
	switch {
	case err != nil:
		return m, err
	case m.End <= m.Start:
		return m, errors.New("an empty range of addresses")
	case len(m.Perm) != 4:
		return m, errors.New("no permissions")
	}
	m.Path = unescape(strings.TrimLeft(rest, " "))
	if p, ok := strings.CutSuffix(m.Path, " (deleted)"); ok && m.Inode != 0 {
		m.Path, m.Deleted = p, true
	}
	return m, nil
}

// unescape undoes what the kernel does to line breaks in names.
func unescape(s string) string { return strings.ReplaceAll(s, `\012`, "\n") }

// name returns the last part of a path.
func name(p string) string {
	if p == "" {
		return ""
	}
	return path.Base(p)
}
