/* What is asked of the system: clocks, policies, ports of processes, the main thread. */
#include "check.h"
#include <mach/clock.h>
#include <mach/host_priv.h>
#include <mach/mach_time.h>
#include <mach/processor_set.h>
#include <pthread_mach.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SOON NSEC_PER_SEC

static void
clocks(void)
{
	uint64_t absolute, continuous, slept = 0, last = 0;
	struct timespec now, real;
	mach_timebase_info_data_t base = { 0, 0 };
	clock_serv_t clock;
	mach_timespec_t told;

	OK(mach_timebase_info_trap(&base));
	TRUE_(base.numer == 1 && base.denom == 1);
	for (int i = 0; i < 20000; i++) {
		OK(mach_get_times(&absolute, &continuous, &now));
		TRUE_(absolute > last && absolute <= mach_absolute_time() && continuous <= mach_continuous_time());
		TRUE_(i == 0 || continuous - absolute == slept); /* while the machine does not sleep */
		slept = continuous - absolute;
		last = absolute;
	}
	TRUE_(clock_gettime(CLOCK_REALTIME, &real) == 0 && real.tv_sec - now.tv_sec <= 1);
	OK(mach_get_times(NULL, NULL, NULL));
	last = mach_approximate_time();
	TRUE_(mach_absolute_time() - last < SOON);
	last = mach_continuous_approximate_time();
	TRUE_(mach_continuous_time() - last < SOON);
	TRUE_(mach_boottime_usec() / USEC_PER_SEC <= (uint64_t)real.tv_sec);
	OK(host_get_clock_service(mach_host_self(), CALENDAR_CLOCK, &clock));
	OK(clock_get_time(clock, &told));
	TRUE_(told.tv_sec - (unsigned int)real.tv_sec <= 10);
	OK(host_get_clock_service(mach_host_self(), SYSTEM_CLOCK, &clock));
	OK(clock_get_time(clock, &told));
	TRUE_(mach_absolute_time() - (told.tv_sec * NSEC_PER_SEC + (uint64_t)told.tv_nsec) < 10 * SOON);
}

/* Of other processes there are ports of all flavors, from control down to names. */
static void
processes(void)
{
	mach_port_t port;
	int pid, go[2], there[2], status;
	kern_return_t (*const calls[])(mach_port_name_t, int, mach_port_name_t *) = { task_for_pid, task_read_for_pid,
		task_inspect_for_pid, task_name_for_pid };
	mach_task_basic_info_data_t basic;
	mach_msg_type_number_t n;
	thread_act_array_t threads;
	char byte;
	pid_t child;

	TRUE_(pipe(go) == 0 && pipe(there) == 0);
	if ((child = fork()) == 0) {
		close(go[1]);
		TRUE_(write(there[1], "", 1) == 1); /* a child is a task when it goes on behind the fork */
		_exit((int)read(go[0], &byte, 1));
	}
	TRUE_(read(there[0], &byte, 1) == 1);
	close(go[0]);
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		OK(calls[i](mach_task_self(), child, &port));
		OK(pid_for_task(port, &pid));
		TRUE_(pid == child);
		n = MACH_TASK_BASIC_INFO_COUNT;
		OK(task_info(port, MACH_TASK_BASIC_INFO, (task_info_t)&basic, &n));
		if (calls[i] == task_name_for_pid) {
			IS(task_threads(port, &threads, &n), KERN_INVALID_ARGUMENT);
		} else {
			OK(task_threads(port, &threads, &n));
			for (mach_msg_type_number_t j = 0; j < n; j++)
				OK(mach_port_deallocate(mach_task_self(), threads[j]));
			OK(vm_deallocate(mach_task_self(), (vm_address_t)threads, n * sizeof *threads));
		}
		IS(task_suspend(port), i < 2 ? KERN_SUCCESS : KERN_INVALID_ARGUMENT);
		if (i < 2)
			OK(task_resume(port));
		OK(mach_port_deallocate(mach_task_self(), port));
		IS(calls[i](mach_task_self(), -1, &port), KERN_FAILURE);
		TRUE_(port == MACH_PORT_NULL);
	}
	close(go[1]);
	TRUE_(waitpid(child, &status, 0) == child && status == 0);
}

