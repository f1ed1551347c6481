#ifndef _MACH_MEMORY_OBJECT_TYPES_H_
#define _MACH_MEMORY_OBJECT_TYPES_H_

#include <stdint.h>
#include <mach/port.h>

typedef uint64_t memory_object_offset_t;
typedef uint64_t memory_object_size_t;
typedef mach_port_t memory_object_t, memory_object_name_t, memory_object_default_t, memory_object_control_t;
#define MEMORY_OBJECT_NULL ((memory_object_t)0)

/* Flags of mach_make_memory_entry. */
#define MAP_MEM_LEDGER_TAGGED 0x002000
#define MAP_MEM_PURGABLE_KERNEL_ONLY 0x004000
#define MAP_MEM_GRAB_SECLUDED 0x008000
#define MAP_MEM_ONLY 0x010000
#define MAP_MEM_NAMED_CREATE 0x020000
#define MAP_MEM_PURGABLE 0x040000
#define MAP_MEM_NAMED_REUSE 0x080000
#define MAP_MEM_USE_DATA_ADDR 0x100000
#define MAP_MEM_VM_COPY 0x200000
#define MAP_MEM_VM_SHARE 0x400000
#define MAP_MEM_4K_DATA_ADDR 0x800000

#endif
