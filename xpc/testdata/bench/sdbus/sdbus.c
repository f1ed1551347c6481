/*
 * The call of this comparison over sd-bus, the D-Bus library of systemd, in C.
 *
 *	cc -O2 -o sdbus sdbus.c -lsystemd
 *	sdbus service
 *	sdbus client	reads "bytes calls" from standard input, and says how long each call took, in microseconds
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <systemd/sd-bus.h>

#define NAME "dev.portcullis.SdBench"
#define PATH "/dev/portcullis/SdBench"

static void check(int r, const char *what) {
	if (r >= 0)
		return;
	fprintf(stderr, "sdbus: %s: %s\n", what, strerror(-r));
	exit(1);
}

static int echo(sd_bus_message *m, void *context, sd_bus_error *error) {
	int64_t number;
	const void *bytes;
	size_t size;
	sd_bus_message *reply = NULL;
	check(sd_bus_message_read(m, "x", &number), "number");
	check(sd_bus_message_read_array(m, 'y', &bytes, &size), "bytes");
	check(sd_bus_message_new_method_return(m, &reply), "reply");
	check(sd_bus_message_append(reply, "x", number), "number");
	check(sd_bus_message_append_array(reply, 'y', bytes, size), "bytes");
	int r = sd_bus_send(NULL, reply, NULL);
	sd_bus_message_unref(reply);
	return r;
}

static const sd_bus_vtable table[] = {SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Echo", "xay", "xay", echo, SD_BUS_VTABLE_UNPRIVILEGED), SD_BUS_VTABLE_END};

static void serve(sd_bus *bus) {
	check(sd_bus_add_object_vtable(bus, NULL, PATH, NAME, table, NULL), "vtable");
	check(sd_bus_request_name(bus, NAME, 0), "name");
	puts("ready");
	fflush(stdout);
	for (;;) {
		int r = sd_bus_process(bus, NULL);
		check(r, "process");
		if (r == 0)
			check(sd_bus_wait(bus, UINT64_MAX), "wait");
	}
}

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void call(sd_bus *bus, const char *bytes, size_t size) {
	sd_bus_message *m = NULL, *reply = NULL;
	int64_t number;
	const void *back;
	size_t n;
	check(sd_bus_message_new_method_call(bus, &m, NAME, PATH, NAME, "Echo"), "call");
	check(sd_bus_message_append(m, "x", (int64_t)1), "number");
	check(sd_bus_message_append_array(m, 'y', bytes, size), "bytes");
	check(sd_bus_call(bus, m, 0, NULL, &reply), "call");
	check(sd_bus_message_read(reply, "x", &number), "number");
	check(sd_bus_message_read_array(reply, 'y', &back, &n), "bytes");
	if (n != size)
		exit(2);
	sd_bus_message_unref(m);
	sd_bus_message_unref(reply);
}

int main(int argc, char **argv) {
	sd_bus *bus = NULL;
	size_t size;
	int n;
	check(sd_bus_open_user(&bus), "bus");
	if (argc > 1 && strcmp(argv[1], "service") == 0)
		serve(bus);
	puts("ready");
	fflush(stdout);
	while (scanf("%zu %d", &size, &n) == 2) {
		char *bytes = malloc(size + 1);
		memset(bytes, 7, size + 1);
		for (int i = 0; i < n; i++) {
			double begun = now();
			call(bus, bytes, size);
			printf("%.1f\n", now() - begun);
		}
		fflush(stdout);
		free(bytes);
	}
	return 0;
}
