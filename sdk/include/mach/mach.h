#ifndef _MACH_MACH_H_
#define _MACH_MACH_H_

#include <stddef.h>
#include <stdint.h>
#include <mach/std_types.h>
#include <mach/mach_types.h>
#include <mach/mach_interface.h>
#include <mach/mach_port.h>
#include <mach/mach_init.h>
#include <mach/mach_host.h>
#include <mach/mach_traps.h>
#include <mach/thread_switch.h>
#include <mach/rpc.h>
#include <mach/mig.h>
#include <mach/mach_error.h>
#include <mach/vm_task.h>
#include <mach/thread_act.h>
#include <mach/task.h>
#include <mach/notify.h>
#include <pthread_mach.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Destroys what a message that was received carries: rights and memory. */
extern void mach_msg_destroy(mach_msg_header_t *msg);
extern mach_msg_return_t mach_msg_receive(mach_msg_header_t *msg);
extern mach_msg_return_t mach_msg_send(mach_msg_header_t *msg);

/* Receive requests and serve them: once, or until something fails for good. */
extern mach_msg_return_t mach_msg_server_once(boolean_t (*demux)(mach_msg_header_t *, mach_msg_header_t *),
	mach_msg_size_t max_size, mach_port_t rcv_name, mach_msg_options_t options);
extern mach_msg_return_t mach_msg_server(boolean_t (*demux)(mach_msg_header_t *, mach_msg_header_t *),
	mach_msg_size_t max_size, mach_port_t rcv_name, mach_msg_options_t options);

extern kern_return_t clock_sleep(clock_serv_t clock, sleep_type_t type, mach_timespec_t time, mach_timespec_t *wakeup);

extern kern_return_t mach_ports_register(task_t target_task, mach_port_array_t init_port_set,
	mach_msg_type_number_t init_port_setCnt);
extern kern_return_t mach_ports_lookup(task_t target_task, mach_port_array_t *init_port_set,
	mach_msg_type_number_t *init_port_setCnt);

#ifdef __cplusplus
}
#endif

#endif
