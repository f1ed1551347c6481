/* Every kind of value that needs no peer, by all the names that make, change and read it. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <xpc/xpc.h>

#define WANT(x)                                                  \
	do {                                                     \
		if (!(x)) {                                      \
			printf("line %d: %s\n", __LINE__, #x);    \
			return 1;                                \
		}                                                \
	} while (0)

static bool add(void *sum, size_t i, xpc_object_t v) {
	*(int64_t *)sum += xpc_int64_get_value(v) * (int64_t)(i + 1);
	return i < 1;
}

int main(void) {
	const uuid_t id = {1, 2, 3};
	size_t n = 99;
	char buffer[8] = "";
	xpc_object_t a = xpc_array_create_empty(), d = xpc_dictionary_create_empty();
	xpc_array_set_bool(a, XPC_ARRAY_APPEND, true);
	xpc_array_set_int64(a, XPC_ARRAY_APPEND, -5);
	xpc_array_set_uint64(a, XPC_ARRAY_APPEND, UINT64_MAX);
	xpc_array_set_double(a, XPC_ARRAY_APPEND, 0.5);
	xpc_array_set_date(a, XPC_ARRAY_APPEND, 7);
	xpc_array_set_data(a, XPC_ARRAY_APPEND, "bytes", 5);
	xpc_array_set_string(a, XPC_ARRAY_APPEND, "text");
	xpc_array_set_uuid(a, XPC_ARRAY_APPEND, id);
	xpc_array_append_value(a, d);
	WANT(xpc_array_get_count(a) == 9 && xpc_array_get_bool(a, 0) && xpc_array_get_int64(a, 1) == -5);
	WANT(xpc_array_get_uint64(a, 2) == UINT64_MAX && xpc_array_get_double(a, 3) == 0.5 && xpc_array_get_date(a, 4) == 7);
	WANT(memcmp(xpc_array_get_data(a, 5, &n), "bytes", 5) == 0 && n == 5);
	WANT(strcmp(xpc_array_get_string(a, 6), "text") == 0 && memcmp(xpc_array_get_uuid(a, 7), id, 16) == 0);
	WANT(xpc_array_get_dictionary(a, 8) != NULL && xpc_array_get_array(a, 8) == NULL);
	/* Another type, or no element: nothing. */
	WANT(xpc_array_get_int64(a, 0) == 0 && xpc_array_get_string(a, 1) == NULL && xpc_array_get_data(a, 40, &n) == NULL);
	WANT(n == 0 && xpc_array_get_uuid(a, 40) == NULL && !xpc_array_get_bool(a, 1));
	xpc_array_set_string(a, 0, "instead");
	WANT(xpc_array_get_count(a) == 9 && strcmp(xpc_array_get_string(a, 0), "instead") == 0);

	xpc_dictionary_set_value(d, "array", a);
	WANT(xpc_dictionary_get_array(d, "array") != NULL && xpc_dictionary_get_dictionary(d, "array") == NULL);
	WANT(xpc_dictionary_get_array(d, "none") == NULL && xpc_dictionary_create_connection(d, "array") == NULL);

	xpc_object_t text = xpc_string_create_with_format("%s %d", "number", 42);
	WANT(strcmp(xpc_string_get_string_ptr(text), "number 42") == 0);
	xpc_object_t data = xpc_data_create("0123456789", 10);
	WANT(xpc_data_get_bytes(data, buffer, 7, 8) == 3 && memcmp(buffer, "789", 4) == 0);
	WANT(xpc_data_get_bytes(data, buffer, 10, 1) == 0);
	xpc_object_t now = xpc_date_create_from_current();
	WANT(fabs((double)xpc_date_get_value(now) / 1e9 - (double)time(NULL)) < 60);

	int64_t sum = 0;
	xpc_object_t few = xpc_array_create_empty();
	for (int i = 1; i < 5; i++)
		xpc_array_set_int64(few, XPC_ARRAY_APPEND, i);
	WANT(!xpc_array_apply_f(few, &sum, add) && sum == 5);
	xpc_release(few);
	xpc_release(now);
	xpc_release(data);
	xpc_release(text);
	xpc_release(a);
	xpc_release(d);
	printf("fine\n");
	return 0;
}
