#ifndef _MACH_VM_PARAM_H_
#define _MACH_VM_PARAM_H_

#include <mach/vm_page_size.h>

#define BYTE_SIZE 8
#define PAGE_SIZE ((int)vm_page_size)
#define PAGE_SHIFT vm_page_shift
#define PAGE_MASK ((int)vm_page_mask)
#define PAGE_MAX_SHIFT 14
#define PAGE_MAX_SIZE (1 << PAGE_MAX_SHIFT)
#define PAGE_MIN_SHIFT 12
#define PAGE_MIN_SIZE (1 << PAGE_MIN_SHIFT)

#endif
