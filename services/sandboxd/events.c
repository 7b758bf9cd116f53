/* Which moves are events, and what an event says. */
#include "services/sandboxd/events.h"

#include <string.h>

#include "common/clock.h"
#include "common/ipc_publish.h"
#include "common/memory.h"
#include "proto/bulkhead.pb-c.h"
#include "services/sandboxd/handlers.h"

struct error *events_open(struct sandboxd *d)
{
    autofree char *directory = config_state_path(d->config, "sandboxd");
    const uint32_t allowed[] = {config_uid(d->config, CONFIG_USER_CRIAPI), 0};

    return ipc_publisher_open(
        &(struct ipc_publisher_options){.directory = directory, .generation = d->generation, .allowed_uids = allowed},
        &d->events);
}

/* ---- phases ---- */

/* While it stops, something of it lives. A removal may begin there, but is told as the stop that it is as well. */
enum event_phase events_phase_of_pod(const struct pod *pod)
{
    switch (pod->record->state) {
    case POD_READY:
    case POD_STOPPING:
        return EVENT_PHASE_STARTED;
    case POD_NOTREADY:
    case POD_REMOVING:
        return EVENT_PHASE_STOPPED;
    default:
        return EVENT_PHASE_NONE;
    }
}

enum event_phase events_phase_of_container(const struct container *container)
{
    switch (container->record->state) {
    case CONTAINER_CREATED:
        return EVENT_PHASE_CREATED;
    case CONTAINER_RUNNING:
        return EVENT_PHASE_STARTED;
    case CONTAINER_EXITED:
        return EVENT_PHASE_STOPPED;
    case CONTAINER_REMOVING:
        return container->record->finished_at_ns ? EVENT_PHASE_STOPPED : EVENT_PHASE_CREATED;
    default:
        return EVENT_PHASE_NONE;
    }
}

/* A short run's exit may be known before its start is noted. */
static bool was_started(const Bulkhead__ContainerRecord *record)
{
    return record->started_at_ns != 0 || (record->start_requested && strcmp(record->reason, "StartError") != 0);
}

/* ---- what is said ---- */

/* Bytes on the heap. */
struct bytes {
    uint8_t *data;
    size_t size;
};

static ProtobufCBinaryData borrowed(const struct bytes *bytes)
{
    return (ProtobufCBinaryData){bytes->size, bytes->data};
}

static struct bytes packed(const ProtobufCMessage *message)
{
    struct bytes bytes = {.size = protobuf_c_message_get_packed_size(message)};

    bytes.data = xmalloc(bytes.size + 1);
    protobuf_c_message_pack(message, bytes.data);
    return bytes;
}

static struct bytes pod_status(const struct pod *pod)
{
    struct bytes bytes;

    bytes.data = pod_status_pack(pod, &bytes.size);
    return bytes;
}

/* What can still be said of a pod when it is gone, in few bytes. */
static struct bytes pod_stub(const struct pod *pod)
{
    Runtime__V1__PodSandboxStatus stub = RUNTIME__V1__POD_SANDBOX_STATUS__INIT;

    stub.id = pod->record->id;
    stub.metadata = pod->config->metadata;
    stub.state = RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
    stub.created_at = pod->record->created_at_ns;
    stub.runtime_handler = pod->record->runtime_handler;
    return packed(&stub.base);
}

/* The statuses of a pod's containers, of those that lists show. */
struct statuses {
    ProtobufCBinaryData *items;
    size_t count;
};

static struct statuses container_statuses(const struct pod *pod)
{
    struct statuses statuses = {0};

    for (const struct container *container = pod->d->containers; container; container = container->next) {
        if (container->pod != pod || events_phase_of_container(container) == EVENT_PHASE_NONE)
            continue;
        statuses.items = xreallocarray(statuses.items, statuses.count + 1, sizeof(*statuses.items));
        ProtobufCBinaryData *item = &statuses.items[statuses.count++];
        item->data = container_status_pack(container, &item->len);
    }
    return statuses;
}

static void statuses_free(struct statuses *statuses)
{
    for (size_t i = 0; i < statuses->count; i++)
        free(statuses->items[i].data);
    free(statuses->items);
}

static struct bytes response_of(const struct pod *pod, const char *id, int type)
{
    Bulkhead__EventResponse response = BULKHEAD__EVENT_RESPONSE__INIT;
    struct bytes status = pod_status(pod);
    struct statuses statuses = container_statuses(pod);

    response.container_id = (char *)id;
    response.container_event_type = (uint32_t)type;
    response.created_at = clock_realtime_ns();
    response.pod_sandbox_status = borrowed(&status);
    response.containers_statuses = statuses.items;
    response.n_containers_statuses = statuses.count;
    struct bytes bytes = packed(&response.base);
    free(status.data);
    statuses_free(&statuses);
    return bytes;
}

