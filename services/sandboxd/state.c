/* The tables of allowed moves. */
#include "services/sandboxd/state.h"

#include "proto/cri.pb-c.h"

#define TO(state) (1u << (state))

static const uint32_t pod_moves[] = {
    [POD_CREATING] = TO(POD_READY) | TO(POD_UNDOING),
    [POD_READY] = TO(POD_STOPPING) | TO(POD_REMOVING) | TO(POD_UNDOING), /* undoing: nobody came for it */
    [POD_STOPPING] = TO(POD_NOTREADY) | TO(POD_REMOVING),
    [POD_NOTREADY] = TO(POD_REMOVING),
    [POD_REMOVING] = TO(POD_GONE),
    [POD_UNDOING] = TO(POD_GONE),
    [POD_GONE] = 0,
};

static const uint32_t container_moves[] = {
    [CONTAINER_CREATING] = TO(CONTAINER_CREATED) | TO(CONTAINER_UNDOING),
    [CONTAINER_CREATED] = TO(CONTAINER_RUNNING) | TO(CONTAINER_EXITED) | TO(CONTAINER_REMOVING) | TO(CONTAINER_UNDOING),
    [CONTAINER_RUNNING] = TO(CONTAINER_EXITED),
    [CONTAINER_EXITED] = TO(CONTAINER_REMOVING),
    [CONTAINER_REMOVING] = TO(CONTAINER_GONE),
    [CONTAINER_UNDOING] = TO(CONTAINER_GONE),
    [CONTAINER_GONE] = 0,
};

static const char *const pod_names[] = {"none", "creating", "ready", "stopping", "notready", "removing", "undoing", "gone"};
static const char *const container_names[] = {"none",   "creating", "created", "running",
                                              "exited", "removing", "undoing", "gone"};

bool pod_state_may_move(uint32_t from, uint32_t to)
{
    return from <= POD_GONE && to <= POD_GONE && pod_moves[from] & TO(to);
}

bool container_state_may_move(uint32_t from, uint32_t to)
{
    return from <= CONTAINER_GONE && to <= CONTAINER_GONE && container_moves[from] & TO(to);
}

const char *pod_state_name(uint32_t state)
{
    return state <= POD_GONE ? pod_names[state] : "unknown";
}

const char *container_state_name(uint32_t state)
{
    return state <= CONTAINER_GONE ? container_names[state] : "unknown";
}

bool pod_state_is_listed(uint32_t state)
{
    return state == POD_READY || state == POD_STOPPING || state == POD_NOTREADY || state == POD_REMOVING;
}

bool container_state_is_listed(uint32_t state)
{
    return state == CONTAINER_CREATED || state == CONTAINER_RUNNING || state == CONTAINER_EXITED ||
           state == CONTAINER_REMOVING;
}

int pod_state_to_cri(uint32_t state)
{
    return state == POD_READY ? RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY
                              : RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
}

int container_state_to_cri(uint32_t state)
{
    switch (state) {
    case CONTAINER_CREATED:
        return RUNTIME__V1__CONTAINER_STATE__CONTAINER_CREATED;
    case CONTAINER_RUNNING:
        return RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING;
    case CONTAINER_EXITED:
    case CONTAINER_REMOVING:
        return RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED;
    default:
        return RUNTIME__V1__CONTAINER_STATE__CONTAINER_UNKNOWN;
    }
}
