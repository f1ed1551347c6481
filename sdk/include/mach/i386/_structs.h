/* The registers of x86 threads. Layouts: XNU osfmk/mach/i386/_structs.h, with the member names of UNIX03. */
#ifndef _MACH_I386__STRUCTS_H_
#define _MACH_I386__STRUCTS_H_

#include <stdint.h>

struct __darwin_i386_thread_state {
	unsigned int __eax;
	unsigned int __ebx;
	unsigned int __ecx;
	unsigned int __edx;
	unsigned int __edi;
	unsigned int __esi;
	unsigned int __ebp;
	unsigned int __esp;
	unsigned int __ss;
	unsigned int __eflags;
	unsigned int __eip;
	unsigned int __cs;
	unsigned int __ds;
	unsigned int __es;
	unsigned int __fs;
	unsigned int __gs;
};

struct __darwin_fp_control {
	unsigned short __invalid : 1;
	unsigned short __denorm : 1;
	unsigned short __zdiv : 1;
	unsigned short __ovrfl : 1;
	unsigned short __undfl : 1;
	unsigned short __precis : 1;
	unsigned short : 2;
	unsigned short __pc : 2;
	unsigned short __rc : 2;
	unsigned short : 1;
	unsigned short : 3;
};

typedef struct __darwin_fp_control __darwin_fp_control_t;
#define FP_PREC_24B 0
#define FP_PREC_53B 2
#define FP_PREC_64B 3
#define FP_RND_NEAR 0
#define FP_RND_DOWN 1
#define FP_RND_UP 2
#define FP_CHOP 3

struct __darwin_fp_status {
	unsigned short __invalid : 1;
	unsigned short __denorm : 1;
	unsigned short __zdiv : 1;
	unsigned short __ovrfl : 1;
	unsigned short __undfl : 1;
	unsigned short __precis : 1;
	unsigned short __stkflt : 1;
	unsigned short __errsumm : 1;
	unsigned short __c0 : 1;
	unsigned short __c1 : 1;
	unsigned short __c2 : 1;
	unsigned short __tos : 3;
	unsigned short __c3 : 1;
	unsigned short __busy : 1;
};

typedef struct __darwin_fp_status __darwin_fp_status_t;

struct __darwin_mmst_reg {
	char __mmst_reg[10];
	char __mmst_rsrv[6];
};

struct __darwin_xmm_reg {
	char __xmm_reg[16];
};

struct __darwin_i386_float_state {
	int __fpu_reserved[2];
	struct __darwin_fp_control __fpu_fcw;
	struct __darwin_fp_status __fpu_fsw;
	uint8_t __fpu_ftw;
	uint8_t __fpu_rsrv1;
	uint16_t __fpu_fop;
	uint32_t __fpu_ip;
	uint16_t __fpu_cs;
	uint16_t __fpu_rsrv2;
	uint32_t __fpu_dp;
	uint16_t __fpu_ds;
	uint16_t __fpu_rsrv3;
	uint32_t __fpu_mxcsr;
	uint32_t __fpu_mxcsrmask;
	struct __darwin_mmst_reg __fpu_stmm0;
	struct __darwin_mmst_reg __fpu_stmm1;
	struct __darwin_mmst_reg __fpu_stmm2;
	struct __darwin_mmst_reg __fpu_stmm3;
	struct __darwin_mmst_reg __fpu_stmm4;
	struct __darwin_mmst_reg __fpu_stmm5;
	struct __darwin_mmst_reg __fpu_stmm6;
	struct __darwin_mmst_reg __fpu_stmm7;
	struct __darwin_xmm_reg __fpu_xmm0;
	struct __darwin_xmm_reg __fpu_xmm1;
	struct __darwin_xmm_reg __fpu_xmm2;
	struct __darwin_xmm_reg __fpu_xmm3;
	struct __darwin_xmm_reg __fpu_xmm4;
	struct __darwin_xmm_reg __fpu_xmm5;
	struct __darwin_xmm_reg __fpu_xmm6;
	struct __darwin_xmm_reg __fpu_xmm7;
	char __fpu_rsrv4[224];
	int __fpu_reserved1;
};

