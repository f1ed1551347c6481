#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <unistd.h>

#include "_cgo_export.h"
#include "../include/xpc/xpc.h"

xpc_connection_t xpc_connection_create(const char *name, dispatch_queue_t queue) {
	(void)queue;
	return name == NULL ? goConnect(NULL, 2) : goConnect((char *)name, 0);
}

xpc_connection_t xpc_connection_create_mach_service(const char *name, dispatch_queue_t queue, uint64_t flags) {
	(void)queue;
	return goConnect((char *)name, flags & XPC_CONNECTION_MACH_SERVICE_LISTENER ? 1 : 0);
}

xpc_connection_t xpc_connection_create_from_endpoint(xpc_endpoint_t e) { return goFromEndpoint(e->handle); }
xpc_endpoint_t xpc_endpoint_create(xpc_connection_t c) { return goEndpoint(c->handle); }

void xpc_connection_set_event_handler_f(xpc_connection_t c, void *context, xpc_function_t f) {
	goSetHandler(c->handle, context, (void *)f);
}

void xpc_connection_activate(xpc_connection_t c) { goActivate(c, c->handle); }
void xpc_connection_resume(xpc_connection_t c) { goResume(c, c->handle); }
void xpc_connection_suspend(xpc_connection_t c) { goSuspend(c->handle); }
void xpc_connection_cancel(xpc_connection_t c) { goCancel(c->handle); }
void xpc_connection_send_message(xpc_connection_t c, xpc_object_t m) { goSend(c->handle, m->handle); }

void xpc_connection_send_barrier_f(xpc_connection_t c, void *context, void (*f)(void *)) {
	goBarrier(c->handle, context, (void *)f);
}

void xpc_connection_send_message_with_reply_f(xpc_connection_t c, xpc_object_t m, dispatch_queue_t queue, void *context,
	xpc_function_t f) {
	(void)queue;
	goSendWithReply(c->handle, m->handle, context, (void *)f);
}

xpc_object_t xpc_connection_send_message_with_reply_sync(xpc_connection_t c, xpc_object_t m) {
	return goSendSync(c->handle, m->handle);
}

const char *xpc_connection_get_name(xpc_connection_t c) { return goName(c->handle); }
uid_t xpc_connection_get_euid(xpc_connection_t c) { return goPeer(c->handle, 1); }
gid_t xpc_connection_get_egid(xpc_connection_t c) { return goPeer(c->handle, 2); }
au_asid_t xpc_connection_get_asid(xpc_connection_t c) { return (au_asid_t)goPeer(c->handle, 6); }
pid_t xpc_connection_get_pid(xpc_connection_t c) { return (pid_t)goPeer(c->handle, 5); }
void xpc_connection_set_context(xpc_connection_t c, void *context) { goSetContext(c->handle, context); }
void *xpc_connection_get_context(xpc_connection_t c) { return goContext(c->handle); }
void xpc_connection_set_finalizer_f(xpc_connection_t c, xpc_finalizer_t f) { goSetFinalizer(c->handle, (void *)f); }

int xpc_connection_set_peer_entitlement_exists_requirement(xpc_connection_t c, const char *entitlement) {
	return goRequire(c->handle, (char *)entitlement);
}

static void main_event(void *context, xpc_object_t object) {
	if (xpc_get_type(object) == XPC_TYPE_CONNECTION)
		((xpc_connection_handler_t)context)(object);
	else
		_exit(EXIT_FAILURE);
}

void xpc_main(xpc_connection_handler_t handler) {
	const char *name = getenv("XPC_SERVICE_NAME");
	if (name == NULL)
		_exit(EXIT_FAILURE);
	xpc_connection_t l = xpc_connection_create_mach_service(name, NULL, XPC_CONNECTION_MACH_SERVICE_LISTENER);
	xpc_connection_set_event_handler_f(l, (void *)handler, main_event);
	xpc_connection_activate(l);
	for (;;)
		pause();
}

/*
 * Blocks, as clang lays them out: the function lies behind two words, and takes the block as its first argument. The
 * library itself is compiled without them. A program with blocks brings the run-time library that copies them.
 */
extern void *_Block_copy(const void *) __attribute__((weak));
extern void _Block_release(const void *) __attribute__((weak));

struct block {
	void *isa;
	int flags, reserved;
	void *function;
};

static void *copy(const void *b) { return _Block_copy == NULL ? (void *)b : _Block_copy(b); }

static void drop(void *b) {
	if (_Block_release != NULL)
		_Block_release(b);
}

static void block_event(void *b, xpc_object_t o) {
	((void (*)(void *, xpc_object_t))((struct block *)b)->function)(b, o);
}

static void block_once(void *b, xpc_object_t o) {
	block_event(b, o);
	drop(b);
}

static void block_plain(void *b) {
	((void (*)(void *))((struct block *)b)->function)(b);
	drop(b);
}

static bool block_pair(void *b, const char *key, xpc_object_t o) {
	return ((bool (*)(void *, const char *, xpc_object_t))((struct block *)b)->function)(b, key, o);
}

void xpc_connection_set_event_handler(xpc_connection_t c, void *block) {
	xpc_connection_set_event_handler_f(c, copy(block), block_event);
}

void xpc_connection_send_message_with_reply(xpc_connection_t c, xpc_object_t m, dispatch_queue_t queue, void *block) {
	xpc_connection_send_message_with_reply_f(c, m, queue, copy(block), block_once);
}

void xpc_connection_send_barrier(xpc_connection_t c, void *block) {
	xpc_connection_send_barrier_f(c, copy(block), block_plain);
}

static bool block_item(void *b, size_t i, xpc_object_t o) {
	return ((bool (*)(void *, size_t, xpc_object_t))((struct block *)b)->function)(b, i, o);
}

bool xpc_array_apply(xpc_object_t a, void *block) { return xpc_array_apply_f(a, block, block_item); }
bool xpc_dictionary_apply(xpc_object_t d, void *block) { return xpc_dictionary_apply_f(d, block, block_pair); }
