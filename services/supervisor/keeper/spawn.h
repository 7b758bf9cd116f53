/* The only place where the keeper starts a process. */
#pragma once

#include "services/supervisor/keeper/keeper.h"

struct spawn_request {
    enum keeper_program program;
    const char *name; /* instance, "" for a daemon */
    uint64_t generation;
    enum death_reason last_death;
    uint32_t flags; /* KEEPER_ADOPT */
    const int *fds; /* stay the caller's */
    const char (*fd_names)[KEEPER_NAME_SIZE];
    size_t fd_count;
};

/* Starts it in a cgroup and session of its own, as root; *ret_child stays the keeper's. */
struct error *spawn(struct keeper *keeper, const struct spawn_request *request, struct child **ret_child)
    __attribute__((warn_unused_result));
