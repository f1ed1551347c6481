/*
 * A program that ends a computation which takes too long: the thread that computes looks at a page in each round, and
 * to end it the page is made unreadable. The handler of the exception that this raises answers with the registers with
 * which the thread is to go on. The thread keeps what it has found.
 *
 * The behavior EXCEPTION_STATE shows no port of task or thread to anybody, and is allowed at every level.
 */
#include <mach/mach.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile unsigned long rounds;
static volatile char *page; /* readable as long as the search may go on */

#if defined(__x86_64__)
#define FLAVOR x86_THREAD_STATE64
typedef x86_thread_state64_t registers;
#else
#define FLAVOR ARM_THREAD_STATE64
typedef arm_thread_state64_t registers;
#endif

#pragma pack(push, 4)
union raise { /* message 2406 of mach_exc.defs: mach_exception_raise_state */
	struct {
		mach_msg_header_t header;
		NDR_record_t ndr;
		exception_type_t exception;
		mach_msg_type_number_t code_count;
		int64_t code[2];
		int flavor;
		mach_msg_type_number_t count;
		registers state;
		mach_msg_max_trailer_t trailer;
	} request;
	struct {
		mach_msg_header_t header;
		NDR_record_t ndr;
		kern_return_t result;
		int flavor;
		mach_msg_type_number_t count;
		registers state;
	} reply;
};
#pragma pack(pop)

static void check(const char *what, kern_return_t kr)
{
	if (kr != KERN_SUCCESS) {
		printf("%s: %s\n", what, mach_error_string(kr));
		exit(1);
	}
}

/* Where the thread goes on. */
static void give_up(void)
{
	printf("given up after many rounds: %s\n", rounds > 1000 ? "yes" : "no");
	pthread_exit(NULL);
}

/* A search that has no end. */
static void *search(void *port)
{
	check("thread_set_exception_ports", thread_set_exception_ports(mach_thread_self(), EXC_MASK_BAD_ACCESS,
		*(mach_port_t *)port, EXCEPTION_STATE | MACH_EXCEPTION_CODES, FLAVOR));
	for (;;)
		rounds += 1 + (unsigned long)*page;
	return NULL;
}

static void go_to(registers *state, void (*to)(void))
{
#if defined(__x86_64__)
	state->__rip = (uint64_t)to;
	state->__rsp = ((state->__rsp - 128) & ~15ull) - 8; /* below the red zone, as a call would leave it */
#else
	arm_thread_state64_set_pc_fptr(*state, to);
#endif
}

/* Answers one exception: if it came of the page, the thread goes on elsewhere. */
static void *handle(void *port)
{
	union raise in, out = {0};

	check("receiving", mach_msg(&in.request.header, MACH_RCV_MSG, 0, sizeof in, *(mach_port_t *)port, 0, MACH_PORT_NULL));
	out.reply.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0);
	out.reply.header.msgh_remote_port = in.request.header.msgh_remote_port;
	out.reply.header.msgh_id = in.request.header.msgh_id + 100;
	out.reply.ndr = NDR_record;
	out.reply.result = (void *)in.request.code[1] == (void *)page ? KERN_SUCCESS : KERN_FAILURE;
	out.reply.flavor = in.request.flavor;
	out.reply.count = in.request.count;
	out.reply.state = in.request.state;
	go_to(&out.reply.state, give_up);
	check("answering", mach_msg(&out.reply.header, MACH_SEND_MSG, sizeof out.reply, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL));
	return NULL;
}

int main(void)
{
	mach_port_options_t options = {.flags = MPO_EXCEPTION_PORT | MPO_INSERT_SEND_RIGHT};
	mach_port_t port;
	pthread_t searcher, handler;

	page = mmap(NULL, (size_t)getpagesize(), PROT_READ, MAP_PRIVATE | MAP_ANON, -1, 0);
	check("mach_port_construct", mach_port_construct(mach_task_self(), &options, 0, &port));
	if (page == MAP_FAILED || pthread_create(&handler, NULL, handle, &port) != 0 ||
	    pthread_create(&searcher, NULL, search, &port) != 0)
		return 1;
	while (rounds < 100000)
		usleep(1000); /* as long as it may take */
	mprotect((void *)page, (size_t)getpagesize(), PROT_NONE);
	pthread_join(searcher, NULL);
	return 0;
}
