/* The server's side. */
#include "generated/mach_excServer.c"
