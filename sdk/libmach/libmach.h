/* What the files of libmach share. */
#ifndef LIBMACH_H
#define LIBMACH_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <mach/mach_types.h>

#include "trap.h"

#define PT_HIDDEN __attribute__((visibility("hidden")))

/* A thread that has, or wants, a lane. It lies in thread-local memory. */
struct pt_thread {
	struct pt_lane *lane;
	uint32_t index;
	uint32_t generation;	 /* of the connection that the lane belongs to */
	uint32_t busy;		 /* a call is under way: a signal handler must not touch the lane */
	int32_t tid;
	mach_port_name_t reply;	 /* mig_get_reply_port */
	mach_port_name_t special;
	mach_port_name_t self;	 /* the control port, without a reference */
	volatile uint32_t stops; /* counts signals that are the kernel's own */
	struct pt_thread *inner; /* for calls of a signal handler in the middle of a call */
	uint32_t used;		 /* bytes at PT_IN that are taken */
	uint32_t skip;		 /* waits that sleep at once: look in lane.c */
	uint32_t price;		 /* how many did after the processor was away the last time */
	uint32_t large;		 /* it has sent more memory than PT_INLINE_MAX before */
};

/* The connection to the kernel. */
struct pt_connection {
	int fd;
	uint32_t generation; /* 0: there was never one */
	uint32_t state;
	struct pt_area *area;
};
enum { PT_NEVER, PT_THERE, PT_REFUSED, PT_GONE };
PT_HIDDEN extern struct pt_connection pt_connection;

/* connect.c */
PT_HIDDEN struct pt_thread *pt_enter(void);	    /* the lane for a call; NULL if there is no kernel */
PT_HIDDEN void pt_leave(struct pt_thread *);
PT_HIDDEN int pt_ask(struct pt_packet *, int *fd); /* sends, and receives the answer; 0, or an errno */
PT_HIDDEN int pt_send(const struct pt_packet *, int fd);
PT_HIDDEN void pt_hold(sigset_t *old);		    /* the lock, with all signals blocked; it is held over fork */
PT_HIDDEN void pt_release(const sigset_t *old);
PT_HIDDEN int pt_kernel_gone(void);		    /* looks whether it is, and remembers */
PT_HIDDEN int pt_away(int fd);			    /* moves a descriptor out of the program's way */
PT_HIDDEN struct pt_thread *pt_me(void);

/* lane.c */
PT_HIDDEN int pt_post(struct pt_thread *, uint32_t op, uint32_t in_size, uint32_t ool, int interruptible);
PT_HIDDEN uint64_t pt_call(uint32_t op, uint64_t *value, int n, const uint64_t *args, int interruptible);
#define PT_CALL(op, value, ...) \
	pt_call((op), (value), (int)(sizeof((uint64_t[]){ __VA_ARGS__ }) / 8), (uint64_t[]){ __VA_ARGS__ }, 0)
#define PT_CALL_INTERRUPTIBLE(op, value, ...) \
	pt_call((op), (value), (int)(sizeof((uint64_t[]){ __VA_ARGS__ }) / 8), (uint64_t[]){ __VA_ARGS__ }, 1)
/* What pt_call returns without a kernel. */
#define PT_NO_KERNEL (~(uint64_t)0)
static inline kern_return_t
pt_code(uint64_t r)
{
	return r == PT_NO_KERNEL ? (kern_return_t)MACH_SEND_INVALID_DEST : (kern_return_t)r;
}
static inline mach_port_name_t
pt_name(uint64_t r)
{
	return r == PT_NO_KERNEL ? MACH_PORT_NULL : (mach_port_name_t)r;
}

extern mach_port_t mach_task_self_;
extern mach_port_t bootstrap_port;

/* memory.c */
PT_HIDDEN int pt_do(uint32_t upcall, uint64_t args[4], void *from, void *to, size_t room);
PT_HIDDEN int pt_read(void *to, uint64_t from, size_t n);
PT_HIDDEN int pt_copy(void *to, uint64_t from, size_t n); /* pt_read, quicker for much memory */
PT_HIDDEN int pt_write(uint64_t to, const void *from, size_t n);
PT_HIDDEN int pt_unmap(uint64_t address, uint64_t size); /* 0, or an errno */
PT_HIDDEN void pt_landed(uint64_t address, uint64_t size, uint32_t number, int fd);
PT_HIDDEN uint64_t pt_kept(uint64_t size, uint32_t number); /* its address; 0 if it is mapped no more */
PT_HIDDEN void pt_stay(int child); /* nothing that has landed is to be returned; the lock is held */
PT_HIDDEN size_t pt_page(void);

/* host.c */
PT_HIDDEN void pt_begins(void); /* in the thread that a process begins with */

/* fault.c */
PT_HIDDEN void pt_install(void);
PT_HIDDEN void pt_alternate_stack(void);

/* message.c */
PT_HIDDEN mach_msg_return_t pt_msg_kobject(mach_msg_header_t *, mach_msg_option_t, mach_msg_size_t, mach_msg_size_t,
	mach_port_name_t, mach_msg_timeout_t, mach_port_name_t);

/*
 * For ThreadSanitizer, which does not see that the kernel orders what threads do: all before a call happens before all
 * after a later call, be it a message and its receipt, a semaphore, or a fault and its handler. The functions are there in
 * programs that are built with it.
 */
extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));
static inline void
pt_before(void)
{
	if (__tsan_release != NULL)
		__tsan_release(&mach_task_self_);
}
static inline void
pt_after(void)
{
	if (__tsan_acquire != NULL)
		__tsan_acquire(&mach_task_self_);
}

/* futex */
PT_HIDDEN int pt_futex_wait(volatile uint32_t *, uint32_t value, uint32_t ms); /* 0, or an errno */
PT_HIDDEN void pt_futex_wake(volatile uint32_t *);

#endif
