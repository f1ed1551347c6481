/*
 * The floor: two processes that wake each other with futexes over shared memory. Prints the time of each round trip in
 * nanoseconds, one a line. With "look" who waits looks first, for up to 100 microseconds, and gives the processor away
 * between two looks, as libmach does. usage: futex ROUNDS [look]
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct box {
	_Atomic uint32_t turn __attribute__((aligned(64)));
	_Atomic uint32_t sleeps[2];
	char message[64] __attribute__((aligned(64)));
} *box;

static int looks;

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void await(uint32_t turn)
{
	uint32_t seen;
	if (looks) {
		for (uint64_t end = now() + 100000; now() < end; sched_yield())
			if (atomic_load(&box->turn) == turn)
				return;
		atomic_store(&box->sleeps[turn], 1);
	}
	while ((seen = atomic_load(&box->turn)) != turn)
		syscall(SYS_futex, &box->turn, FUTEX_WAIT, seen, NULL, NULL, 0);
	atomic_store(&box->sleeps[turn], 0);
}

static void pass(uint32_t turn)
{
	atomic_store(&box->turn, turn);
	if (!looks || atomic_load(&box->sleeps[turn]))
		syscall(SYS_futex, &box->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1000;
	uint64_t *took = calloc((size_t)rounds, sizeof *took);
	char message[48] = { 0 };

	looks = argc > 2 && strcmp(argv[2], "look") == 0;
	box = mmap(NULL, sizeof *box, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (box == MAP_FAILED || took == NULL)
		return 1;
	if (fork() == 0) {
		for (int i = 0; i < rounds; i++) {
			await(1);
			memcpy(message, box->message, sizeof message);
			memcpy(box->message, message, sizeof message);
			pass(0);
		}
		_exit(0);
	}
	for (int i = 0; i < rounds; i++) {
		uint64_t start = now();
		memcpy(box->message, message, sizeof message);
		pass(1);
		await(0);
		memcpy(message, box->message, sizeof message);
		took[i] = now() - start;
	}
	wait(NULL);
	for (int i = 0; i < rounds; i++)
		printf("%llu\n", (unsigned long long)took[i]);
	return 0;
}
