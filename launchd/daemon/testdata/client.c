/* A client in C: does what it reads, and says what comes back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xpc/xpc.h>

static void event(void *context, xpc_object_t e) {
	if (xpc_get_type(e) == XPC_TYPE_ERROR) {
		printf("event %s\n", xpc_dictionary_get_string(e, XPC_ERROR_KEY_DESCRIPTION));
		fflush(stdout);
	}
}

static void answered(void *context, xpc_object_t r) {
	printf("%s %s\n", (const char *)context, xpc_get_type(r) == XPC_TYPE_DICTIONARY ? "answered" : "failed");
	fflush(stdout);
}

static void passed(void *context) {
	printf("%s\n", (const char *)context);
	fflush(stdout);
}

int main(void) {
	char line[64];
	xpc_connection_t c = xpc_connection_create_mach_service("com.example.echo", NULL, 0);
	xpc_connection_set_event_handler_f(c, NULL, event);
	xpc_object_t first = xpc_dictionary_create(NULL, NULL, 0);
	xpc_connection_send_message(c, first); /* waits for activation */
	xpc_release(first);
	xpc_connection_activate(c);
	while (fgets(line, sizeof line, stdin) != NULL) {
		line[strcspn(line, "\n")] = 0;
		if (strcmp(line, "barrier") == 0) {
			xpc_connection_send_barrier_f(c, "barrier passed", passed);
			continue;
		}
		if (strcmp(line, "cancel") == 0) {
			xpc_connection_cancel(c);
			continue;
		}
		xpc_object_t m = xpc_dictionary_create(NULL, NULL, 0);
		xpc_dictionary_set_string(m, "do", line);
		if (strcmp(line, "async") == 0) {
			xpc_connection_send_message_with_reply_f(c, m, NULL, "async", answered);
			xpc_release(m);
			continue;
		}
		unsigned char *data = calloc(1, 100000);
		data[99999] = 42;
		xpc_dictionary_set_data(m, "data", data, 100000);
		free(data);
		xpc_object_t list = xpc_array_create(NULL, 0);
		for (int i = 1; i <= 3; i++) {
			xpc_object_t n = xpc_int64_create(i * 10);
			xpc_array_append_value(list, n);
			xpc_release(n);
		}
		xpc_dictionary_set_value(m, "list", list);
		xpc_release(list);
		xpc_object_t r = xpc_connection_send_message_with_reply_sync(c, m);
		xpc_release(m);
		if (r == XPC_ERROR_CONNECTION_INTERRUPTED) {
			printf("interrupted\n");
		} else if (xpc_get_type(r) == XPC_TYPE_ERROR) {
			printf("error %s\n", xpc_dictionary_get_string(r, XPC_ERROR_KEY_DESCRIPTION));
		} else {
			size_t n;
			const unsigned char *d = xpc_dictionary_get_data(r, "data", &n);
			printf("ok %lld %lld %zu %d %d\n", (long long)xpc_dictionary_get_int64(r, "pid"),
				(long long)xpc_dictionary_get_int64(r, "sum"), n, d != NULL ? d[n - 1] : -1,
				xpc_dictionary_get_int64(r, "asked by") == getpid());
		}
		fflush(stdout);
		xpc_release(r);
	}
	return 0;
}
