package crash

import (
	"fmt"
	"strings"

	"portcullis.dev/finding"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// Explain says what a report means. A report about a guard gives one finding; any other gives a note that says what
// it is instead. The path names the input.
func Explain(r *Report, path string) ([]finding.Finding, []finding.Note) {
	if !r.isGuard() {
		return nil, []finding.Note{{Path: path, Message: r.otherKind()}}
	}
	e := explainer{r: r, g: r.guard(), t: r.FaultingThread()}
	if e.t == nil && len(r.Threads) > 0 && r.Faulting < 0 {
		for i := range r.Threads {
			if r.Threads[i].Triggered {
				e.t = r.thread(r.Threads[i].Index)
			}
		}
	}
	r.symbolicate(e.t)
	return []finding.Finding{e.finding(path)}, nil
}

// member tells reports of one input apart: the process and the line.
func (r *Report) member() string {
	s := r.Process
	if r.PID != 0 {
		s += fmt.Sprintf(" [%d]", r.PID)
	}
	if r.Line > 1 {
		s = strings.TrimSpace(fmt.Sprintf("%s line %d", s, r.Line))
	}
	return s
}

// otherKind says what a report that is no guard is about.
func (r *Report) otherKind() string {
	what := r.Exception.Type
	if what == "" && r.Exception.Signal != "" {
		what = r.Exception.Signal
	} else if r.Exception.Signal != "" {
		what += " (" + r.Exception.Signal + ")"
	}
	if what == "" && r.Termination.Namespace != "" {
		what = "a termination of namespace " + r.Termination.Namespace
		if r.Termination.HaveCode {
			what += fmt.Sprintf(", code %#x", r.Termination.Code)
		}
	}
	if what == "" {
		what = bugType(r.BugType)
	}
	s := "not a Mach restriction: " + what
	if r.Exception.Subtype != "" {
		s += ", " + clip(r.Exception.Subtype, 120)
	}
	if r.Exception.Type == "EXC_RESOURCE" && strings.Contains(r.Exception.Subtype, "PORTS") || r.Termination.Namespace == "PORT_SPACE" {
		s += " (the process used up its Mach port names: a leak, no violation)"
	}
	if t := r.FaultingThread(); t != nil {
		if c := r.findCulprit(t); c.frame != nil {
			s += ", in " + c.place()
		}
	}
	return s
}

// bugType says what kind of report a number means.
//
// Source: names of bug types as Apple's submission configuration has them, published with pycrashreport.
func bugType(n string) string {
	names := map[string]string{"308": "a simulated fault", "309": "a crash", "109": "a crash", "9": "a crash",
		"385": "a resource report", "298": "a memory-pressure (jetsam) report", "210": "a kernel panic", "288": "a stackshot",
		"151": "a forced restart", "228": "a hang", "409": "a watchdog report", "509": "a terminating stackshot"}
	if s, ok := names[n]; ok {
		return s
	}
	if n == "" {
		return "the report tells no exception"
	}
	return "a report of type " + n
}

func (c *culprit) place() string {
	f := c.frame
	if name := f.name(); name != "" {
		return name + " (" + f.Image + ")"
	}
	if f.Offset != 0 && f.Image != "???" {
		return fmt.Sprintf("%s at offset %#x", f.Image, f.Offset)
	}
	return fmt.Sprintf("%s at %#x", f.Image, f.Address)
}

type explainer struct {
	r *Report
	g guard
	t *Thread
	c culprit
	x rules.Explanation
	f finding.Finding
}

func (e *explainer) say(format string, args ...any) {
	e.f.Evidence = append(e.f.Evidence, fmt.Sprintf(format, args...))
}

func (e *explainer) finding(path string) finding.Finding {
	r, g := e.r, &e.g
	e.f = finding.Finding{Moment: finding.MomentExplain, KillsFrom: rules.Never, Confidence: finding.Possible,
		Where: finding.Where{Path: path, Arch: r.Arch}}
	e.c = r.findCulprit(e.t)
	secondary := e.place()
	e.about()
	e.decode()
	e.numbers()
	switch {
	case g.haveCode && g.proven:
		e.f.Confidence = finding.Certain
	case g.haveCode || g.rule != nil:
		e.f.Confidence = finding.Likely
	}
	e.f.KillsHere = e.killed()
	if secondary != "" {
		e.f.Evidence = append([]string{secondary}, e.f.Evidence...)
	}
	e.blame()
	for _, d := range g.doubts {
		e.say("%s", d)
	}
	e.fatality()
	for _, fact := range e.x.Facts {
		e.say("%s", strings.TrimSuffix(fact, "."))
	}
	e.others()
	for _, u := range e.x.Unverified {
		e.say("not verified: %s", u)
	}
	e.confirm()
	return e.f
}

// place fills in where it happened, and says so where the guard hides another crash.
func (e *explainer) place() (secondary string) {
	if e.t == nil {
		return ""
	}
	w := &e.f.Where
	n := e.t.Index
	w.Thread = &n
	if c := &e.c; c.frame != nil {
		w.Image, w.Function, w.File, w.Line = c.frame.Image, c.frame.Symbol, c.frame.File, c.frame.Line
		if c.frame.Address != 0 {
			w.Address = fmt.Sprintf("%#x", c.frame.Address)
		}
	}
	e.f.Callee = e.c.callee
	e.backtrace()
	handler, ok := e.t.secondary()
	if !ok {
		return ""
	}
	s := fmt.Sprintf("this guard hides another crash: thread %d was handling an exception (%s) when it was killed",
		e.t.Index, handler)
	if t, f := e.r.trueFault(e.t); t != nil {
		where := f.name()
		if where == "" {
			where = fmt.Sprintf("%s at offset %#x", f.Image, f.Offset)
		}
		s += fmt.Sprintf("; look at thread %d, which was in %s", t.Index, where)
		if t.Name != "" {
			s = strings.Replace(s, fmt.Sprintf("thread %d, which", t.Index), fmt.Sprintf("thread %d (%s), which", t.Index, t.Name), 1)
		}
	} else {
		s += "; the fault itself is on another thread"
	}
	return s
}

const (
	shortBacktrace = 12 // frames that are shown
	callers        = 4  // frames that are shown above the one at fault, however deep the system's own are
	longBacktrace  = 24
)

func (e *explainer) backtrace() {
	most := min(max(shortBacktrace, e.c.index+1+callers), longBacktrace)
	for i := range e.t.Frames {
		if i == most {
			left := "… 1 more frame"
			if n := len(e.t.Frames) - i; n > 1 {
				left = fmt.Sprintf("… %d more frames", n)
			}
			e.f.Backtrace = append(e.f.Backtrace, left)
			break
		}
		f := &e.t.Frames[i]
		mark := " "
		if i == e.c.index {
			mark = ">"
		}
		text := f.name()
		switch {
		case text != "" && f.SymbolAt > 0:
			text += fmt.Sprintf(" + %d", f.SymbolAt)
		case text == "" && f.Offset != 0 && f.Image != "???":
			text = fmt.Sprintf("+ %#x", f.Offset)
		case text == "" && f.Address != 0:
			text = fmt.Sprintf("%#x", f.Address)
		}
		if f.File != "" {
			text += fmt.Sprintf(" (%s:%d)", f.File, f.Line)
		}
		e.f.Backtrace = append(e.f.Backtrace, fmt.Sprintf("%s %-2d %-28s %s", mark, i, clip(f.Image, 28), text))
	}
}

// about says what report this is.
func (e *explainer) about() {
	r := e.r
	who := r.Process
	if who == "" {
		who = r.BundleID
	}
	if who == "" {
		who = "the text does not name the process"
		if !r.OS.Known() {
			e.say("%s, nor the system it ran on", who)
			return
		}
	} else if r.PID != 0 {
		who += fmt.Sprintf(" [%d]", r.PID)
	}
	if r.Version != "" {
		who += ", version " + clip(r.Version, 40)
	}
	if r.OSText != "" {
		who += ", on " + clip(r.OSText, 60)
	} else if r.OS.Known() {
		who += fmt.Sprintf("; the words around it speak of %s", r.OS)
	}
	if r.Hardware != "" {
		who += ", " + clip(r.Hardware, 40)
	}
	if r.Translated == Yes {
		who += ", translated by Rosetta"
	}
	switch {
	case r.Shape == ShapeLog && r.Repeats > 1:
		e.say("%d lines of the kernel's log about %s", r.Repeats, who)
	case r.Shape == ShapeLog:
		e.say("a line of the kernel's log about %s", who)
	default:
		e.say("%s", who)
	}
}

// decode fills in what the numbers mean.
func (e *explainer) decode() {
	r, g, f := e.r, &e.g, &e.f
	switch {
	case g.haveCode:
		e.x = rules.Explain(g.code, g.payload, r.OS)
		c := g.code
		f.Code = &c
		if g.proven {
			e.say("%s is %s", g.source, g.code)
		} else {
			e.say("the code %s is put together from %s", g.code, g.source)
		}
	case g.rule != nil:
		e.x = rules.Explain(g.rule.Code(0), g.payload, r.OS)
		e.x.Sentence, e.x.Target, e.x.Case = g.rule.Happened, "", nil
		e.x.Others = nil
		e.say("the report names %s; the code and the target are not in it", r.Exception.Violations[0])
	default:
		e.unknown()
		return
	}
	x := &e.x
	if x.Level == nil {
		x.Level = r.Level
	}
	f.Rule, f.Message, f.Remedy, f.KillsFrom, f.Level = g.typ.String(), x.Sentence, x.Remedy, x.KillsFrom, x.Level
	if x.Rule != nil {
		f.Rule, f.Help = x.Rule.Name, x.Rule.Help()
	}
	if g.payload != nil {
		f.Payload = fmt.Sprintf("0x%016x", *g.payload)
	}
	if g.haveCode {
		f.Arguments = e.arguments(x)
	} else if g.payload != nil {
		f.Arguments = map[string]string{"payload": f.Payload}
	}
}

// numbers says what the target and the payload are.
func (e *explainer) numbers() {
	r, x := e.r, &e.x
	if x.Target != "" {
		e.say("target: %s", x.Target)
	}
	if x.PayloadText != "" {
		e.say("payload: %s", x.PayloadText)
	}
	if r.Repeats > 1 && len(r.Targets) > 1 {
		var names []string
		for _, t := range r.Targets {
			names = append(names, fmt.Sprintf("%#x", t))
		}
		e.say("the lines name the targets %s", strings.Join(names, ", "))
	}
	if r.own != nil {
		for _, n := range r.own.Notes {
			e.say("%s", clip(n, 300))
		}
	}
	for _, n := range r.Notes {
		e.say("the report notes: %s", clip(n, 200))
	}
}

// others gives the readings of other releases, where the text does not tell the release.
func (e *explainer) others() {
	if e.r.OS.Known() {
		return
	}
	for i, o := range e.x.Others {
		if i == 2 {
			break
		}
		e.say("in %s the same number means %s: %s", o.When, o.Name, strings.TrimSuffix(o.Sentence, "."))
	}
}

// arguments gives the decoded numbers for programs that read the JSON.
func (e *explainer) arguments(x *rules.Explanation) map[string]string {
	args := map[string]string{"target": fmt.Sprintf("%#x", e.g.code.Target())}
	if e.g.payload != nil {
		args["payload"] = e.f.Payload
	}
	if x.Rule != nil && x.Rule.Target == rules.TargetBehavior && e.g.code.Target() != 0 {
		args["behavior"] = mach.ExceptionBehavior(e.g.code.Target()).String()
		if e.g.payload != nil {
			args["exception_mask"] = mach.ExceptionMask(uint32(*e.g.payload)).String()
		}
	}
	return args
}

// unknown explains a guard of which the text tells too little.
func (e *explainer) unknown() {
	g, f := &e.g, &e.f
	f.Rule = "EXC_GUARD"
	if g.typ != 0 {
		f.Rule = g.typ.String()
		f.Message = fmt.Sprintf("The process violated a guard on %s; which one, the text does not tell.", g.typ.Thing())
	} else {
		f.Message = "The process violated a guard; of what kind, the text does not tell."
	}
	f.Help = rules.HelpPage
	if len(e.r.Exception.Violations) > 0 {
		e.say("the text names %q, which no public table knows", clip(e.r.Exception.Violations[0], 60))
	}
	if e.r.Shape == ShapeMinidump {
		e.say("minidumps of Crashpad and Breakpad keep the exception's type, 12, and lose the code")
	}
	if e.r.RouteGuard {
		e.say("the header's sroute_id is 12: a Mach-port guard")
	}
	f.Remedy = "Find the system's own report of the crash (Console, Crash Reports, or Settings, Privacy, Analytics Data): its " +
		"Termination Reason has the code, a number that begins with 2305843 for Mach ports."
}

// killed reports whether the process was ended by this.
func (e *explainer) killed() bool {
	r := e.r
	if r.Simulated == Yes || e.g.typ == rules.GuardUser && r.Termination.Namespace != "GUARD" {
		return false
	}
	if e.x.Class == rules.Soft {
		return false
	}
	switch r.Shape {
	case ShapeLog, ShapeDebugger:
		return e.x.Class == rules.Fatal && e.g.typ == rules.GuardMachPort
	case ShapeMinidump:
		return true
	}
	switch {
	case r.Termination.Namespace == "GUARD", r.Exception.Signal == "SIGKILL", r.BugType == "309", r.BugType == "109",
		!r.partial && r.Shape != ShapeDescription, r.FaultingThread() != nil:
		return true
	}
	return e.x.Class == rules.Fatal
}
