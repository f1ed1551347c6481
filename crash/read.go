package crash

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf16"

	"portcullis.dev/crash/lenient"
	"portcullis.dev/finding"
	"portcullis.dev/rules"
)

// window is how much input is looked at together, and so the longest report that is read whole. A longer input is read
// window by window, cut where a report begins.
const window = 24 << 20

// Result is what was read from one input.
type Result struct {
	Reports []*Report
	Unread  []finding.Unread
	Bytes   int64
}

// Read finds every crash report in an input: files of Apple's forms, and text in which they stand between other things.
// The name stands for the input in what could not be read. It never fails: an input in which nothing was found, or that
// ended with an error, has an entry in Unread.
func Read(name string, in io.Reader) Result {
	var res Result
	line := 1
	var rest []byte
	for last := false; !last; {
		buf, err := readWindow(in, rest)
		last = err != nil
		if err != nil && !errors.Is(err, io.EOF) {
			res.Unread = append(res.Unread, finding.Unread{Path: name, Offset: res.Bytes + int64(len(buf)), Reason: err.Error()})
		}
		cut := len(buf)
		if !last {
			cut = cutAt(buf)
		}
		found := scanWindow(buf[:cut], res.Bytes, line)
		if !last || res.Bytes > 0 {
			for _, r := range found {
				r.detach()
			}
			found = merge(found)
		}
		res.Reports = append(res.Reports, found...)
		if len(res.Reports) >= maxReports {
			last = true
			res.Unread = append(res.Unread, tooMany(name, res.Bytes+int64(cut)))
		}
		line += bytes.Count(buf[:cut], []byte("\n"))
		res.Bytes += int64(cut)
		rest = buf[cut:]
	}
	return res.finish(name)
}

// readBytes is [Read] for an input that is in memory. The result shares that memory.
func readBytes(name string, b []byte) Result {
	res := Result{Bytes: int64(len(b)), Reports: scanWindow(b, 0, 1)}
	if len(res.Reports) >= maxReports {
		res.Unread = append(res.Unread, tooMany(name, res.Reports[len(res.Reports)-1].Offset))
	}
	return res.finish(name)
}

// maxReports bounds the reports of one input. Lines of the kernel's log that say the same count as one.
const maxReports = 10_000

func tooMany(name string, offset int64) finding.Unread {
	return finding.Unread{Path: name, Offset: offset,
		Reason: fmt.Sprintf("more than %d reports in one input: what follows was not read; split it", maxReports)}
}

// detach reads what is still JSON, so that the report no longer needs the memory it was read from.
func (r *Report) detach() {
	for i := range r.Threads {
		r.Threads[i].load()
	}
	for i := range r.imageRaw {
		r.loadImage(i)
	}
	r.imageRaw = nil
	if x := r.ExtMods; x != nil {
		r.ExtMods = &IPSExtMods{
			Caller:   IPSMods{ThreadCreate: x.Caller.ThreadCreate, ThreadSetState: x.Caller.ThreadSetState, TaskForPID: x.Caller.TaskForPID},
			System:   IPSMods{ThreadCreate: x.System.ThreadCreate, ThreadSetState: x.System.ThreadSetState, TaskForPID: x.System.TaskForPID},
			Targeted: IPSMods{ThreadCreate: x.Targeted.ThreadCreate, ThreadSetState: x.Targeted.ThreadSetState, TaskForPID: x.Targeted.TaskForPID},
		}
	}
}

// finish joins what belongs together and collects what could not be read.
func (res Result) finish(name string) Result {
	res.Reports = merge(res.Reports)
	for _, r := range res.Reports {
		if !r.OS.Known() && r.OSText == "" {
			r.OS = r.proseOS
		}
		for _, d := range r.unread {
			res.Unread = append(res.Unread, finding.Unread{Path: name, Offset: max(d.offset, 0), Reason: d.reason})
		}
	}
	if len(res.Unread) > maxReports {
		res.Unread = res.Unread[:maxReports]
	}
	if len(res.Reports) == 0 && len(res.Unread) == 0 {
		reason := noReport
		if res.Bytes == 0 {
			reason = emptyInput
		}
		res.Unread = append(res.Unread, finding.Unread{Path: name, Reason: reason})
	}
	return res
}

const (
	noReport   = "no crash report found"
	emptyInput = "empty: no crash report found"
)

func nothingFound(reason string) bool { return reason == noReport || reason == emptyInput }

