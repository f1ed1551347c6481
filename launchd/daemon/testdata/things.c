/* A service and a client in C that pass files and shared memory. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xpc/xpc.h>

static int pipe_of(const char *text) {
	int p[2];
	if (pipe(p) != 0 || write(p[1], text, strlen(text)) < 0)
		abort();
	close(p[1]);
	return p[0];
}

static void text_of(int fd, char *text, size_t size) {
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
	text[n < 0 ? 0 : n] = 0;
	close(fd);
}

static int open_files(void) {
	int n = 0;
	DIR *d = opendir("/proc/self/fd");
	while (d != NULL && readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void message(void *context, xpc_object_t m) {
	xpc_connection_t peer = context;
	char text[64], *memory = NULL;
	if (xpc_get_type(m) == XPC_TYPE_ERROR) {
		xpc_release(peer);
		return;
	}
	xpc_object_t reply = xpc_dictionary_create_reply(m);
	xpc_object_t shared = xpc_dictionary_get_value(m, "memory");
	size_t size = shared == NULL ? 0 : xpc_shmem_map(shared, (void **)&memory);
	if (reply == NULL || size == 0 || xpc_get_type(shared) != XPC_TYPE_SHMEM)
		abort();
	text_of(xpc_dictionary_dup_fd(m, "file"), text, sizeof text);
	xpc_dictionary_set_string(reply, "text", text);
	xpc_dictionary_set_string(reply, "seen", memory);
	strcpy(memory, "from the service");
	munmap(memory, size);
	xpc_dictionary_set_value(reply, "memory", shared);
	xpc_object_t files = xpc_array_create(NULL, 0), one = xpc_int64_create(1);
	xpc_array_append_value(files, one);
	xpc_release(one);
	xpc_array_append_value(files, (one = xpc_null_create()));
	xpc_release(one);
	int p = pipe_of("an answer");
	xpc_array_set_fd(files, 1, p);
	close(p);
	xpc_dictionary_set_value(reply, "files", files);
	xpc_release(files);
	xpc_dictionary_set_int64(reply, "open", open_files());
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

static void event(void *context, xpc_object_t e) {}

static void ask(xpc_connection_t c, size_t size) {
	char text[64], *memory, *back = NULL;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		abort();
	strcpy(memory, "from the client");
	xpc_object_t m = xpc_dictionary_create(NULL, NULL, 0), shared = xpc_shmem_create(memory, size);
	xpc_object_t once_more = xpc_shmem_create(memory, size);
	if (shared == NULL || !xpc_equal(shared, once_more))
		abort();
	xpc_release(once_more);
	xpc_dictionary_set_value(m, "memory", shared);
	xpc_release(shared);
	int p = pipe_of("a question");
	xpc_dictionary_set_fd(m, "file", p);
	close(p);
	xpc_object_t r = xpc_connection_send_message_with_reply_sync(c, m);
	xpc_release(m);
	if (xpc_get_type(r) != XPC_TYPE_DICTIONARY) {
		printf("%s\n", xpc_dictionary_get_string(r, XPC_ERROR_KEY_DESCRIPTION));
		exit(EXIT_FAILURE);
	}
	shared = xpc_dictionary_get_value(r, "memory");
	if (shared == NULL || xpc_shmem_map(shared, (void **)&back) != size) {
		printf("%s\n", xpc_copy_description(r));
		exit(EXIT_FAILURE);
	}
	back[size - 1] = 42;
	text_of(xpc_array_dup_fd(xpc_dictionary_get_value(r, "files"), 1), text, sizeof text);
	printf("%s, %s, %s, %s, %d, %d\n", xpc_dictionary_get_string(r, "text"), xpc_dictionary_get_string(r, "seen"), memory,
		text, memory[size - 1], (int)xpc_dictionary_get_int64(r, "open"));
	fflush(stdout);
	munmap(back, size);
	munmap(memory, size);
	xpc_release(r);
}

int main(int argc, char **argv) {
	int service = argc > 1 && strcmp(argv[1], "service") == 0;
	xpc_connection_t c = xpc_connection_create_mach_service("com.example.echo", NULL,
		service ? XPC_CONNECTION_MACH_SERVICE_LISTENER : 0);
	xpc_connection_set_event_handler_f(c, NULL, service ? client : event);
	xpc_connection_activate(c);
	for (int i = 0; i < 20 && !service; i++)
		ask(c, 3 * (size_t)sysconf(_SC_PAGESIZE));
	if (!service && open_files() > 40)
		abort();
	while (service)
		pause();
	return 0;
}
