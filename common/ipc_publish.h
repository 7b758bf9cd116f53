/* What a daemon tells all who listen: nng PUB/SUB over STATE/NAME/events, in numbered messages that may get lost on the way.
 * Whoever receives finds a gap by the numbers, and asks for the present state with a call. nng is included only by ipc*.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum {
    IPC_ORIGIN_SIZE = 16,
    IPC_PUBLISH_MAX = 256 << 10, /* bytes of a payload; a larger one is a gap at once */
};

/* ---- the publisher ---- */

struct ipc_publisher;

/* Publishes at DIR/events.GENERATION, renamed to DIR/events, from a thread of its own. Peers other than root, our own user and
 * those in allowed_uids (ended by 0; copied) are turned away. Each publisher has an origin of its own, of chance. */
struct ipc_publisher_options {
    const char *directory;
    uint64_t generation;
    const uint32_t *allowed_uids;
};
struct error *ipc_publisher_open(const struct ipc_publisher_options *options, struct ipc_publisher **ret)
    __attribute__((warn_unused_result));
void ipc_publisher_close(struct ipc_publisher *publisher);

/* Gives the payload the next number, from 1, and has it sent; owns it (malloc). Never waits. Any thread; the order of calls is
 * the order of messages. publisher NULL: nobody is told. */
void ipc_publish(struct ipc_publisher *publisher, uint8_t *payload, size_t size);

/* The origin, and the last number given. */
void ipc_publisher_position(struct ipc_publisher *publisher, uint8_t origin[IPC_ORIGIN_SIZE], uint64_t *ret_sequence);

/* ---- the subscriber ---- */

/* One message. A beat comes each second, with each new connection, and for what was too large or too much: it has no payload,
 * and the last number before it. */
struct ipc_publication {
    uint8_t origin[IPC_ORIGIN_SIZE];
    uint64_t generation;
    uint64_t sequence;
    bool is_beat;
    uint8_t *payload; /* the receiver's */
    size_t size;
};

struct ipc_subscriber;

/* Dials DIR/events and follows it to each new generation, as ipc_client_open() does. */
struct error *ipc_subscriber_open(const char *directory, struct ipc_subscriber **ret) __attribute__((warn_unused_result));
void ipc_subscriber_close(struct ipc_subscriber *subscriber);

/* Waits for the next message, a wake, or so long; true if there is one. For one thread at a time. */
bool ipc_subscriber_next(struct ipc_subscriber *subscriber, int timeout_ms, struct ipc_publication *ret);

/* Ends the present wait, or the next one. Any thread. */
void ipc_subscriber_wake(struct ipc_subscriber *subscriber);
