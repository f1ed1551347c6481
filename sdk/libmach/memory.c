/* The memory of the process itself. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <mach/vm_page_size.h>
#include <mach/mach_vm.h>
#include <mach/vm_map.h>

#include "libmach.h"

vm_size_t vm_page_size = 4096, vm_kernel_page_size = 4096;
vm_size_t vm_page_mask = 4095, vm_kernel_page_mask = 4095;
int vm_page_shift = 12, vm_kernel_page_shift = 12;

size_t
pt_page(void)
{
	return vm_page_size;
}

__attribute__((constructor(105))) static void
learn(void)
{
	long size = sysconf(_SC_PAGESIZE);

	if (size > 0) {
		vm_page_size = vm_kernel_page_size = (vm_size_t)size;
		vm_page_mask = vm_kernel_page_mask = (vm_size_t)size - 1;
		vm_page_shift = vm_kernel_page_shift = __builtin_ctzl((unsigned long)size);
	}
}

/* process_vm_readv and its like fail where touching the memory would be a fault. Where they are forbidden we touch it. */
static int
move(void *mine, uint64_t there, size_t n, int write)
{
	struct iovec a = { mine, n }, b = { (void *)(uintptr_t)there, n };
	static int forbidden;
	ssize_t done;

	if (n == 0)
		return 0;
	if (!forbidden) {
		int nr = write ? SYS_process_vm_writev : SYS_process_vm_readv;
		done = syscall(nr, getpid(), &a, 1L, &b, 1L, 0L);
		if (done == (ssize_t)n)
			return 0;
		if (done >= 0 || errno == EFAULT)
			return EFAULT;
		forbidden = 1;
	}
	if (write)
		memcpy((void *)(uintptr_t)there, mine, n);
	else
		memcpy(mine, (void *)(uintptr_t)there, n);
	return 0;
}

int
pt_read(void *to, uint64_t from, size_t n)
{
	return move(to, from, n, 0);
}

int
pt_write(uint64_t to, const void *from, size_t n)
{
	return move((void *)(uintptr_t)from, to, n, 1);
}

/* Linux's PROCMAP_QUERY, which not all headers have: what it says of a mapping. */
struct query {
	uint64_t size, flags, address, start, end, protection, page, offset, inode;
	uint32_t major, minor, name_size, build_size;
	uint64_t name, build;
};
#define QUERY _IOWR('f', 17, struct query)
#define QUERY_READABLE 1

/* The same for a Linux before 6.11, which has to be asked for the text. */
static int
search(int maps, uint64_t address, struct query *q)
{
	char text[8192], *line, *end;
	size_t have = 0;
	ssize_t n;

	if (lseek(maps, 0, SEEK_SET) != 0)
		return 0;
	while ((n = read(maps, text + have, sizeof text - 1 - have)) > 0) {
		have += (size_t)n;
		text[have] = '\0';
		for (line = text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
			char readable;

			if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %c%*s %" SCNx64 " %*s %" SCNu64, &q->start, &q->end, &readable,
				&q->offset, &q->inode) != 5)
				return 0;
			if (address < q->end) {
				q->protection = readable == 'r' ? QUERY_READABLE : 0;
				return q->start <= address;
			}
		}
		have -= (size_t)(line - text);
		memmove(text, line, have);
	}
	return 0;
}

/* Asks for the mapping that an address is in; 0 if there is none, or Linux does not say. */
static int
ask(int maps, uint64_t address, struct query *q)
{
	memset(q, 0, sizeof *q);
	q->size = sizeof *q;
	q->address = address;
	if (ioctl(maps, QUERY, q) == 0)
		return 1;
	return errno == ENOTTY && search(maps, address, q);
}

static int came(uint64_t from, size_t n);

/* Says that memory is there, can be read, and is no file's, which another may shorten. What Linux does not say is no. */
static int
solid(uint64_t from, size_t n)
{
	struct query q;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	uint64_t at = from;

	if (fd < 0)
		return 0;
	for (int i = 0; i < 16 && at - from < n; i++, at = q.end)
		if (!ask(fd, at, &q) || !(q.protection & QUERY_READABLE) || (q.inode != 0 && !came(from, n)) || q.end <= at)
			break;
	close(fd);
	return at - from >= n;
}

