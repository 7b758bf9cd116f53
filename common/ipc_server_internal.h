/* What the server's two files share: ipc_server.c (the socket, its workers) and ipc_task.c (one request). */
#pragma once

#include <nng/nng.h>
#include <pthread.h>

#include "common/ipc_calls.h"
#include "common/ipc_envelope.h"

enum {
    IPC_RUNNING_MAX = 1024,           /* handlers at a time */
    IPC_QUEUED_MAX = 8192,            /* calls that wait for one, beyond which RESOURCE_EXHAUSTED */
    IPC_QUEUED_BYTES_MAX = 256 << 20, /* and their size */
};

/* One request, from its arrival to its answer. */
struct ipc_task {
    struct ipc_task *next; /* in the queue */
    nng_ctx context;       /* the way back; owned */
    nng_pipe pipe;         /* the connection it came over */
    Bulkhead__Request *request;
    uint32_t peer_uid;
    struct ipc_entry entry;
    char hex[IPC_REQUEST_HEX_SIZE];
    const struct ipc_method *method; /* NULL: one of the server's own */
};

struct ipc_server {
    struct ipc_server_options options; /* its strings and lists are the caller's and live as long as the server */
    uint32_t own_uid;
    nng_socket socket;
    struct ipc_calls calls;
    pthread_mutex_t suspects; /* held while a request with a strike runs */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t ended;
    unsigned threads, receiving, running, queued;
    size_t queued_bytes;
    struct ipc_task *first, **last; /* the queue */
};

/* Takes the message and the context. NULL when it was answered already: malformed, forbidden, unknown. */
struct ipc_task *ipc_task_new(struct ipc_server *server, nng_ctx context, nng_msg *message);

/* Runs the request (or one of the server's own), answers and frees it. */
void ipc_task_run(struct ipc_server *server, struct ipc_task *task);

/* Answers with this error, which it owns, and frees the task. */
void ipc_task_refuse(struct ipc_server *server, struct ipc_task *task, struct error *error);
