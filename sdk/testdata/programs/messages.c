/* Messages to oneself: inline of all sizes, rights, memory of all sizes, what fails. */
#include "check.h"

#pragma pack(push, 4)
struct memory {
	mach_msg_header_t header;
	mach_msg_body_t body;
	mach_msg_ool_descriptor_t memory[2];
	mach_msg_port_descriptor_t right;
	int tag;
	mach_msg_max_trailer_t trailer;
};
#pragma pack(pop)

static mach_port_t port;

static void
inline_of(size_t size)
{
	mach_msg_size_t all = (mach_msg_size_t)(sizeof(mach_msg_header_t) + size);
	unsigned char *m = calloc(1, all + MAX_TRAILER_SIZE), *back = calloc(1, all + MAX_TRAILER_SIZE);
	mach_msg_header_t *h = (mach_msg_header_t *)m;
	mach_msg_audit_trailer_t *t = (mach_msg_audit_trailer_t *)(back + round_msg(all));

	h->msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0);
	h->msgh_remote_port = port;
	h->msgh_id = 77;
	for (size_t i = sizeof *h; i < all; i++)
		m[i] = (unsigned char)(i * 7);
	OK(mach_msg(h, MACH_SEND_MSG, all, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL));
	if (size > 8) {
		IS(mach_msg((mach_msg_header_t *)back, MACH_RCV_MSG | MACH_RCV_LARGE, 0, 40, port, 0, 0), MACH_RCV_TOO_LARGE);
		TRUE_(((mach_msg_header_t *)back)->msgh_size == all);
	}
	OK(mach_msg((mach_msg_header_t *)back, MACH_RCV_MSG | MACH_RCV_TRAILER_ELEMENTS(MACH_RCV_TRAILER_AUDIT), 0,
	    all + MAX_TRAILER_SIZE, port, 0, MACH_PORT_NULL));
	TRUE_(((mach_msg_header_t *)back)->msgh_size == all && ((mach_msg_header_t *)back)->msgh_id == 77);
	TRUE_(((mach_msg_header_t *)back)->msgh_local_port == port);
	TRUE_(memcmp(m + sizeof *h, back + sizeof *h, size) == 0);
	TRUE_(t->msgh_trailer_size == sizeof *t && t->msgh_audit.val[5] > 1);
	free(m);
	free(back);
}

static void
memory_of(size_t size, int copy, int deallocate)
{
	struct memory m = { 0 }, back;
	vm_address_t at = 0;

	OK(vm_allocate(mach_task_self(), &at, size, VM_FLAGS_ANYWHERE));
	for (size_t i = 0; i < size; i++)
		((unsigned char *)at)[i] = (unsigned char)(i * 13);
	m.header.msgh_bits = MACH_MSGH_BITS_COMPLEX | MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0);
	m.header.msgh_remote_port = port;
	m.body.msgh_descriptor_count = 3;
	m.memory[0].address = (void *)at;
	m.memory[0].size = (mach_msg_size_t)size;
	m.memory[0].copy = (mach_msg_copy_options_t)copy & 3;
	m.memory[0].deallocate = deallocate != 0;
	m.memory[0].type = MACH_MSG_OOL_DESCRIPTOR;
	m.memory[1].address = (void *)(uintptr_t)"another";
	m.memory[1].size = 8;
	m.memory[1].type = MACH_MSG_OOL_DESCRIPTOR;
	m.right.name = port;
	m.right.disposition = MACH_MSG_TYPE_MAKE_SEND;
	m.right.type = MACH_MSG_PORT_DESCRIPTOR;
	m.tag = 4711;
	OK(mach_msg(&m.header, MACH_SEND_MSG, offsetof(struct memory, trailer), 0, MACH_PORT_NULL, 0, MACH_PORT_NULL));
	if (!deallocate) {
		memset((void *)at, 0, size); /* what was sent is what it was */
		OK(vm_deallocate(mach_task_self(), at, size));
	}
	OK(mach_msg(&back.header, MACH_RCV_MSG, 0, sizeof back, port, 0, MACH_PORT_NULL));
	TRUE_(back.tag == 4711 && back.right.name == port && back.memory[0].size == size);
	TRUE_(strcmp(back.memory[1].address, "another") == 0);
	for (size_t i = 0; i < size; i++)
		TRUE_(((unsigned char *)back.memory[0].address)[i] == (unsigned char)(i * 13));
	((unsigned char *)back.memory[0].address)[0] = 1; /* ours to write */
	mach_msg_destroy(&back.header);
}

