/* The connection of a process to its kernel, and the lanes of its threads. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <poll.h>
#include <unistd.h>

#include "libmach.h"

struct pt_connection pt_connection = { -1, 0, PT_NEVER, NULL };

mach_port_t mach_task_self_ = MACH_PORT_NULL;
mach_port_t bootstrap_port = MACH_PORT_NULL;

static __thread struct pt_thread me;
static pthread_key_t ends;
static int has_key;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t fork_token[16];

struct pt_thread *
pt_me(void)
{
	return &me;
}

static void
say(const char *what, const char *more)
{
	char line[256];
	size_t n = 0;
	const char *parts[] = { "libmach: ", what, more, "\n" };

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		for (const char *s = parts[i]; *s != '\0' && n < sizeof line; s++)
			line[n++] = *s;
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

int
pt_away(int fd)
{
	struct rlimit limit;
	int from = 900, moved;

	if (fd < 0)
		return fd;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < 1024)
		from = limit.rlim_cur > 64 ? (int)limit.rlim_cur - 32 : 3;
	moved = fcntl(fd, F_DUPFD_CLOEXEC, from);
	if (moved < 0)
		return fd;
	close(fd);
	return moved;
}

/* ---- Packets ------------------------------------------------------------------------------------------------------ */

int
pt_send(const struct pt_packet *p, int fd)
{
	struct iovec iov = { (void *)(uintptr_t)p, sizeof *p };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = { 0 };

	m.msg_iov = &iov;
	m.msg_iovlen = 1;
	if (fd >= 0) {
		memset(&control, 0, sizeof control);
		m.msg_control = &control;
		m.msg_controllen = sizeof control.room;
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
	}
	while (sendmsg(pt_connection.fd, &m, MSG_NOSIGNAL) < 0) {
		if (errno != EINTR)
			return errno;
	}
	return 0;
}

static int
receive(struct pt_packet *p, int *fd)
{
	struct iovec iov = { p, sizeof *p };
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr m = { 0 };
	ssize_t n;
	int got = -1;

	m.msg_iov = &iov;
	m.msg_iovlen = 1;
	m.msg_control = &control;
	m.msg_controllen = sizeof control.room;
	do
		n = recvmsg(pt_connection.fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(&got, CMSG_DATA(c), sizeof got);
	if (n != (ssize_t)sizeof *p) {
		if (got >= 0)
			close(got);
		return n == 0 ? ECONNRESET : EPROTO;
	}
	if (fd != NULL)
		*fd = got;
	else if (got >= 0)
		close(got);
	return 0;
}

int
pt_kernel_gone(void)
{
	struct pollfd p = { pt_connection.fd, POLLIN, 0 };

	if (pt_connection.state != PT_THERE)
		return 1;
	/* POLLIN alone may be the answer to a question of another thread. */
	if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL))) {
		if (__atomic_exchange_n(&pt_connection.state, PT_GONE, __ATOMIC_SEQ_CST) == PT_THERE)
			say("the kernel has gone", "");
		return 1;
	}
	return 0;
}

/* ---- Connecting --------------------------------------------------------------------------------------------------- */

static int
hello(const char *path)
{
	struct sockaddr_un to = { 0 };
	struct pt_packet p = { 0 };
	int fd, area = -1, error;

	to.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof to.sun_path) {
		say("the path in " PT_ENVIRONMENT " is too long", "");
		return 0;
	}
	strcpy(to.sun_path, path);
	fd = pt_away(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
		say("no kernel answers at ", path);
		if (fd >= 0)
			close(fd);
		return 0;
	}
	pt_connection.fd = fd;
	p.kind = PT_HELLO;
	p.a = PT_VERSION;
	p.b = PT_HELLO_RECORDS | PT_HELLO_FAULTS;
	memcpy(p.token, fork_token, sizeof p.token);
	memset(fork_token, 0, sizeof fork_token);
	if ((error = pt_send(&p, -1)) == 0)
		error = receive(&p, &area);
	if (error == 0 && (p.kind != PT_HELLO || p.a != 0)) {
		p.text[sizeof p.text - 1] = '\0';
		say("the kernel refuses: ", p.text);
		error = EPERM;
	} else if (error != 0) {
		say("the kernel does not answer at ", path);
	}
	if (error == 0 && area >= 0) {
		void *m = mmap(NULL, PT_AREA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, area, 0);
		if (m == MAP_FAILED) {
			error = errno;
		} else {
			madvise(m, PT_AREA_SIZE, MADV_DONTFORK);
			pt_connection.area = m;
		}
	}
	if (area >= 0)
		close(area);
	if (error != 0) {
		close(fd);
		pt_connection.fd = -1;
		return 0;
	}
	return 1;
}

