/*
 * Handlers of exceptions that misbehave. For each way to do so a child faults, with a handler in its parent, in a third
 * process or in itself; what becomes of the child is what the documentation says, and the kernel goes on.
 */
#define _GNU_SOURCE
#include "check.h"
#include <mach/mach_vm.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#define FLAVOR x86_THREAD_STATE64
#define WORDS x86_THREAD_STATE64_COUNT
static void
go_to(void *state, uint64_t pc)
{
	x86_thread_state64_t r; /* messages are aligned to 4 bytes */
	memcpy(&r, state, sizeof r);
	r.__rip = pc;
	r.__rsp = (r.__rsp & ~15ull) - 256 - 8;
	memcpy(state, &r, sizeof r);
}
#else
#define FLAVOR ARM_THREAD_STATE64
#define WORDS ARM_THREAD_STATE64_COUNT
static void
go_to(void *state, uint64_t pc)
{
	arm_thread_state64_t r;
	memcpy(&r, state, sizeof r);
	r.__pc = pc;
	memcpy(state, &r, sizeof r);
}
#endif
#define MASK (EXC_MASK_BAD_ACCESS | EXC_MASK_CRASH)
#define BEHAVIOR ((exception_behavior_t)(EXCEPTION_STATE | MACH_EXCEPTION_CODES))

#pragma pack(push, 4)
struct request {
	mach_msg_header_t header;
	NDR_record_t ndr;
	exception_type_t exception;
	mach_msg_type_number_t count;
	int64_t code[2];
	int flavor;
	mach_msg_type_number_t words;
	natural_t state[WORDS];
	char trailer[128];
};

struct reply {
	mach_msg_header_t header;
	NDR_record_t ndr;
	kern_return_t code;
	int flavor;
	mach_msg_type_number_t words;
	natural_t state[WORDS];
	char beyond[1 << 16];
};

struct complex_reply {
	mach_msg_header_t header;
	mach_msg_body_t body;
	union {
		mach_msg_port_descriptor_t port;
		mach_msg_ool_descriptor_t memory;
	};
	NDR_record_t ndr;
	kern_return_t code;
};
#pragma pack(pop)

#define REPLY_SIZE offsetof(struct reply, beyond)

static const char *now; /* what is being tried */

/* The status of a child as shells have it. It is killed if it does not end. */
static int
ended(pid_t child)
{
	int status = 0;

	for (int ms = 0; ms < 10000; ms += 2) {
		if (waitpid(child, &status, WNOHANG) == child)
			return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		usleep(2000);
	}
	fprintf(stderr, "%s: the child does not end\n", now);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return -1;
}

static void
still_waits(pid_t child)
{
	int status;

	usleep(30000);
	if (waitpid(child, &status, WNOHANG) != 0) {
		fprintf(stderr, "%s: the child ended: %#x\n", now, (unsigned)status);
		exit(1);
	}
}

static void
elsewhere(void)
{
	_exit(7);
}

static void
fault(void)
{
	*(volatile int *)0x10 = 1;
	_exit(8);
}

static mach_port_t
new_port(void)
{
	mach_port_options_t options = { .flags = MPO_EXCEPTION_PORT | MPO_INSERT_SEND_RIGHT };
	mach_port_t port;

	OK(mach_port_construct(mach_task_self(), &options, 0, &port));
	return port;
}

/* Starts a child that inherits a handler and does something; the caller itself has no handler. */
static pid_t
start(mach_port_t port, exception_mask_t mask, void (*what)(void))
{
	pid_t child;

	OK(task_set_exception_ports(mach_task_self(), mask, port, BEHAVIOR, FLAVOR));
	child = fork();
	if (child == 0) {
		what();
		_exit(9);
	}
	TRUE_(child > 0);
	OK(task_set_exception_ports(mach_task_self(), mask, MACH_PORT_NULL, BEHAVIOR, FLAVOR));
	return child;
}

static void
receive(mach_port_t port, struct request *m)
{
	kern_return_t kr = mach_msg(&m->header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof *m, port, 10000, MACH_PORT_NULL);

	if (kr != KERN_SUCCESS) {
		fprintf(stderr, "%s: no exception comes: %s\n", now, mach_error_string(kr));
		exit(1);
	}
	TRUE_(m->header.msgh_id == 2406 && m->exception == EXC_BAD_ACCESS && m->code[1] == 0x10);
}

/* An answer that has the thread go on elsewhere. */
static void
answer(const struct request *m, struct reply *r)
{
	memset(r, 0, sizeof *r);
	r->header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0);
	r->header.msgh_size = REPLY_SIZE;
	r->header.msgh_remote_port = m->header.msgh_remote_port;
	r->header.msgh_id = m->header.msgh_id + 100;
	r->ndr = NDR_record;
	r->flavor = m->flavor;
	r->words = m->words;
	memcpy(r->state, m->state, sizeof r->state);
	go_to(r->state, (uint64_t)(uintptr_t)elsewhere);
}

