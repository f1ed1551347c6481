#ifndef _MACH_ARM_KERN_RETURN_H_
#define _MACH_ARM_KERN_RETURN_H_

#include <mach/machine/kern_return.h>

#endif
