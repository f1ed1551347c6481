package crash

import (
	"regexp"
	"strings"

	"portcullis.dev/crash/lenient"
)

// Sentences of ReportCrash, and lines that other tools print about a guard.
var (
	resourceMessage = regexp.MustCompile(
		`([A-Za-z_]{3,60}|Unknown GUARD_TYPE_\w+ flavor \d+) on (mach port|file descriptor)(?:[ :]+(0x[0-9a-fA-F]+|\d+))?`)
	guardedWith  = regexp.MustCompile(`guarded with (0x[0-9a-fA-F]+)`)
	trapMessage  = regexp.MustCompile(`mach_msg_trap\(\) called with msgh_id (\d+)`)
	userMessage  = regexp.MustCompile(`namespc (\d+) reason_code (0x[0-9a-fA-F]+)`)
	vnodeMessage = regexp.MustCompile(`id=(0x[0-9a-fA-F]+), pid=(\d+).{0,80}flavor=(0x[0-9a-fA-F]+) \((\w+)\)`)
	vmMessage    = regexp.MustCompile(`offset=(0x[0-9a-fA-F]+), flavor=(0x[0-9a-fA-F]+) \(([^)]+)\)`)
	trapRejected = regexp.MustCompile(`mach_trap (\d+) number (0x[0-9a-fA-F]+)`)
	callRejected = regexp.MustCompile(`^syscall (0x[0-9a-fA-F]+)`)

	kernelLine = regexp.MustCompile(`EXC_GUARD AST: type=(0x[0-9a-fA-F]+) flavor=(0x[0-9a-fA-F]+)` +
		`(?: target=(0x[0-9a-fA-F]*))?(?: code=(0x[0-9a-fA-F]*))?(?: subcode=(0x[0-9a-fA-F]*))?`)
	kernelWho  = regexp.MustCompile(`\[([^\[\]]{1,64}):(\d{1,9})\]\s*EXC_GUARD AST`)
	stopReason = regexp.MustCompile(`stop reason = EXC_GUARD(?: \(code=(-?\w+)(?:, subcode=(-?\w+))?)?`)
	reasonLine = regexp.MustCompile(`Namespace GUARD, Code:? *(-?\d+|0x[0-9a-fA-F]+)`)
	guardNames = regexp.MustCompile(`\bGUARD_TYPE_[A-Z_]+\b`)
)

// match finds an expression in s, which must hold one of words for that. Most lines do not, and expressions are slow.
func match(re *regexp.Regexp, s string, words ...string) []string {
	for _, w := range words {
		if strings.Contains(s, w) {
			return re.FindStringSubmatch(s)
		}
	}
	return nil
}

