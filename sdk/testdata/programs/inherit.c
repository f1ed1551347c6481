/* A child has the exception ports that its parent had at the fork, and so has a program that it executes; thread ports stay. */
#include "check.h"
#include <sys/wait.h>
#include <unistd.h>

#define MASK (EXC_MASK_BAD_ACCESS | EXC_MASK_CRASH)
#define BEHAVIOR ((exception_behavior_t)(EXCEPTION_IDENTITY_PROTECTED | MACH_EXCEPTION_CODES))

/* How many exceptions of the mask a port is registered for, with the behaviour and flavor that it was registered with. */
static int
handled(mach_port_t task)
{
	exception_mask_t masks[EXC_TYPES_COUNT];
	mach_port_t ports[EXC_TYPES_COUNT];
	exception_behavior_t behaviors[EXC_TYPES_COUNT];
	thread_state_flavor_t flavors[EXC_TYPES_COUNT];
	mach_msg_type_number_t n = EXC_TYPES_COUNT;
	int found = 0;

	OK(task_get_exception_ports(task, MASK, masks, &n, ports, behaviors, flavors));
	for (mach_msg_type_number_t i = 0; i < n; i++) {
		if (ports[i] == MACH_PORT_NULL)
			continue;
		TRUE_(behaviors[i] == BEHAVIOR && flavors[i] == MACHINE_THREAD_STATE);
		found += __builtin_popcount(masks[i]);
		OK(mach_port_deallocate(mach_task_self(), ports[i]));
	}
	return found;
}

static int
ended(pid_t child)
{
	int status;

	TRUE_(waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

int
main(int argc, char **argv)
{
	mach_port_options_t options = { .flags = MPO_EXCEPTION_PORT | MPO_INSERT_SEND_RIGHT };
	char *again[] = { argv[0], (char *)(uintptr_t)"child", NULL };
	exception_mask_t masks[EXC_TYPES_COUNT];
	mach_port_t port, ports[EXC_TYPES_COUNT];
	exception_behavior_t behaviors[EXC_TYPES_COUNT];
	thread_state_flavor_t flavors[EXC_TYPES_COUNT];
	mach_msg_type_number_t n = EXC_TYPES_COUNT;
	pid_t child;

	if (argc > 1 && strcmp(argv[1], "child") == 0)
		return handled(mach_task_self());
	OK(mach_port_construct(mach_task_self(), &options, 0, &port));
	OK(task_set_exception_ports(mach_task_self(), MASK, port, BEHAVIOR, MACHINE_THREAD_STATE));
	OK(thread_set_exception_ports(mach_thread_self(), EXC_MASK_ARITHMETIC, port, BEHAVIOR, MACHINE_THREAD_STATE));

	/* What the parent does behind the fork is too late; what the child does is its own business. */
	for (int i = 0; i < 20; i++) {
		if ((child = fork()) == 0) {
			int found = handled(mach_task_self());

			OK(thread_get_exception_ports(mach_thread_self(), EXC_MASK_ARITHMETIC, masks, &n, ports, behaviors, flavors));
			if (n > 0 && ports[0] != MACH_PORT_NULL)
				_exit(20);
			OK(task_set_exception_ports(mach_task_self(), MASK, MACH_PORT_NULL, BEHAVIOR, MACHINE_THREAD_STATE));
			_exit(found);
		}
		OK(task_set_exception_ports(mach_task_self(), MASK, MACH_PORT_NULL, BEHAVIOR, MACHINE_THREAD_STATE));
		IS(ended(child), 2);
		TRUE_(handled(mach_task_self()) == 0);
		OK(task_set_exception_ports(mach_task_self(), MASK, port, BEHAVIOR, MACHINE_THREAD_STATE));
	}
	TRUE_(handled(mach_task_self()) == 2);

	if ((child = fork()) == 0) {
		execv(argv[0], again);
		_exit(30);
	}
	IS(ended(child), 2);

	/* What it changed itself stays so, too. */
	for (int i = 0; i < 10; i++) {
		if ((child = fork()) == 0) {
			OK(task_set_exception_ports(mach_task_self(), EXC_MASK_CRASH, MACH_PORT_NULL, BEHAVIOR, MACHINE_THREAD_STATE));
			execv(argv[0], again);
			_exit(30);
		}
		IS(ended(child), 1);
	}
	return 0;
}
