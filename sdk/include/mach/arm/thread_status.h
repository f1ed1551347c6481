/* Flavors of the state of ARM threads. Numbers: XNU osfmk/mach/arm/thread_status.h. */
#ifndef _MACH_ARM_THREAD_STATUS_H_
#define _MACH_ARM_THREAD_STATUS_H_

#include <stdint.h>
#include <mach/message.h>
#include <mach/arm/_structs.h>
#include <mach/machine/thread_state.h>

#define ARM_THREAD_STATE 1
#define ARM_UNIFIED_THREAD_STATE ARM_THREAD_STATE
#define ARM_VFP_STATE 2
#define ARM_EXCEPTION_STATE 3
#define ARM_DEBUG_STATE 4
#define THREAD_STATE_NONE 5
#define ARM_THREAD_STATE64 6
#define ARM_EXCEPTION_STATE64 7
#define ARM_THREAD_STATE32 9
#define ARM_EXCEPTION_STATE64_V2 10
#define ARM_DEBUG_STATE32 14
#define ARM_DEBUG_STATE64 15
#define ARM_NEON_STATE 16
#define ARM_NEON_STATE64 17
#define ARM_CPMU_STATE64 18
#define ARM_PAGEIN_STATE 27
#define ARM_SME_STATE 28
#define ARM_SVE_Z_STATE1 29
#define ARM_SVE_Z_STATE2 30
#define ARM_SVE_P_STATE 31
#define ARM_SME_ZA_STATE1 32
#define ARM_SME_ZA_STATE2 33
#define ARM_SME_ZA_STATE3 34
#define ARM_SME_ZA_STATE4 35
#define ARM_SME_ZA_STATE5 36
#define ARM_SME_ZA_STATE6 37
#define ARM_SME_ZA_STATE7 38
#define ARM_SME_ZA_STATE8 39
#define ARM_SME_ZA_STATE9 40
#define ARM_SME_ZA_STATE10 41
#define ARM_SME_ZA_STATE11 42
#define ARM_SME_ZA_STATE12 42 /* so XNU says */
#define ARM_SME_ZA_STATE13 44
#define ARM_SME_ZA_STATE14 45
#define ARM_SME_ZA_STATE15 46
#define ARM_SME_ZA_STATE16 47
#define ARM_SME2_STATE 48

#define VALID_THREAD_STATE_FLAVOR(x) \
	((x) == ARM_THREAD_STATE || (x) == ARM_VFP_STATE || (x) == ARM_EXCEPTION_STATE || (x) == ARM_DEBUG_STATE || \
	 (x) == THREAD_STATE_NONE || (x) == ARM_THREAD_STATE32 || (x) == ARM_THREAD_STATE64 || \
	 (x) == ARM_EXCEPTION_STATE64 || (x) == ARM_EXCEPTION_STATE64_V2 || (x) == ARM_NEON_STATE || \
	 (x) == ARM_NEON_STATE64 || (x) == ARM_DEBUG_STATE32 || (x) == ARM_DEBUG_STATE64 || (x) == ARM_PAGEIN_STATE)

typedef struct arm_state_hdr {
	uint32_t flavor;
	uint32_t count;
} arm_state_hdr_t;

typedef struct __darwin_arm_thread_state arm_thread_state_t, arm_thread_state32_t;
typedef struct __darwin_arm_thread_state64 arm_thread_state64_t;
typedef struct __darwin_arm_exception_state arm_exception_state_t, arm_exception_state32_t;
typedef struct __darwin_arm_exception_state64 arm_exception_state64_t;
typedef struct __darwin_arm_exception_state64_v2 arm_exception_state64_v2_t;
typedef struct __darwin_arm_vfp_state arm_vfp_state_t;
typedef struct __darwin_arm_neon_state64 arm_neon_state64_t;
typedef struct __darwin_arm_debug_state32 arm_debug_state32_t;
typedef struct __darwin_arm_debug_state64 arm_debug_state64_t;
typedef struct __darwin_arm_pagein_state arm_pagein_state_t;

typedef struct arm_unified_thread_state {
	arm_state_hdr_t ash;
	union {
		arm_thread_state32_t ts_32;
		arm_thread_state64_t ts_64;
	} uts;
} arm_unified_thread_state_t;

#define PT_WORDS(type) ((mach_msg_type_number_t)(sizeof(type) / sizeof(uint32_t)))
#define ARM_THREAD_STATE_COUNT PT_WORDS(arm_thread_state_t)
#define ARM_THREAD_STATE32_COUNT PT_WORDS(arm_thread_state32_t)
#define ARM_THREAD_STATE64_COUNT PT_WORDS(arm_thread_state64_t)
#define ARM_UNIFIED_THREAD_STATE_COUNT PT_WORDS(arm_unified_thread_state_t)
#define ARM_EXCEPTION_STATE_COUNT PT_WORDS(arm_exception_state_t)
#define ARM_EXCEPTION_STATE64_COUNT PT_WORDS(arm_exception_state64_t)
#define ARM_EXCEPTION_STATE64_V2_COUNT PT_WORDS(arm_exception_state64_v2_t)
#define ARM_VFP_STATE_COUNT PT_WORDS(arm_vfp_state_t)
#define ARM_NEON_STATE64_COUNT PT_WORDS(arm_neon_state64_t)
#define ARM_DEBUG_STATE32_COUNT PT_WORDS(arm_debug_state32_t)
#define ARM_DEBUG_STATE64_COUNT PT_WORDS(arm_debug_state64_t)
#define ARM_PAGEIN_STATE_COUNT PT_WORDS(arm_pagein_state_t)

#define MACHINE_THREAD_STATE ARM_THREAD_STATE
#define MACHINE_THREAD_STATE_COUNT ARM_UNIFIED_THREAD_STATE_COUNT

#define arm_thread_state64_get_pc(ts) ((ts).__pc)
#define arm_thread_state64_get_pc_fptr(ts) ((void *)(uintptr_t)((ts).__pc))
#define arm_thread_state64_set_pc_fptr(ts, fptr) ((ts).__pc = (uintptr_t)(fptr))
#define arm_thread_state64_get_lr(ts) ((ts).__lr)
#define arm_thread_state64_get_lr_fptr(ts) ((void *)(uintptr_t)((ts).__lr))
#define arm_thread_state64_set_lr_fptr(ts, fptr) ((ts).__lr = (uintptr_t)(fptr))
#define arm_thread_state64_get_sp(ts) ((ts).__sp)
#define arm_thread_state64_set_sp(ts, ptr) ((ts).__sp = (uintptr_t)(ptr))
#define arm_thread_state64_get_fp(ts) ((ts).__fp)
#define arm_thread_state64_set_fp(ts, ptr) ((ts).__fp = (uintptr_t)(ptr))

#endif
