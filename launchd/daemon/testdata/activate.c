/*
 * Takes sockets: says how that went for each name of its arguments, for the first once more, and for a child, to the
 * first connection of each socket of the first name. Without sockets it says so on standard output.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <launch.h>

static char said[512];

static void say(const char *name, int error, const int *fds, size_t n) {
	char *to = said + strlen(said);
	size_t left = sizeof said - strlen(said);
	switch (error) {
	case 0:
		for (size_t i = 0; i < n; i++)
			if (fcntl(fds[i], F_GETFD) != FD_CLOEXEC)
				error = -1;
		snprintf(to, left, "%s %zu%s ", name, n, error ? " open on exec" : "");
		break;
	case ENOENT:
		snprintf(to, left, "%s ENOENT ", name);
		break;
	case ESRCH:
		snprintf(to, left, "%s ESRCH ", name);
		break;
	case EALREADY:
		snprintf(to, left, "%s EALREADY ", name);
		break;
	default:
		snprintf(to, left, "%s %d ", name, error);
	}
	if ((error == 0) != (n > 0) || (n > 0) != (fds != NULL))
		snprintf(said, sizeof said, "error %d, %zu descriptors", error, n);
}

int main(int argc, char **argv) {
	int *first, *more, status;
	size_t n, m;
	int error = launch_activate_socket(argv[1], &first, &n);
	say(argv[1], error, first, n);
	for (int i = 2; i < argc; i++) {
		error = launch_activate_socket(argv[i], &more, &m);
		say(argv[i], error, more, m);
		free(more);
	}
	error = launch_activate_socket(argv[1], &more, &m);
	say("again", error, more, m);
	pid_t child = fork();
	if (child == 0)
		_exit(launch_activate_socket(argv[1], &more, &m));
	waitpid(child, &status, 0);
	say("child", WEXITSTATUS(status), NULL, 0);
	if (n == 0)
		puts(said);
	for (size_t i = 0; i < n; i++) {
		int c = accept(first[i], NULL, NULL);
		if (c < 0) {
			perror("accept");
			return 1;
		}
		dprintf(c, "%s\n", said);
		close(c);
		fcntl(first[i], F_SETFL, O_NONBLOCK); /* the next program must not see this */
	}
	free(first);
	return 0;
}
