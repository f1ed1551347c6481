#ifndef _MACH_I386_THREAD_STATE_H_
#define _MACH_I386_THREAD_STATE_H_

#include <mach/machine/thread_state.h>

#endif