/* A trailer is as long as was asked for; what is behind it stays. */
static void
trailers(void)
{
	static const size_t sizes[] = { 8, 12, 20, 52, 60, 68 };
	mach_port_t port;
	struct {
		mach_msg_header_t header;
		unsigned char rest[80];
	} m;

	OK(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port));
	for (int i = 0; i < 6; i++) {
		int elements = i == 5 ? MACH_RCV_TRAILER_AV : i;
		memset(&m, 0, sizeof m);
		m.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0);
		m.header.msgh_remote_port = port;
		OK(mach_msg(&m.header, MACH_SEND_MSG, sizeof m.header, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL));
		memset(&m, 0xff, sizeof m);
		OK(mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TRAILER_ELEMENTS(elements), 0, sizeof m, port, 0, MACH_PORT_NULL));
		IS(((mach_msg_trailer_t *)(void *)m.rest)->msgh_trailer_size, sizes[i]);
		for (size_t at = sizes[i]; at < sizeof m.rest; at++)
			IS(m.rest[at], 0xff);
	}
	OK(mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1));
}

int
main(int argc, char **argv)
{
	static const size_t sizes[] = { 0, 8, 100, 4096, 50000, 61000, 70000, 1 << 20 };
	static const size_t pieces[] = { 1, 100, 4096, 16384, 16385, 100000, 1 << 22 };
	struct memory m = { 0 };
	mach_port_t gone;

	OK(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port));
	OK(mach_port_insert_right(mach_task_self(), port, port, MACH_MSG_TYPE_MAKE_SEND));
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		inline_of(sizes[i]);
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		memory_of(pieces[i], MACH_MSG_PHYSICAL_COPY, 0);
		memory_of(pieces[i], MACH_MSG_VIRTUAL_COPY, 1);
	}

	IS(mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, port, 10, 0), MACH_RCV_TIMED_OUT);
	(void)argv;
	if (argc == 1) /* it ends a hardened process */
		IS(mach_msg(&m.header, MACH_RCV_MSG, 0, sizeof m, 0x88880b, 0, 0), MACH_RCV_INVALID_NAME);
	memset(&m, 0, sizeof m);
	m.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0);
	m.header.msgh_remote_port = 0x88880b;
	IS(mach_msg(&m.header, MACH_SEND_MSG, sizeof m.header, 0, 0, 0, 0), MACH_SEND_INVALID_DEST);
	OK(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &gone));
	OK(mach_port_insert_right(mach_task_self(), gone, gone, MACH_MSG_TYPE_MAKE_SEND));
	OK(mach_port_mod_refs(mach_task_self(), gone, MACH_PORT_RIGHT_RECEIVE, -1));
	m.header.msgh_remote_port = gone;
	IS(mach_msg(&m.header, MACH_SEND_MSG, sizeof m.header, 0, 0, 0, 0), MACH_SEND_INVALID_DEST);

	/* Memory that is not there. */
	m.header.msgh_remote_port = port;
	m.header.msgh_bits |= MACH_MSGH_BITS_COMPLEX;
	m.body.msgh_descriptor_count = 1;
	m.memory[0].address = (void *)16;
	m.memory[0].size = 100;
	m.memory[0].type = MACH_MSG_OOL_DESCRIPTOR;
	IS(mach_msg(&m.header, MACH_SEND_MSG, offsetof(struct memory, memory[1]), 0, 0, 0, 0), MACH_SEND_INVALID_MEMORY);

	/* A full queue; what could not be sent comes back. */
	m.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE);
	m.header.msgh_local_port = port;
	for (int i = 0; i < 5; i++)
		OK(mach_msg(&m.header, MACH_SEND_MSG, sizeof m.header, 0, 0, 0, 0));
	IS(mach_msg(&m.header, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof m.header, 0, 0, 5, 0), MACH_SEND_TIMED_OUT);
	TRUE_(MACH_MSGH_BITS_REMOTE(m.header.msgh_bits) == MACH_MSG_TYPE_MOVE_SEND);
	mach_msg_destroy(&m.header);
	trailers();
	return 0;
}
