/*
 * A program that survives a null dereference: a thread of its own handles the exception and has the faulting thread go
 * on elsewhere. The first argument says with which behaviour the handler is registered:
 *
 *   state, identity-protected, state-identity-protected   are allowed at every level
 *   default, state-identity                               kill from level 1 on (SET_EXCEPTION_BEHAVIOR)
 *
 * The second says whose exceptions it handles: those of the thread, the task (if nothing is said), or the host, for which
 * the program must run as root; there default and state-identity kill at every level.
 */
#include <mach/mach.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

boolean_t mach_exc_server(mach_msg_header_t *request, mach_msg_header_t *reply);
kern_return_t catch_mach_exception_raise(mach_port_t port, mach_port_t thread, mach_port_t task,
	exception_type_t exception, mach_exception_data_t code, mach_msg_type_number_t count);
kern_return_t catch_mach_exception_raise_state(mach_port_t port, exception_type_t exception,
	const mach_exception_data_t code, mach_msg_type_number_t count, int *flavor, const thread_state_t old_state,
	mach_msg_type_number_t old_count, thread_state_t new_state, mach_msg_type_number_t *new_count);
kern_return_t catch_mach_exception_raise_state_identity(mach_port_t port, mach_port_t thread, mach_port_t task,
	exception_type_t exception, mach_exception_data_t code, mach_msg_type_number_t count, int *flavor,
	thread_state_t old_state, mach_msg_type_number_t old_count, thread_state_t new_state,
	mach_msg_type_number_t *new_count);
kern_return_t catch_mach_exception_raise_identity_protected(mach_port_t port, uint64_t thread, mach_port_t token,
	exception_type_t exception, mach_exception_data_t code, mach_msg_type_number_t count);
kern_return_t catch_mach_exception_raise_state_identity_protected(mach_port_t port, uint64_t thread, mach_port_t token,
	exception_type_t exception, mach_exception_data_t code, mach_msg_type_number_t count, int *flavor,
	thread_state_t old_state, mach_msg_type_number_t old_count, thread_state_t new_state,
	mach_msg_type_number_t *new_count);
kern_return_t catch_mach_exception_raise_backtrace(mach_port_t port, mach_port_t object, exception_type_t exception,
	mach_exception_data_t code, mach_msg_type_number_t count);

#if defined(__x86_64__)
#define FLAVOR x86_THREAD_STATE64
#define FLAVOR_COUNT x86_THREAD_STATE64_COUNT
typedef x86_thread_state64_t registers;
static void go_to(registers *r, void (*f)(void))
{
	r->__rip = (uint64_t)f;
	r->__rsp = (r->__rsp & ~15ull) - 256 - 8; /* below the red zone, as a call would leave it */
}
#else
#define FLAVOR ARM_THREAD_STATE64
#define FLAVOR_COUNT ARM_THREAD_STATE64_COUNT
typedef arm_thread_state64_t registers;
static void go_to(registers *r, void (*f)(void)) { arm_thread_state64_set_pc_fptr(*r, f); }
#endif

static const char *how;

/* Where the faulting thread goes on. */
static void survived(void)
{
	printf("survived by %s\n", how);
	exit(0);
}

static void check(const char *what, kern_return_t kr)
{
	if (kr != KERN_SUCCESS) {
		printf("%s: %s\n", what, mach_error_string(kr));
		exit(1);
	}
}

static void tell(exception_type_t exception, const int64_t *code)
{
	printf("exception %d, code %lld, address %#llx\n", exception, (long long)code[0], (unsigned long long)code[1]);
}

/* Without registers in the answer, a handler in the process may set those of the thread that waits. */
static void redirect(mach_port_t thread)
{
	registers r;
	mach_msg_type_number_t n = FLAVOR_COUNT;

	check("thread_get_state", thread_get_state(thread, FLAVOR, (thread_state_t)&r, &n));
	go_to(&r, survived);
	check("thread_set_state", thread_set_state(thread, FLAVOR, (thread_state_t)&r, n));
}

static kern_return_t answer(thread_state_t old_state, mach_msg_type_number_t old_count, thread_state_t new_state,
	mach_msg_type_number_t *new_count)
{
	memcpy(new_state, old_state, old_count * sizeof *old_state);
	*new_count = old_count;
	go_to((registers *)new_state, survived);
	return KERN_SUCCESS;
}

kern_return_t catch_mach_exception_raise(mach_port_t port, mach_port_t thread, mach_port_t task,
	exception_type_t exception, mach_exception_data_t code, mach_msg_type_number_t count)
{
	(void)port, (void)task, (void)count;
	tell(exception, code);
	redirect(thread);
	return KERN_SUCCESS;
}

kern_return_t catch_mach_exception_raise_state(mach_port_t port, exception_type_t exception,
	const mach_exception_data_t code, mach_msg_type_number_t count, int *flavor, const thread_state_t old_state,
	mach_msg_type_number_t old_count, thread_state_t new_state, mach_msg_type_number_t *new_count)
{
	(void)port, (void)count, (void)flavor;
	tell(exception, code);
	return answer((thread_state_t)old_state, old_count, new_state, new_count);
}

