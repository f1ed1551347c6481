/* Sockets of a job: who gets them, from whatever the environment says. */
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <launch.h>
#include <pthread.h>
#include <unistd.h>

static void
surroundings(const char *pid, const char *count, const char *names)
{
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", count, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

static int
activate(const char *name, size_t want)
{
	int *fds, error;
	size_t n;

	error = launch_activate_socket(name, &fds, &n);
	TRUE_(n == (error == 0 ? want : 0));
	TRUE_((error == 0) == (fds != NULL));
	for (size_t i = 0; i < n; i++)
		TRUE_(fds[i] >= 3 && fcntl(fds[i], F_GETFD) == FD_CLOEXEC);
	free(fds);
	return error;
}

static void *
racer(void *context)
{
	(void)context;
	return (void *)(long)activate("raced", 1);
}

int
main(void)
{
	static const char *counts[] = { "", "0", "-1", "x", "1x", "99999999999999999999999" };
	char own[16];
	pthread_t threads[4];
	int won = 0;

	unsetenv("LISTEN_PID");
	IS(activate("a", 1), ESRCH);
	snprintf(own, sizeof own, "%dx", getpid());
	surroundings(own, "1", "a");
	IS(activate("a", 1), ESRCH);
	surroundings("1", "1", "a");
	IS(activate("a", 1), ESRCH);
	surroundings("", "1", "a");
	IS(activate("a", 1), ESRCH);
	snprintf(own, sizeof own, "%d", getpid());
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		surroundings(own, counts[i], "b:aa:");
		IS(activate("a", 1), ENOENT);
	}
	unsetenv("LISTEN_FDNAMES");
	IS(activate("a", 1), ENOENT);

	for (int fd = 3; fd < 8; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			TRUE_(dup2(1, fd) == fd);
	surroundings(own, "5", "a:b:a::raced:late");
	IS(activate("late", 1), ENOENT); /* more names than sockets */
	IS(activate("a", 2), 0);
	IS(activate("a", 2), EALREADY);
	IS(activate("", 1), 0);
	IS(activate("b", 1), 0);
	IS(activate("b", 1), EALREADY);
	for (int i = 0; i < 4; i++)
		TRUE_(pthread_create(&threads[i], NULL, racer, NULL) == 0);
	for (int i = 0; i < 4; i++) {
		void *error;
		pthread_join(threads[i], &error);
		won += error == NULL;
		TRUE_(error == NULL || (long)error == EALREADY);
	}
	TRUE_(won == 1);
	return 0;
}
