/*
 * Faults and stops. A thread that faults, or that the kernel stops, stands in a signal handler, where the kernel finds its
 * registers in a record and says how it goes on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#if defined(__aarch64__)
#include <asm/sigcontext.h>
#endif

#include "libmach.h"

#define STOP (64 - PT_SIGNAL_OFFSET)

static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS };
#define FAULTS (sizeof faults / sizeof *faults)
static struct sigaction before[FAULTS];
static int installed;

static struct sigaction *
previous(int signo)
{
	for (size_t i = 0; i < FAULTS; i++)
		if (faults[i] == signo)
			return &before[i];
	return NULL;
}

static int
has_handler(const struct sigaction *a)
{
	return a != NULL && ((a->sa_flags & SA_SIGINFO) || (a->sa_handler != SIG_DFL && a->sa_handler != SIG_IGN));
}

/* ---- Registers ---------------------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)

static void
load(struct pt_record *r, ucontext_t *u)
{
	memcpy(r->registers, u->uc_mcontext.gregs, 23 * sizeof(uint64_t));
	if (u->uc_mcontext.fpregs != NULL)
		memcpy(r->floating, u->uc_mcontext.fpregs, 512);
	r->trap = (uint64_t)u->uc_mcontext.gregs[REG_TRAPNO];
	r->error_code = (uint64_t)u->uc_mcontext.gregs[REG_ERR];
}

static void
store(const struct pt_record *r, ucontext_t *u)
{
	if (r->changed & 1) {
		/* The kernel does not change segments and what the processor said of the trap. */
		memcpy(u->uc_mcontext.gregs, r->registers, 18 * sizeof(uint64_t));
	}
	if ((r->changed & 2) && u->uc_mcontext.fpregs != NULL)
		memcpy(u->uc_mcontext.fpregs, r->floating, 416); /* behind that Linux has notes of its own */
}

#elif defined(__aarch64__)

static void *
part(ucontext_t *u, uint32_t magic)
{
	char *at = (char *)u->uc_mcontext.__reserved, *end = at + sizeof u->uc_mcontext.__reserved;

	while (at + sizeof(struct _aarch64_ctx) <= end) {
		struct _aarch64_ctx *c = (struct _aarch64_ctx *)(void *)at;
		if (c->magic == magic)
			return c;
		if (c->magic == 0 || c->size == 0)
			break;
		at += c->size;
	}
	return NULL;
}

static void
load(struct pt_record *r, ucontext_t *u)
{
	struct fpsimd_context *f = part(u, FPSIMD_MAGIC);
	struct esr_context *e = part(u, ESR_MAGIC);

	memcpy(r->registers, u->uc_mcontext.regs, 31 * sizeof(uint64_t));
	r->registers[31] = u->uc_mcontext.sp;
	r->registers[32] = u->uc_mcontext.pc;
	r->registers[33] = u->uc_mcontext.pstate;
	r->trap = 0;
	r->error_code = e != NULL ? e->esr : 0;
	if (f != NULL) {
		memcpy(r->floating, &f->fpsr, 4);
		memcpy(r->floating + 4, &f->fpcr, 4);
		memcpy(r->floating + 16, f->vregs, sizeof f->vregs);
	}
}

static void
store(const struct pt_record *r, ucontext_t *u)
{
	struct fpsimd_context *f = part(u, FPSIMD_MAGIC);

	if (r->changed & 1) {
		memcpy(u->uc_mcontext.regs, r->registers, 31 * sizeof(uint64_t));
		u->uc_mcontext.sp = r->registers[31];
		u->uc_mcontext.pc = r->registers[32];
		u->uc_mcontext.pstate = r->registers[33];
	}
	if ((r->changed & 2) && f != NULL) {
		memcpy(&f->fpsr, r->floating, 4);
		memcpy(&f->fpcr, r->floating + 4, 4);
		memcpy(f->vregs, r->floating + 16, sizeof f->vregs);
	}
}

#endif

/* ---- Records ------------------------------------------------------------------------------------------------------------ */

static struct pt_record *
claim(struct pt_area *area, uint32_t *index)
{
	for (uint32_t i = 0; i < PT_AREA_RECORDS; i++) {
		uint32_t state = PT_RECORD_FREE;
		if (__atomic_compare_exchange_n(&area->records[i].state, &state, PT_RECORD_TAKEN, 0, __ATOMIC_SEQ_CST,
			__ATOMIC_SEQ_CST)) {
			*index = i;
			return &area->records[i];
		}
	}
	return NULL;
}

static void
obey(struct pt_record *r, struct pt_area *area, uint32_t index)
{
	char *data = (char *)area + PT_AREA_DATA + (size_t)index * PT_COMMAND_DATA;
	uint64_t args[4];

	memcpy(args, r->arguments, sizeof args);
	r->result = pt_do(r->command, args, data, data, PT_COMMAND_DATA);
	r->arguments[0] = args[0];
	__atomic_store_n(&r->state, PT_RECORD_STOPPED, __ATOMIC_SEQ_CST);
	pt_futex_wake(&r->state);
}

/*
 * Lets the signals through that would end the process: a thread that waits for a handler must not keep it alive. Those
 * that have handlers wait, as they do while a thread waits in an exception. A thread that was suspended lets none through.
 */
