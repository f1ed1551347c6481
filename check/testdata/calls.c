// Calls that the restrictions judge, one a function. The declarations are our own; only names, order of arguments and
// values matter. FLAVOR is a thread-state flavor that holds registers, OTHER one that does not, NONE that of no state.
#if defined(__arm64__)
enum { FLAVOR = 6, OTHER = 17, NONE = 5 };
#else
enum { FLAVOR = 4, OTHER = 5, NONE = 13 };
#endif
#define NOINLINE __attribute__((noinline))
typedef unsigned port_t;
typedef int kern_t;
extern port_t mach_task_self_;
port_t mach_thread_self(void);
port_t mach_host_self(void);
port_t mach_reply_port(void);
kern_t mach_port_allocate(port_t, int, port_t *);
kern_t mach_port_construct(port_t, void *, unsigned long, port_t *);
kern_t task_set_exception_ports(port_t, unsigned, port_t, int, int);
kern_t task_swap_exception_ports(port_t, unsigned, port_t, int, int, unsigned *, unsigned *, port_t *, int *, int *);
kern_t task_get_exception_ports(port_t, unsigned, unsigned *, unsigned *, port_t *, int *, int *);
kern_t thread_set_exception_ports(port_t, unsigned, port_t, int, int);
kern_t host_set_exception_ports(port_t, unsigned, port_t, int, int);
kern_t task_register_hardened_exception_handler(port_t, unsigned, unsigned, int, int, port_t);
int posix_spawnattr_setexceptionports_np(void *, unsigned, port_t, int, int);
kern_t thread_set_state(port_t, int, unsigned *, unsigned);
kern_t act_set_state(port_t, int, unsigned *, unsigned);
int pthread_create(void **, void *, void *(*)(void *), void *);
kern_t thread_get_state(port_t, int, unsigned *, unsigned *);
port_t pthread_mach_thread_np(void *);
kern_t mach_msg_trap(void *, int, unsigned, unsigned, port_t, unsigned, port_t);

enum { DEFAULT = 1, STATE = 2, STATE_IDENTITY = 3, PROTECTED = 4 };
enum { CODES = (int)0x80000000 };
enum { CRASHES = 0x6e };

port_t the_port;

static port_t new_port(void) {
	port_t p;
	mach_port_allocate(mach_task_self_, 1, &p);
	return p;
}

// Forbidden, and everything that decides is in plain sight.
NOINLINE kern_t set_default(void) { return 1 + task_set_exception_ports(mach_task_self_, CRASHES, new_port(), DEFAULT | CODES, NONE); }
NOINLINE kern_t set_default_tail(void) { return task_set_exception_ports(mach_task_self_, CRASHES, new_port(), DEFAULT | CODES, NONE); }
NOINLINE kern_t set_thread(void) { return 1 + thread_set_exception_ports(mach_thread_self(), CRASHES, new_port(), STATE_IDENTITY, NONE); }
NOINLINE kern_t swap(void) {
	unsigned masks[14], count = 14;
	port_t ports[14];
	int behaviors[14], flavors[14];
	return 1 + task_swap_exception_ports(mach_task_self_, CRASHES, new_port(), STATE_IDENTITY | CODES, NONE, masks, &count,
		ports, behaviors, flavors);
}
NOINLINE void keep_port(port_t port) { the_port = port; }
// Forbidden unless the port is null, which the function does not know.
NOINLINE kern_t set_global_port(void) { return 1 + task_set_exception_ports(mach_task_self_, CRASHES, the_port, DEFAULT, NONE); }
// Forbidden whatever the parameter is: it only takes valid bits out of the mask.
NOINLINE kern_t set_masked(unsigned without) {
	return 1 + task_set_exception_ports(mach_task_self_, CRASHES & ~without, new_port(), DEFAULT, NONE);
}
// Forbidden on one of two paths.
NOINLINE kern_t set_either(int old) {
	return 1 + task_set_exception_ports(mach_task_self_, CRASHES, new_port(), (old ? DEFAULT : PROTECTED) | CODES, NONE);
}
// What decides comes from outside.
NOINLINE kern_t set_parameter(int behavior) { return 1 + task_set_exception_ports(mach_task_self_, CRASHES, new_port(), behavior, NONE); }
// Of another process, whose level nobody here knows.
NOINLINE kern_t set_other_task(port_t task) { return 1 + task_set_exception_ports(task, CRASHES, new_port(), DEFAULT, NONE); }
NOINLINE kern_t set_host(void) { return 1 + host_set_exception_ports(mach_host_self(), CRASHES, new_port(), DEFAULT, NONE); }
NOINLINE int set_spawned(void *attributes) {
	return 1 + posix_spawnattr_setexceptionports_np(attributes, CRASHES, new_port(), DEFAULT, NONE);
}
// Harmless.
NOINLINE kern_t remove_handlers(void) { return 1 + task_set_exception_ports(mach_task_self_, CRASHES, 0, STATE_IDENTITY | CODES, NONE); }
NOINLINE kern_t set_state_behavior(void) { return 1 + task_set_exception_ports(mach_task_self_, CRASHES, new_port(), STATE, FLAVOR); }
NOINLINE kern_t set_protected(void) { return 1 + task_set_exception_ports(mach_task_self_, CRASHES, new_port(), PROTECTED | CODES, NONE); }
NOINLINE kern_t set_hardened(void) {
	return 1 + task_register_hardened_exception_handler(mach_task_self_, 0, CRASHES, 5 | CODES, FLAVOR, new_port());
}
// Restores what was there before: whatever that was.
NOINLINE kern_t restore(void) {
	unsigned masks[14], count = 14;
	port_t ports[14];
	int behaviors[14], flavors[14];
	task_get_exception_ports(mach_task_self_, CRASHES, masks, &count, ports, behaviors, flavors);
	kern_t r = 0;
	for (unsigned i = 0; i < count; i++)
		r += task_set_exception_ports(mach_task_self_, masks[i], ports[i], behaviors[i], flavors[i]);
	return r;
}
// Restores what was kept elsewhere; a behavior that was never set becomes one that is forbidden, but then the port is null.
struct kept { unsigned count, masks[14]; port_t ports[14]; int behaviors[14], flavors[14]; };
NOINLINE kern_t restore_kept(struct kept *k) {
	kern_t r = 0;
	for (unsigned i = 0; i < k->count; i++)
		r += thread_set_exception_ports(mach_thread_self(), k->masks[i], k->ports[i],
			k->behaviors[i] ? k->behaviors[i] : DEFAULT, k->flavors[i] ? k->flavors[i] : FLAVOR);
	return r;
}

