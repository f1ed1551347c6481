#ifndef _MACH_ARM_VM_TYPES_H_
#define _MACH_ARM_VM_TYPES_H_

#include <mach/machine/vm_types.h>

#endif
