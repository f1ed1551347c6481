/* A thread faults. Of the others some wait, and one blocks every signal. */
#include "../programs/check.h"
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#define WAITERS 12

static pthread_barrier_t there;

static void *
waits(void *deaf)
{
	sigset_t all;

	sigfillset(&all);
	if (deaf != NULL)
		pthread_sigmask(SIG_BLOCK, &all, NULL);
	pthread_barrier_wait(&there);
	for (;;)
		pause();
	return NULL;
}

int
main(void)
{
	pthread_t t;

	TRUE_(pthread_barrier_init(&there, NULL, WAITERS + 2) == 0);
	for (int i = 0; i <= WAITERS; i++)
		TRUE_(pthread_create(&t, NULL, waits, i == 0 ? &there : NULL) == 0);
	pthread_barrier_wait(&there);
	*(volatile int *)16 = 0;
	return 0;
}