static void
admit_fatal(const sigset_t *blocked_before)
{
	static const int fatal[] = { SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ,
		SIGVTALRM, SIGPROF };
	struct sigaction a;
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
		if (!sigismember(blocked_before, fatal[i]) && sigaction(fatal[i], NULL, &a) == 0 && !has_handler(&a) &&
		    a.sa_handler != SIG_IGN)
			sigaddset(&set, fatal[i]);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* Stands until the kernel says how to go on: PT_RECORD_RESUME or PT_RECORD_DEFAULT, which it is too if nobody answers. */
static uint32_t
stand(int signo, const siginfo_t *si, ucontext_t *u, uint32_t kind)
{
	struct pt_area *area = pt_connection.area;
	struct pt_packet p = { 0 };
	struct pt_record *r;
	uint32_t index = 0, state, ms = 250;

	if (area == NULL || pt_connection.state != PT_THERE || (r = claim(area, &index)) == NULL)
		return PT_RECORD_DEFAULT;
	if (kind == PT_RECORD_IS_FAULT)
		admit_fatal(&u->uc_sigmask);
	r->kind = kind;
	r->tid = (int32_t)syscall(SYS_gettid);
	r->signo = signo;
	r->code = si->si_code;
	r->error = si->si_errno;
	r->address = (uint64_t)(uintptr_t)si->si_addr;
	r->changed = 0;
	r->chained = (uint32_t)has_handler(previous(signo));
	load(r, u);
	pt_before();
	__atomic_store_n(&r->state, PT_RECORD_STOPPED, __ATOMIC_SEQ_CST);
	p.kind = PT_FAULT;
	p.a = index;
	if (pt_send(&p, -1) != 0) {
		__atomic_store_n(&r->state, PT_RECORD_FREE, __ATOMIC_SEQ_CST);
		return PT_RECORD_DEFAULT;
	}
	for (;;) {
		state = __atomic_load_n(&r->state, __ATOMIC_SEQ_CST);
		if (state == PT_RECORD_RESUME || state == PT_RECORD_DEFAULT)
			break;
		if (state == PT_RECORD_COMMAND) {
			obey(r, area, index);
			continue;
		}
		if (pt_futex_wait(&r->state, state, ms) == ETIMEDOUT) {
			if (pt_kernel_gone()) {
				state = PT_RECORD_DEFAULT;
				break;
			}
			ms = ms < 16000 ? ms * 2 : ms;
		}
	}
	pt_after();
	if (state == PT_RECORD_RESUME)
		store(r, u);
	__atomic_store_n(&r->state, PT_RECORD_FREE, __ATOMIC_SEQ_CST);
	return state;
}

/* Does what the signal does without us: the program's own handler, or the end of the process. */
static void
without_us(int signo, siginfo_t *si, void *context)
{
	struct sigaction *a = previous(signo), standard;

	if (has_handler(a)) {
		if (a->sa_flags & SA_SIGINFO)
			a->sa_sigaction(signo, si, context);
		else
			a->sa_handler(signo);
		return;
	}
	if (a != NULL && a->sa_handler == SIG_IGN && si->si_code <= 0)
		return;
	memset(&standard, 0, sizeof standard);
	standard.sa_handler = SIG_DFL;
	sigaction(signo, &standard, NULL);
	/* A fault happens again when the handler returns. What somebody sent, or what lies behind, is sent once more. */
	if (si->si_code <= 0 || signo == SIGTRAP || signo == SIGSYS || signo == SIGABRT)
		syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), signo);
}

static void
on_fault(int signo, siginfo_t *si, void *context)
{
	int saved = errno;

	if (stand(signo, si, context, PT_RECORD_IS_FAULT) != PT_RECORD_RESUME)
		without_us(signo, si, context);
	errno = saved;
}

static void
on_stop(int signo, siginfo_t *si, void *context)
{
	int saved = errno;

	pt_me()->stops++;
	stand(signo, si, context, PT_RECORD_IS_STOP);
	errno = saved;
}

/* Handlers stand on a stack of their own, so that the end of a stack can be told too. */
void
pt_alternate_stack(void)
{
	stack_t now, mine;
	size_t size = 0x10000;

	if (sigaltstack(NULL, &now) != 0 || !(now.ss_flags & SS_DISABLE))
		return;
	memset(&mine, 0, sizeof mine);
	mine.ss_sp = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (mine.ss_sp == MAP_FAILED)
		return;
	mine.ss_size = size;
	sigaltstack(&mine, NULL);
}

void
pt_install(void)
{
	struct sigaction a;

	if (installed)
		return;
	installed = 1;
	memset(&a, 0, sizeof a);
	sigfillset(&a.sa_mask);
	/* A fault within the handler must end the process, not wait behind the mask. */
	for (size_t i = 0; i < FAULTS; i++)
		sigdelset(&a.sa_mask, faults[i]);
	a.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
	a.sa_sigaction = on_stop;
	sigaction(STOP, &a, NULL);
	a.sa_flags = SA_SIGINFO | SA_ONSTACK;
	a.sa_sigaction = on_fault;
	for (size_t i = 0; i < FAULTS; i++) {
		if (sigaction(faults[i], NULL, &before[i]) != 0)
			continue;
		sigaction(faults[i], &a, NULL);
	}
	pt_alternate_stack();
}
