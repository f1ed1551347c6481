/*
 * What stubs written by "portcullis mig --c" need of a system: message structures, codes, and the functions that send
 * and that destroy.
 *
 * Where there is a mach/mig.h, that and the headers beside it are the system: Apple's SDK, or ours. Elsewhere, and with
 * PORTCULLIS_MIG_STANDALONE, all is declared here, and whoever links the stubs provides the functions.
 */
#ifndef PORTCULLIS_MIG_H
#define PORTCULLIS_MIG_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if !defined(PORTCULLIS_MIG_STANDALONE) && !defined(PORTCULLIS_MIG_SYSTEM) && defined(__has_include)
#if __has_include(<mach/mig.h>)
#define PORTCULLIS_MIG_SYSTEM 1
#endif
#endif

#ifdef PORTCULLIS_MIG_SYSTEM

/* None of these includes a generated header, so that mach/task.h and its like may be generated. */
#include <mach/message.h>
#include <mach/mig.h>
#include <mach/mig_errors.h>
#include <mach/ndr.h>
#include <mach/notify.h>

extern void mach_msg_destroy(mach_msg_header_t *);
extern mach_port_t mig_get_special_reply_port(void);

/* Frees memory that a request brought out of line. */
static inline void
mig_release(const void *address, uint64_t size)
{
	mig_deallocate((vm_address_t)(uintptr_t)address, (vm_size_t)size);
}

#else /* all is declared here */

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t integer_t;
typedef uint32_t natural_t;
typedef int boolean_t;
typedef int kern_return_t;
typedef uint32_t mach_port_t;
typedef uint32_t mach_port_name_t;
typedef uint32_t mach_msg_bits_t;
typedef uint32_t mach_msg_size_t;
typedef int32_t mach_msg_id_t;
typedef int32_t mach_msg_option_t;
typedef uint32_t mach_msg_timeout_t;
typedef uint32_t mach_msg_type_name_t;
typedef uint32_t mach_msg_type_number_t;
typedef kern_return_t mach_msg_return_t;
typedef struct { uint32_t val[2]; } security_token_t;
typedef struct { uint32_t val[8]; } audit_token_t;

#ifndef TRUE
#define TRUE 1
#define FALSE 0
#endif
#define MACH_PORT_NULL ((mach_port_t)0)
#define KERN_SUCCESS 0

#pragma pack(push, 4)
typedef struct {
	mach_msg_bits_t msgh_bits;
	mach_msg_size_t msgh_size;
	mach_port_t msgh_remote_port;
	mach_port_t msgh_local_port;
	mach_port_name_t msgh_voucher_port;
	mach_msg_id_t msgh_id;
} mach_msg_header_t;
typedef struct { uint32_t msgh_descriptor_count; } mach_msg_body_t;
typedef struct {
	mach_port_t name;
	uint32_t pad1;
	uint16_t pad2;
	uint8_t disposition;
	uint8_t type;
} mach_msg_port_descriptor_t;
typedef struct {
	void *address;
	uint8_t deallocate;
	uint8_t copy;
	uint8_t pad1;
	uint8_t type;
	mach_msg_size_t size;
} mach_msg_ool_descriptor_t;
typedef struct {
	void *address;
	uint8_t deallocate;
	uint8_t copy;
	uint8_t disposition;
	uint8_t type;
	mach_msg_size_t count;
} mach_msg_ool_ports_descriptor_t;
typedef struct {
	uint32_t msgh_trailer_type;
	uint32_t msgh_trailer_size;
	uint32_t msgh_seqno;
	security_token_t msgh_sender;
	audit_token_t msgh_audit;
	uint64_t msgh_context;
	int32_t msgh_ad;
	uint32_t msgh_labels;
} mach_msg_max_trailer_t;
#pragma pack(pop)

typedef struct { uint8_t mig_vers, if_vers, reserved1, mig_encoding, int_rep, char_rep, float_rep, reserved2; } NDR_record_t;
typedef struct { mach_msg_header_t Head; NDR_record_t NDR; kern_return_t RetCode; } mig_reply_error_t;

#define MACH_MSGH_BITS_COMPLEX 0x80000000u
#define MACH_MSGH_BITS(remote, local) ((mach_msg_bits_t)((remote) | ((local) << 8)))
#define MACH_MSGH_BITS_REMOTE(bits) ((bits) & 0x1fu)
#define MACH_MSGH_BITS_LOCAL(bits) (((bits) >> 8) & 0x1fu)

