package check

import (
	"fmt"
	"strings"

	"portcullis.dev/check/flow"
	"portcullis.dev/mach"
)

// Entitlements that decide over exception ports. Source: XNU osfmk/kern/ipc_tt.c, set_exception_behavior_violation.
const (
	keySetExceptionPort = "com.apple.private.set-exception-port"
	keyOnlyOnePort      = "com.apple.security.only-one-exception-port"
)

// exceptionPorts judges the calls that register exception ports: where their arguments stand.
type exceptionPorts struct {
	target                       target
	mask, port, behavior, flavor int
	hardened                     bool // task_register_hardened_exception_handler
}

// usual is where the arguments of most of them stand.
func usual(t target) exceptionPorts {
	return exceptionPorts{target: t, mask: 1, port: 2, behavior: 3, flavor: 4}
}

// judge mirrors the order in which the kernel validates the call (XNU osfmk/kern/ipc_tt.c,
// set_exception_ports_validation): what it refuses with an error before it comes to the behavior kills nobody.
func (e exceptionPorts) judge(s *site) []verdict {
	port, behavior, mask := s.arg(e.port), s.arg(e.behavior), s.arg(e.mask)
	flavor := s.arg(e.flavor)
	base := verdict{
		rule: mustRule(setBehavior),
		arguments: map[string]string{
			"exception_mask": describe(mask),
			"new_port":       describe(port),
			"behavior":       describe(behavior),
			"flavor":         describe(flavor),
		},
	}
	base.killsFrom = killsFrom(base.rule, "behavior")
	if e.target == theHost {
		base.killsFrom = killsFrom(base.rule, "host")
	}
	only := e.onlyOnePort(s, base, mask, port)
	if never(port, isPort) {
		return only // a null or dead port takes handlers away
	}
	sort := sortBehaviors(behavior)
	if len(sort.forbidden) == 0 && sort.complete {
		return only
	}
	v := base
	v.waiver = keySetExceptionPort
	p := &proof{}
	p.see("behavior", behavior)
	if (port.MayBe(uint64(mach.NullName)) || port.MayBe(uint64(mach.DeadName))) && !isMadeHere(port) {
		p.see("new_port", port)
		p.doubt("a null port would be harmless, and the port is not proven to be valid: " + port.String())
	}
	if !maskValid(mask) {
		p.see("exception_mask", mask)
		p.doubt("a mask with unknown bits is refused before the behavior is looked at: " + mask.String())
	}
	if !flavorValid(s.cpu, flavor) {
		p.see("flavor", flavor)
		p.doubt("an unknown thread-state flavor is refused before the behavior is looked at: " + flavor.String())
	}
	what := s.arg(0)
	switch {
	case e.target == spawned:
		p.doubt("the level of the program that is started decides")
	case e.target == theHost:
		p.doubt("the call needs the host's privileged port")
	case !e.target.own(what):
		p.doubt("the level of the process whose port is the first argument decides: " + what.String())
	}
	if v.restores = fromTable(port); v.restores {
		p.doubt("the port is one of several that were kept, and those are null where nothing was registered before")
	}
	always := sort.complete && sort.allowed == 0
	// What is kept as zero is often replaced by a default, which is forbidden; but then the port is null as well.
	some := len(sort.forbidden) > 0 && (sort.complete || port.NonZero())
	v.confidence = p.confidence(always, some)
	v.evidence = p.facts()
	if c, ok := behavior.Const(); ok && len(sort.forbidden) == 1 {
		code := v.rule.Code(uint32(c))
		v.code = &code
		if m, ok := mask.Const(); ok {
			v.payload = fmt.Sprintf("%#x", m)
		}
	}
	v.message = behaviorMessage(e, sort, behavior)
	return append(only, v)
}

// onlyOnePort is the verdict for programs that declare that they have one hardened exception handler and no other
// exception port: there any other registration kills, even of a null port.
func (e exceptionPorts) onlyOnePort(s *site, base verdict, mask, port flow.Value) []verdict {
	if e.hardened || e.target == theHost || e.target == spawned {
		return nil
	}
	v := base
	v.needs = keyOnlyOnePort
	v.waiver = keySetExceptionPort
	v.killsFrom = killsFrom(v.rule, "only-one-exception-port")
	p := &proof{}
	p.see("new_port", port)
	if !maskValid(mask) {
		p.doubt("a mask with unknown bits is refused first: " + mask.String())
	}
	if what := s.arg(0); !e.target.own(what) {
		p.doubt("the process whose port is the first argument decides: " + what.String())
	}
	v.confidence = p.confidence(true, true)
	v.evidence = p.facts()
	v.message = "registers an exception port although the program declares " + keyOnlyOnePort
	return []verdict{v}
}

