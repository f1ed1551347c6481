/*
 * How a task and the kernel talk.
 *
 * A process connects to the kernel's Unix socket (SOCK_SEQPACKET, path in PORTCULLIS_KERNEL) and says hello. From then on
 * every thread that traps has a lane: a piece of memory shared with the kernel alone, made and sealed by the kernel. A
 * trap is a request written to the lane, and its answer read from there. The socket carries what is rare: new lanes, file
 * descriptors, forks, and the doorbell for a kernel that sleeps.
 *
 * Everything here is hostile to the kernel, which copies a request once and judges the copy. A task that does not keep to
 * this file harms only itself.
 *
 * All integers are little-endian, all structures have their natural alignment. trap/layout_test.go compares this file
 * with package trap.
 */
#ifndef PORTCULLIS_TRAP_H
#define PORTCULLIS_TRAP_H

#include <stdint.h>

#define PT_VERSION 3
#define PT_ENVIRONMENT "PORTCULLIS_KERNEL"

/* ---- The lane ---------------------------------------------------------------------------------------------------- */

/*
 * A lane is PT_LANE_SIZE bytes: a page of control, then what goes in, then what comes out.
 *
 * Going in:  the request is in struct pt_lane, its payload at PT_IN. Then posted is increased by one, and the kernel
 *            woken as kernel_state says.
 * Going out: the kernel fills in the answer and its payload at PT_OUT, increases done by one, and wakes the thread with
 *            FUTEX_WAKE if task_waits is not 0.
 *
 * Between the two the lane belongs to the kernel. All accesses to posted, kernel_state, done and task_waits are
 * sequentially consistent. Futexes are shared, not private.
 */
#define PT_LANE_SIZE 0x1240000
#define PT_IN 0x1000
#define PT_IN_SIZE 0x111f000
#define PT_OUT 0x1120000
#define PT_OUT_SIZE 0x120000

/* How much of what goes in the kernel looks at: the message, or what another operation is given. */
#define PT_REQUEST_MAX 0xf000

/* kernel_state: what wakes the kernel after posted was increased. The task swaps it with PT_KERNEL_AWAKE. */
#define PT_KERNEL_AWAKE 0  /* nothing: it looks at posted */
#define PT_KERNEL_FUTEX 1  /* FUTEX_WAKE on posted */
#define PT_KERNEL_ASLEEP 2 /* PT_DOORBELL on the socket */

struct pt_lane {
	/* First cache line: written by the task. */
	uint32_t posted;
	uint32_t task_waits; /* 1 while the task sleeps on done */
	uint32_t op;	     /* PT_OP_... */
	uint32_t in_size;    /* bytes at PT_IN */
	uint32_t ool_count;  /* entries of ool_in that count */
	uint32_t reserved0[11];

	/* Second cache line: written by the kernel. */
	uint32_t done;
	uint32_t kernel_state;
	uint32_t answer;   /* PT_ANSWER_... */
	uint32_t out_size; /* bytes at PT_OUT */
	uint32_t ool_out_count;
	uint32_t upcall; /* PT_UPCALL_... */
	uint32_t reserved1[10];

	uint64_t args[12];   /* of the operation */
	uint64_t result[8];  /* result[0] is the return code, or the name, of the operation */
	uint64_t reserved2[12];

	/* Out-of-line memory that goes with the payload, in and out: see below. */
	struct pt_ool {
		uint64_t address; /* in: where the descriptor says it is; out: the cookie in the descriptor */
		uint64_t size;
		uint64_t offset; /* from PT_IN or PT_OUT, or PT_BULK */
	} ool_in[48], ool_out[48];
};

/*
 * Out-of-line memory.
 *
 * In: the task lists in ool_in what the descriptors of its message point to: small pieces are copied behind the message,
 * at offset. Others (offset is PT_BULK) are handed over as sealed memory files with PT_GIVE before the trap. A memory
 * file holds exactly the bytes, from its start, and has the seals F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE. If a
 * message has more descriptors than the table has room for, or their sum does not fit, the task gives bulk for the largest.
 *
 * Out: the kernel writes cookies (PT_COOKIE + index) into the descriptors' addresses and lists them in ool_out. The task
 * makes memory for each, fills it from offset or, for PT_BULK, with a private mapping of the file that PT_TAKE brings,
 * and replaces the cookie by its address.
 *
 * A file that PT_TAKE brings with a number is the kernel's: it stays as it is until the task returns the number with
 * PT_RETURN, and may hold anything from then on. Behind the bytes it holds zeros to the end of the page. The kernel uses it
 * again for what the same process receives, so that no pages need be made. Who returns a number uses the file no more, nor
 * does a child of its. Nobody needs to return one.
 *
 * If the task says with PT_KEPT that it still has the file mapped, the kernel lists what it puts there with the offset
 * PT_LANDED + number, and no file is to be taken. Who has the mapping no more may take the file by its number.
 */