static kern_return_t
post(void *message)
{
	mach_msg_header_t *h = message;

	return mach_msg(h, MACH_SEND_MSG, h->msgh_size, 0, MACH_PORT_NULL, MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);
}

static void
close_port(mach_port_t port)
{
	OK(mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1));
	OK(mach_port_deallocate(mach_task_self(), port));
}

/* ---- In the parent ------------------------------------------------------------------------------------------------------ */

static struct request in;
static struct reply out;

static void
twice(void)
{
	mach_port_t port = new_port();
	pid_t child = start(port, EXC_MASK_BAD_ACCESS, fault);

	now = "twice";
	receive(port, &in);
	answer(&in, &out);
	OK(post(&out));
	IS(post(&out), MACH_SEND_INVALID_DEST);
	IS(ended(child), 7);
	close_port(port);
}

static void
silent(void)
{
	mach_port_t port = new_port();
	pid_t child = start(port, EXC_MASK_BAD_ACCESS, fault);
	mach_port_type_t type = 0;

	now = "silent";
	receive(port, &in);
	still_waits(child);
	kill(child, SIGKILL);
	IS(ended(child), 128 + SIGKILL);
	for (int i = 0; i < 2000 && type != MACH_PORT_TYPE_DEAD_NAME; i++, usleep(2000))
		OK(mach_port_type(mach_task_self(), in.header.msgh_remote_port, &type));
	TRUE_(type == MACH_PORT_TYPE_DEAD_NAME);
	answer(&in, &out);
	IS(post(&out), MACH_SEND_INVALID_DEST);
	OK(mach_port_deallocate(mach_task_self(), in.header.msgh_remote_port));
	close_port(port);
}

static void
unread(void)
{
	mach_port_t port = new_port();
	pid_t child = start(port, EXC_MASK_BAD_ACCESS, fault);

	now = "unread";
	still_waits(child);
	close_port(port);
	IS(ended(child), 128 + SIGSEGV);
}

static void
gives_up(void)
{
	mach_port_t port = new_port();
	pid_t child = start(port, EXC_MASK_BAD_ACCESS, fault);

	now = "gives up";
	receive(port, &in);
	OK(mach_port_deallocate(mach_task_self(), in.header.msgh_remote_port));
	IS(ended(child), 128 + SIGSEGV);
	close_port(port);
}

static void an_error(struct reply *r) { r->code = KERN_FAILURE; r->header.msgh_size = 36; }
static void id_of_request(struct reply *r) { r->header.msgh_id = 2406; }
static void id_of_another(struct reply *r) { r->header.msgh_id = 2505; }
static void header_alone(struct reply *r) { r->header.msgh_size = sizeof r->header; }
static void too_short(struct reply *r) { r->header.msgh_size -= 4; }
static void too_long(struct reply *r) { r->header.msgh_size += 4; }
static void very_long(struct reply *r) { r->header.msgh_size = sizeof *r; }
static void no_registers(struct reply *r) { r->header.msgh_size = 36; }
static void no_words(struct reply *r) { r->words = 0; r->header.msgh_size = 44; }
static void count_beyond(struct reply *r) { r->words = 0xffffffff; }
static void no_flavor(struct reply *r) { r->flavor = 99; }
static void nowhere(struct reply *r) { go_to(r->state, 0xffff800000000000); }
static void noise(struct reply *r)
{
	for (char *p = (char *)&r->ndr; p < r->beyond; p++)
		*p = (char)rand();
}

