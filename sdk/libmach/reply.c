/* The reply ports of threads, and the rest of what generated stubs need. */
#include <string.h>

#include <mach/mach_port.h>
#include <mach/mach_traps.h>
#include <mach/mig.h>
#include <mach/ndr.h>

#include "libmach.h"

NDR_record_t NDR_record = { 0, 0, 0, 0, NDR_INT_LITTLE_ENDIAN, NDR_CHAR_ASCII, NDR_FLOAT_IEEE, 0 };

/* The reply port is a port of its own type: it takes nothing but one send-once right, and does not leave the task. */
mach_port_t
mig_get_reply_port(void)
{
	struct pt_thread *t = pt_me();
	mach_port_options_t options = { 0 };
	mach_port_name_t name = MACH_PORT_NULL;

	if (t->reply != MACH_PORT_NULL)
		return t->reply;
	options.flags = MPO_REPLY_PORT;
	if (_kernelrpc_mach_port_construct_trap(mach_task_self_, &options, 0, &name) != KERN_SUCCESS)
		return MACH_PORT_NULL;
	t->reply = name;
	return name;
}

void
mig_dealloc_reply_port(mach_port_t port)
{
	struct pt_thread *t = pt_me();

	(void)port;
	if (t->reply != MACH_PORT_NULL) {
		mach_port_name_t name = t->reply;
		t->reply = MACH_PORT_NULL;
		mach_port_mod_refs(mach_task_self_, name, MACH_PORT_RIGHT_RECEIVE, -1);
	}
}

void
mig_put_reply_port(mach_port_t port)
{
	(void)port;
}

mach_port_t
mig_get_special_reply_port(void)
{
	struct pt_thread *t = pt_me();

	if (t->special == MACH_PORT_NULL)
		t->special = thread_get_special_reply_port();
	return t->special;
}

void
mig_dealloc_special_reply_port(mach_port_t port)
{
	struct pt_thread *t = pt_me();

	if (t->special == port && port != MACH_PORT_NULL) {
		t->special = MACH_PORT_NULL;
		mach_port_mod_refs(mach_task_self_, port, MACH_PORT_RIGHT_RECEIVE, -1);
	}
}

int
mig_strncpy(char *to, const char *from, int len)
{
	int i = 0;

	if (len <= 0 || to == NULL)
		return 0;
	if (from != NULL)
		for (; i < len - 1 && from[i] != '\0'; i++)
			to[i] = from[i];
	to[i] = '\0';
	return from != NULL ? i + 1 : 0;
}

int
mig_strncpy_zerofill(char *to, const char *from, int len)
{
	int n = mig_strncpy(to, from, len);

	if (len > 0 && to != NULL && n < len)
		memset(to + n, 0, (size_t)(len - n));
	return n;
}
