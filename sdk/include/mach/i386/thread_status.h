/* Flavors of the state of x86 threads. Numbers: XNU osfmk/mach/i386/thread_status.h. */
#ifndef _MACH_I386_THREAD_STATUS_H_
#define _MACH_I386_THREAD_STATUS_H_

#include <stdint.h>
#include <mach/message.h>
#include <mach/i386/_structs.h>
#include <mach/machine/thread_state.h>

#define x86_THREAD_STATE32 1
#define x86_FLOAT_STATE32 2
#define x86_EXCEPTION_STATE32 3
#define x86_THREAD_STATE64 4
#define x86_FLOAT_STATE64 5
#define x86_EXCEPTION_STATE64 6
#define x86_THREAD_STATE 7
#define x86_FLOAT_STATE 8
#define x86_EXCEPTION_STATE 9
#define x86_DEBUG_STATE32 10
#define x86_DEBUG_STATE64 11
#define x86_DEBUG_STATE 12
#define THREAD_STATE_NONE 13
#define x86_AVX_STATE32 16
#define x86_AVX_STATE64 17
#define x86_AVX_STATE 18
#define x86_AVX512_STATE32 19
#define x86_AVX512_STATE64 20
#define x86_AVX512_STATE 21
#define x86_PAGEIN_STATE 22
#define x86_THREAD_FULL_STATE64 23
#define x86_INSTRUCTION_STATE 24
#define x86_LAST_BRANCH_STATE 25

#define VALID_THREAD_STATE_FLAVOR(x) \
	(((x) >= x86_THREAD_STATE32 && (x) <= THREAD_STATE_NONE) || ((x) >= x86_AVX_STATE32 && (x) <= x86_LAST_BRANCH_STATE))

typedef struct x86_state_hdr {
	uint32_t flavor;
	uint32_t count;
} x86_state_hdr_t;

typedef struct __darwin_i386_thread_state i386_thread_state_t, x86_thread_state32_t;
typedef struct __darwin_i386_float_state i386_float_state_t, x86_float_state32_t;
typedef struct __darwin_i386_exception_state i386_exception_state_t, x86_exception_state32_t;
typedef struct __darwin_x86_debug_state32 x86_debug_state32_t;
typedef struct __darwin_x86_thread_state64 x86_thread_state64_t;
typedef struct __darwin_x86_thread_full_state64 x86_thread_full_state64_t;
typedef struct __darwin_x86_float_state64 x86_float_state64_t;
typedef struct __darwin_x86_exception_state64 x86_exception_state64_t;
typedef struct __darwin_x86_debug_state64 x86_debug_state64_t;

typedef struct x86_thread_state {
	x86_state_hdr_t tsh;
	union {
		x86_thread_state32_t ts32;
		x86_thread_state64_t ts64;
	} uts;
} x86_thread_state_t;

typedef struct x86_float_state {
	x86_state_hdr_t fsh;
	union {
		x86_float_state32_t fs32;
		x86_float_state64_t fs64;
	} ufs;
} x86_float_state_t;

typedef struct x86_exception_state {
	x86_state_hdr_t esh;
	union {
		x86_exception_state32_t es32;
		x86_exception_state64_t es64;
	} ues;
} x86_exception_state_t;

typedef struct x86_debug_state {
	x86_state_hdr_t dsh;
	union {
		x86_debug_state32_t ds32;
		x86_debug_state64_t ds64;
	} uds;
} x86_debug_state_t;

#define PT_WORDS(type) ((mach_msg_type_number_t)(sizeof(type) / sizeof(int)))
#define x86_THREAD_STATE32_COUNT PT_WORDS(x86_thread_state32_t)
#define i386_THREAD_STATE_COUNT x86_THREAD_STATE32_COUNT
#define i386_THREAD_STATE x86_THREAD_STATE32
#define x86_FLOAT_STATE32_COUNT PT_WORDS(x86_float_state32_t)
#define i386_FLOAT_STATE_COUNT x86_FLOAT_STATE32_COUNT
#define i386_FLOAT_STATE x86_FLOAT_STATE32
#define x86_EXCEPTION_STATE32_COUNT PT_WORDS(x86_exception_state32_t)
#define i386_EXCEPTION_STATE_COUNT x86_EXCEPTION_STATE32_COUNT
#define i386_EXCEPTION_STATE x86_EXCEPTION_STATE32
#define I386_EXCEPTION_STATE_COUNT x86_EXCEPTION_STATE32_COUNT
#define x86_DEBUG_STATE32_COUNT PT_WORDS(x86_debug_state32_t)
#define x86_THREAD_STATE64_COUNT PT_WORDS(x86_thread_state64_t)
#define x86_THREAD_FULL_STATE64_COUNT PT_WORDS(x86_thread_full_state64_t)
#define x86_FLOAT_STATE64_COUNT PT_WORDS(x86_float_state64_t)
#define x86_EXCEPTION_STATE64_COUNT PT_WORDS(x86_exception_state64_t)
#define x86_DEBUG_STATE64_COUNT PT_WORDS(x86_debug_state64_t)
#define x86_THREAD_STATE_COUNT PT_WORDS(x86_thread_state_t)
#define x86_FLOAT_STATE_COUNT PT_WORDS(x86_float_state_t)
#define x86_EXCEPTION_STATE_COUNT PT_WORDS(x86_exception_state_t)
#define x86_DEBUG_STATE_COUNT PT_WORDS(x86_debug_state_t)

#define MACHINE_THREAD_STATE x86_THREAD_STATE
#define MACHINE_THREAD_STATE_COUNT x86_THREAD_STATE_COUNT

#endif
