#define _POSIX_C_SOURCE 200809L
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "_cgo_export.h"
#include "../include/xpc/xpc.h"

/* In the order of the constants in object.go. */
static const struct xpc_type_s types[] = {{"null"}, {"bool"}, {"int64"}, {"uint64"}, {"double"}, {"date"}, {"data"},
	{"string"}, {"uuid"}, {"array"}, {"dictionary"}, {"connection"}, {"endpoint"}, {"error"}, {"fd"}, {"shmem"}};

enum { error_type = 13 };

static struct xpc_object_s errors[] = {{&types[error_type], -1, 0}, {&types[error_type], -1, 0},
	{&types[error_type], -1, 0}};

static const char *const error_texts[] = {"Connection interrupted", "Connection invalid", "Peer Forbidden"};

xpc_type_t xpc_type_number(int number) { return &types[number]; }
xpc_object_t xpc_error_number(int number) { return &errors[number]; }

void *object_new(int type, uintptr_t handle) {
	struct xpc_object_s *o = malloc(sizeof *o);
	if (o == NULL)
		abort();
	o->type = &types[type];
	o->references = 1;
	o->handle = handle;
	return o;
}

void *object_error(int which) { return &errors[which]; }

static const char *error_text(xpc_object_t o) { return error_texts[o - errors]; }

xpc_object_t xpc_retain(xpc_object_t o) {
	if (atomic_load(&o->references) > 0)
		atomic_fetch_add(&o->references, 1);
	return o;
}

void xpc_release(xpc_object_t o) {
	if (atomic_load(&o->references) > 0 && atomic_fetch_sub(&o->references, 1) == 1) {
		goRelease(o->handle);
		free(o);
	}
}

void object_release(void *o) { xpc_release(o); }
void object_retain(void *o) { xpc_retain(o); }

void *object_of_type(void *object, xpc_type_t t) {
	xpc_object_t o = object;
	return o != NULL && o->type == t ? o : NULL;
}

xpc_type_t xpc_get_type(xpc_object_t o) { return o->type; }
const char *xpc_type_get_name(xpc_type_t t) { return t->name; }

bool xpc_equal(xpc_object_t a, xpc_object_t b) {
	return a == b || (a->handle != 0 && b->handle != 0 && goEqual(a->handle, b->handle));
}

char *xpc_copy_description(xpc_object_t o) {
	return o->handle == 0 ? strdup(error_text(o)) : goDescribe(o->handle);
}

xpc_object_t xpc_date_create_from_current(void) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return xpc_date_create(now.tv_sec * INT64_C(1000000000) + now.tv_nsec);
}

xpc_object_t xpc_null_create(void) { return goNull(); }
xpc_object_t xpc_bool_create(bool v) { return goNumber(1, v); }
bool xpc_bool_get_value(xpc_object_t o) { return goValue(o->handle, 1); }
xpc_object_t xpc_int64_create(int64_t v) { return goNumber(2, (uint64_t)v); }
int64_t xpc_int64_get_value(xpc_object_t o) { return (int64_t)goValue(o->handle, 2); }
xpc_object_t xpc_uint64_create(uint64_t v) { return goNumber(3, v); }
uint64_t xpc_uint64_get_value(xpc_object_t o) { return goValue(o->handle, 3); }
xpc_object_t xpc_date_create(int64_t v) { return goNumber(5, (uint64_t)v); }
int64_t xpc_date_get_value(xpc_object_t o) { return (int64_t)goValue(o->handle, 5); }

static uint64_t bits(double v) {
	uint64_t n;
	memcpy(&n, &v, sizeof n);
	return n;
}

static double number(uint64_t n) {
	double v;
	memcpy(&v, &n, sizeof v);
	return v;
}

xpc_object_t xpc_double_create(double v) { return goNumber(4, bits(v)); }
double xpc_double_get_value(xpc_object_t o) { return number(goValue(o->handle, 4)); }

