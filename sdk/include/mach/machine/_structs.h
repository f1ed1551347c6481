#ifndef _MACH_MACHINE__STRUCTS_H_
#define _MACH_MACHINE__STRUCTS_H_

#if defined(__x86_64__)
#include <mach/i386/_structs.h>
#elif defined(__aarch64__)
#include <mach/arm/_structs.h>
#endif

#endif
