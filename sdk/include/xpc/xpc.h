/*
 * XPC for C programs on the kernel of Portcullis: the core of Apple's interface, under Apple's names.
 *
 * The library is libxpc.so, made by `go build -buildmode=c-shared -o libxpc.so ./sdk/libxpc`. A program that uses it
 * joins the kernel named by PORTCULLIS_KERNEL with its first connection; it must not join by other means, too.
 *
 * Handlers are blocks where the compiler has them (clang -fblocks -lBlocksRuntime), and functions with a context
 * everywhere (names ending in _f, which are ours). There are no dispatch queues: pass NULL; handlers of one connection
 * are called one at a time, on threads of the library.
 */
#ifndef PORTCULLIS_XPC_H
#define PORTCULLIS_XPC_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct xpc_object_s *xpc_object_t;
typedef xpc_object_t xpc_connection_t;
typedef xpc_object_t xpc_endpoint_t;
typedef const struct xpc_type_s *xpc_type_t;
typedef struct dispatch_queue_s *dispatch_queue_t;
typedef unsigned char uuid_t[16];
typedef pid_t au_asid_t;

typedef void (*xpc_function_t)(void *context, xpc_object_t object);
typedef bool (*xpc_dictionary_applier_function_t)(void *context, const char *key, xpc_object_t value);
typedef bool (*xpc_array_applier_function_t)(void *context, size_t index, xpc_object_t value);
typedef void (*xpc_finalizer_t)(void *value);
typedef void (*xpc_connection_handler_t)(xpc_connection_t connection);

/* Types and errors are compared by address. They are functions, so that a program and the library mean the same one. */
xpc_type_t xpc_type_number(int number);
xpc_object_t xpc_error_number(int number);
#define XPC_TYPE_NULL (xpc_type_number(0))
#define XPC_TYPE_BOOL (xpc_type_number(1))
#define XPC_TYPE_INT64 (xpc_type_number(2))
#define XPC_TYPE_UINT64 (xpc_type_number(3))
#define XPC_TYPE_DOUBLE (xpc_type_number(4))
#define XPC_TYPE_DATE (xpc_type_number(5))
#define XPC_TYPE_DATA (xpc_type_number(6))
#define XPC_TYPE_STRING (xpc_type_number(7))
#define XPC_TYPE_UUID (xpc_type_number(8))
#define XPC_TYPE_ARRAY (xpc_type_number(9))
#define XPC_TYPE_DICTIONARY (xpc_type_number(10))
#define XPC_TYPE_CONNECTION (xpc_type_number(11))
#define XPC_TYPE_ENDPOINT (xpc_type_number(12))
#define XPC_TYPE_ERROR (xpc_type_number(13))
#define XPC_TYPE_FD (xpc_type_number(14))
#define XPC_TYPE_SHMEM (xpc_type_number(15))
#define XPC_ERROR_CONNECTION_INTERRUPTED (xpc_error_number(0))
#define XPC_ERROR_CONNECTION_INVALID (xpc_error_number(1))
#define XPC_ERROR_PEER_CODE_SIGNING_REQUIREMENT (xpc_error_number(2))
#define XPC_ERROR_KEY_DESCRIPTION "XPCErrorDescription"

xpc_object_t xpc_retain(xpc_object_t object);
void xpc_release(xpc_object_t object);
xpc_type_t xpc_get_type(xpc_object_t object);
const char *xpc_type_get_name(xpc_type_t type);
bool xpc_equal(xpc_object_t a, xpc_object_t b);
char *xpc_copy_description(xpc_object_t object); /* to be freed */

xpc_object_t xpc_null_create(void);
xpc_object_t xpc_bool_create(bool value);
bool xpc_bool_get_value(xpc_object_t object);
xpc_object_t xpc_int64_create(int64_t value);
int64_t xpc_int64_get_value(xpc_object_t object);
xpc_object_t xpc_uint64_create(uint64_t value);
uint64_t xpc_uint64_get_value(xpc_object_t object);
xpc_object_t xpc_double_create(double value);
double xpc_double_get_value(xpc_object_t object);
xpc_object_t xpc_date_create(int64_t nanoseconds);
xpc_object_t xpc_date_create_from_current(void);
int64_t xpc_date_get_value(xpc_object_t object);
xpc_object_t xpc_data_create(const void *bytes, size_t length);
size_t xpc_data_get_length(xpc_object_t object);
const void *xpc_data_get_bytes_ptr(xpc_object_t object);
size_t xpc_data_get_bytes(xpc_object_t object, void *buffer, size_t offset, size_t length);
xpc_object_t xpc_string_create(const char *text);
xpc_object_t xpc_string_create_with_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
xpc_object_t xpc_string_create_with_format_and_arguments(const char *format, va_list arguments)
	__attribute__((format(printf, 1, 0)));
