package defs_test

// runtimeC is what the C programs of the tests link the stubs with: messages go over standard output and input instead
// of into a kernel. A frame is a letter, a length and bytes.
const runtimeC = `
#include <stdio.h>
static void put(const void *p, size_t n) { if (n && fwrite(p, 1, n, stdout) != n) exit(1); }
static void put_u32(uint32_t v) { put(&v, 4); }
static void put_blob(const void *p, size_t n) { put_u32((uint32_t)n); put(p, n); }
static void get(void *p, size_t n) { if (n && fread(p, 1, n, stdin) != n) exit(2); }
static uint32_t get_u32(void) { uint32_t v; get(&v, 4); return v; }
static uint32_t get_blob(void *p, size_t room) { uint32_t n = get_u32(); if (n > room) exit(3); get(p, n); return n; }
static void *get_memory(uint32_t *n) { *n = get_u32(); void *p = malloc(*n + 1); get(p, *n); return p; }
static char big[1 << 20];

/* Writes or reads the out-of-line memory that a message names, after the message. */
static void memory(mach_msg_header_t *h, int sending)
{
	if (!(h->msgh_bits & MACH_MSGH_BITS_COMPLEX))
		return;
	char *p = (char *)(h + 1) + sizeof(mach_msg_body_t);
	uint32_t n = ((mach_msg_body_t *)(h + 1))->msgh_descriptor_count;
	while (n--) {
		mach_msg_ool_descriptor_t d;
		size_t size = p[11] == MACH_MSG_PORT_DESCRIPTOR ? sizeof(mach_msg_port_descriptor_t) : sizeof d;
		if (p[11] != MACH_MSG_PORT_DESCRIPTOR) {
			memcpy(&d, p, sizeof d);
			uint64_t bytes = p[11] == MACH_MSG_OOL_DESCRIPTOR ? d.size : d.size * (uint64_t)4;
			if (sending) {
				put_blob(d.address, bytes);
			} else {
				uint32_t got;
				d.address = get_memory(&got);
				memcpy(p, &d, sizeof d);
			}
		}
		p += size;
	}
}

static void send_message(mach_msg_header_t *h)
{
	put("M", 1);
	put_blob(h, h->msgh_size);
	memory(h, 1);
	fflush(stdout);
}

/* Returns what mach_msg returns. The kernel destroys a message for which there is no room. */
static int receive_message(mach_msg_header_t *h, uint32_t room)
{
	uint32_t n = get_blob(big, sizeof big);
	memory((mach_msg_header_t *)(void *)big, 0);
	if (((mach_msg_header_t *)(void *)big)->msgh_size + 8 > room)
		return 0x10004004; /* MACH_RCV_TOO_LARGE */
	memcpy(h, big, n < room ? n : room);
	return 0;
}

static uint32_t messages, rights; /* that were destroyed */
static int served;

static void done(void)
{
	put("D", 1);
	put_u32(rights);
	rights = 0;
	fflush(stdout);
}

mach_msg_return_t
mach_msg(mach_msg_header_t *h, mach_msg_option_t o, mach_msg_size_t send_size, mach_msg_size_t rcv_size,
    mach_port_t name,
    mach_msg_timeout_t t, mach_port_t notify)
{
	(void)t; (void)notify; (void)name;
	if (o & MACH_SEND_MSG) {
		if (send_size != h->msgh_size)
			exit(4);
		send_message(h);
	}
	if (o & MACH_RCV_MSG) {
		if (!(o & MACH_SEND_MSG)) { /* a server: what became of the request before, and the next */
			if (served++)
				done();
			if (getchar() != 'M')
				return 0x10004009; /* MACH_RCV_PORT_DIED */
		}
		return receive_message(h, rcv_size);
	}
	return 0;
}

static void destroy_right(mach_port_t p, unsigned disposition)
{
	if (p != MACH_PORT_NULL && disposition >= 16 && disposition <= 18)
		rights++;
}

/* Counts the rights of a message. Each is gone then, so that none is counted twice. */
void mach_msg_destroy(mach_msg_header_t *h)
{
	messages++;
	destroy_right(h->msgh_remote_port, MACH_MSGH_BITS_REMOTE(h->msgh_bits));
	if (!(h->msgh_bits & MACH_MSGH_BITS_COMPLEX))
		return;
	char *p = (char *)(h + 1) + sizeof(mach_msg_body_t);
	uint32_t n = ((mach_msg_body_t *)(h + 1))->msgh_descriptor_count;
	while (n--) {
		if (p[11] == MACH_MSG_PORT_DESCRIPTOR) {
			mach_msg_port_descriptor_t d;
			memcpy(&d, p, sizeof d);
			destroy_right(d.name, d.disposition);
			p += sizeof d;
			continue;
		}
		mach_msg_ool_ports_descriptor_t d;
		memcpy(&d, p, sizeof d);
		for (uint32_t i = 0; d.type == MACH_MSG_OOL_PORTS_DESCRIPTOR && i < d.count; i++)
			destroy_right(((mach_port_t *)d.address)[i], d.disposition);
		p += sizeof d;
	}
}
mach_port_t mig_get_reply_port(void) { return 0x1003; }
mach_port_t mig_get_special_reply_port(void) { return 0x1103; }
void mig_put_reply_port(mach_port_t p) { (void)p; }
void mig_dealloc_reply_port(mach_port_t p) { (void)p; }
void mig_deallocate(const void *p, uint64_t n) { (void)p; (void)n; }
`
