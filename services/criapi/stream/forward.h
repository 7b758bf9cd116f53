/* One forwarded connection: a data and an error channel, and a socket in the pod's network. */
#pragma once

#include "services/criapi/stream/work.h"

enum forward_state {
    FORWARD_CHANNELS,   /* waiting for the other channel */
    FORWARD_ASKING,     /* CONNECT is to be sent */
    FORWARD_ASKED,      /* waiting for CONNECTED */
    FORWARD_CONNECTING, /* waiting for the socket */
    FORWARD_OPEN,
    FORWARD_FAILING, /* the error is to be said */
    FORWARD_OVER,    /* to be freed */
};

struct forward {
    struct work *work; /* borrowed */
    char *request_id;
    struct channel *data, *error;
    enum forward_state state;
    uint32_t serial, port, family;
    struct watch socket;
    bool in_shut;        /* the client has ended, and the socket knows */
    int64_t channels_ns; /* BOOTTIME by when both channels must be there */
    char *ipv4_failure;  /* why 127.0.0.1 did not do */
    char *failure;       /* what the error channel says */
    struct forward *next;
};

struct forward *forward_new(struct work *work, const char *request_id, uint32_t port, uint32_t serial);
void forward_free(struct forward *forward); /* releases the channels */

void forward_watch(struct forward *forward, struct poll_set *set);
void forward_turn(struct forward *forward);

/* A message of the shim with this forward's serial. */
void forward_message(struct forward *forward, struct shim_event *event);

/* Says so on the error channel, and ends. */
void forward_fail(struct forward *forward, const char *why);
