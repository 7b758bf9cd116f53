/* Which orders of events are right. */
#include "tests/support/event_watch.h"

#include <string.h>

#include "tests/support/check.h"

void event_watch_open(struct event_watch *watch, struct cri_client *client)
{
    *watch = (struct event_watch){0};
    check(cri_stream_open(client, "RuntimeService", "GetContainerEvents", "", 0, -1, &watch->stream));
    check(cri_stream_headers(watch->stream, EVENT_PATIENCE_MS));
}

void event_watch_close(struct event_watch *watch)
{
    cri_stream_close(watch->stream);
    while (watch->objects) {
        struct watched *next = watch->objects->next;
        free(watch->objects->id);
        free(watch->objects);
        watch->objects = next;
    }
    *watch = (struct event_watch){0};
}

static struct watched *watched_find(const struct event_watch *watch, const char *id)
{
    struct watched *object = watch->objects;

    while (object && strcmp(object->id, id) != 0)
        object = object->next;
    return object;
}

void event_watch_note(struct event_watch *watch, const char *id, int type)
{
    struct watched *object = watched_find(watch, id);

    if (!object) {
        object = xcalloc(1, sizeof(*object));
        *object = (struct watched){.next = watch->objects, .id = xstrdup(id), .last = -1};
        watch->objects = object;
    }
    if (type <= object->last)
        fail_msg("event %d of %s comes after %d", type, id, object->last);
    object->last = type;
    object->types |= 1u << type;
    watch->events++;
}

Runtime__V1__ContainerEventResponse *event_watch_next(struct event_watch *watch, struct error **ret_error)
{
    autofree uint8_t *bytes = NULL;
    size_t size = 0;

    *ret_error = cri_stream_next(watch->stream, EVENT_PATIENCE_MS, &bytes, &size);
    if (*ret_error || !bytes)
        return NULL;
    Runtime__V1__ContainerEventResponse *event = runtime__v1__container_event_response__unpack(NULL, size, bytes);
    assert_non_null(event);
    event_watch_note(watch, event->container_id, (int)event->container_event_type);
    return event;
}

Runtime__V1__ContainerEventResponse *event_watch_until(struct event_watch *watch, const char *id, int type)
{
    for (;;) {
        struct error *error = NULL;
        Runtime__V1__ContainerEventResponse *event = event_watch_next(watch, &error);
        if (error)
            error = error_wrap(error, "event %d of %s is awaited", type, id);
        check(error);
        if (!event)
            fail_msg("the stream ended before event %d of %s", type, id);
        if ((int)event->container_event_type == type && strcmp(event->container_id, id) == 0)
            return event;
        runtime__v1__container_event_response__free_unpacked(event, NULL);
    }
}

void event_watch_await(struct event_watch *watch, const char *id, int type)
{
    if (event_watch_types(watch, id) & 1u << type)
        return;
    runtime__v1__container_event_response__free_unpacked(event_watch_until(watch, id, type), NULL);
}

unsigned event_watch_types(const struct event_watch *watch, const char *id)
{
    const struct watched *object = watched_find(watch, id);

    return object ? object->types : 0;
}
