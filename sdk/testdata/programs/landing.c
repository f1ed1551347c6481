/* Memory out of line that is large enough to land where the kernel uses it again: it is the receiver's as any other. */
#define _GNU_SOURCE
#include "check.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE ((size_t)5 << 20)
#define PAGE ((size_t)4096)

struct memory {
	mach_msg_header_t header;
	mach_msg_body_t body;
	mach_msg_ool_descriptor_t memory;
	mach_msg_max_trailer_t trailer;
};

static mach_port_t port;

static kern_return_t
put(const void *from, size_t size)
{
	struct memory m = { 0 };

	m.header.msgh_bits = MACH_MSGH_BITS_COMPLEX | MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0);
	m.header.msgh_remote_port = port;
	m.body.msgh_descriptor_count = 1;
	m.memory.address = (void *)(uintptr_t)from;
	m.memory.size = (mach_msg_size_t)size;
	m.memory.copy = MACH_MSG_VIRTUAL_COPY;
	m.memory.type = MACH_MSG_OOL_DESCRIPTOR;
	return mach_msg(&m.header, MACH_SEND_MSG, offsetof(struct memory, trailer), 0, MACH_PORT_NULL, 0, MACH_PORT_NULL);
}

static unsigned char *
take(size_t size)
{
	struct memory m;

	OK(mach_msg(&m.header, MACH_RCV_MSG, 0, sizeof m, port, 0, MACH_PORT_NULL));
	TRUE_(m.memory.size == size);
	return m.memory.address;
}

static unsigned char *mine;

/* Memory of a size in which every word is of its own, and of a turn. */
static unsigned char *
send_and_take(uint32_t turn, size_t size)
{
	for (size_t i = 0; i < size / 4; i++)
		((uint32_t *)(void *)mine)[i] = turn * 0x9e3779b9u + (uint32_t)i;
	OK(put(mine, size));
	memset(mine, 0xff, SIZE); /* what was sent stays as it was */
	return take(size);
}

static int
is(const unsigned char *p, uint32_t turn, size_t from, size_t to)
{
	for (size_t i = from / 4; i < to / 4; i++)
		if (((const uint32_t *)(const void *)p)[i] != turn * 0x9e3779b9u + (uint32_t)i)
			return 0;
	return 1;
}

static void
drop(unsigned char *p, size_t size)
{
	OK(vm_deallocate(mach_task_self(), (vm_address_t)p, size));
}

/* The receiver's writes are its own, and gone with the memory. */
static void
again(void)
{
	unsigned char *p, *q;

	for (uint32_t i = 0; i < 8; i++) {
		p = send_and_take(i, SIZE);
		TRUE_(is(p, i, 0, SIZE));
		memset(p, 0xee, SIZE);
		drop(p, SIZE);
	}
	p = send_and_take(20, SIZE);
	q = send_and_take(21, SIZE);
	TRUE_(is(p, 20, 0, SIZE) && is(q, 21, 0, SIZE));
	p[7] = 1;
	TRUE_(is(q, 21, 0, SIZE));
	drop(p, SIZE);
	p = send_and_take(22, SIZE);
	TRUE_(is(q, 21, 0, SIZE) && is(p, 22, 0, SIZE));
	drop(q, SIZE);
	drop(p, SIZE);
}

/* Behind the bytes there are zeros to the end of the page, whatever was there. */
static void
tail(void)
{
	unsigned char *p = send_and_take(1, SIZE);
	size_t odd = SIZE - 3 * PAGE + 100;

	drop(p, SIZE);
	p = send_and_take(2, odd);
	TRUE_(is(p, 2, 0, odd));
	for (size_t i = odd; i % PAGE != 0; i++)
		TRUE_(p[i] == 0);
	drop(p, odd);
}

