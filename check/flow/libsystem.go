package flow

import "strings"

// LibSystem knows the effects of functions of Apple's system library that stand around Mach calls: which never
// return, which fill memory, which write a result through a pointer. It is the default of [Model].
//
// Sources: the declarations in XNU's osfmk/mach/*.defs, mach_traps.h and ISO C. Counts that say how much of an array
// is written are taken at the largest the interface allows.
func LibSystem(symbol string) (Effect, bool) {
	e, ok := effects[symbol]
	if !ok {
		if s, cut := strings.CutPrefix(symbol, "__kernelrpc"); cut {
			e, ok = effects[strings.TrimSuffix(s, "_trap")]
		}
	}
	return e, ok
}

const (
	portBytes = 4
	// EXC_TYPES_COUNT is 14 entries; room for it to grow.
	exceptionArray = 32 * 4
)

var (
	pure  = Effect{}
	never = Effect{NoReturn: true}
	same  = Effect{Returns: 1}
)

func writes(arg, bytes int) Effect { return Effect{Writes: []Write{{arg, bytes, true}}} }

// saved is the effect of the calls that hand out the exception ports of before.
func saved(first int) Effect {
	var e Effect
	e.Writes = append(e.Writes, Write{first, exceptionArray, false}, Write{first + 1, 4, true})
	for i := 2; i <= 4; i++ {
		e.Writes = append(e.Writes, Write{first + i, exceptionArray, false})
	}
	return e
}

var effects = map[string]Effect{
	"_abort": never, "_exit": never, "__exit": never, "___stack_chk_fail": never, "___assert_rtn": never,
	"__Unwind_Resume": never, "___cxa_throw": never, "___cxa_rethrow": never, "_objc_exception_throw": never,
	"_objc_exception_rethrow": never, "__ZSt9terminatev": never, "___cxa_bad_cast": never, "_longjmp": never,
	"__longjmp": never, "_pthread_exit": never, "___cxa_call_unexpected": never, "__Unwind_RaiseException": never,
	"_swift_unexpectedError": never, "___cxa_throw_bad_array_new_length": never, "_abort_report_np": never,

	"_memcpy": {Copies: true, SizeArg: 2}, "_memmove": {Copies: true, SizeArg: 2},
	"___memcpy_chk": {Copies: true, SizeArg: 2}, "___memmove_chk": {Copies: true, SizeArg: 2},
	"_memset_pattern4": {Copies: true, SizeArg: 2, Pattern: 4}, "_memset_pattern8": {Copies: true, SizeArg: 2, Pattern: 8},
	"_memset_pattern16": {Copies: true, SizeArg: 2, Pattern: 16},
	"_memset":           {Fills: true, SizeArg: 2}, "___memset_chk": {Fills: true, SizeArg: 2},
	"_bzero": {Zeroes: true, SizeArg: 1}, "___bzero": {Zeroes: true, SizeArg: 1},

	"_malloc": {Allocates: true}, "__Znwm": {Allocates: true}, "__Znam": {Allocates: true},
	"_calloc": {Allocates: true, Zeroes: true},

	"_mach_task_self": pure, "_mach_thread_self": pure, "_mach_host_self": pure, "_mach_reply_port": pure,
	"_task_self_trap": pure, "_thread_self_trap": pure, "_host_self_trap": pure, "_mig_get_reply_port": pure,
	"_mig_put_reply_port": pure, "_mig_dealloc_reply_port": pure, "_pthread_self": pure,
	"_pthread_mach_thread_np": pure, "_getpid": pure, "_mach_error_string": pure, "_strlen": pure, "_strcmp": pure,
	"_strncmp": pure, "_memcmp": pure, "_free": pure, "_dlsym": pure,

	"_task_set_exception_ports": pure, "_thread_set_exception_ports": pure, "_host_set_exception_ports": pure,
	"_task_swap_exception_ports": saved(5), "_thread_swap_exception_ports": saved(5),
	"_host_swap_exception_ports": saved(5),
	"_task_get_exception_ports":  saved(2), "_thread_get_exception_ports": saved(2),
	"_host_get_exception_ports": saved(2), "_thread_set_state": pure, "_act_set_state": pure,
	"_mach_port_allocate":     {Writes: []Write{{2, portBytes, true}}, Made: 2},
	"_mach_port_construct":    {Writes: []Write{{3, portBytes, true}}, Made: 2, MadeBehind: true},
	"_mach_port_insert_right": pure, "_mach_port_deallocate": pure, "_mach_port_destroy": pure,
	"_mach_port_mod_refs": pure, "_mach_port_destruct": pure, "_mach_port_insert_member": pure,
	"_mach_port_move_member": pure, "_mach_port_set_attributes": pure, "_mach_port_guard": pure,
	"_mach_port_request_notification": writes(6, portBytes), "_bootstrap_look_up": writes(2, portBytes),
	"_bootstrap_check_in": writes(2, portBytes), "_task_get_special_port": {Writes: []Write{{2, portBytes, true}}, Made: 2},
	"_thread_get_special_port": writes(2, portBytes), "_host_get_special_port": writes(3, portBytes),
	"_task_for_pid": writes(2, portBytes), "_task_name_for_pid": writes(2, portBytes), "_pid_for_task": writes(1, 4),
	"_semaphore_create": writes(1, portBytes), "_thread_create": writes(1, portBytes),
	"_task_create_identity_token":    writes(1, portBytes),
	"_thread_get_special_reply_port": pure, "_mk_timer_create": pure, "_mk_timer_arm": pure, "_mk_timer_destroy": pure,
	"_mach_ports_register": pure, "_thread_create_running": writes(4, portBytes), "_thread_terminate": pure,
	"_thread_resume": pure, "_thread_suspend": pure, "_task_terminate": pure, "_usleep": pure, "_sleep": pure,
	"_printf": pure, "_fprintf": pure, "_puts": pure, "_perror": pure, "_strerror": pure, "_exception_raise": pure,
	"_objc_retain": same, "_objc_retainAutorelease": same, "_objc_retainAutoreleasedReturnValue": same,
	"_objc_unsafeClaimAutoreleasedReturnValue": same, "_objc_autoreleaseReturnValue": same,
	"_objc_retainAutoreleaseReturnValue": same, "_objc_opt_self": same, "_swift_retain": same,
	"_swift_bridgeObjectRetain": same, "_swift_unknownObjectRetain": same,
	"_objc_release": pure, "_objc_autorelease": same, "_posix_spawnattr_setexceptionports_np": pure,
	"_mach_port_extract_right": {Writes: []Write{{3, portBytes, true}, {4, 4, true}}},
}
