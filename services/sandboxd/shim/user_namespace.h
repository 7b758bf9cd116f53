/* A pod's user namespace: how it is made, found again, and owns other namespaces. It is held by the network namespace that it
 * owns, which is pinned, and so needs no place in the keeper's store. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* 0 and what follows in the namespace are these of the host. Counts of 0: no user namespace. */
struct user_map {
    uint32_t uid_first, uid_count;
    uint32_t gid_first, gid_count;
};

static inline bool user_map_is_set(const struct user_map *map)
{
    return map->uid_count > 0;
}

/* The caller closes *ret_fd. For a process that may block. */
struct error *user_namespace_make(const struct user_map *map, int *ret_fd) __attribute__((warn_unused_result));

/* The owner of the network namespace that is pinned at path. */
struct error *user_namespace_of(const char *netns_path, int *ret_fd) __attribute__((warn_unused_result));

/* This process comes into new namespaces (CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS) that the user namespace owns, and stays in its
 * own user namespace. */
struct error *user_namespace_unshare(int user_fd, int flags) __attribute__((warn_unused_result));

/* This process becomes the namespace's root, and nobody else any more. */
struct error *user_namespace_become(int user_fd) __attribute__((warn_unused_result));