/* What is larger than the caches of a processor is copied past them: it would only drive out what is read next. */
static void
copy(char *to, const char *from, size_t n)
{
#ifdef __SSE2__
	enum { LARGE = 8 << 20, AHEAD = 512 };

	if (n >= LARGE && ((uintptr_t)to & 15) == 0) {
		for (; n >= 64; n -= 64, to += 64, from += 64) {
			__m128i a = _mm_loadu_si128((const __m128i *)(const void *)from);
			__m128i b = _mm_loadu_si128((const __m128i *)(const void *)(from + 16));
			__m128i c = _mm_loadu_si128((const __m128i *)(const void *)(from + 32));
			__m128i d = _mm_loadu_si128((const __m128i *)(const void *)(from + 48));

			_mm_prefetch(from + AHEAD, _MM_HINT_NTA);
			_mm_stream_si128((__m128i *)(void *)to, a);
			_mm_stream_si128((__m128i *)(void *)(to + 16), b);
			_mm_stream_si128((__m128i *)(void *)(to + 32), c);
			_mm_stream_si128((__m128i *)(void *)(to + 48), d);
		}
		_mm_sfence();
	}
#endif
	memcpy(to, from, n);
}

/* A system call that copies takes up to three times as long as memcpy. From some size on that is more than to ask whether
 * the memory is there, which a thread that sends does not take away meanwhile. */
int
pt_copy(void *to, uint64_t from, size_t n)
{
	enum { MUCH = 128 << 10 };

	if (n < MUCH || from + n < from || !solid(from, n))
		return pt_read(to, from, n);
	copy(to, (const void *)(uintptr_t)from, n);
	return 0;
}

static int
protection(uint64_t p)
{
	return (p & VM_PROT_READ ? PROT_READ : 0) | (p & VM_PROT_WRITE ? PROT_WRITE : 0) |
	    (p & VM_PROT_EXECUTE ? PROT_EXEC : 0);
}

int
pt_do(uint32_t upcall, uint64_t args[4], void *from, void *to, size_t room)
{
	void *p;

	switch (upcall) {
	case PT_UPCALL_MAP: {
		int fixed = args[1] != 0 && args[3] == 0;
		p = mmap((void *)(uintptr_t)args[1], args[0], protection(args[2]),
		    MAP_PRIVATE | MAP_ANONYMOUS | (fixed ? MAP_FIXED : 0), -1, 0);
		if (p == MAP_FAILED)
			return errno;
		args[0] = (uint64_t)(uintptr_t)p;
		return 0;
	}
	case PT_UPCALL_UNMAP:
		return pt_unmap(args[0], args[1]);
	case PT_UPCALL_PROTECT:
		return mprotect((void *)(uintptr_t)args[0], args[1], protection(args[2])) == 0 ? 0 : errno;
	case PT_UPCALL_READ:
		return args[1] > room ? EINVAL : pt_read(to, args[0], args[1]);
	case PT_UPCALL_WRITE:
		return args[1] > room ? EINVAL : pt_write(args[0], from, args[1]);
	}
	return ENOSYS;
}

/* The whole pages that a stretch touches. */
static int
pages(uint64_t *address, uint64_t *size)
{
	uint64_t mask = pt_page() - 1, end = *address + *size;

	if (end < *address || end + mask < end)
		return 0;
	*address &= ~mask;
	*size = ((end + mask) & ~mask) - *address;
	return 1;
}

/* ---- Memory that the kernel has use for again ---------------------------------------------------------------------- */

/*
 * What came in files that have numbers. Once the program gives it up as a whole, by a call of this library, it is moved
 * where the program does not know of it, and the kernel told: the next that comes is there with its pages mapped. What
 * the program does otherwise with such memory is its own business, and the kernel forgets the number some day; so it is
 * with all that a child has, too.
 */
static struct landed {
	uint64_t address, size, inode;
	uint32_t number; /* 0: none */
	uint32_t kept;	 /* given up: when */
} landed[32];
static uint32_t landings; /* how many the program has */
static uint32_t keeps;	  /* counts what was given up */
#define LANDED (sizeof landed / sizeof *landed)

/* The most that is kept. */
#define KEPT_MOST ((uint64_t)64 << 20)

/* All of these are called with the lock held. */

