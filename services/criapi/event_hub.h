/* GetContainerEvents: one subscription to sandboxd, from which any number of clients are told. */
#pragma once

#include "common/ipc.h"
#include "services/criapi/event_listener.h"

enum { EVENT_LISTENERS_MAX = 128 };

struct event_hub;

/* Subscribes in directory (STATE/sandboxd). sandboxd is asked for what was missed; it may be closed after event_hub_end(), and
 * must be before event_hub_close(). */
struct error *event_hub_open(const char *directory, struct ipc_client *sandboxd, struct event_hub **ret)
    __attribute__((warn_unused_result));

/* Ends all listeners with UNAVAILABLE, takes no more, and asks sandboxd nothing more. */
void event_hub_end(struct event_hub *hub);

/* Its listeners must be freed before. NULL is fine. */
void event_hub_close(struct event_hub *hub);

/* A listener of event_listener_new() joins: it begins as soon as the hub knows where sandboxd stands, and is told what happens
 * from then on. One that has left already does not. RESOURCE_EXHAUSTED when there are too many, UNAVAILABLE at the hub's end.
 * The sink may be called before this returns. */
struct error *event_hub_join(struct event_listener *listener) __attribute__((warn_unused_result));

/* What the sink was given last has gone out. */
void event_hub_sent(struct event_listener *listener);

/* The client has gone: the sink is not called any more. The listener is freed by event_listener_free(). */
void event_hub_leave(struct event_listener *listener);