/* What is given up in parts, or by others than libmach, stays as it is where it is not given up. */
static void
parts(void)
{
	unsigned char *p = send_and_take(1, SIZE), *q;

	drop(p, PAGE);
	q = send_and_take(2, SIZE);
	TRUE_(is(p, 1, PAGE, SIZE) && is(q, 2, 0, SIZE));
	drop(q, SIZE);
	q = send_and_take(3, SIZE);
	TRUE_(is(p, 1, PAGE, SIZE) && is(q, 3, 0, SIZE));
	drop(q + SIZE / 2, SIZE / 2);
	drop(p + PAGE, SIZE - PAGE);
	TRUE_(is(q, 3, 0, SIZE / 2));
	p = send_and_take(4, SIZE);
	TRUE_(is(p, 4, 0, SIZE) && is(q, 3, 0, SIZE / 2));
	drop(q, SIZE / 2);
	TRUE_(munmap(p, SIZE) == 0);
	p = send_and_take(5, SIZE);
	TRUE_(is(p, 5, 0, SIZE));
	drop(p, SIZE);
	/* Something else where it was, or in the middle of it; and itself elsewhere. */
	p = send_and_take(6, SIZE);
	q = mmap(p + SIZE / 2, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	TRUE_(q == p + SIZE / 2);
	q[0] = 7;
	drop(p, SIZE);
	p = send_and_take(7, SIZE);
	TRUE_(is(p, 7, 0, SIZE));
	q = mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
	    mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	TRUE_(q != MAP_FAILED && q != p);
	TRUE_(mmap(p, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
	drop(p, SIZE);
	p = send_and_take(12, SIZE);
	TRUE_(is(q, 7, 0, SIZE));
	drop(q, SIZE);
	drop(p, SIZE);
	for (uint32_t i = 8; i < 11; i++) {
		p = send_and_take(i, SIZE);
		TRUE_(is(p, i, 0, SIZE));
		OK(vm_protect(mach_task_self(), (vm_address_t)p + PAGE, PAGE, FALSE, VM_PROT_NONE));
		drop(p, SIZE);
	}
	p = send_and_take(5, SIZE);
	TRUE_(is(p, 5, 0, SIZE));
	OK(vm_protect(mach_task_self(), (vm_address_t)p, SIZE, FALSE, VM_PROT_READ));
	TRUE_(is(p, 5, 0, SIZE));
	OK(vm_protect(mach_task_self(), (vm_address_t)p, SIZE, FALSE, VM_PROT_READ | VM_PROT_WRITE));
	p[0]++;
	OK(put(p, SIZE)); /* on to the next */
	p[0]--;
	q = take(SIZE);
	TRUE_(q[0] == (unsigned char)(p[0] + 1) && is(q, 5, PAGE, SIZE));
	drop(p, SIZE);
	drop(q, SIZE);
}

/* A child keeps what its parent had, whatever the parent does with its own. */
static void
children(void)
{
	unsigned char *p = send_and_take(1, SIZE), *q;
	int go[2], status;
	char byte = 0;
	pid_t child;

	p[PAGE] = 42;
	TRUE_(pipe(go) == 0);
	if ((child = fork()) == 0) {
		if (read(go[0], &byte, 1) != 1)
			_exit(2);
		_exit(!(is(p, 1, 0, PAGE) && is(p, 1, 2 * PAGE, SIZE) && p[PAGE] == 42));
	}
	drop(p, SIZE);
	for (uint32_t i = 2; i < 5; i++) {
		q = send_and_take(i, SIZE);
		TRUE_(is(q, i, 0, SIZE));
		drop(q, SIZE);
	}
	TRUE_(write(go[1], &byte, 1) == 1);
	TRUE_(waitpid(child, &status, 0) == child && status == 0);
	close(go[0]);
	close(go[1]);
}

/* Memory that cannot be read is not sent, be it as large as it may. */
static void
invalid(void)
{
	unsigned char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *q;
	int fd = memfd_create("short", MFD_CLOEXEC);

	TRUE_(p != MAP_FAILED && fd >= 0 && ftruncate(fd, (off_t)SIZE - 2 * (off_t)PAGE) == 0);
	OK(put(p, SIZE));
	drop(take(SIZE), SIZE);
	TRUE_(mprotect(p + SIZE / 2, PAGE, PROT_NONE) == 0);
	IS(put(p, SIZE), MACH_SEND_INVALID_MEMORY);
	TRUE_(munmap(p + SIZE / 2, PAGE) == 0);
	IS(put(p, SIZE), MACH_SEND_INVALID_MEMORY);
	TRUE_(munmap(p, SIZE) == 0);
	IS(put(p, SIZE), MACH_SEND_INVALID_MEMORY);
	IS(put((void *)(uintptr_t)-PAGE, SIZE), MACH_SEND_INVALID_MEMORY);
	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	TRUE_(p != MAP_FAILED);
	IS(put(p, SIZE), MACH_SEND_INVALID_MEMORY);
	OK(put(p, SIZE - 2 * PAGE));
	q = take(SIZE - 2 * PAGE);
	TRUE_(q[0] == 0 && q[SIZE - 2 * PAGE - 1] == 0);
	drop(q, SIZE - 2 * PAGE);
	TRUE_(munmap(p, SIZE) == 0);
	close(fd);
}

int
main(void)
{
	mine = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TRUE_(mine != MAP_FAILED);
	OK(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port));
	OK(mach_port_insert_right(mach_task_self(), port, port, MACH_MSG_TYPE_MAKE_SEND));
	again();
	tail();
	parts();
	children();
	again(); /* after a fork, too */
	invalid();
	return 0;
}
