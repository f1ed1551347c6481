#ifndef _MACH_I386_BOOLEAN_H_
#define _MACH_I386_BOOLEAN_H_

#include <mach/machine/boolean.h>

#endif
