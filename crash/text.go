package crash

import (
	"strconv"
	"strings"

	"portcullis.dev/crash/lenient"
	"portcullis.dev/rules"
)

// textReader collects reports from lines of text: the translated form that macOS and iOS show, in any version, and
// single lines quoted out of it. A label that a report has once starts the next report when it comes again.
type textReader struct {
	out    []*Report
	cur    *Report
	seen   map[string]bool
	logs   map[string]*Report // lines of the kernel's log, by process and guard
	thread *Thread            // that frames and registers go to
	mode   textMode
	os     rules.OS // last one that prose speaks of
	join   string   // label whose value the editor wrapped to the next line

	offset int64 // of the line in the input
	line   int
}

type textMode uint8

const (
	inLabels textMode = iota
	inFrames
	inRegisters
	inImages
	inNotes
)

// labels that stand once in a report; the second starts a new one. The value says whether the label alone, without any
// other line of a report, makes one.
var labels = map[string]bool{
	"process": true, "path": false, "identifier": false, "version": false, "code type": false, "os version": true,
	"hardware model": true, "date/time": true, "incident identifier": true, "report version": false,
	"system integrity protection": false, "exception type": true, "exception subtype": true,
	"exception message": true, "exception note": false, "termination reason": true, "crashed thread": true,
	"triggered by thread": true, "application specific information": false, "kernel triage": false,
	"external modification warnings": false, "notes": false, "violation": true, "terminating process": false,
	"exception codes": true, "mach port": false, "role": false, "parent process": false, "faulting thread": true,
}

// repeatable labels may come twice in one report: macOS 12 to 15 print the guard type as "Exception Codes".
var repeatable = map[string]bool{"exception codes": true, "notes": true, "mach port": true, "version": true}

func (t *textReader) report() *Report {
	if t.cur == nil {
		t.cur = &Report{Shape: ShapeText, proseOS: t.os, Offset: t.offset, Line: t.line, Faulting: -1, partial: true}
		t.seen = map[string]bool{}
		t.out = append(t.out, t.cur)
		t.thread, t.mode = nil, inLabels
	}
	return t.cur
}

// finish ends the report that is being read.
func (t *textReader) finish() { t.cur, t.thread, t.mode, t.join = nil, nil, inLabels, "" }

// read takes one line.
func (t *textReader) read(raw string, offset int64, line int) {
	t.offset, t.line = offset, line
	s := cleanLine(raw)
	if s == "" {
		if t.mode == inNotes {
			t.mode = inLabels
		}
		return
	}
	if t.join != "" {
		label := t.join
		t.join = ""
		t.label(label, s)
		return
	}
	if t.quoted(s) {
		return
	}
	if t.section(s) {
		return
	}
	switch t.mode {
	case inFrames:
		if f, ok := parseFrame(s); ok && t.thread != nil {
			if len(t.thread.Frames) < maxFrames {
				t.thread.Frames = append(t.thread.Frames, f)
			}
			return
		}
	case inRegisters:
		if t.registers(s) {
			return
		}
	case inImages:
		if im, ok := parseImage(s); ok {
			if len(t.cur.Images) < maxImages {
				t.cur.Images = append(t.cur.Images, im)
			}
			return
		}
	case inNotes:
		if !strings.Contains(s, ":") {
			t.cur.addNote(s)
			return
		}
	}
	key, value, ok := strings.Cut(s, ":")
	if ok && len(key) < 40 {
		key = strings.ToLower(strings.TrimSpace(strings.Trim(key, "*_`- ")))
		if _, known := labels[key]; known {
			t.label(key, strings.TrimSpace(strings.Trim(value, "*`")))
			return
		}
	}
	if strings.Contains(s, "OS ") {
		if o, ok := rules.ParseOS(s); ok {
			t.os = o
		}
	}
	t.fragment(s)
	if t.cur != nil && t.mode != inFrames {
		t.looseFrame(s)
	}
}

// looseFrame takes a frame without the "Thread N Crashed" line that belongs above it.
func (t *textReader) looseFrame(s string) {
	f, ok := parseFrame(s)
	if !ok || f.Image == "" || t.cur.Exception.Type == "" && !t.cur.Termination.HaveCode && t.cur.Exception.Subtype == "" {
		return
	}
	if len(t.cur.Threads) > 0 || f.Symbol == "" && f.Address == 0 || !strings.HasPrefix(strings.TrimSpace(s), "0") {
		return
	}
	t.startThread(max(t.cur.Faulting, 0), "", true)
	t.thread.Frames = append(t.thread.Frames, f)
}

