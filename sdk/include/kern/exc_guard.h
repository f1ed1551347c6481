/* Taking EXC_GUARD apart. Layout: XNU osfmk/kern/exc_guard.h. */
#ifndef _EXC_GUARD_H_
#define _EXC_GUARD_H_

#include <stdint.h>
#include <mach/port.h>

/* The code: type in bits 61 to 63, flavor in 32 to 60, target below. What the subcode is, the flavor says. */
#define EXC_GUARD_DECODE_GUARD_TYPE(code) ((((uint64_t)(code)) >> 61) & 0x7ull)
#define EXC_GUARD_DECODE_GUARD_FLAVOR(code) ((((uint64_t)(code)) >> 32) & 0x1fffffff)
#define EXC_GUARD_DECODE_GUARD_TARGET(code) ((uint32_t)(code))

#define GUARD_TYPE_NONE 0x0
#define GUARD_TYPE_FD 0x2
#define GUARD_TYPE_USER 0x3
#define GUARD_TYPE_VN 0x4
#define GUARD_TYPE_VIRT_MEMORY 0x5
#define GUARD_TYPE_REJECTED_SC 0x6

#endif
