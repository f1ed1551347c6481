/* The server's side. */
#include "generated/notifyServer.c"
