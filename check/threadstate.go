package check

import (
	"fmt"

	"portcullis.dev/check/flow"
	"portcullis.dev/mach"
)

const keyThreadSetState = "com.apple.private.thread-set-state"

// judgeThreadSetState judges thread_set_state and act_set_state. Only flavors that hold the program counter are
// restricted, and not while the thread waits in an exception of its own process, which is how in-process exception
// handlers use the call; that cannot be told from the call alone.
//
// Source: XNU osfmk/kern/thread_act.c, thread_set_state_allowed and act_set_state_from_user.
func judgeThreadSetState(s *site) []verdict {
	thread, flavor := s.arg(0), s.arg(1)
	if s.call.Symbol == "_act_set_state" && all(thread, isCurrentThread) {
		return nil // refused with an error: no thread sets its own state this way
	}
	set, complete := flavor.Consts()
	var hits []uint64
	for _, c := range set {
		if mach.ThreadFlavorSetsRegisters(s.cpu, uint32(c)) {
			hits = append(hits, c)
		}
	}
	if complete && len(hits) == 0 {
		return nil
	}
	r := mustRule(threadSetState)
	v := verdict{
		rule:      r,
		killsFrom: killsFrom(r, "registers"),
		waiver:    keyThreadSetState,
		arguments: map[string]string{
			"thread": thread.String(),
			"flavor": describe(flavor),
		},
	}
	p := &proof{}
	p.see("flavor", flavor)
	p.see("thread", thread)
	own := ownThread.own(thread)
	if !own {
		p.doubt("the call is allowed while the thread waits in an exception that its own process handles, and it is " +
			"not known where the thread comes from: " + thread.String())
	} else if !all(thread, isRunnable) {
		p.doubt("the call is allowed while the thread waits in an exception that its own process handles")
	}
	v.confidence = p.confidence(complete && len(hits) == len(set), own && len(hits) > 0)
	v.evidence = p.facts()
	if len(hits) > 0 {
		v.message = fmt.Sprintf("changes the registers of a thread (%s)", flavorName(s.cpu, hits[0]))
	} else {
		v.message = "may change the registers of a thread: the flavor could not be recovered: " + flavor.String()
	}
	if c, ok := flavor.Const(); ok {
		code := v.rule.Code(uint32(c))
		v.code = &code
		v.payload = "0x0"
	}
	return []verdict{v}
}

// isCurrentThread recognises the port of the thread that makes the call: what mach_thread_self returned to a function
// that is still running. What was kept may be that of another thread.
func isCurrentThread(s flow.Source) bool {
	return isThreadSelf(s) && !s.Kept && (s.Symbol == "_mach_thread_self" || s.Symbol == "_thread_self_trap")
}

// isRunnable recognises ports of threads that are not waiting in an exception: the one that makes the call, and those
// just made by thread_create, which have not run yet. What pthread_mach_thread_np returns can be any thread of the
// process.
func isRunnable(s flow.Source) bool {
	return isCurrentThread(s) || s.Kind == flow.KindOut && isThreadSelf(s) && !s.Kept
}

// flavorName names a thread-state flavor as XNU's headers do.
func flavorName(cpu string, flavor uint64) string {
	if name, ok := mach.ThreadFlavorName(cpu, uint32(flavor)); ok {
		return name
	}
	return fmt.Sprintf("flavor %d", flavor)
}
