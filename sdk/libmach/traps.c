/* The calls that are traps, and those of the library that use them. */
#include <mach/mach_traps.h>
#include <mach/mach_port.h>
#include <mach/mach_init.h>
#include <mach/mach_host.h>
#include <mach/semaphore.h>
#include <mach/task.h>
#include <mach/thread_act.h>

#include "libmach.h"

/* A trap of XNU's that works on the caller's own task. What is sent in a message instead, for other tasks, says so. */
#define TRAP(name, params, op, ...) \
	kern_return_t _kernelrpc_##name##_trap params; \
	kern_return_t _kernelrpc_##name##_trap params { return pt_code(PT_CALL(op, NULL, __VA_ARGS__)); }
#define VALUE_TRAP(name, params, op, out, ...) \
	kern_return_t _kernelrpc_##name##_trap params; \
	kern_return_t _kernelrpc_##name##_trap params \
	{ \
		uint64_t value = 0; \
		kern_return_t kr = pt_code(PT_CALL(op, &value, __VA_ARGS__)); \
		if (kr == KERN_SUCCESS) \
			*(out) = (__typeof__(*(out)))value; \
		return kr; \
	}
/* The library's call: the trap, and where that is not for this task, the message. */
#define CALL(name, params, args) \
	extern kern_return_t _kernelrpc_##name params; \
	kern_return_t name params \
	{ \
		kern_return_t kr = _kernelrpc_##name##_trap args; \
		return kr == MACH_SEND_INVALID_DEST ? _kernelrpc_##name args : kr; \
	}

VALUE_TRAP(mach_port_allocate, (ipc_space_t task, mach_port_right_t right, mach_port_name_t *name), PT_OP_PORT_ALLOCATE,
	name, task, right)
CALL(mach_port_allocate, (ipc_space_t task, mach_port_right_t right, mach_port_name_t *name), (task, right, name))

TRAP(mach_port_destroy, (ipc_space_t task, mach_port_name_t name), PT_OP_PORT_DESTROY, task, name)
CALL(mach_port_destroy, (ipc_space_t task, mach_port_name_t name), (task, name))

TRAP(mach_port_deallocate, (ipc_space_t task, mach_port_name_t name), PT_OP_PORT_DEALLOCATE, task, name)
CALL(mach_port_deallocate, (ipc_space_t task, mach_port_name_t name), (task, name))

TRAP(mach_port_mod_refs, (ipc_space_t task, mach_port_name_t name, mach_port_right_t right, mach_port_delta_t delta),
	PT_OP_PORT_MOD_REFS, task, name, right, (uint64_t)(int64_t)delta)
CALL(mach_port_mod_refs, (ipc_space_t task, mach_port_name_t name, mach_port_right_t right, mach_port_delta_t delta),
	(task, name, right, delta))

TRAP(mach_port_move_member, (ipc_space_t task, mach_port_name_t member, mach_port_name_t after),
	PT_OP_PORT_MOVE_MEMBER, task, member, after)
CALL(mach_port_move_member, (ipc_space_t task, mach_port_name_t member, mach_port_name_t after), (task, member, after))

TRAP(mach_port_insert_right, (ipc_space_t task, mach_port_name_t name, mach_port_t poly, mach_msg_type_name_t polyPoly),
	PT_OP_PORT_INSERT_RIGHT, task, name, poly, polyPoly)
CALL(mach_port_insert_right, (ipc_space_t task, mach_port_name_t name, mach_port_t poly, mach_msg_type_name_t polyPoly),
	(task, name, poly, polyPoly))

TRAP(mach_port_insert_member, (ipc_space_t task, mach_port_name_t name, mach_port_name_t pset),
	PT_OP_PORT_INSERT_MEMBER, task, name, pset)
CALL(mach_port_insert_member, (ipc_space_t task, mach_port_name_t name, mach_port_name_t pset), (task, name, pset))

TRAP(mach_port_extract_member, (ipc_space_t task, mach_port_name_t name, mach_port_name_t pset),
	PT_OP_PORT_EXTRACT_MEMBER, task, name, pset)
CALL(mach_port_extract_member, (ipc_space_t task, mach_port_name_t name, mach_port_name_t pset), (task, name, pset))

TRAP(mach_port_destruct, (ipc_space_t task, mach_port_name_t name, mach_port_delta_t srdelta, uint64_t guard),
	PT_OP_PORT_DESTRUCT, task, name, (uint64_t)(int64_t)srdelta, guard)
CALL(mach_port_destruct, (ipc_space_t task, mach_port_name_t name, mach_port_delta_t srdelta, mach_port_context_t guard),
	(task, name, srdelta, guard))

TRAP(mach_port_guard, (ipc_space_t task, mach_port_name_t name, uint64_t guard, boolean_t strict),
	PT_OP_PORT_GUARD, task, name, guard, strict)
