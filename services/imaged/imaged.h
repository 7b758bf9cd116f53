/* What imaged holds together: its store, its pulls, and its way to the keeper. */
#pragma once

#include "common/keeper_protocol.h"
#include "common/service.h"
#include "services/imaged/pull.h"
#include "services/imaged/store.h"

struct imaged {
    const struct config *config;
    uint64_t generation;
    struct keeper_client *keeper;
    struct store store;
    struct pulls pulls;
};

extern const struct ipc_method imaged_methods[];
extern const struct service_privileges imaged_privileges;

struct error *imaged_recover(void *state, const struct service_context *context) __attribute__((warn_unused_result));

/* The work path: the store's lock, and its list. */
struct error *imaged_ping(void *state) __attribute__((warn_unused_result));
