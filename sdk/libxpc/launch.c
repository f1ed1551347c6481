/* launch_activate_socket is the same in both libraries. */
#define _POSIX_C_SOURCE 200809L
#include "../libmach/launch.c"
