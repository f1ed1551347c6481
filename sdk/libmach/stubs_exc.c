/* Stubs of calls to other tasks. */
#include "generated/excUser.c"
