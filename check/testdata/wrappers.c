// Wrappers: what decides comes from their callers. What check must say of each stands in wrappers_test.go.
#include <mach/mach.h>
#define NOINLINE __attribute__((noinline))
#define FORBIDDEN ((exception_behavior_t)(EXCEPTION_DEFAULT | MACH_EXCEPTION_CODES))
#define ALLOWED ((exception_behavior_t)(EXCEPTION_IDENTITY_PROTECTED | MACH_EXCEPTION_CODES))

static mach_port_t port(void) {
	mach_port_t p;
	mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &p);
	return p;
}
#define WRAPPER(name) NOINLINE int name(mach_port_t p, exception_behavior_t b, int n) { \
	return n + task_set_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS, p, b, THREAD_STATE_NONE); }

WRAPPER(exported)
static WRAPPER(only_forbidden)
static WRAPPER(only_allowed)
static WRAPPER(both)
static WRAPPER(never_called_with_a_port)
static WRAPPER(handed_out)

// Variables: one that only one function sets, one in a struct that somebody fills who is handed its address.
static exception_behavior_t setting;
static struct { int size; exception_behavior_t behavior; } filled;
extern void fill(void *);
NOINLINE void configure(void) { setting = ALLOWED; fill(&filled); }
NOINLINE int by_setting(int n) {
	return n + task_set_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS, port(), setting ? setting : ALLOWED,
		THREAD_STATE_NONE);
}
NOINLINE int by_filled(int n) {
	return n + task_set_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS, port(), filled.behavior, THREAD_STATE_NONE);
}

int (*keep)(mach_port_t, exception_behavior_t, int);

NOINLINE int user(int n) {
	int r = exported(port(), FORBIDDEN, n) + only_forbidden(port(), FORBIDDEN, n) + only_forbidden(port(), FORBIDDEN, n + 1);
	r += only_allowed(port(), ALLOWED, n) + both(port(), ALLOWED, n) + both(port(), FORBIDDEN, n + 1);
	r += never_called_with_a_port(0, FORBIDDEN, n) + handed_out(port(), FORBIDDEN, n);
	keep = handed_out;
	configure();
	return r + by_setting(n) + by_filled(n);
}
int main(int argc, char **argv) { return user(argc); }