// label takes one "Label: value".
func (t *textReader) label(key, value string) {
	if t.cur != nil && (t.seen[key] && !repeatable[key] || (key == "process" || key == "incident identifier") &&
		len(t.cur.Threads) > 0) {
		t.finish()
	}
	if t.cur == nil && !labels[key] {
		return
	}
	if value == "" && t.cur == nil {
		return
	}
	r := t.report()
	t.seen[key] = true
	t.mode, t.thread = inLabels, nil
	x := &r.Exception
	switch key {
	case "process":
		r.Process, r.PID = parseProcess(value)
		r.partial = false
	case "path":
		fill(&r.Path, value)
	case "identifier":
		fill(&r.BundleID, value)
	case "version":
		if v, _, _ := strings.Cut(value, " ("); v != "???" {
			fill(&r.Version, v)
		}
	case "code type":
		name, mode, _ := strings.Cut(value, " (")
		fill(&r.Arch, archName(name))
		if mode != "" {
			r.Translated = tristate(strings.HasPrefix(mode, "Translated"))
		}
	case "os version":
		r.setOS(value)
	case "hardware model":
		fill(&r.Hardware, value)
	case "date/time":
		fill(&r.Captured, value)
	case "incident identifier":
		fill(&r.Incident, value)
	case "system integrity protection":
		fill(&r.SIP, strings.ToLower(value))
	case "exception type":
		name, signal, _ := strings.Cut(value, " ")
		if name = strings.TrimRight(name, ",;"); !strings.HasPrefix("EXC_GUARD", name) || name == "EXC_GUARD" {
			fill(&x.Type, name) // shorter, it was cut off
		}
		if i := strings.Index(signal, "(SIG"); i >= 0 {
			x.Signal, _, _ = strings.Cut(signal[i+1:], ")")
		}
		if strings.HasPrefix(x.Type, "SIG") { // PLCrashReporter prints the signal
			x.Signal, x.Type, r.Shape = x.Type, "", ShapePLCrash
		}
		t.fragment(signal) // "EXC_GUARD / GUARD_TYPE_MACH_PORT / INVALID_OPTIONS on mach port 0"
	case "exception subtype":
		t.subtype(value)
	case "exception message":
		t.message(value)
	case "violation":
		t.fragment(value)
	case "exception codes":
		if strings.HasPrefix(value, "GUARD_TYPE_") {
			t.subtype(value)
		} else if codes := parseCodes(value); codes != nil && len(x.Codes) == 0 {
			x.Codes = codes
		}
	case "exception note":
		switch {
		case strings.Contains(value, "NOT a crash"):
			r.Simulated = Yes
		case value != "":
			r.addNote(value)
		}
	case "termination reason":
		t.termination(value)
	case "terminating process":
		fill(&r.Termination.By, value)
	case "crashed thread", "triggered by thread", "faulting thread":
		n, rest := leadingInt(value)
		if n >= 0 && n < maxThreads {
			r.Faulting = n
			for i := range r.Threads {
				r.Threads[i].Triggered = r.Threads[i].Index == n
			}
			_ = rest
		}
	case "notes":
		t.mode = inNotes
		if value != "" {
			r.addNote(value)
		}
	}
}

// addNote keeps a remark of the report, within reason.
func (r *Report) addNote(s string) {
	if len(r.Notes) < maxNotes {
		r.Notes = append(r.Notes, s)
	}
}

func (t *textReader) subtype(value string) {
	first, _, _ := strings.Cut(value, " ")
	fill(&t.cur.Exception.Subtype, strings.TrimRight(first, ",;"))
}

func (t *textReader) message(value string) {
	fill(&t.cur.Exception.Message, value)
	t.cur.Exception.readMessage(value)
}

// termination reads "Namespace GUARD, Code 2305843030688530432", with or without the two words.
func (t *textReader) termination(value string) {
	r := &t.cur.Termination
	f := strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(" ,:;[]`*…\t", c) })
	for len(f) > 0 && (f[0] == "Namespace" || f[0] == "Code" && r.Namespace != "") {
		f = f[1:]
	}
	if len(f) > 0 && r.Namespace == "" {
		if n, ok := lenient.ParseBits(f[0]); ok { // the number alone, the namespace left out
			if n>>61 != 0 {
				r.Namespace, r.Code, r.HaveCode = "GUARD", n, true
			}
			return
		}
		if len(f[0]) < 40 && f[0] == strings.ToUpper(f[0]) {
			r.Namespace = f[0]
		}
		f = f[1:]
	}
	if len(f) > 0 && f[0] == "Code" {
		f = f[1:]
	}
	if len(f) == 0 {
		if r.Namespace != "" && !r.HaveCode && t.join == "" { // wrapped behind "Code"
			t.join = "termination reason"
			delete(t.seen, t.join)
		}
		return
	}
	if n, ok := lenient.ParseBits(f[0]); ok && !r.HaveCode {
		r.Code, r.HaveCode = n, true
		r.Indicator = strings.Join(f[1:], " ")
	}
}

