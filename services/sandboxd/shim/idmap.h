/* Idmapped mounts: a tree of the host's whose owners a user namespace maps. */
#pragma once

#include <stdbool.h>

#include "common/error.h"

/* A copy of the mount at path, or with is_recursive of the tree there (of which the topmost mount alone is mapped, as the OCI
 * runtimes have it), that is mounted nowhere: what the host has as 0 is there the namespace's root. Mounts
 * that come to the original come to it, not the other way. The caller closes it.
 * FAILED_PRECONDITION: its file system, or this kernel, has no such mounts. */
struct error *idmap_clone(const char *path, bool is_recursive, int user_fd, int *ret_fd) __attribute__((warn_unused_result));

/* The same, mounted at target, which is there. */
struct error *idmap_mount(const char *path, bool is_recursive, int user_fd, const char *target)
    __attribute__((warn_unused_result));