xpc_object_t xpc_data_create(const void *bytes, size_t length) { return goBytes(6, (void *)bytes, length); }
xpc_object_t xpc_string_create(const char *text) { return goBytes(7, (void *)text, strlen(text)); }
xpc_object_t xpc_uuid_create(const uuid_t uuid) { return goBytes(8, (void *)uuid, 16); }
size_t xpc_data_get_length(xpc_object_t o) { return goLength(o->handle, 6); }
const void *xpc_data_get_bytes_ptr(xpc_object_t o) { return goPointer(o->handle, 6); }
size_t xpc_string_get_length(xpc_object_t o) { return goLength(o->handle, 7); }
const char *xpc_string_get_string_ptr(xpc_object_t o) { return goPointer(o->handle, 7); }
const uint8_t *xpc_uuid_get_bytes(xpc_object_t o) { return goPointer(o->handle, 8); }

xpc_object_t xpc_string_create_with_format_and_arguments(const char *format, va_list arguments) {
	va_list again;
	va_copy(again, arguments);
	int n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	char *text = n < 0 ? NULL : malloc((size_t)n + 1);
	if (text == NULL)
		return NULL;
	vsnprintf(text, (size_t)n + 1, format, arguments);
	xpc_object_t o = xpc_string_create(text);
	free(text);
	return o;
}

xpc_object_t xpc_string_create_with_format(const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	xpc_object_t o = xpc_string_create_with_format_and_arguments(format, arguments);
	va_end(arguments);
	return o;
}

size_t xpc_data_get_bytes(xpc_object_t o, void *buffer, size_t offset, size_t length) {
	size_t all = xpc_data_get_length(o);
	if (offset >= all)
		return 0;
	if (length > all - offset)
		length = all - offset;
	memcpy(buffer, (const char *)xpc_data_get_bytes_ptr(o) + offset, length);
	return length;
}

xpc_object_t xpc_fd_create(int fd) { return goFD(fd); }
int xpc_fd_dup(xpc_object_t o) { return o->handle == 0 ? -1 : goDupFD(o->handle); }
xpc_object_t xpc_shmem_create(void *region, size_t length) { return goShare(region, length); }

size_t xpc_shmem_map(xpc_object_t o, void **region) {
	uintptr_t at = 0;
	size_t size = o->handle == 0 ? 0 : goMap(o->handle, &at);
	if (size > 0)
		*region = (void *)at;
	return size;
}

xpc_object_t xpc_dictionary_create(const char *const *keys, const xpc_object_t *values, size_t count) {
	xpc_object_t d = goDictionary();
	for (size_t i = 0; i < count; i++)
		xpc_dictionary_set_value(d, keys[i], values[i]);
	return d;
}

xpc_object_t xpc_dictionary_create_reply(xpc_object_t o) { return o->handle == 0 ? NULL : goReply(o->handle); }

void xpc_dictionary_set_value(xpc_object_t d, const char *key, xpc_object_t v) {
	goSetKey(d->handle, (char *)key, v == NULL || v->handle == 0 ? NULL : v);
}

static void set(xpc_object_t d, const char *key, xpc_object_t v) {
	xpc_dictionary_set_value(d, key, v);
	xpc_release(v);
}

xpc_object_t xpc_dictionary_get_value(xpc_object_t d, const char *key) {
	return d->handle == 0 ? NULL : goKey(d->handle, (char *)key);
}

size_t xpc_dictionary_get_count(xpc_object_t d) { return d->handle == 0 ? 1 : goCount(d->handle); }

bool xpc_dictionary_apply_f(xpc_object_t d, void *context, xpc_dictionary_applier_function_t f) {
	return d->handle == 0 || goApply(d->handle, context, (void *)f);
}