// section takes lines that open a part of a report: threads, registers, images.
func (t *textReader) section(s string) bool {
	switch {
	case strings.HasPrefix(s, "Binary Images"):
		if t.cur == nil {
			return false
		}
		t.mode, t.thread = inImages, nil
		return true
	case strings.HasPrefix(s, "Thread "):
		n, rest := leadingInt(s[len("Thread "):])
		if n < 0 || n >= maxThreads {
			return false
		}
		if i := strings.Index(rest, "crashed with "); i >= 0 && strings.Contains(rest, "Thread State") {
			if t.cur != nil {
				t.startRegisters(n)
			}
			return true
		}
		if rest != "" && rest[0] != ':' && rest[0] != ' ' {
			return false
		}
		crashed := strings.HasPrefix(rest, " Crashed") || strings.Contains(rest, "(Crashed)")
		if t.cur == nil && !crashed || !crashed && !strings.HasPrefix(rest, ":") && !strings.HasPrefix(rest, " name:") &&
			strings.TrimSpace(rest) != "" {
			return false
		}
		name := strings.Trim(strings.TrimPrefix(rest, " Crashed"), ": ")
		name = strings.TrimPrefix(name, "name: ")
		queue := ""
		if i := strings.Index(name, "Dispatch queue: "); i >= 0 {
			name, queue = strings.TrimSpace(name[:i]), name[i+len("Dispatch queue: "):]
		}
		t.report()
		t.startThread(n, name, crashed)
		fill(&t.thread.Queue, queue)
		return true
	case strings.HasPrefix(s, "External Modification Summary"), strings.HasPrefix(s, "VM Region Summary"),
		strings.HasPrefix(s, "Logical CPU:"), strings.HasPrefix(s, "Last Exception Backtrace"):
		t.mode, t.thread = inLabels, nil
		return true
	}
	return false
}

func (t *textReader) startThread(n int, name string, crashed bool) {
	r := t.cur
	t.mode = inFrames
	for i := range r.Threads {
		if r.Threads[i].Index == n {
			t.thread = &r.Threads[i]
			fill(&t.thread.Name, name)
			if crashed {
				t.thread.Triggered, r.Faulting = true, n
			}
			return
		}
	}
	if len(r.Threads) >= maxThreads {
		t.thread = nil
		return
	}
	r.Threads = append(r.Threads, Thread{Index: n, Name: name, Triggered: crashed, r: r})
	t.thread = &r.Threads[len(r.Threads)-1]
	if crashed {
		r.Faulting = n
	}
}

func (t *textReader) startRegisters(n int) {
	t.startThread(n, "", false)
	t.mode = inRegisters
	if t.thread != nil && t.thread.Registers == nil {
		t.thread.Registers = map[string]uint64{}
	}
}

// registers takes a line such as "    x0: 0x0000000000000000   x1: 0x0000000000000011".
func (t *textReader) registers(s string) bool {
	if t.thread == nil || !strings.Contains(s, ": 0x") {
		return false
	}
	f := strings.Fields(s)
	for i := 0; i+1 < len(f); i++ {
		name, ok := strings.CutSuffix(f[i], ":")
		if !ok {
			continue
		}
		if v, ok := lenient.ParseBits(f[i+1]); ok && len(t.thread.Registers) < 100 {
			t.thread.Registers[name] = v
		}
	}
	return true
}

func parseProcess(s string) (name string, pid int64) {
	i := strings.LastIndexByte(s, '[')
	if i < 0 || !strings.HasSuffix(s, "]") {
		return s, 0
	}
	pid, _ = strconv.ParseInt(s[i+1:len(s)-1], 10, 64) // masked in some reports: 0
	return strings.TrimSpace(s[:i]), pid
}

// leadingInt reads the number a string begins with, -1 where it begins with none.
func leadingInt(s string) (n int, rest string) {
	s = strings.TrimLeft(s, " ")
	i := 0
	for i < len(s) && i < 9 && s[i] >= '0' && s[i] <= '9' {
		n = n*10 + int(s[i]-'0')
		i++
	}
	if i == 0 {
		return -1, s
	}
	return n, s[i:]
}
