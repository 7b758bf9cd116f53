/* The shim of a pod: how it is started, adopted, asked, and let go. */
#pragma once

#include "services/sandboxd/container.h"

/* The pod's client, made and started with the first call. Lives as long as the pod. */
struct shim_client *pod_shim(struct pod *pod);

/* What SHIM_POD_SETUP answered; strings are owned. */
struct pod_namespaces {
    int shim_pid;
    int ipc_fd; /* numbers in the shim, -1: the host's */
    int uts_fd;
    int pid_fd;
    int user_fd;
    int target_fd;
    char *netns; /* NULL: the host's */
    char *shm;
};
void pod_namespaces_fini(struct pod_namespaces *namespaces);
#define auto_pod_namespaces __attribute__((cleanup(pod_namespaces_fini))) struct pod_namespaces

/* Makes what the pod's configuration asks for, or tells where it is: idempotent, so each create asks again. target: the id of a
 * container whose PID namespace is wanted too (FAILED_PRECONDITION where it does not run), or NULL. */
struct error *pod_setup(struct pod *pod, uint64_t step, const char *target, const struct shim_patience *patience,
                        struct pod_namespaces *ret) __attribute__((warn_unused_result));

/* Claims the pod's host ports, before any rule leads to it. FAILED_PRECONDITION: another has one. */
struct error *pod_claim_ports(struct pod *pod, uint64_t step, const struct shim_patience *patience)
    __attribute__((warn_unused_result));

/* Sets the sysctls of the pod's network namespace: after its interfaces are there, as the peers do. */
struct error *pod_set_sysctls(struct pod *pod, uint64_t step, const struct shim_patience *patience)
    __attribute__((warn_unused_result));

/* Steps with a container and nothing else. */
struct error *container_signal(struct container *container, int signal, const struct shim_patience *patience)
    __attribute__((warn_unused_result));
struct error *container_delete(struct container *container, const struct shim_patience *patience)
    __attribute__((warn_unused_result));
struct error *container_reopen_log(struct container *container, const struct shim_patience *patience)
    __attribute__((warn_unused_result));

/* Gives back all that the shim made, and ends it. */
struct error *pod_shim_teardown(struct pod *pod, const struct shim_patience *patience) __attribute__((warn_unused_result));
struct error *pod_shim_quit(struct pod *pod, const struct shim_patience *patience) __attribute__((warn_unused_result));