// readWindow reads up to a window behind what is left of the last one. It returns io.EOF with the last.
func readWindow(in io.Reader, rest []byte) ([]byte, error) {
	buf := append(make([]byte, 0, max(2*len(rest), 64<<10)), rest...)
	for len(buf) < window {
		if cap(buf)-len(buf) < 32<<10 {
			grown := make([]byte, len(buf), min(2*cap(buf), window+64<<10))
			copy(grown, buf)
			buf = grown
		}
		n, err := in.Read(buf[len(buf):min(cap(buf), window)])
		buf = buf[:len(buf)+n]
		if err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// cutAt returns where to cut a full window: in front of the last report that begins in its second half, or else behind
// its last line.
func cutAt(b []byte) int {
	half := len(b) / 2
	for _, start := range []string{"\n{\"app_name\"", "\nIncident Identifier:", "\nProcess:"} {
		if i := bytes.LastIndex(b[half:], []byte(start)); i >= 0 {
			return half + i + 1
		}
	}
	if i := bytes.LastIndexByte(b[half:], '\n'); i >= 0 {
		return half + i + 1
	}
	return len(b)
}

// scanWindow finds the reports in a stretch of input.
func scanWindow(b []byte, base int64, line int) []*Report {
	b = normalize(b)
	var s scanner
	s.scan(b, base, line)
	if len(s.found) == 0 && len(b) < 64 { // a number alone
		word := strings.TrimSpace(string(b))
		if n, ok := lenient.ParseBits(word); ok && rules.Code(n).Type() != rules.GuardNone {
			r := &Report{Shape: ShapeDescription, Offset: base, Line: line, Faulting: -1, partial: true}
			r.Termination = Termination{Namespace: "GUARD", Code: n, HaveCode: true}
			s.found = append(s.found, r)
		}
	}
	return s.found
}

// entities are characters as web pages and word processors write them.
var entities = strings.NewReplacer("&quot;", `"`, "&#34;", `"`, "&amp;", "&", "&lt;", "<", "&gt;", ">", "&#39;", "'",
	"&nbsp;", " ", "“", `"`, "”", `"`, "„", `"`, "\u2028", " ", "\x00", " ")

// normalize undoes what happened to a text on its way: UTF-16, HTML entities, typographic quotes. Line numbers stay
// what they were; offsets may shift by the length of what was replaced.
func normalize(b []byte) []byte {
	if len(b) >= 2 && (b[0] == 0xff && b[1] == 0xfe || b[0] == 0xfe && b[1] == 0xff) {
		b = fromUTF16(b)
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if !hasAnchor(b) {
		return b
	}
	if bytes.Contains(b, []byte("“")) || bytes.Contains(b, []byte("”")) || bytes.Contains(b, []byte("&quot;")) ||
		bytes.Contains(b, []byte("&#34;")) || bytes.Contains(b, []byte("&nbsp;")) || bytes.Contains(b, []byte("&lt;")) {
		return []byte(entities.Replace(string(b)))
	}
	return b
}

func fromUTF16(b []byte) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	if b[0] == 0xfe {
		order = binary.BigEndian
	}
	units := make([]uint16, 0, len(b)/2)
	for i := 2; i+1 < len(b); i += 2 {
		units = append(units, order.Uint16(b[i:]))
	}
	return []byte(string(utf16.Decode(units)))
}

// merge joins what is of one incident: the translated text and the .ips below it, single lines quoted above or below a
// report, and repeated lines of the kernel's log.
func merge(in []*Report) []*Report {
	var out []*Report
	logs := map[string]*Report{}
	incidents := map[string]*Report{}
	for _, r := range in {
		if r.Shape == ShapeLog {
			if mergeLog(logs, r) {
				continue
			}
			out = append(out, r)
			continue
		}
		if r.Shape == ShapeText && r.partial && len(r.Threads) == 0 {
			r.Shape = ShapeDescription
		}
		if r.empty() {
			continue
		}
		if r.Incident != "" {
			if first := incidents[r.Incident]; first != nil {
				first.absorb(r)
				continue
			}
		}
		if n := len(out) - 1; n >= 0 && sameIncident(out[n], r) {
			out[n].absorb(r)
			r = out[n]
		} else {
			out = append(out, r)
		}
		if r.Incident != "" {
			incidents[r.Incident] = r
		}
	}
	return out
}

// empty reports whether nothing is known of what happened: labels of another kind of text.
func (r *Report) empty() bool {
	return r.Exception.Type == "" && r.Exception.Subtype == "" && len(r.Exception.Violations) == 0 &&
		!r.Termination.HaveCode && r.Termination.Namespace == "" && r.BugType == "" && !r.RouteGuard &&
		r.Exception.Signal == "" && (r.Shape != ShapeIPS || r.Process == "")
}

// mergeLog counts a line of the kernel's log with the lines of the same process about the same guard.
func mergeLog(logs map[string]*Report, r *Report) bool {
	code := uint64(0)
	if len(r.Exception.Codes) > 0 {
		code = r.Exception.Codes[0]
	}
	key := fmt.Sprintf("%s %d %x", r.Process, r.PID, code>>32)
	if r.Repeats == 0 {
		r.Repeats = 1
		r.Targets = []uint32{uint32(code)}
	}
	first := logs[key]
	if first == nil {
		logs[key] = r
		return false
	}
	if first == r {
		return true
	}
	first.Repeats += r.Repeats
	for _, t := range r.Targets {
		if len(first.Targets) < 8 && !slices.Contains(first.Targets, t) {
			first.Targets = append(first.Targets, t)
		}
	}
	return true
}

// sameIncident reports whether two reports that follow each other are of one incident.
func sameIncident(a, b *Report) bool {
	if a.Shape == ShapeMinidump && b.Shape == ShapeMinidump {
		return true // several lines of one log
	}
	if a.Shape == ShapeLog || a.Shape == ShapeDebugger || b.Shape == ShapeDebugger || a.Shape == ShapeMinidump {
		return false
	}
	differ := func(x, y string) bool { return x != "" && y != "" && x != y }
	if differ(a.Incident, b.Incident) || differ(a.Process, b.Process) || a.PID != 0 && b.PID != 0 && a.PID != b.PID ||
		differ(a.Exception.Type, b.Exception.Type) || differ(a.Exception.Subtype, b.Exception.Subtype) {
		return false
	}
	if a.Termination.HaveCode && b.Termination.HaveCode && a.Termination.Code != b.Termination.Code {
		return false
	}
	if !a.Exception.agrees(&b.Exception) {
		return false
	}
	if a.partial || b.partial {
		return a.isGuard() && b.isGuard() || a.Exception.Type == b.Exception.Type
	}
	return a.Shape != b.Shape && a.Process == b.Process && (a.PID == b.PID || a.PID == 0 || b.PID == 0)
}

// absorb adds to r what another report of the same incident knows and r does not.
func (r *Report) absorb(o *Report) {
	if o.Shape == ShapeIPS && r.Shape != ShapeIPS && len(o.Threads) > 0 || len(r.Threads) == 0 && len(o.Threads) > 0 {
		r.Threads, r.Images, r.imageRaw, r.Faulting = o.Threads, o.Images, o.imageRaw, max(o.Faulting, r.Faulting)
		for i := range r.Threads {
			r.Threads[i].r = r
		}
	}
	if r.Shape == ShapeText && o.Shape == ShapeIPS || r.Shape == ShapeIPS && o.Shape == ShapeText {
		r.Shape = ShapeTextAndIPS
	} else if r.Shape == ShapeDescription {
		r.Shape = o.Shape
	}
	fill(&r.Incident, o.Incident)
	fill(&r.Process, o.Process)
	fill(&r.Path, o.Path)
	fill(&r.BundleID, o.BundleID)
	fill(&r.Version, o.Version)
	fill(&r.Hardware, o.Hardware)
	fill(&r.Arch, o.Arch)
	fill(&r.BugType, o.BugType)
	fill(&r.Captured, o.Captured)
	fill(&r.SIP, o.SIP)
	fill(&r.TeamID, o.TeamID)
	r.setOS(o.OSText)
	if !r.proseOS.Known() {
		r.proseOS = o.proseOS
	}
	if r.PID == 0 {
		r.PID = o.PID
	}
	if r.Faulting < 0 {
		r.Faulting = o.Faulting
	}
	for _, p := range []struct{ a, b *Tristate }{{&r.Translated, &o.Translated}, {&r.Simulated, &o.Simulated},
		{&r.FirstParty, &o.FirstParty}, {&r.ThirdParty, &o.ThirdParty}, {&r.DevMode, &o.DevMode}} {
		if *p.a == Unsaid {
			*p.a = *p.b
		}
	}
	if !r.HaveCSFlags {
		r.CSFlags, r.HaveCSFlags = o.CSFlags, o.HaveCSFlags
	}
	if r.ExtMods == nil {
		r.ExtMods = o.ExtMods
	}
	r.RouteGuard = r.RouteGuard || o.RouteGuard
	r.partial = r.partial && o.partial
	x, y := &r.Exception, &o.Exception
	fill(&x.Type, y.Type)
	fill(&x.Signal, y.Signal)
	fill(&x.Subtype, y.Subtype)
	fill(&x.Message, y.Message)
	if len(x.Violations) == 0 {
		x.Violations = y.Violations
	}
	if len(x.Codes) == 0 {
		x.Codes = y.Codes
	}
	if x.Port == nil {
		x.Port = y.Port
	}
	if x.Payload == nil {
		x.Payload = y.Payload
	}
	if !r.Termination.HaveCode {
		by := r.Termination.By
		r.Termination = o.Termination
		fill(&r.Termination.By, by)
	}
	if len(r.Notes) == 0 {
		r.Notes = o.Notes
	}
	r.unread = append(r.unread, o.unread...)
}
