/* How a pod's namespaces are made, in a child that may block. */
#pragma once

#include "services/sandboxd/shim/job.h"
#include "services/sandboxd/shim/pod.h"

/* Input of namespaces_make: what is missing. Hands over fds in the order ipc, uts for those that were asked. */
struct namespaces_wanted {
    bool net;               /* pinned at netns_path */
    bool ipc;
    bool uts;
    bool pid;               /* with a first process; field PID is its pid */
    const char *netns_path;
    struct user_map user;   /* the owner of them all; made with the network namespace */
    const char *shm_path;   /* a tmpfs to mount there, or NULL */
    uint64_t shm_size;
    const char *hostname;
    char *const *sysctls;   /* NULL-terminated */
    char *first_cgroup;     /* cgroup.procs for the first process */
};

job_task namespaces_make;