/* Removes what the program has in a stretch of pages, but for what is the stretch, which it returns. */
static struct landed *
forget(uint64_t address, uint64_t size)
{
	struct landed *whole = NULL;

	for (struct landed *l = landed; l < landed + LANDED; l++) {
		if (l->number == 0 || l->kept != 0 || l->address + l->size <= address || address + size <= l->address)
			continue;
		if (l->address == address && l->size == size)
			whole = l;
		else
			l->number = 0;
		__atomic_sub_fetch(&landings, 1, __ATOMIC_SEQ_CST);
	}
	return whole;
}

/* Unmaps what was kept longest if there is more than there may be. */
static void
bound(void)
{
	for (;;) {
		struct landed *oldest = NULL;
		uint64_t all = 0;
		uint32_t free = 0;

		for (struct landed *l = landed; l < landed + LANDED; l++) {
			free += l->number == 0;
			if (l->number == 0 || l->kept == 0)
				continue;
			all += l->size;
			if (oldest == NULL || keeps - l->kept > keeps - oldest->kept)
				oldest = l;
		}
		if (oldest == NULL || (all <= KEPT_MOST && free != 0))
			return;
		munmap((void *)(uintptr_t)oldest->address, oldest->size);
		oldest->number = oldest->kept = 0;
	}
}

/* Linux's PAGEMAP_SCAN, which not all headers have. */
struct scan {
	uint64_t size, flags, start, end, walked, regions, count, most, inverted, mask, any, told;
};
struct scanned {
	uint64_t start, end, categories;
};
#define SCAN _IOWR('f', 16, struct scan)
#define SCAN_FILE 4
#define SCAN_THERE (8 | 16) /* present, or swapped out */

/* Gives up the pages that the program has written, which are no longer the file's; 0 if that cannot be. */
static int
clean(uint64_t address, uint64_t size)
{
	struct scanned found[32];
	struct scan s = { 0 };
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), n = 0, ok = 1;

	s.size = sizeof s;
	s.start = address;
	s.end = address + size;
	s.regions = (uint64_t)(uintptr_t)found;
	s.count = sizeof found / sizeof *found;
	s.inverted = s.mask = SCAN_FILE;
	s.any = s.told = SCAN_THERE;
	for (; ok && fd >= 0 && s.start < s.end; s.start = s.walked) {
		n = ioctl(fd, SCAN, &s);
		if (n < 0 || s.walked <= s.start)
			break;
		for (int i = 0; i < n && ok; i++)
			ok = madvise((void *)(uintptr_t)found[i].start, found[i].end - found[i].start, MADV_DONTNEED) == 0;
	}
	if (fd >= 0)
		close(fd);
	if (s.start < s.end && ok) /* a Linux that cannot tell */
		ok = madvise((void *)(uintptr_t)address, size, MADV_DONTNEED) == 0;
	return ok;
}

/* Says that all of a stretch is one mapping of a file from its start, as it was when it came. */
static int
same(uint64_t address, uint64_t size, uint64_t inode)
{
	struct query q;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC), ok;

	if (fd < 0)
		return 0;
	ok = ask(fd, address, &q) && q.start <= address && q.end - address >= size && q.inode == inode &&
	    q.offset == address - q.start;
	close(fd);
	return ok;
}

/* Moves memory where only this library knows of it, and undoes what the program has done to it; 0 if that cannot be, as
 * where the program has moved it, or put something else in its place. */
static uint64_t
hide(uint64_t address, uint64_t size, uint64_t inode)
{
	void *p = (void *)(uintptr_t)address, *to;

	if (mprotect(p, size, PROT_READ | PROT_WRITE) != 0 || madvise(p, size, MADV_DONTFORK) != 0 ||
	    !same(address, size, inode) || !clean(address, size))
		return 0;
	to = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (to == MAP_FAILED)
		return 0;
	if (mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED) {
		munmap(to, size);
		return 0;
	}
	return (uint64_t)(uintptr_t)to;
}

/* Takes down that the program has memory. */
static void
add(uint64_t address, uint64_t size, uint64_t inode, uint32_t number)
{
	struct landed *before = forget(address, size); /* the program may have unmapped it */

	if (before != NULL)
		before->number = 0;
	bound();
	for (struct landed *l = landed; l < landed + LANDED; l++) {
		if (l->number != 0)
			continue;
		*l = (struct landed){ address, size, inode, number, 0 };
		__atomic_add_fetch(&landings, 1, __ATOMIC_SEQ_CST);
		return;
	}
}

