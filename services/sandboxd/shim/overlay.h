/* The one file system of an image's layers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

/* Everything is borrowed. */
struct overlay {
    char *const *layers; /* absolute paths, the lowest first */
    size_t count;        /* 0 is fine */
    const char *target;
    const char *storage; /* a directory on the root's disk: what is written, and what the kernel needs besides */
    bool is_writable;
};

/* Mounts it, making target and storage where they are missing. For tasks: it changes the working directory.
 * RESOURCE_EXHAUSTED: more layers than an older kernel takes. */
struct error *overlay_mount(const struct overlay *overlay) __attribute__((warn_unused_result));
