package crash

import (
	"bytes"
	"strings"

	"portcullis.dev/crash/lenient"
)

// anchors are words of which every report has at least one. A stretch of input without any of them holds no report.
var anchors = [][]byte{
	[]byte("EXC_"), []byte("GUARD"), []byte("xception"), []byte("ermination"), []byte("bug_type"), []byte("procName"),
	[]byte("Incident"), []byte("on mach port"), []byte("stop reason"), []byte("mach_msg_trap()"), []byte("namespc"),
}

// scanner finds reports in a stretch of text: JSON documents, and lines between them.
type scanner struct {
	text  textReader
	found []*Report
	depth int // of text inside JSON strings
	base  int64
	lines lineCounter
	buf   []byte
	took  int // documents that were a report or a part of one
	spare int // bytes that attempts at documents may still read in vain
}

// lineCounter turns offsets into line numbers; offsets must come in rising order.
type lineCounter struct {
	b    []byte
	at   int
	line int
}

func (l *lineCounter) of(offset int) int {
	if offset > l.at {
		l.line += bytes.Count(l.b[l.at:min(offset, len(l.b))], []byte("\n"))
		l.at = offset
	}
	return l.line
}

// scan finds the reports in b, whose first byte stands at base in the input and on the line firstLine.
func (s *scanner) scan(b []byte, base int64, firstLine int) {
	s.base, s.lines, s.buf, s.spare = base, lineCounter{b: b, line: firstLine}, b, len(b)+1<<20
	if !hasAnchor(b) {
		return
	}
	for i := 0; i < len(b) && len(s.found)+len(s.text.out) < maxReports; {
		end := i + bytes.IndexByte(b[i:], '\n') + 1
		if end == i {
			end = len(b)
		}
		if start, open, ok := jsonStart(b[i:end]); ok {
			if next := s.document(b, i+start, open); next > i {
				i = s.lineAfter(b, next)
				continue
			}
		}
		if end-i < maxLine {
			s.text.read(string(b[i:end]), base+int64(i), s.lines.of(i))
		}
		i = end
	}
	s.flush()
}

// maxLine bounds a line of a text report; a longer one is noise, or JSON in one line.
const maxLine = 64 << 10

func hasAnchor(b []byte) bool {
	for _, a := range anchors {
		if bytes.Contains(b, a) {
			return true
		}
	}
	return false
}

// lineAfter returns where reading goes on behind a document: the rest of its line, where that may be another document.
func (s *scanner) lineAfter(b []byte, i int) int {
	j := lenient.Space(b, i)
	if nl := bytes.IndexByte(b[i:j], '\n'); nl >= 0 {
		return i + nl + 1
	}
	if j < len(b) && (b[j] == ',' || b[j] == ']' || b[j] == '}' || b[j] == ';') {
		return s.lineAfter(b, j+1)
	}
	return j
}

// flush moves what the lines gave into the list.
func (s *scanner) flush() {
	s.found = append(s.found, s.text.out...)
	s.text.out = nil
	s.text.finish()
}

// jsonStart finds where in a line a JSON document may start: at its first character behind quote marks, or anywhere
// where a key of a report follows. open says that the brace itself is missing.
func jsonStart(line []byte) (start int, open, ok bool) {
	i := 0
	for i < len(line) && (line[i] == ' ' || line[i] == '\t' || line[i] == '>' || line[i] == '`' || line[i] == 0xc2 ||
		line[i] == 0xa0) {
		i++
	}
	if i == len(line) {
		return 0, false, false
	}
	switch line[i] {
	case '{', '[':
		return i, false, true
	case '"':
		rest := line[i+1:]
		q := bytes.IndexByte(rest, '"')
		if q > 0 && q < 40 && lenient.Space(rest, q+1) < len(rest) && rest[lenient.Space(rest, q+1)] == ':' {
			return i, true, true
		}
		return 0, false, false
	}
	if b := bytes.Index(line, []byte(`{"`)); b >= 0 {
		for _, key := range []string{`"bug_type"`, `"exception"`, `"termination"`, `"procName"`} {
			if bytes.Contains(line[b:], []byte(key)) {
				return b, false, true
			}
		}
	}
	return 0, false, false
}

