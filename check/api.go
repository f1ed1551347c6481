package check

import (
	"slices"

	"portcullis.dev/check/flow"
	"portcullis.dev/mach"
	"portcullis.dev/rules"
)

// api is a function of the system whose calls a restriction judges.
type api struct {
	args  int // leading arguments to recover
	judge func(*site) []verdict
	// taken is the rule at stake where a program takes the function's address instead of calling it; "" where that
	// alone says too little to tell anybody.
	taken  string
	effort effort
}

// effort is how much work finding out about a call is worth.
type effort uint8

const (
	thorough effort = iota // whatever it takes
	bounded                // callers are asked, but no huge functions are followed
	local                  // judged by what the function that makes the call tells: every program makes many of these
)

// Names of the rules that calls are judged by.
const (
	setBehavior    = "SET_EXCEPTION_BEHAVIOR"
	threadSetState = "THREAD_SET_STATE"
	mpoEntitlement = "INVALID_MPO_ENTITLEMENT"
	invalidOptions = "INVALID_OPTIONS"
)

// catalog holds the functions by symbol, without the leading underscore of C. What is not in it is never looked for;
// what is in it is judged by its arguments, for hardly any of these functions is forbidden as such.
//
// Source: XNU's .defs files and osfmk/ipc/ipc_policy.c for who is judged; the order of arguments is that of the
// user-side declarations (task.defs, thread_act.defs, mach_host.defs, spawn.h, mach_traps.h).
var catalog = map[string]api{
	"task_set_exception_ports":    {5, usual(ownTask).judge, setBehavior, thorough},
	"task_swap_exception_ports":   {5, usual(ownTask).judge, setBehavior, thorough},
	"thread_set_exception_ports":  {5, usual(ownThread).judge, setBehavior, thorough},
	"thread_swap_exception_ports": {5, usual(ownThread).judge, setBehavior, thorough},
	"host_set_exception_ports":    {5, usual(theHost).judge, setBehavior, thorough},
	"host_swap_exception_ports":   {5, usual(theHost).judge, setBehavior, thorough},
	"task_register_hardened_exception_handler": {6, exceptionPorts{
		target: ownTask, mask: 2, behavior: 3, flavor: 4, port: 5, hardened: true}.judge, setBehavior, thorough},
	"posix_spawnattr_setexceptionports_np": {5, usual(spawned).judge, setBehavior, thorough},

	"thread_set_state": {2, judgeThreadSetState, threadSetState, thorough},
	"act_set_state":    {2, judgeThreadSetState, threadSetState, thorough},

	"mach_port_construct": {2, judgeConstruct, "", thorough},

	"mach_msg_trap":           {2, judgeLegacyTrap, "", thorough},
	"mach_msg_overwrite_trap": {2, judgeLegacyTrap, "", thorough},

	"mach_msg":           {5, judgeMessage(viaLibrary), "", bounded},
	"mach_msg_overwrite": {5, judgeMessage(viaLibrary), "", bounded},
	"mach_msg2_internal": {8, judgeMessage(viaMsg2), "", bounded},
	"mach_msg2_trap":     {8, judgeMessage(viaMsg2), "", bounded},

	"exception_raise":                     {1, judgeForward, "", local},
	"exception_raise_state":               {1, judgeForward, "", local},
	"exception_raise_state_identity":      {1, judgeForward, "", local},
	"mach_exception_raise":                {1, judgeForward, "", local},
	"mach_exception_raise_state":          {1, judgeForward, "", local},
	"mach_exception_raise_state_identity": {1, judgeForward, "", local},

	"mach_port_deallocate": {2, judgePinned(releaseOne), "", local},
	"mach_port_mod_refs":   {4, judgePinned(releaseSome), "", local},
	"mach_port_destroy":    {2, judgePinned(releaseAll), "", bounded},
}

