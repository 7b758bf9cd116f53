/* One client of events: what waits for it, and from when on it has to be told by comparison. All functions but
 * event_listener_new() and _free() with the hub's lock held. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "services/criapi/event_table.h"

enum {
    LISTENER_EVENTS_MAX = 512,    /* that wait for a client, */
    LISTENER_BYTES_MAX = 4 << 20, /* and their size; what is beyond is found by comparison when these have gone out */
};

/* An event's bytes, which many listeners share. */
struct event_bytes {
    unsigned references;
    size_t size;
    uint8_t data[];
};

struct event_bytes *event_bytes_new(const uint8_t *data, size_t size); /* one reference, the caller's */
void event_bytes_release(struct event_bytes *bytes);

/* Where a listener's events go. None may block or call the listener; after begin and send, event_listener_sent() is due when
 * that has gone out, and nothing more comes before. */
struct event_sink {
    void (*begin)(void *argument); /* from here on it is told */
    void (*send)(void *argument, const uint8_t *data, size_t size);
    void (*end)(void *argument, struct error *error); /* the last; owns error */
};

struct event_listener {
    struct event_listener *next; /* the hub's list */
    struct event_hub *hub;
    const struct event_sink *sink;
    void *argument;
    bool has_begun, is_busy, is_ending, is_closed;
    struct event_bytes *queue[LISTENER_EVENTS_MAX]; /* a ring */
    size_t first, count, bytes;
    struct event_table *seen; /* what the queue's last event leaves it with: it is behind. NULL: it is up to date */
};

struct event_listener *event_listener_new(struct event_hub *hub, const struct event_sink *sink, void *argument);
void event_listener_free(struct event_listener *listener);

/* Queues the event, or, where there is no room, notes that the listener is behind. table: before the event. */
void event_listener_tell(struct event_listener *listener, struct event_bytes *bytes, const struct event_table *table);

/* Queues the event for one that is behind; false when there is no room. */
bool event_listener_catch_up(struct event_listener *listener, struct event_bytes *bytes);

/* Sends the next thing, if it may. */
void event_listener_pump(struct event_listener *listener);

/* Is it behind, with nothing left in the queue? */
bool event_listener_is_due(const struct event_listener *listener);
