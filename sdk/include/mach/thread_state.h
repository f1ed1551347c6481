#ifndef _MACH_THREAD_STATE_H_
#define _MACH_THREAD_STATE_H_

#include <mach/mach_types.h>
#include <mach/thread_status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The registers of a thread that may hold pointers, for collectors of garbage. */
extern kern_return_t thread_get_register_pointer_values(thread_t thread, uintptr_t *sp, size_t *length, uintptr_t *values);

#ifdef __cplusplus
}
#endif

#endif
