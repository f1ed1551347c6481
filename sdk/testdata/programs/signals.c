/*
 * A thread that waits for the answer of an exception handler keeps nobody alive: signals that end a process do so. Those
 * that have handlers, are ignored or blocked do not, and wait.
 */
#define _GNU_SOURCE
#include "check.h"
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct request {
	mach_msg_header_t header;
	char rest[1024];
};

static void
ignore(int signo)
{
	(void)signo;
}

enum way { STANDARD, HANDLED, IGNORED, BLOCKED };

/* A child that faults, and whose handler never answers. */
static pid_t
waiting(mach_port_t port, int signo, enum way way)
{
	struct request m;
	pid_t child = fork();

	if (child == 0) {
		sigset_t set;
		sigemptyset(&set);
		sigaddset(&set, signo);
		sigprocmask(way == BLOCKED ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
		signal(signo, way == HANDLED ? ignore : way == IGNORED ? SIG_IGN : SIG_DFL);
		if (signo == SIGALRM)
			alarm(1);
		*(volatile int *)0x10 = 1;
		_exit(99);
	}
	OK(mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, port, 10000, MACH_PORT_NULL));
	IS(m.header.msgh_id, 2406);
	return child;
}

static int
end_of(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) != child)
		TRUE_(errno == EINTR);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 1000 + status;
}

int
main(void)
{
	static const int fatal[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGVTALRM };
	mach_port_options_t options = { .flags = MPO_EXCEPTION_PORT | MPO_INSERT_SEND_RIGHT };
	mach_port_t port;
	pid_t child;
	int status;

	OK(mach_port_construct(mach_task_self(), &options, 0, &port));
	/* Children inherit the handler; this task's own would answer nobody. */
	OK(task_set_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS, port,
	    (exception_behavior_t)(EXCEPTION_STATE | MACH_EXCEPTION_CODES), MACHINE_THREAD_STATE));
	for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
		child = waiting(port, fatal[i], STANDARD);
		TRUE_(kill(child, fatal[i]) == 0);
		IS(end_of(child), fatal[i]);
	}
	IS(end_of(waiting(port, SIGALRM, STANDARD)), SIGALRM);
	for (enum way w = HANDLED; w <= BLOCKED; w++) {
		child = waiting(port, SIGTERM, w);
		TRUE_(kill(child, SIGTERM) == 0);
		usleep(50000);
		TRUE_(waitpid(child, &status, WNOHANG) == 0);
		TRUE_(kill(child, SIGKILL) == 0);
		IS(end_of(child), SIGKILL);
	}
	return 0;
}
