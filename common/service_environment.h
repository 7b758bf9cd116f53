/* What the keeper tells a process by its environment. Only for service*.c. */
#pragma once

#include "common/service.h"

struct service_environment {
    uint64_t generation;
    enum death_reason last_death;
    int *fds;
    char **names; /* as many as fds */
    size_t count;
};

/* Reads and removes LISTEN_FDS, LISTEN_FDNAMES, BULKHEAD_GENERATION, BULKHEAD_LAST_DEATH; the descriptors become CLOEXEC. */
void service_environment_init(struct service_environment *environment);
void service_environment_fini(struct service_environment *environment); /* the descriptors stay open */
int service_environment_fd(const struct service_environment *environment, const char *name);
