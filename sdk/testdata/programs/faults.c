/* A handler of exceptions in the process itself mends a fault; threads are stopped and looked at. */
#include "check.h"
#include <mach/exc.h>
#include <mach/mach_exc_server.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

static mach_port_t handler;
static char *page;
static volatile int caught;

kern_return_t
catch_mach_exception_raise_state(mach_port_t port, exception_type_t exception, const mach_exception_data_t code,
	mach_msg_type_number_t count, int *flavor, const thread_state_t old, mach_msg_type_number_t old_count,
	thread_state_t fresh, mach_msg_type_number_t *fresh_count)
{
	(void)port;
	(void)flavor;
	if (exception != EXC_BAD_ACCESS || count != 2 || (char *)(uintptr_t)code[1] != page)
		return KERN_FAILURE;
	mprotect(page, 4096, PROT_READ | PROT_WRITE);
	caught++;
	memcpy(fresh, old, old_count * sizeof *old);
	*fresh_count = old_count;
	return KERN_SUCCESS;
}

/* Servers have as much room for a reply as they know it to be long: nothing beyond it is touched. */
static boolean_t
no_further(mach_msg_header_t *request, mach_msg_header_t *reply)
{
	_Alignas(8) static char room[8192];
	mach_msg_header_t *answer = (mach_msg_header_t *)(void *)room;
	boolean_t known;

	memset(room, 0xa5, sizeof room);
	known = mach_exc_server(request, answer);
	for (size_t i = answer->msgh_size; i < sizeof room; i++)
		TRUE_(room[i] == (char)0xa5);
	memcpy(reply, room, answer->msgh_size);
	return known;
}

static void *
serve(void *unused)
{
	(void)unused;
	mach_msg_server(no_further, 2048, handler, 0);
	return NULL;
}

static unsigned long spins;

#define SPINS __atomic_load_n(&spins, __ATOMIC_SEQ_CST)

static void *
spin(void *port)
{
	__atomic_store_n((mach_port_t *)port, mach_thread_self(), __ATOMIC_SEQ_CST);
	for (;;)
		__atomic_fetch_add(&spins, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

int
main(void)
{
	pthread_t t;
	mach_port_options_t options = { .flags = MPO_EXCEPTION_PORT | MPO_INSERT_SEND_RIGHT };
	mach_port_t thread = MACH_PORT_NULL;
	natural_t state[MACHINE_THREAD_STATE_COUNT];
	mach_msg_type_number_t count = MACHINE_THREAD_STATE_COUNT;
	unsigned long before;

	page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	OK(mach_port_construct(mach_task_self(), &options, 0, &handler));
	OK(task_set_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS, handler,
	    (exception_behavior_t)(EXCEPTION_STATE | MACH_EXCEPTION_CODES), MACHINE_THREAD_STATE));
	TRUE_(pthread_create(&t, NULL, serve, NULL) == 0);
	*page = 42;
	TRUE_(*page == 42 && caught == 1);

	TRUE_(pthread_create(&t, NULL, spin, &thread) == 0);
	while (__atomic_load_n(&thread, __ATOMIC_SEQ_CST) == MACH_PORT_NULL || SPINS == 0)
		usleep(1000);
	OK(thread_suspend(thread));
	OK(thread_get_state(thread, MACHINE_THREAD_STATE, state, &count));
	TRUE_(count == MACHINE_THREAD_STATE_COUNT);
	before = SPINS;
	usleep(20000);
	TRUE_(SPINS == before);
	OK(thread_resume(thread));
	usleep(20000);
	TRUE_(SPINS != before);
	return 0;
}
