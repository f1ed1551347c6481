package crash

import (
	"fmt"

	"portcullis.dev/rules"
)

// guard is what a report says about the guard that was violated, put together from all the places that speak of it.
type guard struct {
	code     rules.Code
	haveCode bool
	payload  *uint64
	rule     *rules.Rule // where only the name is known; nil where the code tells, or nothing does
	typ      rules.GuardType
	source   string   // where the code stood
	doubts   []string // places that contradict each other, and what was put together from parts
	proven   bool     // the code stands in the report as a whole
}

// codeMask covers the part of a guard code that survives in the first exception code of a crash report. ReportCrash
// prints signal << 24 | exception type << 20 | code & 0xfffff there.
const codeMask = 0xfffff

// guard finds the guard code. The termination code is the whole code on every system that prints one, so it decides;
// the exception codes are whole only in debuggers, in the kernel's log and in reports of OS X 10.10 and older. The name
// of the violation decides where no number does.
func (r *Report) guard() guard {
	var g guard
	x := &r.Exception
	g.typ = x.guardType()
	if len(x.Violations) > 0 {
		g.rule, _ = rules.ByName(x.Violations[0])
	}
	switch {
	case r.Termination.Namespace == "GUARD" && r.Termination.HaveCode && rules.Code(r.Termination.Code).Type() != 0:
		g.set(rules.Code(r.Termination.Code), "the termination code")
	case len(x.Codes) > 0 && rules.Code(x.Codes[0]).Type() != 0:
		source := "the first exception code"
		switch r.Shape {
		case ShapeLog:
			source = "the kernel's log"
		case ShapeDebugger:
			source = "the debugger's stop reason"
		}
		g.set(rules.Code(x.Codes[0]), source)
	case g.rule != nil && x.Port != nil:
		if g.typ == 0 || g.typ == g.rule.Guard {
			g.set(g.rule.Code(uint32(*x.Port)), "the name of the violation and its target")
			g.proven = false
		}
	case g.typ == rules.GuardUser && x.Port != nil, g.typ == rules.GuardRejectedSC && x.Port != nil:
		g.set(rules.MakeCode(g.typ, 0, uint32(*x.Port)), "the exception message")
		g.proven = false
	case g.rule != nil && g.rule.Target == rules.TargetUnused:
		g.set(g.rule.Code(0), "the name of the violation")
		g.proven = false
	}
	if g.haveCode {
		g.typ = g.code.Type()
	} else if g.rule != nil {
		g.typ = g.rule.Guard
	} else if g.typ == 0 && r.RouteGuard {
		g.typ = rules.GuardMachPort
	}
	if g.rule != nil && g.rule.Guard != g.typ {
		g.rule = nil
	}
	g.payload = x.Payload
	if g.payload == nil && len(x.Codes) > 1 {
		g.payload = &x.Codes[1]
	}
	g.crossCheck(r)
	return g
}

func (g *guard) set(c rules.Code, source string) {
	g.code, g.haveCode, g.source, g.proven = c, true, source, true
}

// crossCheck compares the code with everything else that the report says.
func (g *guard) crossCheck(r *Report) {
	x := &r.Exception
	if !g.haveCode {
		return
	}
	doubt := func(format string, args ...any) { g.doubts = append(g.doubts, fmt.Sprintf(format, args...)) }
	if t := x.guardType(); t != 0 && t != g.typ {
		doubt("the report names the guard type %s, but %s %s is of type %s", x.Subtype, g.source, g.code, g.typ)
	}
	if len(x.Codes) > 0 && g.source != "the first exception code" && r.Shape != ShapeLog && r.Shape != ShapeDebugger &&
		r.Shape != ShapeSentry && r.Shape != ShapeMetricKit {
		c := rules.Code(x.Codes[0])
		switch {
		case c.Type() != 0 && c != g.code:
			doubt("the first exception code %s differs from %s %s, which is taken", c, g.source, g.code)
		case c.Type() == 0 && uint64(c)&codeMask != uint64(g.code)&codeMask:
			doubt("the low 20 bits of the first exception code %#x do not match %s %s, which is taken", uint64(c), g.source,
				g.code)
		}
	}
	if g.proven && len(x.Violations) > 0 {
		switch named, ok := rules.ByName(x.Violations[0]); {
		case ok && named.Guard == g.typ && !sameRule(named, g.code, r.OS):
			doubt("the report names %s, but %s %s means another violation", x.Violations[0], g.source, g.code)
		case !ok:
			doubt("the name %q in the report is not known; the code is taken", clip(x.Violations[0], 60))
		}
	}
	if g.proven && x.Port != nil && uint32(*x.Port) != g.code.Target() {
		doubt("the report gives the target as %d, but in %s it is %d", *x.Port, g.source, g.code.Target())
	}
	if x.Payload != nil && len(x.Codes) > 1 && *x.Payload != x.Codes[1] && x.Codes[1] != 0 {
		doubt("the report gives the payload as %#x in words and as %#x in the second exception code", *x.Payload, x.Codes[1])
	}
}

// sameRule reports whether a code means a rule, in the release the report is from or in any other.
func sameRule(named *rules.Rule, c rules.Code, os rules.OS) bool {
	e := rules.Explain(c, nil, os)
	if e.Rule == nil || e.Rule == named {
		return e.Rule != nil
	}
	for _, o := range e.Others {
		if o.Rule == named {
			return true
		}
	}
	return false
}
