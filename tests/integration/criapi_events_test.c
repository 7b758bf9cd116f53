/* criapi's clients of events, with this program as sandboxd: what is published and what a snapshot says is in the test's hand,
 * so that each way in which the two can miss or overlap is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/event_phase.h"
#include "common/ipc.h"
#include "common/ipc_publish.h"
#include "proto/bulkhead.pb-c.h"
#include "tests/support/check.h"
#include "tests/support/event_watch.h"

enum { CRIAPI_UID = 61301, PARTS_MAX = 64 };

static const uint32_t callers[] = {CRIAPI_UID, 0};

/* One object of the snapshot. */
struct part {
    const char *pod, *id;
    enum event_phase phase;
};

struct bench {
    char directory[32];
    char *state, *address, *sandboxd;
    pid_t criapi;
    uint64_t generation;
    struct ipc_publisher *publisher;
    struct ipc_server *server;
    struct cri_client *client;
    struct event_watch watch;

    pthread_mutex_t lock; /* of what follows: the server's threads read it */
    struct part parts[PARTS_MAX];
    size_t part_count;
    unsigned snapshots;      /* asked for */
    unsigned bad_answers;    /* to give before a good one */
    const char *while_asked; /* a container whose start is published while the next snapshot is made, and is in it */
    ProtobufCBinaryData pod_status; /* in each event that is published */
};

/* ---- sandboxd ---- */

static void publish(struct bench *bench, const char *pod, const char *id, int type)
{
    Bulkhead__Event event = BULKHEAD__EVENT__INIT;
    Bulkhead__EventResponse response = BULKHEAD__EVENT_RESPONSE__INIT;

    response.pod_sandbox_status = bench->pod_status;
    response.container_id = (char *)id;
    response.container_event_type = (uint32_t)type;
    response.created_at = 1; /* what is told by comparison has the time of then */
    event.id = (char *)id;
    event.pod_id = (char *)pod;
    event.type = (uint32_t)type;
    autofree uint8_t *bytes = xmalloc(bulkhead__event_response__get_packed_size(&response));
    event.response = (ProtobufCBinaryData){bulkhead__event_response__pack(&response, bytes), bytes};
    size_t size = bulkhead__event__get_packed_size(&event);
    uint8_t *payload = xmalloc(size);
    bulkhead__event__pack(&event, payload);
    ipc_publish(bench->publisher, payload, size);
}

/* With the lock held, or before the server is asked. */
static void part_set(struct bench *bench, const char *pod, const char *id, enum event_phase phase)
{
    size_t i = 0;

    while (i < bench->part_count && strcmp(bench->parts[i].id, id) != 0)
        i++;
    assert_true(i < PARTS_MAX);
    bench->parts[i] = (struct part){pod, id, phase};
    bench->part_count += i == bench->part_count;
}

/* A move of the object: in the snapshots from here on, and published. */
static void move(struct bench *bench, const char *pod, const char *id, int type)
{
    pthread_mutex_lock(&bench->lock);
    part_set(bench, pod, id, event_phase_after(type));
    publish(bench, pod, id, type);
    pthread_mutex_unlock(&bench->lock);
}

/* The same, but nobody is told. */
static void move_silently(struct bench *bench, const char *pod, const char *id, int type)
{
    pthread_mutex_lock(&bench->lock);
    part_set(bench, pod, id, event_phase_after(type));
    pthread_mutex_unlock(&bench->lock);
}

static Bulkhead__PodSnapshot *pod_of(Bulkhead__EventSnapshotReply *snapshot, const char *id)
{
    for (size_t i = 0; i < snapshot->n_pods; i++)
        if (strcmp(snapshot->pods[i]->id, id) == 0)
            return snapshot->pods[i];
    Bulkhead__PodSnapshot *pod = xmalloc(sizeof(*pod));
    bulkhead__pod_snapshot__init(pod);
    pod->id = xstrdup(id);
    snapshot->pods = xreallocarray(snapshot->pods, snapshot->n_pods + 1, sizeof(*snapshot->pods));
    return snapshot->pods[snapshot->n_pods++] = pod;
}

