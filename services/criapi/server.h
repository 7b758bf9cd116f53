/* The gRPC server: connections come in by descriptor, calls go on to the daemons. */
#pragma once

#include "common/error.h"
#include "common/ipc.h"
#include "common/request_page.h"

enum { SERVER_DRAIN_MS = 5000 }; /* how long calls in hand may take to end by themselves */

struct server_options {
    struct ipc_client *sandboxd, *imaged; /* outlive the server */
    struct event_hub *events;             /* outlives it, too */
    struct request_page *page;            /* may be NULL */
};

struct server;

/* Starts the server and its threads. */
struct error *server_open(const struct server_options *options, struct server **ret)
    __attribute__((warn_unused_result));

/* Serves a connected socket (non-blocking); owns fd. Any thread. */
void server_add_connection(struct server *server, int fd);

/* Takes no more calls, ends clients of events, gives calls in hand SERVER_DRAIN_MS, answers UNAVAILABLE to the rest. What the daemons do for
 * them is not cancelled. No server_add_connection may follow. */
void server_drain(struct server *server);

/* After server_drain, and after the ipc clients were closed (which ends the last calls). NULL is fine. */
void server_free(struct server *server);