/* Says that memory lies in what came so; that nobody shortens. */
static int
came(uint64_t from, size_t n)
{
	sigset_t old;
	int found = 0;

	if (__atomic_load_n(&landings, __ATOMIC_SEQ_CST) == 0)
		return 0;
	pt_hold(&old);
	for (struct landed *l = landed; l < landed + LANDED; l++)
		found |= l->number != 0 && l->address <= from && from - l->address <= l->size && l->size - (from - l->address) >= n;
	pt_release(&old);
	return found;
}

void
pt_landed(uint64_t address, uint64_t size, uint32_t number, int fd)
{
	struct stat st;
	sigset_t old;

	if (!pages(&address, &size) || fstat(fd, &st) != 0)
		return;
	pt_hold(&old);
	add(address, size, st.st_ino, number);
	pt_release(&old);
}

uint64_t
pt_kept(uint64_t size, uint32_t number)
{
	uint64_t address = 0, have, inode;
	sigset_t old;

	if (!pages(&address, &size))
		return 0;
	pt_hold(&old);
	for (struct landed *l = landed; l < landed + LANDED; l++) {
		if (l->number != number || l->kept == 0)
			continue;
		address = l->address;
		have = l->size;
		inode = l->inode;
		*l = (struct landed){ 0 };
		if (have < size || madvise((void *)(uintptr_t)address, have, MADV_DOFORK) != 0) {
			munmap((void *)(uintptr_t)address, have);
			address = 0;
			break;
		}
		if (have > size)
			munmap((void *)(uintptr_t)(address + size), have - size);
		add(address, size, inode, number);
		break;
	}
	pt_release(&old);
	return address;
}

void
pt_stay(int child)
{
	forget(0, ~(uint64_t)0);
	if (child)
		memset(landed, 0, sizeof landed); /* what is kept is not in a child's memory */
}

int
pt_unmap(uint64_t address, uint64_t size)
{
	struct pt_packet p = { 0 };
	struct landed *l = NULL;
	int saved = errno;
	sigset_t old;

	if (size == 0 || !pages(&address, &size))
		return EINVAL;
	if (__atomic_load_n(&landings, __ATOMIC_SEQ_CST) != 0) {
		uint64_t hidden = 0;

		pt_hold(&old);
		if ((l = forget(address, size)) != NULL)
			hidden = hide(address, size, l->inode);
		if (hidden != 0) {
			p.kind = PT_RETURN;
			p.a = l->number;
			p.b = PT_KEPT;
			l->address = hidden;
			l->kept = ++keeps != 0 ? keeps : ++keeps;
			bound();
		} else if (l != NULL) {
			l->number = 0;
		}
		pt_release(&old);
	}
	if (p.kind == PT_RETURN)
		pt_send(&p, -1);
	else if (munmap((void *)(uintptr_t)address, size) != 0)
		return errno;
	errno = saved;
	return 0;
}

/* ---- Calls that XNU has traps for, on the own task ---------------------------------------------------------------- */

extern kern_return_t _kernelrpc_mach_vm_allocate(vm_map_t, mach_vm_address_t *, mach_vm_size_t, int);
extern kern_return_t _kernelrpc_mach_vm_deallocate(vm_map_t, mach_vm_address_t, mach_vm_size_t);
extern kern_return_t _kernelrpc_mach_vm_protect(vm_map_t, mach_vm_address_t, mach_vm_size_t, boolean_t, vm_prot_t);
extern kern_return_t _kernelrpc_mach_vm_map(vm_map_t, mach_vm_address_t *, mach_vm_size_t, mach_vm_offset_t, int,
	mem_entry_name_port_t, memory_object_offset_t, boolean_t, vm_prot_t, vm_prot_t, vm_inherit_t);

static int
own(vm_map_t task)
{
	return task == mach_task_self_ && task != MACH_PORT_NULL;
}

