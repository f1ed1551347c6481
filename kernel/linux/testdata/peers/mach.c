/*
 * Two processes that speak through a Mach kernel. Prints the time of each round trip in nanoseconds, one a line.
 * usage: mach ROUNDS		48 bytes there and back
 *	  mach ROUNDS BYTES	that much memory out of line there, 48 bytes back; after each time stand, on the same
 *				line, that of a memcpy of as many bytes, and of one into memory that is made for it
 *	  mach ROUNDS BYTES read	the same; who receives reads a byte of each page, else the first and the last
 */
#include <mach/mach.h>
#include <servers/bootstrap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAME "dev.portcullis.peer"

struct small {
	mach_msg_header_t header;
	char rest[24];
	char trailer[MAX_TRAILER_SIZE];
};

struct large {
	mach_msg_header_t header;
	mach_msg_body_t body;
	mach_msg_ool_descriptor_t memory;
	char trailer[MAX_TRAILER_SIZE];
};

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void check(kern_return_t kr, const char *what)
{
	if (kr == KERN_SUCCESS)
		return;
	fprintf(stderr, "mach: %s: %s\n", what, mach_error_string(kr));
	exit(1);
}

static void serve(mach_port_t service, int rounds, size_t stride)
{
	union {
		struct small small;
		struct large large;
	} in;
	struct small out;

	memset(&out, 0, sizeof out);
	check(mach_msg(&in.small.header, MACH_RCV_MSG, 0, sizeof in, service, 0, MACH_PORT_NULL), "receive");
	for (int i = 0; i < rounds; i++) {
		if (in.small.header.msgh_bits & MACH_MSGH_BITS_COMPLEX) {
			volatile char *p = in.large.memory.address;
			for (size_t at = 0; at < in.large.memory.size; at += stride)
				(void)p[at];
			(void)p[in.large.memory.size - 1];
			vm_deallocate(mach_task_self(), (vm_address_t)in.large.memory.address, in.large.memory.size);
		}
		out.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0);
		out.header.msgh_remote_port = in.small.header.msgh_remote_port;
		out.header.msgh_local_port = MACH_PORT_NULL;
		out.header.msgh_id = in.small.header.msgh_id + 100;
		if (i + 1 == rounds) {
			check(mach_msg(&out.header, MACH_SEND_MSG, 48, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL), "reply");
			break;
		}
		memcpy(&in.small, &out, 48);
		check(mach_msg(&in.small.header, MACH_SEND_MSG | MACH_RCV_MSG, 48, sizeof in, service, 0, MACH_PORT_NULL), "serve");
	}
}

static void call(mach_port_t service, struct small *m)
{
	mach_port_t reply = mig_get_reply_port();

	memset(&m->header, 0, sizeof m->header);
	m->header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE);
	m->header.msgh_remote_port = service;
	m->header.msgh_local_port = reply;
	m->header.msgh_id = 1;
	check(mach_msg(&m->header, MACH_SEND_MSG | MACH_RCV_MSG, 48, sizeof *m, reply, 0, MACH_PORT_NULL), "call");
}

static void give(mach_port_t service, void *memory, mach_msg_size_t size)
{
	union {
		struct small small;
		struct large large;
	} m;
	mach_port_t reply = mig_get_reply_port();

	memset(&m, 0, sizeof m);
	m.large.header.msgh_bits =
		MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE) | MACH_MSGH_BITS_COMPLEX;
	m.large.header.msgh_remote_port = service;
	m.large.header.msgh_local_port = reply;
	m.large.header.msgh_id = 2;
	m.large.body.msgh_descriptor_count = 1;
	m.large.memory.address = memory;
	m.large.memory.size = size;
	m.large.memory.copy = MACH_MSG_VIRTUAL_COPY;
	m.large.memory.type = MACH_MSG_OOL_DESCRIPTOR;
	check(mach_msg(&m.large.header, MACH_SEND_MSG | MACH_RCV_MSG, offsetof(struct large, trailer), sizeof m, reply, 0,
		MACH_PORT_NULL), "give");
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1000;
	size_t size = argc > 2 ? strtoul(argv[2], NULL, 0) : 0;
	uint64_t(*took)[3] = calloc((size_t)rounds, sizeof *took);
	mach_port_t service;
	struct small m;
	char *from = NULL, *to = NULL, *fresh;

	memset(&m, 0, sizeof m);
	check(bootstrap_check_in(bootstrap_port, NAME, &service), "check-in");
	pid_t child = fork();
	if (child != 0) {
		int status;
		serve(service, rounds + 10, argc > 3 ? 4096 : SIZE_MAX / 2);
		waitpid(child, &status, 0);
		return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	check(bootstrap_look_up(bootstrap_port, NAME, &service), "look-up");
	if (size) {
		from = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		to = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (from == MAP_FAILED || to == MAP_FAILED)
			return 1;
		memset(from, 7, size);
		memset(to, 1, size);
	}
	for (int i = -10; i < rounds; i++) {
		uint64_t start = now(), middle, end;
		if (size)
			give(service, from, (mach_msg_size_t)size);
		else
			call(service, &m);
		middle = now();
		if (size) {
			memcpy(to, from, size);
			__asm__ volatile("" : : "r"(to) : "memory");
		}
		end = now();
		if (size) {
			fresh = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			memcpy(fresh, from, size);
			__asm__ volatile("" : : "r"(fresh) : "memory");
			munmap(fresh, size);
		}
		if (i >= 0) {
			took[i][0] = middle - start;
			took[i][1] = end - middle;
			took[i][2] = now() - end;
		}
	}
	for (int i = 0; i < rounds; i++) {
		if (size)
			printf("%llu %llu %llu\n", (unsigned long long)took[i][0], (unsigned long long)took[i][1],
				(unsigned long long)took[i][2]);
		else
			printf("%llu\n", (unsigned long long)took[i][0]);
	}
	return 0;
}