static void
garbage(void)
{
	static const struct {
		const char *name;
		void (*spoil)(struct reply *);
	} all[] = { { "an error", an_error }, { "id of the request", id_of_request }, { "another id", id_of_another },
		{ "nothing but a header", header_alone }, { "too short", too_short }, { "too long", too_long },
		{ "very long", very_long }, { "no registers", no_registers }, { "no words", no_words },
		{ "a count beyond all messages", count_beyond }, { "a flavor that is none", no_flavor },
#if defined(__x86_64__)
		{ "no address of a program", nowhere },
#endif
		{ "noise", noise } };
	mach_port_t port = new_port(), other = new_port();

	(void)nowhere;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		pid_t child = start(port, EXC_MASK_BAD_ACCESS, fault);

		now = all[i].name;
		receive(port, &in);
		answer(&in, &out);
		all[i].spoil(&out);
		OK(post(&out));
		IS(ended(child), 128 + SIGSEGV);
	}
	/* Reply ports: of no use to the kernel, which destroys them. */
	for (int disposition = MACH_MSG_TYPE_MOVE_RECEIVE; disposition <= MACH_MSG_TYPE_MAKE_SEND_ONCE; disposition++) {
		pid_t child;

		if (disposition != MACH_MSG_TYPE_COPY_SEND && disposition != MACH_MSG_TYPE_MAKE_SEND &&
		    disposition != MACH_MSG_TYPE_MAKE_SEND_ONCE)
			continue;
		now = "a reply port";
		child = start(port, EXC_MASK_BAD_ACCESS, fault);
		receive(port, &in);
		answer(&in, &out);
		out.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, disposition);
		out.header.msgh_local_port = other;
		OK(post(&out));
		IS(ended(child), 128 + SIGSEGV);
	}
	for (int memory = 0; memory < 2; memory++) {
		pid_t child = start(port, EXC_MASK_BAD_ACCESS, fault);
		struct complex_reply r = { .header = { .msgh_bits = MACH_MSGH_BITS_COMPLEX |
		    MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0), .msgh_size = sizeof r, .msgh_id = 2506 },
		    .body = { .msgh_descriptor_count = 1 }, .ndr = NDR_record };

		now = memory ? "memory" : "a right";
		receive(port, &in);
		r.header.msgh_remote_port = in.header.msgh_remote_port;
		if (memory)
			r.memory = (mach_msg_ool_descriptor_t){ .address = &out, .size = sizeof out, .copy = MACH_MSG_VIRTUAL_COPY,
				.type = MACH_MSG_OOL_DESCRIPTOR };
		else
			r.port = (mach_msg_port_descriptor_t){ .name = port, .disposition = MACH_MSG_TYPE_MAKE_SEND,
				.type = MACH_MSG_PORT_DESCRIPTOR };
		r.header.msgh_size = memory ? sizeof r : sizeof r - (sizeof r.memory - sizeof r.port);
		OK(post(&r));
		IS(ended(child), 128 + SIGSEGV);
	}
	close_port(other);
	close_port(port);
}

/* ---- In a third process ------------------------------------------------------------------------------------------------- */

enum way { RETURNS, IS_KILLED, FAULTS, FAULTS_TOO };

/* A handler that has a child of its own fault, tells its parent who that is, and ends with the exception unanswered. */
static void
third(int told, enum way way)
{
	mach_port_t port = new_port();
	pid_t victim = start(port, EXC_MASK_BAD_ACCESS, fault);

	receive(port, &in);
	if (way == FAULTS_TOO) /* for which it is its own handler */
		OK(task_set_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS, port, BEHAVIOR, FLAVOR));
	TRUE_(write(told, &victim, sizeof victim) == sizeof victim);
	if (way == IS_KILLED)
		pause();
	if (way == FAULTS || way == FAULTS_TOO)
		*(volatile int *)0x20 = 1;
	_exit(0);
}

static void
dies_in_the_middle(void)
{
	static const char *const names[] = { "returns", "is killed", "faults", "faults, and handles that" };
	static const int status[] = { 0, 128 + SIGKILL, 128 + SIGSEGV, 128 + SIGKILL };

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (enum way way = RETURNS; way <= FAULTS_TOO; way++) {
		int ends[2];
		pid_t handler, victim;

		now = names[way];
		TRUE_(pipe(ends) == 0);
		if ((handler = fork()) == 0)
			third(ends[1], way);
		TRUE_(read(ends[0], &victim, sizeof victim) == sizeof victim);
		close(ends[0]);
		close(ends[1]);
		if (way == FAULTS_TOO)
			still_waits(handler);
		if (way == IS_KILLED || way == FAULTS_TOO)
			kill(handler, SIGKILL);
		IS(ended(handler), status[way]);
		IS(ended(victim), 128 + SIGSEGV);
	}
}

/* ---- In the process itself ---------------------------------------------------------------------------------------------- */

static mach_port_t own_port, faulting;
static enum { FAULT_TOO, ABORT, GARBAGE } own_way;

static void *
serve_own(void *unused)
{
	(void)unused;
	receive(own_port, &in);
	switch (own_way) {
	case FAULT_TOO:
		*(volatile int *)0x20 = 1;
		break;
	case ABORT:
		OK(thread_abort(faulting));
		break;
	case GARBAGE:
		answer(&in, &out);
		noise(&out);
		OK(post(&out));
		break;
	}
	for (;;)
		pause();
}

/* Handled by a thread of the process, for the faulting thread alone. */
static void
own_fault(void)
{
	pthread_t t;

	own_port = new_port();
	faulting = mach_thread_self();
	if (own_way == FAULT_TOO)
		OK(task_set_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS, own_port, BEHAVIOR, FLAVOR));
	else
		OK(thread_set_exception_ports(faulting, EXC_MASK_BAD_ACCESS, own_port, BEHAVIOR, FLAVOR));
	TRUE_(pthread_create(&t, NULL, serve_own, NULL) == 0);
	fault();
}