// behaviors is the set of behaviors a call may pass, sorted by what the kernel makes of them.
type behaviors struct {
	forbidden []mach.ExceptionBehavior
	allowed   int // allowed, or refused with an error and no kill
	complete  bool
}

func sortBehaviors(v flow.Value) behaviors {
	set, complete := v.Consts()
	out := behaviors{complete: complete}
	for _, c := range set {
		b := mach.ExceptionBehavior(c)
		switch b &^ mach.ExceptionFlagMask {
		case mach.ExceptionDefault, mach.ExceptionStateIdentity:
			// The kernel asks for 64-bit codes before it asks for a secure behavior.
			if b&mach.MachExceptionBacktracePreferred != 0 && b&mach.MachExceptionCodes == 0 {
				out.allowed++
				continue
			}
			out.forbidden = append(out.forbidden, b)
		default:
			out.allowed++
		}
	}
	return out
}

func behaviorMessage(e exceptionPorts, b behaviors, v flow.Value) string {
	who := map[target]string{ownTask: "a task", ownThread: "a thread", theHost: "the host", spawned: "a program it starts"}[e.target]
	if len(b.forbidden) == 0 {
		return fmt.Sprintf("registers exception ports for %s with a behavior that could not be recovered: %s", who, v)
	}
	names := make([]string, len(b.forbidden))
	for i, f := range b.forbidden {
		names[i] = f.String()
	}
	return fmt.Sprintf("registers exception ports for %s with %s, which hands out task and thread ports",
		who, strings.Join(names, " or "))
}

// isPort tells a port name that the kernel may find a port under: not null, not dead.
func isPort(c uint64) bool { return c != uint64(mach.NullName) && uint32(c) != uint32(mach.DeadName) }

// isMadeHere tells whether a port is proven to be one that the function itself created just before: it is valid unless
// the system is out of ports.
func isMadeHere(v flow.Value) bool {
	sources := v.Sources()
	if !v.Complete() || len(sources) == 0 {
		return false
	}
	for _, s := range sources {
		made := s.Kind == flow.KindOut && s.Offset == 0 && s.Field == 0 &&
			(s.Symbol == "_mach_port_allocate" && s.Index == 2 || s.Symbol == "_mach_port_construct" && s.Index == 3) ||
			s.Kind == flow.KindResult && s.Offset == 0 && s.Symbol == "_mach_reply_port"
		if !made {
			return false
		}
	}
	return true
}

// never tells whether a value is proven to be a constant for which f is false, on every path.
func never(v flow.Value, f func(uint64) bool) bool {
	set, complete := v.Consts()
	if !complete || len(set) == 0 {
		return false
	}
	for _, c := range set {
		if f(c) {
			return false
		}
	}
	return true
}

// fromTable tells whether a value is what an earlier call saved, or is loaded from one of several places, as in a loop
// over that.
func fromTable(v flow.Value) bool {
	places := 0
	for _, s := range v.Sources() {
		if r := root(s); r.Kind == flow.KindOut && strings.HasSuffix(r.Symbol, "_exception_ports") {
			return true
		}
		if s.Kind == flow.KindField || s.Kind == flow.KindOut {
			places++
		}
	}
	return places > 1
}

func maskValid(v flow.Value) bool {
	invalid := uint64(^mach.ExcMaskValid)
	if known, bits := v.KnownBits(); known&invalid == invalid && bits&invalid == 0 {
		return true
	}
	return never(v, func(c uint64) bool { return mach.ExceptionMask(c)&^mach.ExcMaskValid != 0 })
}

func flavorValid(cpu string, v flow.Value) bool {
	return never(v, func(c uint64) bool {
		_, ok := mach.ThreadFlavorName(cpu, uint32(c))
		return c != 0 && !ok
	})
}

// describe writes a value for the arguments of a finding: the numbers it can be, or what is known of where it comes from.
func describe(v flow.Value) string {
	set, complete := v.Consts()
	if !complete || len(set) == 0 {
		return v.String()
	}
	parts := make([]string, len(set))
	for i, c := range set {
		parts[i] = fmt.Sprintf("%#x", c)
	}
	return strings.Join(parts, " or ")
}
