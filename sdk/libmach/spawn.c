/*
 * Programs that are started with ports. The child is forked, so that it is a task; the parent gives it the ports; then it
 * executes the program, which has what a task keeps that executes one.
 */
#define _GNU_SOURCE
#define PORTCULLIS_LIBMACH
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mach/mach.h>

#include "libmach.h"

int portcullis_posix_spawn(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
	char *const[], char *const[]);
int portcullis_posix_spawnp(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
	char *const[], char *const[]);
int portcullis_posix_spawnattr_init(posix_spawnattr_t *);
int portcullis_posix_spawnattr_destroy(posix_spawnattr_t *);

/* ---- The ports of attributes --------------------------------------------------------------------------------------- */

/* The C library's attribute has no room for them. */
struct ports {
	struct ports *next;
	const posix_spawnattr_t *of;
	enum { EXCEPTIONS, SPECIAL, REGISTERED } kind;
	mach_port_t port[TASK_PORT_REGISTER_MAX];
	uint32_t count;
	int which;
	exception_mask_t mask;
	exception_behavior_t behavior;
	thread_state_flavor_t flavor;
};
static struct ports *all;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int
add(const struct ports *p)
{
	struct ports *made = malloc(sizeof *made), **last;

	if (made == NULL)
		return ENOMEM;
	*made = *p;
	made->next = NULL;
	pthread_mutex_lock(&lock);
	for (last = &all; *last != NULL; last = &(*last)->next)
		continue;
	*last = made;
	pthread_mutex_unlock(&lock);
	return 0;
}

static void
forget(const posix_spawnattr_t *attr)
{
	pthread_mutex_lock(&lock);
	for (struct ports **at = &all; *at != NULL;) {
		struct ports *p = *at;
		if (p->of == attr) {
			*at = p->next;
			free(p);
		} else {
			at = &p->next;
		}
	}
	pthread_mutex_unlock(&lock);
}

static int
has_ports(const posix_spawnattr_t *attr)
{
	struct ports *p;

	if (attr == NULL)
		return 0;
	pthread_mutex_lock(&lock);
	for (p = all; p != NULL && p->of != attr; p = p->next)
		continue;
	pthread_mutex_unlock(&lock);
	return p != NULL;
}

int
posix_spawnattr_setexceptionports_np(posix_spawnattr_t *attr, exception_mask_t mask, mach_port_t port,
	exception_behavior_t behavior, thread_state_flavor_t flavor)
{
	struct ports p = { .of = attr, .kind = EXCEPTIONS, .port = { port }, .count = 1, .mask = mask,
		.behavior = behavior, .flavor = flavor };

	return add(&p);
}

int
posix_spawnattr_setspecialport_np(posix_spawnattr_t *attr, mach_port_t port, int which)
{
	struct ports p = { .of = attr, .kind = SPECIAL, .port = { port }, .count = 1, .which = which };

	return add(&p);
}

int
posix_spawnattr_set_registered_ports_np(posix_spawnattr_t *attr, mach_port_t ports[], uint32_t count)
{
	struct ports p = { .of = attr, .kind = REGISTERED, .count = count };

	if (count > TASK_PORT_REGISTER_MAX)
		return EINVAL;
	memcpy(p.port, ports, count * sizeof *ports);
	return add(&p);
}

int
portcullis_posix_spawnattr_init(posix_spawnattr_t *attr)
{
	forget(attr);
	return posix_spawnattr_init(attr);
}

int
portcullis_posix_spawnattr_destroy(posix_spawnattr_t *attr)
{
	forget(attr);
	return posix_spawnattr_destroy(attr);
}

