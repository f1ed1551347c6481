/* The server's side. */
#include "generated/clock_replyServer.c"
