/* Open files as rights. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <sys/fileport.h>

#include "libmach.h"

static int
error_of(kern_return_t kr)
{
	switch (kr) {
	case KERN_SUCCESS:
		return 0;
	case KERN_RESOURCE_SHORTAGE:
	case KERN_NO_SPACE:
		return ENOMEM;
	default:
		return EINVAL;
	}
}

int
fileport_makeport(int fd, fileport_t *port)
{
	struct pt_packet p = { 0 };
	struct pt_thread *t;
	int error;

	*port = FILEPORT_NULL;
	if (fcntl(fd, F_GETFD) < 0)
		return -1;
	if ((t = pt_enter()) == NULL) {
		errno = ENOTCONN;
		return -1;
	}
	p.kind = PT_GIVE;
	p.a = t->index;
	error = pt_send(&p, fd);
	if (error == 0) {
		error = ENOTCONN;
		if (pt_post(t, PT_OP_FILEPORT_MAKEPORT, 0, 0, 0)) {
			error = error_of((kern_return_t)t->lane->result[0]);
			if (error == 0)
				*port = (fileport_t)t->lane->result[1];
		}
	}
	pt_leave(t);
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

int
fileport_makefd(fileport_t port)
{
	struct pt_thread *t = pt_enter();
	struct pt_packet p = { 0 };
	int error = ENOTCONN, fd = -1;

	if (t == NULL) {
		errno = error;
		return -1;
	}
	t->lane->args[0] = port;
	if (pt_post(t, PT_OP_FILEPORT_MAKEFD, 0, 0, 0))
		error = error_of((kern_return_t)t->lane->result[0]);
	if (error == 0) {
		p.kind = PT_TAKE;
		p.a = t->index;
		error = pt_ask(&p, &fd);
		if (error == 0 && fd < 0)
			error = EMFILE; /* it came, and there was no room for it */
	}
	pt_leave(t);
	if (error == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	errno = error != 0 ? error : errno;
	return -1;
}