CALL(mach_port_guard, (ipc_space_t task, mach_port_name_t name, mach_port_context_t guard, boolean_t strict),
	(task, name, guard, strict))

TRAP(mach_port_unguard, (ipc_space_t task, mach_port_name_t name, uint64_t guard), PT_OP_PORT_UNGUARD, task, name, guard)
CALL(mach_port_unguard, (ipc_space_t task, mach_port_name_t name, mach_port_context_t guard), (task, name, guard))

VALUE_TRAP(mach_port_type, (ipc_space_t task, mach_port_name_t name, mach_port_type_t *type), PT_OP_PORT_TYPE, type,
	task, name)
CALL(mach_port_type, (ipc_space_t task, mach_port_name_t name, mach_port_type_t *type), (task, name, type))

VALUE_TRAP(mach_port_request_notification, (ipc_space_t task, mach_port_name_t name, mach_msg_id_t id,
	mach_port_mscount_t sync, mach_port_name_t notify, mach_msg_type_name_t poly, mach_port_name_t *previous),
	PT_OP_PORT_REQUEST_NOTIFICATION, previous, task, name, (uint32_t)id, sync, notify, poly)
CALL(mach_port_request_notification, (ipc_space_t task, mach_port_name_t name, mach_msg_id_t id,
	mach_port_mscount_t sync, mach_port_t notify, mach_msg_type_name_t poly, mach_port_t *previous),
	(task, name, id, sync, notify, poly, previous))

/* ---- Ports made with options ---------------------------------------------------------------------------------------- */

extern kern_return_t _kernelrpc_mach_port_construct(ipc_space_t, mach_port_options_ptr_t, uint64_t, mach_port_name_t *);

kern_return_t
_kernelrpc_mach_port_construct_trap(mach_port_name_t task, mach_port_options_t *options, uint64_t context,
	mach_port_name_t *name)
{
	struct pt_thread *t;
	uint64_t r = PT_NO_KERNEL, domain = 0;
	uint32_t in_size = 0;

	if (options == NULL)
		return KERN_INVALID_ARGUMENT;
	t = pt_enter();
	if (t == NULL)
		return MACH_SEND_INVALID_DEST;
	t->lane->args[4] = options->service_port_name;
	if ((options->flags & MPO_SERVICE_PORT) && (options->flags & MPO_NOTIFICATION_PORT) != MPO_NOTIFICATION_PORT) {
		const mach_service_port_info_data_t *info =
		    (const mach_service_port_info_data_t *)(uintptr_t)options->service_port_info64;
		if (info == NULL) {
			pt_leave(t);
			return KERN_INVALID_ARGUMENT;
		}
		while (in_size < sizeof info->mspi_string_name - 1 && info->mspi_string_name[in_size] != '\0') {
			((char *)t->lane + PT_IN)[in_size] = info->mspi_string_name[in_size];
			in_size++;
		}
		domain = info->mspi_domain_type;
		t->lane->args[4] = 0;
	}
	t->lane->args[0] = task;
	t->lane->args[1] = options->flags;
	t->lane->args[2] = context;
	t->lane->args[3] = options->mpl.mpl_qlimit;
	t->lane->args[5] = domain;
	if (pt_post(t, PT_OP_PORT_CONSTRUCT, in_size, 0, 0)) {
		r = t->lane->result[0];
		if (r == KERN_SUCCESS)
			*name = (mach_port_name_t)t->lane->result[1];
	}
	pt_leave(t);
	return pt_code(r);
}

kern_return_t
mach_port_construct(ipc_space_t task, mach_port_options_ptr_t options, mach_port_context_t context, mach_port_name_t *name)
{
	kern_return_t kr = _kernelrpc_mach_port_construct_trap(task, options, context, name);

	return kr == MACH_SEND_INVALID_DEST ? _kernelrpc_mach_port_construct(task, options, context, name) : kr;
}

/* ---- Names of the task's own ----------------------------------------------------------------------------------------- */

mach_port_name_t
task_self_trap(void)
{
	return pt_name(pt_call(PT_OP_TASK_SELF, NULL, 0, NULL, 0));
}

mach_port_name_t
thread_self_trap(void)
{
	return pt_name(pt_call(PT_OP_THREAD_SELF, NULL, 0, NULL, 0));
}

mach_port_name_t
host_self_trap(void)
{
	return pt_name(pt_call(PT_OP_HOST_SELF, NULL, 0, NULL, 0));
}

mach_port_name_t
mach_reply_port(void)
{
	return pt_name(pt_call(PT_OP_REPLY_PORT, NULL, 0, NULL, 0));
}

mach_port_name_t
thread_get_special_reply_port(void)
{
	return pt_name(pt_call(PT_OP_SPECIAL_REPLY_PORT, NULL, 0, NULL, 0));
}

