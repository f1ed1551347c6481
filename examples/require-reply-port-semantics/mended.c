/*
 * A service that makes sure, once it has checked in, that clients can find it. The message to launchd is its own, because
 * bootstrap_look_up waits for the answer for as long as it takes, and this waits for a second.
 *
 * The answer comes to a reply port: one that cannot be moved or copied, so that nobody else can answer or listen.
 */
#include <mach/mach.h>
#include <servers/bootstrap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char name[] = "com.example.notes";

#pragma pack(push, 4)
union look_up { /* message 404 of launchd's job interface */
	struct {
		mach_msg_header_t header;
		NDR_record_t ndr;
		char name[BOOTSTRAP_MAX_NAME_LEN];
		int32_t pid;
		uint8_t instance[16];
		uint64_t flags;
	} request;
	struct {
		mach_msg_header_t header;
		mach_msg_body_t body;
		mach_msg_port_descriptor_t service;
		mach_msg_max_trailer_t trailer;
	} reply;
	mig_reply_error_t error;
};
#pragma pack(pop)

static void check(const char *what, kern_return_t kr)
{
	if (kr != KERN_SUCCESS) {
		printf("%s: %s\n", what, mach_error_string(kr));
		exit(1);
	}
}

/* Asks launchd for a service; MACH_PORT_NULL if there is none. */
static mach_port_t look_up(const char *service, mach_msg_timeout_t milliseconds)
{
	union look_up m = {0};
	mach_port_options_t options = {.flags = MPO_REPLY_PORT};
	mach_port_t reply;
	kern_return_t kr;

	check("mach_port_construct", mach_port_construct(mach_task_self(), &options, 0, &reply));
	m.request.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE);
	m.request.header.msgh_remote_port = bootstrap_port;
	m.request.header.msgh_local_port = reply;
	m.request.header.msgh_id = 404;
	m.request.ndr = NDR_record;
	strncpy(m.request.name, service, sizeof m.request.name - 1);
	kr = mach_msg(&m.request.header, MACH_SEND_MSG | MACH_RCV_MSG | MACH_RCV_TIMEOUT, sizeof m.request, sizeof m, reply,
		milliseconds, MACH_PORT_NULL);
	mach_port_mod_refs(mach_task_self(), reply, MACH_PORT_RIGHT_RECEIVE, -1);
	check("asking launchd", kr);
	return m.reply.header.msgh_bits & MACH_MSGH_BITS_COMPLEX ? m.reply.service.name : MACH_PORT_NULL;
}

int main(void)
{
	mach_port_t mine, found;

	check("bootstrap_check_in", bootstrap_check_in(bootstrap_port, name, &mine));
	found = look_up(name, 1000);
	printf("clients of %s %s\n", name, found == mine ? "come here" : "go elsewhere");
	return found == mine ? 0 : 1;
}
