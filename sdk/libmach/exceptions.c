/*
 * What the servers of exceptions call unless the program defines it. A handler that serves one kind of message gets along
 * without the others.
 */
#include <mach/exc_server.h>
#include <mach/mach_exc_server.h>
#include <mach/notify_server.h>

#define UNUSED(x) (void)(x)
#define WEAK __attribute__((weak))

WEAK kern_return_t
catch_mach_exception_raise(mach_port_t port, mach_port_t thread, mach_port_t task, exception_type_t exception,
	mach_exception_data_t code, mach_msg_type_number_t count)
{
	UNUSED(port), UNUSED(thread), UNUSED(task), UNUSED(exception), UNUSED(code), UNUSED(count);
	return KERN_FAILURE;
}

WEAK kern_return_t
catch_mach_exception_raise_state(mach_port_t port, exception_type_t exception, const mach_exception_data_t code,
	mach_msg_type_number_t count, int *flavor, const thread_state_t old, mach_msg_type_number_t old_count,
	thread_state_t fresh, mach_msg_type_number_t *fresh_count)
{
	UNUSED(port), UNUSED(exception), UNUSED(code), UNUSED(count), UNUSED(flavor), UNUSED(old), UNUSED(old_count);
	UNUSED(fresh), UNUSED(fresh_count);
	return KERN_FAILURE;
}

WEAK kern_return_t
catch_mach_exception_raise_state_identity(mach_port_t port, mach_port_t thread, mach_port_t task,
	exception_type_t exception, mach_exception_data_t code, mach_msg_type_number_t count, int *flavor,
	thread_state_t old, mach_msg_type_number_t old_count, thread_state_t fresh, mach_msg_type_number_t *fresh_count)
{
	UNUSED(port), UNUSED(thread), UNUSED(task), UNUSED(exception), UNUSED(code), UNUSED(count), UNUSED(flavor);
	UNUSED(old), UNUSED(old_count), UNUSED(fresh), UNUSED(fresh_count);
	return KERN_FAILURE;
}

WEAK kern_return_t
catch_mach_exception_raise_identity_protected(mach_port_t port, uint64_t thread, mach_port_t token,
	exception_type_t exception, mach_exception_data_t code, mach_msg_type_number_t count)
{
	UNUSED(port), UNUSED(thread), UNUSED(token), UNUSED(exception), UNUSED(code), UNUSED(count);
	return KERN_FAILURE;
}

WEAK kern_return_t
catch_mach_exception_raise_backtrace(mach_port_t port, mach_port_t object, exception_type_t exception,
	mach_exception_data_t code, mach_msg_type_number_t count)
{
	UNUSED(port), UNUSED(object), UNUSED(exception), UNUSED(code), UNUSED(count);
	return KERN_FAILURE;
}

WEAK kern_return_t
catch_mach_exception_raise_state_identity_protected(mach_port_t port, uint64_t thread, mach_port_t token,
	exception_type_t exception, mach_exception_data_t code, mach_msg_type_number_t count, int *flavor,
	thread_state_t old, mach_msg_type_number_t old_count, thread_state_t fresh, mach_msg_type_number_t *fresh_count)
{
	UNUSED(port), UNUSED(thread), UNUSED(token), UNUSED(exception), UNUSED(code), UNUSED(count), UNUSED(flavor);
	UNUSED(old), UNUSED(old_count), UNUSED(fresh), UNUSED(fresh_count);
	return KERN_FAILURE;
}

WEAK kern_return_t
catch_exception_raise(mach_port_t port, mach_port_t thread, mach_port_t task, exception_type_t exception,
	exception_data_t code, mach_msg_type_number_t count)
{
	UNUSED(port), UNUSED(thread), UNUSED(task), UNUSED(exception), UNUSED(code), UNUSED(count);
	return KERN_FAILURE;
}

WEAK kern_return_t
catch_exception_raise_state(mach_port_t port, exception_type_t exception, const exception_data_t code,
	mach_msg_type_number_t count, int *flavor, const thread_state_t old, mach_msg_type_number_t old_count,
	thread_state_t fresh, mach_msg_type_number_t *fresh_count)
{
	UNUSED(port), UNUSED(exception), UNUSED(code), UNUSED(count), UNUSED(flavor), UNUSED(old), UNUSED(old_count);
	UNUSED(fresh), UNUSED(fresh_count);
	return KERN_FAILURE;
}

WEAK kern_return_t
catch_exception_raise_state_identity(mach_port_t port, mach_port_t thread, mach_port_t task, exception_type_t exception,
	exception_data_t code, mach_msg_type_number_t count, int *flavor, thread_state_t old,
	mach_msg_type_number_t old_count, thread_state_t fresh, mach_msg_type_number_t *fresh_count)
{
	UNUSED(port), UNUSED(thread), UNUSED(task), UNUSED(exception), UNUSED(code), UNUSED(count), UNUSED(flavor);
	UNUSED(old), UNUSED(old_count), UNUSED(fresh), UNUSED(fresh_count);
	return KERN_FAILURE;
}

WEAK kern_return_t
do_mach_notify_port_deleted(mach_port_t notify, mach_port_name_t name)
{
	UNUSED(notify), UNUSED(name);
	return KERN_FAILURE;
}

WEAK kern_return_t
do_mach_notify_send_possible(mach_port_t notify, mach_port_name_t name)
{
	UNUSED(notify), UNUSED(name);
	return KERN_FAILURE;
}

WEAK kern_return_t
do_mach_notify_port_destroyed(mach_port_t notify, mach_port_t rights)
{
	UNUSED(notify), UNUSED(rights);
	return KERN_FAILURE;
}

WEAK kern_return_t
do_mach_notify_no_senders(mach_port_t notify, mach_port_mscount_t mscount)
{
	UNUSED(notify), UNUSED(mscount);
	return KERN_FAILURE;
}

WEAK kern_return_t
do_mach_notify_send_once(mach_port_t notify)
{
	UNUSED(notify);
	return KERN_FAILURE;
}

WEAK kern_return_t
do_mach_notify_dead_name(mach_port_t notify, mach_port_name_t name)
{
	UNUSED(notify), UNUSED(name);
	return KERN_FAILURE;
}
