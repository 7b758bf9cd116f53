/* The order of a life's events. */
#include "common/event_phase.h"

#include "proto/cri.pb-c.h"

enum {
    CREATED = RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_CREATED_EVENT,
    STARTED = RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_STARTED_EVENT,
    STOPPED = RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_STOPPED_EVENT,
    DELETED = RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_DELETED_EVENT,
};

size_t event_types_between(enum event_phase from, enum event_phase to, bool was_started, int types[EVENT_TYPES_MAX])
{
    size_t count = 0;

    if (to == EVENT_PHASE_NONE) {
        if (from == EVENT_PHASE_STARTED)
            types[count++] = STOPPED;
        if (from != EVENT_PHASE_NONE)
            types[count++] = DELETED;
        return count;
    }
    if (from < EVENT_PHASE_CREATED)
        types[count++] = CREATED;
    if (from < EVENT_PHASE_STARTED && (to == EVENT_PHASE_STARTED || (to == EVENT_PHASE_STOPPED && was_started)))
        types[count++] = STARTED;
    if (from < EVENT_PHASE_STOPPED && to == EVENT_PHASE_STOPPED)
        types[count++] = STOPPED;
    return count;
}

enum event_phase event_phase_after(int type)
{
    return type == CREATED   ? EVENT_PHASE_CREATED
           : type == STARTED ? EVENT_PHASE_STARTED
           : type == STOPPED ? EVENT_PHASE_STOPPED
                             : EVENT_PHASE_NONE;
}
