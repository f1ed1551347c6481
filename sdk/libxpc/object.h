/* What the C and the Go half of the library have in common. */
#ifndef LIBXPC_OBJECT_H
#define LIBXPC_OBJECT_H

#include <stdatomic.h>
#include <stdint.h>

struct xpc_type_s {
	const char *name;
};

/* Every object: what it is, how many hold it, and what it is to Go. */
struct xpc_object_s {
	const struct xpc_type_s *type;
	atomic_long references; /* not counted if negative */
	uintptr_t handle;
};

/* Functions that Go calls. */
typedef void (*call_object_t)(void *context, void *object);
typedef unsigned char (*call_pair_t)(void *context, const char *key, void *object);
static inline void call_object(call_object_t f, void *context, void *object) { f(context, object); }
static inline unsigned char call_pair(call_pair_t f, void *context, const char *key, void *object) {
	return f(context, key, object);
}
static inline void call_plain(void (*f)(void *), void *context) { f(context); }

void *object_new(int type, uintptr_t handle);
void *object_error(int which);
void object_release(void *object);
void object_retain(void *object);
void *object_of_type(void *object, const struct xpc_type_s *type); /* NULL if it is none */

#endif
