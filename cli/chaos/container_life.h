/* A container's part of a pod's life: what is planned for it, and what must be true of it. */
#pragma once

#include <stdbool.h>

#include "cli/chaos/calls.h"
#include "cli/chaos/random.h"
#include "cli/chaos/writer.h"

struct container_life {
    char name[64];
    struct writer writer; /* its tag is the name */
    char *id;
    char *log_path;
    unsigned rotations;
    bool is_started, is_begun_badly; /* Start failed with its runtime: how it runs is not known */
    bool is_ended;
};

/* Decides what it does. shared_pids: it is not the first process of its PID namespace. */
void container_life_plan(struct container_life *life, struct random *random, const char *pod_name, unsigned index,
                         bool shared_pids, unsigned number);
json_t *container_life_describe(const struct container_life *life);
void container_life_fini(struct container_life *life);

/* The steps. An error is what the container is stuck at; what was wrong has been recorded. */
struct error *container_life_begin(struct container_life *life, struct caller *caller, const struct pod_plan *pod,
                                   bool shared_pids) __attribute__((warn_unused_result));
/* Has the writer's log rotated under it. */
struct error *container_life_rotate(struct container_life *life, struct caller *caller)
    __attribute__((warn_unused_result));
/* Ends it as planned, and checks exit code, log, and that it is gone afterwards. */
struct error *container_life_end(struct container_life *life, struct caller *caller, struct tally *tally)
    __attribute__((warn_unused_result));
