/*
 * A program with a crash reporter in it: a thread that is told of the fault, and reads in the process's memory what it
 * was doing. With the exception comes an identity token, which gives no power, and the thread's id. The token is
 * exchanged for a port that is good for reading. The port for exceptions is of the type that is made for them.
 */
#include <mach/mach.h>
#include <mach/mach_vm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the program is doing. */
static char breadcrumb[64];

static void check(const char *what, kern_return_t kr)
{
	if (kr != KERN_SUCCESS) {
		printf("%s: %s\n", what, mach_error_string(kr));
		exit(1);
	}
}

#pragma pack(push, 4)
struct raise { /* message 2408 of mach_exc.defs: mach_exception_raise_identity_protected */
	mach_msg_header_t header;
	mach_msg_body_t body;
	mach_msg_port_descriptor_t token;
	NDR_record_t ndr;
	uint64_t thread;
	exception_type_t exception;
	mach_msg_type_number_t count;
	int64_t code[2];
	mach_msg_max_trailer_t trailer;
};
#pragma pack(pop)

static void report(const struct raise *m, mach_port_t task)
{
	char was[sizeof breadcrumb];
	mach_vm_size_t n;

	check("mach_vm_read_overwrite", mach_vm_read_overwrite(task, (mach_vm_address_t)breadcrumb, sizeof was,
		(mach_vm_address_t)was, &n));
	printf("exception %d, code %lld, address %#llx\n", m->exception, (long long)m->code[0], (long long)m->code[1]);
	printf("while %s\n", was);
}

static void *handle(void *port)
{
	struct raise m;
	mach_port_t task;

	check("receiving", mach_msg(&m.header, MACH_RCV_MSG, 0, sizeof m, *(mach_port_t *)port, 0, MACH_PORT_NULL));
	check("task_identity_token_get_task_port",
		task_identity_token_get_task_port(m.token.name, TASK_FLAVOR_READ, &task));
	report(&m, task);
	exit(0); /* a reporter in earnest would answer, for the next handler and the system to have their turn */
}

static void install_reporter(mach_port_t port)
{
	check("task_set_exception_ports", task_set_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS, port,
		EXCEPTION_IDENTITY_PROTECTED | MACH_EXCEPTION_CODES, THREAD_STATE_NONE));
}

int main(void)
{
	mach_port_options_t options = {.flags = MPO_EXCEPTION_PORT | MPO_INSERT_SEND_RIGHT};
	mach_port_t port;
	pthread_t thread;

	check("mach_port_construct", mach_port_construct(mach_task_self(), &options, 0, &port));
	install_reporter(port);
	if (pthread_create(&thread, NULL, handle, &port) != 0)
		return 1;
	strcpy(breadcrumb, "opening chapter 3");
	*(volatile int *)0x10 = 1; /* the bug */
	return 1;
}
