/* One gRPC call, from the moment it is awaited to its answer. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <grpc/grpc.h>

#include "common/ipc.h"

enum {
    CALLS_MAX = 4096,            /* forwarded at one time; more are RESOURCE_EXHAUSTED */
    CALL_MESSAGE_MAX = 16 << 20, /* bytes of a request, and of a reply: clients take no more */
    LISTS_BYTES_MAX = 256 << 20, /* of lists that are streamed to clients, all together */
};

struct call;

/* All calls of a server. */
struct calls {
    grpc_server *grpc;
    grpc_completion_queue *queue;
    struct ipc_client *sandboxd, *imaged;
    struct event_hub *events;
    struct request_page *page; /* may be NULL */
    pthread_mutex_t lock;      /* of what follows, and of call's marked members */
    pthread_cond_t ended;
    struct call *first; /* those forwarded, not yet answered */
    unsigned count;     /* of them, and those about to be */
    size_t list_bytes;  /* of lists that are being streamed */
    bool is_draining;   /* the server ends: what is cut off is not cancelled at the daemons */
};

/* The tag of an operation; gRPC's queue gives it back when the operation completes. */
struct call_tag {
    struct call *call;
    void (*complete)(struct call *call, bool ok);
};

/* Goes on with the call; on a thread of the queue. Never blocks. */
void call_tag_complete(struct call_tag *tag, bool ok);

void calls_init(struct calls *calls);
void calls_fini(struct calls *calls);

/* Awaits one more call. It awaits its own successor when it arrives. */
void call_await(struct calls *calls);

/* The server's end: answers UNAVAILABLE to all that are forwarded; their work goes on, and a retry joins it. */
void calls_abandon(struct calls *calls);
