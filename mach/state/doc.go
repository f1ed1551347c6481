// Package state is the registers of a thread in two forms: as Linux keeps them in the ucontext_t of a signal handler,
// and as Mach passes them, in words of 32 bits by flavor.
//
// [AMD64] and [ARM64] hold what Linux gives. Load and Store move them from and to Linux's structures; Get
// and Set are what thread_get_state and thread_set_state do with a flavor. What Linux does not give is zero: debug
// registers can be read as zero and not be set, because only a tracer may. Flavors of 32-bit programs are refused, as
// XNU refuses them for 64-bit threads.
//
// Sources of the flavors, their counts and layouts: XNU osfmk/mach/i386/_structs.h, thread_status.h, and
// osfmk/i386/pcb.c; osfmk/mach/arm/_structs.h, thread_status.h, and osfmk/arm64/status.c. Sources of Linux's layouts:
// the kernel's user headers asm/sigcontext.h of both processors.
package state
