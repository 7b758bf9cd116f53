/* What the supervisor says of the processes: who is ready. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "cli/chaos/processes.h"
#include "common/config.h"

struct ready_process {
    pid_t pid;
    enum target target;
    char pod[POD_ID_SIZE]; /* of a shim */
    bool is_ready;
};

struct readiness {
    bool is_answered; /* the supervisor answered in time, and had the keeper's answer for it */
    struct ready_process *all;
    size_t count;
};

struct ipc_client;

/* The supervisor's socket; it need not be there yet. */
struct error *readiness_open(const struct config *config, struct ipc_client **ret) __attribute__((warn_unused_result));

/* Asks, and waits 300 ms at most. Keeper and backstop are not in it: it is the keeper that the supervisor asks. */
void readiness_read(struct ipc_client *supervisor, struct readiness *ret);
void readiness_free(struct readiness *readiness);

bool readiness_has(const struct readiness *readiness, pid_t pid);

/* Is another process than this ready in the same place? */
bool readiness_has_successor(const struct readiness *readiness, enum target target, const char *pod, pid_t pid);
