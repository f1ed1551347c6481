#pragma once
#include <mach/mach.h>
kern_return_t bootstrap_look_up(mach_port_t bootstrap, const char *name, mach_port_t *service);
