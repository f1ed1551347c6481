#include "_cgo_export.h"
#include "../include/xpc/xpc.h"

xpc_object_t xpc_array_create(const xpc_object_t *objects, size_t count) {
	xpc_object_t a = goArray();
	for (size_t i = 0; i < count; i++)
		goSetIndex(a->handle, XPC_ARRAY_APPEND, objects[i]);
	return a;
}

void xpc_array_set_value(xpc_object_t a, size_t i, xpc_object_t v) { goSetIndex(a->handle, i, v); }
void xpc_array_append_value(xpc_object_t a, xpc_object_t v) { goSetIndex(a->handle, XPC_ARRAY_APPEND, v); }
size_t xpc_array_get_count(xpc_object_t a) { return goCount(a->handle); }
xpc_object_t xpc_array_get_value(xpc_object_t a, size_t i) { return goIndex(a->handle, i); }

static void set(xpc_object_t a, size_t i, xpc_object_t v) {
	xpc_array_set_value(a, i, v);
	xpc_release(v);
}

void xpc_array_set_fd(xpc_object_t a, size_t i, int fd) {
	xpc_object_t o = goFD(fd);
	if (o != NULL)
		set(a, i, o);
}

int xpc_array_dup_fd(xpc_object_t a, size_t i) {
	xpc_object_t v = goIndex(a->handle, i);
	return v == NULL ? -1 : xpc_fd_dup(v);
}

xpc_object_t xpc_array_create_empty(void) { return goArray(); }

bool xpc_array_apply_f(xpc_object_t a, void *context, xpc_array_applier_function_t f) {
	size_t n = xpc_array_get_count(a);
	for (size_t i = 0; i < n; i++)
		if (!f(context, i, xpc_array_get_value(a, i)))
			return false;
	return true;
}

void xpc_array_set_bool(xpc_object_t a, size_t i, bool v) { set(a, i, xpc_bool_create(v)); }
void xpc_array_set_int64(xpc_object_t a, size_t i, int64_t v) { set(a, i, xpc_int64_create(v)); }
void xpc_array_set_uint64(xpc_object_t a, size_t i, uint64_t v) { set(a, i, xpc_uint64_create(v)); }
void xpc_array_set_double(xpc_object_t a, size_t i, double v) { set(a, i, xpc_double_create(v)); }
void xpc_array_set_date(xpc_object_t a, size_t i, int64_t v) { set(a, i, xpc_date_create(v)); }
void xpc_array_set_string(xpc_object_t a, size_t i, const char *v) { set(a, i, xpc_string_create(v)); }
void xpc_array_set_uuid(xpc_object_t a, size_t i, const uuid_t v) { set(a, i, xpc_uuid_create(v)); }

void xpc_array_set_data(xpc_object_t a, size_t i, const void *v, size_t n) { set(a, i, xpc_data_create(v, n)); }

#define GET(type, name, value, otherwise)                          \
	type xpc_array_get_##name(xpc_object_t a, size_t i) {      \
		xpc_object_t o = goIndex(a->handle, i);            \
		return o == NULL ? otherwise : value(o);           \
	}
GET(bool, bool, xpc_bool_get_value, false)
GET(int64_t, int64, xpc_int64_get_value, 0)
GET(uint64_t, uint64, xpc_uint64_get_value, 0)
GET(double, double, xpc_double_get_value, 0)
GET(int64_t, date, xpc_date_get_value, 0)
GET(const char *, string, xpc_string_get_string_ptr, NULL)
GET(const uint8_t *, uuid, xpc_uuid_get_bytes, NULL)

const void *xpc_array_get_data(xpc_object_t a, size_t i, size_t *length) {
	xpc_object_t o = goIndex(a->handle, i);
	if (length != NULL)
		*length = o == NULL ? 0 : xpc_data_get_length(o);
	return o == NULL ? NULL : xpc_data_get_bytes_ptr(o);
}

xpc_object_t xpc_array_get_array(xpc_object_t a, size_t i) {
	return object_of_type(goIndex(a->handle, i), XPC_TYPE_ARRAY);
}

xpc_object_t xpc_array_get_dictionary(xpc_object_t a, size_t i) {
	return object_of_type(goIndex(a->handle, i), XPC_TYPE_DICTIONARY);
}
