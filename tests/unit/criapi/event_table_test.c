/* What was told is compared with what is: the differences, in an order that clients can follow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "proto/cri.pb-c.h"
#include "services/criapi/event_table.h"

enum { CREATED, STARTED, STOPPED, DELETED };

/* A snapshot is written as "pod:PHASE container:PHASE container:PHASE* ... ; pod ..."; a star: never started. */
static Bulkhead__EventSnapshotReply *snapshot_of(const char *text)
{
    Bulkhead__EventSnapshotReply *snapshot = xmalloc(sizeof(*snapshot));
    Bulkhead__PodSnapshot *pod = NULL;
    autofree char *copy = xstrdup(text);
    char *rest = NULL;

    bulkhead__event_snapshot_reply__init(snapshot);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (strcmp(word, ";") == 0) {
            pod = NULL;
            continue;
        }
        char *colon = strchr(word, ':');
        *colon = '\0';
        if (!pod) {
            pod = xmalloc(sizeof(*pod));
            bulkhead__pod_snapshot__init(pod);
            pod->id = xstrdup(word);
            pod->phase = (uint32_t)atoi(colon + 1);
            pod->stub = (ProtobufCBinaryData){strlen(word), xmemdup(word, strlen(word))};
            snapshot->pods = xreallocarray(snapshot->pods, snapshot->n_pods + 1, sizeof(*snapshot->pods));
            snapshot->pods[snapshot->n_pods++] = pod;
            continue;
        }
        Bulkhead__ContainerSnapshot *container = xmalloc(sizeof(*container));
        bulkhead__container_snapshot__init(container);
        container->id = xstrdup(word);
        container->phase = (uint32_t)atoi(colon + 1);
        container->was_started = container->phase >= EVENT_PHASE_STARTED && !strchr(colon + 1, '*');
        container->status = (ProtobufCBinaryData){strlen(word), xmemdup(word, strlen(word))};
        pod->containers = xreallocarray(pod->containers, pod->n_containers + 1, sizeof(*pod->containers));
        pod->containers[pod->n_containers++] = container;
    }
    return snapshot;
}

/* Compares, applies each change, and says them as "id+c id+s ...". The caller frees it. */
static char *changes_of(struct event_table *table, const char *text)
{
    Bulkhead__EventSnapshotReply *snapshot = snapshot_of(text);
    size_t count = 0;
    autofree struct event_change *changes = event_table_diff(table, snapshot, &count);
    char *said = xstrdup("");

    for (size_t i = 0; i < count; i++) {
        autofree char *before = said;
        said = xasprintf("%s%s%s+%c", before, *before ? " " : "", changes[i].id, "csxd"[changes[i].type]);
        event_table_apply(table, changes[i].pod_id, changes[i].id, changes[i].type,
                          changes[i].pod ? &changes[i].pod->stub : NULL);
    }
    bulkhead__event_snapshot_reply__free_unpacked(snapshot, NULL);
    return said;
}

static void expect(struct event_table *table, const char *snapshot, const char *expected)
{
    autofree char *said = changes_of(table, snapshot);
    autofree char *again = changes_of(table, snapshot);

    assert_string_equal(said, expected);
    assert_string_equal(again, ""); /* the table is the snapshot now */
}

static void a_first_snapshot_is_all_new(void **state)
{
    struct event_table table = {0};

    (void)state;
    expect(&table, "", "");
    expect(&table, "b:2 y:1 x:3 ; a:3 z:3*", "a+c a+s z+c z+x a+x b+c b+s x+c x+s x+x y+c");
    assert_int_equal(table.count, 5);
    assert_int_equal(event_table_find(&table, "b", "x")->phase, EVENT_PHASE_STOPPED);
    assert_int_equal(event_table_find(&table, "b", "b")->phase, EVENT_PHASE_STARTED);
    assert_null(event_table_find(&table, "b", "z"));
    assert_null(event_table_find(&table, "c", "c"));
    event_table_clear(&table);
}

static void moves_are_told_once(void **state)
{
    struct event_table table = {0};

    (void)state;
    expect(&table, "a:2 m:1 n:2", "a+c a+s m+c n+c n+s");
    expect(&table, "a:2 n:3 m:2", "m+s n+x");
    expect(&table, "a:3 n:3 m:3", "m+x a+x");
    event_table_clear(&table);
}

static void deletions_are_told_a_sandboxs_last(void **state)
{
    struct event_table table = {0};

    (void)state;
    expect(&table, "a:2 m:2 n:3 ; b:2 o:1 ; c:2", "a+c a+s m+c m+s n+c n+s n+x b+c b+s o+c c+c c+s");
    expect(&table, "a:2 m:2 ; c:2", "n+d o+d b+x b+d");
    expect(&table, "c:2", "m+x m+d a+x a+d");
    expect(&table, "", "c+x c+d");
    assert_int_equal(table.count, 0);
    event_table_clear(&table);
}

static void what_comes_and_goes_unseen_is_not_told(void **state)
{
    struct event_table table = {0};

    (void)state;
    expect(&table, "a:2 m:3", "a+c a+s m+c m+s m+x");
    expect(&table, "b:2 m2:1", "m+d a+x a+d b+c b+s m2+c");
    event_table_clear(&table);
}

/* A sandbox that is being undone is in no list; its containers go one by one. */
static void containers_outlive_their_sandboxs_listing(void **state)
{
    struct event_table table = {0};

    (void)state;
    expect(&table, "a:2 m:3", "a+c a+s m+c m+s m+x");
    expect(&table, "a:0 m:3", "a+x a+d");
    expect(&table, "", "m+d");
    event_table_clear(&table);
}

