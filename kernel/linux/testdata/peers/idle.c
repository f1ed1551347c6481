/*
 * Many tasks that wait. Makes as many processes as it is told; each joins the kernel (see trap.h), makes a port, and waits
 * for a message on it. "ready" is printed once all do. They end with the first process.
 *
 * usage: idle COUNT
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "trap.h"

#define MPO_INSERT_SEND_RIGHT 0x10
#define MACH_RCV_MSG 2

static int kernel;
static struct pt_lane *lane;
static uint32_t lane_index;

static void die(const char *what)
{
	perror(what);
	_exit(1);
}

static void post(uint32_t kind, uint32_t a, uint32_t b)
{
	struct pt_packet p = {.kind = kind, .a = a, .b = b};

	if (send(kernel, &p, sizeof p, 0) != sizeof p)
		die("send");
}

/* Asks on the socket, and maps the memory that comes with the answer. */
static void *ask(uint32_t kind, uint32_t a, uint32_t b, size_t size, uint32_t *told)
{
	struct pt_packet p;
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec v = {&p, sizeof p};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	void *memory;
	int fd;

	post(kind, a, b);
	if (recvmsg(kernel, &m, MSG_CMSG_CLOEXEC) != sizeof p)
		die("recvmsg");
	if (p.a != 0) {
		fprintf(stderr, "idle: %s\n", p.text);
		_exit(1);
	}
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	close(fd);
	*told = p.b;
	return memory;
}

/* Posts the request that is in the lane; the kernel sleeps. */
static uint32_t begin(uint32_t op)
{
	uint32_t done = __atomic_load_n(&lane->done, __ATOMIC_SEQ_CST);

	lane->op = op;
	__atomic_store_n(&lane->task_waits, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&lane->posted, 1, __ATOMIC_SEQ_CST);
	if (__atomic_exchange_n(&lane->kernel_state, PT_KERNEL_AWAKE, __ATOMIC_SEQ_CST) == PT_KERNEL_ASLEEP)
		post(PT_DOORBELL, lane_index, 0);
	else
		syscall(SYS_futex, &lane->posted, FUTEX_WAKE, 1, NULL, NULL, 0);
	return done;
}

static void finish(uint32_t done)
{
	while (__atomic_load_n(&lane->done, __ATOMIC_SEQ_CST) == done)
		syscall(SYS_futex, &lane->done, FUTEX_WAIT, done, NULL, NULL, 0);
}

static void idle(int ready)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	uint32_t none, begun;
	uint64_t port;

	strncpy(name.sun_path, getenv(PT_ENVIRONMENT), sizeof name.sun_path - 1);
	kernel = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (kernel < 0 || connect(kernel, (struct sockaddr *)&name, sizeof name) != 0)
		die("connect");
	ask(PT_HELLO, PT_VERSION, 0, PT_AREA_SIZE, &none);
	lane = ask(PT_LANE, (uint32_t)syscall(SYS_gettid), 0, PT_LANE_SIZE, &lane_index);
	finish(begin(PT_OP_TASK_SELF));
	lane->args[0] = lane->result[0];
	lane->args[1] = MPO_INSERT_SEND_RIGHT, lane->args[2] = 0, lane->args[3] = 5;
	finish(begin(PT_OP_PORT_CONSTRUCT));
	port = lane->result[1];
	if (lane->result[0] != 0 || port == 0)
		die("construct");
	lane->args[0] = MACH_RCV_MSG, lane->args[1] = port, lane->args[2] = 1024;
	begun = begin(PT_OP_MSG2);
	if (write(ready, "", 1) != 1)
		die("write");
	finish(begun);
	fprintf(stderr, "idle: %#llx\n", (unsigned long long)lane->result[0]);
	_exit(1);
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 1, ready[2];
	char byte;

	if (pipe(ready) != 0)
		die("pipe");
	for (int i = 0; i < count; i++) {
		pid_t child = fork();

		if (child < 0)
			die("fork");
		if (child == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			idle(ready[1]);
		}
		if (read(ready[0], &byte, 1) != 1) /* one after the other: a kernel takes few that say nothing */
			die("read");
	}
	printf("ready\n");
	fflush(stdout);
	return getchar() == EOF;
}