static kern_return_t
equip(task_t task, const posix_spawnattr_t *attr)
{
	kern_return_t kr = KERN_SUCCESS;

	pthread_mutex_lock(&lock);
	for (struct ports *p = all; p != NULL && kr == KERN_SUCCESS; p = p->next) {
		if (p->of != attr)
			continue;
		switch (p->kind) {
		case EXCEPTIONS:
			kr = task_set_exception_ports(task, p->mask, p->port[0], p->behavior, p->flavor);
			break;
		case SPECIAL:
			kr = task_set_special_port(task, p->which, p->port[0]);
			break;
		case REGISTERED:
			kr = mach_ports_register(task, p->port, p->count);
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return kr;
}

/* ---- Starting ------------------------------------------------------------------------------------------------------ */

/* Does in the child what an attribute says besides ports. */
static int
become(const posix_spawnattr_t *attr)
{
	short flags = 0;
	sigset_t set;
	pid_t group;
	struct sched_param param;
	int policy;

	posix_spawnattr_getflags(attr, &flags);
	if (flags & POSIX_SPAWN_SETSIGDEF) {
		struct sigaction a;

		memset(&a, 0, sizeof a);
		a.sa_handler = SIG_DFL;
		posix_spawnattr_getsigdefault(attr, &set);
		for (int i = 1; i <= SIGRTMAX; i++)
			if (sigismember(&set, i) == 1)
				sigaction(i, &a, NULL);
	}
	posix_spawnattr_getschedparam(attr, &param);
	posix_spawnattr_getschedpolicy(attr, &policy);
	if ((flags & POSIX_SPAWN_SETSCHEDULER) && sched_setscheduler(0, policy, &param) < 0)
		return errno;
	if ((flags & (POSIX_SPAWN_SETSCHEDULER | POSIX_SPAWN_SETSCHEDPARAM)) == POSIX_SPAWN_SETSCHEDPARAM &&
	    sched_setparam(0, &param) < 0)
		return errno;
#ifdef POSIX_SPAWN_SETSID
	if ((flags & POSIX_SPAWN_SETSID) && setsid() < 0)
		return errno;
#endif
	posix_spawnattr_getpgroup(attr, &group);
	if ((flags & POSIX_SPAWN_SETPGROUP) && setpgid(0, group) < 0)
		return errno;
	if ((flags & POSIX_SPAWN_RESETIDS) && (setegid(getgid()) < 0 || seteuid(getuid()) < 0))
		return errno;
	if (flags & POSIX_SPAWN_SETSIGMASK) {
		posix_spawnattr_getsigmask(attr, &set);
		sigprocmask(SIG_SETMASK, &set, NULL);
	}
	return 0;
}

/* Nothing is left of a child that did not execute its program. */
static void
bury(pid_t child)
{
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		continue;
}

static ssize_t
get(int fd, void *to, size_t n)
{
	ssize_t got;

	while ((got = read(fd, to, n)) < 0 && errno == EINTR)
		continue;
	return got;
}

/* What parent and child tell each other goes through two pipes: that the child is a task, that it has its ports, and, if
 * the program cannot be executed, why. That it was the end of the second pipe tells. */
static int
start(pid_t *pid, const char *file, int search, const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	int down[2], up[2], error = EINVAL;
	mach_port_t task;
	pid_t child;
	char byte = 0;

	if (pipe2(down, O_CLOEXEC) != 0)
		return errno;
	if (pipe2(up, O_CLOEXEC) != 0) {
		error = errno;
		close(down[0]);
		close(down[1]);
		return error;
	}
	if ((child = fork()) == 0) {
		close(down[1]);
		if (write(up[1], &byte, 1) != 1 || get(down[0], &byte, 1) != 1)
			_exit(127);
		if ((error = become(attr)) == 0) {
			if (search)
				execvpe(file, argv, envp);
			else
				execve(file, argv, envp);
			error = errno;
		}
		if (write(up[1], &error, sizeof error) < 0)
			_exit(126);
		_exit(127);
	}
	close(down[0]);
	close(up[1]);
	if (child < 0) {
		error = errno;
	} else if (get(up[0], &byte, 1) == 1 && task_for_pid(mach_task_self_, child, &task) == KERN_SUCCESS) {
		kern_return_t kr = equip(task, attr);

		mach_port_deallocate(mach_task_self_, task);
		if (kr == KERN_SUCCESS && write(down[1], &byte, 1) == 1 &&
		    get(up[0], &error, sizeof error) != sizeof error)
			error = 0;
	}
	close(down[1]);
	close(up[0]);
	if (error == 0 && pid != NULL)
		*pid = child;
	if (error != 0 && child > 0)
		bury(child);
	return error;
}

static int
has_actions(const posix_spawn_file_actions_t *actions)
{
#ifdef __GLIBC__
	return actions != NULL && actions->__used > 0;
#else
	return actions != NULL;
#endif
}

int
portcullis_posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	if (!has_ports(attr))
		return posix_spawn(pid, path, actions, attr, argv, envp);
	return has_actions(actions) ? ENOTSUP : start(pid, path, 0, attr, argv, envp);
}

int
portcullis_posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	if (!has_ports(attr))
		return posix_spawnp(pid, file, actions, attr, argv, envp);
	return has_actions(actions) ? ENOTSUP : start(pid, file, 1, attr, argv, envp);
}
