/* A service in C: answers with what it gets, a count and the pid of who asked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xpc/xpc.h>

static void message(void *context, xpc_object_t m) {
	xpc_connection_t peer = context;
	if (xpc_get_type(m) == XPC_TYPE_ERROR) {
		printf("peer: %s\n", xpc_dictionary_get_string(m, XPC_ERROR_KEY_DESCRIPTION));
		fflush(stdout);
		xpc_release(peer);
		return;
	}
	const char *what = xpc_dictionary_get_string(m, "do");
	if (what != NULL && strcmp(what, "crash") == 0)
		abort();
	xpc_object_t reply = xpc_dictionary_create_reply(m);
	if (reply == NULL)
		return;
	size_t length = 0;
	const void *data = xpc_dictionary_get_data(m, "data", &length);
	if (data != NULL)
		xpc_dictionary_set_data(reply, "data", data, length);
	xpc_object_t list = xpc_dictionary_get_value(m, "list");
	if (list != NULL) {
		int64_t sum = 0;
		for (size_t i = 0; i < xpc_array_get_count(list); i++)
			sum += xpc_array_get_int64(list, i);
		xpc_dictionary_set_int64(reply, "sum", sum);
	}
	xpc_dictionary_set_int64(reply, "pid", getpid());
	xpc_dictionary_set_int64(reply, "asked by", xpc_connection_get_pid(peer));
	xpc_connection_send_message(peer, reply);
	xpc_release(reply);
}

static void client(void *context, xpc_object_t peer) {
	if (xpc_get_type(peer) != XPC_TYPE_CONNECTION)
		exit(EXIT_FAILURE);
	xpc_retain(peer);
	xpc_connection_set_event_handler_f(peer, peer, message);
	xpc_connection_resume(peer);
}

int main(void) {
	xpc_connection_t l = xpc_connection_create_mach_service("com.example.echo", NULL, XPC_CONNECTION_MACH_SERVICE_LISTENER);
	xpc_connection_set_event_handler_f(l, NULL, client);
	xpc_connection_activate(l);
	for (;;)
		pause();
}