// readMessage takes what a message says into the exception's own fields.
func (x *Exception) readMessage(s string) bool {
	put := func(field **uint64, text string) {
		if v, ok := lenient.ParseBits(text); ok && *field == nil {
			*field = &v
		}
	}
	if m := match(resourceMessage, s, " on mach port", " on file descriptor"); m != nil {
		name := m[1]
		if name != strings.ToUpper(name) && !strings.HasPrefix(name, "Unknown") {
			return false
		}
		if len(x.Violations) == 0 {
			x.Violations = []string{name}
		}
		if m[2] == "mach port" {
			fill(&x.Subtype, "GUARD_TYPE_MACH_PORT")
		} else {
			fill(&x.Subtype, "GUARD_TYPE_FD")
		}
		put(&x.Port, m[3])
		if g := guardedWith.FindStringSubmatch(s); g != nil {
			put(&x.Payload, g[1])
		}
		return true
	}
	switch {
	case strings.Contains(s, "mach_msg_trap()"):
		if m := trapMessage.FindStringSubmatch(s); m != nil {
			fill(&x.Subtype, "GUARD_TYPE_MACH_PORT")
			if len(x.Violations) == 0 {
				x.Violations = []string{"INVALID_OPTIONS"}
			}
			put(&x.Port, m[1])
			return true
		}
	case strings.Contains(s, "namespc"):
		if m := userMessage.FindStringSubmatch(s); m != nil {
			fill(&x.Subtype, "GUARD_TYPE_USER")
			put(&x.Port, m[1])
			put(&x.Payload, m[2])
			return true
		}
	case strings.Contains(s, "flavor=0x"):
		if m := vnodeMessage.FindStringSubmatch(s); m != nil {
			fill(&x.Subtype, "GUARD_TYPE_VN")
			put(&x.Payload, m[1])
			put(&x.Port, m[2])
			x.addViolation(m[4])
			return true
		}
		if m := vmMessage.FindStringSubmatch(s); m != nil {
			fill(&x.Subtype, "GUARD_TYPE_VIRT_MEMORY")
			put(&x.Payload, m[1])
			x.addViolation(m[3])
			return true
		}
	case strings.Contains(s, "mach_trap "):
		if m := trapRejected.FindStringSubmatch(s); m != nil {
			fill(&x.Subtype, "GUARD_TYPE_REJECTED_SC")
			put(&x.Port, m[1])
			put(&x.Payload, m[2])
			return true
		}
	case x.Subtype == "GUARD_TYPE_REJECTED_SC":
		if m := callRejected.FindStringSubmatch(s); m != nil {
			put(&x.Port, "0")
			put(&x.Payload, m[1])
			return true
		}
	}
	return false
}

func (x *Exception) addViolation(name string) {
	if len(x.Violations) == 0 {
		x.Violations = []string{name}
	}
}

// quoted takes lines that are a report by themselves: of the kernel's log, of a debugger, of Crashpad.
func (t *textReader) quoted(s string) bool {
	if !strings.Contains(s, "EXC_") {
		return false
	}
	switch {
	case strings.Contains(s, "EXC_GUARD AST:"):
		m := kernelLine.FindStringSubmatch(s)
		if m == nil {
			return false
		}
		t.finish()
		r := &Report{Shape: ShapeLog, Offset: t.offset, Line: t.line, Faulting: -1, partial: true, proseOS: t.os}
		if w := kernelWho.FindStringSubmatch(s); w != nil {
			r.Process, r.PID = parseProcess(w[1] + " [" + w[2] + "]")
		}
		r.readKernelLine(m)
		if t.logs == nil {
			t.logs = map[string]*Report{}
		}
		if !mergeLog(t.logs, r) {
			t.out = append(t.out, r)
		}
		return true
	case strings.Contains(s, "stop reason = EXC_"):
		m := stopReason.FindStringSubmatch(s)
		t.finish()
		if m == nil { // another exception in the debugger
			r := t.report()
			r.Shape = ShapeDebugger
			_, rest, _ := strings.Cut(s, "stop reason = ")
			r.Exception.Type, _, _ = strings.Cut(rest, " ")
			return true
		}
		r := t.report()
		r.Shape = ShapeDebugger
		r.Exception.Type = "EXC_GUARD"
		for _, v := range m[1:] {
			if n, ok := lenient.ParseBits(v); ok {
				r.Exception.Codes = append(r.Exception.Codes, n)
			}
		}
		n := 0
		if i := strings.Index(s, "thread #"); i >= 0 {
			if id, _ := leadingInt(s[i+len("thread #"):]); id > 0 {
				n = id - 1 // LLDB counts from 1
			}
		}
		t.startThread(min(n, maxThreads-1), "", true)
		return true
	case strings.Contains(s, "exception EXC_GUARD invalid in EXC_CRASH"),
		strings.Contains(s, "EXC_CRASH should not contain exception 12"),
		strings.Contains(s, "Crash reason:") && strings.Contains(s, "EXC_GUARD"):
		if t.cur == nil || t.cur.Shape != ShapeMinidump {
			t.finish()
			t.report().Shape = ShapeMinidump
			t.mode = inLabels
			t.cur.Exception.Type = "EXC_GUARD"
		}
		return true
	}
	return false
}

