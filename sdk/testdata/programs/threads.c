/* A server loop in one thread, clients in others; semaphores, timers, thread ports, sleeping. */
#include "check.h"
#include <mach/mach_time.h>
#include <mach/clock.h>
#include <mach/semaphore.h>
#include <pthread.h>
#include <unistd.h>

struct request {
	mach_msg_header_t header;
	NDR_record_t ndr;
	int value;
};
struct answer {
	mig_reply_error_t head;
	int value;
	mach_msg_trailer_t trailer;
};

static mach_port_t port;
static semaphore_t ready, go_on;
static int served;

static boolean_t
demux(mach_msg_header_t *in, mach_msg_header_t *out)
{
	struct answer *a = (struct answer *)out;

	out->msgh_bits = MACH_MSGH_BITS(MACH_MSGH_BITS_REMOTE(in->msgh_bits), 0);
	out->msgh_remote_port = in->msgh_remote_port;
	out->msgh_size = offsetof(struct answer, trailer);
	out->msgh_id = in->msgh_id + 100;
	a->head.NDR = NDR_record;
	a->head.RetCode = KERN_SUCCESS;
	a->value = ((struct request *)in)->value * 2;
	served++;
	return TRUE;
}

static void *
serve(void *unused)
{
	(void)unused;
	OK(semaphore_signal(ready));
	IS(mach_msg_server(demux, 256, port, 0), MACH_RCV_PORT_CHANGED);
	return NULL;
}

static void *
ask(void *number)
{
	for (int i = 0; i < 200; i++) {
		union {
			struct request in;
			struct answer out;
		} m;
		mach_port_t reply = mig_get_reply_port();

		memset(&m, 0, sizeof m);
		m.in.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE);
		m.in.header.msgh_remote_port = port;
		m.in.header.msgh_local_port = reply;
		m.in.header.msgh_id = 500;
		m.in.value = (int)(intptr_t)number + i;
		OK(mach_msg(&m.in.header, MACH_SEND_MSG | MACH_RCV_MSG, sizeof m.in, sizeof m.out, reply, 0, MACH_PORT_NULL));
		TRUE_(m.out.head.Head.msgh_id == 600 && m.out.value == 2 * ((int)(intptr_t)number + i));
	}
	return NULL;
}

/* Makes no call. */
static void *
silent(void *unused)
{
	pause();
	return unused;
}

static mach_port_t its_port;

static void *
tells(void *unused)
{
	mach_port_t self = mach_thread_self();

	(void)unused;
	its_port = pthread_mach_thread_np(pthread_self());
	TRUE_(its_port == self && pthread_from_mach_thread_np(its_port) == pthread_self());
	OK(semaphore_signal(ready));
	OK(semaphore_wait(go_on));
	return NULL;
}

int
main(void)
{
	pthread_t server, clients[4], t;
	mach_timespec_t soon = { 0, 20000000 };
	mach_port_t timer, clock;
	mach_timespec_t now;
	uint64_t before;
	struct {
		mach_msg_header_t header;
		uint64_t words[4];
		mach_msg_max_trailer_t trailer;
	} fired;

	OK(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port));
	OK(mach_port_insert_right(mach_task_self(), port, port, MACH_MSG_TYPE_MAKE_SEND));
	OK(semaphore_create(mach_task_self(), &ready, SYNC_POLICY_FIFO, 0));
	OK(semaphore_create(mach_task_self(), &go_on, SYNC_POLICY_FIFO, 0));
	IS(semaphore_timedwait(ready, soon), KERN_OPERATION_TIMED_OUT);
	TRUE_(pthread_create(&server, NULL, serve, NULL) == 0);
	OK(semaphore_wait(ready));
	for (int i = 0; i < 4; i++)
		TRUE_(pthread_create(&clients[i], NULL, ask, (void *)(intptr_t)(i * 1000)) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(clients[i], NULL);
	TRUE_(served == 800);
	usleep(100000); /* the server has answered, but need not be back at the port yet */
	OK(mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1));
	pthread_join(server, NULL);

	TRUE_(pthread_create(&t, NULL, silent, NULL) == 0);
	TRUE_(pthread_mach_thread_np(t) != MACH_PORT_NULL);
	TRUE_(pthread_mach_thread_np(t) == pthread_mach_thread_np(t));
	OK(thread_suspend(pthread_mach_thread_np(t)));
	OK(thread_resume(pthread_mach_thread_np(t)));
	pthread_cancel(t);
	pthread_join(t, NULL);

	TRUE_(pthread_create(&t, NULL, tells, NULL) == 0);
	OK(semaphore_wait(ready));
	TRUE_(pthread_mach_thread_np(t) == its_port);
	OK(semaphore_signal(go_on));
	pthread_join(t, NULL);

	timer = mk_timer_create();
	TRUE_(timer != MACH_PORT_NULL);
	before = mach_absolute_time();
	OK(mk_timer_arm(timer, before + 20 * NSEC_PER_MSEC));
	OK(mach_msg(&fired.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof fired, timer, 5000, MACH_PORT_NULL));
	TRUE_(mach_absolute_time() - before >= 20 * NSEC_PER_MSEC);
	OK(mk_timer_destroy(timer));
	before = mach_absolute_time();
	OK(mach_wait_until(before + 5 * NSEC_PER_MSEC));
	TRUE_(mach_absolute_time() - before >= 5 * NSEC_PER_MSEC);

	OK(host_get_clock_service(mach_host_self(), SYSTEM_CLOCK, &clock));
	OK(clock_get_time(clock, &now));
	TRUE_(now.tv_sec > 0);
	OK(semaphore_destroy(mach_task_self(), ready));
	return 0;
}
