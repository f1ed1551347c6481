// Messages and system calls that are built by hand. What check must say of each function stands in messages_test.go.
#include <mach/mach.h>
#include <string.h>
#define NOINLINE __attribute__((noinline))
#define INLINE inline __attribute__((always_inline))

struct plain { mach_msg_header_t header; char rest[64]; };
struct one { mach_msg_header_t header; mach_msg_body_t body; mach_msg_port_descriptor_t port; };
struct array { mach_msg_header_t header; mach_msg_body_t body; mach_msg_ool_ports_descriptor_t ports; };
extern mach_port_t thread_get_special_reply_port(void);
extern mach_port_t mk_timer_create(void);
extern kern_return_t exception_raise(mach_port_t, mach_port_t, mach_port_t, int, int *, unsigned);
extern kern_return_t thread_create_running(task_t, thread_state_flavor_t, thread_state_t, mach_msg_type_number_t,
	thread_act_t *);
extern kern_return_t thread_convert_thread_state(thread_act_t, int, thread_state_flavor_t, thread_state_t,
	mach_msg_type_number_t, thread_state_t, mach_msg_type_number_t *);
extern kern_return_t mach_ports_register(task_t, mach_port_t *, mach_msg_type_number_t);
extern kern_return_t task_get_special_port(task_t, int, mach_port_t *);
extern long syscall_of_our_own(long number, void *message, long option, long send, long receive, long name);

static mach_port_t plain_port(void) {
	mach_port_t port = 0;
	mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port);
	return port;
}
INLINE static kern_return_t request(mach_port_t to, mach_port_t reply, unsigned bits, int id) {
	struct plain m;
	memset(&m, 0, sizeof m);
	m.header.msgh_bits = bits;
	m.header.msgh_size = sizeof m.header;
	m.header.msgh_remote_port = to;
	m.header.msgh_local_port = reply;
	m.header.msgh_id = id;
	return mach_msg(&m.header, MACH_SEND_MSG | MACH_RCV_MSG, sizeof m.header, sizeof m, reply, 0, 0);
}
#define REQUEST MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE)

// A stub of a kernel interface that was compiled into the program: harmless to name, deadly to send with mach_msg.
NOINLINE int own_stub(mach_port_t task) { return 1 + request(task, mig_get_reply_port(), REQUEST, 3405); }
NOINLINE int to_the_host(void) { return 1 + request(mach_host_self(), mig_get_reply_port(), REQUEST, 200); }
NOINLINE int to_a_timer(void) { return 1 + request(mk_timer_create(), 0, MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0), 1); }
NOINLINE int bootstrap_by_call(void) {
	mach_port_t bootstrap = 0;
	task_get_special_port(mach_task_self(), 4, &bootstrap);
	return 1 + request(bootstrap, mach_reply_port(), REQUEST, 1);
}
NOINLINE int bootstrap_special(void) { return 1 + request(bootstrap_port, thread_get_special_reply_port(), REQUEST, 1); }
NOINLINE int reply_copied(void) {
	return 1 + request(bootstrap_port, mig_get_reply_port(), MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND), 1);
}
NOINLINE int own_task_as_reply(void) {
	return 1 + request(bootstrap_port, mach_task_self(), MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_COPY_SEND), 1);
}
INLINE static int carry(mach_port_t right, unsigned disposition) {
	struct one m;
	memset(&m, 0, sizeof m);
	m.header.msgh_bits = MACH_MSGH_BITS_COMPLEX | MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0);
	m.header.msgh_size = sizeof m;
	m.header.msgh_remote_port = plain_port();
	m.body.msgh_descriptor_count = 1;
	m.port.name = right;
	m.port.disposition = disposition;
	m.port.type = MACH_MSG_PORT_DESCRIPTOR;
	return 1 + mach_msg(&m.header, MACH_SEND_MSG, sizeof m, 0, 0, 0, 0);
}
NOINLINE int carries_made(void) { return carry(mach_task_self(), MACH_MSG_TYPE_MAKE_SEND); }
NOINLINE int carries_reply_port(void) { return carry(mig_get_reply_port(), 16); }
NOINLINE int carries_host(void) { return carry(mach_host_self(), MACH_MSG_TYPE_MOVE_SEND); }
NOINLINE int array_to_kernel(void) {
	struct array m;
	mach_port_t rights[2] = {0, 0};
	memset(&m, 0, sizeof m);
	m.header.msgh_bits = MACH_MSGH_BITS_COMPLEX | REQUEST;
	m.header.msgh_remote_port = mach_task_self();
	m.header.msgh_local_port = mig_get_reply_port();
	m.header.msgh_id = 3403;
	m.body.msgh_descriptor_count = 1;
	m.ports.address = rights;
	m.ports.count = 2;
	m.ports.disposition = MACH_MSG_TYPE_COPY_SEND;
	m.ports.type = MACH_MSG_OOL_PORTS_DESCRIPTOR;
	return 1 + mach_msg(&m.header, MACH_SEND_MSG | MACH_RCV_MSG, sizeof m, sizeof m, m.header.msgh_local_port, 0, 0);
}
NOINLINE int receives(mach_port_t port) {
	struct plain m;
	return 1 + mach_msg(&m.header, MACH_RCV_MSG, 0, sizeof m, port, 0, 0);
}
NOINLINE int registers_ports(mach_port_t *ports) { return 1 + mach_ports_register(mach_task_self(), ports, 3); }
NOINLINE int starts_thread(natural_t *state, thread_act_t *thread) {
	return 1 + thread_create_running(mach_task_self(), MACHINE_THREAD_STATE, state, MACHINE_THREAD_STATE_COUNT, thread);
}
NOINLINE int converts(thread_act_t thread, natural_t *state) {
	mach_msg_type_number_t n = MACHINE_THREAD_STATE_COUNT;
	return 1 + thread_convert_thread_state(thread, 1, MACHINE_THREAD_STATE, state, n, state, &n);
}
NOINLINE int forwards(mach_port_t thread, int *code) {
	return 1 + exception_raise(plain_port(), thread, mach_task_self(), 1, code, 2);
}

// The traps, without the library.
NOINLINE static long trap(long number, void *message, long option, long send, long receive, long name) {
#if defined __aarch64__
	register long x0 __asm__("x0") = (long)message, x1 __asm__("x1") = option, x2 __asm__("x2") = send;
	register long x3 __asm__("x3") = receive, x4 __asm__("x4") = name, x16 __asm__("x16") = -number;
	__asm__ volatile("svc #0x80" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x16) : "memory");
	return x0;
#else
	register long r10 __asm__("r10") = receive, r8 __asm__("r8") = name;
	long result;
	__asm__ volatile("syscall" : "=a"(result) : "a"(0x1000000 | number), "D"(message), "S"(option), "d"(send), "r"(r10),
		"r"(r8) : "rcx", "r11", "memory");
	return result;
#endif
}
NOINLINE int traps_send(void *message) { return 1 + trap(31, message, MACH_SEND_MSG, 24, 0, 0); }

int main(int argc, char **argv) {
	natural_t state[68];
	return own_stub((mach_port_t)argc) + to_the_host() + to_a_timer() + bootstrap_by_call() + bootstrap_special() +
		reply_copied() + own_task_as_reply() + carries_made() + carries_reply_port() + carries_host() + array_to_kernel() +
		receives((mach_port_t)argc) + registers_ports((mach_port_t *)argv) + starts_thread(state, (thread_act_t *)argv) +
		converts((thread_act_t)argc, state) + forwards((mach_port_t)argc, (int *)argv) + traps_send(argv);
}
