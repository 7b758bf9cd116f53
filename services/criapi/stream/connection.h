/* The client's TCP connection: bytes in and out, both bounded by who asks for them. */
#pragma once

#include <stdbool.h>

#include "services/criapi/stream/buffer.h"
#include "services/criapi/stream/channels.h"
#include "services/criapi/stream/poll_set.h"

struct connection {
    struct watch watch;
    struct buffer in;  /* not yet understood; CONNECTION_IN_MAX at most */
    struct buffer out; /* not yet sent */
    bool is_gone;      /* the client has closed, or the network failed: nothing can be sent or received */
    bool has_ended;    /* the client has sent its last byte */
    int64_t moved_ns;  /* BOOTTIME of the last byte in either direction */
};

enum { CONNECTION_IN_MAX = 64 << 10, CONNECTION_OUT_MAX = 256 << 10 };

/* Takes over the descriptor of an accepted connection. */
void connection_init(struct connection *connection, int fd);

/* Adds it to the poll set: readable while there is room, writable while something waits. */
void connection_watch(struct connection *connection, struct poll_set *set);

/* After poll: reads what there is room for, and finds out that the client has gone. */
void connection_receive(struct connection *connection);

/* Writes as much of `out` as the socket takes. */
void connection_flush(struct connection *connection);

/* A sink that appends to `out`. */
struct byte_sink connection_sink(struct connection *connection);
void connection_fini(struct connection *connection);
