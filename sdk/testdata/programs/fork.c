/* A child is another task: other names, other rights, the same bootstrap port. Programs that are executed join anew. */
#include "check.h"
#include <servers/bootstrap.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

struct note {
	mach_msg_header_t header;
	mach_msg_body_t body;
	mach_msg_port_descriptor_t right;
	mach_msg_max_trailer_t trailer;
};

static void
child(void)
{
	mach_port_t service, mine;
	struct note m = { 0 };

	OK(bootstrap_look_up(bootstrap_port, "test.fork", &service));
	OK(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &mine));
	m.header.msgh_bits = MACH_MSGH_BITS_COMPLEX | MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0);
	m.header.msgh_remote_port = service;
	m.header.msgh_id = (int)getpid();
	m.body.msgh_descriptor_count = 1;
	m.right.name = mine;
	m.right.disposition = MACH_MSG_TYPE_MAKE_SEND;
	m.right.type = MACH_MSG_PORT_DESCRIPTOR;
	OK(mach_msg(&m.header, MACH_SEND_MSG, offsetof(struct note, trailer), 0, MACH_PORT_NULL, 0, MACH_PORT_NULL));
}

static void
hear(mach_port_t service, mach_port_t *right, int *pid)
{
	struct note m;
	mach_msg_audit_trailer_t *t = (mach_msg_audit_trailer_t *)&m.trailer;

	OK(mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT | MACH_RCV_TRAILER_ELEMENTS(MACH_RCV_TRAILER_AUDIT), 0,
	    sizeof m, service, 10000, MACH_PORT_NULL));
	TRUE_((int)t->msgh_audit.val[5] == m.header.msgh_id);
	*right = m.right.name;
	*pid = m.header.msgh_id;
}

int
main(int argc, char **argv)
{
	mach_port_t service, right, previous, notes, unknown;
	mach_dead_name_notification_t note;
	char *again[] = { argv[0], (char *)(uintptr_t)"child", NULL };
	extern char **environ;
	int status, pid, go[2];
	pid_t p;

	if (argc > 1 && strcmp(argv[1], "child") == 0) {
		child();
		return 0;
	}
	OK(bootstrap_check_in(bootstrap_port, "test.fork", &service));
	IS(bootstrap_look_up(bootstrap_port, "test.unknown", &unknown), BOOTSTRAP_UNKNOWN_SERVICE);
	OK(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &notes));

	/* fork */
	TRUE_(pipe(go) == 0);
	if ((p = fork()) == 0) {
		child();
		close(go[1]);
		_exit((int)read(go[0], &status, 1));
	}
	hear(service, &right, &pid);
	TRUE_(pid == p);
	OK(mach_port_request_notification(mach_task_self(), right, MACH_NOTIFY_DEAD_NAME, 0, notes,
	    MACH_MSG_TYPE_MAKE_SEND_ONCE, &previous));
	close(go[1]);
	TRUE_(waitpid(p, &status, 0) == p && status == 0);
	OK(mach_msg(&note.not_header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof note, notes, 10000, MACH_PORT_NULL));
	TRUE_(note.not_port == right);

	/* fork and exec */
	if ((p = fork()) == 0) {
		execv(argv[0], again);
		_exit(9);
	}
	hear(service, &right, &pid);
	TRUE_(pid == p && waitpid(p, &status, 0) == p && status == 0);

	/* posix_spawn */
	TRUE_(posix_spawn(&p, argv[0], NULL, NULL, again, environ) == 0);
	hear(service, &right, &pid);
	TRUE_(pid == p && waitpid(p, &status, 0) == p && status == 0);

	/* The parent is what it was. */
	if (argc == 1)
		IS(mach_port_deallocate(mach_task_self(), 0x99990b), KERN_INVALID_NAME);
	return 0;
}
