/* Stubs of calls to other tasks. */
#include "generated/bootstrapUser.c"
