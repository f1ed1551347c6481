#ifndef _MACH_ARM_EXCEPTION_H_
#define _MACH_ARM_EXCEPTION_H_

/* Codes. Values: XNU osfmk/mach/arm/exception.h. */
#define EXC_ARM_UNDEFINED 1
#define EXC_ARM_SME_DISALLOWED 2

#define EXC_ARM_FP_UNDEFINED 0
#define EXC_ARM_FP_IO 1
#define EXC_ARM_FP_DZ 2
#define EXC_ARM_FP_OF 3
#define EXC_ARM_FP_UF 4
#define EXC_ARM_FP_IX 5
#define EXC_ARM_FP_ID 6

#define EXC_ARM_DA_ALIGN 0x101
#define EXC_ARM_DA_DEBUG 0x102
#define EXC_ARM_SP_ALIGN 0x103
#define EXC_ARM_SWP 0x104
#define EXC_ARM_PAC_FAIL 0x105

#define EXC_ARM_BREAKPOINT 1

#endif