/* Connects if that was not tried. The lock is held. */
static void
connect_once(void)
{
	const char *path = getenv(PT_ENVIRONMENT);

	if (pt_connection.state != PT_NEVER)
		return;
	if (path == NULL || *path == '\0') {
		say("there is no kernel: start the program with \"portcullis run PROGRAM\"", "");
		__atomic_store_n(&pt_connection.state, PT_REFUSED, __ATOMIC_SEQ_CST);
		return;
	}
	if (!hello(path)) {
		__atomic_store_n(&pt_connection.state, PT_REFUSED, __ATOMIC_SEQ_CST);
		return;
	}
	pt_connection.generation++;
	__atomic_store_n(&pt_connection.state, PT_THERE, __ATOMIC_SEQ_CST);
	if (pt_connection.area != NULL)
		pt_install();
}

void
pt_hold(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, old);
	pthread_mutex_lock(&lock);
}

void
pt_release(const sigset_t *old)
{
	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_SETMASK, old, NULL);
}

int
pt_ask(struct pt_packet *p, int *fd)
{
	sigset_t old;
	int error;
	uint32_t kind = p->kind;

	pt_hold(&old);
	error = pt_send(p, -1);
	if (error == 0)
		error = receive(p, fd);
	pt_release(&old);
	if (error == 0 && p->kind != kind)
		error = EPROTO;
	if (error == 0 && p->a != 0)
		error = (int)p->a;
	return error;
}

/* ---- Lanes -------------------------------------------------------------------------------------------------------- */

