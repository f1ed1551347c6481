package check

import (
	"portcullis.dev/check/flow"
)

// judgeForward judges the kernel's own stubs for raising exceptions. They declare their message to be for a kernel
// object, and the handlers that exceptions are forwarded to are ports of processes.
//
// Source: XNU osfmk/ipc/ipc_policy.c, ipc_validate_kmsg_dest_from_user; the stubs are those of libsystem_kernel.
func judgeForward(s *site) []verdict {
	port := s.arg(0)
	if never(port, isPort) {
		return nil
	}
	r := mustRule(invalidOptions)
	v := verdict{
		rule: r, killsFrom: killsFrom(r, "options"),
		arguments: map[string]string{"exception_port": describe(port)},
		message: "raises an exception with the system's stub, which declares the message to be for a kernel object; " +
			"handlers of exceptions are none",
	}
	p := &proof{}
	p.see("exception_port", port)
	k := kindsOf(port)
	plain := k.all(portKind.plain)
	if !plain {
		p.doubt("a null port would be harmless, and so would the kernel's own handler: " + port.String())
	}
	v.restores = fromTable(port)
	v.confidence = p.confidence(plain, k.some(portKind.plain))
	v.evidence = p.facts()
	return []verdict{v}
}

// judgePinned judges the calls that give up a reference to a port, where that port is one of the program's own control
// ports, whose last reference must stay.
//
// Source: XNU osfmk/ipc/ipc_right.c, ipc_right_dealloc, ipc_right_destroy and ipc_right_delta; ipc_policy.c,
// mach_port_guard_exception_pinned.
func judgePinned(how release) func(*site) []verdict {
	return func(s *site) []verdict {
		name := s.arg(1)
		k := kindsOf(name)
		borrowed := func(k portKind) bool { return k == portTaskSelf }
		if how == releaseAll {
			borrowed = func(k portKind) bool { return k == portTaskSelf || k == portThread }
		}
		if !k.some(borrowed) && !all(name, isPthreadPort) || !ownTask.own(s.arg(0)) {
			return nil
		}
		if how == releaseSome {
			right, ok := s.arg(2).Const()
			delta, less := s.arg(3).Const()
			if !ok || !less || right != 0 || int32(delta) >= 0 {
				return nil
			}
		}
		r := mustRule("MOD_REFS")
		v := verdict{rule: r, killsFrom: killsFrom(r, "pinned"), payload: "0x1",
			arguments: map[string]string{"name": describe(name)},
			message:   "gives up a reference to the program's own task or thread port that it does not own"}
		p := &proof{}
		p.see("name", name)
		if how == releaseAll {
			v.payload = "0x2"
			v.message = "destroys the name of the program's own task or thread port"
			if !k.all(is(portTaskSelf)) {
				p.doubt("ports of threads are pinned only where the thread is a pthread")
			}
		} else {
			p.doubt("references that were taken elsewhere may make up for it")
		}
		v.confidence = p.confidence(k.all(borrowed), true)
		v.evidence = p.facts()
		return []verdict{v}
	}
}

// release is how a call gives up references.
type release uint8

const (
	releaseOne  release = iota // mach_port_deallocate
	releaseSome                // mach_port_mod_refs
	releaseAll                 // mach_port_destroy
)

// isPthreadPort recognises thread ports that come without a reference.
func isPthreadPort(s flow.Source) bool {
	return s.Kind == flow.KindResult && s.Offset == 0 && s.Symbol == "_pthread_mach_thread_np"
}