static void publish(struct pod *pod, const char *id, int type)
{
    Bulkhead__Event event = BULKHEAD__EVENT__INIT;
    struct bytes response = response_of(pod, id, type), stub = {0};

    if (event_phase_after(type) == EVENT_PHASE_CREATED && id == pod->record->id)
        stub = pod_stub(pod);
    event.id = (char *)id;
    event.pod_id = pod->record->id;
    event.type = (uint32_t)type;
    event.pod_stub = borrowed(&stub);
    event.response = borrowed(&response);
    struct bytes payload = packed(&event.base);
    ipc_publish(pod->d->events, payload.data, payload.size);
    free(response.data);
    free(stub.data);
}

static void moved(struct pod *pod, const char *id, enum event_phase before, enum event_phase now, bool has_run)
{
    int types[EVENT_TYPES_MAX];
    size_t count = pod->d->events ? event_types_between(before, now, has_run, types) : 0;

    for (size_t i = 0; i < count; i++)
        publish(pod, id, types[i]);
}

void events_pod_moved(struct pod *pod, enum event_phase before)
{
    moved(pod, pod->record->id, before, events_phase_of_pod(pod), true);
}

void events_container_moved(struct container *container, enum event_phase before)
{
    moved(container->pod, container->record->id, before, events_phase_of_container(container),
          was_started(container->record));
}

/* ---- all at once ---- */

static Bulkhead__ContainerSnapshot *container_snapshot(const struct container *container)
{
    Bulkhead__ContainerSnapshot *snapshot = xmalloc(sizeof(*snapshot));

    bulkhead__container_snapshot__init(snapshot);
    snapshot->id = xstrdup(container->record->id);
    snapshot->phase = events_phase_of_container(container);
    snapshot->was_started = was_started(container->record);
    snapshot->status.data = container_status_pack(container, &snapshot->status.len);
    return snapshot;
}

static void containers_snapshot(const struct pod *pod, Bulkhead__PodSnapshot *snapshot)
{
    for (const struct container *container = pod->d->containers; container; container = container->next) {
        if (container->pod != pod || events_phase_of_container(container) == EVENT_PHASE_NONE)
            continue;
        size_t count = snapshot->n_containers + 1;
        snapshot->containers = xreallocarray(snapshot->containers, count, sizeof(*snapshot->containers));
        snapshot->containers[snapshot->n_containers++] = container_snapshot(container);
    }
}

/* NULL: nothing of it has had an event. */
static Bulkhead__PodSnapshot *pod_snapshot(const struct pod *pod)
{
    Bulkhead__PodSnapshot *snapshot = xmalloc(sizeof(*snapshot));

    bulkhead__pod_snapshot__init(snapshot);
    containers_snapshot(pod, snapshot);
    snapshot->phase = events_phase_of_pod(pod);
    if (snapshot->phase == EVENT_PHASE_NONE && snapshot->n_containers == 0) {
        bulkhead__pod_snapshot__free_unpacked(snapshot, NULL);
        return NULL;
    }
    struct bytes status = pod_status(pod), stub = pod_stub(pod);
    snapshot->id = xstrdup(pod->record->id);
    snapshot->status = borrowed(&status);
    snapshot->stub = borrowed(&stub);
    return snapshot;
}

static Bulkhead__EventSnapshotReply *snapshot_take(struct sandboxd *d)
{
    Bulkhead__EventSnapshotReply *snapshot = xmalloc(sizeof(*snapshot));

    bulkhead__event_snapshot_reply__init(snapshot);
    snapshot->origin = (ProtobufCBinaryData){IPC_ORIGIN_SIZE, xmalloc(IPC_ORIGIN_SIZE)};
    pthread_mutex_lock(&d->lock);
    ipc_publisher_position(d->events, snapshot->origin.data, &snapshot->sequence);
    for (const struct pod *pod = d->pods; pod; pod = pod->next) {
        Bulkhead__PodSnapshot *item = pod_snapshot(pod);
        if (!item)
            continue;
        snapshot->pods = xreallocarray(snapshot->pods, snapshot->n_pods + 1, sizeof(*snapshot->pods));
        snapshot->pods[snapshot->n_pods++] = item;
    }
    pthread_mutex_unlock(&d->lock);
    return snapshot;
}

static void bytes_drop(ProtobufCBinaryData *bytes)
{
    free(bytes->data);
    *bytes = (ProtobufCBinaryData){0};
}

/* The statuses are left out where they would not fit: the events made from it say less, but all are there. */
static void snapshot_shorten(Bulkhead__EventSnapshotReply *snapshot)
{
    if (bulkhead__event_snapshot_reply__get_packed_size(snapshot) <= IPC_REPLY_MAX)
        return;
    for (size_t i = 0; i < snapshot->n_pods; i++) {
        bytes_drop(&snapshot->pods[i]->status);
        for (size_t j = 0; j < snapshot->pods[i]->n_containers; j++)
            bytes_drop(&snapshot->pods[i]->containers[j]->status);
    }
}

struct error *handle_event_snapshot(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    auto_request request = NULL;

    TRY(message_parse(call, &bulkhead__event_snapshot_request__descriptor, &request));
    Bulkhead__EventSnapshotReply *snapshot = snapshot_take(state);
    snapshot_shorten(snapshot);
    message_reply(&snapshot->base, reply);
    bulkhead__event_snapshot_reply__free_unpacked(snapshot, NULL);
    return NULL;
}
