#ifndef _MACH_TASK_POLICY_H_
#define _MACH_TASK_POLICY_H_

#include <mach/message.h>

typedef natural_t task_policy_flavor_t;
typedef integer_t *task_policy_t;

#define TASK_CATEGORY_POLICY 1
#define TASK_SUPPRESSION_POLICY 3
#define TASK_POLICY_STATE 4
#define TASK_BASE_QOS_POLICY 8
#define TASK_OVERRIDE_QOS_POLICY 9
#define TASK_BASE_LATENCY_QOS_POLICY 10
#define TASK_BASE_THROUGHPUT_QOS_POLICY 11

enum task_role {
	TASK_RENICED = -1,
	TASK_UNSPECIFIED = 0,
	TASK_FOREGROUND_APPLICATION = 1,
	TASK_BACKGROUND_APPLICATION = 2,
	TASK_CONTROL_APPLICATION = 3,
	TASK_GRAPHICS_SERVER = 4,
	TASK_THROTTLE_APPLICATION = 5,
	TASK_NONUI_APPLICATION = 6,
	TASK_DEFAULT_APPLICATION = 7
};
typedef integer_t task_role_t;
struct task_category_policy {
	task_role_t role;
};
typedef struct task_category_policy task_category_policy_data_t, *task_category_policy_t;
#define TASK_CATEGORY_POLICY_COUNT ((mach_msg_type_number_t)(sizeof(task_category_policy_data_t) / sizeof(integer_t)))

#define LATENCY_QOS_TIER_UNSPECIFIED 0
#define LATENCY_QOS_TIER_0 0xff0001
#define LATENCY_QOS_TIER_1 0xff0002
#define LATENCY_QOS_TIER_2 0xff0003
#define LATENCY_QOS_TIER_3 0xff0004
#define LATENCY_QOS_TIER_4 0xff0005
#define LATENCY_QOS_TIER_5 0xff0006
#define THROUGHPUT_QOS_TIER_UNSPECIFIED 0
#define THROUGHPUT_QOS_TIER_0 0xfe0001
#define THROUGHPUT_QOS_TIER_1 0xfe0002
#define THROUGHPUT_QOS_TIER_2 0xfe0003
#define THROUGHPUT_QOS_TIER_3 0xfe0004
#define THROUGHPUT_QOS_TIER_4 0xfe0005
#define THROUGHPUT_QOS_TIER_5 0xfe0006
#define LATENCY_QOS_LAUNCH_DEFAULT_TIER LATENCY_QOS_TIER_3
#define THROUGHPUT_QOS_LAUNCH_DEFAULT_TIER THROUGHPUT_QOS_TIER_3

typedef integer_t task_latency_qos_t;
typedef integer_t task_throughput_qos_t;
struct task_qos_policy {
	task_latency_qos_t task_latency_qos_tier;
	task_throughput_qos_t task_throughput_qos_tier;
};
typedef struct task_qos_policy task_qos_policy_data_t, *task_qos_policy_t;
#define TASK_QOS_POLICY_COUNT ((mach_msg_type_number_t)(sizeof(struct task_qos_policy) / sizeof(integer_t)))

#endif
