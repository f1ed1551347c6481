/* A program is started with ports: for exceptions, special, registered. */
#include "check.h"
#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define BEHAVIOR ((exception_behavior_t)(EXCEPTION_IDENTITY_PROTECTED | MACH_EXCEPTION_CODES))

extern char **environ;

/* The child knows its ports by what it can send to them. */
static void
tell(mach_port_t port, int id)
{
	mach_msg_header_t h = MACH_MSG_HEADER_EMPTY;

	h.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0);
	h.msgh_remote_port = port;
	h.msgh_id = id;
	OK(mach_msg(&h, MACH_SEND_MSG, sizeof h, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL));
}

static int
child(void)
{
	exception_mask_t masks[EXC_TYPES_COUNT];
	mach_port_t ports[EXC_TYPES_COUNT];
	exception_behavior_t behaviors[EXC_TYPES_COUNT];
	thread_state_flavor_t flavors[EXC_TYPES_COUNT];
	mach_msg_type_number_t n = EXC_TYPES_COUNT;
	mach_port_array_t registered;

	OK(task_get_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS, masks, &n, ports, behaviors, flavors));
	TRUE_(n == 1 && masks[0] == EXC_MASK_BAD_ACCESS && MACH_PORT_VALID(ports[0]) && behaviors[0] == BEHAVIOR &&
	    flavors[0] == MACHINE_THREAD_STATE);
	OK(mach_ports_lookup(mach_task_self(), &registered, &n));
	TRUE_(n == 3 && MACH_PORT_VALID(registered[0]) && MACH_PORT_VALID(registered[1]));
	tell(registered[0], 1);
	tell(registered[1], 2);
	tell(bootstrap_port, 3);
	return 42;
}

static int
hear(mach_port_t port)
{
	struct {
		mach_msg_header_t header;
		mach_msg_trailer_t trailer;
	} m;

	OK(mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, port, 10000, MACH_PORT_NULL));
	return m.header.msgh_id;
}

static mach_port_t
made(uint32_t flags)
{
	mach_port_options_t options = { .flags = MPO_INSERT_SEND_RIGHT | flags };
	mach_port_t port;

	OK(mach_port_construct(mach_task_self(), &options, 0, &port));
	return port;
}

int
main(int argc, char **argv)
{
	mach_port_t faults = made(MPO_EXCEPTION_PORT), boot = made(0), registered[2] = { made(0), made(0) };
	char *again[] = { argv[0], (char *)(uintptr_t)"child", NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t set;
	pid_t pid;
	int status;

	if (argc > 1 && strcmp(argv[1], "child") == 0)
		return child();

	TRUE_(posix_spawnattr_init(&attr) == 0);
	TRUE_(posix_spawnattr_setexceptionports_np(&attr, EXC_MASK_BAD_ACCESS, faults, BEHAVIOR, MACHINE_THREAD_STATE) == 0);
	TRUE_(posix_spawnattr_setspecialport_np(&attr, boot, TASK_BOOTSTRAP_PORT) == 0);
	TRUE_(posix_spawnattr_set_registered_ports_np(&attr, registered, 2) == 0);
	TRUE_(posix_spawnattr_set_registered_ports_np(&attr, registered, 4) == EINVAL);
	sigemptyset(&set);
	TRUE_(posix_spawnattr_setsigmask(&attr, &set) == 0);
	TRUE_(posix_spawnattr_setpgroup(&attr, 0) == 0);
	TRUE_(posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK) == 0);
	for (int i = 0; i < 5; i++) {
		TRUE_(posix_spawn(&pid, argv[0], NULL, &attr, again, environ) == 0);
		TRUE_(getpgid(pid) == pid);
		TRUE_(hear(registered[0]) == 1 && hear(registered[1]) == 2 && hear(boot) == 3);
		TRUE_(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		IS(WEXITSTATUS(status), 42);
	}

	/* What cannot be executed leaves nothing behind. */
	TRUE_(posix_spawn(&pid, "/nowhere", NULL, &attr, again, environ) == ENOENT);
	TRUE_(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD);
	TRUE_(posix_spawn_file_actions_init(&actions) == 0 && posix_spawn_file_actions_addclose(&actions, 0) == 0);
	TRUE_(posix_spawn(&pid, argv[0], &actions, &attr, again, environ) == ENOTSUP);
	TRUE_(posix_spawn_file_actions_destroy(&actions) == 0);
	TRUE_(posix_spawnattr_destroy(&attr) == 0);

	/* A port that is none. */
	TRUE_(posix_spawnattr_init(&attr) == 0);
	TRUE_(posix_spawnattr_setspecialport_np(&attr, boot, 99) == 0);
	TRUE_(posix_spawn(&pid, argv[0], NULL, &attr, again, environ) == EINVAL);
	TRUE_(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD);
	TRUE_(posix_spawnattr_destroy(&attr) == 0);

	/* Without ports it is the system's. */
	TRUE_(posix_spawnattr_init(&attr) == 0);
	again[0] = (char *)(uintptr_t)"true";
	TRUE_(posix_spawnp(&pid, "true", NULL, &attr, again, environ) == 0);
	TRUE_(waitpid(pid, &status, 0) == pid && status == 0);
	TRUE_(posix_spawnattr_destroy(&attr) == 0);
	return 0;
}
