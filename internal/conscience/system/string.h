#pragma once
#include <stddef.h>
void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);
