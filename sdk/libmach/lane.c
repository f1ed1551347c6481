/* A call: a request in the lane, and its answer. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <mach/mach_time.h>

#include "libmach.h"

#define LOAD(p) __atomic_load_n(&(p), __ATOMIC_SEQ_CST)
#define STORE(p, v) __atomic_store_n(&(p), (v), __ATOMIC_SEQ_CST)

int
pt_futex_wait(volatile uint32_t *word, uint32_t value, uint32_t ms)
{
	struct timespec ts = { ms / 1000, (long)(ms % 1000) * 1000000 };

	if (syscall(SYS_futex, word, FUTEX_WAIT, value, ms != 0 ? &ts : NULL, NULL, 0) == 0)
		return 0;
	return errno;
}

void
pt_futex_wake(volatile uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 0x7fffffff, NULL, NULL, 0);
}

static void
ring(struct pt_thread *t)
{
	struct pt_lane *l = t->lane;

	__atomic_fetch_add(&l->posted, 1, __ATOMIC_SEQ_CST);
	switch (__atomic_exchange_n(&l->kernel_state, PT_KERNEL_AWAKE, __ATOMIC_SEQ_CST)) {
	case PT_KERNEL_FUTEX:
		pt_futex_wake(&l->posted);
		break;
	case PT_KERNEL_ASLEEP: {
		struct pt_packet p = { 0 };
		p.kind = PT_DOORBELL;
		p.a = t->index;
		pt_send(&p, -1);
		break;
	}
	}
}

static void
interrupt(struct pt_thread *t)
{
	struct pt_packet p = { 0 };

	p.kind = PT_INTERRUPT;
	p.a = t->index;
	pt_send(&p, -1);
}

/* The longest a thread sleeps before it looks whether the kernel is still there, in milliseconds. */
#define LONGEST 16000

/* Looks for the answer without sleeping, and gives the processor away between two looks; 0 if that takes too long. Where
 * others want the processor it is away for a whole time slice, and the next waits sleep at once. Package trap says more
 * (Patience); the numbers are the same. */
static int
look(struct pt_thread *t, uint32_t seen)
{
	enum { PATIENCE = 100000, CROWDED = 1000000 }; /* nanoseconds */
	struct pt_lane *l = t->lane;
	uint64_t start, last;

	if (LOAD(l->done) != seen)
		return 1;
	if (t->skip > 0) {
		t->skip--;
		return 0;
	}
	for (last = start = mach_absolute_time(); last - start < PATIENCE;) {
		uint64_t then = last;

		sched_yield();
		if (LOAD(l->done) != seen) {
			t->price -= t->price / 128;
			return 1;
		}
		last = mach_absolute_time();
		if (last - then > CROWDED) {
			t->price = t->price < 32 ? 64 : t->price > 8192 ? 16384 : 2 * t->price;
			t->skip = t->price;
			return 0;
		}
	}
	t->skip = 16;
	return 0;
}

/* Waits until the lane is the thread's again; 0 if it will not be. */
static int
await(struct pt_thread *t, uint32_t seen, int interruptible)
{
	struct pt_lane *l = t->lane;
	uint32_t ms = 250;

	if (look(t, seen))
		return 1;
	STORE(l->task_waits, 1);
	while (LOAD(l->done) == seen) {
		uint32_t stops = pt_me()->stops;
		switch (pt_futex_wait(&l->done, seen, ms)) {
		case ETIMEDOUT:
			if (pt_kernel_gone() && LOAD(l->done) == seen)
				return 0;
			ms = ms * 2 < LONGEST ? ms * 2 : LONGEST;
			break;
		case EINTR:
			/* A handler of the program has run, not ours. */
			if (interruptible && stops == pt_me()->stops) {
				interrupt(t);
				interruptible = 0;
			}
			break;
		}
	}
	STORE(l->task_waits, 0);
	return 1;
}

int
pt_post(struct pt_thread *t, uint32_t op, uint32_t in_size, uint32_t ool, int interruptible)
{
	struct pt_lane *l = t->lane;
	int saved = errno, ok;
	uint32_t seen;

	pt_before();
	for (;;) {
		l->op = op;
		l->in_size = in_size;
		l->ool_count = ool;
		seen = LOAD(l->done);
		ring(t);
		ok = await(t, seen, interruptible);
		if (!ok || l->answer == PT_ANSWER_DONE)
			break;
		in_size = ool = 0;
		if (l->answer == PT_ANSWER_UPCALL) {
			uint64_t args[4];
			char *base = (char *)l;
			int error;

			memcpy(args, &l->result[1], sizeof args);
			error = pt_do(l->upcall, args, base + PT_OUT, base + PT_IN, PT_IN_SIZE);
			if (error == 0 && l->upcall == PT_UPCALL_READ)
				in_size = (uint32_t)args[1];
			l->args[0] = (uint64_t)error;
			l->args[1] = args[0];
			op = PT_OP_UPCALL_DONE;
		} else {
			op = PT_OP_BACKTRACE; /* the kernel reads the registers of C programs itself */
		}
	}
	errno = saved;
	pt_after();
	return ok;
}

uint64_t
pt_call(uint32_t op, uint64_t *value, int n, const uint64_t *args, int interruptible)
{
	struct pt_thread *t = pt_enter();
	uint64_t r = PT_NO_KERNEL;

	if (t == NULL)
		return r;
	memcpy(t->lane->args, args, (size_t)n * sizeof *args);
	memset(&t->lane->args[n], 0, (size_t)(12 - n) * sizeof *args);
	if (pt_post(t, op, 0, 0, interruptible)) {
		r = t->lane->result[0];
		if (value != NULL)
			*value = t->lane->result[1];
	}
	pt_leave(t);
	return r;
}
