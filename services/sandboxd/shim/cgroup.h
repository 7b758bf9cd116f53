/* The cgroups of a pod: one hierarchy tracks its processes (v2's, or v1's pids, else name=systemd). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

enum { CGROUP_HIERARCHIES_MAX = 24, CGROUP_PATH_SIZE = 512 };

struct cgroups {
    bool is_unified;
    char *tracking;                               /* its mount point */
    char *hierarchies[CGROUP_HIERARCHIES_MAX];    /* mount points of all, the tracking one too */
    size_t count;
    size_t made;   /* groups are made in the first so many; beyond is v1's `unified`, where runtimes make some: only removed */
};

/* Looks at what is mounted below /sys/fs/cgroup (a test gives another place). */
struct error *cgroups_init(struct cgroups *cgroups, const char *mount) __attribute__((warn_unused_result));
void cgroups_fini(struct cgroups *cgroups);

/* Makes a group (path "/a/b") and its parents in every hierarchy, or in the tracking one alone. */
struct error *cgroup_make(const struct cgroups *cgroups, const char *path) __attribute__((warn_unused_result));
struct error *cgroup_make_tracking(const struct cgroups *cgroups, const char *path) __attribute__((warn_unused_result));

/* Sends SIGKILL to all of it and below. True: nothing lives there (or it is not there). Call again until it says so. */
bool cgroup_kill(const struct cgroups *cgroups, const char *path);
bool cgroup_is_empty(const struct cgroups *cgroups, const char *path);

/* Removes it and all below in every hierarchy; false while something is left (a zombie may hold it for a moment). */
bool cgroup_remove(const struct cgroups *cgroups, const char *path);

/* Removes the parents of path that shims have made, where they are empty. */
void cgroup_remove_parents(const struct cgroups *cgroups, const char *path);

/* How often the kernel killed for want of memory in this group; 0 where unknown. */
uint64_t cgroup_oom_kills(const struct cgroups *cgroups, const char *path);

/* Calls each(argument, name) for every group directly below path in the tracking hierarchy. */
void cgroup_each_child(const struct cgroups *cgroups, const char *path,
                       void (*each)(void *argument, const char *name), void *argument);

/* Calls each(argument, pid) for every process of the group itself in the tracking hierarchy. */
void cgroup_each_process(const struct cgroups *cgroups, const char *path, void (*each)(void *argument, pid_t pid),
                         void *argument);

/* Only absolute paths without "." and ".." components are a group's. */
bool cgroup_path_is_valid(const char *path);