static void part_add(Bulkhead__EventSnapshotReply *snapshot, const struct part *part)
{
    if (part->phase == EVENT_PHASE_NONE)
        return;
    Bulkhead__PodSnapshot *pod = pod_of(snapshot, part->pod);
    if (strcmp(part->pod, part->id) == 0) {
        pod->phase = part->phase;
        return;
    }
    Bulkhead__ContainerSnapshot *container = xmalloc(sizeof(*container));
    bulkhead__container_snapshot__init(container);
    container->id = xstrdup(part->id);
    container->phase = part->phase;
    container->was_started = true;
    pod->containers = xreallocarray(pod->containers, pod->n_containers + 1, sizeof(*pod->containers));
    pod->containers[pod->n_containers++] = container;
}

/* Lock held. */
static void snapshot_pack(struct bench *bench, struct ipc_reply *reply)
{
    Bulkhead__EventSnapshotReply *snapshot = xmalloc(sizeof(*snapshot));

    bulkhead__event_snapshot_reply__init(snapshot);
    snapshot->origin = (ProtobufCBinaryData){IPC_ORIGIN_SIZE, xmalloc(IPC_ORIGIN_SIZE)};
    ipc_publisher_position(bench->publisher, snapshot->origin.data, &snapshot->sequence);
    for (size_t i = 0; i < bench->part_count; i++)
        part_add(snapshot, &bench->parts[i]);
    reply->size = bulkhead__event_snapshot_reply__get_packed_size(snapshot);
    reply->data = xmalloc(reply->size + 1);
    bulkhead__event_snapshot_reply__pack(snapshot, reply->data);
    bulkhead__event_snapshot_reply__free_unpacked(snapshot, NULL);
}

/* Bad in three ways. */
static struct error *bad_answer(unsigned turn, struct ipc_reply *reply)
{
    if (turn % 3 == 0)
        return error_new(ERROR_INTERNAL, "not now");
    if (turn % 3 == 1) { /* an origin too short */
        reply->data = (uint8_t *)xstrdup("\x0a\x01x");
        reply->size = 3;
        return NULL;
    }
    reply->data = (uint8_t *)xstrdup("\xff");
    reply->size = 1;
    return NULL;
}

static struct error *handle_snapshot(void *state, const struct ipc_call *call, struct ipc_reply *reply)
{
    struct bench *bench = state;
    struct error *error = NULL;

    (void)call;
    pthread_mutex_lock(&bench->lock);
    bench->snapshots++;
    if (bench->bad_answers > 0) {
        error = bad_answer(bench->bad_answers--, reply);
    } else {
        if (bench->while_asked) {
            part_set(bench, "pod", bench->while_asked, EVENT_PHASE_STARTED);
            publish(bench, "pod", bench->while_asked, EVENT_STARTED);
            bench->while_asked = NULL;
        }
        snapshot_pack(bench, reply);
    }
    pthread_mutex_unlock(&bench->lock);
    return error;
}

static const struct ipc_method methods[] = {{"EventSnapshot", handle_snapshot}, {0}};

static void sandboxd_start(struct bench *bench)
{
    bench->generation++;
    check(ipc_publisher_open(&(struct ipc_publisher_options){.directory = bench->sandboxd,
                                                             .generation = bench->generation,
                                                             .allowed_uids = callers},
                             &bench->publisher));
    check(ipc_server_open(&(struct ipc_server_options){.directory = bench->sandboxd,
                                                       .service = "sandboxd",
                                                       .generation = bench->generation,
                                                       .methods = methods,
                                                       .state = bench,
                                                       .allowed_uids = callers},
                          &bench->server));
}

static void sandboxd_end(struct bench *bench)
{
    ipc_server_close(bench->server);
    ipc_publisher_close(bench->publisher);
}

