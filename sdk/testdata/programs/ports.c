/* Names, rights, references, sets, guards, attributes, notifications. */
#include "check.h"

int
main(int argc, char **argv)
{
	mach_port_t self = mach_task_self(), port, other, set, previous;
	mach_port_type_t type;
	mach_port_urefs_t refs;
	mach_port_status_t status;
	mach_port_limits_t limits = { 16 };
	mach_msg_type_number_t count;
	mach_port_options_t options = { .flags = MPO_CONTEXT_AS_GUARD | MPO_STRICT | MPO_INSERT_SEND_RIGHT };
	mach_port_context_t context;
	mach_port_name_array_t names;
	mach_port_type_array_t types;
	mach_msg_type_number_t n, m;
	int pid;

	TRUE_(self != MACH_PORT_NULL);
	TRUE_(task_self_trap() == self);
	TRUE_(mach_task_is_self(self));
	OK(mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE, &port));
	OK(mach_port_type(self, port, &type));
	TRUE_(type == MACH_PORT_TYPE_RECEIVE);
	OK(mach_port_insert_right(self, port, port, MACH_MSG_TYPE_MAKE_SEND));
	OK(mach_port_mod_refs(self, port, MACH_PORT_RIGHT_SEND, 3));
	OK(mach_port_get_refs(self, port, MACH_PORT_RIGHT_SEND, &refs));
	TRUE_(refs == 4);
	OK(mach_port_mod_refs(self, port, MACH_PORT_RIGHT_SEND, -3));
	OK(mach_port_set_attributes(self, port, MACH_PORT_LIMITS_INFO, (mach_port_info_t)&limits,
	    MACH_PORT_LIMITS_INFO_COUNT));
	count = MACH_PORT_RECEIVE_STATUS_COUNT;
	OK(mach_port_get_attributes(self, port, MACH_PORT_RECEIVE_STATUS, (mach_port_info_t)&status, &count));
	TRUE_(count == MACH_PORT_RECEIVE_STATUS_COUNT && status.mps_qlimit == 16 && status.mps_srights);

	OK(mach_port_allocate(self, MACH_PORT_RIGHT_PORT_SET, &set));
	OK(mach_port_insert_member(self, port, set));
	OK(mach_port_extract_member(self, port, set));
	IS(mach_port_extract_member(self, port, set), KERN_NOT_IN_SET);
	OK(mach_port_move_member(self, port, set));

	OK(mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE, &other));
	OK(mach_port_request_notification(self, port, MACH_NOTIFY_DEAD_NAME, 0, other, MACH_MSG_TYPE_MAKE_SEND_ONCE,
	    &previous));
	TRUE_(previous == MACH_PORT_NULL);
	OK(mach_port_mod_refs(self, port, MACH_PORT_RIGHT_RECEIVE, -1));
	OK(mach_port_type(self, port, &type));
	TRUE_(type == MACH_PORT_TYPE_DEAD_NAME);
	{
		mach_dead_name_notification_t note;
		OK(mach_msg(&note.not_header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof note, other, 1000, MACH_PORT_NULL));
		TRUE_(note.not_header.msgh_id == MACH_NOTIFY_DEAD_NAME && note.not_port == port);
	}

	OK(mach_port_construct(self, &options, 0x1234, &port));
	OK(mach_port_type(self, port, &type));
	TRUE_(type == MACH_PORT_TYPE_SEND_RECEIVE);
	OK(mach_port_get_context(self, port, &context));
	OK(mach_port_destruct(self, port, -1, 0x1234));

	OK(mach_port_names(self, &names, &n, &types, &m));
	TRUE_(n == m && n > 0);
	OK(vm_deallocate(self, (vm_address_t)names, n * sizeof *names));
	OK(vm_deallocate(self, (vm_address_t)types, m * sizeof *types));

	OK(pid_for_task(self, &pid));
	TRUE_(pid > 1);
	TRUE_(mach_host_self() != MACH_PORT_NULL && mach_thread_self() != MACH_PORT_NULL);
	(void)argv;
	if (argc > 1)
		return 0; /* what follows ends a hardened process */
	IS(mach_port_deallocate(self, 0x77770b), KERN_INVALID_NAME);
	IS(mach_port_mod_refs(self, other, 17, 1), KERN_INVALID_VALUE);
	return 0;
}
