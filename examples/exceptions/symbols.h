#include <stdint.h>
#include <sys/types.h>

/* Where an address of a process is: the image, and the function in it with the offset. Empty strings for what is unknown. */
struct place {
	char image[64];
	char function[128];
	uint64_t offset; /* in the function, or in the image if that is unknown */
};

struct place place_of(pid_t pid, uint64_t address);
