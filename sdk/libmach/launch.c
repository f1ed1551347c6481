/*
 * Sockets of a job. launchd passes them as systemd does: descriptors from 3 on, whose names are in LISTEN_FDNAMES with
 * colons between them, to the process LISTEN_PID.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../include/launch.h" /* libxpc is compiled with this file, too */

#define FIRST 3

/* Names that the program has the sockets of. */
struct taken {
	struct taken *next;
	char name[];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct taken *all;

static long
number(const char *variable)
{
	const char *text = getenv(variable);
	char *end;
	long n;

	if (text == NULL)
		return -1;
	n = strtol(text, &end, 10);
	return end != text && *end == 0 ? n : -1;
}

/* Finds the descriptors of a name; returns how many there are. */
static size_t
find(const char *name, int *fds)
{
	const char *s = getenv("LISTEN_FDNAMES");
	long n = number("LISTEN_FDS");
	size_t length = strlen(name), found = 0;

	for (int fd = FIRST; s != NULL && fd - FIRST < n && fd < INT_MAX; fd++) {
		size_t l = strcspn(s, ":");
		if (l == length && memcmp(s, name, l) == 0) {
			if (fds != NULL)
				fds[found] = fd;
			found++;
		}
		s = s[l] == ':' ? s + l + 1 : NULL;
	}
	return found;
}

static int
activate(const char *name, int **fds, size_t *cnt)
{
	size_t n, length = strlen(name);
	struct taken *t;

	for (t = all; t != NULL; t = t->next)
		if (strcmp(t->name, name) == 0)
			return EALREADY;
	if ((n = find(name, NULL)) == 0)
		return ENOENT;
	if ((t = malloc(sizeof *t + length + 1)) == NULL)
		return ENOMEM;
	if ((*fds = malloc(n * sizeof **fds)) == NULL) {
		free(t);
		return ENOMEM;
	}
	*cnt = find(name, *fds);
	for (size_t i = 0; i < n; i++)
		fcntl((*fds)[i], F_SETFD, FD_CLOEXEC);
	memcpy(t->name, name, length + 1);
	t->next = all;
	all = t;
	return 0;
}

int
launch_activate_socket(const char *name, int **fds, size_t *cnt)
{
	int error;

	*fds = NULL;
	*cnt = 0;
	if (number("LISTEN_PID") != getpid())
		return ESRCH;
	pthread_mutex_lock(&lock);
	error = activate(name, fds, cnt);
	pthread_mutex_unlock(&lock);
	return error;
}
