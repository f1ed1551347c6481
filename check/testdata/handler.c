// A piece of a library or program: NAME registers an exception handler with BEHAVIOR, which is forbidden unless the
// command line says otherwise. The declarations are our own; only names, order of arguments and values matter.
#ifndef NAME
#define NAME install_handler
#endif
#ifndef BEHAVIOR
#define BEHAVIOR (int)0x80000001
#endif
typedef unsigned port_t;
extern port_t mach_task_self_;
int mach_port_allocate(port_t, int, port_t *);
int task_set_exception_ports(port_t, unsigned, port_t, int, int);

#ifdef INLINE
__attribute__((always_inline)) static inline int NAME(void) {
#else
__attribute__((noinline)) int NAME(void) {
#endif
	port_t port;
	mach_port_allocate(mach_task_self_, 1, &port);
	return 1 + task_set_exception_ports(mach_task_self_, 0x6e, port, BEHAVIOR, 5);
}

// Takes all handlers away: harmless but where a program declares that it has one exception port only.
#ifdef CLEAR
int clear_handlers(void) { return 1 + task_set_exception_ports(mach_task_self_, 0x6e, 0, BEHAVIOR, 5); }
#endif

#ifdef MARK
__attribute__((used)) const char *const mark = MARK;
#endif

#ifdef INLINE
__attribute__((visibility("hidden"), noinline)) int setup(void) {
	return 2 + NAME();
}
int main(void) { return setup(); }
#elif defined MAIN
int main(void) { return NAME(); }
#endif
