#ifndef _MACH_MACHINE_THREAD_STATE_H_
#define _MACH_MACHINE_THREAD_STATE_H_

/* The largest state, in words. */
#if defined(__x86_64__) || defined(__i386__)
#define I386_THREAD_STATE_MAX (614)
#define THREAD_STATE_MAX I386_THREAD_STATE_MAX
#else
#define ARM_THREAD_STATE_MAX (1296)
#define THREAD_STATE_MAX ARM_THREAD_STATE_MAX
#endif

#endif
