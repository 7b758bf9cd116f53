/* What the files of a call share: call.c (its life) and call_stream.c (answers of many messages). */
#pragma once

#include <stdatomic.h>

#include "services/criapi/call.h"
#include "services/criapi/routes.h"

struct call {
    struct calls *calls;
    struct call *next, *previous; /* under the lock, as the next three */
    bool is_closed;               /* gRPC needs no answer any more */
    bool is_sent, is_done;        /* to the daemon; answered by it */
    bool is_counted;
    atomic_int references; /* one per operation under way, and one per piece of code at work on it */
    atomic_bool is_answered;
    grpc_call *grpc;
    grpc_call_details details;
    grpc_metadata_array metadata;
    grpc_byte_buffer *request, *reply;
    int was_cancelled; /* gRPC's, valid when the close operation completes */
    const struct route *route;
    enum api_version version;
    struct ipc_client *client;
    uint8_t id[IPC_REQUEST_ID_SIZE];
    int64_t started_ns;
    bool has_headers; /* they went out before the answer */
    uint8_t *list;    /* the reply of a list that is streamed; `counted` bytes of it are in calls->list_bytes */
    size_t list_size, list_sent, list_counted;
    struct event_listener *listener; /* of a client of events; set and taken under the lock */
    struct call_tag arrival, close, message, piece, finish;
};

void call_hold(struct call *call);
void call_release(struct call *call);

/* Starts operations that complete as one; the tag holds the call until then. */
void call_start(struct call *call, const grpc_op *operations, size_t count, struct call_tag *tag);

/* Sends the end: the reply's bytes (NULL: none) and the status. Once, by whoever set is_answered. */
void call_finish(struct call *call, int code, const char *text, const uint8_t *reply, size_t size);

/* Answers, unless that has been done. Owns error. */
void call_answer(struct call *call, struct error *error, const uint8_t *reply, size_t size);

/* Answers with the items of a list, in messages of which the next goes out when the one before has. Owns reply (malloc). */
void call_stream_list(struct call *call, uint8_t *reply, size_t size);

/* Answers with events, until the client goes or criapi ends. */
void call_stream_events(struct call *call, const uint8_t *request, size_t size);

/* gRPC is done with the call. is_closed is set. */
void call_stream_closed(struct call *call);

/* The message before has gone out, or (not ok) the client. The completion of call->piece. */
void call_piece_complete(struct call *call, bool ok);

/* Frees what an answer of many messages had; with the last reference. */
void call_stream_fini(struct call *call);
