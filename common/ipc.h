/* Requests between daemons: nng REQ/REP over STATE/NAME/sock, one envelope (proto/bulkhead.proto) each way.
 * nng is included only by ipc*.c. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum {
    IPC_REQUEST_ID_SIZE = 16,
    IPC_MESSAGE_MAX = 17 << 20, /* bytes of a request */
    IPC_REPLY_MAX = 64 << 20,   /* and of a reply: a whole list, which clients get in parts */
};

/* A call as its handler sees it. It lives until the handler returns. */
struct ipc_call {
    const char *method;
    const char *request_id; /* 32 hex digits */
    int64_t deadline_ns;    /* CLOCK_BOOTTIME, 0: none */
    const uint8_t *payload;
    size_t payload_size;
    atomic_bool *cancelled; /* the client has gone (CANCEL), see ipc_call_is_over */
    uint32_t peer_uid;
};

/* Has the deadline passed, or the client gone? Cheap; for loops that wait. */
bool ipc_call_is_over(const struct ipc_call *call);

/* A handler's answer: bytes made with malloc, freed by the server. */
struct ipc_reply {
    uint8_t *data;
    size_t size;
};

/* Runs on a worker thread of its own, in straight-line code, and may wait long. Returns an error or fills the reply. */
typedef struct error *ipc_handler(void *state, const struct ipc_call *call, struct ipc_reply *reply);

struct ipc_method {
    const char *name;
    ipc_handler *handle;
};

struct ipc_server;

/* Listens at DIR/sock.GENERATION and renames it to DIR/sock. methods end with a NULL name; "Ping" and "Cancel" are the
 * server's own (Ping runs `ping` first if it is not NULL: the work path). Threads start here. At most 1,024 calls at a
 * time; 8,192 more wait, and what comes beyond them is RESOURCE_EXHAUSTED. Peer uids other than root and those in allowed_uids (ended by 0) get PERMISSION_DENIED. */
struct ipc_server_options {
    const char *directory;
    const char *service;
    uint64_t generation;
    const struct ipc_method *methods;
    void *state;
    struct error *(*ping)(void *state);
    const uint32_t *allowed_uids;
    struct request_page *page; /* where requests in hand are noted; may be NULL */
};
struct error *ipc_server_open(const struct ipc_server_options *options, struct ipc_server **ret)
    __attribute__((warn_unused_result));
/* Takes no more requests and waits for the handlers in hand. What `options` points to must live until then. */
void ipc_server_close(struct ipc_server *server);

struct ipc_client;

/* Dials DIR/sock and keeps dialling (10 ms): the daemon need not be there yet. When the name changes to a newer socket
 * (inotify on the socket: DIR may not be listed), the older connection is closed, so that nng sends what is unanswered again. One client serves any
 * number of threads. */
struct error *ipc_client_open(const char *directory, struct ipc_client **ret) __attribute__((warn_unused_result));
void ipc_client_close(struct ipc_client *client);

void ipc_request_id_new(uint8_t id[IPC_REQUEST_ID_SIZE]);

/* Sends a request and waits for its answer, over any number of deaths of the daemon, until deadline_ns (BOOTTIME; 0 is
 * ten minutes): then DEADLINE_EXCEEDED. id NULL: a new one. An error of the daemon is returned as it was. The caller
 * frees *ret_reply. */
struct error *ipc_client_call(struct ipc_client *client, const char *method, const uint8_t *id, int64_t deadline_ns,
                              const void *payload, size_t size, uint8_t **ret_reply, size_t *ret_size)
    __attribute__((warn_unused_result));

/* The same without waiting: done runs once on a library thread, must not block, and owns the error and the reply. */
typedef void ipc_done(void *argument, struct error *error, uint8_t *reply, size_t size);
void ipc_client_call_async(struct ipc_client *client, const char *method, const uint8_t *id, int64_t deadline_ns,
                           const void *payload, size_t size, ipc_done *done, void *argument);

/* Tells the daemon that the client of id has gone; the call itself still ends by its own answer. Does not wait. */
void ipc_client_cancel(struct ipc_client *client, const uint8_t *id);
