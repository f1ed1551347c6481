/*
 * A program that wants to hear of changes in three places: it makes a port for each, and sends them to a service, which
 * sends a message to each. The service is the other process of this program.
 *
 * The three rights go in one out-of-line array, as MIG's mach_port_array_t does it, which kills from level 2 on:
 * OOL_PORT_ARRAY.
 */
#include <mach/mach.h>
#include <servers/bootstrap.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define OBSERVERS 3

static const char name[] = "com.example.changes";

struct subscription {
	mach_msg_header_t header;
	mach_msg_body_t body;
	mach_msg_ool_ports_descriptor_t observers;
};

struct received {
	struct subscription message;
	mach_msg_max_trailer_t trailer;
};

static void check(const char *what, kern_return_t kr)
{
	if (kr != KERN_SUCCESS) {
		printf("%s: %s\n", what, mach_error_string(kr));
		exit(1);
	}
}

static void tell(mach_port_t observer, int place)
{
	mach_msg_header_t m = {0};

	m.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0);
	m.msgh_remote_port = observer;
	m.msgh_id = place;
	check("telling an observer", mach_msg(&m, MACH_SEND_MSG, sizeof m, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL));
}

/* The service: everything changes at once, and then it ends. It does not outlive its client. */
static void serve(pid_t client)
{
	struct received r;
	mach_port_t service;
	kern_return_t kr;

	check("bootstrap_check_in", bootstrap_check_in(bootstrap_port, name, &service));
	do {
		kr = mach_msg(&r.message.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof r, service, 100, MACH_PORT_NULL);
	} while (kr == MACH_RCV_TIMED_OUT && getppid() == client);
	if (getppid() != client)
		exit(0);
	check("receiving", kr);
	mach_port_t *observers = r.message.observers.address;
	for (mach_msg_size_t i = 0; i < r.message.observers.count; i++)
		tell(observers[i], (int)i);
	mach_msg_destroy(&r.message.header);
	exit(0);
}

static void subscribe(mach_port_t service, mach_port_t observers[OBSERVERS])
{
	struct subscription m = {0};

	m.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0) | MACH_MSGH_BITS_COMPLEX;
	m.header.msgh_remote_port = service;
	m.body.msgh_descriptor_count = 1;
	m.observers.address = observers;
	m.observers.count = OBSERVERS;
	m.observers.disposition = MACH_MSG_TYPE_MAKE_SEND;
	m.observers.type = MACH_MSG_OOL_PORTS_DESCRIPTOR;
	check("subscribing", mach_msg(&m.header, MACH_SEND_MSG, sizeof m, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL));
}

static void hear(mach_port_t observer)
{
	struct {
		mach_msg_header_t header;
		mach_msg_max_trailer_t trailer;
	} m;

	check("hearing", mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, observer, 5000, MACH_PORT_NULL));
	printf("place %d has changed\n", m.header.msgh_id);
}

int main(void)
{
	mach_port_t service, observers[OBSERVERS];
	pid_t client = getpid();

	if (fork() == 0)
		serve(client);
	while (bootstrap_look_up(bootstrap_port, name, &service) == BOOTSTRAP_UNKNOWN_SERVICE)
		usleep(1000); /* it is about to start */
	for (int i = 0; i < OBSERVERS; i++)
		check("mach_port_allocate", mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &observers[i]));
	subscribe(service, observers);
	for (int i = 0; i < OBSERVERS; i++)
		hear(observers[i]);
	wait(NULL);
	return 0;
}