static kern_return_t
allocate(mach_vm_address_t *address, mach_vm_size_t size, mach_vm_offset_t mask, int flags, vm_prot_t prot)
{
	int saved = errno, mode = MAP_PRIVATE | MAP_ANONYMOUS;
	uint64_t at = *address, length = size, slack = 0;
	void *p;

	if (size == 0) {
		*address = 0;
		return KERN_SUCCESS;
	}
	if (flags & VM_FLAGS_ANYWHERE) {
		at = 0;
		if (!pages(&at, &length))
			return KERN_INVALID_ARGUMENT;
		slack = mask & ~(uint64_t)(pt_page() - 1);
		if (length + slack < length)
			return KERN_NO_SPACE;
	} else {
		if (!pages(&at, &length))
			return KERN_INVALID_ARGUMENT;
		if (at & mask)
			return KERN_NO_SPACE;
		mode |= flags & VM_FLAGS_OVERWRITE ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	}
	p = mmap((void *)(uintptr_t)at, length + slack, protection((uint64_t)prot), mode, -1, 0);
	if (p != MAP_FAILED && !(flags & VM_FLAGS_ANYWHERE) && (uint64_t)(uintptr_t)p != at) {
		munmap(p, length); /* a Linux that does not know MAP_FIXED_NOREPLACE */
		p = MAP_FAILED;
	}
	errno = saved;
	if (p == MAP_FAILED)
		return KERN_NO_SPACE;
	if (slack != 0) {
		uint64_t start = (uint64_t)(uintptr_t)p, aligned = (start + mask) & ~mask;
		if (aligned > start)
			munmap(p, aligned - start);
		if (start + slack > aligned)
			munmap((void *)(uintptr_t)(aligned + length), start + slack - aligned);
		p = (void *)(uintptr_t)aligned;
	}
	*address = (uint64_t)(uintptr_t)p;
	return KERN_SUCCESS;
}

kern_return_t
mach_vm_allocate(vm_map_t task, mach_vm_address_t *address, mach_vm_size_t size, int flags)
{
	if (own(task))
		return allocate(address, size, 0, flags, VM_PROT_DEFAULT);
	return _kernelrpc_mach_vm_allocate(task, address, size, flags);
}

kern_return_t
mach_vm_deallocate(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size)
{
	if (!own(task))
		return _kernelrpc_mach_vm_deallocate(task, address, size);
	if (address + size < address)
		return KERN_INVALID_ARGUMENT;
	pt_unmap(address, size);
	return KERN_SUCCESS;
}

kern_return_t
mach_vm_protect(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size, boolean_t maximum, vm_prot_t prot)
{
	int saved = errno, bad;

	if (!own(task) || maximum || (prot & ~VM_PROT_ALL))
		return _kernelrpc_mach_vm_protect(task, address, size, maximum, prot);
	if (size == 0)
		return KERN_SUCCESS;
	if (!pages(&address, &size))
		return KERN_INVALID_ARGUMENT;
	bad = mprotect((void *)(uintptr_t)address, size, protection((uint64_t)prot)) != 0 ? errno : 0;
	errno = saved;
	return bad == 0 ? KERN_SUCCESS : bad == EACCES ? KERN_PROTECTION_FAILURE : KERN_INVALID_ADDRESS;
}

kern_return_t
mach_vm_map(vm_map_t task, mach_vm_address_t *address, mach_vm_size_t size, mach_vm_offset_t mask, int flags,
	mem_entry_name_port_t object, memory_object_offset_t offset, boolean_t copy, vm_prot_t now, vm_prot_t most,
	vm_inherit_t inherit)
{
	if (own(task) && object == MACH_PORT_NULL && inherit == VM_INHERIT_COPY)
		return size == 0 ? KERN_INVALID_ARGUMENT : allocate(address, size, mask, flags, now);
	return _kernelrpc_mach_vm_map(task, address, size, mask, flags, object, offset, copy, now, most, inherit);
}

/* ---- The same with addresses of the program's own size ------------------------------------------------------------ */

kern_return_t
vm_allocate(vm_map_t task, vm_address_t *address, vm_size_t size, int flags)
{
	mach_vm_address_t at = *address;
	kern_return_t kr = mach_vm_allocate(task, &at, size, flags);

	*address = (vm_address_t)at;
	return kr;
}

