/* A thread that waits for a handler which says that it was asked, and never answers. */
#include "../programs/check.h"
#include <pthread.h>
#include <unistd.h>

static mach_port_t port;

static void *
serve(void *unused)
{
	struct {
		mach_msg_header_t header;
		char rest[1024];
	} m;

	(void)unused;
	OK(mach_msg(&m.header, MACH_RCV_MSG, 0, sizeof m, port, MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL));
	printf("asked\n");
	fflush(stdout);
	for (;;)
		pause();
}

int
main(void)
{
	mach_port_options_t options = { .flags = MPO_EXCEPTION_PORT | MPO_INSERT_SEND_RIGHT };
	pthread_t t;

	OK(mach_port_construct(mach_task_self(), &options, 0, &port));
	OK(task_set_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS, port,
	    (exception_behavior_t)(EXCEPTION_IDENTITY_PROTECTED | MACH_EXCEPTION_CODES), THREAD_STATE_NONE));
	TRUE_(pthread_create(&t, NULL, serve, NULL) == 0);
	*(volatile int *)0x10 = 1;
	return 0;
}
