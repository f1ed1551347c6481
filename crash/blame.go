package crash

import (
	"fmt"
	"strings"

	"portcullis.dev/finding"
	"portcullis.dev/rules"
)

// blame says whose call it was.
func (e *explainer) blame() {
	r, c := e.r, &e.c
	if e.t == nil {
		if len(r.Threads) > 0 && r.Faulting >= 0 {
			e.say("the faulting thread %d is not in the report", r.Faulting)
		}
		return
	}
	call := r.call(e.t)
	if s := call.String(); s != "" {
		e.say("%s", s)
	}
	if call.routine != "" && wrapper(c.callee) {
		c.callee, e.f.Callee = call.routine, call.routine
	}
	e.known()
	switch {
	case c.frame == nil:
		e.say("no frame of the faulting thread (%d) tells who made the call", e.t.Index)
	case c.origin == system:
		whose := "Apple's"
		if r.own != nil {
			whose = "the system's"
		}
		e.say("the whole stack of thread %d is %s; the outermost call that tells something is %s", e.t.Index, whose, c.place())
	default:
		made := "the call"
		if c.callee != "" {
			made += " of " + c.callee
		}
		if c.origin == unknownOrigin {
			e.say("%s came from %s", made, c.place())
		} else {
			e.say("%s came from %s: %s", made, c.place(), c.origin)
		}
		if c.program != nil {
			e.say("it was reached from %s of the program itself", (&culprit{frame: c.program}).place())
		}
	}
	if strings.HasPrefix(c.callee, "IOObjectRelease") || strings.HasPrefix(c.callee, "IOServiceClose") {
		e.say("an IOKit object was released twice: its name was already gone, or meant another port by then")
	}
	if x := r.ExtMods; x != nil && e.x.Rule != nil && e.x.Rule.Name == "THREAD_SET_STATE" && x.Caller.TaskForPID > 0 {
		e.say("the process used task_for_pid %d times and thread_create %d times: it works on other processes, as debuggers "+
			"and injectors do", x.Caller.TaskForPID, x.Caller.ThreadCreate)
	}
}

// known says which known software made the call, from the list of offenders and from stacks seen in public reports.
func (e *explainer) known() {
	c, told := &e.c, false
	if c.frame != nil && c.origin != system && e.x.Rule != nil {
		ev := rules.Evidence{Rule: e.x.Rule.Name, Function: c.frame.name()}
		if im := e.r.image(c.frame); im != nil {
			ev.InstallName, ev.BundleID, ev.BundleVersion = im.Path, im.BundleID, im.Version
			if im.Path == "" {
				ev.InstallName = im.Name
			}
		}
		if m, ok := rules.MatchOffender(ev); ok && m.Verdict != rules.Harmless {
			e.f.SDK = &finding.SDK{Name: m.Name, Version: m.Version, FixedIn: m.FixedIn}
			if len(m.Sources) > 0 {
				e.f.SDK.Source = m.Sources[0].URL
			}
			if m.Does != "" {
				e.say("%s is known for this: %s", m.Name, m.Does)
				told = true
			}
		}
	}
	sig := matchSignature(e.t, *c)
	if sig == nil {
		return
	}
	if e.f.SDK == nil {
		sdk := sig.sdk
		e.f.SDK = &sdk
	}
	if sig.cause != "" && !told {
		e.say("%s", sig.cause)
	}
	if sig.advice != "" {
		e.f.Remedy = sig.advice + " " + e.f.Remedy
	}
}

// fatality says why the process died of it here, and what the report does not tell about that.
func (e *explainer) fatality() {
	r, x := e.r, &e.x
	if r.Simulated == Yes {
		e.say("this is not a crash: the report is of a simulated fault, and the process went on")
		return
	}
	if e.g.typ == rules.GuardUser && !e.f.KillsHere {
		e.say("faults that a process reports itself do not end it")
		return
	}
	if !e.f.KillsHere {
		switch {
		case r.Shape == ShapeLog && x.Class == rules.Optional:
			e.say("nothing says that the process died: the kernel logs this guard for every process, and ends only those at " +
				"level 1 and above, platform binaries, and all where task_exc_guard is set to be fatal")
		case r.Shape == ShapeLog, x.Class == rules.Optional:
			e.say("nothing says that the process died")
		}
		return
	}
	if x.Rule == nil {
		return
	}
	var known []string
	if r.Level != nil {
		s := fmt.Sprintf("the process ran at level %s", r.Level)
		if r.own != nil && r.own.DecidedBy != "" {
			s += ", from " + clip(r.own.DecidedBy, 200)
		}
		known = append(known, s)
	}
	const hardenedRuntime = 0x10000 // CS_RUNTIME, XNU osfmk/kern/cs_blobs.h
	if r.HaveCSFlags {
		if r.CSFlags&hardenedRuntime != 0 {
			known = append(known, "the program is signed with the hardened runtime")
		} else {
			known = append(known, "the program is signed without the hardened runtime")
		}
	}
	if r.FirstParty == Yes {
		known = append(known, "the report counts it as first party, which ad-hoc signed tools are too")
	}
	if r.ThirdParty == Yes {
		known = append(known, "it is a third-party app")
	}
	if r.SIP == "disabled" && x.Class != rules.Optional {
		known = append(known, "System Integrity Protection is disabled")
	}
	switch {
	case x.Class == rules.Optional:
		why := "why it was fatal here the report does not say: the level is not in it"
		if r.Level != nil {
			why = "optional guards are fatal from level 1 on, or where they are set to be"
		}
		if r.SIP == "disabled" {
			why = "it was fatal here perhaps because System Integrity Protection is disabled, which makes optional guards " +
				"fatal for all on some systems"
		} else if v := r.OS.Release(); v.Major >= 27 {
			why = "from macOS 27 on ordinary apps have been reported to die of this guard as well"
		}
		known = append([]string{why}, known...)
	case x.Class == rules.Fatal && x.KillsFrom > rules.LevelNone && x.KillsFrom != rules.Never && x.Level == nil:
		known = append([]string{fmt.Sprintf("this is fatal from level %s on; reports do not say the level, see portcullis "+
			"entitlements", x.KillsFrom)}, known...)
	case x.Class == rules.Fatal && x.KillsFrom == rules.LevelNone:
		known = append([]string{"this is fatal for every process"}, known...)
	}
	if len(known) > 0 {
		e.say("%s", strings.Join(known, "; "))
	}
}

// confirm says how to make sure.
func (e *explainer) confirm() {
	switch {
	case e.x.Rule == nil && !e.g.haveCode && e.g.rule == nil:
	case e.r.Shape == ShapeLog:
		e.say("to confirm: switch the suspected code off and see the lines stop (log stream --predicate 'eventMessage " +
			"CONTAINS \"EXC_GUARD\"')")
	case e.r.own != nil && e.c.frame != nil && e.c.frame.Line == 0:
		e.say("to learn the line: build %s with debug information", e.c.frame.Image)
	case e.c.frame != nil && e.c.frame.Symbol == "" && e.c.origin != anonymous:
		e.say("to confirm: portcullis explain --symbols with the program's dSYM names the function")
	case e.r.own != nil:
	case e.c.frame != nil && e.f.Callee != "" && e.g.typ == rules.GuardMachPort && e.c.origin != system && e.c.origin != anonymous:
		e.say("to confirm: portcullis check on %s, or a breakpoint on %s", e.c.frame.Image, e.f.Callee)
	}
}
