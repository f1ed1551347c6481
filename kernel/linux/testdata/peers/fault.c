/*
 * A process that reports its faults to the kernel (see trap.h) and does nothing else. It joins, prints the addresses of
 * two functions, and for each word on standard input does what it says.
 *
 *   access, divide, trap, illegal, abort   faults; "done" is printed if the thread goes on behind it
 *   traps N                                N times trap
 *   spin, turns                            a second thread counts; "spinning" is printed once it does, and
 *                                          then whether it still does
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <ucontext.h>
#include <unistd.h>

#include "trap.h"

static int kernel;
static struct pt_area *area;

static void die(const char *what)
{
	perror(what);
	_exit(1);
}

static void post(uint32_t kind, uint32_t a)
{
	struct pt_packet p = {.kind = kind, .a = a};

	if (send(kernel, &p, sizeof p, 0) != sizeof p)
		die("send");
}

/* Any of the signals: tell the kernel where the thread stands, and do what it answers. */
static void stand(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	struct pt_record *r;
	uint32_t free = PT_RECORD_FREE, i = 0;
	int saved = errno;

	for (;; i = (i + 1) % PT_AREA_RECORDS, free = PT_RECORD_FREE)
		if (__atomic_compare_exchange_n(&area->records[i].state, &free, PT_RECORD_TAKEN, 0, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST))
			break;
	r = &area->records[i];
	r->kind = signo == SIGRTMAX - PT_SIGNAL_OFFSET ? PT_RECORD_IS_STOP : PT_RECORD_IS_FAULT;
	r->tid = (int32_t)syscall(SYS_gettid);
	r->signo = signo, r->code = info->si_code, r->error = info->si_errno;
	r->address = (uint64_t)info->si_addr;
	r->trap = (uint64_t)u->uc_mcontext.gregs[REG_TRAPNO];
	r->error_code = (uint64_t)u->uc_mcontext.gregs[REG_ERR];
	memcpy(r->registers, u->uc_mcontext.gregs, sizeof u->uc_mcontext.gregs);
	memcpy(r->floating, u->uc_mcontext.fpregs, 512);
	r->changed = 0;
	__atomic_store_n(&r->state, PT_RECORD_STOPPED, __ATOMIC_SEQ_CST);
	post(PT_FAULT, i);
	for (;;) {
		uint32_t state = __atomic_load_n(&r->state, __ATOMIC_SEQ_CST);

		if (state == PT_RECORD_STOPPED)
			syscall(SYS_futex, &r->state, FUTEX_WAIT, state, NULL, NULL, 0);
		else if (state == PT_RECORD_RESUME || state == PT_RECORD_DEFAULT)
			break;
	}
	if (r->changed & 1)
		memcpy(u->uc_mcontext.gregs, r->registers, 18 * sizeof *r->registers);
	if (r->changed & 2)
		memcpy(u->uc_mcontext.fpregs, r->floating, 416);
	if (r->state == PT_RECORD_DEFAULT)
		signal(signo, SIG_DFL);
	__atomic_store_n(&r->state, PT_RECORD_FREE, __ATOMIC_SEQ_CST);
	errno = saved;
}

static void join(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct pt_packet p = {.kind = PT_HELLO, .a = PT_VERSION, .b = PT_HELLO_RECORDS | PT_HELLO_FAULTS};
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec v = {&p, sizeof p};
	struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGRTMAX - PT_SIGNAL_OFFSET};
	struct sigaction act = {.sa_sigaction = stand, .sa_flags = SA_SIGINFO | SA_RESTART};
	int fd;

	strncpy(name.sun_path, getenv(PT_ENVIRONMENT), sizeof name.sun_path - 1);
	kernel = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (kernel < 0 || connect(kernel, (struct sockaddr *)&name, sizeof name) != 0)
		die("connect");
	if (send(kernel, &p, sizeof p, 0) != sizeof p || recvmsg(kernel, &m, MSG_CMSG_CLOEXEC) != sizeof p || p.a != 0)
		die("hello");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	area = mmap(NULL, PT_AREA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaction(signals[i], &act, NULL);
}

/* Where a handler sends a thread. */
static void elsewhere(void)
{
	printf("elsewhere\n");
	exit(0);
}

static volatile uint64_t turns;

static void *spin(void *unused)
{
	(void)unused;
	for (;;)
		turns++;
}

int main(void)
{
	char word[32];
	pthread_t thread;

	setvbuf(stdout, NULL, _IOLBF, 0);
	join();
	printf("elsewhere is %p\n", (void *)elsewhere);
	while (scanf("%31s", word) == 1) {
		if (strcmp(word, "access") == 0) {
			*(volatile int *)0x10 = 1;
		} else if (strcmp(word, "divide") == 0) {
			volatile int seven = 7, zero = 0;

			seven = seven / zero;
		} else if (strcmp(word, "trap") == 0) {
			__asm__ volatile("int3");
		} else if (strcmp(word, "traps") == 0) {
			long n = 0;

			if (scanf("%ld", &n) != 1)
				return 1;
			for (; n > 0; n--)
				__asm__ volatile("int3");
		} else if (strcmp(word, "illegal") == 0) {
			__asm__ volatile("ud2");
		} else if (strcmp(word, "abort") == 0) {
			abort();
		} else if (strcmp(word, "spin") == 0) {
			pthread_create(&thread, NULL, spin, NULL);
			while (turns == 0)
				;
			printf("spinning\n");
			continue;
		} else if (strcmp(word, "turns") == 0) {
			uint64_t before = turns;

			for (int i = 0; i < 25 && turns == before; i++)
				usleep(20000);
			printf("turns: %s\n", turns == before ? "no" : "yes");
			continue;
		}
		printf("done\n");
	}
	return 0;
}
