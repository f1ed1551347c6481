/*
 * A program that leaves its crashes to a reporter in another process (reporter.c). It looks the reporter up by name and
 * registers its port for EXC_CRASH: it does not need to trust it, as the messages carry no port of the program's.
 *
 *	client SERVICE null|divide|abort|forbidden
 *
 * forbidden is what a restriction kills from level 1 on.
 */
#include <mach/mach.h>
#include <servers/bootstrap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CODES ((exception_behavior_t)MACH_EXCEPTION_CODES)

static void check(const char *what, kern_return_t kr)
{
	if (kr != KERN_SUCCESS) {
		fprintf(stderr, "%s: %s\n", what, mach_error_string(kr));
		exit(1);
	}
}

__attribute__((noinline)) static int take_apart(int *list)
{
	return list[4] + 1;
}

__attribute__((noinline)) static int share(int total, int parts)
{
	return total / parts + 1;
}

/* Asks for messages that carry the control ports of thread and task. */
__attribute__((noinline)) static int trust(mach_port_t port)
{
	return (int)task_set_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS, port, EXCEPTION_DEFAULT | CODES,
					     THREAD_STATE_NONE) + 1;
}

__attribute__((noinline)) static int run(const char *what, mach_port_t port)
{
	int *volatile nothing = NULL;
	volatile int none = 0;

	if (strcmp(what, "null") == 0)
		return take_apart(nothing) + 1;
	if (strcmp(what, "divide") == 0)
		return share(100, none) + 1;
	if (strcmp(what, "abort") == 0)
		abort();
	if (strcmp(what, "forbidden") == 0)
		return trust(port) + 1;
	return 0;
}

int main(int argc, char **argv)
{
	mach_port_t reporter;

	if (argc != 3) {
		fprintf(stderr, "usage: client SERVICE null|divide|abort|forbidden\n");
		return 2;
	}
	check("bootstrap_look_up", bootstrap_look_up(bootstrap_port, argv[1], &reporter));
	check("task_set_exception_ports",
	      task_set_exception_ports(mach_task_self(), EXC_MASK_CRASH, reporter, EXCEPTION_IDENTITY_PROTECTED | CODES,
				       THREAD_STATE_NONE));
	printf("%s: %d\n", argv[2], run(argv[2], reporter));
	return 0;
}
