/*
 * Sockets of a job, under the name of Apple's interface. Both libraries have it: libmach, and libxpc for programs that
 * use XPC.
 */
#ifndef PORTCULLIS_LAUNCH_H
#define PORTCULLIS_LAUNCH_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Gives the program the sockets that launchd has opened for it under a name of Sockets, in the order of the job file.
 * fds becomes an array of cnt descriptors, closed on exec; it is the caller's to free. The same name can be asked for
 * once. Returns 0 or
 *   ENOENT    the job has no sockets of this name
 *   ESRCH     this process is not the one that launchd started: a child of it, or no job's
 *   EALREADY  the program has these sockets already
 *   ENOMEM    there is no memory
 */
int launch_activate_socket(const char *name, int **fds, size_t *cnt);

#ifdef __cplusplus
}
#endif

#endif
