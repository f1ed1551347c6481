/*
 * A relay: two processes that speak through a third, over Unix sockets, as they would through the simplest of brokers.
 * Prints the time of each round trip in nanoseconds, one a line. usage: relay ROUNDS
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1000;
	uint64_t *took = calloc((size_t)rounds, sizeof *took);
	char message[48] = { 0 };
	int a[2], b[2];

	if (took == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, a) || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, b))
		return 1;
	if (fork() == 0) { /* the broker */
		char m[4096];
		struct pollfd p[2] = { { a[1], POLLIN, 0 }, { b[1], POLLIN, 0 } };
		close(a[0]);
		close(b[0]);
		for (;;) {
			if (poll(p, 2, -1) < 0)
				_exit(1);
			for (int i = 0; i < 2; i++) {
				if (!p[i].revents)
					continue;
				ssize_t n = recv(p[i].fd, m, sizeof m, 0);
				if (n <= 0 || send(p[1 - i].fd, m, (size_t)n, 0) != n)
					_exit(0);
			}
		}
	}
	close(a[1]);
	close(b[1]);
	if (fork() == 0) { /* the server */
		char m[4096];
		close(a[0]);
		for (;;) {
			ssize_t n = recv(b[0], m, sizeof m, 0);
			if (n <= 0 || send(b[0], m, (size_t)n, 0) != n)
				_exit(0);
		}
	}
	close(b[0]);
	for (int i = 0; i < rounds; i++) {
		uint64_t start = now();
		if (send(a[0], message, sizeof message, 0) < 0 || recv(a[0], message, sizeof message, 0) <= 0)
			return 1;
		took[i] = now() - start;
	}
	close(a[0]);
	while (wait(NULL) > 0)
		;
	for (int i = 0; i < rounds; i++)
		printf("%llu\n", (unsigned long long)took[i]);
	return 0;
}
