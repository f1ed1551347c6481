package trace

import (
	"fmt"
	"strings"

	"portcullis.dev/mach"
	"portcullis.dev/trap"
)

// form is how an operation is written: its name, what each argument is from the second on (the first is the task), and
// what comes back.
type form struct {
	name   string
	args   string // n(ame), r(ight), t(ype of a right that moves), d(elta), x (a number), i(d), s(econds), m(ine: no task first)
	result byte   // n(ame), t(ypes), or 0
}

// forms are the operations, under the names by which programs call them.
var forms = map[trap.Op]form{
	trap.OpTaskSelf: {"mach_task_self", "m", 'N'}, trap.OpThreadSelf: {"mach_thread_self", "m", 'N'},
	trap.OpHostSelf: {"mach_host_self", "m", 'N'}, trap.OpReplyPort: {"mach_reply_port", "m", 'N'},
	trap.OpSpecialReplyPort: {"thread_get_special_reply_port", "m", 'N'}, trap.OpTaskForPID: {"task_for_pid", "d", 'n'},
	trap.OpTaskNameForPID: {"task_name_for_pid", "d", 'n'}, trap.OpPIDForTask: {"pid_for_task", "mn", 'd'},
	trap.OpThreadPort: {"pthread_mach_thread_np", "md", 'n'}, trap.OpThreadEnds: {"thread_terminate", "m", 0},
	trap.OpBootstrapPort: {"task_get_bootstrap_port", "m", 'n'}, trap.OpTaskReadForPID: {"task_read_for_pid", "d", 'n'},
	trap.OpTaskInspectForPID: {"task_inspect_for_pid", "d", 'n'},

	trap.OpPortAllocate: {"mach_port_allocate", "r", 'n'}, trap.OpPortDestroy: {"mach_port_destroy", "n", 0},
	trap.OpPortDeallocate: {"mach_port_deallocate", "n", 0}, trap.OpPortModRefs: {"mach_port_mod_refs", "nrd", 0},
	trap.OpPortMoveMember: {"mach_port_move_member", "nn", 0}, trap.OpPortInsertRight: {"mach_port_insert_right", "nnt", 0},
	trap.OpPortInsertMember:  {"mach_port_insert_member", "nn", 0},
	trap.OpPortExtractMember: {"mach_port_extract_member", "nn", 0}, trap.OpPortConstruct: {"mach_port_construct", "fxd", 'n'},
	trap.OpPortDestruct: {"mach_port_destruct", "ndx", 0}, trap.OpPortGuard: {"mach_port_guard", "nxd", 0},
	trap.OpPortUnguard: {"mach_port_unguard", "nx", 0}, trap.OpPortType: {"mach_port_type", "n", 't'},
	trap.OpPortRequestNotification: {"mach_port_request_notification", "nidnt", 'n'},

	trap.OpSemaphoreSignal: {"semaphore_signal", "mn", 0}, trap.OpSemaphoreSignalAll: {"semaphore_signal_all", "mn", 0},
	trap.OpSemaphoreSignalThread: {"semaphore_signal_thread", "mnn", 0}, trap.OpSemaphoreWait: {"semaphore_wait", "mn", 0},
	trap.OpSemaphoreWaitSignal:      {"semaphore_wait_signal", "mnn", 0},
	trap.OpSemaphoreTimedWait:       {"semaphore_timedwait", "mndd", 0},
	trap.OpSemaphoreTimedWaitSignal: {"semaphore_timedwait_signal", "mnndd", 0},

	trap.OpTimerCreate: {"mk_timer_create", "m", 'N'}, trap.OpTimerArm: {"mk_timer_arm", "mnx", 0},
	trap.OpTimerCancel: {"mk_timer_cancel", "mn", 0}, trap.OpTimerDestroy: {"mk_timer_destroy", "mn", 0},
	trap.OpVoucherCreate: {"host_create_mach_voucher", "m", 'n'},
}

// operation writes an operation as a call with its result.
func operation(op trap.Op, args *[12]uint64, result *[8]uint64, kr mach.KernReturn) string {
	f, ok := forms[op]
	if !ok {
		return fmt.Sprintf("operation %d = %v", op, kr)
	}
	var b strings.Builder
	b.WriteString(f.name + "(")
	kinds, at, first := f.args, 1, true
	if strings.HasPrefix(kinds, "m") {
		kinds, at = kinds[1:], 0
	}
	for _, kind := range kinds {
		if !first {
			b.WriteString(", ")
		}
		first = false
		b.WriteString(value(kind, args[at]))
		at++
	}
	b.WriteByte(')')
	switch {
	case f.result == 'N': // it has no return code
		fmt.Fprintf(&b, " = %v", mach.Name(result[0]))
	case kr != 0:
		fmt.Fprintf(&b, " = %v", kr)
	case f.result != 0:
		b.WriteString(" = " + value(rune(f.result), result[1]))
	}
	return b.String()
}

// value writes an argument or a result.
func value(kind rune, v uint64) string {
	switch kind {
	case 'n':
		return mach.Name(v).String()
	case 'r':
		return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(mach.Right(v).String(), "MACH_PORT_RIGHT_"), "_", "-"))
	case 't':
		if v>>16 != 0 {
			return mach.RightType(v).String()
		}
		return short(mach.Disposition(v))
	case 'f':
		return mach.ConstructFlags(v).String()
	case 'd':
		return fmt.Sprint(int32(v))
	case 'i':
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("%#x", v)
}
