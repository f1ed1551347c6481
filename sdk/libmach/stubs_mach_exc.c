/* Stubs of calls to other tasks. */
#include "generated/mach_excUser.c"
