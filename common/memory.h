/* Allocation that aborts when memory is out: the supervisor restarts the process, and no caller has to check. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* Each result is owned by the caller and freed with free(). Sizes from outside meet a named limit before they come here. */
void *xmalloc(size_t size) __attribute__((malloc, warn_unused_result));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, warn_unused_result));
void *xrealloc(void *memory, size_t size) __attribute__((warn_unused_result));
void *xreallocarray(void *memory, size_t count, size_t size) __attribute__((warn_unused_result));
char *xstrdup(const char *text) __attribute__((malloc, warn_unused_result));
/* text may be NULL where length is 0. */
char *xstrndup(const char *text, size_t length) __attribute__((malloc, warn_unused_result));
void *xmemdup(const void *memory, size_t size) __attribute__((malloc, warn_unused_result));
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2), warn_unused_result));
char *xvasprintf(const char *format, va_list arguments) __attribute__((format(printf, 1, 0), warn_unused_result));
