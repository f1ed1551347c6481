#ifndef _PORTCULLIS_BOOTSTRAP_H_
#define _PORTCULLIS_BOOTSTRAP_H_

#include <servers/bootstrap.h>

#endif