static void events_and_snapshots_lead_to_the_same(void **state)
{
    struct event_table table = {0};

    (void)state;
    event_table_apply(&table, "a", "a", CREATED, NULL);
    event_table_apply(&table, "a", "a", STARTED, NULL);
    event_table_apply(&table, "a", "m", CREATED, NULL);
    event_table_apply(&table, "a", "k", CREATED, NULL);
    event_table_apply(&table, "a", "k", 77, NULL); /* of a later version: nothing is known of it */
    event_table_apply(&table, "a", "m", DELETED, NULL);
    event_table_apply(&table, "a", "m", DELETED, NULL);
    expect(&table, "a:2 k:1", "");
    event_table_clear(&table);
}

static void a_copy_is_independent(void **state)
{
    struct event_table table = {0};

    (void)state;
    expect(&table, "a:2 m:2", "a+c a+s m+c m+s");
    autoptr(event_table) copy = event_table_copy(&table);
    expect(&table, "", "m+x m+d a+x a+d");
    expect(copy, "a:2 m:3", "m+x");
    event_table_clear(&table);
}

/* Packs the change of that number and reads it as a client does. */
static Runtime__V1__ContainerEventResponse *packed(const struct event_table *table, const struct event_change *change,
                                                   size_t max)
{
    size_t size = 0;
    autofree uint8_t *bytes = event_change_pack(change, table, 42, max, &size);

    assert_true(size <= max);
    Runtime__V1__ContainerEventResponse *event = runtime__v1__container_event_response__unpack(NULL, size, bytes);
    assert_non_null(event);
    assert_int_equal(event->created_at, 42);
    return event;
}

static uint8_t *status_of(const char *id, size_t *ret_size)
{
    Runtime__V1__PodSandboxStatus status = RUNTIME__V1__POD_SANDBOX_STATUS__INIT; /* a container's has its id there, too */

    status.id = (char *)id;
    uint8_t *bytes = xmalloc(256);
    *ret_size = runtime__v1__pod_sandbox_status__pack(&status, bytes);
    return bytes;
}

static void status_set(ProtobufCBinaryData *status, const char *id)
{
    free(status->data);
    status->data = status_of(id, &status->len);
}

static void an_event_has_the_statuses_of_its_pod(void **state)
{
    struct event_table table = {0};
    Bulkhead__EventSnapshotReply *snapshot = snapshot_of("a:2 m:1 n:1");
    size_t count = 0;

    (void)state;
    status_set(&snapshot->pods[0]->status, "a");
    status_set(&snapshot->pods[0]->stub, "stub");
    status_set(&snapshot->pods[0]->containers[0]->status, "m");
    status_set(&snapshot->pods[0]->containers[1]->status, "n");
    autofree struct event_change *changes = event_table_diff(&table, snapshot, &count);
    assert_int_equal(count, 4);
    Runtime__V1__ContainerEventResponse *event = packed(&table, &changes[2], 1000);
    assert_string_equal(event->container_id, "m");
    assert_int_equal(event->container_event_type, CREATED);
    assert_string_equal(event->pod_sandbox_status->id, "a");
    assert_int_equal(event->n_containers_statuses, 2);
    assert_string_equal(event->containers_statuses[1]->id, "n");
    size_t whole = runtime__v1__container_event_response__get_packed_size(event);
    runtime__v1__container_event_response__free_unpacked(event, NULL);
    event = packed(&table, &changes[2], whole - 1);
    assert_int_equal(event->n_containers_statuses, 0);
    assert_string_equal(event->pod_sandbox_status->id, "a");
    runtime__v1__container_event_response__free_unpacked(event, NULL);
    free(snapshot->pods[0]->status.data);
    snapshot->pods[0]->status = (ProtobufCBinaryData){0};
    event = packed(&table, &changes[0], 1000);
    assert_string_equal(event->pod_sandbox_status->id, "stub");
    runtime__v1__container_event_response__free_unpacked(event, NULL);
    bulkhead__event_snapshot_reply__free_unpacked(snapshot, NULL);
}

static void a_deletion_says_of_which_pod_though_that_is_gone(void **state)
{
    struct event_table table = {0};
    Bulkhead__EventSnapshotReply *nothing = snapshot_of("");
    ProtobufCBinaryData stub = {0};
    size_t count = 0;

    (void)state;
    status_set(&stub, "stub");
    event_table_apply(&table, "a", "a", CREATED, &stub);
    event_table_apply(&table, "a", "m", CREATED, NULL);
    autofree struct event_change *changes = event_table_diff(&table, nothing, &count);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++) {
        Runtime__V1__ContainerEventResponse *event = packed(&table, &changes[i], 1000);
        assert_int_equal(event->container_event_type, DELETED);
        assert_string_equal(event->container_id, i == 0 ? "m" : "a");
        assert_string_equal(event->pod_sandbox_status->id, "stub");
        runtime__v1__container_event_response__free_unpacked(event, NULL);
    }
    free(stub.data);
    event_table_clear(&table);
    bulkhead__event_snapshot_reply__free_unpacked(nothing, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_snapshot_is_all_new),
        cmocka_unit_test(moves_are_told_once),
        cmocka_unit_test(deletions_are_told_a_sandboxs_last),
        cmocka_unit_test(what_comes_and_goes_unseen_is_not_told),
        cmocka_unit_test(containers_outlive_their_sandboxs_listing),
        cmocka_unit_test(events_and_snapshots_lead_to_the_same),
        cmocka_unit_test(a_copy_is_independent),
        cmocka_unit_test(an_event_has_the_statuses_of_its_pod),
        cmocka_unit_test(a_deletion_says_of_which_pod_though_that_is_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
