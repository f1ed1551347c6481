/*
 * A crash reporter outside of the process that crashes. It registers a port for exceptions of its own, which a child
 * inherits, and starts a child that dereferences null. From the message it learns the token of the child and the id of
 * the thread, asks for read ports with them, and writes down the registers and what is on the stack.
 */
#include <mach/mach.h>
#include <mach/mach_vm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* mach_exception_raise_identity_protected: message 2408, and its answer. */
#pragma pack(push, 4)
struct request {
	mach_msg_header_t header;
	mach_msg_body_t body;
	mach_msg_port_descriptor_t token;
	NDR_record_t ndr;
	uint64_t thread;
	exception_type_t exception;
	mach_msg_type_number_t count;
	int64_t code[2];
	mach_msg_trailer_t trailer;
};

struct reply {
	mach_msg_header_t header;
	NDR_record_t ndr;
	kern_return_t code;
};
#pragma pack(pop)

static void check(const char *what, kern_return_t kr)
{
	if (kr != KERN_SUCCESS) {
		printf("%s: %s\n", what, mach_error_string(kr));
		exit(1);
	}
}

/* Returns a read port of the thread of a task, which a read port is of, with an id. */
static mach_port_t find(mach_port_t task, uint64_t id)
{
	thread_act_array_t threads;
	mach_msg_type_number_t n;
	mach_port_t found = MACH_PORT_NULL;

	check("task_threads", task_threads(task, &threads, &n));
	for (mach_msg_type_number_t i = 0; i < n; i++) {
		thread_identifier_info_data_t info;
		mach_msg_type_number_t size = THREAD_IDENTIFIER_INFO_COUNT;

		check("thread_info", thread_info(threads[i], THREAD_IDENTIFIER_INFO, (thread_info_t)&info, &size));
		if (info.thread_id == id)
			found = threads[i];
		else
			mach_port_deallocate(mach_task_self(), threads[i]);
	}
	vm_deallocate(mach_task_self(), (vm_address_t)threads, n * sizeof *threads);
	return found;
}

static void report(const struct request *m)
{
	mach_port_t task, thread;
	uint64_t pc, sp, word = 0;
	mach_vm_size_t got = 0;
	int pid = 0;

	printf("exception %d, code %#llx, subcode %#llx\n", m->exception, (unsigned long long)m->code[0],
	       (unsigned long long)m->code[1]);
	check("task_identity_token_get_task_port", task_identity_token_get_task_port(m->token.name, TASK_FLAVOR_READ, &task));
	check("pid_for_task", pid_for_task(task, &pid));
	thread = find(task, m->thread);
	{
#if defined(__x86_64__)
		x86_thread_state64_t r;
		mach_msg_type_number_t n = x86_THREAD_STATE64_COUNT;

		check("thread_get_state", thread_get_state(thread, x86_THREAD_STATE64, (thread_state_t)&r, &n));
		pc = r.__rip, sp = r.__rsp;
#else
		arm_thread_state64_t r;
		mach_msg_type_number_t n = ARM_THREAD_STATE64_COUNT;

		check("thread_get_state", thread_get_state(thread, ARM_THREAD_STATE64, (thread_state_t)&r, &n));
		pc = arm_thread_state64_get_pc(r), sp = arm_thread_state64_get_sp(r);
#endif
	}
	check("mach_vm_read_overwrite", mach_vm_read_overwrite(task, sp, sizeof word, (mach_vm_address_t)&word, &got));
	printf("process %s the child, pc %s, %d bytes read from its stack\n", pid != getpid() ? "is" : "is not",
	       pc != 0 ? "known" : "unknown", (int)got);
	mach_port_deallocate(mach_task_self(), thread);
	mach_port_deallocate(mach_task_self(), task);
}

int main(void)
{
	mach_port_options_t options = {.flags = MPO_EXCEPTION_PORT | MPO_INSERT_SEND_RIGHT};
	mach_port_t port;
	struct request m;
	struct reply r;
	pid_t child;
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	check("mach_port_construct", mach_port_construct(mach_task_self(), &options, 0, &port));
	check("task_set_exception_ports",
	      task_set_exception_ports(mach_task_self(), EXC_MASK_BAD_ACCESS | EXC_MASK_CRASH, port,
				       EXCEPTION_IDENTITY_PROTECTED | (exception_behavior_t)MACH_EXCEPTION_CODES,
				       THREAD_STATE_NONE));
	if ((child = fork()) == 0) {
		*(volatile int *)0x10 = 1;
		_exit(0);
	}
	for (int i = 0; i < 2; i++) { /* the access, and then the crash */
		check("mach_msg", mach_msg(&m.header, MACH_RCV_MSG, 0, sizeof m, port, MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL));
		report(&m);
		mach_port_deallocate(mach_task_self(), m.token.name);
		memset(&r, 0, sizeof r);
		r.header.msgh_bits = MACH_MSGH_BITS(MACH_MSGH_BITS_REMOTE(m.header.msgh_bits), 0);
		r.header.msgh_size = sizeof r;
		r.header.msgh_remote_port = m.header.msgh_remote_port;
		r.header.msgh_id = m.header.msgh_id + 100;
		r.ndr = NDR_record;
		r.code = KERN_FAILURE;
		check("mach_msg", mach_msg(&r.header, MACH_SEND_MSG, sizeof r, 0, MACH_PORT_NULL, MACH_MSG_TIMEOUT_NONE,
					   MACH_PORT_NULL));
	}
	waitpid(child, &status, 0);
	printf("the child was ended by signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	return 0;
}
