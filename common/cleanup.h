/* Ownership by scope: variables that free, close or unwind themselves, and TAKE to hand them on. */
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

static inline void cleanup_close(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define autofree __attribute__((cleanup(cleanup_free)))
#define autoclose __attribute__((cleanup(cleanup_close)))

/* Declares the cleanup of `struct type *` by type_free(), which must accept NULL; use as autoptr(type). */
#define DEFINE_AUTOPTR(type)                                                                                           \
    static inline void type##_autofree(struct type **pointer)                                                          \
    {                                                                                                                  \
        type##_free(*pointer);                                                                                         \
    }
#define autoptr(type) __attribute__((cleanup(type##_autofree))) struct type *

/* The value of an owning pointer, which gives up its ownership. */
#define TAKE(pointer)                                                                                                  \
    ({                                                                                                                 \
        __typeof__(pointer) taken_ = (pointer);                                                                        \
        (pointer) = NULL;                                                                                              \
        taken_;                                                                                                        \
    })

/* The same for a file descriptor, -1 being none. */
#define TAKE_FD(fd)                                                                                                    \
    ({                                                                                                                 \
        int taken_ = (fd);                                                                                             \
        (fd) = -1;                                                                                                     \
        taken_;                                                                                                        \
    })
