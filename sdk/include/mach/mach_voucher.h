#ifndef _MACH_MACH_VOUCHER_H_
#define _MACH_MACH_VOUCHER_H_

#include <mach/mach_types.h>

#endif
