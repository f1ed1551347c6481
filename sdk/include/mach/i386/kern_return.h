#ifndef _MACH_I386_KERN_RETURN_H_
#define _MACH_I386_KERN_RETURN_H_

#include <mach/machine/kern_return.h>

#endif
