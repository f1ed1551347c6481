/* The registers of ARM threads. Layouts: XNU osfmk/mach/arm/_structs.h, with the member names of UNIX03. */
#ifndef _MACH_ARM__STRUCTS_H_
#define _MACH_ARM__STRUCTS_H_

#include <stdint.h>

struct __darwin_arm_exception_state {
	uint32_t __exception;
	uint32_t __fsr;
	uint32_t __far;
};

struct __darwin_arm_exception_state64 {
	uint64_t __far;
	uint32_t __esr;
	uint32_t __exception;
};

struct __darwin_arm_exception_state64_v2 {
	uint64_t __far;
	uint64_t __esr;
};

struct __darwin_arm_thread_state {
	uint32_t __r[13];
	uint32_t __sp;
	uint32_t __lr;
	uint32_t __pc;
	uint32_t __cpsr;
};

struct __darwin_arm_thread_state64 {
	uint64_t __x[29];
	uint64_t __fp;
	uint64_t __lr;
	uint64_t __sp;
	uint64_t __pc;
	uint32_t __cpsr;
	uint32_t __pad;
};

#if defined(__SIZEOF_INT128__)
__extension__ typedef unsigned __int128 __darwin_uint128_t;
struct __darwin_arm_neon_state64 {
	__darwin_uint128_t __v[32];
	uint32_t __fpsr;
	uint32_t __fpcr;
};

#endif

struct __darwin_arm_vfp_state {
	uint32_t __r[64];
	uint32_t __fpscr;
};

struct __darwin_arm_pagein_state {
	int __pagein_error;
};

struct __darwin_arm_debug_state32 {
	uint32_t __bvr[16];
	uint32_t __bcr[16];
	uint32_t __wvr[16];
	uint32_t __wcr[16];
	uint64_t __mdscr_el1;
};

struct __darwin_arm_debug_state64 {
	uint64_t __bvr[16];
	uint64_t __bcr[16];
	uint64_t __wvr[16];
	uint64_t __wcr[16];
	uint64_t __mdscr_el1;
};

#endif
