/* Ports that stand for open files, so that messages carry them. Source: XNU bsd/sys/fileport.h. */
#ifndef _SYS_FILEPORT_H_
#define _SYS_FILEPORT_H_

#include <mach/port.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef mach_port_t fileport_t;
#define FILEPORT_NULL ((fileport_t)0)

/* Makes a send right to a port that stands for an open file, which is open as long as there are rights. 0, or -1, errno. */
extern int fileport_makeport(int fd, fileport_t *port);
/* A new descriptor of the file that a port stands for, closed on exec, or -1 and errno. The right stays. */
extern int fileport_makefd(fileport_t port);

#ifdef __cplusplus
}
#endif

#endif
