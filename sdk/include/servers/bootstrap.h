/* Names of services. Codes and names: launchd-842 liblaunch/bootstrap.h. */
#ifndef _BOOTSTRAP_H_
#define _BOOTSTRAP_H_

#include <mach/mach.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BOOTSTRAP_MAX_NAME_LEN 128
#define BOOTSTRAP_MAX_CMD_LEN 512

typedef char name_t[BOOTSTRAP_MAX_NAME_LEN];
typedef char cmd_t[BOOTSTRAP_MAX_CMD_LEN];
#define MIG_TYPE_name_t
#define MIG_TYPE_cmd_t
typedef name_t *name_array_t;
typedef int bootstrap_status_t;
typedef bootstrap_status_t *bootstrap_status_array_t;
typedef unsigned int bootstrap_property_t;
typedef bootstrap_property_t *bootstrap_property_array_t;
typedef boolean_t *bool_array_t;

#define BOOTSTRAP_MAX_LOOKUP_COUNT 20

#define BOOTSTRAP_SUCCESS 0
#define BOOTSTRAP_NOT_PRIVILEGED 1100
#define BOOTSTRAP_NAME_IN_USE 1101
#define BOOTSTRAP_UNKNOWN_SERVICE 1102
#define BOOTSTRAP_SERVICE_ACTIVE 1103
#define BOOTSTRAP_BAD_COUNT 1104
#define BOOTSTRAP_NO_MEMORY 1105
#define BOOTSTRAP_NO_CHILDREN 1106

#define BOOTSTRAP_STATUS_INACTIVE 0
#define BOOTSTRAP_STATUS_ACTIVE 1
#define BOOTSTRAP_STATUS_ON_DEMAND 2

/* Flags of bootstrap_look_up2 and bootstrap_register2. */
#define BOOTSTRAP_PER_PID_SERVICE 0x1
#define BOOTSTRAP_ALLOW_LOOKUP 0x2
#define BOOTSTRAP_DENY_JOB_CREATION 0x4
#define BOOTSTRAP_PRIVILEGED_SERVER 0x8

extern kern_return_t bootstrap_create_server(mach_port_t bp, char *server_cmd, uid_t server_uid, boolean_t on_demand,
	mach_port_t *server_port);
extern kern_return_t bootstrap_subset(mach_port_t bp, mach_port_t requestor_port, mach_port_t *subset_port);
extern kern_return_t bootstrap_parent(mach_port_t bp, mach_port_t *parent_port);
extern kern_return_t bootstrap_register(mach_port_t bp, char *service_name, mach_port_t sp);
extern kern_return_t bootstrap_register2(mach_port_t bp, char *service_name, mach_port_t sp, int flags);
extern kern_return_t bootstrap_check_in(mach_port_t bp, const char *service_name, mach_port_t *sp);
extern kern_return_t bootstrap_look_up(mach_port_t bp, const char *service_name, mach_port_t *sp);
extern kern_return_t bootstrap_look_up2(mach_port_t bp, const char *service_name, mach_port_t *sp, pid_t target_pid,
	uint64_t flags);
extern const char *bootstrap_strerror(kern_return_t r);

#ifdef __cplusplus
}
#endif

#endif
