// Weak definitions: an inline function and a virtual table that other images may provide as well.
extern "C" int puts(const char *);
struct Base {
    virtual ~Base();
    virtual int value() { return 1; }
};
Base::~Base() { puts("gone"); }
inline int shared_counter() {
    static int n;
    return ++n;
}
template <class T> struct Holder {
    virtual T get() { return T(shared_counter()); }
};
template struct Holder<int>;
int (*pointer_to_weak)() = shared_counter;
int use(Base *b) { Holder<int> h; Holder<int> *p = &h; return b->value() + p->get() + pointer_to_weak(); }