#define PT_BULK (~(uint64_t)0)
#define PT_LANDED 0xffffffff00000000u
#define PT_KEPT 1
#define PT_COOKIE 0x00c0ffee00000000u
#define PT_OOL_MAX 48

/*
 * Pieces up to these sizes travel in the lane if there is room: to the kernel, and from it. The pages of a lane are there
 * from the first use on: to copy through them takes less time than to make pages and a memory file of them.
 */
#define PT_LENT_MAX 0x1000000
#define PT_INLINE_MAX 0x110000

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

#define PT_ANSWER_DONE 0   /* the trap has ended */
#define PT_ANSWER_UPCALL 1 /* the thread does something for the kernel (upcall), and posts PT_OP_UPCALL_DONE */
#define PT_ANSWER_DYING 2  /* the thread has violated a restriction: it posts PT_OP_BACKTRACE if it can, and waits for its end */

/* Upcalls: what only the task itself can do to its memory. Arguments in result[1...], bytes at PT_OUT or PT_IN. */
#define PT_UPCALL_MAP 1	     /* size, address or 0, protection, anywhere -> errno, address */
#define PT_UPCALL_UNMAP 2    /* address, size -> errno */
#define PT_UPCALL_PROTECT 3  /* address, size, protection -> errno */
#define PT_UPCALL_READ 4     /* address, size -> errno, bytes at PT_IN */
#define PT_UPCALL_WRITE 5    /* address, size, bytes at PT_OUT -> errno */

/* ---- Operations -------------------------------------------------------------------------------------------------- */

/*
 * Arguments in args[0...]; result[0] is a kern_return_t or, for those that say so, a name. Names and values that come
 * back are in result[1...].
 */
enum pt_op {
	PT_OP_NONE = 0,
	PT_OP_UPCALL_DONE = 1, /* errno, value */
	PT_OP_BACKTRACE = 2,   /* in_size bytes at PT_IN: JSON, an array of {"pc","function","file","line"}; innermost first */

	/*
	 * options, receive name, room in the receive buffer, timeout in ms, priority, address of the receive buffer, send
	 * size, send aux size, room for aux. At PT_IN: the message, at the next multiple of 8 aux data. At PT_OUT: the
	 * received message with trailer (out_size bytes); or, if sending failed, result[1] is 1 and the send buffer as it is now.
	 * result[2] is the size of aux data, which lies at the next multiple of 8 behind the message.
	 *
	 * A message with more inline bytes than PT_REQUEST_MAX is given as bulk: in_size is 0 and ool_in[0] has
	 * address 0 (room for more is asked for in the same way: an answer too large for the lane comes as ool_out[0] with
	 * address 0).
	 */
	PT_OP_MSG2 = 16,
	PT_OP_MSG_LEGACY = 17, /* the same through the trap that was there before */

	PT_OP_TASK_SELF = 32,	      /* -> name */
	PT_OP_THREAD_SELF,	      /* -> name */
	PT_OP_HOST_SELF,	      /* -> name */
	PT_OP_REPLY_PORT,	      /* -> name */
	PT_OP_SPECIAL_REPLY_PORT,     /* -> name */
	PT_OP_TASK_FOR_PID,	      /* task, pid -> code, name */
	PT_OP_TASK_NAME_FOR_PID,      /* task, pid -> code, name */
	PT_OP_PID_FOR_TASK,	      /* task -> code, pid */
	PT_OP_THREAD_PORT,	      /* Linux thread id of a thread of the task -> code, name of its control port */
	PT_OP_THREAD_ENDS,	      /* the last trap of a thread */
	PT_OP_BOOTSTRAP_PORT,	      /* -> code, name of a send right to the task's bootstrap port */
	PT_OP_TASK_READ_FOR_PID,      /* task, pid -> code, name */
	PT_OP_TASK_INSPECT_FOR_PID,   /* task, pid -> code, name */