// document reads the JSON document that starts at b[i] and returns the index behind what it understood, or i where it
// is none.
func (s *scanner) document(b []byte, i int, open bool) int {
	if s.spare <= 0 && !bytes.HasPrefix(b[i:], []byte(`{"app_name"`)) {
		return i
	}
	if b[i] == '[' {
		raw, end, err := lenient.Scan(b, i)
		if err == nil && end < len(b) && b[end] == '(' { // a link of markdown
			return i
		}
		s.flush()
		n := len(s.found)
		s.descend(raw, 0)
		if len(s.found) == n && err != nil {
			s.spare -= max(end-i, 256)
			return i
		}
		if len(s.found) == n && !hasAnchor(raw) || len(s.found) > n {
			return end
		}
		return i // "[timestamp] process: EXC_GUARD …" is a line of a log
	}
	var d document
	body := i
	if !open {
		body++
	}
	wrong, end, err := lenient.DecodeMembers(b, body, &d)
	if err != nil {
		end = max(end, body)
	}
	if end <= body {
		if err != nil {
			s.spare -= max(err.Offset-i, 256)
		}
		return i
	}
	raw := lenient.Raw(b[i:end])
	n := s.progress()
	if open && err != nil && (err.Offset >= len(bytes.TrimRight(b, " \t\r\n`")) || end == lastLine(b, err.Offset)) {
		err = nil // a piece cut out of a document has no end, and may have prose behind it
	}
	if err != nil { // from here on relative to the document, as all its parts are
		err = &lenient.Error{Offset: err.Offset - i, Reason: err.Reason}
	}
	s.take(&d, raw, wrong, err)
	if s.progress() == n && err != nil {
		s.spare -= max(end-i, err.Offset, 256)
		return i // some other text with a brace; lines inside it may still be a report
	}
	return end
}

// lastLine returns the end of the last text in front of the line that holds offset.
func lastLine(b []byte, offset int) int {
	start := bytes.LastIndexByte(b[:min(offset, len(b))], '\n') + 1
	return len(bytes.TrimRight(b[:start], ", \t\r\n>`"))
}

// progress counts what has been found, so that two counts tell whether something was added.
func (s *scanner) progress() int { return s.took + len(s.found) }

// offsetOf returns where in the stretch a value stands. A value is a part of the same memory.
func (s *scanner) offsetOf(v lenient.Raw) int { return max(cap(s.buf)-cap(v), 0) }

// take turns a JSON document into reports.
func (s *scanner) take(d *document, raw lenient.Raw, wrong []lenient.Mismatch, err *lenient.Error) {
	at := s.offsetOf(raw)
	switch {
	case d.isMetricKit():
		s.flush()
		s.metricKit(d, at)
	case d.isSentry():
		s.flush()
		s.sentry(d, at)
	case d.isBody():
		s.flush()
		r := s.header()
		s.took++
		if r == nil {
			r = s.add(&Report{Shape: ShapeIPS, Faulting: -1}, at)
		}
		r.addBody(d)
		r.partial = d.ProcName == "" && r.Process == ""
		if len(d.ParsedData) > 0 {
			s.parsedData(r, d.ParsedData)
		}
		s.defects(r, raw, at, wrong, err)
	case d.isHeader():
		s.flush()
		r := s.add(d.header(), at)
		r.partial = false
		s.defects(r, raw, at, wrong, err)
	case len(d.ParsedData) > 0:
		s.flush()
		r := s.add(&Report{Shape: ShapeIPS, Faulting: -1}, at)
		s.parsedData(r, d.ParsedData)
	case d.isPart():
		s.part(d, raw)
	case s.depth < maxTextDepth:
		s.descend(raw, 0)
	}
}

