/* Scripted stand-ins for sandboxd's peers, in this process: shims on real sockets, the keeper and imaged as functions that
 * take the place of their clients'. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/shim_protocol.h"
#include "services/sandboxd/sandboxd.h"

enum { STAND_IN_TYPES = 64, STAND_IN_CONTAINERS = 8, STAND_IN_STEPS = 256 };

struct stand_in_container {
    char id[SHIM_ID_SIZE];
    uint32_t state; /* enum shim_container_state, 0: free */
    int wait_status;
    bool is_acknowledged;
};

/* A step that was asked for: asked for again, it joins. */
struct stand_in_step {
    uint64_t id;
    bool is_under_way; /* its answer is still to come */
};

/* One shim serves all pods of a test: tests make one pod at a time. */
struct stand_in {
    pthread_mutex_t lock;
    char state_directory[128];
    int code[STAND_IN_TYPES];        /* what a step of this type is answered with, 0: OK */
    unsigned delay_ms[STAND_IN_TYPES]; /* before its answer */
    unsigned count[STAND_IN_TYPES];  /* steps really run */
    unsigned spawns;
    int spawn_pipe; /* > 0: shims are started by whoever reads their names here, in another process */
    unsigned leases;
    bool ignores_term;
    int last_signal;
    struct stand_in_container containers[STAND_IN_CONTAINERS];
    struct stand_in_step steps[STAND_IN_STEPS];
    size_t step_count;
    char events[256]; /* what was published, see ipc_publish() in stand_in.c */
    unsigned event_count;
};

extern struct stand_in stand_in;

/* Starts a shim that listens for this pod. */
struct error *stand_in_start_shim(const char *pod) __attribute__((warn_unused_result));

void stand_in_reset(const char *state_directory);
unsigned stand_in_count(enum shim_type type);

/* The container ends with this wait status: every connected sandboxd hears of it. */
void stand_in_exit(const char *container, int wait_status);