size_t xpc_string_get_length(xpc_object_t object);
const char *xpc_string_get_string_ptr(xpc_object_t object);
xpc_object_t xpc_uuid_create(const uuid_t uuid);
const uint8_t *xpc_uuid_get_bytes(xpc_object_t object);

/* An object has a descriptor of its own for the open file; NULL if there can be none. What dup returns is the caller's. */
xpc_object_t xpc_fd_create(int fd);
int xpc_fd_dup(xpc_object_t object); /* -1: it is none */

/*
 * Memory in whole pages, of mmap with MAP_SHARED. The library puts a memory file in its place, with the same content:
 * what shared it before does not any more. Only all of it can be shared once more. NULL if it cannot be shared. What map
 * finds is the caller's to munmap; it returns the size, or 0.
 */
xpc_object_t xpc_shmem_create(void *region, size_t length);
size_t xpc_shmem_map(xpc_object_t object, void **region);

#define XPC_ARRAY_APPEND ((size_t)-1)
xpc_object_t xpc_array_create(const xpc_object_t *objects, size_t count);
void xpc_array_set_value(xpc_object_t array, size_t index, xpc_object_t value);
void xpc_array_append_value(xpc_object_t array, xpc_object_t value);
size_t xpc_array_get_count(xpc_object_t array);
xpc_object_t xpc_array_get_value(xpc_object_t array, size_t index);
xpc_object_t xpc_array_create_empty(void);
bool xpc_array_apply_f(xpc_object_t array, void *context, xpc_array_applier_function_t applier);
void xpc_array_set_bool(xpc_object_t array, size_t index, bool value);
void xpc_array_set_int64(xpc_object_t array, size_t index, int64_t value);
void xpc_array_set_uint64(xpc_object_t array, size_t index, uint64_t value);
void xpc_array_set_double(xpc_object_t array, size_t index, double value);
void xpc_array_set_date(xpc_object_t array, size_t index, int64_t nanoseconds);
void xpc_array_set_data(xpc_object_t array, size_t index, const void *bytes, size_t length);
void xpc_array_set_string(xpc_object_t array, size_t index, const char *text);
void xpc_array_set_uuid(xpc_object_t array, size_t index, const uuid_t uuid);
bool xpc_array_get_bool(xpc_object_t array, size_t index);
int64_t xpc_array_get_int64(xpc_object_t array, size_t index);
uint64_t xpc_array_get_uint64(xpc_object_t array, size_t index);
double xpc_array_get_double(xpc_object_t array, size_t index);
int64_t xpc_array_get_date(xpc_object_t array, size_t index);
const void *xpc_array_get_data(xpc_object_t array, size_t index, size_t *length);
const char *xpc_array_get_string(xpc_object_t array, size_t index);
const uint8_t *xpc_array_get_uuid(xpc_object_t array, size_t index);
xpc_object_t xpc_array_get_array(xpc_object_t array, size_t index);
xpc_object_t xpc_array_get_dictionary(xpc_object_t array, size_t index);
void xpc_array_set_fd(xpc_object_t array, size_t index, int fd);
int xpc_array_dup_fd(xpc_object_t array, size_t index);

/* What a dictionary is asked for is its own: it lasts as long as the dictionary, or until the key is set again. */
xpc_object_t xpc_dictionary_create(const char *const *keys, const xpc_object_t *values, size_t count);
xpc_object_t xpc_dictionary_create_empty(void);
xpc_object_t xpc_dictionary_create_reply(xpc_object_t original);
void xpc_dictionary_set_value(xpc_object_t dictionary, const char *key, xpc_object_t value);
xpc_object_t xpc_dictionary_get_value(xpc_object_t dictionary, const char *key);
size_t xpc_dictionary_get_count(xpc_object_t dictionary);
bool xpc_dictionary_apply_f(xpc_object_t dictionary, void *context, xpc_dictionary_applier_function_t applier);
xpc_connection_t xpc_dictionary_get_remote_connection(xpc_object_t dictionary);
void xpc_dictionary_set_bool(xpc_object_t dictionary, const char *key, bool value);
void xpc_dictionary_set_int64(xpc_object_t dictionary, const char *key, int64_t value);
void xpc_dictionary_set_uint64(xpc_object_t dictionary, const char *key, uint64_t value);
void xpc_dictionary_set_double(xpc_object_t dictionary, const char *key, double value);
void xpc_dictionary_set_date(xpc_object_t dictionary, const char *key, int64_t nanoseconds);
void xpc_dictionary_set_data(xpc_object_t dictionary, const char *key, const void *bytes, size_t length);
void xpc_dictionary_set_string(xpc_object_t dictionary, const char *key, const char *text);
void xpc_dictionary_set_uuid(xpc_object_t dictionary, const char *key, const uuid_t uuid);
void xpc_dictionary_set_fd(xpc_object_t dictionary, const char *key, int fd);
int xpc_dictionary_dup_fd(xpc_object_t dictionary, const char *key);
bool xpc_dictionary_get_bool(xpc_object_t dictionary, const char *key);
int64_t xpc_dictionary_get_int64(xpc_object_t dictionary, const char *key);
uint64_t xpc_dictionary_get_uint64(xpc_object_t dictionary, const char *key);
double xpc_dictionary_get_double(xpc_object_t dictionary, const char *key);
int64_t xpc_dictionary_get_date(xpc_object_t dictionary, const char *key);
const void *xpc_dictionary_get_data(xpc_object_t dictionary, const char *key, size_t *length);
const char *xpc_dictionary_get_string(xpc_object_t dictionary, const char *key);
const uint8_t *xpc_dictionary_get_uuid(xpc_object_t dictionary, const char *key);
xpc_object_t xpc_dictionary_get_array(xpc_object_t dictionary, const char *key);
xpc_object_t xpc_dictionary_get_dictionary(xpc_object_t dictionary, const char *key);
void xpc_dictionary_set_connection(xpc_object_t dictionary, const char *key, xpc_connection_t listener);
xpc_connection_t xpc_dictionary_create_connection(xpc_object_t dictionary, const char *key);