#define MACH_MSG_TYPE_MOVE_SEND 17
#define MACH_MSG_TYPE_MOVE_SEND_ONCE 18
#define MACH_MSG_TYPE_MAKE_SEND_ONCE 21

#define MACH_MSG_PORT_DESCRIPTOR 0
#define MACH_MSG_OOL_DESCRIPTOR 1
#define MACH_MSG_OOL_PORTS_DESCRIPTOR 2
#define MACH_MSG_PHYSICAL_COPY 0
#define MACH_MSG_VIRTUAL_COPY 1

#define MACH_MSG_OPTION_NONE 0
#define MACH_SEND_MSG 0x1
#define MACH_RCV_MSG 0x2
#define MACH_RCV_LARGE 0x4
#define MACH_RCV_LARGE_IDENTITY 0x8
#define MACH_SEND_TIMEOUT 0x10
#define MACH_SEND_OVERRIDE 0x20
#define MACH_SEND_INTERRUPT 0x40
#define MACH_SEND_NOTIFY 0x80
#define MACH_RCV_TIMEOUT 0x100
#define MACH_RCV_INTERRUPT 0x400
#define MACH_RCV_VOUCHER 0x800
#define MACH_RCV_GUARDED_DESC 0x1000
#define MACH_RCV_SYNC_WAIT 0x4000
#define MACH_RCV_SYNC_PEEK 0x8000
#define MACH_SEND_FILTER_NONFATAL 0x10000
#define MACH_SEND_TRAILER 0x20000
#define MACH_SEND_NOIMPORTANCE 0x40000
#define MACH_SEND_IMPORTANCE 0x80000
#define MACH_SEND_SYNC_OVERRIDE 0x100000
#define MACH_SEND_PROPAGATE_QOS 0x200000
#define MACH_SEND_SYNC_USE_THRPRI MACH_SEND_PROPAGATE_QOS
#define MACH_SEND_SYNC_BOOTSTRAP_CHECKIN 0x800000
#define MACH_RCV_TRAILER_ELEMENTS(x) ((x) << 24)

#define MACH_SEND_INVALID_DATA 0x10000002
#define MACH_SEND_INVALID_DEST 0x10000003
#define MACH_SEND_TIMED_OUT 0x10000004
#define MACH_SEND_INTERRUPTED 0x10000007
#define MACH_SEND_INVALID_HEADER 0x10000010
#define MACH_NOTIFY_SEND_ONCE 71

#define MIG_TYPE_ERROR -300
#define MIG_REPLY_MISMATCH -301
#define MIG_BAD_ID -303
#define MIG_BAD_ARGUMENTS -304
#define MIG_NO_REPLY -305
#define MIG_ARRAY_TOO_LARGE -307
#define MIG_SERVER_DIED -308
#define MIG_TRAILER_ERROR -309

extern mach_msg_return_t mach_msg(mach_msg_header_t *, mach_msg_option_t, mach_msg_size_t send_size,
    mach_msg_size_t rcv_size, mach_port_t rcv_name, mach_msg_timeout_t, mach_port_t notify);
extern void mach_msg_destroy(mach_msg_header_t *);
extern mach_port_t mig_get_reply_port(void);
extern mach_port_t mig_get_special_reply_port(void);
extern void mig_put_reply_port(mach_port_t);
extern void mig_dealloc_reply_port(mach_port_t);
extern void mig_deallocate(const void *, uint64_t size);

static inline void
mig_release(const void *address, uint64_t size)
{
	mig_deallocate(address, size);
}

typedef void (*mig_stub_routine_t)(mach_msg_header_t *, mach_msg_header_t *);
typedef mig_stub_routine_t (*mig_server_routine_t)(mach_msg_header_t *);

#ifdef __cplusplus
}
#endif

#endif /* PORTCULLIS_MIG_SYSTEM */

/* A routine in the table of a subsystem; the layout is that of Apple's routine_descriptor. */
struct mig_routine {
	mig_stub_routine_t impl_routine; /* null */
	mig_stub_routine_t stub_routine; /* null for an id that is skipped */
	uint32_t argc;                   /* 32-bit words of scalar parameters */
	uint32_t descr_count;            /* 0 */
	const void *arg_descr;           /* null */
	uint32_t max_reply_msg;
};

