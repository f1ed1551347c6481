#ifndef _MACH_VM_TASK_H_
#define _MACH_VM_TASK_H_

#include <mach/vm_map.h>

#endif