/* What the set of all processors runs, for who has the privileged host port: root. */
static void
processors(void)
{
	struct processor_set_basic_info basic;
	struct processor_set_load_info load;
	mach_msg_type_number_t n = PROCESSOR_SET_BASIC_INFO_COUNT;
	processor_set_name_t name;
	processor_set_t set;
	thread_act_array_t threads;
	task_array_t tasks;
	host_t host;
	int pid, found = 0;

	OK(processor_set_default(mach_host_self(), &name));
	OK(processor_set_info(name, PROCESSOR_SET_BASIC_INFO, &host, (processor_set_info_t)&basic, &n));
	TRUE_(n == PROCESSOR_SET_BASIC_INFO_COUNT && basic.processor_count > 0 && basic.default_policy == POLICY_TIMESHARE);
	n = PROCESSOR_SET_LOAD_INFO_COUNT;
	OK(processor_set_statistics(name, PROCESSOR_SET_LOAD_INFO, (processor_set_info_t)&load, &n));
	TRUE_(n == PROCESSOR_SET_LOAD_INFO_COUNT && load.task_count > 0 && load.thread_count > 0);
	IS(processor_set_tasks(name, &tasks, &n), KERN_INVALID_ARGUMENT);
	if (geteuid() != 0) {
		IS(host_processor_set_priv(mach_host_self(), name, &set), KERN_INVALID_ARGUMENT);
		return;
	}
	OK(host_processor_set_priv(mach_host_self(), name, &set));
	for (mach_task_flavor_t f = TASK_FLAVOR_CONTROL; f <= TASK_FLAVOR_MAX; f++) {
		OK(processor_set_tasks_with_flavor(set, f, &tasks, &n));
		for (mach_msg_type_number_t i = 0; i < n; i++) {
			found += pid_for_task(tasks[i], &pid) == KERN_SUCCESS && pid == getpid();
			OK(mach_port_deallocate(mach_task_self(), tasks[i]));
		}
		IS(found, (int)f + 1);
		OK(vm_deallocate(mach_task_self(), (vm_address_t)tasks, n * sizeof *tasks));
	}
	IS(processor_set_tasks_with_flavor(set, TASK_FLAVOR_MAX + 1, &tasks, &n), KERN_INVALID_ARGUMENT);
	OK(processor_set_threads(set, &threads, &n));
	found = 0;
	for (mach_msg_type_number_t i = 0; i < n; i++) {
		found += threads[i] == pthread_mach_thread_np(pthread_self());
		OK(mach_port_deallocate(mach_task_self(), threads[i]));
	}
	IS(found, 1);
	OK(vm_deallocate(mach_task_self(), (vm_address_t)threads, n * sizeof *threads));
}

static void
policies(void)
{
	thread_qos_policy_data_t qos = { 7, 7 };
	thread_time_constraint_policy_data_t constraint = { 0, 1000000, 2000000, TRUE };
	thread_latency_qos_policy_data_t latency = { LATENCY_QOS_TIER_2 };
	thread_throughput_qos_policy_data_t throughput = { LATENCY_QOS_TIER_2 };
	task_qos_policy_data_t tiers = { LATENCY_QOS_TIER_0, THROUGHPUT_QOS_TIER_0 };
	mach_msg_type_number_t n = THREAD_QOS_POLICY_COUNT;
	boolean_t by_default = FALSE;
	thread_t me = mach_thread_self();

	OK(thread_policy_get(me, THREAD_QOS_POLICY, (thread_policy_t)&qos, &n, &by_default));
	TRUE_(n == THREAD_QOS_POLICY_COUNT && qos.qos_tier == 0 && qos.tier_importance == 0);
	IS(thread_policy_set(me, THREAD_QOS_POLICY, (thread_policy_t)&qos, n), KERN_INVALID_ARGUMENT);
	OK(thread_policy_set(me, THREAD_TIME_CONSTRAINT_POLICY, (thread_policy_t)&constraint,
	    THREAD_TIME_CONSTRAINT_POLICY_COUNT));
	OK(thread_policy_set(me, THREAD_LATENCY_QOS_POLICY, (thread_policy_t)&latency, THREAD_LATENCY_QOS_POLICY_COUNT));
	IS(thread_policy_set(me, THREAD_THROUGHPUT_QOS_POLICY, (thread_policy_t)&throughput,
	    THREAD_THROUGHPUT_QOS_POLICY_COUNT), KERN_INVALID_ARGUMENT);
	OK(task_policy_set(mach_task_self(), TASK_BASE_QOS_POLICY, (task_policy_t)&tiers, TASK_QOS_POLICY_COUNT));
}

static void
revisions(void)
{
	static const mach_msg_type_number_t counts[] = { TASK_VM_INFO_REV0_COUNT, TASK_VM_INFO_REV1_COUNT,
		TASK_VM_INFO_REV2_COUNT, TASK_VM_INFO_REV3_COUNT, TASK_VM_INFO_REV4_COUNT, TASK_VM_INFO_REV5_COUNT,
		TASK_VM_INFO_REV6_COUNT, TASK_VM_INFO_REV7_COUNT };

	IS(sizeof(task_vm_info_data_t), 4 * TASK_VM_INFO_COUNT);
	IS(TASK_VM_INFO_COUNT, 93);
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		task_vm_info_data_t info;
		mach_msg_type_number_t n = counts[i];

		memset(&info, 0xa5, sizeof info);
		OK(task_info(mach_task_self(), TASK_VM_INFO, (task_info_t)&info, &n));
		IS(n, counts[i]);
		TRUE_(info.virtual_size > 0 && info.resident_size > 0);
		for (size_t at = 4 * n; at < sizeof info; at++)
			TRUE_(((unsigned char *)&info)[at] == 0xa5);
	}
}

static void *
other(void *main_thread)
{
	TRUE_(!pthread_main_np() && pthread_equal(pthread_main_thread_np(), *(pthread_t *)main_thread));
	TRUE_(pthread_mach_thread_np(pthread_main_thread_np()) != pthread_mach_thread_np(pthread_self()));
	return NULL;
}

int
main(void)
{
	pthread_t me = pthread_self(), thread;

	clocks();
	processes();
	processors();
	policies();
	revisions();
	TRUE_(pthread_main_np() && pthread_equal(pthread_main_thread_np(), me));
	TRUE_(pthread_create(&thread, NULL, other, &me) == 0 && pthread_join(thread, NULL) == 0);
	return 0;
}