/* Connections begin suspended: set a handler, then activate. */
#define XPC_CONNECTION_MACH_SERVICE_LISTENER (1 << 0)
#define XPC_CONNECTION_MACH_SERVICE_PRIVILEGED (1 << 1)
xpc_connection_t xpc_connection_create(const char *name, dispatch_queue_t queue); /* NULL: an anonymous listener */
xpc_connection_t xpc_connection_create_mach_service(const char *name, dispatch_queue_t queue, uint64_t flags);
xpc_connection_t xpc_connection_create_from_endpoint(xpc_endpoint_t endpoint);
xpc_endpoint_t xpc_endpoint_create(xpc_connection_t listener);
void xpc_connection_set_event_handler_f(xpc_connection_t connection, void *context, xpc_function_t handler);
void xpc_connection_activate(xpc_connection_t connection);
void xpc_connection_resume(xpc_connection_t connection);
void xpc_connection_suspend(xpc_connection_t connection);
void xpc_connection_cancel(xpc_connection_t connection);
void xpc_connection_send_message(xpc_connection_t connection, xpc_object_t message);
void xpc_connection_send_barrier_f(xpc_connection_t connection, void *context, void (*barrier)(void *context));
void xpc_connection_send_message_with_reply_f(xpc_connection_t connection, xpc_object_t message, dispatch_queue_t queue,
	void *context, xpc_function_t handler);
xpc_object_t xpc_connection_send_message_with_reply_sync(xpc_connection_t connection, xpc_object_t message);
const char *xpc_connection_get_name(xpc_connection_t connection);
uid_t xpc_connection_get_euid(xpc_connection_t connection);
gid_t xpc_connection_get_egid(xpc_connection_t connection);
au_asid_t xpc_connection_get_asid(xpc_connection_t connection);
pid_t xpc_connection_get_pid(xpc_connection_t connection);
void xpc_connection_set_context(xpc_connection_t connection, void *context);
void *xpc_connection_get_context(xpc_connection_t connection);
void xpc_connection_set_finalizer_f(xpc_connection_t connection, xpc_finalizer_t finalizer);
int xpc_connection_set_peer_entitlement_exists_requirement(xpc_connection_t connection, const char *entitlement);

/* Offers the service whose name is that of the job (XPC_SERVICE_NAME), and does not return. */
void xpc_main(xpc_connection_handler_t handler) __attribute__((noreturn));

#ifdef __BLOCKS__
typedef void (^xpc_handler_t)(xpc_object_t object);
typedef bool (^xpc_dictionary_applier_t)(const char *key, xpc_object_t value);
typedef bool (^xpc_array_applier_t)(size_t index, xpc_object_t value);
typedef void (^xpc_block_t)(void);
void xpc_connection_set_event_handler(xpc_connection_t connection, xpc_handler_t handler);
void xpc_connection_send_message_with_reply(xpc_connection_t connection, xpc_object_t message, dispatch_queue_t queue,
	xpc_handler_t handler);
void xpc_connection_send_barrier(xpc_connection_t connection, xpc_block_t barrier);
bool xpc_array_apply(xpc_object_t array, xpc_array_applier_t applier);
bool xpc_dictionary_apply(xpc_object_t dictionary, xpc_dictionary_applier_t applier);
#endif

#ifdef __cplusplus
}
#endif

#endif