static int
new_lane(struct pt_thread *t, int tid)
{
	struct pt_packet p = { 0 };
	int fd = -1, error;
	void *m;

	p.kind = PT_LANE;
	p.a = (uint32_t)tid;
	error = pt_ask(&p, &fd);
	if (error != 0 || fd < 0) {
		if (fd >= 0)
			close(fd);
		if (!pt_kernel_gone()) {
			p.text[sizeof p.text - 1] = '\0';
			say("a thread gets no lane: ", error != 0 && p.kind == PT_LANE ? p.text : strerror(error));
		}
		return 0;
	}
	m = mmap(NULL, PT_LANE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (m == MAP_FAILED)
		return 0;
	madvise(m, PT_LANE_SIZE, MADV_DONTFORK);
	t->index = p.b;
	t->generation = pt_connection.generation;
	t->lane = m;
	t->large = 0;
	return 1;
}

static void
thread_ends(void *unused)
{
	struct pt_thread *t = &me;

	(void)unused;
	for (struct pt_thread *i = t; i != NULL; i = i->inner) {
		if (i->lane == NULL)
			continue;
		if (i->generation == pt_connection.generation && pt_connection.state == PT_THERE) {
			i->busy = 1;
			pt_post(i, PT_OP_THREAD_ENDS, 0, 0, 0);
		}
		munmap(i->lane, PT_LANE_SIZE);
		i->lane = NULL;
		i->busy = 0;
	}
	t->reply = t->special = t->self = MACH_PORT_NULL;
	t->tid = 0;
}

struct pt_thread *
pt_enter(void)
{
	struct pt_thread *t = &me;
	sigset_t old;

	if (__builtin_expect(t->lane != NULL && !t->busy && t->generation == pt_connection.generation &&
		    pt_connection.state == PT_THERE, 1)) {
		t->busy = 1;
		return t;
	}
	if (pt_connection.state == PT_NEVER) {
		pt_hold(&old);
		connect_once();
		pt_release(&old);
	}
	if (pt_connection.state != PT_THERE)
		return NULL;
	while (t->busy) { /* we are in a signal handler, in the middle of a call */
		if (t->inner == NULL) {
			void *m = mmap(NULL, sizeof *t, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (m == MAP_FAILED)
				return NULL;
			t->inner = m;
		}
		t = t->inner;
	}
	t->busy = 1;
	if (t->lane == NULL || t->generation != pt_connection.generation) {
		int tid = t == &me ? (int)syscall(SYS_gettid) : 0;
		if (!new_lane(t, tid)) {
			t->busy = 0;
			return NULL;
		}
		if (t == &me) {
			t->tid = tid;
			t->reply = t->special = t->self = MACH_PORT_NULL;
			if (has_key)
				pthread_setspecific(ends, t);
			pt_alternate_stack();
		}
	}
	return t;
}

void
pt_leave(struct pt_thread *t)
{
	t->busy = 0;
}

/* ---- Start, fork --------------------------------------------------------------------------------------------------- */

static void
learn_names(void)
{
	uint64_t value = 0;

	if (pt_connection.state != PT_THERE)
		return;
	mach_task_self_ = pt_name(pt_call(PT_OP_TASK_SELF, NULL, 0, NULL, 0));
	bootstrap_port = pt_call(PT_OP_BOOTSTRAP_PORT, &value, 0, NULL, 0) == 0 ? (mach_port_t)value : MACH_PORT_NULL;
}

static sigset_t forking;

static void
before_fork(void)
{
	struct pt_packet p = { 0 };
	sigset_t old;

	pt_hold(&old);
	forking = old;
	memset(fork_token, 0, sizeof fork_token);
	pt_stay(0); /* the child has it, too */
	if (pt_connection.state != PT_THERE)
		return;
	p.kind = PT_FORK;
	if (pt_send(&p, -1) == 0 && receive(&p, NULL) == 0 && p.kind == PT_FORK && p.a == 0)
		memcpy(fork_token, p.token, sizeof fork_token);
}

static void
after_fork_parent(void)
{
	sigset_t old = forking;

	memset(fork_token, 0, sizeof fork_token);
	pt_release(&old);
}

/* The child is another task. Its parent's lanes are not in its memory (MADV_DONTFORK). */
static void
after_fork_child(void)
{
	sigset_t old = forking;
	int was = pt_connection.state == PT_THERE;

	if (pt_connection.fd >= 0)
		close(pt_connection.fd);
	pt_connection.fd = -1;
	pt_connection.area = NULL;
	pt_connection.state = PT_NEVER;
	pt_stay(1);
	for (struct pt_thread *t = &me; t != NULL; t = t->inner) {
		t->lane = NULL;
		t->busy = 0;
		t->reply = t->special = t->self = MACH_PORT_NULL;
	}
	mach_task_self_ = bootstrap_port = MACH_PORT_NULL;
	pt_begins();
	if (was)
		connect_once();
	pt_release(&old);
	if (was)
		learn_names();
}

/* Referred to by the linker's command line, so that every program is a task from its start. */
void portcullis_task(void);
__attribute__((constructor(110))) void
portcullis_task(void)
{
	static int begun;
	const char *path;
	sigset_t old;
	int saved = errno;

	if (begun)
		return;
	begun = 1;
	pt_begins();
	has_key = pthread_key_create(&ends, thread_ends) == 0;
	pthread_atfork(before_fork, after_fork_parent, after_fork_child);
	path = getenv(PT_ENVIRONMENT);
	if (path == NULL || *path == '\0') {
		errno = saved;
		return;
	}
	pt_hold(&old);
	connect_once();
	pt_release(&old);
	learn_names();
	errno = saved;
}

void mach_init(void);
void
mach_init(void)
{
	portcullis_task();
}
