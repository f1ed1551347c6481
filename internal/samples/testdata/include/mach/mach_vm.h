#pragma once
#include <mach/mach.h>
typedef uint64_t mach_vm_address_t, mach_vm_size_t;
kern_return_t mach_vm_read_overwrite(task_t, mach_vm_address_t, mach_vm_size_t, mach_vm_address_t, mach_vm_size_t *);