mach_port_t
mach_thread_self(void)
{
	return thread_self_trap();
}

mach_port_t
mach_host_self(void)
{
	return host_self_trap();
}

static kern_return_t
for_pid(uint32_t op, mach_port_name_t task, int pid, mach_port_name_t *port)
{
	uint64_t value = 0;
	kern_return_t kr = pt_code(PT_CALL(op, &value, task, (uint32_t)pid));

	*port = kr == KERN_SUCCESS ? (mach_port_name_t)value : MACH_PORT_NULL;
	return kr;
}

kern_return_t
task_for_pid(mach_port_name_t task, int pid, mach_port_name_t *port)
{
	return for_pid(PT_OP_TASK_FOR_PID, task, pid, port);
}

kern_return_t
task_read_for_pid(mach_port_name_t task, int pid, mach_port_name_t *port)
{
	return for_pid(PT_OP_TASK_READ_FOR_PID, task, pid, port);
}

kern_return_t
task_inspect_for_pid(mach_port_name_t task, int pid, mach_port_name_t *port)
{
	return for_pid(PT_OP_TASK_INSPECT_FOR_PID, task, pid, port);
}

kern_return_t
task_name_for_pid(mach_port_name_t task, int pid, mach_port_name_t *port)
{
	return for_pid(PT_OP_TASK_NAME_FOR_PID, task, pid, port);
}

kern_return_t
pid_for_task(mach_port_name_t task, int *pid)
{
	uint64_t value = 0;
	kern_return_t kr = pt_code(PT_CALL(PT_OP_PID_FOR_TASK, &value, task));

	*pid = kr == KERN_SUCCESS ? (int)value : -1;
	return kr;
}

/* ---- Semaphores ------------------------------------------------------------------------------------------------------- */

kern_return_t
semaphore_signal_trap(mach_port_name_t name)
{
	return pt_code(PT_CALL(PT_OP_SEMAPHORE_SIGNAL, NULL, name));
}

kern_return_t
semaphore_signal_all_trap(mach_port_name_t name)
{
	return pt_code(PT_CALL(PT_OP_SEMAPHORE_SIGNAL_ALL, NULL, name));
}

kern_return_t
semaphore_signal_thread_trap(mach_port_name_t name, mach_port_name_t thread)
{
	return pt_code(PT_CALL(PT_OP_SEMAPHORE_SIGNAL_THREAD, NULL, name, thread));
}

kern_return_t
semaphore_wait_trap(mach_port_name_t name)
{
	return pt_code(PT_CALL_INTERRUPTIBLE(PT_OP_SEMAPHORE_WAIT, NULL, name));
}

kern_return_t
semaphore_wait_signal_trap(mach_port_name_t wait, mach_port_name_t signal)
{
	return pt_code(PT_CALL_INTERRUPTIBLE(PT_OP_SEMAPHORE_WAIT_SIGNAL, NULL, wait, signal));
}

kern_return_t
semaphore_timedwait_trap(mach_port_name_t name, unsigned int sec, int nsec)
{
	return pt_code(PT_CALL_INTERRUPTIBLE(PT_OP_SEMAPHORE_TIMEDWAIT, NULL, name, sec, (uint32_t)nsec));
}

kern_return_t
semaphore_timedwait_signal_trap(mach_port_name_t wait, mach_port_name_t signal, unsigned int sec, int nsec)
{
	return pt_code(
	    PT_CALL_INTERRUPTIBLE(PT_OP_SEMAPHORE_TIMEDWAIT_SIGNAL, NULL, wait, signal, sec, (uint32_t)nsec));
}

kern_return_t
semaphore_signal(semaphore_t semaphore)
{
	return semaphore_signal_trap(semaphore);
}

kern_return_t
semaphore_signal_all(semaphore_t semaphore)
{
	return semaphore_signal_all_trap(semaphore);
}

kern_return_t
semaphore_signal_thread(semaphore_t semaphore, thread_t thread)
{
	return semaphore_signal_thread_trap(semaphore, thread);
}

kern_return_t
semaphore_wait(semaphore_t semaphore)
{
	return semaphore_wait_trap(semaphore);
}

kern_return_t
semaphore_wait_signal(semaphore_t wait, semaphore_t signal)
{
	return semaphore_wait_signal_trap(wait, signal);
}

kern_return_t
semaphore_timedwait(semaphore_t semaphore, mach_timespec_t wait)
{
	return semaphore_timedwait_trap(semaphore, wait.tv_sec, wait.tv_nsec);
}

kern_return_t
semaphore_timedwait_signal(semaphore_t wait, semaphore_t signal, mach_timespec_t time)
{
	return semaphore_timedwait_signal_trap(wait, signal, time.tv_sec, time.tv_nsec);
}
