/* Names for addresses of another process, as Linux has them: from /proc/PID/maps and the symbol tables of the images. */
#include "symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct file {
	const uint8_t *bytes;
	uint64_t size;
};

static const void *at(const struct file *f, uint64_t offset, uint64_t size)
{
	return offset <= f->size && size <= f->size - offset ? f->bytes + offset : NULL;
}

/* The address that an offset in the file has where the linker put it. */
static uint64_t linked(const struct file *f, const Elf64_Ehdr *e, uint64_t offset)
{
	for (int i = 0; i < e->e_phnum; i++) {
		const Elf64_Phdr *p = at(f, e->e_phoff + (uint64_t)i * e->e_phentsize, sizeof *p);

		if (p != NULL && p->p_type == PT_LOAD && offset >= p->p_offset && offset - p->p_offset < p->p_filesz)
			return p->p_vaddr + (offset - p->p_offset);
	}
	return 0;
}

static void look_up(const struct file *f, uint64_t offset, struct place *r)
{
	const Elf64_Ehdr *e = at(f, 0, sizeof *e);
	uint64_t address;

	if (e == NULL || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 || e->e_ident[EI_CLASS] != ELFCLASS64)
		return;
	address = linked(f, e, offset);
	for (int i = 0; i < e->e_shnum; i++) {
		const Elf64_Shdr *s = at(f, e->e_shoff + (uint64_t)i * e->e_shentsize, sizeof *s);
		const Elf64_Shdr *names;
		const Elf64_Sym *symbols;

		if (s == NULL || (s->sh_type != SHT_SYMTAB && s->sh_type != SHT_DYNSYM) ||
		    (symbols = at(f, s->sh_offset, s->sh_size)) == NULL ||
		    (names = at(f, e->e_shoff + (uint64_t)s->sh_link * e->e_shentsize, sizeof *names)) == NULL)
			continue;
		for (uint64_t n = 0; n < s->sh_size / sizeof *symbols; n++) {
			const Elf64_Sym *y = &symbols[n];
			const char *name = at(f, names->sh_offset + y->st_name, 1);

			if (ELF64_ST_TYPE(y->st_info) != STT_FUNC || address < y->st_value || address - y->st_value >= y->st_size ||
			    name == NULL)
				continue;
			snprintf(r->function, sizeof r->function, "%.*s", (int)(f->size - (names->sh_offset + y->st_name)), name);
			r->offset = address - y->st_value;
			return;
		}
	}
}

struct place place_of(pid_t pid, uint64_t address)
{
	struct place r = {0};
	char path[4096], line[8192];
	FILE *maps;

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	if ((maps = fopen(path, "r")) == NULL)
		return r;
	while (fgets(line, sizeof line, maps) != NULL) {
		unsigned long long from, to, offset;
		int name = 0;
		struct stat st;
		struct file f;
		void *bytes;
		int fd;

		if (sscanf(line, "%llx-%llx %*s %llx %*s %*s %n", &from, &to, &offset, &name) < 3 || address < from || address >= to)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(r.image, sizeof r.image, "%s", strrchr(line + name, '/') ? strrchr(line + name, '/') + 1 : line + name);
		r.offset = address - from + offset;
		if ((fd = open(line + name, O_RDONLY | O_CLOEXEC)) < 0)
			break;
		if (fstat(fd, &st) == 0 && st.st_size > 0 &&
		    (bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) != MAP_FAILED) {
			f = (struct file){bytes, (uint64_t)st.st_size};
			look_up(&f, r.offset, &r);
			munmap(bytes, (size_t)st.st_size);
		}
		close(fd);
		break;
	}
	fclose(maps);
	return r;
}