	PT_OP_PORT_ALLOCATE = 64,     /* task, right -> code, name */
	PT_OP_PORT_DESTROY,	      /* task, name */
	PT_OP_PORT_DEALLOCATE,	      /* task, name */
	PT_OP_PORT_MOD_REFS,	      /* task, name, right, delta */
	PT_OP_PORT_MOVE_MEMBER,	      /* task, member, after */
	PT_OP_PORT_INSERT_RIGHT,      /* task, name, poly, disposition */
	PT_OP_PORT_INSERT_MEMBER = 71, /* task, name, set */
	PT_OP_PORT_EXTRACT_MEMBER,    /* task, name, set */
	PT_OP_PORT_CONSTRUCT,	      /* task, flags, context, queue limit, service name (MPO_CONNECTION_PORT); at PT_IN the
					 name of a service port (MPO_SERVICE_PORT), domain in args[5] -> code, name */
	PT_OP_PORT_DESTRUCT,	      /* task, name, srdelta, guard */
	PT_OP_PORT_GUARD,	      /* task, name, guard, strict */
	PT_OP_PORT_UNGUARD,	      /* task, name, guard */
	PT_OP_PORT_TYPE,	      /* task, name -> code, type */
	PT_OP_PORT_REQUEST_NOTIFICATION, /* task, name, id, sync, notify, disposition -> code, previous */

	PT_OP_SEMAPHORE_SIGNAL = 96,  /* name */
	PT_OP_SEMAPHORE_SIGNAL_ALL,   /* name */
	PT_OP_SEMAPHORE_SIGNAL_THREAD, /* name, thread */
	PT_OP_SEMAPHORE_WAIT,	      /* name */
	PT_OP_SEMAPHORE_WAIT_SIGNAL,  /* wait, signal */
	PT_OP_SEMAPHORE_TIMEDWAIT,    /* name, seconds, nanoseconds */
	PT_OP_SEMAPHORE_TIMEDWAIT_SIGNAL, /* wait, signal, seconds, nanoseconds */

	PT_OP_TIMER_CREATE = 112,     /* -> name */
	PT_OP_TIMER_ARM,	      /* name, absolute time in ns */
	PT_OP_TIMER_CANCEL,	      /* name -> code, time it would have fired */
	PT_OP_TIMER_DESTROY,	      /* name */

	PT_OP_VOUCHER_CREATE = 120,   /* recipes at PT_IN -> code, name */

	/*
	 * Ports that stand for open files and for memory files. What one is made of is given as entry 0 with PT_GIVE before
	 * the trap; the kernel keeps it as long as there are send rights. What one stands for comes as entry 0 with PT_TAKE after
	 * the trap. A memory file has the seals F_SEAL_SHRINK and F_SEAL_GROW, and whole pages.
	 */
	PT_OP_FILEPORT_MAKEPORT = 128, /* -> code, name */
	PT_OP_FILEPORT_MAKEFD,	      /* name -> code */
	PT_OP_MEMORY_ENTRY_MAKE,      /* -> code, name */
	PT_OP_MEMORY_ENTRY_OPEN,      /* name -> code, size */
};

/* ---- The socket -------------------------------------------------------------------------------------------------- */

/*
 * One packet is one struct pt_packet, with at most one descriptor beside it. What asks for an answer is asked by one
 * thread at a time, and its answer is the next packet that comes from the kernel.
 */
enum pt_packet_kind {
	PT_HELLO = 1,	 /* version in a, flags in b, fork token in token (0: none); -> PT_HELLO: status in a, with the
			    descriptor of the process's area. status: 0, or an errno with a text that says why */
	PT_LANE = 2,	 /* thread id in a (0: a Mach thread that is bound to no thread of Linux's) -> PT_LANE: status in a, index in b, with the descriptor of the lane. The thread
			    becomes a Mach thread; the process's first lane may be that of any thread */
	PT_DOORBELL = 3, /* lane's index in a; no answer */
	PT_GIVE = 4,	 /* lane's index in a, entry of ool_in in b, with a memory file; no answer. Before the trap */
	PT_TAKE = 5,	 /* lane's index in a, entry of ool_out in b, or a number in c -> PT_TAKE: status in a, number in b (0:
			    none), with a memory file */
	PT_FORK = 6,	 /* -> PT_FORK: status in a, token for the child's PT_HELLO. What a child inherits is settled now */
	PT_INTERRUPT = 7, /* lane's index in a: what its trap waits for is interrupted; no answer */
	PT_FAULT = 8,	 /* a record of the area, in a, is filled in; no answer here */
	PT_BYE = 9,	 /* the task detaches from the kernel: its space ends, the process goes on; no answer */
	PT_RETURN = 10,	 /* number of a memory file in a, which the task uses no more, PT_KEPT or 0 in b; no answer */
	PT_LIST = 16,	 /* the only packet of a connection that is no task's: -> PT_LIST: status in a (0, or an errno with a
			    text), with a memory file that lists the kernel's tasks and ports as JSON */
	PT_FATE = 17,	 /* the same for what befell the process in a -> PT_FATE: status in a, with a memory file of JSON */
};

