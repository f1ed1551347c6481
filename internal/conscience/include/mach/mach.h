// The part of the Mach interfaces that the programs use. Numbers and layouts as XNU's headers have them.
#pragma once

typedef int kern_return_t;
typedef int integer_t;
typedef unsigned natural_t;
typedef natural_t mach_port_t, mach_port_name_t, mach_port_right_t, task_t, thread_t, ipc_space_t;
typedef natural_t thread_act_t, mach_msg_type_name_t;
typedef int exception_behavior_t;
typedef unsigned exception_mask_t;
typedef int thread_state_flavor_t;
typedef natural_t *thread_state_t;
typedef natural_t mach_msg_type_number_t;
typedef unsigned long long mach_port_context_t;

#define KERN_SUCCESS 0
#define MACH_PORT_NULL ((mach_port_t)0)
#define MACH_PORT_RIGHT_RECEIVE 1u

extern mach_port_t mach_task_self_;
extern mach_port_t bootstrap_port;
#define mach_task_self() mach_task_self_
mach_port_t mach_thread_self(void);
mach_port_t mach_host_self(void);
mach_port_t mach_reply_port(void);
mach_port_t mig_get_reply_port(void);

kern_return_t mach_port_allocate(ipc_space_t task, mach_port_right_t right, mach_port_name_t *name);
kern_return_t mach_port_insert_right(ipc_space_t task, mach_port_name_t name, mach_port_t right,
	mach_msg_type_name_t disposition);
kern_return_t mach_port_deallocate(ipc_space_t task, mach_port_name_t name);
kern_return_t mach_port_destroy(ipc_space_t task, mach_port_name_t name);

typedef struct {
	unsigned flags;
	struct { natural_t mpl_qlimit; } mpl;
	unsigned long long reserved[2];
} mach_port_options_t;
#define MPO_REPLY_PORT 0x1000
#define MPO_WEAK_REPLY_PORT 0x4000
#define MPO_EXCEPTION_PORT 0x8000
kern_return_t mach_port_construct(ipc_space_t task, mach_port_options_t *options, mach_port_context_t context,
	mach_port_name_t *name);

#define EXC_MASK_BAD_ACCESS (1 << 1)
#define EXC_MASK_ARITHMETIC (1 << 3)
#define EXC_MASK_BREAKPOINT (1 << 6)
#define EXCEPTION_DEFAULT 1
#define EXCEPTION_STATE 2
#define EXCEPTION_STATE_IDENTITY 3
#define EXCEPTION_IDENTITY_PROTECTED 4
#define MACH_EXCEPTION_CODES 0x80000000
kern_return_t task_set_exception_ports(task_t task, exception_mask_t mask, mach_port_t port,
	exception_behavior_t behavior, thread_state_flavor_t flavor);
kern_return_t thread_set_exception_ports(thread_act_t thread, exception_mask_t mask, mach_port_t port,
	exception_behavior_t behavior, thread_state_flavor_t flavor);

#if defined __aarch64__
#define THREAD_STATE_NONE 5
#define MACHINE_THREAD_STATE 6
#define MACHINE_THREAD_STATE_COUNT 68
#define ARM_NEON_STATE64 17
#define ARM_NEON_STATE64_COUNT 132
#else
#define THREAD_STATE_NONE 13
#define MACHINE_THREAD_STATE 4
#define MACHINE_THREAD_STATE_COUNT 42
#define x86_FLOAT_STATE64 5
#define x86_FLOAT_STATE64_COUNT 131
#endif
kern_return_t thread_suspend(thread_act_t thread);
kern_return_t act_set_state(thread_act_t thread, thread_state_flavor_t flavor, thread_state_t state,
	mach_msg_type_number_t count);
kern_return_t thread_set_state(thread_act_t thread, thread_state_flavor_t flavor, thread_state_t state,
	mach_msg_type_number_t count);

typedef unsigned mach_msg_bits_t, mach_msg_size_t;
typedef int mach_msg_id_t, mach_msg_option_t;
typedef kern_return_t mach_msg_return_t;
typedef natural_t mach_msg_timeout_t;

#pragma pack(push, 4)
typedef struct {
	mach_msg_bits_t msgh_bits;
	mach_msg_size_t msgh_size;
	mach_port_t msgh_remote_port;
	mach_port_t msgh_local_port;
	mach_port_name_t msgh_voucher_port;
	mach_msg_id_t msgh_id;
} mach_msg_header_t;
typedef struct { mach_msg_size_t msgh_descriptor_count; } mach_msg_body_t;
typedef struct {
	mach_port_t name;
	mach_msg_size_t pad1;
	unsigned pad2 : 16;
	unsigned disposition : 8;
	unsigned type : 8;
} mach_msg_port_descriptor_t;
typedef struct {
	void *address;
	int deallocate : 8;
	unsigned copy : 8;
	unsigned disposition : 8;
	unsigned type : 8;
	mach_msg_size_t count;
} mach_msg_ool_ports_descriptor_t;
#pragma pack(pop)

#define MACH_MSGH_BITS(remote, local) ((remote) | (local) << 8)
#define MACH_MSGH_BITS_COMPLEX 0x80000000u
#define MACH_MSG_TYPE_MOVE_SEND 17
#define MACH_MSG_TYPE_COPY_SEND 19
#define MACH_MSG_TYPE_MAKE_SEND 20
#define MACH_MSG_TYPE_MAKE_SEND_ONCE 21
#define MACH_MSG_PORT_DESCRIPTOR 0
#define MACH_MSG_OOL_DESCRIPTOR 1
#define MACH_MSG_OOL_PORTS_DESCRIPTOR 2
#define MACH_MSG_VIRTUAL_COPY 1
#define MACH_SEND_MSG 0x1
#define MACH_RCV_MSG 0x2
#define MACH_SEND_TIMEOUT 0x10
#define MACH_RCV_TIMEOUT 0x100
mach_msg_return_t mach_msg2_internal(void *data, unsigned long long options, unsigned long long bits_and_size,
	unsigned long long remote_and_local, unsigned long long voucher_and_id, unsigned long long count_and_from,
	unsigned long long size_and_priority, unsigned long long timeout);
mach_msg_return_t mach_msg(mach_msg_header_t *message, mach_msg_option_t option, mach_msg_size_t send,
	mach_msg_size_t receive, mach_port_name_t from, mach_msg_timeout_t timeout, mach_port_name_t notify);
mach_msg_return_t mach_msg_overwrite(mach_msg_header_t *message, mach_msg_option_t option, mach_msg_size_t send,
	mach_msg_size_t receive, mach_port_name_t from, mach_msg_timeout_t timeout, mach_port_name_t notify,
	mach_msg_header_t *received, mach_msg_size_t limit);
