// Functions that are inlined into one another, at -O1 and up, also with parts of others between their own.
extern "C" int outside(int);
extern "C" int other(int);

namespace deep {
template <typename T> struct Box {
	T value;
	__attribute__((always_inline)) T open(T by) { return value + outside(by); }
};

__attribute__((always_inline)) static inline int innermost(int n) {
	if (n > 3) {
		int m = outside(n);
		return m * other(n + 1);
	}
	return outside(n - 1);
}

__attribute__((always_inline)) static inline int middle(int n) {
	Box<int> box{n};
	return box.open(n) + innermost(n) + other(3);
}
} // namespace deep

extern "C" int outermost(int n) {
	int sum = 0;
	for (int i = 0; i < n; i++) {
		sum += deep::middle(i) ^ deep::innermost(n - i);
	}
	return sum + other(sum);
}

extern "C" int plain(int n) { return outside(n) + 1; }

int main(int n, char **) { return outermost(n) + plain(n); }
