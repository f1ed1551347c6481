#ifndef _MACH_MACHINE_EXCEPTION_H_
#define _MACH_MACHINE_EXCEPTION_H_

#if defined(__x86_64__) || defined(__i386__)
#include <mach/i386/exception.h>
#elif defined(__aarch64__) || defined(__arm__)
#include <mach/arm/exception.h>
#endif

#endif
