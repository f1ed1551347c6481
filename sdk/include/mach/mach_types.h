/* The types that the kernel's interfaces are made of. */
#ifndef _MACH_MACH_TYPES_H_
#define _MACH_MACH_TYPES_H_

#include <stdint.h>
#include <sys/types.h>
#include <mach/boolean.h>
#include <mach/kern_return.h>
#include <mach/port.h>
#include <mach/message.h>
#include <mach/vm_types.h>
#include <mach/vm_prot.h>
#include <mach/vm_inherit.h>
#include <mach/vm_behavior.h>
#include <mach/vm_attributes.h>
#include <mach/vm_purgable.h>
#include <mach/vm_sync.h>
#include <mach/vm_statistics.h>
#include <mach/vm_region.h>
#include <mach/memory_object_types.h>
#include <mach/policy.h>
#include <mach/processor_info.h>
#include <mach/host_info.h>
#include <mach/host_notify.h>
#include <mach/host_special_ports.h>
#include <mach/task_info.h>
#include <mach/task_policy.h>
#include <mach/task_inspect.h>
#include <mach/task_special_ports.h>
#include <mach/thread_info.h>
#include <mach/thread_policy.h>
#include <mach/thread_special_ports.h>
#include <mach/thread_status.h>
#include <mach/time_value.h>
#include <mach/clock_types.h>
#include <mach/exception_types.h>
#include <mach/mach_voucher_types.h>

typedef mach_port_t task_t, task_name_t, task_policy_set_t, task_policy_get_t, task_inspect_t, task_read_t;
typedef mach_port_t task_suspension_token_t, task_id_token_t;
typedef mach_port_t thread_t, thread_act_t, thread_inspect_t, thread_read_t;
typedef mach_port_t ipc_space_t, ipc_space_read_t, ipc_space_inspect_t;
typedef mach_port_t coalition_t, host_t, host_priv_t, host_security_t;
typedef mach_port_t processor_t, processor_set_t, processor_set_name_t, processor_set_control_t;
typedef mach_port_t semaphore_t, lock_set_t, ledger_t, alarm_t;
typedef mach_port_t clock_serv_t, clock_ctrl_t, clock_reply_t;
typedef mach_port_t vm_task_entry_t, mem_entry_name_port_t, exception_handler_t;
typedef mach_port_t arcade_register_t, ipc_eventlink_t, eventlink_port_pair_t[2];
typedef mach_port_t suid_cred_t, kcdata_object_t, io_master_t, io_main_t, UNDServerRef;
typedef mach_port_t mach_eventlink_t;

typedef task_t *task_array_t;
typedef thread_t *thread_array_t;
typedef thread_act_t *thread_act_array_t;
typedef thread_act_t *thread_act_port_array_t;
typedef task_t *task_port_array_t;
typedef thread_t *thread_port_array_t;
typedef processor_t *processor_array_t, *processor_port_array_t;
typedef processor_set_t *processor_set_array_t;
typedef processor_set_name_t *processor_set_name_array_t, *processor_set_name_port_array_t;
typedef exception_handler_t *exception_handler_array_t;
typedef exception_handler_info_t *exception_handler_info_array_t;

typedef mach_port_t task_port_t, thread_port_t, ipc_space_port_t, host_name_t, host_name_port_t;
typedef mach_port_t processor_set_port_t, processor_set_name_port_t, processor_port_t, semaphore_port_t;
typedef mach_port_t clock_serv_port_t, clock_ctrl_port_t, exception_port_t;

typedef uint32_t task_exc_guard_behavior_t;
typedef uint32_t task_corpse_forking_behavior_t;
#define TASK_EXC_GUARD_NONE 0x00
#define TASK_EXC_GUARD_VM_DELIVER 0x01
#define TASK_EXC_GUARD_VM_ONCE 0x02
#define TASK_EXC_GUARD_VM_CORPSE 0x04
#define TASK_EXC_GUARD_VM_FATAL 0x08
#define TASK_EXC_GUARD_VM_ALL 0x0f
#define TASK_EXC_GUARD_MP_DELIVER 0x10
#define TASK_EXC_GUARD_MP_ONCE 0x20
#define TASK_EXC_GUARD_MP_CORPSE 0x40
#define TASK_EXC_GUARD_MP_FATAL 0x80
#define TASK_EXC_GUARD_MP_ALL 0xf0
#define TASK_EXC_GUARD_ALL 0xff
#define TASK_EXC_GUARD_ALL 0xff

#define TASK_CORPSE_FORKING_DISABLED_MEM_DIAG 0x01

typedef unsigned int mach_task_flavor_t;
#define TASK_FLAVOR_CONTROL 0
#define TASK_FLAVOR_READ 1
#define TASK_FLAVOR_INSPECT 2
#define TASK_FLAVOR_NAME 3
#define TASK_FLAVOR_MAX TASK_FLAVOR_NAME
typedef unsigned int mach_thread_flavor_t;
#define THREAD_FLAVOR_CONTROL 0
#define THREAD_FLAVOR_READ 1
#define THREAD_FLAVOR_INSPECT 2
#define THREAD_FLAVOR_MAX THREAD_FLAVOR_INSPECT

#define TASK_NULL ((task_t)0)
#define TASK_NAME_NULL ((task_name_t)0)
#define TASK_INSPECT_NULL ((task_inspect_t)0)
#define TASK_READ_NULL ((task_read_t)0)
#define TASK_ID_TOKEN_NULL ((task_id_token_t)0)
#define THREAD_NULL ((thread_t)0)
#define THREAD_INSPECT_NULL ((thread_inspect_t)0)
#define THREAD_READ_NULL ((thread_read_t)0)
#define TID_NULL (uint64_t)0
#define THR_ACT_NULL ((thread_act_t)0)
#define IPC_SPACE_NULL ((ipc_space_t)0)
#define IPC_SPACE_READ_NULL ((ipc_space_read_t)0)
#define IPC_SPACE_INSPECT_NULL ((ipc_space_inspect_t)0)
#define COALITION_NULL ((coalition_t)0)
#define HOST_NULL ((host_t)0)
#define HOST_PRIV_NULL ((host_priv_t)0)
#define HOST_SECURITY_NULL ((host_security_t)0)
#define PROCESSOR_SET_NULL ((processor_set_t)0)
#define PROCESSOR_NULL ((processor_t)0)
#define SEMAPHORE_NULL ((semaphore_t)0)
#define LOCK_SET_NULL ((lock_set_t)0)
#define LEDGER_NULL ((ledger_t)0)
#define ALARM_NULL ((alarm_t)0)
#define CLOCK_NULL ((clock_serv_t)0)

typedef integer_t ledger_item_t;
#define LEDGER_ITEM_INFINITY ((ledger_item_t)(~0))
typedef int64_t ledger_amount_t;

typedef mach_vm_offset_t *emulation_vector_t;
typedef char *user_subsystem_t;
typedef char *labelstr_t;

typedef mach_port_t mach_port_poly_t;

#endif