static void
own_handlers(void)
{
	mach_port_t port = new_port();
	pid_t child;

	now = "faults itself";
	own_way = FAULT_TOO;
	child = start(port, EXC_MASK_BAD_ACCESS, own_fault);
	still_waits(child);
	kill(child, SIGKILL);
	IS(ended(child), 128 + SIGKILL);

	now = "thread_abort";
	own_way = ABORT;
	child = start(port, EXC_MASK_BAD_ACCESS, own_fault);
	IS(ended(child), 128 + SIGSEGV); /* the task's handler is told, and not waited for */
	receive(port, &in);
	answer(&in, &out);
	TRUE_(post(&out) != KERN_SUCCESS);

	now = "the next handler";
	own_way = GARBAGE;
	child = start(port, EXC_MASK_BAD_ACCESS, own_fault);
	receive(port, &in);
	answer(&in, &out);
	OK(post(&out));
	IS(ended(child), 7);
	close_port(port);
}

/* ---- What is left ------------------------------------------------------------------------------------------------------ */

#pragma pack(push, 4)
struct note {
	mach_msg_header_t header;
	mach_msg_body_t body;
	mach_msg_port_descriptor_t token;
	NDR_record_t ndr;
	uint64_t thread;
	exception_type_t exception;
	mach_msg_type_number_t count;
	int64_t code[2];
	char trailer[128];
};
#pragma pack(pop)

static volatile uint64_t left = 1;

static void
leaves(void)
{
	left = 0x1eaf;
	fault();
}

/* Reads what the child has in a variable; 0 if that cannot be read. */
static uint64_t
read_left(mach_port_t task)
{
	mach_vm_size_t got = 0;
	uint64_t word = 0;
	mach_vm_address_t from = (mach_vm_address_t)(uintptr_t)&left, to = (mach_vm_address_t)(uintptr_t)&word;

	return mach_vm_read_overwrite(task, from, sizeof word, to, &got) == KERN_SUCCESS ? word : 0;
}

/* Someone is told of the corpse; its memory can be read until they have answered. */
static void
corpse(void)
{
	mach_port_t port = new_port(), task;
	exception_behavior_t behavior = (exception_behavior_t)(EXCEPTION_IDENTITY_PROTECTED | MACH_EXCEPTION_CODES);
	struct note m;

	for (int answered = 0; answered < 2; answered++) {
		pid_t child;

		now = answered ? "a corpse" : "a corpse, and no answer";
		OK(task_set_exception_ports(mach_task_self(), EXC_MASK_CORPSE_NOTIFY, port, behavior, THREAD_STATE_NONE));
		if ((child = fork()) == 0)
			leaves();
		OK(task_set_exception_ports(mach_task_self(), EXC_MASK_CORPSE_NOTIFY, MACH_PORT_NULL, behavior, THREAD_STATE_NONE));
		OK(mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, port, 10000, MACH_PORT_NULL));
		TRUE_(m.header.msgh_id == 2408 && m.exception == EXC_CORPSE_NOTIFY && m.code[0] == EXC_CRASH);
		TRUE_(m.code[1] == ((int64_t)2 << 32 | 11)); /* OS_REASON_SIGNAL, SIGSEGV */
		OK(task_identity_token_get_task_port(m.token.name, TASK_FLAVOR_CONTROL, &task));
		TRUE_(read_left(task) == 0x1eaf && left == 1);
		still_waits(child);
		if (answered) {
			memset(&out, 0, sizeof out);
			out.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0);
			out.header.msgh_size = 36;
			out.header.msgh_remote_port = m.header.msgh_remote_port;
			out.header.msgh_id = m.header.msgh_id + 100;
			out.ndr = NDR_record;
			OK(post(&out));
		} else {
			kill(child, SIGKILL);
		}
		IS(ended(child), 128 + (answered ? SIGSEGV : SIGKILL));
		for (int i = 0; i < 2000 && read_left(task) != 0; i++)
			usleep(2000);
		TRUE_(read_left(task) == 0);
		OK(mach_port_deallocate(mach_task_self(), task));
		OK(mach_port_deallocate(mach_task_self(), m.token.name));
		if (!answered)
			OK(mach_port_deallocate(mach_task_self(), m.header.msgh_remote_port));
	}
	close_port(port);
}

int
main(void)
{
	twice();
	silent();
	unread();
	gives_up();
	garbage();
	dies_in_the_middle();
	own_handlers();
	corpse();
	return 0;
}
