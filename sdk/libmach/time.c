/* Time, timers, giving way. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <time.h>

#include <mach/clock.h>
#include <mach/mach_time.h>
#include <mach/mach_init.h>
#include <mach/mach_traps.h>
#include <mach/thread_switch.h>

#include "libmach.h"

/* One unit is a nanosecond of CLOCK_MONOTONIC; the kernel's timers count the same. */
uint64_t
mach_absolute_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

uint64_t
mach_approximate_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

uint64_t
mach_continuous_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

uint64_t
mach_continuous_approximate_time(void)
{
	return mach_continuous_time();
}

/*
 * How long the machine has slept, which is what the continuous time has more than the absolute. Two clocks are never read
 * at one moment, but the difference changes only when the machine sleeps: what was found once stays until the clocks say
 * more than that it was read too early.
 */
static int64_t
asleep(void)
{
	static int64_t known; /* at first: it has never slept */
	int64_t least = __atomic_load_n(&known, __ATOMIC_RELAXED), nearest = INT64_MAX;

	for (int tries = 0; tries < 8; tries++) {
		int64_t before = (int64_t)mach_absolute_time(), boot = (int64_t)mach_continuous_time();
		int64_t after = (int64_t)mach_absolute_time();

		if (tries == 0 && least <= boot - before && boot - after - least < (int64_t)NSEC_PER_MSEC)
			return least;
		if (after - before < nearest) {
			nearest = after - before;
			least = boot - after;
		}
	}
	__atomic_store_n(&known, least, __ATOMIC_RELAXED);
	return least;
}

/* The calendar is read between two looks at the other clock, until those lie so near that all is one moment. */
kern_return_t
mach_get_times(uint64_t *absolute, uint64_t *continuous, struct timespec *calendar)
{
	uint64_t nearest = ~(uint64_t)0;

	for (int tries = 0; tries < 8; tries++) {
		struct timespec now;
		int64_t slept = asleep();
		uint64_t before = mach_absolute_time(), after;

		clock_gettime(CLOCK_REALTIME, &now);
		after = mach_absolute_time();
		if (after - before >= nearest || (asleep() != slept && tries < 7))
			continue;
		nearest = after - before;
		if (absolute != NULL)
			*absolute = before;
		if (continuous != NULL)
			*continuous = before + (uint64_t)slept;
		if (calendar != NULL)
			*calendar = now;
		if (nearest < NSEC_PER_USEC)
			break;
	}
	return KERN_SUCCESS;
}

uint64_t
mach_boottime_usec(void)
{
	uint64_t continuous;
	struct timespec now;

	mach_get_times(NULL, &continuous, &now);
	return (uint64_t)now.tv_sec * USEC_PER_SEC + (uint64_t)now.tv_nsec / NSEC_PER_USEC - continuous / NSEC_PER_USEC;
}

kern_return_t
mach_timebase_info(mach_timebase_info_t info)
{
	info->numer = info->denom = 1;
	return KERN_SUCCESS;
}

kern_return_t
mach_timebase_info_trap(mach_timebase_info_t info)
{
	return mach_timebase_info(info);
}

kern_return_t
mach_wait_until(uint64_t deadline)
{
	struct timespec t = { (time_t)(deadline / NSEC_PER_SEC), (long)(deadline % NSEC_PER_SEC) };

	return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0 ? KERN_SUCCESS : KERN_ABORTED;
}

mach_port_name_t
mk_timer_create(void)
{
	return pt_name(pt_call(PT_OP_TIMER_CREATE, NULL, 0, NULL, 0));
}

kern_return_t
mk_timer_destroy(mach_port_name_t name)
{
	return pt_code(PT_CALL(PT_OP_TIMER_DESTROY, NULL, name));
}

kern_return_t
mk_timer_arm(mach_port_name_t name, uint64_t when)
{
	return pt_code(PT_CALL(PT_OP_TIMER_ARM, NULL, name, when));
}

kern_return_t
mk_timer_cancel(mach_port_name_t name, uint64_t *when)
{
	uint64_t value = 0;
	kern_return_t kr = pt_code(PT_CALL(PT_OP_TIMER_CANCEL, &value, name));

	if (kr == KERN_SUCCESS && when != NULL)
		*when = value;
	return kr;
}

boolean_t
swtch_pri(int priority)
{
	(void)priority;
	return sched_yield() == 0;
}

boolean_t
swtch(void)
{
	return sched_yield() == 0;
}

kern_return_t
thread_switch(mach_port_name_t thread, int option, mach_msg_timeout_t ms)
{
	int saved = errno;

	(void)thread;
	switch (option) {
	case SWITCH_OPTION_NONE:
	case SWITCH_OPTION_DEPRESS:
	case SWITCH_OPTION_OSLOCK_DEPRESS:
		sched_yield();
		break;
	case SWITCH_OPTION_WAIT:
	case SWITCH_OPTION_OSLOCK_WAIT: {
		struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };
		nanosleep(&t, NULL);
		break;
	}
	default:
		return KERN_INVALID_ARGUMENT;
	}
	errno = saved;
	return KERN_SUCCESS;
}

kern_return_t
clock_sleep(clock_serv_t clock, sleep_type_t type, mach_timespec_t how, mach_timespec_t *wakeup)
{
	struct timespec t = { (time_t)how.tv_sec, how.tv_nsec }, now;

	(void)clock;
	if (BAD_ALRMTYPE(type) || BAD_MACH_TIMESPEC(&how))
		return KERN_INVALID_ARGUMENT;
	if (clock_nanosleep(CLOCK_MONOTONIC, type == TIME_ABSOLUTE ? TIMER_ABSTIME : 0, &t, NULL) != 0)
		return KERN_ABORTED;
	if (wakeup != NULL) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		wakeup->tv_sec = (unsigned int)now.tv_sec;
		wakeup->tv_nsec = (int)now.tv_nsec;
	}
	return KERN_SUCCESS;
}
