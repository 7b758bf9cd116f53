/* How far a container's or a sandbox's life has come, as CRI's events tell it, and which events lie between. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Numbers go between daemons: never renumber. */
enum event_phase {
    EVENT_PHASE_NONE = 0, /* not yet, or gone: it is in no list */
    EVENT_PHASE_CREATED = 1,
    EVENT_PHASE_STARTED = 2,
    EVENT_PHASE_STOPPED = 3,
};

enum { EVENT_TYPES_MAX = 3 };

/* The events (CRI's ContainerEventType) that lead from one phase to another, in their order; returns how many. was_started: a
 * stopped one has run. None for a way back, which no life goes. */
size_t event_types_between(enum event_phase from, enum event_phase to, bool was_started, int types[EVENT_TYPES_MAX]);

/* The phase after an event of this type; NONE for an unknown one. */
enum event_phase event_phase_after(int type);
