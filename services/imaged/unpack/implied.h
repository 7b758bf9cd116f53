/* The directories that an archive has things in, but does not name. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct implied {
    char **paths;
    size_t count, room;
    size_t bytes; /* of all, with their NULs */
};

void implied_fini(struct implied *implied);
/* RESOURCE_EXHAUSTED: they are more than UNPACK_PARENTS_MAX bytes. */
struct error *implied_add(struct implied *implied, const char *path) __attribute__((warn_unused_result));

/* Writes those that are not among the named ones, each with its NUL, a directory before what is in it. Sorts both
 * lists. */
struct error *implied_write(struct implied *implied, const char **named, size_t named_count, int fd, uint64_t *ret_size)
    __attribute__((warn_unused_result));
