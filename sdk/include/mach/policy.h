#ifndef _MACH_POLICY_H_
#define _MACH_POLICY_H_

#include <mach/boolean.h>
#include <mach/message.h>

typedef int policy_t;
typedef integer_t *policy_info_t, *policy_base_t, *policy_limit_t;

#define POLICY_NULL 0
#define POLICY_TIMESHARE 1
#define POLICY_RR 2
#define POLICY_FIFO 4

struct policy_timeshare_base {
	integer_t base_priority;
};
struct policy_timeshare_limit {
	integer_t max_priority;
};
struct policy_timeshare_info {
	integer_t max_priority;
	integer_t base_priority;
	integer_t cur_priority;
	boolean_t depressed;
	integer_t depress_priority;
};
typedef struct policy_timeshare_base policy_timeshare_base_data_t, *policy_timeshare_base_t;
typedef struct policy_timeshare_limit policy_timeshare_limit_data_t, *policy_timeshare_limit_t;
typedef struct policy_timeshare_info policy_timeshare_info_data_t, *policy_timeshare_info_t;
#define POLICY_TIMESHARE_BASE_COUNT ((mach_msg_type_number_t)(sizeof(struct policy_timeshare_base) / sizeof(integer_t)))
#define POLICY_TIMESHARE_INFO_COUNT ((mach_msg_type_number_t)(sizeof(struct policy_timeshare_info) / sizeof(integer_t)))

#endif
