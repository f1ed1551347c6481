/*
 * What the system's own tests of exceptions try, in processes: exception ports and what is told of them, the hardened
 * handler, identity tokens, registers of an own thread.
 */
#include "check.h"
#include <mach/mach_exc_server.h>
#include <pthread.h>
#include <unistd.h>

#if defined(__x86_64__)
#define FLAVOR x86_THREAD_STATE64
#define WORDS x86_THREAD_STATE64_COUNT
typedef x86_thread_state64_t registers;
#define PC(r) (r)->__rip
#define SP(r) (r)->__rsp
#define ANY(r) (r)->__r12
#else
#define FLAVOR ARM_THREAD_STATE64
#define WORDS ARM_THREAD_STATE64_COUNT
typedef arm_thread_state64_t registers;
#define PC(r) (r)->__pc
#define SP(r) (r)->__sp
#define ANY(r) (r)->__x[20]
#endif
#define PROTECTED ((exception_behavior_t)(EXCEPTION_STATE_IDENTITY_PROTECTED | MACH_EXCEPTION_CODES))

static mach_port_t
new_port(uint32_t flags)
{
	mach_port_options_t options = { .flags = flags | MPO_INSERT_SEND_RIGHT };
	mach_port_t port;

	OK(mach_port_construct(mach_task_self(), &options, 0, &port));
	return port;
}

/* ---- Exception ports and what is told of them --------------------------------------------------------------------------- */

struct handlers {
	mach_msg_type_number_t n;
	exception_mask_t masks[EXC_TYPES_COUNT];
	mach_port_t ports[EXC_TYPES_COUNT];
	exception_handler_info_t infos[EXC_TYPES_COUNT];
	exception_behavior_t behaviors[EXC_TYPES_COUNT];
	thread_state_flavor_t flavors[EXC_TYPES_COUNT];
};

static void
ports_and_infos(void)
{
	static const exception_mask_t masks[] = { EXC_MASK_GUARD, EXC_MASK_RPC_ALERT,
		EXC_MASK_RESOURCE | EXC_MASK_BREAKPOINT | EXC_MASK_SYSCALL };
	struct handlers ports = { .n = EXC_TYPES_COUNT }, infos = { .n = EXC_TYPES_COUNT }, old = { .n = EXC_TYPES_COUNT };
	mach_port_t read, inspect, all[3];

	OK(task_get_special_port(mach_task_self(), TASK_READ_PORT, &read));
	OK(task_get_special_port(mach_task_self(), TASK_INSPECT_PORT, &inspect));
	for (int i = 0; i < 3; i++)
		OK(task_set_exception_ports(mach_task_self(), masks[i], all[i] = new_port(0), PROTECTED, FLAVOR));
	OK(task_get_exception_ports(mach_task_self(), EXC_MASK_ALL, ports.masks, &ports.n, ports.ports, ports.behaviors,
	    ports.flavors));
	OK(task_get_exception_ports_info(read, EXC_MASK_ALL, infos.masks, &infos.n, infos.infos, infos.behaviors,
	    infos.flavors));
	TRUE_(ports.n == 4 && infos.n == 4); /* three ports, and what has none */
	for (mach_msg_type_number_t i = 0; i < ports.n; i++) {
		mach_port_t port = ports.ports[i];

		TRUE_(ports.masks[i] == infos.masks[i] && ports.behaviors[i] == infos.behaviors[i] &&
		    ports.flavors[i] == infos.flavors[i]);
		TRUE_((port == MACH_PORT_NULL) == (infos.infos[i].iip_port_object == 0));
		TRUE_((port == MACH_PORT_NULL) == (infos.infos[i].iip_receiver_object == 0));
		for (int k = 0; k < 3; k++)
			TRUE_((port == all[k]) == (ports.masks[i] == masks[k]));
		for (mach_msg_type_number_t k = 0; k < i; k++)
			TRUE_(port == MACH_PORT_NULL || infos.infos[i].iip_port_object != infos.infos[k].iip_port_object);
		if (port != MACH_PORT_NULL)
			OK(mach_port_deallocate(mach_task_self(), port));
	}
	IS(task_get_exception_ports_info(inspect, EXC_MASK_ALL, infos.masks, &infos.n, infos.infos, infos.behaviors,
	    infos.flavors), KERN_INVALID_ARGUMENT);
	OK(thread_get_exception_ports_info(mach_thread_self(), EXC_MASK_ALL, infos.masks, &infos.n, infos.infos,
	    infos.behaviors, infos.flavors));
	TRUE_(infos.n == 0);

	/* What is exchanged comes back. */
	OK(task_swap_exception_ports(mach_task_self(), EXC_MASK_GUARD | EXC_MASK_RPC_ALERT, MACH_PORT_NULL, EXCEPTION_DEFAULT,
	    THREAD_STATE_NONE, old.masks, &old.n, old.ports, old.behaviors, old.flavors));
	TRUE_(old.n == 2 && old.masks[0] == EXC_MASK_RPC_ALERT && old.ports[0] == all[1] && old.masks[1] == EXC_MASK_GUARD &&
	    old.ports[1] == all[0] && old.behaviors[0] == PROTECTED);
	OK(task_set_exception_ports(mach_task_self(), EXC_MASK_ALL, MACH_PORT_NULL, EXCEPTION_DEFAULT, THREAD_STATE_NONE));

	IS(task_set_exception_ports(mach_task_self(), 1, all[0], PROTECTED, FLAVOR), KERN_INVALID_ARGUMENT);
	IS(task_set_exception_ports(mach_task_self(), EXC_MASK_ALL, all[0], 9, FLAVOR), KERN_INVALID_ARGUMENT);
	IS(task_set_exception_ports(mach_task_self(), EXC_MASK_ALL, all[0], PROTECTED, 99), KERN_INVALID_ARGUMENT);
	IS(task_set_exception_ports(mach_task_self(), EXC_MASK_ALL, all[0], EXCEPTION_IDENTITY_PROTECTED, 0),
	    KERN_INVALID_ARGUMENT);
	IS(task_set_exception_ports(mach_task_self(), EXC_MASK_ALL, mach_host_self(), PROTECTED, FLAVOR), KERN_INVALID_RIGHT);
	IS(task_set_exception_ports(read, EXC_MASK_ALL, all[0], PROTECTED, FLAVOR), KERN_INVALID_ARGUMENT);
}