// readKernelLine reads "type=0x1 flavor=0x200 target=0x8f53 code=0x2000020000008f53 subcode=0x0", which may be cut.
func (r *Report) readKernelLine(m []string) {
	n := func(s string) (v uint64, whole bool) {
		v, whole = lenient.ParseBits(s)
		return v, whole
	}
	typ, _ := n(m[1])
	flavor, _ := n(m[2])
	r.Exception.Type = "EXC_GUARD"
	x := &r.Exception
	code, whole := n(m[4])
	target, haveTarget := n(m[3])
	if whole && code>>61 == typ&7 && uint32(code>>32)&0x1fffffff == uint32(flavor)&0x1fffffff {
		x.Codes = append(x.Codes, code)
	} else {
		if haveTarget && m[4] == "" {
			r.Notes = append(r.Notes, "the line is cut behind its target, which may be cut as well")
		} else if !haveTarget {
			r.Notes = append(r.Notes, "the line is cut in front of its target")
		}
		x.Codes = append(x.Codes, typ<<61|(flavor&0x1fffffff)<<32|target&0xffffffff)
		return
	}
	if sub, ok := n(m[5]); ok {
		x.Codes = append(x.Codes, sub)
	}
}

// fragment takes what a line of prose says about a guard.
func (t *textReader) fragment(s string) {
	if !strings.ContainsAny(s, "=_(") && !strings.Contains(s, "GUARD") {
		return
	}
	if strings.Contains(s, "GUARD") || strings.Contains(s, " on mach port") || strings.Contains(s, " on file descriptor") ||
		strings.Contains(s, "mach_msg_trap()") || strings.Contains(s, "flavor=0x") || strings.Contains(s, "namespc ") {
		t.guardProse(s)
	}
}

func (t *textReader) guardProse(s string) {
	var x Exception
	said := x.readMessage(s)
	if said {
		x.Message = strings.TrimSpace(s)
		if m := resourceMessage.FindString(s); m != "" && len(s) > 160 {
			x.Message = m
		}
	}
	if m := match(guardNames, s, "GUARD_TYPE_"); m != nil && x.Subtype == "" {
		x.Subtype = m[0]
	}
	code := match(reasonLine, s, "Namespace GUARD")
	if t.cur != nil && said && !t.cur.Exception.agrees(&x) {
		t.finish()
	}
	if !said && code == nil {
		if t.cur != nil && x.Subtype != "" {
			fill(&t.cur.Exception.Subtype, x.Subtype)
		}
		return
	}
	r := t.report()
	if said {
		e := &r.Exception
		fill(&e.Message, x.Message)
		fill(&e.Subtype, x.Subtype)
		if len(e.Violations) == 0 {
			e.Violations = x.Violations
		}
		if e.Port == nil {
			e.Port = x.Port
		}
		if e.Payload == nil {
			e.Payload = x.Payload
		}
	}
	if code != nil {
		if v, ok := lenient.ParseBits(code[1]); ok {
			if r.Termination.HaveCode && r.Termination.Code != v {
				t.finish()
				r = t.report()
			}
			r.Termination.Namespace, r.Termination.Code, r.Termination.HaveCode = "GUARD", v, true
		}
	}
}

// agrees reports whether two descriptions may be of one exception: nothing that both say differs.
func (x *Exception) agrees(y *Exception) bool {
	same := func(a, b *uint64) bool { return a == nil || b == nil || *a == *b }
	if len(x.Violations) > 0 && len(y.Violations) > 0 && x.Violations[0] != y.Violations[0] {
		return false
	}
	if x.Subtype != "" && y.Subtype != "" && x.Subtype != y.Subtype {
		return false
	}
	return same(x.Port, y.Port) && same(x.Payload, y.Payload)
}
