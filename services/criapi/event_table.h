/* What a client of events has been told: which sandboxes and containers there are, and how far each is. Pure. */
#pragma once

#include "common/cleanup.h"
#include "common/event_phase.h"
#include "proto/bulkhead.pb-c.h"

/* A sandbox, or a container of it. Sorted by sandbox, the sandbox itself before its containers, these by id. */
struct event_entry {
    char *pod_id;
    char *id; /* the same as pod_id's text where it is the sandbox itself */
    enum event_phase phase;
    ProtobufCBinaryData stub; /* of a sandbox: its PodSandboxStatus when it is gone */
};

struct event_table {
    struct event_entry *entries;
    size_t count, room;
};

struct event_table *event_table_copy(const struct event_table *table);
void event_table_clear(struct event_table *table);
void event_table_free(struct event_table *table);
DEFINE_AUTOPTR(event_table)

/* NULL where there is none. */
const struct event_entry *event_table_find(const struct event_table *table, const char *pod_id, const char *id);

/* An event of this type (CRI's ContainerEventType) was told. stub may be NULL. */
void event_table_apply(struct event_table *table, const char *pod_id, const char *id, int type,
                       const ProtobufCBinaryData *stub);

/* One event that is to be told. Its texts are the table's or the snapshot's: good until it is applied to that table. */
struct event_change {
    const char *pod_id, *id;
    int type;
    const Bulkhead__PodSnapshot *pod; /* NULL: it is gone */
};

/* The events that lead from what is in the table to the snapshot, as an array that the caller frees: each object's in their
 * order, a sandbox's beginning before its containers' and its end after them. Sorts the snapshot's lists. */
struct event_change *event_table_diff(const struct event_table *table, Bulkhead__EventSnapshotReply *snapshot,
                                      size_t *ret_count);

/* The event as clients get it (ContainerEventResponse), made of the snapshot, or of the table's stub of a sandbox that is
 * gone. Without the containers' statuses where it would have more than max bytes. now_ns: REALTIME. The caller frees it. */
uint8_t *event_change_pack(const struct event_change *change, const struct event_table *table, int64_t now_ns, size_t max,
                           size_t *ret_size);
