/*
 * A crash reporter for other processes. It checks a name in, under which programs look its port up (client.c), and for
 * each crash writes a report to standard output: what it was, the registers, and who called whom. All that it is given is
 * an identity token and the id of a thread; with a read port for the token it reads the rest.
 *
 *	reporter SERVICE [COUNT]
 *
 * It ends after COUNT crashes, or never.
 */
#include "symbols.h"

#include <mach/mach.h>
#include <mach/mach_exc_server.h>
#include <mach/mach_vm.h>
#include <servers/bootstrap.h>
#include <stdio.h>
#include <stdlib.h>

static void check(const char *what, kern_return_t kr)
{
	if (kr != KERN_SUCCESS) {
		fprintf(stderr, "%s: %s\n", what, mach_error_string(kr));
		exit(1);
	}
}

/* ---- Registers ---------------------------------------------------------------------------------------------------------- */

struct registers {
	uint64_t pc, sp, fp;
};

#if defined(__x86_64__)
static kern_return_t get_registers(mach_port_t thread, struct registers *r)
{
	x86_thread_state64_t s;
	mach_msg_type_number_t n = x86_THREAD_STATE64_COUNT;
	kern_return_t kr = thread_get_state(thread, x86_THREAD_STATE64, (thread_state_t)&s, &n);

	*r = (struct registers){s.__rip, s.__rsp, s.__rbp};
	return kr;
}
#else
static kern_return_t get_registers(mach_port_t thread, struct registers *r)
{
	arm_thread_state64_t s;
	mach_msg_type_number_t n = ARM_THREAD_STATE64_COUNT;
	kern_return_t kr = thread_get_state(thread, ARM_THREAD_STATE64, (thread_state_t)&s, &n);

	*r = (struct registers){arm_thread_state64_get_pc(s), arm_thread_state64_get_sp(s), arm_thread_state64_get_fp(s)};
	return kr;
}
#endif

/* Returns a read port of the thread with an id; MACH_PORT_NULL if it has ended. */
static mach_port_t thread_with_id(mach_port_t task, uint64_t id)
{
	thread_act_array_t threads;
	mach_msg_type_number_t n;
	mach_port_t found = MACH_PORT_NULL;

	if (task_threads(task, &threads, &n) != KERN_SUCCESS)
		return MACH_PORT_NULL;
	for (mach_msg_type_number_t i = 0; i < n; i++) {
		thread_identifier_info_data_t info;
		mach_msg_type_number_t size = THREAD_IDENTIFIER_INFO_COUNT;

		if (found == MACH_PORT_NULL &&
		    thread_info(threads[i], THREAD_IDENTIFIER_INFO, (thread_info_t)&info, &size) == KERN_SUCCESS &&
		    info.thread_id == id)
			found = threads[i];
		else
			mach_port_deallocate(mach_task_self(), threads[i]);
	}
	vm_deallocate(mach_task_self(), (vm_address_t)threads, n * sizeof *threads);
	return found;
}

/* ---- The report --------------------------------------------------------------------------------------------------------- */

static void frame(int n, pid_t pid, uint64_t pc)
{
	/* A return address may lie behind the end of the function that makes the call. */
	struct place p = place_of(pid, n == 0 ? pc : pc - 1);

	printf("%2d  %-20s %#018llx  %s + %llu\n", n, p.image[0] ? p.image : "?", (unsigned long long)pc,
	       p.function[0] ? p.function : "image", (unsigned long long)(p.offset + (n != 0)));
}

/*
 * Follows the chain of frame pointers, past callers of functions that keep none. The stack may be damaged: every frame must
 * lie above the one before.
 */
static void backtrace_of(mach_port_t task, pid_t pid, const struct registers *r)
{
	uint64_t fp = r->fp, above = r->sp;

	frame(0, pid, r->pc);
	for (int n = 1; n < 64 && fp >= above && fp % 8 == 0; n++) {
		uint64_t pair[2]; /* the caller's frame pointer, the return address */
		mach_vm_size_t got;

		if (mach_vm_read_overwrite(task, fp, sizeof pair, (mach_vm_address_t)pair, &got) != KERN_SUCCESS || pair[1] == 0)
			break;
		frame(n, pid, pair[1]);
		above = fp + 1;
		fp = pair[0];
	}
}

static void report(mach_port_t token, uint64_t id, int64_t code, int64_t subcode)
{
	mach_port_t task, thread;
	struct registers r;
	int pid = 0;
	kern_return_t kr = task_identity_token_get_task_port(token, TASK_FLAVOR_READ, &task);

	if (kr != KERN_SUCCESS) {
		printf("no report: %s\n", mach_error_string(kr)); /* the process is gone, or somebody does not want it read */
		return;
	}
	pid_for_task(task, &pid);
	printf("process %d\n", pid);
	printf("signal %d, exception %d, code %#x, subcode %#llx\n", (int)(code >> 24 & 0xff), (int)(code >> 20 & 0xf),
	       (unsigned)(code & 0xfffff), (unsigned long long)subcode);
	thread = thread_with_id(task, id);
	if (thread == MACH_PORT_NULL || (kr = get_registers(thread, &r)) != KERN_SUCCESS) {
		printf("thread %llu: no registers\n", (unsigned long long)id);
	} else {
		printf("thread %llu: pc %#llx, sp %#llx, fp %#llx\n", (unsigned long long)id, (unsigned long long)r.pc,
		       (unsigned long long)r.sp, (unsigned long long)r.fp);
		backtrace_of(task, pid, &r);
	}
	if (thread != MACH_PORT_NULL)
		mach_port_deallocate(mach_task_self(), thread);
	mach_port_deallocate(mach_task_self(), task);
}

/* ---- The server --------------------------------------------------------------------------------------------------------- */

kern_return_t catch_mach_exception_raise_identity_protected(mach_port_t port, uint64_t thread, mach_port_t token,
	exception_type_t exception, mach_exception_data_t code, mach_msg_type_number_t count)
{
	(void)port;
	if (exception != EXC_CRASH || count != 2)
		return KERN_FAILURE; /* and the token goes with the message */
	report(token, thread, code[0], code[1]);
	printf("end of the report\n");
	mach_port_deallocate(mach_task_self(), token);
	return KERN_SUCCESS; /* nobody else needs to report it */
}

int main(int argc, char **argv)
{
	mach_port_t port;
	int count = argc > 2 ? atoi(argv[2]) : -1;

	if (argc < 2) {
		fprintf(stderr, "usage: reporter SERVICE [COUNT]\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	check("bootstrap_check_in", bootstrap_check_in(bootstrap_port, argv[1], &port));
	printf("ready\n");
	for (; count != 0; count -= count > 0)
		check("mach_msg_server_once", mach_msg_server_once(mach_exc_server, 8192, port, MACH_MSG_OPTION_NONE));
	return 0;
}
