/* Stubs of calls to the kernel's own objects, which mach_msg2 wants to know of. */
#include <mach/message.h>
#include "libmach.h"
#include "rename.h"
#define mach_msg pt_msg_kobject
#include "generated/processor_setUser.c"