/* ---- criapi ---- */

static void criapi_start(struct bench *bench)
{
    const char *programs = getenv("BULKHEAD_PROGRAMS");
    autofree char *program = xasprintf("%s/bulkhead-criapi", programs ? programs : "bin");
    autofree char *root = xasprintf("%s/root", bench->directory);
    char *argv[] = {program,     "--root",       root,          "--state", bench->state,
                    "--address", bench->address, "--log-level", "error",   NULL};
    char *environment[] = {NULL};

    assert_int_equal(posix_spawn(&bench->criapi, program, NULL, NULL, argv, environment), 0);
}

static int bench_open(void **state)
{
    struct bench *bench = xcalloc(1, sizeof(*bench));

    *state = bench;
    strcpy(bench->directory, "/tmp/crievents-XXXXXX");
    assert_non_null(mkdtemp(bench->directory));
    assert_int_equal(chmod(bench->directory, 0711), 0);
    bench->state = xasprintf("%s/state", bench->directory);
    bench->address = xasprintf("%s/cri.sock", bench->directory);
    bench->sandboxd = xasprintf("%s/sandboxd", bench->state);
    autofree char *imaged = xasprintf("%s/imaged", bench->state);
    assert_true(mkdir(bench->state, 0711) == 0 && mkdir(bench->sandboxd, 0711) == 0 && mkdir(imaged, 0711) == 0);
    pthread_mutex_init(&bench->lock, NULL);
    part_set(bench, "pod", "pod", EVENT_PHASE_STARTED);
    part_set(bench, "pod", "old", EVENT_PHASE_STARTED);
    sandboxd_start(bench);
    criapi_start(bench);
    while (access(bench->address, F_OK) < 0)
        usleep(10000);
    check(cri_client_open(bench->address, &bench->client));
    event_watch_open(&bench->watch, bench->client);
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static int bench_close(void **state)
{
    struct bench *bench = *state;

    event_watch_close(&bench->watch);
    cri_client_close(bench->client);
    kill(bench->criapi, SIGKILL);
    while (waitpid(bench->criapi, NULL, 0) < 0 && errno == EINTR)
        ;
    sandboxd_end(bench);
    nftw(bench->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(bench->state);
    free(bench->address);
    free(bench->sandboxd);
    free(bench);
    return 0;
}

static Runtime__V1__ContainerEventResponse *next(struct bench *bench, const char *id)
{
    struct error *error = NULL;
    Runtime__V1__ContainerEventResponse *event = event_watch_next(&bench->watch, &error);

    check(error);
    assert_non_null(event);
    assert_string_equal(event->container_id, id);
    return event;
}

/* The very next event is this one; as it was published, or made by comparison. */
static void expect(struct bench *bench, const char *id, int type, bool is_published)
{
    Runtime__V1__ContainerEventResponse *event = next(bench, id);

    assert_int_equal(event->container_event_type, type);
    assert_int_equal(event->created_at == 1, is_published);
    runtime__v1__container_event_response__free_unpacked(event, NULL);
}

/* It comes: as it was published, or by comparison, which makes the same of it. */
static void expect_created(struct bench *bench, const char *id)
{
    Runtime__V1__ContainerEventResponse *event = next(bench, id);

    assert_int_equal(event->container_event_type, EVENT_CREATED);
    runtime__v1__container_event_response__free_unpacked(event, NULL);
}

/* It goes: as it was published, or, where criapi was not connected again by then, by comparison, which knows that it ran. */
static void expect_gone(struct bench *bench, const char *id)
{
    Runtime__V1__ContainerEventResponse *event = next(bench, id);
    bool is_published = event->created_at == 1;

    assert_int_equal(event->container_event_type, is_published ? EVENT_DELETED : EVENT_STOPPED);
    runtime__v1__container_event_response__free_unpacked(event, NULL);
    if (!is_published)
        expect(bench, id, EVENT_DELETED, false);
}

static unsigned snapshots(struct bench *bench)
{
    pthread_mutex_lock(&bench->lock);
    unsigned count = bench->snapshots;
    pthread_mutex_unlock(&bench->lock);
    return count;
}

/* ---- tests ---- */

static void what_is_published_goes_on_as_it_is(void **state)
{
    struct bench *bench = *state;
    unsigned before = snapshots(bench);

    move(bench, "pod", "new", EVENT_CREATED);
    move(bench, "pod", "old", EVENT_STOPPED);
    move(bench, "pod", "new", EVENT_STARTED);
    move(bench, "pod", "old", EVENT_DELETED);
    expect(bench, "new", EVENT_CREATED, true);
    expect(bench, "old", EVENT_STOPPED, true);
    expect(bench, "new", EVENT_STARTED, true);
    expect(bench, "old", EVENT_DELETED, true);
    assert_int_equal(snapshots(bench), before); /* nothing was to be asked */
}

/* A number that nobody got: a payload too large to be sent. */
static void gap(struct bench *bench)
{
    ipc_publish(bench->publisher, xcalloc(1, IPC_PUBLISH_MAX + 1), IPC_PUBLISH_MAX + 1);
}

static void after_a_gap_differences_are_told_and_then_what_comes(void **state)
{
    struct bench *bench = *state;

    move_silently(bench, "pod", "new", EVENT_STARTED);
    move_silently(bench, "pod", "old", EVENT_DELETED);
    gap(bench);
    expect(bench, "new", EVENT_CREATED, false);
    expect(bench, "new", EVENT_STARTED, false);
    expect(bench, "old", EVENT_STOPPED, false);
    expect(bench, "old", EVENT_DELETED, false);
    move(bench, "pod", "new", EVENT_STOPPED);
    expect(bench, "new", EVENT_STOPPED, true);
}

static void an_event_that_does_not_parse_is_a_gap(void **state)
{
    struct bench *bench = *state;

    move_silently(bench, "pod", "old", EVENT_STOPPED);
    ipc_publish(bench->publisher, (uint8_t *)xstrdup("\xff"), 1);
    expect(bench, "old", EVENT_STOPPED, false);
    move(bench, "pod", "old", EVENT_DELETED);
    expect(bench, "old", EVENT_DELETED, true);
}

/* Published before the snapshot that has it, it arrives after: the watch fails at what is told twice. */
static void what_a_snapshot_has_is_not_told_again_when_it_arrives(void **state)
{
    static const char *const names[] = {"c0", "c1", "c2", "c3", "c4"};
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        move(bench, "pod", names[i], EVENT_CREATED);
        expect(bench, names[i], EVENT_CREATED, true);
        pthread_mutex_lock(&bench->lock);
        bench->while_asked = names[i];
        pthread_mutex_unlock(&bench->lock);
        gap(bench);
        expect(bench, names[i], EVENT_STARTED, false);
        move(bench, "pod", names[i], EVENT_STOPPED);
        expect(bench, names[i], EVENT_STOPPED, true);
    }
}

static void bad_snapshots_are_asked_for_again(void **state)
{
    struct bench *bench = *state;

    pthread_mutex_lock(&bench->lock);
    bench->bad_answers = 6;
    pthread_mutex_unlock(&bench->lock);
    unsigned before = snapshots(bench);
    move_silently(bench, "pod", "old", EVENT_STOPPED);
    gap(bench);
    move(bench, "pod", "new", EVENT_CREATED);
    expect(bench, "new", EVENT_CREATED, false);
    expect(bench, "old", EVENT_STOPPED, false);
    assert_int_equal(snapshots(bench), before + 7);
}

/* What the last one told is compared with what the next one has: the sandbox is gone with all it had, another one is there. */
static void another_sandboxd_is_compared_with_what_the_last_one_told(void **state)
{
    struct bench *bench = *state;

    for (int i = 0; i < 3; i++) {
        move(bench, "pod", "new", EVENT_CREATED);
        expect_created(bench, "new");
        sandboxd_end(bench);
        move_silently(bench, "pod", "new", EVENT_STARTED);
        sandboxd_start(bench);
        expect(bench, "new", EVENT_STARTED, false);
        move(bench, "pod", "new", EVENT_DELETED);
        expect_gone(bench, "new");
        event_watch_close(&bench->watch); /* the next round's object has the same id */
        event_watch_open(&bench->watch, bench->client);
    }
    sandboxd_end(bench);
    move_silently(bench, "pod", "old", EVENT_DELETED);
    move_silently(bench, "pod", "pod", EVENT_DELETED);
    move_silently(bench, "other", "other", EVENT_STARTED);
    sandboxd_start(bench);
    expect(bench, "other", EVENT_CREATED, false);
    expect(bench, "other", EVENT_STARTED, false);
    expect(bench, "old", EVENT_STOPPED, false);
    expect(bench, "old", EVENT_DELETED, false);
    expect(bench, "pod", EVENT_STOPPED, false);
    expect(bench, "pod", EVENT_DELETED, false);
}

/* So that a few events fill a client's queue. */
static void events_are_large(struct bench *bench, size_t size)
{
    Runtime__V1__PodSandboxStatus status = RUNTIME__V1__POD_SANDBOX_STATUS__INIT;
    autofree char *text = xcalloc(1, size + 1);

    memset(text, 'x', size);
    status.runtime_handler = text;
    bench->pod_status.data = xmalloc(size + 100);
    bench->pod_status.len = runtime__v1__pod_sandbox_status__pack(&status, bench->pod_status.data);
}

/* One client does not read, and falls behind; when it reads on, a snapshot is asked for it. The other one gets even what was
 * published meanwhile as it was published. */
static void who_is_behind_is_told_the_difference_and_nobody_else_is(void **state)
{
    enum { COUNT = 50 };
    struct bench *bench = *state;
    struct event_watch slow;
    char names[COUNT][8];

    events_are_large(bench, 200 << 10);
    event_watch_open(&slow, bench->client);
    unsigned before = snapshots(bench);
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof(names[i]), "c%d", i);
        move(bench, "pod", names[i], EVENT_CREATED);
        expect(bench, names[i], EVENT_CREATED, true);
    }
    assert_int_equal(snapshots(bench), before);
    pthread_mutex_lock(&bench->lock);
    bench->while_asked = "c7";
    pthread_mutex_unlock(&bench->lock);
    event_watch_await(&slow, names[COUNT - 1], EVENT_CREATED);
    expect(bench, "c7", EVENT_STARTED, true);
    move(bench, "pod", "c8", EVENT_STARTED);
    expect(bench, "c8", EVENT_STARTED, true);
    event_watch_await(&slow, "c8", EVENT_STARTED);
    for (int i = 0; i < COUNT; i++)
        assert_true(event_watch_types(&slow, names[i]) & 1u << EVENT_CREATED);
    assert_true(event_watch_types(&slow, "c7") & 1u << EVENT_STARTED);
    assert_int_equal(slow.events, COUNT + 2);
    assert_true(snapshots(bench) > before);
    event_watch_close(&slow);
    free(bench->pod_status.data);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(what_is_published_goes_on_as_it_is),
        BENCH_TEST(after_a_gap_differences_are_told_and_then_what_comes),
        BENCH_TEST(an_event_that_does_not_parse_is_a_gap),
        BENCH_TEST(what_a_snapshot_has_is_not_told_again_when_it_arrives),
        BENCH_TEST(bad_snapshots_are_asked_for_again),
        BENCH_TEST(who_is_behind_is_told_the_difference_and_nobody_else_is),
        BENCH_TEST(another_sandboxd_is_compared_with_what_the_last_one_told),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