NOINLINE kern_t state_own(unsigned *state) { return 1 + thread_set_state(mach_thread_self(), FLAVOR, state, 68); }
NOINLINE kern_t state_unknown_thread(port_t thread, unsigned *state) { return 1 + thread_set_state(thread, FLAVOR, state, 68); }
NOINLINE kern_t state_other(void *thread, unsigned *state) {
	return 1 + thread_set_state(pthread_mach_thread_np(thread), FLAVOR, state, 68);
}
NOINLINE kern_t state_act_own(unsigned *state) { return 1 + act_set_state(mach_thread_self(), FLAVOR, state, 68); }
NOINLINE kern_t state_vector(unsigned *state) { return 1 + thread_set_state(mach_thread_self(), OTHER, state, 68); }
NOINLINE kern_t state_unknown_flavor(int flavor, unsigned *state) { return 1 + thread_set_state(mach_thread_self(), flavor, state, 68); }
// A port that was kept, or passed to another thread, may be that of a thread which waits in an exception.
static volatile port_t handler, starter;
NOINLINE void keep_thread(void) { handler = starter = mach_thread_self(); }
NOINLINE kern_t state_kept(unsigned *state) {
	port_t thread = handler;
	return thread ? 1 + thread_set_state(thread, FLAVOR, state, 68) : 0;
}
NOINLINE kern_t state_act_kept(unsigned *state) {
	port_t thread = starter;
	return thread ? 1 + act_set_state(thread, FLAVOR, state, 68) : 0;
}
NOINLINE static void *state_started(void *thread) {
	static unsigned state[68];
	act_set_state((port_t)(unsigned long)thread, FLAVOR, state, 68);
	return state;
}
NOINLINE int start(void **t) { return 1 + pthread_create(t, 0, state_started, (void *)(unsigned long)mach_thread_self()); }
NOINLINE static kern_t state_passed(port_t thread, unsigned *state) { return 1 + act_set_state(thread, FLAVOR, state, 68); }
NOINLINE kern_t pass(unsigned *state) { return 1 + state_passed(mach_thread_self(), state); }

struct options { unsigned flags, limit; unsigned long reserved[2]; };
NOINLINE kern_t construct_weak_reply(port_t *name) {
	struct options o = { .flags = 0x4000 };
	return 1 + mach_port_construct(mach_task_self_, &o, 0, name);
}
NOINLINE kern_t construct_port_array(port_t *name) {
	struct options o = { .flags = 0x10010 };
	return 1 + mach_port_construct(mach_task_self_, &o, 0, name);
}
NOINLINE kern_t construct_exception(port_t *name) {
	struct options o = { .flags = 0x8010 };
	return 1 + mach_port_construct(mach_task_self_, &o, 0, name);
}
NOINLINE kern_t construct_notification(port_t *name) {
	struct options o = { .flags = 0x4400 };
	return 1 + mach_port_construct(mach_task_self_, &o, 0, name);
}

NOINLINE kern_t trap_send(void *message) { return 1 + mach_msg_trap(message, 1, 64, 0, 0, 0, 0); }
NOINLINE kern_t trap_receive(void *message) { return 1 + mach_msg_trap(message, 2, 0, 64, the_port, 0, 0); }
NOINLINE kern_t trap_either(void *message, int option) { return 1 + mach_msg_trap(message, option, 64, 64, the_port, 0, 0); }

typedef kern_t (*setter)(port_t, unsigned, port_t, int, int);
NOINLINE setter taken(void) { return thread_set_exception_ports; }

int main(int argc, char **argv) {
	unsigned state[68];
	port_t name;
	keep_port((port_t)argc);
	return set_default() + set_default_tail() + set_thread() + swap() + set_global_port() + set_either(argc) +
		set_parameter(argc) + set_other_task(argc) + set_host() + set_spawned(argv) + set_masked(argc) + remove_handlers() +
		set_state_behavior() + set_protected() + set_hardened() + restore() + restore_kept((struct kept *)argv) + state_own(state) +
		state_other(argv, state) + state_act_own(state) +
		state_unknown_thread(argc, state) + state_vector(state) + state_unknown_flavor(argc, state) +
		construct_weak_reply(&name) + construct_port_array(&name) + construct_exception(&name) +
		construct_notification(&name) + trap_send(argv) + trap_receive(argv) + trap_either(argv, argc) +
		(taken() != 0);
}
