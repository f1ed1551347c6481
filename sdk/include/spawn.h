/* The system's <spawn.h>, and the attributes that are ports. */
#ifndef _PORTCULLIS_SPAWN_H_
#define _PORTCULLIS_SPAWN_H_

#pragma GCC system_header
#include_next <spawn.h>
#include <mach/port.h>
#include <mach/exception_types.h>
#include <mach/thread_status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Programs call libmach's, which call the system's where an attribute has no ports. */
#ifndef PORTCULLIS_LIBMACH
#pragma redefine_extname posix_spawn portcullis_posix_spawn
#pragma redefine_extname posix_spawnp portcullis_posix_spawnp
#pragma redefine_extname posix_spawnattr_init portcullis_posix_spawnattr_init
#pragma redefine_extname posix_spawnattr_destroy portcullis_posix_spawnattr_destroy
#endif

/*
 * The process starts with these ports: 0, or an errno. The rights stay the caller's. An attribute is known by its address:
 * a copy of one has no ports. Together with file actions posix_spawn returns ENOTSUP.
 */
extern int posix_spawnattr_setexceptionports_np(posix_spawnattr_t *attr, exception_mask_t mask, mach_port_t new_port,
	exception_behavior_t behavior, thread_state_flavor_t flavor);
extern int posix_spawnattr_setspecialport_np(posix_spawnattr_t *attr, mach_port_t new_port, int which);
extern int posix_spawnattr_set_registered_ports_np(posix_spawnattr_t *attr, mach_port_t ports[], uint32_t count);

#ifdef __cplusplus
}
#endif

#endif