/* ---- The hardened handler ----------------------------------------------------------------------------------------------- */

static volatile int came;

/* Where the faulting thread goes on, with the stack pointer that it had in the middle of another function. */
#if defined(__x86_64__)
__attribute__((force_align_arg_pointer))
#endif
static void
landed(void)
{
	came++;
	pthread_exit(NULL);
}

kern_return_t
catch_mach_exception_raise_state_identity_protected(mach_port_t port, uint64_t thread, mach_port_t token,
	exception_type_t exception, mach_exception_data_t code, mach_msg_type_number_t count, int *flavor,
	thread_state_t old, mach_msg_type_number_t old_count, thread_state_t fresh, mach_msg_type_number_t *fresh_count)
{
	registers *r = (registers *)(void *)fresh;

	(void)port, (void)thread, (void)flavor;
	TRUE_(exception == EXC_BAD_ACCESS && count == 2 && code[1] == 0x10 && old_count == WORDS);
	memcpy(fresh, old, old_count * sizeof *old);
	*fresh_count = old_count;
	ANY(r) = 0x1234;
	SP(r) = 8; /* a thread that went on with it would not come far */
	PC(r) = (uint64_t)(uintptr_t)landed;
	mach_port_deallocate(mach_task_self(), token);
	return KERN_SUCCESS;
}

static void *
serve(void *port)
{
	mach_msg_server(mach_exc_server, 8192, *(mach_port_t *)port, MACH_MSG_OPTION_NONE);
	return NULL;
}

static void *
fault(void *port)
{
	OK(thread_adopt_exception_handler(mach_thread_self(), *(mach_port_t *)port, EXC_MASK_BAD_ACCESS, PROTECTED, FLAVOR));
	*(volatile int *)0x10 = 1;
	return NULL;
}

static void
hardened(void)
{
	mach_port_t exc = new_port(MPO_EXCEPTION_PORT), plain = new_port(0);
	pthread_t server, faulting;

	IS(thread_adopt_exception_handler(mach_thread_self(), exc, EXC_MASK_BAD_ACCESS, PROTECTED, FLAVOR), KERN_DENIED);
	IS(task_register_hardened_exception_handler(mach_task_self(), 1, EXC_MASK_BAD_ACCESS, PROTECTED, FLAVOR, plain),
	    KERN_INVALID_ARGUMENT);
	OK(task_register_hardened_exception_handler(mach_task_self(), 1, EXC_MASK_BAD_ACCESS, PROTECTED, FLAVOR, exc));
	IS(task_register_hardened_exception_handler(mach_task_self(), 1, EXC_MASK_BAD_ACCESS, PROTECTED, FLAVOR, exc),
	    KERN_INVALID_ARGUMENT);
	IS(thread_adopt_exception_handler(mach_thread_self(), plain, EXC_MASK_BAD_ACCESS, PROTECTED, FLAVOR), KERN_DENIED);
	IS(thread_adopt_exception_handler(mach_thread_self(), exc, EXC_MASK_ARITHMETIC, PROTECTED, FLAVOR), KERN_DENIED);
	TRUE_(pthread_create(&server, NULL, serve, &exc) == 0);
	TRUE_(pthread_create(&faulting, NULL, fault, &exc) == 0);
	TRUE_(pthread_join(faulting, NULL) == 0);
	TRUE_(came == 1);
}

