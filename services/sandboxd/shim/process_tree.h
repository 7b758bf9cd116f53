/* A process and all that descends from it, as far as the kernel still shows. */
#pragma once

#include <sys/types.h>

#include "services/sandboxd/shim/cgroup.h"

/* SIGKILL to pid, its descendants, and the members of its session within the cgroup (NULL: no such look). */
void process_tree_kill(const struct cgroups *cgroups, const char *cgroup, pid_t pid);
