#ifndef _MACH_MACH_TIME_H_
#define _MACH_MACH_TIME_H_

#include <stdint.h>
#include <mach/mach_types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct timespec;
struct mach_timebase_info {
	uint32_t numer;
	uint32_t denom;
};
typedef struct mach_timebase_info *mach_timebase_info_t;
typedef struct mach_timebase_info mach_timebase_info_data_t;

extern kern_return_t mach_timebase_info(mach_timebase_info_t info);
extern kern_return_t mach_timebase_info_trap(mach_timebase_info_t info);
extern kern_return_t mach_wait_until(uint64_t deadline);
extern uint64_t mach_absolute_time(void);
extern uint64_t mach_approximate_time(void);
extern uint64_t mach_continuous_time(void);
extern uint64_t mach_continuous_approximate_time(void);

/* One moment on three clocks; NULL for a clock that is not asked for. */
extern kern_return_t mach_get_times(uint64_t *absolute_time, uint64_t *cont_time, struct timespec *tp);
/* When the system was started, in microseconds since 1970. */
extern uint64_t mach_boottime_usec(void);

#ifdef __cplusplus
}
#endif

#endif
