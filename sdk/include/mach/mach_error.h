#ifndef _MACH_MACH_ERROR_H_
#define _MACH_MACH_ERROR_H_

#include <mach/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a code means, in words: for people only. */
extern char *mach_error_string(mach_error_t error_value);
extern char *mach_error_type(mach_error_t error_value);

/* Prints a text and what the code means on standard error. */
extern void mach_error(const char *str, mach_error_t error_value);

#ifdef __cplusplus
}
#endif

#endif
