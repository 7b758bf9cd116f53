/* The pod as a whole: its namespaces, cgroup and shared memory, and the record of them (STATE/shim/POD/pod). */
#pragma once

#include <stdint.h>

#include "common/error.h"
#include "common/process_id.h"
#include "services/sandboxd/shim/cgroup.h"
#include "services/sandboxd/shim/user_namespace.h"

struct shim;

enum { POD_VERSION = 2 /* 1 had no user map */, POD_HOSTNAME_SIZE = 72 };

struct pod_record {
    uint32_t state;       /* SHIM_POD_* bits */
    uint32_t netns_mode;  /* SHIM_NAMESPACE_* */
    uint32_t ipc_mode;
    uint32_t pid_mode;
    uint32_t has_hostname;
    uint32_t reserved;
    uint64_t shm_size;
    uint64_t ipc_inode;      /* of the namespaces, to know them again */
    uint64_t uts_inode;
    struct process_id first; /* the first process of a shared PID namespace; pid 0: none */
    char cgroup[CGROUP_PATH_SIZE]; /* before the set-up: one of the shim's own, for what it runs */
    char hostname[POD_HOSTNAME_SIZE];
    struct user_map user;
};

struct pod {
    struct pod_record record;
    int ipc_fd; /* /proc/self/ns/... of the pod; -1: the host's */
    int uts_fd;
    int pid_fd;
    int user_fd; /* found by its network namespace */
};

/* Reads the record, or begins one. */
struct error *pod_load(struct shim *shim) __attribute__((warn_unused_result));
struct error *pod_save(struct shim *shim) __attribute__((warn_unused_result));

/* Puts the namespaces into the keeper's store, and takes one back from there ("ipc", "uts", "pidns"). */
void pod_store(struct shim *shim);
void pod_take_fd(struct shim *shim, const char *suffix, int fd);

/* A successor whose namespaces are in no store: finds them in a living container. */
void pod_find_namespaces(struct shim *shim);

/* Opens the pod's user namespace where it has one and it is not open; until it is made there is none to be found. */
void pod_find_user_namespace(struct shim *shim);

/* The same of the PID namespace of the pod's first process. */
void pod_find_pid_namespace(struct shim *shim);

/* Is pid the first process of the pod's PID namespace? Then it is reaped. */
bool pod_first_exited(struct shim *shim, pid_t pid);
