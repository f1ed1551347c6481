#ifndef _MACH_CLOCK_PRIV_H_
#define _MACH_CLOCK_PRIV_H_

#include <mach/clock_types.h>
#include <mach/mach_types.h>

#endif