#ifdef __cplusplus
#define MIG_ASSERT_SIZE(type, n) static_assert(sizeof(type) == (n), "a C type has another size than the definition says")
#else
#define MIG_ASSERT_SIZE(type, n) _Static_assert(sizeof(type) == (n), "a C type has another size than the definition says")
#endif

/* The encoding of this machine's data. */
static const NDR_record_t mig_NDR = { 0, 0, 0, 0, 1, 0, 0, 0 };

static inline int
mig_bad_NDR(const NDR_record_t *n)
{
	return n->int_rep != 1 || n->char_rep != 0 || n->float_rep != 0;
}

static inline uint32_t
mig_round(uint32_t n)
{
	return (n + 3) & ~(uint32_t)3;
}

/* Copies a string into len bytes with its NUL, cut to fit, the rest zero; returns its bytes with the NUL. */
static inline uint32_t
mig_copy_string(char *to, const char *from, uint32_t len)
{
	uint32_t n = 0;
	while (from != NULL && n + 1 < len && from[n] != '\0') {
		to[n] = from[n];
		n++;
	}
	memset(to + n, 0, len - n);
	return n + 1;
}

/* Moves a variable item down behind what is before it, and pads it; returns the end. */
static inline uint32_t
mig_slide(void *message, uint32_t at, uint32_t from, uint32_t len)
{
	if (at != from)
		memmove((char *)message + at, (char *)message + from, len);
	memset((char *)message + at + len, 0, mig_round(len) - len);
	return at + mig_round(len);
}

typedef boolean_t (*mig_demux_t)(mach_msg_header_t *request, mach_msg_header_t *reply);

/*
 * Lets a server serve a request, and destroys what the request brought unless the server has taken it. Returns whether
 * the reply is to be sent.
 */
static inline int
mig_answer(mig_demux_t demux, mach_msg_header_t *request, mach_msg_header_t *reply)
{
	(void)demux(request, reply);
	if (!(reply->msgh_bits & MACH_MSGH_BITS_COMPLEX)) {
		kern_return_t code = ((mig_reply_error_t *)(void *)reply)->RetCode;
		if (code == MIG_NO_REPLY)
			return 0;
		if (code != KERN_SUCCESS) {
			request->msgh_remote_port = MACH_PORT_NULL; /* the right to answer is the reply's now */
			mach_msg_destroy(request);
		}
	}
	return reply->msgh_remote_port != MACH_PORT_NULL;
}

/*
 * Receives requests from a port or port set and serves them until receiving or sending fails for good, which it returns.
 * No request or reply may be larger than size. A client that is gone, or that does not receive, loses its reply.
 */
static inline mach_msg_return_t
mig_serve(mig_demux_t demux, mach_msg_size_t size, mach_port_t port, mach_msg_option_t options)
{
	mach_msg_size_t room = size + (mach_msg_size_t)sizeof(mach_msg_max_trailer_t);
	mach_msg_header_t *request = (mach_msg_header_t *)calloc(1, room), *reply = (mach_msg_header_t *)calloc(1, room);
	mach_msg_return_t code = request == NULL || reply == NULL ? 6 /* KERN_RESOURCE_SHORTAGE */ : 0;
	while (code == 0) {
		code = mach_msg(request, MACH_RCV_MSG | options, 0, room, port, 0, MACH_PORT_NULL);
		if (code != 0 || !mig_answer(demux, request, reply))
			continue;
		/* A send-once right never waits for room in a queue. */
		code = mach_msg(reply, MACH_SEND_MSG | (MACH_MSGH_BITS_REMOTE(reply->msgh_bits) ==
		    MACH_MSG_TYPE_MOVE_SEND_ONCE ? 0 : MACH_SEND_TIMEOUT), reply->msgh_size, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL);
		if (code == MACH_SEND_INVALID_DEST || code == MACH_SEND_TIMED_OUT || code == MACH_SEND_INTERRUPTED) {
			mach_msg_destroy(reply);
			code = 0;
		}
	}
	free(request);
	free(reply);
	return code;
}

#endif /* PORTCULLIS_MIG_H */
