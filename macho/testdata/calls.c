// Calls, tables and constants of every kind that the reader resolves. Built by the tests.
typedef int kern_return_t;
typedef unsigned mach_port_t;
extern mach_port_t mach_task_self_;
extern kern_return_t task_set_exception_ports(mach_port_t, unsigned, mach_port_t, int, int);
extern kern_return_t thread_set_state(mach_port_t, int, unsigned *, unsigned);
extern int puts(const char *);
extern int optional_call(int) __attribute__((weak_import));
extern void exit(int);

typedef int (*fn)(int);

static int twice(int x) { return x * 2; }
int thrice(int x) { return x * 3; }

struct entry { const char *name; fn call; void *other; };

// Relocated constants: pointers to a string, a static and an external function, an import, an import plus an addend.
const struct entry table[] = {
    {"twice", twice, (void *)&puts},
    {"thrice", thrice, (char *)&mach_task_self_ + 8},
};

fn changeable = thrice;
int zero_filled[16];

__attribute__((noinline)) static int indirect(const struct entry *e, int x) { return e->call(x); }

__attribute__((noinline)) int set_ports(mach_port_t port) {
    return task_set_exception_ports(mach_task_self_, 2, port, (int)0x80000001, 6);
}

__attribute__((noinline)) int tail(mach_port_t thread, unsigned *state) { return thread_set_state(thread, 6, state, 4); }

int main(int argc, char **argv) {
    unsigned state[4] = {0};
    puts(table[argc & 1].name);
    if (optional_call)
        argc += optional_call(argc);
    zero_filled[argc & 15] = indirect(&table[argc & 1], argc);
    return set_ports(0) + tail(1, state) + changeable(argc) + zero_filled[0];
}
