#ifndef _MACH_THREAD_H_
#define _MACH_THREAD_H_

#include <mach/thread_act.h>

#endif
