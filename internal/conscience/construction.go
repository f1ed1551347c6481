package conscience

// construction is how value and call come together. Code defines go(), which leads VALUE to act().
type construction struct {
	name, what string
	code       string
	call       string // replaces how act calls its FUNCTION
	inline     bool   // act is part of whoever calls it
	constant   bool   // only for values that are constants
	depends    bool   // the value is one of two
	dlsym      bool   // the function must be there though nothing insists on it when linking
}

const config = `struct config { int size; value_t value; int rest; };
NOINLINE static void apply(const struct config *c) { act(c->value); }
`

const operations = `NOINLINE static void nothing(value_t p) { (void)p; }
struct operations { void (*reset)(value_t); void (*install)(value_t); };
static const struct operations operations = {nothing, act};
`

var constructions = []construction{
	{name: "direct", what: "in plain sight", inline: true,
		code: "static void go(int n) { (void)n; act(VALUE); }\n"},
	{name: "wrapper", what: "through a function",
		code: "static void go(int n) { (void)n; act(VALUE); }\n"},
	{name: "wrappers", what: "through four functions",
		code: `NOINLINE static void third(value_t p, int n) { act(p); if (n > 9) abort(); }
NOINLINE static void second(int n, value_t p) { third(p, n + 1); if (n > 9) abort(); }
NOINLINE static void first(int n, int m, value_t p) { second(n + m, p); if (n > 9) abort(); }
static void go(int n) { first(n, 1, VALUE); }
`},
	{name: "struct", what: "in a struct that a function is given the address of",
		code: config + "static void go(int n) { struct config c = {n, VALUE, 2}; apply(&c); }\n"},
	{name: "copy", what: "in a struct that is passed by value",
		code: `struct config { long size; value_t value; long rest; };
NOINLINE static void apply(struct config c) { act(c.value); }
static void go(int n) { struct config c = {n, VALUE, 2}; apply(c); }
`},
	{name: "global", what: "in a global variable",
		code: `static value_t setting;
NOINLINE static void configure(value_t p) { setting = p; }
NOINLINE static void apply(void) { act(setting); }
static void go(int n) { (void)n; configure(VALUE); apply(); }
`},
	{name: "table", what: "in a constant table", constant: true,
		code: `static const value_t table[4] = {VALUE, VALUE, VALUE, VALUE};
static void go(int n) { act(table[n & 3]); }
`},
	{name: "operations", what: "called through a table of functions",
		code: operations + `NOINLINE static void run(const struct operations *o, value_t p) { o->install(p); }
static void go(int n) { (void)n; run(&operations, VALUE); }
`},
	{name: "pointer", what: "called through a function pointer",
		code: `NOINLINE static void run(void (*f)(value_t), value_t p) { f(p); }
static void go(int n) { (void)n; run(act, VALUE); }
`},
	{name: "object", what: "as a method of an object that holds the value",
		code: operations + `struct object { const struct operations *operations; value_t value; };
NOINLINE static void run(struct object *o) { o->operations->install(o->value); }
static void go(int n) { (void)n; struct object o = {&operations, VALUE}; run(&o); }
`},
	{name: "either", what: "as one of two values", depends: true,
		code: `NOINLINE static value_t choose(int n) { return n > 100 ? OTHER : VALUE; }
static void go(int n) { act(choose(n)); }
`},
	{name: "result", what: "as the result of a function",
		code: `NOINLINE static value_t value(void) { return VALUE; }
static void go(int n) { (void)n; act(value()); }
`},
	{name: "output", what: "stored by a function through a pointer",
		code: `NOINLINE static void fill(value_t *p) { *p = VALUE; }
static void go(int n) { (void)n; value_t v; fill(&v); act(v); }
`},
	{name: "loop", what: "from a list, in a loop",
		code: `static void go(int n) {
	value_t list[3];
	(void)n;
	for (int i = 0; i < 3; i++) list[i] = VALUE;
	for (int i = 0; i < 3; i++) act(list[i]);
}
`},
	{name: "heap", what: "in an object on the heap",
		code: config + `static void go(int n) {
	struct config *c = malloc(sizeof *c);
	if (!c) return;
	c->size = n;
	c->value = VALUE;
	apply(c);
	free(c);
}
`},
	{name: "thread", what: "in another thread",
		code: config + `static void *start(void *c) { apply(c); return 0; }
static void go(int n) {
	struct config c = {n, VALUE, 2};
	pthread_t t;
	if (pthread_create(&t, 0, start, &c) == 0) pthread_join(t, 0);
}
`},
	{name: "computed", what: "put together of its bits", constant: true,
		code: `NOINLINE static value_t join(value_t high, value_t low) { return high << 16 | low; }
static void go(int n) { (void)n; act(join(VALUE >> 16, VALUE & 0xffff)); }
`},
	{name: "switch", what: "chosen by a switch",
		code: `static void go(int n) {
	value_t p;
	switch (n) {
	case 1: p = VALUE; break;
	case 2: p = VALUE; n++; break;
	case 3: case 4: return;
	default: p = VALUE; break;
	}
	act(p);
}
`},
	{name: "lookup", what: "with a function that was looked up by its name", dlsym: true, inline: true,
		call: "#define CALL(f) ((__typeof__(f) *)dlsym(RTLD_DEFAULT, #f))\n",
		code: "static void go(int n) { (void)n; act(VALUE); }\n"},
	{name: "kept", what: "with a function that was looked up before and kept in a variable", dlsym: true,
		call: `static __typeof__(FUNCTION) *found;
NOINLINE static void find(void) { found = (__typeof__(FUNCTION) *)dlsym(RTLD_DEFAULT, "FUNCTION"); }
#define CALL(f) found
`,
		code: "static void go(int n) { (void)n; find(); act(VALUE); }\n"},
	{name: "arithmetic", what: "as one of two values, by arithmetic with a condition", constant: true, depends: true,
		code: "static void go(int n) { act((value_t)(OTHER + (VALUE - OTHER) * (value_t)(n < 100))); }\n"},
	{name: "import", what: "with a function whose address the linker wrote into a constant",
		call: `static __typeof__(FUNCTION) *const volatile imported = FUNCTION;
#define CALL(f) imported
`,
		code: "static void go(int n) { (void)n; act(VALUE); }\n"},
	{name: "weak", what: "with a function that may be missing", dlsym: true,
		call: `#ifdef __APPLE__
extern __typeof__(FUNCTION) FUNCTION __attribute__((weak_import));
#else
extern __typeof__(FUNCTION) FUNCTION __attribute__((weak));
#endif
#define CALL(f) if (f) f
`,
		code: "static void go(int n) { (void)n; act(VALUE); }\n"},
}
