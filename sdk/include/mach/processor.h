#ifndef _MACH_PROCESSOR_H_
#define _MACH_PROCESSOR_H_

#include <mach/mach_types.h>

#endif