struct pt_packet {
	uint32_t kind;
	uint32_t a, b, c;
	uint8_t token[16];
	char text[96]; /* why not; ends with NUL */
};

/* Flags of PT_HELLO. */
#define PT_HELLO_RECORDS 1 /* the process has a handler for PT_SIGNAL and serves records */
#define PT_HELLO_FAULTS 2  /* it reports faults */
#define PT_HELLO_GO 4	   /* it is a Go program: its threads answer PT_ANSWER_DYING with a backtrace */

/* ---- The process's area: faults and stops ------------------------------------------------------------------------ */

/*
 * A fault (SIGSEGV and its like) and a stop (PT_SIGNAL, which the kernel sends) end in a signal handler, which takes a free
 * record, fills it in, and waits on its futex state. Meanwhile it does for the kernel what command asks.
 *
 * Records are taken by compare-and-swap of state from PT_RECORD_FREE to PT_RECORD_TAKEN.
 */
#define PT_SIGNAL_OFFSET 5 /* PT_SIGNAL is SIGRTMAX minus this */
#define PT_AREA_RECORDS 64

#define PT_RECORD_FREE 0
#define PT_RECORD_TAKEN 1   /* being filled in */
#define PT_RECORD_STOPPED 2 /* the thread waits; registers are there; the kernel was told with PT_FAULT */
#define PT_RECORD_COMMAND 3 /* set by the kernel: do command, then set PT_RECORD_STOPPED */
#define PT_RECORD_RESUME 4  /* set by the kernel: take the registers from the record, free it, return from the handler */
#define PT_RECORD_DEFAULT 5 /* set by the kernel: free it, and do what the signal does without a handler */

#define PT_RECORD_IS_STOP 0
#define PT_RECORD_IS_FAULT 1

#define PT_COMMAND_DATA 0x4000

struct pt_record {
	uint32_t state; /* futex, both ways */
	uint32_t kind;
	int32_t tid;
	int32_t signo, code, error; /* of siginfo */
	uint64_t address;	    /* si_addr */
	uint64_t trap, error_code;  /* x86_64: REG_TRAPNO, REG_ERR; arm64: 0, ESR if there is one */
	/*
	 * x86_64: the 23 words of gregs in Linux's order (r8...r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags,
	 * csgsfs, err, trapno, oldmask, cr2). arm64: x0...x30, sp, pc, pstate.
	 */
	uint64_t registers[40];
	uint8_t floating[528]; /* x86_64: the 512 bytes of FXSAVE; arm64: fpsr, fpcr, 8 bytes, v0...v31 (up to 528 in all) */
	uint32_t changed;      /* set by the kernel: 1 registers, 2 floating */
	uint32_t chained;      /* a handler of the program's own gets the signal if the kernel says PT_RECORD_DEFAULT */

	uint32_t command; /* PT_UPCALL_... */
	int32_t result;	  /* errno */
	uint64_t arguments[4]; /* as the upcall's; address of a new map comes back in arguments[0] */
};

struct pt_area {
	uint32_t stop_generation; /* increased by the kernel before it signals */
	uint32_t reserved[15];
	struct pt_record records[PT_AREA_RECORDS];
};

/* Behind the records, at PT_AREA_DATA, each has PT_COMMAND_DATA bytes for commands that read and write. */
#define PT_AREA_DATA 0x20000
#define PT_AREA_SIZE (PT_AREA_DATA + PT_AREA_RECORDS * PT_COMMAND_DATA)

#endif
