/* What Apple's <pthread.h> declares beyond POSIX; <mach/mach.h> includes it. */
#ifndef _PTHREAD_MACH_H_
#define _PTHREAD_MACH_H_

#include <pthread.h>
#include <mach/port.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The control port of a thread, without a reference for the caller. */
extern mach_port_t pthread_mach_thread_np(pthread_t thread);
extern pthread_t pthread_from_mach_thread_np(mach_port_t port);
/* The thread that the process began with; in the child of a fork the one that forked. */
extern pthread_t pthread_main_thread_np(void);
extern int pthread_main_np(void);

#ifdef __cplusplus
}
#endif

#endif