kern_return_t catch_mach_exception_raise_state_identity(mach_port_t port, mach_port_t thread, mach_port_t task,
	exception_type_t exception, mach_exception_data_t code, mach_msg_type_number_t count, int *flavor,
	thread_state_t old_state, mach_msg_type_number_t old_count, thread_state_t new_state,
	mach_msg_type_number_t *new_count)
{
	(void)port, (void)task, (void)count, (void)flavor, (void)old_state, (void)old_count, (void)new_state;
	tell(exception, code);
	redirect(thread); /* registers in the answer count in Developer Mode alone */
	memcpy(new_state, old_state, old_count * sizeof *old_state);
	go_to((registers *)new_state, survived);
	*new_count = old_count;
	return KERN_SUCCESS;
}

kern_return_t catch_mach_exception_raise_identity_protected(mach_port_t port, uint64_t id, mach_port_t token,
	exception_type_t exception, mach_exception_data_t code, mach_msg_type_number_t count)
{
	thread_act_array_t threads;
	mach_msg_type_number_t n;

	(void)port, (void)count;
	tell(exception, code);
	mach_port_deallocate(mach_task_self(), token);
	check("task_threads", task_threads(mach_task_self(), &threads, &n));
	for (mach_msg_type_number_t i = 0; i < n; i++) {
		thread_identifier_info_data_t info;
		mach_msg_type_number_t size = THREAD_IDENTIFIER_INFO_COUNT;

		check("thread_info", thread_info(threads[i], THREAD_IDENTIFIER_INFO, (thread_info_t)&info, &size));
		if (info.thread_id == id)
			redirect(threads[i]);
		mach_port_deallocate(mach_task_self(), threads[i]);
	}
	vm_deallocate(mach_task_self(), (vm_address_t)threads, n * sizeof *threads);
	return KERN_SUCCESS;
}

kern_return_t catch_mach_exception_raise_state_identity_protected(mach_port_t port, uint64_t id, mach_port_t token,
	exception_type_t exception, mach_exception_data_t code, mach_msg_type_number_t count, int *flavor,
	thread_state_t old_state, mach_msg_type_number_t old_count, thread_state_t new_state,
	mach_msg_type_number_t *new_count)
{
	(void)port, (void)id, (void)count, (void)flavor;
	tell(exception, code);
	mach_port_deallocate(mach_task_self(), token);
	return answer(old_state, old_count, new_state, new_count);
}

kern_return_t catch_mach_exception_raise_backtrace(mach_port_t port, mach_port_t object, exception_type_t exception,
	mach_exception_data_t code, mach_msg_type_number_t count)
{
	(void)port, (void)object, (void)exception, (void)code, (void)count;
	return KERN_FAILURE;
}

static void *serve(void *port)
{
	check("mach_msg_server", mach_msg_server(mach_exc_server, 8192, *(mach_port_t *)port, MACH_MSG_OPTION_NONE));
	return NULL;
}

/* Registers the port for the exceptions of the thread, the task or the host. */
static kern_return_t set_ports(const char *whose, mach_port_t port, exception_behavior_t behavior)
{
	const exception_mask_t mask = EXC_MASK_BAD_ACCESS;

	behavior |= (exception_behavior_t)MACH_EXCEPTION_CODES;
	if (strcmp(whose, "thread") == 0)
		return thread_set_exception_ports(mach_thread_self(), mask, port, behavior, FLAVOR);
	if (strcmp(whose, "host") == 0)
		return host_set_exception_ports(mach_host_self(), mask, port, behavior, FLAVOR);
	return task_set_exception_ports(mach_task_self(), mask, port, behavior, FLAVOR);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		exception_behavior_t behavior;
	} behaviors[] = {
		{"default", EXCEPTION_DEFAULT},
		{"state", EXCEPTION_STATE},
		{"state-identity", EXCEPTION_STATE_IDENTITY},
		{"identity-protected", EXCEPTION_IDENTITY_PROTECTED},
		{"state-identity-protected", EXCEPTION_STATE_IDENTITY_PROTECTED},
	};
	const char *whose = argc > 2 ? argv[2] : "task";
	exception_behavior_t behavior = 0;
	mach_port_options_t options = {.flags = MPO_EXCEPTION_PORT | MPO_INSERT_SEND_RIGHT};
	mach_port_t port;
	pthread_t thread;

	how = argc > 1 ? argv[1] : "identity-protected";
	for (size_t i = 0; i < sizeof behaviors / sizeof *behaviors; i++)
		if (strcmp(how, behaviors[i].name) == 0)
			behavior = behaviors[i].behavior;
	if (behavior == 0 || (strcmp(whose, "thread") != 0 && strcmp(whose, "task") != 0 && strcmp(whose, "host") != 0)) {
		fprintf(stderr, "usage: survive default|state|state-identity|identity-protected|state-identity-protected "
				"[thread|task|host]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	check("mach_port_construct", mach_port_construct(mach_task_self(), &options, 0, &port));
	if (pthread_create(&thread, NULL, serve, &port) != 0)
		return 1;
	check("set_exception_ports", set_ports(whose, port, behavior));
	*(volatile int *)0x10 = 1;
	printf("the store to 0x10 had no effect\n");
	return 1;
}
