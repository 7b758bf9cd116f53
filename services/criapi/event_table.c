/* How what was told is compared with what is. */
#include "services/criapi/event_table.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "proto/cri.pb-c.h"

static bool is_pod(const struct event_entry *entry)
{
    return strcmp(entry->pod_id, entry->id) == 0;
}

static void entry_fini(struct event_entry *entry)
{
    free(entry->pod_id);
    free(entry->id);
    free(entry->stub.data);
}

static ProtobufCBinaryData data_copy(const ProtobufCBinaryData *data)
{
    if (!data || data->len == 0)
        return (ProtobufCBinaryData){0};
    return (ProtobufCBinaryData){data->len, xmemdup(data->data, data->len)};
}

static struct event_entry entry_of(const char *pod_id, const char *id, const ProtobufCBinaryData *stub)
{
    return (struct event_entry){.pod_id = xstrdup(pod_id), .id = xstrdup(id), .stub = data_copy(stub)};
}

struct event_table *event_table_copy(const struct event_table *table)
{
    struct event_table *copy = xcalloc(1, sizeof(*copy));

    copy->entries = xcalloc(table->count + 1, sizeof(*copy->entries));
    copy->room = table->count + 1;
    for (; copy->count < table->count; copy->count++) {
        const struct event_entry *entry = &table->entries[copy->count];
        copy->entries[copy->count] = entry_of(entry->pod_id, entry->id, &entry->stub);
        copy->entries[copy->count].phase = entry->phase;
    }
    return copy;
}

void event_table_clear(struct event_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        entry_fini(&table->entries[i]);
    free(table->entries);
    *table = (struct event_table){0};
}

void event_table_free(struct event_table *table)
{
    if (table)
        event_table_clear(table);
    free(table);
}

/* ---- finding ---- */

static int entry_compare(const struct event_entry *entry, const char *pod_id, const char *id)
{
    int order = strcmp(entry->pod_id, pod_id);

    if (order)
        return order;
    order = (strcmp(id, pod_id) == 0) - is_pod(entry);
    return order ? order : strcmp(entry->id, id);
}

