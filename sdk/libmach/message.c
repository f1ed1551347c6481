/* mach_msg and its kin. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mach/message.h>
#include <mach/mach_traps.h>

#include "libmach.h"

#define LIBMACH_OPTIONS (MACH_SEND_INTERRUPT | MACH_RCV_INTERRUPT)

static int
send_error(mach_msg_return_t kr)
{
	return ((uint32_t)kr & ~0x3fffu) == 0x10000000u;
}

static size_t
align(size_t n, size_t to)
{
	return (n + to - 1) & ~(to - 1);
}

/* ---- Memory files -------------------------------------------------------------------------------------------------- */

#define PT_BULK_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Writes to a memory file; EFAULT for memory that is not there. */
static int
fill(int fd, const void *from, size_t n, off_t at)
{
	while (n > 0) {
		ssize_t done = pwrite(fd, from, n, at);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done < 0 ? errno : EIO;
		from = (const char *)from + done;
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

static int
give(struct pt_thread *t, uint32_t entry, int fd)
{
	struct pt_packet p = { 0 };
	int error = fcntl(fd, F_ADD_SEALS, PT_BULK_SEALS) == 0 ? 0 : errno;

	if (error == 0) {
		p.kind = PT_GIVE;
		p.a = t->index;
		p.b = entry;
		error = pt_send(&p, fd);
	}
	close(fd);
	return error;
}

/* Fetches a memory file, and the number to return it with; by its number if that is not 0. */
static int
take(struct pt_thread *t, uint32_t entry, uint32_t *number)
{
	struct pt_packet p = { 0 };
	int fd = -1;

	p.kind = PT_TAKE;
	p.a = t->index;
	p.b = entry;
	p.c = *number;
	if (pt_ask(&p, &fd) != 0)
		return -1;
	if (*number == 0)
		*number = p.b;
	return fd;
}

/* ---- Descriptors --------------------------------------------------------------------------------------------------- */

/* Walks the descriptors of a message of size bytes; *at is an offset, 0 at first. Returns NULL at the end. */
static mach_msg_descriptor_t *
next_descriptor(void *message, size_t size, size_t *at, uint32_t *left)
{
	mach_msg_base_t *base = message;
	mach_msg_descriptor_t *d;
	size_t n;

	if (*at == 0) {
		if (size < sizeof *base || !(base->header.msgh_bits & MACH_MSGH_BITS_COMPLEX))
			return NULL;
		*at = sizeof *base;
		*left = base->body.msgh_descriptor_count;
	}
	if (*left == 0 || *at + sizeof(mach_msg_port_descriptor_t) > size)
		return NULL;
	d = (mach_msg_descriptor_t *)(void *)((char *)message + *at);
	n = d->type.type == MACH_MSG_PORT_DESCRIPTOR ? sizeof(mach_msg_port_descriptor_t) : sizeof(mach_msg_ool_descriptor_t);
	if (*at + n > size)
		return NULL;
	*at += n;
	--*left;
	return d;
}

/* The memory that a descriptor points to; 0 if it has none. */
static uint64_t
extent(const mach_msg_descriptor_t *d, uint64_t *address, int *deallocate)
{
	switch (d->type.type) {
	case MACH_MSG_OOL_DESCRIPTOR:
	case MACH_MSG_OOL_VOLATILE_DESCRIPTOR:
		*address = (uint64_t)(uintptr_t)d->out_of_line.address;
		*deallocate = d->out_of_line.deallocate != 0;
		return d->out_of_line.size;
	case MACH_MSG_OOL_PORTS_DESCRIPTOR:
		*address = (uint64_t)(uintptr_t)d->ool_ports.address;
		*deallocate = d->ool_ports.deallocate != 0;
		return (uint64_t)d->ool_ports.count * sizeof(mach_port_name_t);
	}
	return 0;
}

/* What is to be unmapped once the message has gone. */
struct moved {
	uint64_t address, size;
};
#define MOVED_MAX PT_OOL_MAX

struct outgoing {
	struct pt_thread *t;
	size_t used;	 /* bytes at PT_IN */
	uint32_t pieces; /* entries of ool_in */
	uint32_t moves;
	struct moved moved[MOVED_MAX];
};

/* Lists the memory of a message, and copies or gives it. A piece that cannot be read is left out: the kernel says so. */
static int
lay_out(struct outgoing *o, void *message, size_t size, int bulk)
{
	struct pt_lane *l = o->t->lane;
	char *in = (char *)l + PT_IN;
	mach_msg_descriptor_t *d;
	size_t at = 0;
	uint32_t left = 0;

	while ((d = next_descriptor(message, size, &at, &left)) != NULL) {
		uint64_t address = 0, n;
		int deallocate = 0;
		size_t place;
		struct pt_ool *p;

		n = extent(d, &address, &deallocate);
		if (n == 0 || address == 0)
			continue;
		if (o->pieces == PT_OOL_MAX)
			return MACH_SEND_TOO_LARGE;
		p = &l->ool_in[o->pieces];
		p->address = address;
		p->size = n;
		place = align(o->used, 16);
		/* Its pages in the lane are made the second time: a thread may send so much only once. */
		if (!bulk && n <= (o->t->large ? PT_LENT_MAX : PT_INLINE_MAX) && place + n <= PT_IN_SIZE) {
			if (pt_copy(in + place, address, n) != 0)
				continue;
			p->offset = place;
			o->used = place + n;
		} else {
			int fd = memfd_create("bulk", MFD_CLOEXEC | MFD_ALLOW_SEALING), error;
			if (fd < 0)
				return MACH_SEND_NO_BUFFER;
			error = fill(fd, (const void *)(uintptr_t)address, n, 0);
			if (error != 0) {
				close(fd);
				if (error == EFAULT)
					continue;
				return MACH_SEND_NO_BUFFER;
			}
			if (give(o->t, o->pieces, fd) != 0)
				return MACH_SEND_NO_BUFFER;
			p->offset = PT_BULK;
			o->t->large = 1;
		}
		o->pieces++;
		if (deallocate && o->moves < MOVED_MAX) {
			o->moved[o->moves].address = address;
			o->moved[o->moves++].size = n;
		}
	}
	return 0;
}

/* Makes memory for entry i of ool_out; 0 if there is none. */
static uint64_t
place(struct pt_thread *t, uint32_t i)
{
	const struct pt_ool *e = &t->lane->ool_out[i];
	uint64_t size = e->size, offset = e->offset;
	void *m;

	if (offset >= PT_LANDED) {
		uint32_t number = offset == PT_BULK ? 0 : (uint32_t)offset;
		uint64_t kept = number != 0 ? pt_kept(size, number) : 0;
		int fd;

		if (kept != 0)
			return kept;
		if ((fd = take(t, i, &number)) < 0)
			return 0;
		m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
		if (number != 0 && m != MAP_FAILED)
			pt_landed((uint64_t)(uintptr_t)m, size, number, fd);
		close(fd);
	} else {
		if (offset > PT_OUT_SIZE || size > PT_OUT_SIZE - offset)
			return 0;
		m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (m != MAP_FAILED)
			memcpy(m, (char *)t->lane + PT_OUT + offset, size);
	}
	return m == MAP_FAILED ? 0 : (uint64_t)(uintptr_t)m;
}

/* Puts the memory of a message that came where the program can use it. Returns how many pieces there were. */
static uint32_t
settle(struct pt_thread *t, void *message, size_t size)
{
	uint32_t count = t->lane->ool_out_count, left = 0, n = 0;
	mach_msg_descriptor_t *d;
	size_t at = 0;

	if (count == 0)
		return 0;
	while ((d = next_descriptor(message, size, &at, &left)) != NULL) {
		uint64_t address = 0, length;
		int deallocate;

		length = extent(d, &address, &deallocate);
		if (length == 0 || (address & ~(uint64_t)0xff) != PT_COOKIE)
			continue;
		for (uint32_t i = 0; i < count && i < PT_OOL_MAX; i++) {
			if (t->lane->ool_out[i].address != address)
				continue;
			d->out_of_line.address = (void *)(uintptr_t)place(t, i);
			n++;
			break;
		}
	}
	return n;
}

/* ---- The call ------------------------------------------------------------------------------------------------------ */

struct call {
	uint32_t op;
	uint64_t options;
	const mach_msg_header_t *header; /* from the arguments; NULL: that of the message */
	const void *message;
	size_t size;
	const void *aux;
	size_t aux_size;
	uint32_t descriptors;
	mach_port_name_t from;
	void *buffer;
	size_t room;
	void *aux_buffer;
	size_t aux_room;
	uint64_t timeout;
	uint32_t priority;
	int interruptible;
};

/* Fetches a message that was too large for the lane. */
static const char *
fetch(struct pt_thread *t, size_t *size, void **mapped)
{
	uint32_t number = 0;
	int fd;

	*mapped = NULL;
	if (t->lane->ool_out_count == 0 || t->lane->ool_out[0].address != 0) {
		*size = t->lane->out_size < PT_OUT_SIZE ? t->lane->out_size : PT_OUT_SIZE;
		return (const char *)t->lane + PT_OUT;
	}
	*size = t->lane->ool_out[0].size;
	if ((fd = take(t, 0, &number)) < 0)
		return NULL;
	*mapped = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (*mapped == MAP_FAILED) {
		*mapped = NULL;
		return NULL;
	}
	return *mapped;
}

static mach_msg_return_t
call(const struct call *c)
{
	struct pt_thread *t = pt_enter();
	struct outgoing o;
	struct pt_lane *l;
	mach_msg_return_t kr;
	size_t whole = 0, got, aux;
	uint32_t in_size = 0;
	int saved = errno;

	if (t == NULL)
		return c->options & MACH_SEND_MSG ? MACH_SEND_INVALID_DEST : MACH_RCV_INVALID_NAME;
	l = t->lane;
	o.t = t;
	o.used = o.pieces = o.moves = 0;
	if (c->options & MACH_SEND_MSG) {
		char *in = (char *)l + PT_IN;
		int bulk;

		whole = c->aux_size != 0 ? align(c->size, 8) + c->aux_size : c->size;
		bulk = whole > PT_REQUEST_MAX;
		if (bulk) {
			/* The message itself is the first entry; its memory goes in files too. */
			in = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (in == MAP_FAILED) {
				pt_leave(t);
				return MACH_SEND_NO_BUFFER;
			}
		}
		memcpy(in, c->message, c->size);
		if (c->aux_size != 0)
			memcpy(in + align(c->size, 8), c->aux, c->aux_size);
		if (c->size >= sizeof(mach_msg_header_t)) {
			mach_msg_header_t *h = (mach_msg_header_t *)(void *)in;
			if (c->header != NULL)
				*h = *c->header;
			h->msgh_size = (mach_msg_size_t)c->size;
			if (c->header != NULL && (h->msgh_bits & MACH_MSGH_BITS_COMPLEX) && c->size >= sizeof(mach_msg_base_t))
				((mach_msg_base_t *)(void *)in)->body.msgh_descriptor_count = c->descriptors;
		}
		if (bulk) {
			l->ool_in[0].address = 0;
			l->ool_in[0].size = whole;
			l->ool_in[0].offset = PT_BULK;
			o.pieces = 1;
		} else {
			o.used = whole;
		}
		kr = MACH_MSG_SUCCESS;
		if (c->size >= sizeof(mach_msg_base_t))
			kr = lay_out(&o, in, c->size, bulk);
		if (bulk) {
			int fd = memfd_create("bulk", MFD_CLOEXEC | MFD_ALLOW_SEALING);
			if (fd < 0 || fill(fd, in, whole, 0) != 0 || give(t, 0, fd) != 0)
				kr = MACH_SEND_NO_BUFFER;
			munmap(in, whole);
		} else {
			in_size = (uint32_t)o.used;
		}
		if (kr != MACH_MSG_SUCCESS) {
			pt_leave(t);
			errno = saved;
			return kr;
		}
	}
	l->args[0] = c->options;
	l->args[1] = c->from;
	l->args[2] = c->room;
	l->args[3] = c->timeout;
	l->args[4] = c->priority;
	l->args[5] = (uint64_t)(uintptr_t)c->buffer;
	l->args[6] = c->options & MACH_SEND_MSG ? c->size : 0;
	l->args[7] = c->options & MACH_SEND_MSG ? c->aux_size : 0;
	l->args[8] = c->aux_room;
	if (!pt_post(t, c->op, in_size, o.pieces, c->interruptible)) {
		pt_leave(t);
		return c->options & MACH_SEND_MSG ? MACH_SEND_INVALID_DEST : MACH_RCV_PORT_DIED;
	}
	kr = (mach_msg_return_t)l->result[0];
	got = 0;
	aux = l->result[2];
	if (l->result[1] == 1 && send_error(kr)) {
		/* Half way: the message is back, and what it moved with it. */
		void *mapped;
		const char *from = fetch(t, &got, &mapped);
		if (from != NULL && got <= c->size) {
			void *back = (void *)(uintptr_t)c->message;
			memcpy(back, from, got);
			if (settle(t, back, got) == 0)
				o.moves = 0;
		} else {
			o.moves = 0;
		}
		if (mapped != NULL)
			munmap(mapped, got);
	} else if (send_error(kr)) {
		o.moves = 0;
	} else if (c->options & MACH_RCV_MSG) {
		void *mapped;
		const char *from = fetch(t, &got, &mapped);
		size_t message = aux < got ? got - aux : aux == 0 ? got : 0;

		if (from != NULL && got != 0) {
			if (message > c->room)
				message = c->room;
			memcpy(c->buffer, from, message);
			if (aux != 0 && c->aux_buffer != NULL)
				memcpy(c->aux_buffer, from + (got - aux), aux < c->aux_room ? aux : c->aux_room);
			if (message >= sizeof(mach_msg_base_t))
				settle(t, c->buffer, message);
		}
		if (mapped != NULL)
			munmap(mapped, got);
	}
	pt_leave(t);
	for (uint32_t i = 0; i < o.moves; i++)
		pt_unmap(o.moved[i].address, o.moved[i].size);
	errno = saved;
	return kr;
}

/* ---- Traps ---------------------------------------------------------------------------------------------------------- */

mach_msg_return_t
mach_msg2_trap(void *data, mach_msg_option64_t options, uint64_t bits_and_size, uint64_t remote_and_local,
	uint64_t voucher_and_id, uint64_t count_and_name, uint64_t room_and_priority, uint64_t timeout)
{
	mach_msg_header_t header;
	struct call c = { 0 };

	header.msgh_bits = (uint32_t)bits_and_size;
	header.msgh_size = (uint32_t)(bits_and_size >> 32);
	header.msgh_remote_port = (uint32_t)remote_and_local;
	header.msgh_local_port = (uint32_t)(remote_and_local >> 32);
	header.msgh_voucher_port = (uint32_t)voucher_and_id;
	header.msgh_id = (mach_msg_id_t)(voucher_and_id >> 32);
	c.op = PT_OP_MSG2;
	c.options = options;
	c.header = &header;
	c.message = c.buffer = data;
	c.size = header.msgh_size;
	c.descriptors = (uint32_t)count_and_name;
	c.from = (uint32_t)(count_and_name >> 32);
	c.room = (uint32_t)room_and_priority;
	c.priority = (uint32_t)(room_and_priority >> 32);
	c.timeout = timeout;
	c.interruptible = (options & LIBMACH_OPTIONS) != 0;
	if (options & MACH64_MSG_VECTOR) {
		const mach_msg_vector_t *v = data;
		/* In the place of the sizes are numbers of entries. */
		uint32_t sent = header.msgh_size, received = (uint32_t)room_and_priority;

		if (v == NULL || sent > MACH_MSGV_MAX_COUNT || received > MACH_MSGV_MAX_COUNT)
			return options & MACH64_SEND_MSG ? MACH_SEND_INVALID_DATA : MACH_RCV_INVALID_ARGUMENTS;
		c.message = (const void *)(uintptr_t)v[0].msgv_data;
		c.size = options & MACH64_SEND_MSG && sent > 0 ? v[0].msgv_send_size : 0;
		c.buffer = (void *)(uintptr_t)(v[0].msgv_rcv_addr != 0 ? v[0].msgv_rcv_addr : v[0].msgv_data);
		c.room = options & MACH64_RCV_MSG && received > 0 ? v[0].msgv_rcv_size : 0;
		if (sent > 1) {
			c.aux = (const void *)(uintptr_t)v[1].msgv_data;
			c.aux_size = v[1].msgv_send_size;
		}
		if (received > 1) {
			c.aux_buffer = (void *)(uintptr_t)(v[1].msgv_rcv_addr != 0 ? v[1].msgv_rcv_addr : v[1].msgv_data);
			c.aux_room = v[1].msgv_rcv_size;
		}
	}
	if (options & MACH64_SEND_MSG && c.message == NULL)
		return MACH_SEND_INVALID_DATA;
	return call(&c);
}

mach_msg_return_t
mach_msg_overwrite_trap(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size,
	mach_msg_size_t rcv_size, mach_port_name_t rcv_name, mach_msg_timeout_t timeout, mach_msg_priority_t priority,
	mach_msg_header_t *rcv_msg, mach_msg_size_t rcv_limit)
{
	struct call c = { 0 };

	(void)rcv_limit;
	c.op = PT_OP_MSG_LEGACY;
	c.options = (uint32_t)option;
	c.message = msg;
	c.buffer = rcv_msg != NULL ? rcv_msg : msg;
	c.size = send_size;
	c.from = rcv_name;
	c.room = rcv_size;
	c.timeout = timeout;
	c.priority = priority;
	c.interruptible = (option & LIBMACH_OPTIONS) != 0;
	return call(&c);
}

mach_msg_return_t
mach_msg_trap(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size, mach_msg_size_t rcv_size,
	mach_port_name_t rcv_name, mach_msg_timeout_t timeout, mach_msg_priority_t priority)
{
	return mach_msg_overwrite_trap(msg, option, send_size, rcv_size, rcv_name, timeout, priority, NULL, 0);
}

/* ---- The library's calls -------------------------------------------------------------------------------------------- */

/* An interrupted call is made again, unless the caller wants to know. */
static mach_msg_return_t
overwrite(mach_msg_header_t *msg, uint64_t options, mach_msg_size_t send_size, mach_msg_size_t rcv_size,
	mach_port_name_t rcv_name, mach_msg_timeout_t timeout, mach_msg_priority_t priority, mach_msg_header_t *rcv_msg)
{
	struct call c = { 0 };
	mach_msg_return_t kr;

	c.op = PT_OP_MSG2;
	c.options = options & ~(uint64_t)LIBMACH_OPTIONS;
	c.message = msg;
	c.buffer = rcv_msg != NULL ? rcv_msg : msg;
	c.size = send_size;
	c.from = rcv_name;
	c.room = rcv_size;
	c.timeout = timeout;
	c.priority = priority;
	c.interruptible = (options & LIBMACH_OPTIONS) != 0;
	if ((options & MACH_SEND_MSG) && msg == NULL)
		return MACH_SEND_INVALID_DATA;
	kr = call(&c);
	while (kr == MACH_SEND_INTERRUPTED && !(options & MACH_SEND_INTERRUPT))
		kr = call(&c);
	while (kr == MACH_RCV_INTERRUPTED && !(options & MACH_RCV_INTERRUPT)) {
		c.options &= ~(uint64_t)MACH_SEND_MSG;
		kr = call(&c);
	}
	return kr;
}

mach_msg_return_t
mach_msg_overwrite(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size, mach_msg_size_t rcv_size,
	mach_port_name_t rcv_name, mach_msg_timeout_t timeout, mach_port_name_t notify, mach_msg_header_t *rcv_msg,
	mach_msg_size_t rcv_limit)
{
	(void)rcv_limit;
	/* The library cannot know what kind of receiver it is, and says a queue: calls of the kernel go through its stubs. */
	return overwrite(msg, (uint32_t)option | MACH64_SEND_MQ_CALL, send_size, rcv_size, rcv_name, timeout, notify, rcv_msg);
}

mach_msg_return_t
mach_msg(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size, mach_msg_size_t rcv_size,
	mach_port_name_t rcv_name, mach_msg_timeout_t timeout, mach_port_name_t notify)
{
	return overwrite(msg, (uint32_t)option | MACH64_SEND_MQ_CALL, send_size, rcv_size, rcv_name, timeout, notify, NULL);
}

mach_msg_return_t
pt_msg_kobject(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size, mach_msg_size_t rcv_size,
	mach_port_name_t rcv_name, mach_msg_timeout_t timeout, mach_port_name_t notify)
{
	return overwrite(msg, (uint32_t)option | MACH64_SEND_KOBJECT_CALL, send_size, rcv_size, rcv_name, timeout, notify,
	    NULL);
}

mach_msg_return_t
mach_msg2_internal(void *data, mach_msg_option64_t options, uint64_t bits_and_size, uint64_t remote_and_local,
	uint64_t voucher_and_id, uint64_t count_and_name, uint64_t room_and_priority, uint64_t timeout)
{
	mach_msg_return_t kr = mach_msg2_trap(data, options & ~(uint64_t)LIBMACH_OPTIONS, bits_and_size, remote_and_local,
	    voucher_and_id, count_and_name, room_and_priority, timeout);

	while (kr == MACH_SEND_INTERRUPTED && !(options & MACH64_SEND_INTERRUPT))
		kr = mach_msg2_trap(data, options & ~(uint64_t)LIBMACH_OPTIONS, bits_and_size, remote_and_local,
		    voucher_and_id, count_and_name, room_and_priority, timeout);
	while (kr == MACH_RCV_INTERRUPTED && !(options & MACH64_RCV_INTERRUPT))
		kr = mach_msg2_trap(data, options & ~(uint64_t)(LIBMACH_OPTIONS | MACH_SEND_MSG), bits_and_size & 0xffffffffu,
		    remote_and_local, voucher_and_id, count_and_name & ~(uint64_t)0xffffffffu, room_and_priority, timeout);
	return kr;
}

mach_msg_return_t
mach_msg_send(mach_msg_header_t *msg)
{
	return mach_msg(msg, MACH_SEND_MSG, msg->msgh_size, 0, MACH_PORT_NULL, MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);
}

mach_msg_return_t
mach_msg_receive(mach_msg_header_t *msg)
{
	return mach_msg(msg, MACH_RCV_MSG, 0, msg->msgh_size, msg->msgh_local_port, MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);
}
