package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"charm.land/lipgloss/v2"
	"golang.org/x/term"

	"portcullis.dev/finding"
)

// progress shows on one line of a terminal what a long command is at, and erases the line at the end. Where standard
// error is no terminal it shows nothing. Its methods may be called from several goroutines, and on nil.
type progress struct {
	mu       sync.Mutex
	out      io.Writer
	columns  func() int
	now      func() time.Time
	next     time.Time // not drawn before
	shown    bool
	finished bool
	name     string
	files    int
	bytes    int64
}

// The line appears after a moment, so that short commands stay quiet, and is redrawn at most ten times a second.
const (
	progressAfter    = 400 * time.Millisecond
	progressInterval = 100 * time.Millisecond
)

// newProgress returns the progress line of a command; nil, which shows nothing, where w is no terminal.
func newProgress(w io.Writer) *progress {
	f, ok := w.(*os.File)
	if !ok || !isTerminal(w) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return startProgress(f, time.Now, func() int {
		if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
			return columns
		}
		return 80
	})
}

func startProgress(out io.Writer, now func() time.Time, columns func() int) *progress {
	return &progress{out: out, now: now, columns: columns, next: now().Add(progressAfter)}
}

// File says which file is being read.
func (p *progress) File(name string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.name = name
	p.draw()
}

// Add counts files and bytes that were read.
func (p *progress) Add(files int, bytes int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files += files
	p.bytes += bytes
	p.draw()
}

// Done erases the line. Nothing is drawn afterwards.
func (p *progress) Done() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished = true
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

// draw writes the line where it is time to.
func (p *progress) draw() {
	now := p.now()
	if p.finished || now.Before(p.next) {
		return
	}
	p.next = now.Add(progressInterval)
	p.shown = true
	head := fmt.Sprintf("%s files, %s  ", grouped(int64(p.files)), finding.ByteCount(p.bytes))
	fmt.Fprint(p.out, "\r\x1b[K"+head+keepEnd(finding.Printable(p.name), p.columns()-1-len(head)))
}

// keepEnd shortens a path to so many columns by leaving out its front.
func keepEnd(s string, columns int) string {
	if columns < 2 {
		return ""
	}
	if lipgloss.Width(s) <= columns {
		return s
	}
	runes := []rune(s)
	width := 1 // of the dots
	at := len(runes)
	for at > 0 {
		w := lipgloss.Width(string(runes[at-1]))
		if width+w > columns {
			break
		}
		width += w
		at--
	}
	return "…" + string(runes[at:])
}

// grouped writes a number with its thousands apart: 12,345.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 && s[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}
