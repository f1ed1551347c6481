/*
 * Finds a leak of port rights by asking the kernel, before and after, how many references a name has. The question is
 * asked in crash handlers too, where the library's reply port may be in use by the thread that was interrupted: the
 * program brings a stub and a port of its own.
 *
 * The kernel's answer comes to an ordinary port, which kills from level 1 on: KOBJECT_REPLY_PORT_SEMANTICS.
 */
#include <mach/mach.h>
#include <stdio.h>
#include <stdlib.h>

union get_refs { /* message 3207 of the task port: mach_port_get_refs */
	struct {
		mach_msg_header_t header;
		NDR_record_t ndr;
		mach_port_name_t name;
		mach_port_right_t right;
	} request;
	struct {
		mach_msg_header_t header;
		NDR_record_t ndr;
		kern_return_t code;
		mach_port_urefs_t references;
		mach_msg_max_trailer_t trailer;
	} reply;
};

static void check(const char *what, kern_return_t kr)
{
	if (kr != KERN_SUCCESS) {
		printf("%s: %s\n", what, mach_error_string(kr));
		exit(1);
	}
}

static mach_port_t answers; /* where the kernel answers: allocated at the start, not in a handler */

static mach_port_urefs_t send_rights(mach_port_name_t name)
{
	union get_refs m = {0};

	m.request.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE);
	m.request.header.msgh_remote_port = mach_task_self();
	m.request.header.msgh_local_port = answers;
	m.request.header.msgh_id = 3207;
	m.request.ndr = NDR_record;
	m.request.name = name;
	m.request.right = MACH_PORT_RIGHT_SEND;
	check("mach_msg2", mach_msg2(&m, MACH64_SEND_MSG | MACH64_RCV_MSG | MACH64_SEND_KOBJECT_CALL, m.request.header,
		sizeof m.request, sizeof m.reply, answers, MACH_MSG_TIMEOUT_NONE, 0));
	check("mach_port_get_refs", m.reply.code);
	return m.reply.references;
}

/* A function that forgets to deallocate what it was given. */
static void leaky(mach_port_t port)
{
	for (int i = 0; i < 3; i++)
		check("mach_port_mod_refs", mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_SEND, 1));
}

int main(void)
{
	mach_port_urefs_t before, after;
	mach_port_t port;

	check("mach_port_allocate", mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &answers));
	check("mach_port_allocate", mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port));
	check("mach_port_insert_right", mach_port_insert_right(mach_task_self(), port, port, MACH_MSG_TYPE_MAKE_SEND));
	before = send_rights(port);
	leaky(port);
	after = send_rights(port);
	printf("leaky() leaks %u send rights\n", after - before);
	return 0;
}
