/* What the library itself knows of host, task and threads. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mach/mach.h>
#include <pthread_mach.h>

#include "libmach.h"

extern kern_return_t _host_page_size(host_t, vm_size_t *);
extern kern_return_t _kernelrpc_mach_task_is_self(task_name_t, boolean_t *);

kern_return_t
host_page_size(host_t host, vm_size_t *size)
{
	(void)host;
	*size = vm_page_size;
	return KERN_SUCCESS;
}

boolean_t
mach_task_is_self(task_name_t task)
{
	boolean_t is = FALSE;

	if (task == mach_task_self_)
		return TRUE;
	return _kernelrpc_mach_task_is_self(task, &is) == KERN_SUCCESS && is;
}

static pthread_t main_thread;

/* The C library has no name for the main thread: it is remembered when it is there. */
void
pt_begins(void)
{
	if (syscall(SYS_gettid) == getpid())
		main_thread = pthread_self();
}

pthread_t
pthread_main_thread_np(void)
{
	return main_thread;
}

int
pthread_main_np(void)
{
	return syscall(SYS_gettid) == getpid();
}

/*
 * Where the C library keeps a thread's id in what pthread_t points to. The C library does not say; it is looked for once,
 * in the caller's own. 0: not found.
 */
static size_t
id_at(void)
{
	static size_t found = ~(size_t)0;

	if (found == ~(size_t)0) {
		const char *self = (const char *)pthread_self();
		int32_t tid = (int32_t)syscall(SYS_gettid);

		found = 0;
		for (size_t at = 16; at < 1024; at += 4) {
			int32_t here;
			if (pt_read(&here, (uint64_t)(uintptr_t)(self + at), sizeof here) != 0)
				break;
			if (here == tid) {
				found = at;
				break;
			}
		}
	}
	return found;
}

mach_port_t
pthread_mach_thread_np(pthread_t thread)
{
	struct pt_thread *me = pt_me();
	uint64_t value = 0;
	int32_t tid = 0;

	if (pthread_equal(thread, pthread_self())) {
		if (me->self != MACH_PORT_NULL && me->generation == pt_connection.generation)
			return me->self;
		tid = (int32_t)syscall(SYS_gettid);
	} else if (id_at() != 0) {
		if (pt_read(&tid, (uint64_t)(uintptr_t)thread + id_at(), sizeof tid) != 0)
			return MACH_PORT_NULL;
	}
	if (tid <= 0 || PT_CALL(PT_OP_THREAD_PORT, &value, (uint64_t)tid) != KERN_SUCCESS)
		return MACH_PORT_NULL;
	if (pthread_equal(thread, pthread_self()))
		me->self = (mach_port_t)value;
	return (mach_port_t)value;
}

pthread_t
pthread_from_mach_thread_np(mach_port_t port)
{
	if (pthread_mach_thread_np(pthread_self()) == port)
		return pthread_self();
	return (pthread_t)0; /* the C library has no list of its threads */
}
