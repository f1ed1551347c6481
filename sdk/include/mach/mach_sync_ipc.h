#ifndef _MACH_MACH_SYNC_IPC_H_
#define _MACH_MACH_SYNC_IPC_H_

#include <mach/mach_types.h>
#include <mach/message.h>

#ifdef __cplusplus
extern "C" {
#endif

extern mach_port_name_t thread_get_special_reply_port(void);
extern mach_port_t mig_get_special_reply_port(void);
extern void mig_dealloc_special_reply_port(mach_port_t migport);

#ifdef __cplusplus
}
#endif

#endif
