/* The server's side. */
#include "generated/excServer.c"