void xpc_dictionary_set_bool(xpc_object_t d, const char *k, bool v) { set(d, k, xpc_bool_create(v)); }
void xpc_dictionary_set_int64(xpc_object_t d, const char *k, int64_t v) { set(d, k, xpc_int64_create(v)); }
void xpc_dictionary_set_uint64(xpc_object_t d, const char *k, uint64_t v) { set(d, k, xpc_uint64_create(v)); }
void xpc_dictionary_set_double(xpc_object_t d, const char *k, double v) { set(d, k, xpc_double_create(v)); }
void xpc_dictionary_set_date(xpc_object_t d, const char *k, int64_t v) { set(d, k, xpc_date_create(v)); }
void xpc_dictionary_set_string(xpc_object_t d, const char *k, const char *v) { set(d, k, xpc_string_create(v)); }
void xpc_dictionary_set_uuid(xpc_object_t d, const char *k, const uuid_t v) { set(d, k, xpc_uuid_create(v)); }

void xpc_dictionary_set_data(xpc_object_t d, const char *k, const void *v, size_t n) {
	set(d, k, xpc_data_create(v, n));
}

void xpc_dictionary_set_fd(xpc_object_t d, const char *k, int fd) {
	xpc_object_t o = goFD(fd);
	if (o != NULL)
		set(d, k, o);
}

int xpc_dictionary_dup_fd(xpc_object_t d, const char *k) {
	xpc_object_t o = xpc_dictionary_get_value(d, k);
	return o == NULL ? -1 : xpc_fd_dup(o);
}

#define GET(type, name, value, otherwise)                                          \
	type xpc_dictionary_get_##name(xpc_object_t d, const char *key) {          \
		xpc_object_t o = xpc_dictionary_get_value(d, key);                 \
		return o == NULL ? otherwise : value(o);                           \
	}
GET(bool, bool, xpc_bool_get_value, false)
GET(int64_t, int64, xpc_int64_get_value, 0)
GET(uint64_t, uint64, xpc_uint64_get_value, 0)
GET(double, double, xpc_double_get_value, 0)
GET(int64_t, date, xpc_date_get_value, 0)
GET(const uint8_t *, uuid, xpc_uuid_get_bytes, NULL)

xpc_object_t xpc_dictionary_create_empty(void) { return goDictionary(); }

xpc_object_t xpc_dictionary_get_array(xpc_object_t d, const char *key) {
	return object_of_type(xpc_dictionary_get_value(d, key), XPC_TYPE_ARRAY);
}

xpc_object_t xpc_dictionary_get_dictionary(xpc_object_t d, const char *key) {
	return object_of_type(xpc_dictionary_get_value(d, key), XPC_TYPE_DICTIONARY);
}

xpc_connection_t xpc_dictionary_create_connection(xpc_object_t d, const char *key) {
	xpc_object_t e = object_of_type(xpc_dictionary_get_value(d, key), XPC_TYPE_ENDPOINT);
	return e == NULL ? NULL : xpc_connection_create_from_endpoint(e);
}

void xpc_dictionary_set_connection(xpc_object_t d, const char *key, xpc_connection_t c) {
	xpc_endpoint_t e = xpc_endpoint_create(c);
	if (e != NULL)
		set(d, key, e);
}

const char *xpc_dictionary_get_string(xpc_object_t d, const char *key) {
	if (d->handle == 0)
		return strcmp(key, XPC_ERROR_KEY_DESCRIPTION) == 0 ? error_text(d) : NULL;
	xpc_object_t o = xpc_dictionary_get_value(d, key);
	return o == NULL ? NULL : xpc_string_get_string_ptr(o);
}

const void *xpc_dictionary_get_data(xpc_object_t d, const char *key, size_t *length) {
	xpc_object_t o = xpc_dictionary_get_value(d, key);
	size_t n = o == NULL ? 0 : xpc_data_get_length(o);
	if (length != NULL)
		*length = n;
	return o == NULL ? NULL : xpc_data_get_bytes_ptr(o);
}

xpc_connection_t xpc_dictionary_get_remote_connection(xpc_object_t d) {
	return d->handle == 0 ? NULL : goRemote(d->handle);
}
