#pragma once
typedef struct pthread *pthread_t;
int pthread_create(pthread_t *thread, const void *attributes, void *(*start)(void *), void *argument);
int pthread_join(pthread_t thread, void **result);
pthread_t pthread_self(void);
unsigned pthread_mach_thread_np(pthread_t thread);
