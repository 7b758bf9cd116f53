/* A client of events: it reads them one by one, and fails the test at one that cannot be: no object's life goes back, and
 * nothing is told twice. */
#pragma once

#include "proto/cri.pb-c.h"
#include "cli/clients/cri_stream.h"

enum { EVENT_CREATED, EVENT_STARTED, EVENT_STOPPED, EVENT_DELETED, EVENT_PATIENCE_MS = 60000 };

/* An object that was told of. */
struct watched {
    struct watched *next;
    char *id;
    int last;       /* the last event's type */
    unsigned types; /* all of them, as bits */
};

struct event_watch {
    struct cri_stream *stream;
    struct watched *objects;
    unsigned events;
};

/* Returns when the client is told of what happens from then on. */
void event_watch_open(struct event_watch *watch, struct cri_client *client);
void event_watch_close(struct event_watch *watch); /* cancels */

/* Notes an event; for who reads them otherwise. */
void event_watch_note(struct event_watch *watch, const char *id, int type);

/* The next event, freed by the caller; NULL when the call has ended with ret_error, the caller's. */
Runtime__V1__ContainerEventResponse *event_watch_next(struct event_watch *watch, struct error **ret_error);

/* Reads up to this event, and returns it. */
Runtime__V1__ContainerEventResponse *event_watch_until(struct event_watch *watch, const char *id, int type);

/* The same, without the event. */
void event_watch_await(struct event_watch *watch, const char *id, int type);

/* The types of the object's events so far, as bits; 0: none. */
unsigned event_watch_types(const struct event_watch *watch, const char *id);
