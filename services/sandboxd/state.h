/* The states of pods and containers, and which moves between them are allowed. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Numbers are on disk: never renumber. */
enum pod_state {
    POD_CREATING = 1, /* claimed; in no list */
    POD_READY = 2,
    POD_STOPPING = 3, /* containers are killed, the network is given back */
    POD_NOTREADY = 4, /* nothing of it lives */
    POD_REMOVING = 5,
    POD_UNDOING = 6,  /* a creation that failed or was abandoned; in no list */
    POD_GONE = 7,     /* never on disk */
};

enum container_state {
    CONTAINER_CREATING = 1, /* claimed; in no list */
    CONTAINER_CREATED = 2,
    CONTAINER_RUNNING = 3,
    CONTAINER_EXITED = 4,
    CONTAINER_REMOVING = 5,
    CONTAINER_UNDOING = 6, /* in no list */
    CONTAINER_GONE = 7,    /* never on disk */
};

bool pod_state_may_move(uint32_t from, uint32_t to);
bool container_state_may_move(uint32_t from, uint32_t to);

const char *pod_state_name(uint32_t state);
const char *container_state_name(uint32_t state);

/* Does a list or a status show an object in this state? */
bool pod_state_is_listed(uint32_t state);
bool container_state_is_listed(uint32_t state);

/* What CRI calls the state (runtime.v1's PodSandboxState and ContainerState). */
int pod_state_to_cri(uint32_t state);
int container_state_to_cri(uint32_t state);
