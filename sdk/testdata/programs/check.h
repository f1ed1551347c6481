#include <mach/mach.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program unless a call returns what it should. */
#define IS(call, want) \
	do { \
		long long _got = (long long)(int)(call); \
		if (_got != (long long)(int)(want)) { \
			fprintf(stderr, "%s:%d: %s is %#llx (%s), want %#llx\n", __FILE__, __LINE__, #call, \
			    (unsigned long long)_got, mach_error_string((mach_error_t)_got), (unsigned long long)(int)(want)); \
			exit(1); \
		} \
	} while (0)
#define OK(call) IS(call, KERN_SUCCESS)
#define TRUE_(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x); \
			exit(1); \
		} \
	} while (0)