/* Where it is, or would be. */
static size_t place_of(const struct event_table *table, const char *pod_id, const char *id)
{
    size_t low = 0, high = table->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (entry_compare(&table->entries[middle], pod_id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct event_entry *event_table_find(const struct event_table *table, const char *pod_id, const char *id)
{
    size_t place = place_of(table, pod_id, id);

    if (place == table->count || entry_compare(&table->entries[place], pod_id, id) != 0)
        return NULL;
    return &table->entries[place];
}

/* ---- telling ---- */

static void entry_insert(struct event_table *table, size_t place, struct event_entry entry)
{
    if (table->count == table->room) {
        table->room = table->room ? 2 * table->room : 64;
        table->entries = xreallocarray(table->entries, table->room, sizeof(*table->entries));
    }
    memmove(&table->entries[place + 1], &table->entries[place], (table->count - place) * sizeof(*table->entries));
    table->entries[place] = entry;
    table->count++;
}

static void entry_remove(struct event_table *table, size_t place)
{
    entry_fini(&table->entries[place]);
    table->count--;
    memmove(&table->entries[place], &table->entries[place + 1], (table->count - place) * sizeof(*table->entries));
}

void event_table_apply(struct event_table *table, const char *pod_id, const char *id, int type,
                       const ProtobufCBinaryData *stub)
{
    size_t place = place_of(table, pod_id, id);
    bool is_there = place < table->count && entry_compare(&table->entries[place], pod_id, id) == 0;
    enum event_phase phase = event_phase_after(type);

    if (phase == EVENT_PHASE_NONE) {
        if (is_there && type == RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_DELETED_EVENT)
            entry_remove(table, place);
        return;
    }
    if (!is_there)
        entry_insert(table, place, entry_of(pod_id, id, stub));
    table->entries[place].phase = phase;
}

/* ---- comparing ---- */

/* What a comparison has found. */
struct changes {
    struct event_change *items;
    size_t count, room;
};

static void change_add(struct changes *changes, struct event_change change)
{
    if (changes->count == changes->room) {
        changes->room = changes->room ? 2 * changes->room : 64;
        changes->items = xreallocarray(changes->items, changes->room, sizeof(*changes->items));
    }
    changes->items[changes->count++] = change;
}

static void container_diff(struct changes *changes, const struct event_entry *old,
                           const Bulkhead__ContainerSnapshot *now, const char *pod_id, const Bulkhead__PodSnapshot *pod)
{
    int types[EVENT_TYPES_MAX];
    size_t count = event_types_between(old ? old->phase : EVENT_PHASE_NONE,
                                       now ? (enum event_phase)now->phase : EVENT_PHASE_NONE, now && now->was_started,
                                       types);

    for (size_t i = 0; i < count; i++)
        change_add(changes, (struct event_change){pod_id, old ? old->id : now->id, types[i], pod});
}

/* Both sorted by id. */
static void containers_diff(struct changes *changes, const struct event_entry *old, size_t old_count,
                            const char *pod_id, const Bulkhead__PodSnapshot *pod)
{
    size_t i = 0, j = 0, now_count = pod ? pod->n_containers : 0;

    while (i < old_count || j < now_count) {
        int order = i == old_count   ? 1
                    : j == now_count ? -1
                                     : strcmp(old[i].id, pod->containers[j]->id);
        container_diff(changes, order <= 0 ? &old[i] : NULL, order >= 0 ? pod->containers[j] : NULL, pod_id, pod);
        i += order <= 0;
        j += order >= 0;
    }
}

/* A sandbox's events up to its start, or from its stop on. */
static void pod_add(struct changes *changes, const int *types, size_t count, bool is_beginning, const char *pod_id,
                    const Bulkhead__PodSnapshot *pod)
{
    for (size_t i = 0; i < count; i++) {
        enum event_phase phase = event_phase_after(types[i]);
        if ((phase == EVENT_PHASE_CREATED || phase == EVENT_PHASE_STARTED) == is_beginning)
            change_add(changes, (struct event_change){pod_id, pod_id, types[i], pod});
    }
}

/* old: the table's entries of the pod. Either side may be missing, but not both. */
static void pod_diff(struct changes *changes, const struct event_entry *old, size_t old_count,
                     const Bulkhead__PodSnapshot *pod)
{
    const char *pod_id = old_count ? old->pod_id : pod->id;
    bool has_pod = old_count && is_pod(old);
    int types[EVENT_TYPES_MAX];
    size_t count = event_types_between(has_pod ? old->phase : EVENT_PHASE_NONE,
                                       pod ? (enum event_phase)pod->phase : EVENT_PHASE_NONE, true, types);

    pod_add(changes, types, count, true, pod_id, pod);
    containers_diff(changes, old + has_pod, old_count - has_pod, pod_id, pod);
    pod_add(changes, types, count, false, pod_id, pod);
}

static int pods_compare(const void *one, const void *other)
{
    return strcmp((*(Bulkhead__PodSnapshot *const *)one)->id, (*(Bulkhead__PodSnapshot *const *)other)->id);
}

static int containers_compare(const void *one, const void *other)
{
    return strcmp((*(Bulkhead__ContainerSnapshot *const *)one)->id,
                  (*(Bulkhead__ContainerSnapshot *const *)other)->id);
}

static void snapshot_sort(Bulkhead__EventSnapshotReply *snapshot)
{
    if (snapshot->n_pods)
        qsort(snapshot->pods, snapshot->n_pods, sizeof(*snapshot->pods), pods_compare);
    for (size_t i = 0; i < snapshot->n_pods; i++) {
        if (snapshot->pods[i]->n_containers)
            qsort(snapshot->pods[i]->containers, snapshot->pods[i]->n_containers,
                  sizeof(*snapshot->pods[i]->containers), containers_compare);
    }
}

/* How many entries from here on are of the same pod. */
static size_t pod_entries(const struct event_table *table, size_t first)
{
    size_t end = first;

    while (end < table->count && strcmp(table->entries[end].pod_id, table->entries[first].pod_id) == 0)
        end++;
    return end - first;
}

struct event_change *event_table_diff(const struct event_table *table, Bulkhead__EventSnapshotReply *snapshot,
                                      size_t *ret_count)
{
    struct changes changes = {0};
    size_t i = 0, j = 0;

    snapshot_sort(snapshot);
    while (i < table->count || j < snapshot->n_pods) {
        int order = i == table->count       ? 1
                    : j == snapshot->n_pods ? -1
                                            : strcmp(table->entries[i].pod_id, snapshot->pods[j]->id);
        size_t old_count = order <= 0 ? pod_entries(table, i) : 0;
        pod_diff(&changes, old_count ? &table->entries[i] : NULL, old_count, order >= 0 ? snapshot->pods[j] : NULL);
        i += old_count;
        j += order >= 0;
    }
    *ret_count = changes.count;
    return changes.items;
}

/* ---- saying ---- */

static ProtobufCBinaryData pod_status_of(const struct event_change *change, const struct event_table *table)
{
    const struct event_entry *entry;

    if (change->pod)
        return change->pod->status.len ? change->pod->status : change->pod->stub;
    entry = event_table_find(table, change->pod_id, change->pod_id);
    return entry ? entry->stub : (ProtobufCBinaryData){0};
}

uint8_t *event_change_pack(const struct event_change *change, const struct event_table *table, int64_t now_ns, size_t max,
                           size_t *ret_size)
{
    Bulkhead__EventResponse response = BULKHEAD__EVENT_RESPONSE__INIT;
    size_t room = change->pod ? change->pod->n_containers : 0;
    autofree ProtobufCBinaryData *statuses = xcalloc(room + 1, sizeof(*statuses));

    response.container_id = (char *)change->id;
    response.container_event_type = (uint32_t)change->type;
    response.created_at = now_ns;
    response.pod_sandbox_status = pod_status_of(change, table);
    response.containers_statuses = statuses;
    for (size_t i = 0; i < room; i++) {
        if (change->pod->containers[i]->status.len)
            statuses[response.n_containers_statuses++] = change->pod->containers[i]->status;
    }
    if (bulkhead__event_response__get_packed_size(&response) > max)
        response.n_containers_statuses = 0;
    *ret_size = bulkhead__event_response__get_packed_size(&response);
    uint8_t *bytes = xmalloc(*ret_size + 1);
    bulkhead__event_response__pack(&response, bytes);
    return bytes;
}
