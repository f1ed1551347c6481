#pragma once
#include <stddef.h>
void *malloc(size_t size);
void free(void *memory);
void abort(void) __attribute__((noreturn));
