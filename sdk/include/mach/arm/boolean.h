#ifndef _MACH_ARM_BOOLEAN_H_
#define _MACH_ARM_BOOLEAN_H_

#include <mach/machine/boolean.h>

#endif