// byTrap names the function that a system call is judged as.
func byTrap(number flow.Value, cpu string) (symbol string, ok bool) {
	n, ok := number.Trunc(32).Const()
	if !ok {
		return "", false
	}
	trap := int32(n)
	if cpu == "x86_64" {
		const machClass = 0x01000000
		if n&^0xffffff != machClass {
			return "", false
		}
		trap = -int32(n & 0xffffff)
	}
	if trap >= 0 {
		return "", false
	}
	name, ok := mach.TrapName(trap)
	if !ok {
		return "", false
	}
	_, ok = catalog[name]
	return "_" + name, ok
}

// travels tells whether callers are asked where the arguments of a call come from.
func (a api) travels() bool { return a.effort != local }

// lookup finds a symbol of the file in the catalog.
func lookup(symbol string) (api, bool) {
	if len(symbol) < 2 || symbol[0] != '_' {
		return api{}, false
	}
	a, ok := catalog[symbol[1:]]
	return a, ok
}

// wanted is the question that check asks the flow engine.
func wanted(symbol string) (args int, ok bool) {
	a, ok := lookup(symbol)
	return a.args, ok
}

// site is one call to judge.
type site struct {
	call  flow.Call
	cpu   string // arm64 or x86_64
	macOS bool
}

// whole returns an argument with all its bits.
func (s *site) whole(i int) flow.Value {
	if i >= len(s.call.Args) {
		return flow.Value{}
	}
	return s.call.Args[i]
}

// arg returns an argument cut to the 32 bits that every argument judged here has.
func (s *site) arg(i int) flow.Value {
	if i >= len(s.call.Args) {
		return flow.Value{}
	}
	return s.call.Args[i].Trunc(32)
}

// kind of process that a call acts upon, whose level decides.
type target uint8

const (
	ownTask   target = iota // the first argument is a task port
	ownThread               // the first argument is a thread port
	theHost                 // judged whatever the level
	spawned                 // a program that is started later
)

// own tells whether a port argument is proven to be one of this very process.
func (t target) own(v flow.Value) bool {
	switch t {
	case ownTask:
		return all(v, isTaskSelf)
	case ownThread:
		return all(v, isThreadSelf)
	}
	return false
}

// all tells whether f is true for whatever a value can be.
func all(v flow.Value, f func(flow.Source) bool) bool {
	sources := v.Sources()
	return v.Complete() && len(sources) > 0 && !slices.ContainsFunc(sources, func(s flow.Source) bool { return !f(s) })
}

// isTaskSelf recognises what mach_task_self() reads or returns. A pointer that the function loaded, such as the slot
// of the global mach_task_self_, shows as a field at 0 behind the symbol's address.
func isTaskSelf(s flow.Source) bool {
	if s.Offset != 0 {
		return false
	}
	switch s.Kind {
	case flow.KindResult:
		return s.Symbol == "_mach_task_self" || s.Symbol == "_task_self_trap"
	case flow.KindField:
		return s.Field == 0 && s.Base != nil && s.Base.Kind == flow.KindAddr && s.Base.Offset == 0 &&
			s.Base.Symbol == "_mach_task_self_"
	}
	return false
}

// isThreadSelf recognises the thread ports that a process gets of its own threads.
func isThreadSelf(s flow.Source) bool {
	if s.Offset != 0 {
		return false
	}
	switch s.Kind {
	case flow.KindResult:
		switch s.Symbol {
		case "_mach_thread_self", "_thread_self_trap", "_pthread_mach_thread_np":
			return true
		}
	case flow.KindOut:
		return s.Symbol == "_thread_create" && s.Index == 1 && s.Field == 0
	}
	return false
}

// mustRule returns a row of the table; that the names used here exist is tested.
func mustRule(name string) *rules.Rule {
	r, ok := rules.ByName(name)
	if !ok {
		panic("check: no rule " + name)
	}
	return r
}

// killsFrom returns the level from which one case of a rule kills; "" stands for the rule as a whole.
func killsFrom(r *rules.Rule, id string) rules.Level {
	if id == "" {
		return r.KillsFrom
	}
	c, ok := r.Case(id)
	if !ok {
		panic("check: rule " + r.Name + " has no case " + id)
	}
	return c.KillsFrom
}
