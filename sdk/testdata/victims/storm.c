/*
 * What dies in a storm: a program that sends, receives and forks until a timer ends it, as its children do. With "serve" it
 * is the service they all talk to, which gives back the rights it gets.
 */
#include "../programs/check.h"
#include <fcntl.h>
#include <pthread.h>
#include <servers/bootstrap.h>
#include <signal.h>
#include <sys/fileport.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAME "test.storm"
#define GENERATIONS 2
#define LIFE 200 /* milliseconds at most */

/* Two rights and memory, and what comes back. */
struct load {
	mach_msg_header_t header;
	mach_msg_body_t body;
	mach_msg_port_descriptor_t right, file;
	mach_msg_ool_descriptor_t memory;
	char data[200];
	mach_msg_max_trailer_t trailer;
};

static unsigned seed;
static mach_port_t service, own, members;

/* The process is killed when the time is up, whatever it does then. A child has no timer before it calls this. */
static void
dies_soon(void)
{
	struct sigevent kill = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	struct itimerspec at = { .it_value.tv_nsec = 1000 + (long)rand_r(&seed) % (LIFE * 1000L) * 1000 };
	timer_t timer;

	TRUE_(timer_create(CLOCK_MONOTONIC, &kill, &timer) == 0 && timer_settime(timer, 0, &at, NULL) == 0);
}

static void
right_of(mach_msg_port_descriptor_t *d, mach_port_t name, int disposition)
{
	d->name = name;
	d->disposition = (mach_msg_type_name_t)disposition & 0xff;
	d->type = MACH_MSG_PORT_DESCRIPTOR;
}

/* Sends a right, a file and memory to a port; with a reply port it waits for what comes back. */
static void
sends(mach_port_t to, int disposition, mach_port_t reply, size_t size)
{
	struct load m = { 0 };
	mach_msg_return_t kr;
	fileport_t file;
	int fd = open("/dev/null", O_RDONLY);
	char *memory = calloc(1, size);

	TRUE_(fd >= 0 && memory != NULL && fileport_makeport(fd, &file) == 0);
	close(fd);
	m.header.msgh_bits = MACH_MSGH_BITS_COMPLEX
	    | MACH_MSGH_BITS((mach_msg_bits_t)disposition, reply ? MACH_MSG_TYPE_MAKE_SEND_ONCE : 0);
	m.header.msgh_remote_port = to;
	m.header.msgh_local_port = reply;
	m.body.msgh_descriptor_count = 3;
	right_of(&m.right, own, MACH_MSG_TYPE_MAKE_SEND);
	right_of(&m.file, file, MACH_MSG_TYPE_MOVE_SEND);
	m.memory.address = memory;
	m.memory.size = (mach_msg_size_t)size;
	m.memory.copy = MACH_MSG_VIRTUAL_COPY;
	m.memory.type = MACH_MSG_OOL_DESCRIPTOR;
	kr = mach_msg(&m.header, MACH_SEND_MSG | (reply ? MACH_RCV_MSG : MACH_SEND_TIMEOUT), offsetof(struct load, trailer),
	    reply ? sizeof m : 0, reply, 1, MACH_PORT_NULL);
	free(memory);
	if (kr != KERN_SUCCESS)
		IS(kr, MACH_SEND_TIMED_OUT); /* and it is with us again */
	if (kr != KERN_SUCCESS || reply)
		mach_msg_destroy(&m.header);
}

/* Talks to the service, and leaves messages in ports that come and go. */
static void *
talks(void *unused)
{
	mach_port_t port;

	(void)unused;
	for (unsigned n = 0;; n++) {
		sends(service, MACH_MSG_TYPE_COPY_SEND, mig_get_reply_port(), n % 4 ? 1000 : 300000);
		OK(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port));
		OK(mach_port_move_member(mach_task_self(), port, members));
		sends(port, MACH_MSG_TYPE_MAKE_SEND, MACH_PORT_NULL, 20000);
		if (n % 2)
			OK(mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1));
	}
	return NULL;
}

/* Sends to the port that receives() takes from. */
static void *
feeds(void *unused)
{
	(void)unused;
	for (;;)
		sends(own, MACH_MSG_TYPE_MAKE_SEND, MACH_PORT_NULL, 5000);
	return NULL;
}

static void *
receives(void *unused)
{
	struct load m;

	(void)unused;
	for (;;) {
		OK(mach_msg(&m.header, MACH_RCV_MSG, 0, sizeof m, own, 0, MACH_PORT_NULL));
		mach_msg_destroy(&m.header);
	}
	return NULL;
}

static void
begins(void)
{
	void *(*const habits[])(void *) = { talks, feeds, receives };
	pthread_t thread;

	dies_soon();
	OK(bootstrap_look_up(bootstrap_port, NAME, &service));
	OK(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &own));
	OK(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_PORT_SET, &members));
	for (size_t i = 0; i < sizeof habits / sizeof *habits; i++)
		TRUE_(pthread_create(&thread, NULL, habits[i], NULL) == 0);
}

/* A child does what its parent does; those of the last generation have none. */
static int
lives(void)
{
	int generation = 0;
	pid_t child;

	begins();
	while (generation < GENERATIONS) {
		child = fork();
		TRUE_(child >= 0);
		seed += (unsigned)getpid();
		if (child == 0) {
			generation++;
			begins();
		} else if (rand_r(&seed) % 2)
			waitpid(child, NULL, 0);
		else
			usleep(50000);
	}
	return pause();
}

static int
serves(void)
{
	struct load m;

	OK(bootstrap_check_in(bootstrap_port, NAME, &own));
	puts("serves");
	fflush(stdout);
	for (;;) {
		OK(mach_msg(&m.header, MACH_RCV_MSG, 0, sizeof m, own, 0, MACH_PORT_NULL));
		m.header.msgh_bits = MACH_MSGH_BITS_COMPLEX | MACH_MSGH_BITS(MACH_MSGH_BITS_REMOTE(m.header.msgh_bits), 0);
		m.header.msgh_local_port = MACH_PORT_NULL;
		m.memory.deallocate = 1;
		if (mach_msg(&m.header, MACH_SEND_MSG, offsetof(struct load, trailer), 0, MACH_PORT_NULL, 0, MACH_PORT_NULL)
		    != KERN_SUCCESS)
			mach_msg_destroy(&m.header);
	}
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	if (strcmp(argv[1], "serve") == 0)
		return serves();
	seed = (unsigned)strtoul(argv[1], NULL, 10);
	return lives();
}
