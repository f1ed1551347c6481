package check

import (
	"slices"

	"portcullis.dev/check/flow"
	"portcullis.dev/mach"
)

// portKind says what stands behind a port name, as far as its origin tells.
type portKind uint8

const (
	portUnknown   portKind = iota
	portNull               // MACH_PORT_NULL or MACH_PORT_DEAD
	portTaskSelf           // the task's own control port
	portThread             // the control port of one of its threads
	portHost               // the host
	portKernel             // another object of the kernel
	portPlain              // an ordinary port whose receive right the program holds
	portReply              // a real reply port
	portWeakReply          // a weak reply port
	portSpecial            // a special reply port
	portException          // built as an exception port
	portArray              // built to receive port arrays
	portImmovable          // built with a receive right that stays
	portBootstrap          // launchd's bootstrap port
	portService            // what bootstrap_look_up found
	portTimer              // a kernel timer
)

// kernel tells whether a message to it is a call of the kernel.
func (k portKind) kernel() bool {
	return k == portTaskSelf || k == portThread || k == portHost || k == portKernel
}

// plain tells whether it is no reply port of any kind but a valid port.
func (k portKind) plain() bool {
	switch k {
	case portPlain, portException, portArray, portImmovable:
		return true
	}
	return false
}

// resultKinds maps functions of the system to the kind of port that they return.
var resultKinds = map[string]portKind{
	"_mach_task_self": portTaskSelf, "_task_self_trap": portTaskSelf,
	"_mach_thread_self": portThread, "_thread_self_trap": portThread, "_pthread_mach_thread_np": portThread,
	"_mach_host_self": portHost, "_host_self_trap": portHost,
	"_mach_reply_port": portPlain, "_mig_get_reply_port": portReply, "_thread_get_special_reply_port": portSpecial,
	"_mk_timer_create": portTimer, "_IOServiceGetMatchingService": portKernel,
}

// outKinds does the same for ports that are stored through a pointer argument.
var outKinds = map[string]portKind{
	"_task_for_pid": portKernel, "_task_name_for_pid": portKernel, "_thread_create": portThread,
	"_thread_create_running": portThread, "_semaphore_create": portKernel, "_host_get_clock_service": portKernel,
	"_mach_make_memory_entry_64": portKernel, "_task_create_identity_token": portKernel,
	"_bootstrap_look_up": portService,
}

// kindOf classifies one origin.
func kindOf(s flow.Source) portKind {
	if s.Offset != 0 {
		return portUnknown
	}
	switch s.Kind {
	case flow.KindConst:
		if c := uint32(s.Const); c == uint32(mach.NullName) || c == uint32(mach.DeadName) {
			return portNull
		}
	case flow.KindResult:
		return resultKinds[s.Symbol]
	case flow.KindField:
		if b := s.Base; s.Field == 0 && b != nil && b.Kind == flow.KindAddr && b.Offset == 0 {
			switch b.Symbol {
			case "_mach_task_self_":
				return portTaskSelf
			case "_bootstrap_port":
				return portBootstrap
			}
		}
	case flow.KindOut:
		if s.Field != 0 {
			return portUnknown
		}
		switch s.Symbol {
		case "_mach_port_allocate":
			if s.Const&flow.MadeKnown != 0 && uint32(s.Const) == uint32(mach.RightReceive) {
				return portPlain
			}
		case "_mach_port_construct":
			if s.Const&flow.MadeKnown != 0 {
				return constructed(mach.ConstructFlags(s.Const))
			}
		case "_task_get_special_port":
			const bootstrap = 4 // TASK_BOOTSTRAP_PORT
			if s.Const == flow.MadeKnown|bootstrap {
				return portBootstrap
			}
		default:
			return outKinds[s.Symbol]
		}
	}
	return portUnknown
}

// constructed is what mach_port_construct makes in a process at level 1 or above.
func constructed(f mach.ConstructFlags) portKind {
	switch f & mach.ConstructTypeMask {
	case mach.ReplyPort:
		return portReply
	case mach.WeakReplyPort:
		return portWeakReply
	case mach.ExceptionPort:
		return portException
	case mach.ConnectionPortWithPortArray:
		return portArray
	case 0:
		if f&mach.ImmovableReceive != 0 {
			return portImmovable
		}
		return portPlain
	}
	return portUnknown
}

// kinds lists what a port can be. Complete is false where it may be something else as well.
type kinds struct {
	set      []portKind
	complete bool
}

func kindsOf(v flow.Value) kinds {
	k := kinds{complete: v.Complete()}
	for _, s := range v.Sources() {
		if x := kindOf(s); x == portUnknown {
			k.complete = false
		} else if !slices.Contains(k.set, x) {
			k.set = append(k.set, x)
		}
	}
	return k
}

// all tells whether the port is proven to be of a kind that f accepts.
func (k kinds) all(f func(portKind) bool) bool {
	return k.complete && len(k.set) > 0 && !slices.ContainsFunc(k.set, func(x portKind) bool { return !f(x) })
}

// some tells whether the port can be of a kind that f accepts, on a way that is proven.
func (k kinds) some(f func(portKind) bool) bool { return slices.ContainsFunc(k.set, f) }

func is(kind portKind) func(portKind) bool { return func(k portKind) bool { return k == kind } }
