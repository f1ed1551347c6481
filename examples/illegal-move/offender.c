/*
 * A program that lets a monitor look at its memory: it sends the monitor its task port and the address, and waits
 * until the monitor has read. The monitor is the other process of this program.
 *
 * Whoever has the task port of a process controls it. To send it kills from level 1 on: ILLEGAL_MOVE.
 */
#include <mach/mach.h>
#include <mach/mach_vm.h>
#include <servers/bootstrap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char name[] = "com.example.monitor";

/* What the program is doing. */
static char status[64];

#pragma pack(push, 4)
struct request {
	mach_msg_header_t header;
	mach_msg_body_t body;
	mach_msg_port_descriptor_t task;
	mach_vm_address_t address;
};

struct reply {
	mach_msg_header_t header;
	char seen[sizeof status];
};

union message {
	struct request request;
	struct reply reply;
	char room[256]; /* with a trailer */
};
#pragma pack(pop)

static void check(const char *what, kern_return_t kr)
{
	if (kr != KERN_SUCCESS) {
		printf("%s: %s\n", what, mach_error_string(kr));
		exit(1);
	}
}

/* The monitor: looks once, and ends. It does not outlive its client. */
static void monitor(pid_t client)
{
	union message m;
	struct reply reply = {0};
	mach_port_t service;
	mach_vm_size_t n;
	kern_return_t kr;

	check("bootstrap_check_in", bootstrap_check_in(bootstrap_port, name, &service));
	do {
		kr = mach_msg(&m.request.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, service, 100, MACH_PORT_NULL);
	} while (kr == MACH_RCV_TIMED_OUT && getppid() == client);
	if (getppid() != client)
		exit(0);
	check("receiving", kr);
	check("mach_vm_read_overwrite", mach_vm_read_overwrite(m.request.task.name, m.request.address, sizeof reply.seen,
		(mach_vm_address_t)reply.seen, &n));
	reply.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0);
	reply.header.msgh_remote_port = m.request.header.msgh_remote_port;
	check("answering", mach_msg(&reply.header, MACH_SEND_MSG, sizeof reply, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL));
	exit(0);
}

static void be_looked_at(mach_port_t service)
{
	mach_port_t reply = mig_get_reply_port();
	union message m = {0};

	m.request.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE) |
		MACH_MSGH_BITS_COMPLEX;
	m.request.header.msgh_remote_port = service;
	m.request.header.msgh_local_port = reply;
	m.request.body.msgh_descriptor_count = 1;
	m.request.task.name = mach_task_self();
	m.request.task.disposition = MACH_MSG_TYPE_COPY_SEND;
	m.request.task.type = MACH_MSG_PORT_DESCRIPTOR;
	m.request.address = (mach_vm_address_t)status;
	check("asking the monitor", mach_msg(&m.request.header, MACH_SEND_MSG | MACH_RCV_MSG, sizeof m.request, sizeof m,
		reply, MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL));
	printf("the monitor saw: %s\n", m.reply.seen);
}

int main(void)
{
	mach_port_t service;
	pid_t client = getpid();

	if (fork() == 0)
		monitor(client);
	while (bootstrap_look_up(bootstrap_port, name, &service) == BOOTSTRAP_UNKNOWN_SERVICE)
		usleep(1000); /* it is about to start */
	strcpy(status, "writing chapter 3");
	be_looked_at(service);
	wait(NULL);
	return 0;
}