// header returns the report whose header was read last and whose body is still missing.
func (s *scanner) header() *Report {
	if len(s.found) == 0 {
		return nil
	}
	r := s.found[len(s.found)-1]
	if r.Shape == ShapeIPS && r.Exception.Type == "" && len(r.Threads) == 0 && r.BugType != "" && r.Path == "" {
		return r
	}
	return nil
}

// parsedData reads the body that some collectors wrap once more.
func (s *scanner) parsedData(r *Report, raw lenient.Raw) {
	if text, ok := raw.String(); ok {
		raw = lenient.Raw(text)
	}
	if raw.Kind() != '{' {
		return
	}
	var d document
	if _, err := lenient.Decode(raw, &d); err != nil {
		r.unread = append(r.unread, defect{r.Offset, "parsedData: " + err.Reason})
	}
	r.addBody(&d)
}

// part adds an exception or termination object that stands alone to the description being read.
func (s *scanner) part(d *document, raw lenient.Raw) {
	s.took++
	at := s.offsetOf(raw)
	s.text.offset, s.text.line = s.base+int64(at), s.lines.of(at)
	r := s.text.report()
	e := *d
	if d.Namespace != "" {
		e.Termination = raw
	} else {
		e.Exception = raw
	}
	r.addException(&e)
	r.addTermination(e.Termination)
}

func (s *scanner) add(r *Report, at int) *Report {
	r.Offset, r.Line = s.base+int64(at), s.lines.of(at)
	s.found = append(s.found, r)
	return r
}

// defects keeps what could not be read of a document that is a report.
func (s *scanner) defects(r *Report, raw lenient.Raw, at int, wrong []lenient.Mismatch, err *lenient.Error) {
	for _, w := range wrong {
		r.unread = append(r.unread, defect{s.base + int64(at), w.Path + " has the wrong type: " + clip(string(w.Value), 40)})
	}
	if err != nil {
		r.unread = append(r.unread, defect{s.base + int64(at) + int64(err.Offset), err.Reason})
	}
	for i := range r.unread {
		if r.unread[i].offset < 0 {
			r.unread[i].offset = s.base + int64(at)
		}
	}
}

const (
	maxTextDepth  = 2 // text inside strings inside text …
	maxDescent    = 8 // objects and arrays around a report
	minTextString = 24
)

// descend looks for reports inside a document that is none: lists of them, and strings that hold their text.
func (s *scanner) descend(raw lenient.Raw, level int) {
	if level > maxDescent || len(s.found) > maxReports || !hasAnchor(raw) {
		return
	}
	visit := func(v lenient.Raw) {
		switch v.Kind() {
		case '{':
			var d document
			wrong, err := lenient.Decode(v, &d)
			if d.isMetricKit() || d.isSentry() || d.isBody() || d.isHeader() || d.isPart() || len(d.ParsedData) > 0 {
				s.take(&d, v, wrong, err)
				return
			}
			s.descend(v, level+1)
		case '[':
			s.descend(v, level+1)
		case '"':
			if len(v) < minTextString || s.depth >= maxTextDepth || !hasAnchor(v) {
				return
			}
			text := unescapeText(v)
			inner := scanner{depth: s.depth + 1}
			inner.scan([]byte(text), 0, 1)
			s.flush()
			for _, r := range inner.found {
				s.add(r, s.offsetOf(v))
			}
		}
	}
	if raw.Kind() == '[' {
		_ = raw.Elements(func(_ int, v lenient.Raw) bool { visit(v); return len(s.found) <= maxReports })
		return
	}
	if raw.Kind() == '{' {
		_ = raw.Members(func(_ []byte, v lenient.Raw) bool { visit(v); return len(s.found) <= maxReports })
	}
}

// unescapeText returns the text of a string; raw line breaks inside it belong to the text.
func unescapeText(v lenient.Raw) string {
	if bytes.IndexByte(v, '\n') >= 0 {
		return strings.Trim(string(v), `"`)
	}
	s, _ := v.String()
	return s
}
