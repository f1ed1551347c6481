// Package source keeps the text of interface definitions and says where in it something is wrong.
//
// A [Pos] is a place in a [File]; a [Diagnostic] is a sentence about a place. Printed, a diagnostic shows the line and
// a caret under the word it speaks of, the way C compilers do.
package source

import (
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// File is a text that was read, and the place from which it was included.
type File struct {
	Name string
	Text []byte
	From Pos // the #include directive; the zero Pos for a file named on the command line

	lines   []int32 // offsets at which lines begin
	renamed []renamed
}

// renamed is a line marker: from this line of the text on, lines count from another number in another file.
type renamed struct {
	line   int // of the text, 1-based: the first line after the marker
	number int
	name   string
}

// Rename says that from the line after the one at offset on, the text stems from line number of the file name, as
// "# 12 "file"" lines in preprocessed text do. An empty name keeps the file.
func (f *File) Rename(offset int32, number int, name string) {
	line, _ := f.place(offset)
	f.renamed = append(f.renamed, renamed{line + 1, number, name})
}

// place returns the line and byte column, both 1-based, of an offset in the text itself.
func (f *File) place(offset int32) (line, column int) {
	if f.lines == nil {
		f.lines = append(f.lines, 0)
		for i, c := range f.Text {
			if c == '\n' {
				f.lines = append(f.lines, int32(i+1))
			}
		}
	}
	line = sort.Search(len(f.lines), func(i int) bool { return f.lines[i] > offset })
	return line, int(offset-f.lines[line-1]) + 1
}

// Pos is a place in a file. The zero Pos is nowhere.
type Pos struct {
	File   *File
	Offset int32
}

// Known says that the place is somewhere.
func (p Pos) Known() bool { return p.File != nil }

// Place returns the file name, line and column of a place; lines and columns count from 1, columns in characters.
func (p Pos) Place() (name string, line, column int) {
	if p.File == nil {
		return "", 0, 0
	}
	name = p.File.Name
	line, _ = p.File.place(p.Offset)
	start := p.File.lines[line-1]
	column = utf8.RuneCount(p.File.Text[start:min(int(p.Offset), len(p.File.Text))]) + 1
	for i := len(p.File.renamed) - 1; i >= 0; i-- {
		if r := p.File.renamed[i]; line >= r.line {
			if r.name != "" {
				name = r.name
			}
			return name, r.number + line - r.line, column
		}
	}
	return name, line, column
}

// line returns the text of the line a place lies in.
func (p Pos) line() string {
	line, _ := p.File.place(p.Offset)
	text := string(p.File.Text[p.File.lines[line-1]:])
	text, _, _ = strings.Cut(text, "\n")
	return strings.TrimRight(text, "\r")
}

// printable replaces what a terminal would obey instead of print; tabs stay.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r != utf8.RuneError && unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