kern_return_t
vm_deallocate(vm_map_t task, vm_address_t address, vm_size_t size)
{
	return mach_vm_deallocate(task, address, size);
}

kern_return_t
vm_protect(vm_map_t task, vm_address_t address, vm_size_t size, boolean_t maximum, vm_prot_t prot)
{
	return mach_vm_protect(task, address, size, maximum, prot);
}

kern_return_t
vm_map(vm_map_t task, vm_address_t *address, vm_size_t size, vm_address_t mask, int flags, mem_entry_name_port_t object,
	vm_offset_t offset, boolean_t copy, vm_prot_t now, vm_prot_t most, vm_inherit_t inherit)
{
	mach_vm_address_t at = *address;
	kern_return_t kr = mach_vm_map(task, &at, size, mask, flags, object, offset, copy, now, most, inherit);

	*address = (vm_address_t)at;
	return kr;
}

kern_return_t
vm_remap(vm_map_t task, vm_address_t *address, vm_size_t size, vm_address_t mask, int flags, vm_map_t source,
	vm_address_t from, boolean_t copy, vm_prot_t *now, vm_prot_t *most, vm_inherit_t inherit)
{
	mach_vm_address_t at = *address;
	kern_return_t kr = mach_vm_remap(task, &at, size, mask, flags, source, from, copy, now, most, inherit);

	*address = (vm_address_t)at;
	return kr;
}

kern_return_t
vm_inherit(vm_map_t task, vm_address_t address, vm_size_t size, vm_inherit_t inherit)
{
	return mach_vm_inherit(task, address, size, inherit);
}

kern_return_t
vm_read(vm_map_t task, vm_address_t address, vm_size_t size, vm_offset_t *data, mach_msg_type_number_t *count)
{
	return mach_vm_read(task, address, size, data, count);
}

kern_return_t
vm_write(vm_map_t task, vm_address_t address, vm_offset_t data, mach_msg_type_number_t count)
{
	return mach_vm_write(task, address, data, count);
}

kern_return_t
vm_copy(vm_map_t task, vm_address_t from, vm_size_t size, vm_address_t to)
{
	return mach_vm_copy(task, from, size, to);
}

kern_return_t
vm_read_overwrite(vm_map_t task, vm_address_t address, vm_size_t size, vm_address_t data, vm_size_t *outsize)
{
	mach_vm_size_t got = *outsize;
	kern_return_t kr = mach_vm_read_overwrite(task, address, size, data, &got);

	*outsize = (vm_size_t)got;
	return kr;
}

kern_return_t
vm_msync(vm_map_t task, vm_address_t address, vm_size_t size, vm_sync_t flags)
{
	return mach_vm_msync(task, address, size, flags);
}

kern_return_t
vm_behavior_set(vm_map_t task, vm_address_t address, vm_size_t size, vm_behavior_t behavior)
{
	return mach_vm_behavior_set(task, address, size, behavior);
}

kern_return_t
vm_region_64(vm_map_t task, vm_address_t *address, vm_size_t *size, vm_region_flavor_t flavor, vm_region_info_t info,
	mach_msg_type_number_t *count, mach_port_t *object)
{
	mach_vm_address_t at = *address;
	mach_vm_size_t length = *size;
	kern_return_t kr = mach_vm_region(task, &at, &length, flavor, info, count, object);

	*address = (vm_address_t)at;
	*size = (vm_size_t)length;
	return kr;
}

kern_return_t
vm_region_recurse_64(vm_map_t task, vm_address_t *address, vm_size_t *size, natural_t *depth,
	vm_region_recurse_info_t info, mach_msg_type_number_t *count)
{
	mach_vm_address_t at = *address;
	mach_vm_size_t length = *size;
	kern_return_t kr = mach_vm_region_recurse(task, &at, &length, depth, info, count);

	*address = (vm_address_t)at;
	*size = (vm_size_t)length;
	return kr;
}

/* ---- What stubs need ---------------------------------------------------------------------------------------------- */

void
mig_allocate(vm_address_t *address, vm_size_t size)
{
	if (vm_allocate(mach_task_self_, address, size, VM_FLAGS_ANYWHERE) != KERN_SUCCESS)
		*address = 0;
}

void
mig_deallocate(vm_address_t address, vm_size_t size)
{
	pt_unmap(address, size);
}
