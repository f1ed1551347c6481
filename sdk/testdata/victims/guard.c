/*
 * A child runs into a guard that kills. Its parent handles EXC_GUARD in vain, passes on EXC_CRASH, and is told what is left
 * of the child.
 */
#include "../programs/check.h"
#include <sys/wait.h>
#include <unistd.h>

#pragma pack(push, 4)
struct note {
	mach_msg_header_t header;
	mach_msg_body_t body;
	mach_msg_port_descriptor_t token;
	NDR_record_t ndr;
	uint64_t thread;
	exception_type_t exception;
	mach_msg_type_number_t count;
	int64_t code[2];
	char trailer[128];
};

struct reply {
	mach_msg_header_t header;
	NDR_record_t ndr;
	kern_return_t code;
};
#pragma pack(pop)

int
main(void)
{
	mach_port_options_t options = { .flags = MPO_EXCEPTION_PORT | MPO_INSERT_SEND_RIGHT };
	exception_behavior_t behavior = (exception_behavior_t)(EXCEPTION_IDENTITY_PROTECTED | MACH_EXCEPTION_CODES);
	mach_port_t port, guarded;
	struct note m;
	struct reply r;
	pid_t child;
	int status;

	OK(mach_port_construct(mach_task_self(), &options, 0, &port));
	OK(task_set_exception_ports(mach_task_self(), EXC_MASK_GUARD | EXC_MASK_CRASH | EXC_MASK_CORPSE_NOTIFY, port, behavior,
	    THREAD_STATE_NONE));
	if ((child = fork()) == 0) {
		OK(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &guarded));
		OK(mach_port_guard(mach_task_self(), guarded, 0x1234, 1));
		mach_port_destruct(mach_task_self(), guarded, 0, 0x4321);
		_exit(9);
	}
	for (int i = 0; i < 3; i++) {
		OK(mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, port, 10000, MACH_PORT_NULL));
		printf("%d %#llx %#llx\n", m.exception, (unsigned long long)m.code[0], (unsigned long long)m.code[1]);
		memset(&r, 0, sizeof r);
		r.header.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0);
		r.header.msgh_size = sizeof r;
		r.header.msgh_remote_port = m.header.msgh_remote_port;
		r.header.msgh_id = m.header.msgh_id + 100;
		r.ndr = NDR_record;
		r.code = i == 1 ? KERN_FAILURE : KERN_SUCCESS;
		OK(mach_msg(&r.header, MACH_SEND_MSG, sizeof r, 0, MACH_PORT_NULL, MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL));
		mach_port_deallocate(mach_task_self(), m.token.name);
	}
	TRUE_(waitpid(child, &status, 0) == child);
	printf("signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	return 0;
}
