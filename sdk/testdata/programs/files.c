/* Open files as rights: they travel, and stay open as long as somebody has one. */
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <servers/bootstrap.h>
#include <sys/fileport.h>
#include <sys/wait.h>
#include <unistd.h>

struct note {
	mach_msg_header_t header;
	mach_msg_body_t body;
	mach_msg_port_descriptor_t right;
	mach_msg_max_trailer_t trailer;
};

static void
child(mach_port_t service, int fd)
{
	struct note m = { 0 };
	fileport_t file;

	TRUE_(fileport_makeport(fd, &file) == 0);
	m.header.msgh_bits = MACH_MSGH_BITS_COMPLEX | MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0);
	m.header.msgh_remote_port = service;
	m.body.msgh_descriptor_count = 1;
	m.right.name = file;
	m.right.disposition = MACH_MSG_TYPE_MOVE_SEND;
	m.right.type = MACH_MSG_PORT_DESCRIPTOR;
	OK(mach_msg(&m.header, MACH_SEND_MSG, offsetof(struct note, trailer), 0, MACH_PORT_NULL, 0, MACH_PORT_NULL));
}

int
main(void)
{
	mach_port_t service, right;
	mach_port_type_t type;
	struct note m;
	fileport_t file;
	int ends[2], fd, status;
	char text[8];
	pid_t p;

	TRUE_(pipe(ends) == 0);
	TRUE_(fileport_makeport(ends[1], &file) == 0 && file != FILEPORT_NULL);
	OK(mach_port_type(mach_task_self(), file, &type));
	TRUE_(type == MACH_PORT_TYPE_SEND);
	fd = fileport_makefd(file);
	TRUE_(fd >= 0 && fd != ends[1] && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	TRUE_(write(fd, "one", 3) == 3 && read(ends[0], text, sizeof text) == 3 && memcmp(text, "one", 3) == 0);

	/* The right keeps the file open, and is the last to do so. */
	close(fd);
	close(ends[1]);
	fd = fileport_makefd(file);
	TRUE_(write(fd, "two", 3) == 3 && read(ends[0], text, sizeof text) == 3);
	close(fd);
	OK(mach_port_deallocate(mach_task_self(), file));
	TRUE_(read(ends[0], text, sizeof text) == 0);

	TRUE_(fileport_makeport(-1, &file) == -1 && errno == EBADF && file == FILEPORT_NULL);
	TRUE_(fileport_makeport(1000, &file) == -1 && errno == EBADF);
	TRUE_(fileport_makefd(mach_task_self()) == -1 && errno == EINVAL);
	TRUE_(fileport_makefd(MACH_PORT_NULL) == -1 && errno == EINVAL);

	/* It comes from another process. */
	TRUE_(pipe(ends) == 0);
	OK(bootstrap_check_in(bootstrap_port, "test.files", &service));
	if ((p = fork()) == 0) {
		OK(bootstrap_look_up(bootstrap_port, "test.files", &right));
		child(right, ends[1]);
		_exit(0);
	}
	OK(mach_msg(&m.header, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof m, service, 10000, MACH_PORT_NULL));
	TRUE_(waitpid(p, &status, 0) == p && status == 0);
	close(ends[1]);
	fd = fileport_makefd(m.right.name);
	TRUE_(fd >= 0 && write(fd, "three", 5) == 5 && read(ends[0], text, sizeof text) == 5);
	mach_msg_destroy(&m.header);
	close(fd);
	TRUE_(read(ends[0], text, sizeof text) == 0);
	return 0;
}