/* ---- Identity tokens ---------------------------------------------------------------------------------------------------- */

static void
tokens(void)
{
	static const struct {
		int which;
		task_flavor_t flavor;
	} special[] = { { TASK_READ_PORT, TASK_FLAVOR_READ }, { TASK_INSPECT_PORT, TASK_FLAVOR_INSPECT },
		{ TASK_NAME_PORT, TASK_FLAVOR_NAME } };
	mach_port_t token, port, known, sink = new_port(0);
	struct {
		mach_msg_header_t header;
		mach_msg_body_t body;
		mach_msg_port_descriptor_t token;
		mach_msg_max_trailer_t trailer;
	} m = { .header = { .msgh_bits = MACH_MSGH_BITS_COMPLEX | MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0),
	    .msgh_remote_port = sink }, .body = { .msgh_descriptor_count = 1 } };

	OK(task_create_identity_token(mach_task_self(), &token));
	OK(task_identity_token_get_task_port(token, TASK_FLAVOR_CONTROL, &port));
	TRUE_(port == mach_task_self());
	OK(mach_port_deallocate(mach_task_self(), port));
	for (int i = 0; i < 3; i++) {
		OK(task_get_special_port(mach_task_self(), special[i].which, &known));
		OK(task_identity_token_get_task_port(token, special[i].flavor, &port));
		TRUE_(port == known);
	}
	IS(task_identity_token_get_task_port(token, 99, &port), KERN_INVALID_ARGUMENT);
	IS(task_identity_token_get_task_port(mach_thread_self(), TASK_FLAVOR_NAME, &port), KERN_INVALID_ARGUMENT);
	IS(task_identity_token_get_task_port(mach_task_self(), TASK_FLAVOR_NAME, &port), KERN_INVALID_ARGUMENT);
	IS(task_create_identity_token(mach_thread_self(), &port), KERN_INVALID_ARGUMENT);

	/* A token moves. */
	m.token.name = token;
	m.token.disposition = MACH_MSG_TYPE_MOVE_SEND;
	m.token.type = MACH_MSG_PORT_DESCRIPTOR;
	OK(mach_msg(&m.header, MACH_SEND_MSG, offsetof(typeof(m), trailer), 0, MACH_PORT_NULL, 0, MACH_PORT_NULL));
	OK(mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, sink, 10000, MACH_PORT_NULL));
	OK(task_identity_token_get_task_port(m.token.name, TASK_FLAVOR_CONTROL, &port));
	TRUE_(port == mach_task_self());
	OK(mach_port_deallocate(mach_task_self(), port));
	OK(mach_port_deallocate(mach_task_self(), m.token.name));
}

/* ---- Registers of an own thread ------------------------------------------------------------------------------------------ */

static volatile int turns, redirected;
static mach_port_t spinning;

static void *
spin(void *unused)
{
	(void)unused;
	*(volatile mach_port_t *)&spinning = mach_thread_self();
	for (;;)
		turns++;
	return NULL;
}

static void
elsewhere(void)
{
	redirected = 1;
	for (;;)
		pause();
}

static void
set_registers(void)
{
	pthread_t thread;
	registers r;
	mach_msg_type_number_t n = WORDS;
	mach_port_t none;

	IS(thread_create(mach_task_self(), &none), KERN_NOT_SUPPORTED); /* Linux makes no threads for others */
	TRUE_(pthread_create(&thread, NULL, spin, NULL) == 0);
	while (turns == 0)
		usleep(1000);
	OK(thread_suspend(spinning));
	OK(thread_get_state(spinning, FLAVOR, (thread_state_t)&r, &n));
	TRUE_(n == WORDS);
	IS(thread_set_state(spinning, 99, (thread_state_t)&r, n), KERN_INVALID_ARGUMENT);
	IS(thread_set_state(spinning, FLAVOR, (thread_state_t)&r, n - 1), KERN_INVALID_ARGUMENT);
	PC(&r) = (uint64_t)(uintptr_t)elsewhere;
	SP(&r) = (SP(&r) & ~15ull) - 256 - (sizeof(void *) == 8 && FLAVOR == 4 ? 8 : 0);
	OK(thread_set_state(spinning, FLAVOR, (thread_state_t)&r, n));
	OK(thread_resume(spinning));
	for (int i = 0; i < 5000 && !redirected; i++)
		usleep(1000);
	TRUE_(redirected);
}

int
main(int argc, char **argv)
{
	(void)argv;
	ports_and_infos();
	tokens();
	if (argc == 1) /* it kills from level 1 on */
		set_registers();
	hardened();
	return 0;
}
