/* What generated stubs need of the system. */
#ifndef _MACH_MIG_H_
#define _MACH_MIG_H_

#include <stddef.h>
#include <mach/port.h>
#include <mach/message.h>
#include <mach/vm_types.h>

typedef void (*mig_stub_routine_t)(mach_msg_header_t *InHeadP, mach_msg_header_t *OutHeadP);
typedef mig_stub_routine_t mig_routine_t;
typedef mig_routine_t (*mig_server_routine_t)(mach_msg_header_t *InHeadP);
typedef kern_return_t (*mig_impl_routine_t)(void);

typedef struct {
	unsigned int type : 8;
	unsigned int qualifier : 8;
	unsigned int reserved : 16;
} routine_arg_type;

typedef struct {
	routine_arg_type type;
	unsigned int arg_offset;
	unsigned int arg_size;
} routine_arg_descriptor, *routine_arg_descriptor_t, *mig_routine_arg_descriptor_t;

typedef struct routine_descriptor {
	mig_impl_routine_t impl_routine;
	mig_stub_routine_t stub_routine;
	unsigned int argc;
	unsigned int descr_count;
	routine_arg_descriptor_t arg_descr;
	unsigned int max_reply_msg;
} *routine_descriptor_t, *mig_routine_descriptor_t;

typedef struct mig_subsystem {
	mig_server_routine_t server;
	mach_msg_id_t start;
	mach_msg_id_t end;
	mach_msg_size_t maxsize;
	vm_address_t reserved;
	struct routine_descriptor routine[1];
} *mig_subsystem_t;

typedef struct mig_symtab {
	char *ms_routine_name;
	int ms_routine_number;
	void (*ms_routine)(void);
} mig_symtab_t;

#ifdef __cplusplus
extern "C" {
#endif

/* The reply port of the calling thread; put it back after use, or destroy it after a call that failed half way. */
extern mach_port_t mig_get_reply_port(void);
extern void mig_dealloc_reply_port(mach_port_t reply_port);
extern void mig_put_reply_port(mach_port_t reply_port);
extern mach_port_t mig_get_special_reply_port(void);
extern void mig_dealloc_special_reply_port(mach_port_t reply_port);

/* Copy a string of at most len bytes with its NUL; return its length with the NUL. */
extern int mig_strncpy(char *dest, const char *src, int len);
extern int mig_strncpy_zerofill(char *dest, const char *src, int len);

extern void mig_allocate(vm_address_t *address, vm_size_t size);
extern void mig_deallocate(vm_address_t address, vm_size_t size);

#ifdef __cplusplus
}
#endif

#endif
