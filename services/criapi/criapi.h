/* criapi as a whole: its parts, in the order in which they start. */
#pragma once

#include <pthread.h>

#include "common/ipc.h"
#include "common/keeper_protocol.h"
#include "common/service.h"
#include "services/criapi/acceptor.h"
#include "services/criapi/event_hub.h"
#include "services/criapi/listener.h"
#include "services/criapi/server.h"

struct criapi {
    struct listener listener;
    struct keeper_client *keeper; /* NULL when run alone */
    struct ipc_client *sandboxd, *imaged;
    struct event_hub *events;
    struct server *server;
    struct acceptor *acceptor;
    pthread_mutex_t heartbeat; /* held during a ping; guards what follows */
    int64_t closing_ns;        /* BOOTTIME at which the end began, 0: not yet */
};

/* The steps of service_main; state is the struct criapi. */
struct error *criapi_open(void *state, const struct service_context *context) __attribute__((warn_unused_result));
struct error *criapi_recover(void *state, const struct service_context *context) __attribute__((warn_unused_result));
struct error *criapi_ping(void *state) __attribute__((warn_unused_result));
void criapi_close(void *state);

extern const struct service_privileges criapi_privileges;
