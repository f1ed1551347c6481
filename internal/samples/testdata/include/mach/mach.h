/*
 * What the C programs of the documentation need to be built for macOS without Apple's SDK. The declarations are our
 * own; only names, order of arguments, sizes and values matter.
 */
#pragma once
#include <stdint.h>

typedef unsigned mach_port_t, mach_port_name_t, mach_msg_type_number_t, mach_msg_size_t, mach_msg_bits_t;
typedef unsigned exception_mask_t, *thread_state_t;
typedef int kern_return_t, mach_msg_return_t, mach_msg_id_t, boolean_t, *thread_info_t;
typedef int exception_type_t, exception_behavior_t, thread_state_flavor_t;
typedef int64_t *mach_exception_data_t;
typedef uintptr_t vm_address_t, vm_size_t;
typedef mach_port_t task_t, thread_act_t, *thread_act_array_t;

typedef struct {
	mach_msg_bits_t msgh_bits;
	mach_msg_size_t msgh_size;
	mach_port_t msgh_remote_port, msgh_local_port, msgh_voucher_port;
	mach_msg_id_t msgh_id;
} mach_msg_header_t;

typedef struct {
	mach_msg_size_t msgh_descriptor_count;
} mach_msg_body_t;

typedef struct {
	mach_port_t name;
	mach_msg_size_t pad1;
	unsigned pad2 : 16, disposition : 8, type : 8;
} mach_msg_port_descriptor_t;

typedef struct {
	uint32_t flags, limit;
	uint64_t reserved[2];
} mach_port_options_t;

typedef struct {
	uint64_t thread_id, thread_handle, dispatch_qaddr;
} thread_identifier_info_data_t;

typedef struct {
	uint64_t general[16], __rip, rest[4];
} x86_thread_state64_t;

typedef struct {
	uint64_t general[32], __pc, rest;
} arm_thread_state64_t;

#define arm_thread_state64_set_pc_fptr(s, p) ((s).__pc = (uintptr_t)(p))
#define arm_thread_state64_get_pc(s) ((s).__pc)

enum {
	KERN_SUCCESS = 0,
	KERN_INVALID_ADDRESS = 1,
	KERN_FAILURE = 5,

	EXC_TYPES_COUNT = 14,
	EXC_MASK_BAD_ACCESS = 1 << 1,
	EXC_MASK_BAD_INSTRUCTION = 1 << 2,
	EXC_MASK_ARITHMETIC = 1 << 3,
	EXC_MASK_SOFTWARE = 1 << 5,
	EXC_MASK_BREAKPOINT = 1 << 6,
	EXCEPTION_DEFAULT = 1,
	EXCEPTION_IDENTITY_PROTECTED = 4,
	EXCEPTION_STATE_IDENTITY_PROTECTED = 5,

	x86_THREAD_STATE64 = 4,
	x86_THREAD_STATE64_COUNT = 42,
	ARM_THREAD_STATE64 = 6,
	ARM_THREAD_STATE64_COUNT = 68,
#if defined(__x86_64__)
	THREAD_STATE_NONE = 13,
#else
	THREAD_STATE_NONE = 5,
#endif
	THREAD_IDENTIFIER_INFO = 4,
	THREAD_IDENTIFIER_INFO_COUNT = 6,
	TASK_FLAVOR_READ = 1,

	MACH_MSG_OPTION_NONE = 0,
	MACH_MSG_TIMEOUT_NONE = 0,
	MACH_SEND_MSG = 1,
	MACH_MSG_TYPE_MOVE_SEND = 17,
	MACH_MSG_TYPE_COPY_SEND = 19,
	MACH_MSG_PORT_DESCRIPTOR = 0,
	MPO_INSERT_SEND_RIGHT = 0x10,
	MPO_EXCEPTION_PORT = 0x8000,
};

#define MACH_PORT_NULL 0
#define MACH_EXCEPTION_CODES 0x80000000
#define MACH_MSGH_BITS_COMPLEX 0x80000000
#define MACH_MSGH_BITS(remote, local) ((remote) | (local) << 8)

extern mach_port_t mach_task_self_;
#define mach_task_self() mach_task_self_
mach_port_t mach_thread_self(void);

mach_msg_return_t mach_msg(mach_msg_header_t *, int option, mach_msg_size_t send, mach_msg_size_t receive, mach_port_t,
	unsigned timeout, mach_port_t notify);
mach_msg_return_t mach_msg_server(boolean_t (*)(mach_msg_header_t *, mach_msg_header_t *), mach_msg_size_t, mach_port_t,
	int);
kern_return_t mach_port_deallocate(task_t, mach_port_name_t);
kern_return_t mach_port_construct(task_t, mach_port_options_t *, uint64_t, mach_port_t *);
kern_return_t vm_deallocate(task_t, vm_address_t, vm_size_t);

kern_return_t task_set_exception_ports(task_t, exception_mask_t, mach_port_t, exception_behavior_t,
	thread_state_flavor_t);
kern_return_t thread_set_exception_ports(thread_act_t, exception_mask_t, mach_port_t, exception_behavior_t,
	thread_state_flavor_t);
kern_return_t task_swap_exception_ports(task_t, exception_mask_t, mach_port_t, exception_behavior_t,
	thread_state_flavor_t, exception_mask_t *, mach_msg_type_number_t *, mach_port_t *, exception_behavior_t *,
	thread_state_flavor_t *);
kern_return_t task_threads(task_t, thread_act_array_t *, mach_msg_type_number_t *);
kern_return_t thread_info(thread_act_t, int, thread_info_t, mach_msg_type_number_t *);
kern_return_t thread_get_state(thread_act_t, int, thread_state_t, mach_msg_type_number_t *);
kern_return_t thread_set_state(thread_act_t, int, thread_state_t, mach_msg_type_number_t);
kern_return_t task_create_identity_token(task_t, mach_port_t *);
kern_return_t task_identity_token_get_task_port(mach_port_t, unsigned, mach_port_t *);
