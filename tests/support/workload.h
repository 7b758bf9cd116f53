/* The calls that integration tests make over and over, typed, with kubelet's habit of trying an UNAVAILABLE call again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "tests/support/node.h"

/* One client's view of a node. A struct workload serves one thread. */
struct workload {
    const struct node *node;
    struct cri_client *client;
    unsigned unavailable; /* calls that ended UNAVAILABLE and were made again */
};

/* What a container is run with; zero is busybox's defaults. */
struct workload_container {
    const char *name;
    const char *image;
    const char *const *command; /* NULL-terminated */
    uint32_t attempt;
    bool terminal;
};

struct workload_state {
    int state; /* Runtime__V1__ContainerState */
    int exit_code;
    char reason[64];
    int64_t started_at_ns, finished_at_ns;
};

/* Every text returned is the caller's. Log files are at NODE/logs/POD-NAME/CONTAINER-NAME.log. */
struct error *workload_pull(struct workload *work, const char *reference, char **ret_image)
    __attribute__((warn_unused_result));
struct error *workload_image_remove(struct workload *work, const char *reference) __attribute__((warn_unused_result));
struct error *workload_pod_run(struct workload *work, const char *name, uint32_t attempt, bool host_network, const char *handler,
                               char **ret_pod) __attribute__((warn_unused_result));
struct error *workload_pod_ip(struct workload *work, const char *pod, char **ret_ip) __attribute__((warn_unused_result));
struct error *workload_create(struct workload *work, const char *pod, bool host_network,
                              const struct workload_container *container, char **ret_id) __attribute__((warn_unused_result));
struct error *workload_start(struct workload *work, const char *id) __attribute__((warn_unused_result));
struct error *workload_stop(struct workload *work, const char *id, int64_t timeout_s) __attribute__((warn_unused_result));
struct error *workload_remove(struct workload *work, const char *id) __attribute__((warn_unused_result));
struct error *workload_pod_stop(struct workload *work, const char *pod) __attribute__((warn_unused_result));
struct error *workload_pod_remove(struct workload *work, const char *pod) __attribute__((warn_unused_result));
struct error *workload_status(struct workload *work, const char *id, struct workload_state *ret)
    __attribute__((warn_unused_result));
struct error *workload_exec(struct workload *work, const char *id, const char *const *command, int *ret_code,
                            char **ret_output) __attribute__((warn_unused_result));
struct error *workload_reopen_log(struct workload *work, const char *id) __attribute__((warn_unused_result));

/* Waits up to 30 s for the container to be EXITED. */
struct error *workload_wait_exit(struct workload *work, const char *id, struct workload_state *ret)
    __attribute__((warn_unused_result));
