/*
 * Finds a leak of port rights by asking the kernel, before and after, how many references a name has. It asks with the
 * system's stub, and leaves the reply port to that: every thread has one of its own.
 */
#include <mach/mach.h>
#include <stdio.h>
#include <stdlib.h>

static void check(const char *what, kern_return_t kr)
{
	if (kr != KERN_SUCCESS) {
		printf("%s: %s\n", what, mach_error_string(kr));
		exit(1);
	}
}

static mach_port_urefs_t send_rights(mach_port_name_t name)
{
	mach_port_urefs_t references;

	check("mach_port_get_refs", mach_port_get_refs(mach_task_self(), name, MACH_PORT_RIGHT_SEND, &references));
	return references;
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

	check("mach_port_allocate", mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port));
	check("mach_port_insert_right", mach_port_insert_right(mach_task_self(), port, port, MACH_MSG_TYPE_MAKE_SEND));
	before = send_rights(port);
	leaky(port);
	after = send_rights(port);
	printf("leaky() leaks %u send rights\n", after - before);
	return 0;
}