struct __darwin_i386_exception_state {
	uint16_t __trapno;
	uint16_t __cpu;
	uint32_t __err;
	uint32_t __faultvaddr;
};

struct __darwin_x86_debug_state32 {
	unsigned int __dr0;
	unsigned int __dr1;
	unsigned int __dr2;
	unsigned int __dr3;
	unsigned int __dr4;
	unsigned int __dr5;
	unsigned int __dr6;
	unsigned int __dr7;
};

struct __darwin_x86_thread_state64 {
	uint64_t __rax;
	uint64_t __rbx;
	uint64_t __rcx;
	uint64_t __rdx;
	uint64_t __rdi;
	uint64_t __rsi;
	uint64_t __rbp;
	uint64_t __rsp;
	uint64_t __r8;
	uint64_t __r9;
	uint64_t __r10;
	uint64_t __r11;
	uint64_t __r12;
	uint64_t __r13;
	uint64_t __r14;
	uint64_t __r15;
	uint64_t __rip;
	uint64_t __rflags;
	uint64_t __cs;
	uint64_t __fs;
	uint64_t __gs;
};

struct __darwin_x86_thread_full_state64 {
	struct __darwin_x86_thread_state64 __ss64;
	uint64_t __ds;
	uint64_t __es;
	uint64_t __ss;
	uint64_t __gsbase;
};

struct __darwin_x86_float_state64 {
	int __fpu_reserved[2];
	struct __darwin_fp_control __fpu_fcw;
	struct __darwin_fp_status __fpu_fsw;
	uint8_t __fpu_ftw;
	uint8_t __fpu_rsrv1;
	uint16_t __fpu_fop;
	uint32_t __fpu_ip;
	uint16_t __fpu_cs;
	uint16_t __fpu_rsrv2;
	uint32_t __fpu_dp;
	uint16_t __fpu_ds;
	uint16_t __fpu_rsrv3;
	uint32_t __fpu_mxcsr;
	uint32_t __fpu_mxcsrmask;
	struct __darwin_mmst_reg __fpu_stmm0;
	struct __darwin_mmst_reg __fpu_stmm1;
	struct __darwin_mmst_reg __fpu_stmm2;
	struct __darwin_mmst_reg __fpu_stmm3;
	struct __darwin_mmst_reg __fpu_stmm4;
	struct __darwin_mmst_reg __fpu_stmm5;
	struct __darwin_mmst_reg __fpu_stmm6;
	struct __darwin_mmst_reg __fpu_stmm7;
	struct __darwin_xmm_reg __fpu_xmm0;
	struct __darwin_xmm_reg __fpu_xmm1;
	struct __darwin_xmm_reg __fpu_xmm2;
	struct __darwin_xmm_reg __fpu_xmm3;
	struct __darwin_xmm_reg __fpu_xmm4;
	struct __darwin_xmm_reg __fpu_xmm5;
	struct __darwin_xmm_reg __fpu_xmm6;
	struct __darwin_xmm_reg __fpu_xmm7;
	struct __darwin_xmm_reg __fpu_xmm8;
	struct __darwin_xmm_reg __fpu_xmm9;
	struct __darwin_xmm_reg __fpu_xmm10;
	struct __darwin_xmm_reg __fpu_xmm11;
	struct __darwin_xmm_reg __fpu_xmm12;
	struct __darwin_xmm_reg __fpu_xmm13;
	struct __darwin_xmm_reg __fpu_xmm14;
	struct __darwin_xmm_reg __fpu_xmm15;
	char __fpu_rsrv4[96];
	int __fpu_reserved1;
};

struct __darwin_x86_exception_state64 {
	uint16_t __trapno;
	uint16_t __cpu;
	uint32_t __err;
	uint64_t __faultvaddr;
};

struct __darwin_x86_debug_state64 {
	uint64_t __dr0;
	uint64_t __dr1;
	uint64_t __dr2;
	uint64_t __dr3;
	uint64_t __dr4;
	uint64_t __dr5;
	uint64_t __dr6;
	uint64_t __dr7;
};

#endif
