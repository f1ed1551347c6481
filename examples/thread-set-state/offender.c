/*
 * A program that ends a computation which takes too long: it stops the thread that computes, sets its program counter
 * to where it is to go on, and lets it run. The thread keeps what it has found.
 *
 * To set the program counter of a thread kills from level 1 on, a thread of one's own too: THREAD_SET_STATE.
 */
#include <mach/mach.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile unsigned long rounds;
static thread_act_t searcher;

static void check(const char *what, kern_return_t kr)
{
	if (kr != KERN_SUCCESS) {
		printf("%s: %s\n", what, mach_error_string(kr));
		exit(1);
	}
}

/* Where the thread goes on. */
static void give_up(void)
{
	printf("given up after many rounds: %s\n", rounds > 1000 ? "yes" : "no");
	pthread_exit(NULL);
}

/* A search that has no end. */
static void *search(void *unused)
{
	searcher = mach_thread_self();
	for (;;)
		rounds++;
	return unused;
}

static void redirect(thread_act_t thread, void (*to)(void))
{
	check("thread_suspend", thread_suspend(thread));
#if defined(__x86_64__)
	x86_thread_state64_t state;
	mach_msg_type_number_t count = x86_THREAD_STATE64_COUNT;

	check("thread_get_state", thread_get_state(thread, x86_THREAD_STATE64, (thread_state_t)&state, &count));
	state.__rip = (uint64_t)to;
	state.__rsp = ((state.__rsp - 128) & ~15ull) - 8; /* below the red zone, as a call would leave it */
	check("thread_set_state", thread_set_state(thread, x86_THREAD_STATE64, (thread_state_t)&state, count));
#else
	arm_thread_state64_t state;
	mach_msg_type_number_t count = ARM_THREAD_STATE64_COUNT;

	check("thread_get_state", thread_get_state(thread, ARM_THREAD_STATE64, (thread_state_t)&state, &count));
	arm_thread_state64_set_pc_fptr(state, to);
	check("thread_set_state", thread_set_state(thread, ARM_THREAD_STATE64, (thread_state_t)&state, count));
#endif
	check("thread_resume", thread_resume(thread));
}

int main(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, search, NULL) != 0)
		return 1;
	while (rounds < 100000)
		usleep(1000); /* as long as it may take */
	redirect(searcher, give_up);
	pthread_join(thread, NULL);
	return 0;
}
