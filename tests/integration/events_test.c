/* GetContainerEvents of a whole node: what is told, to whom, in which order, and that nothing is lost when a client is slow or
 * a daemon is killed. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/integration/node_fixture.h"
#include "tests/support/event_watch.h"

enum { CLIENTS_MAX = 128, WHOLE_LIFE = 0xf, ENDS = 1 << EVENT_CREATED | 1 << EVENT_DELETED };

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};
static const char *const ending[] = {"/bin/sh", "-c", "exit 3", NULL};
static const char *const waiting[] = {"/bin/sh", "-c", "while [ ! -e /go ]; do sleep 0.05; done; exit 3", NULL};

/* A container of the pod; the caller frees the id. */
static char *container_create(struct workload *work, const char *pod, const char *name, const char *const *command)
{
    char *id = NULL;

    check(workload_create(work, pod, true,
                          &(struct workload_container){.name = name, .image = busybox, .command = command}, &id));
    return id;
}

static char *pod_run(struct workload *work, const char *name, const char *handler)
{
    char *id = NULL;

    check(workload_pod_run(work, name, 0, true, handler, &id));
    return id;
}

/* ---- what is told ---- */

static void expect_event(struct event_watch *watch, const char *id, int type, const char *pod, int pod_state,
                         size_t statuses)
{
    struct error *error = NULL;
    Runtime__V1__ContainerEventResponse *event = event_watch_next(watch, &error);

    check(error);
    assert_string_equal(event->container_id, id);
    assert_int_equal(event->container_event_type, type);
    assert_in_range(clock_realtime_ns() - event->created_at, 0, INT64_C(60000000000));
    assert_non_null(event->pod_sandbox_status);
    assert_string_equal(event->pod_sandbox_status->id, pod);
    assert_string_equal(event->pod_sandbox_status->metadata->uid, "life");
    assert_int_equal(event->pod_sandbox_status->state, pod_state);
    assert_int_equal(event->n_containers_statuses, statuses);
    for (size_t i = 0; i < statuses; i++) {
        assert_string_equal(event->containers_statuses[i]->metadata->name, "main");
        assert_int_equal(event->containers_statuses[i]->state, type); /* of its own event, the one container has it */
        assert_int_equal(event->containers_statuses[i]->exit_code, type == EVENT_STOPPED ? 3 : 0);
    }
    runtime__v1__container_event_response__free_unpacked(event, NULL);
}

static void a_life_is_told_in_its_order_with_its_statuses(void **state)
{
    enum {
        READY = RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY,
        NOTREADY = RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_NOTREADY
    };
    struct fixture *fixture = *state;
    struct event_watch watch;

    event_watch_open(&watch, fixture->node.client);
    autofree char *pod = pod_run(&fixture->work, "life", fixture->handler);
    expect_event(&watch, pod, EVENT_CREATED, pod, READY, 0);
    expect_event(&watch, pod, EVENT_STARTED, pod, READY, 0);
    autofree char *id = container_create(&fixture->work, pod, "main", waiting);
    expect_event(&watch, id, EVENT_CREATED, pod, READY, 1);
    check(workload_start(&fixture->work, id));
    expect_event(&watch, id, EVENT_STARTED, pod, READY, 1);
    free(script_output(fixture, id, "touch /go", 0));
    expect_event(&watch, id, EVENT_STOPPED, pod, READY, 1);
    check(workload_remove(&fixture->work, id));
    expect_event(&watch, id, EVENT_DELETED, pod, READY, 0);
    check(workload_pod_stop(&fixture->work, pod));
    expect_event(&watch, pod, EVENT_STOPPED, pod, NOTREADY, 0);
    check(workload_pod_remove(&fixture->work, pod));
    expect_event(&watch, pod, EVENT_DELETED, pod, NOTREADY, 0);
    event_watch_close(&watch);
    check(node_wait_census(&fixture->node, fixture->census));
}

static void what_cannot_be_made_is_in_no_event(void **state)
{
    static const char *const absent[] = {"/no/such/program", NULL};
    struct fixture *fixture = *state;
    struct event_watch watch;
    char *none = NULL;

    event_watch_open(&watch, fixture->node.client);
    autofree char *pod = pod_run(&fixture->work, "unmade", fixture->handler);
    struct error *error =
        workload_create(&fixture->work, pod, true,
                        &(struct workload_container){.name = "bad", .image = busybox, .command = absent}, &none);
    assert_true(error || none);
    if (!error) { /* runc finds out at the start */
        error = workload_start(&fixture->work, none);
        check(workload_remove(&fixture->work, none));
        event_watch_await(&watch, none, EVENT_DELETED);
        assert_int_equal(event_watch_types(&watch, none) & 1u << EVENT_STARTED, 0);
    }
    assert_non_null(error);
    error_free(error);
    free(none);
    check(workload_pod_remove(&fixture->work, pod));
    event_watch_await(&watch, pod, EVENT_DELETED);
    assert_true(watch.events == 4 || watch.events == 7);
    event_watch_close(&watch);
}

static void the_shortest_run_has_all_its_events(void **state)
{
    static const char *const nothing[] = {"/bin/true", NULL};
    struct fixture *fixture = *state;
    autofree char *pod = pod_run(&fixture->work, "short", fixture->handler);
    struct event_watch watch;

    event_watch_open(&watch, fixture->node.client);
    for (int i = 0; i < 15; i++) {
        autofree char *name = xasprintf("c%d", i);
        autofree char *id = container_create(&fixture->work, pod, name, nothing);
        check(workload_start(&fixture->work, id));
        event_watch_await(&watch, id, EVENT_STOPPED);
        check(workload_remove(&fixture->work, id));
        event_watch_await(&watch, id, EVENT_DELETED);
        assert_int_equal(event_watch_types(&watch, id), WHOLE_LIFE);
    }
    event_watch_close(&watch);
}

/* The running container is not told to who comes later; its stop is. */
static void a_client_is_told_what_happens_from_its_call_on(void **state)
{
    struct fixture *fixture = *state;
    struct event_watch early, late;

    event_watch_open(&early, fixture->node.client);
    autofree char *pod = pod_run(&fixture->work, "late", NULL);
    autofree char *id = container_create(&fixture->work, pod, "main", sleeping);
    check(workload_start(&fixture->work, id));
    event_watch_await(&early, id, EVENT_STARTED);
    event_watch_open(&late, fixture->node.client);
    check(workload_stop(&fixture->work, id, 0));
    event_watch_await(&late, id, EVENT_STOPPED);
    event_watch_await(&early, id, EVENT_STOPPED);
    assert_int_equal(event_watch_types(&late, id), 1u << EVENT_STOPPED);
    assert_int_equal(event_watch_types(&late, pod), 0);
    check(workload_pod_remove(&fixture->work, pod));
    event_watch_await(&late, pod, EVENT_DELETED);
    event_watch_await(&early, pod, EVENT_DELETED);
    assert_int_equal(event_watch_types(&early, pod), WHOLE_LIFE);
    event_watch_close(&early);
    event_watch_close(&late);
}

static void a_request_that_is_none_is_refused_and_a_deadline_is_kept(void **state)
{
    struct fixture *fixture = *state;
    struct cri_stream *stream = NULL;
    uint8_t *bytes = NULL;
    size_t size;

    check(cri_stream_open(fixture->node.client, "RuntimeService", "GetContainerEvents", "\x0a\x7f", 2, -1, &stream));
    check_refused(cri_stream_next(stream, EVENT_PATIENCE_MS, &bytes, &size), ERROR_INVALID_ARGUMENT, "does not parse");
    cri_stream_close(stream);
    check(cri_stream_open(fixture->node.client, "RuntimeService", "GetContainerEvents", "", 0, 500, &stream));
    struct error *error = cri_stream_next(stream, EVENT_PATIENCE_MS, &bytes, &size);
    assert_null(bytes);
    assert_int_equal(error->code, ERROR_DEADLINE_EXCEEDED);
    assert_string_not_equal(error->text, "no message"); /* that would be our patience */
    error_free(error);
    cri_stream_close(stream);
}

/* ---- many, and slow ones ---- */

/* The place of a client that has cancelled is free when criapi has heard of it: until then a call is refused. Returns the last
 * pod that was run meanwhile. */
static char *listen_again(struct fixture *fixture, struct event_watch *watch)
{
    for (unsigned i = 0;; i++) {
        autofree char *name = xasprintf("many-%u", i);
        struct error *error = NULL;
        event_watch_open(watch, fixture->node.client);
        autofree char *pod = pod_run(&fixture->work, name, NULL);
        Runtime__V1__ContainerEventResponse *event = event_watch_next(watch, &error);
        check(workload_pod_remove(&fixture->work, pod));
        if (event) {
            runtime__v1__container_event_response__free_unpacked(event, NULL);
            return TAKE(pod);
        }
        check_refused(error, ERROR_RESOURCE_EXHAUSTED, "128 clients");
        event_watch_close(watch);
    }
}

static void many_clients_are_told_the_same_and_too_many_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static struct event_watch watches[CLIENTS_MAX];
    struct event_watch refused;
    struct error *error = NULL;

    for (int i = 0; i < CLIENTS_MAX; i++)
        event_watch_open(&watches[i], fixture->node.client);
    event_watch_open(&refused, fixture->node.client);
    assert_null(event_watch_next(&refused, &error));
    check_refused(error, ERROR_RESOURCE_EXHAUSTED, "128 clients");
    event_watch_close(&refused);
    event_watch_close(&watches[0]);
    autofree char *pod = listen_again(fixture, &watches[0]);
    for (int i = 0; i < CLIENTS_MAX; i++) {
        event_watch_await(&watches[i], pod, EVENT_DELETED);
        assert_int_equal(event_watch_types(&watches[i], pod), WHOLE_LIFE);
        event_watch_close(&watches[i]);
    }
}

/* A pod whose every event has so many bytes. */
static char *large_pod_run(struct fixture *fixture, const char *name, size_t size)
{
    Runtime__V1__PodSandboxConfig__AnnotationsEntry note = RUNTIME__V1__POD_SANDBOX_CONFIG__ANNOTATIONS_ENTRY__INIT;
    Runtime__V1__PodSandboxConfig__AnnotationsEntry *notes[] = {&note};
    autofree char *text = xcalloc(1, size + 1);
    struct pod_request pod;

    memset(text, 'n', size);
    note.key = "note";
    note.value = text;
    pod_request_init(&pod, &fixture->node, name, true);
    pod.config.annotations = notes;
    pod.config.n_annotations = 1;
    char *id = pod_begin(fixture, &pod);
    pod_request_fini(&pod);
    return id;
}

static void an_event_too_large_to_publish_is_told_by_comparison(void **state)
{
    enum { SIZE = 400 << 10 };
    struct fixture *fixture = *state;
    struct event_watch watch;

    event_watch_open(&watch, fixture->node.client);
    autofree char *pod = large_pod_run(fixture, "large", SIZE);
    autofree char *id = container_create(&fixture->work, pod, "main", sleeping);
    Runtime__V1__ContainerEventResponse *event = event_watch_until(&watch, id, EVENT_CREATED);
    assert_string_equal(event->pod_sandbox_status->metadata->uid, "large");
    assert_int_equal(strlen(event->pod_sandbox_status->annotations[0]->value), SIZE);
    assert_int_equal(event->n_containers_statuses, 1);
    runtime__v1__container_event_response__free_unpacked(event, NULL);
    check(workload_start(&fixture->work, id));
    event_watch_await(&watch, id, EVENT_STARTED);
    check(workload_stop(&fixture->work, id, 0));
    event_watch_await(&watch, id, EVENT_STOPPED);
    check(workload_pod_remove(&fixture->work, pod));
    event = event_watch_until(&watch, pod, EVENT_DELETED);
    assert_string_equal(event->pod_sandbox_status->metadata->uid, "large"); /* of the pod that is gone */
    runtime__v1__container_event_response__free_unpacked(event, NULL);
    assert_int_equal(event_watch_types(&watch, id), WHOLE_LIFE);
    assert_int_equal(event_watch_types(&watch, pod), WHOLE_LIFE);
    event_watch_close(&watch);
}

/* This program again, as a client: a line for each event, "ready" before. */
static int watch_main(const char *address)
{
    struct cri_client *client = NULL;
    struct event_watch watch = {0};
    struct error *error = NULL;
    uint8_t *bytes = NULL;
    size_t size;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    error_free(cri_client_open(address, &client));
    error_free(cri_stream_open(client, "RuntimeService", "GetContainerEvents", "", 0, -1, &watch.stream));
    error_free(cri_stream_headers(watch.stream, EVENT_PATIENCE_MS));
    printf("ready\n");
    fflush(stdout);
    while (!(error = cri_stream_next(watch.stream, 300000, &bytes, &size)) && bytes) {
        Runtime__V1__ContainerEventResponse *event = runtime__v1__container_event_response__unpack(NULL, size, bytes);
        printf("%d %s\n", (int)event->container_event_type, event->container_id);
        fflush(stdout);
        runtime__v1__container_event_response__free_unpacked(event, NULL);
        free(bytes);
    }
    return 1;
}

struct other_client {
    pid_t pid;
    FILE *lines;
};

static struct other_client other_client_start(struct fixture *fixture)
{
    int fds[2];
    char line[16];

    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        execl("/proc/self/exe", "client", "--watch", fixture->node.address, NULL);
        _exit(127);
    }
    close(fds[1]);
    struct other_client client = {pid, fdopen(fds[0], "r")};
    assert_non_null(fgets(line, sizeof(line), client.lines));
    assert_string_equal(line, "ready\n");
    return client;
}

static void other_client_read_until(struct other_client *client, struct event_watch *seen, const char *id, int type)
{
    char line[128], told[80];
    int told_type;

    do {
        assert_non_null(fgets(line, sizeof(line), client->lines));
        assert_int_equal(sscanf(line, "%d %79s", &told_type, told), 2);
        event_watch_note(seen, told, told_type);
    } while (told_type != type || strcmp(told, id) != 0);
}

static void other_client_end(struct other_client *client)
{
    kill(client->pid, SIGKILL);
    waitpid(client->pid, NULL, 0);
    fclose(client->lines);
}

/* Its queue of 4 MB is full after some 25 events of 150 KB. What was created and deleted while it was behind, it never hears
 * of, nor whether what it knew as created has run before its deletion; all else it does, and the other client of every
 * event. */
static void a_stopped_client_holds_up_nobody_and_is_told_the_rest_when_it_goes_on(void **state)
{
    enum { LIVES = 25, SIZE = 150 << 10 };
    struct fixture *fixture = *state;
    struct event_watch quick, seen = {0};
    autofree char *pod = large_pod_run(fixture, "slow", SIZE);
    autofree char *old = container_create(&fixture->work, pod, "old", sleeping);
    unsigned unheard = 0;
    char *ids[LIVES];

    check(workload_start(&fixture->work, old));
    struct other_client slow = other_client_start(fixture);
    event_watch_open(&quick, fixture->node.client);
    kill(slow.pid, SIGSTOP);
    waitpid(slow.pid, NULL, WUNTRACED);
    for (int i = 0; i < LIVES; i++) {
        autofree char *name = xasprintf("c%d", i);
        ids[i] = container_create(&fixture->work, pod, name, ending);
        check(workload_start(&fixture->work, ids[i]));
        event_watch_await(&quick, ids[i], EVENT_STOPPED);
        check(workload_remove(&fixture->work, ids[i]));
        event_watch_await(&quick, ids[i], EVENT_DELETED);
        assert_int_equal(event_watch_types(&quick, ids[i]), WHOLE_LIFE);
    }
    autofree char *fresh = container_create(&fixture->work, pod, "fresh", sleeping);
    check(workload_stop(&fixture->work, old, 0));
    check(workload_remove(&fixture->work, old));
    event_watch_await(&quick, old, EVENT_DELETED);
    kill(slow.pid, SIGCONT);
    other_client_read_until(&slow, &seen, fresh, EVENT_CREATED);
    check(workload_start(&fixture->work, fresh));
    other_client_read_until(&slow, &seen, fresh, EVENT_STARTED);
    check(workload_pod_remove(&fixture->work, pod));
    other_client_read_until(&slow, &seen, pod, EVENT_DELETED);
    assert_int_equal(event_watch_types(&seen, fresh), WHOLE_LIFE);
    assert_int_equal(event_watch_types(&seen, old), 1u << EVENT_STOPPED | 1u << EVENT_DELETED);
    for (int i = 0; i < LIVES; i++) {
        unsigned types = event_watch_types(&seen, ids[i]);
        if (types != 0 && (types & ENDS) != ENDS)
            fail_msg("of life %d it heard %x", i, types);
        unheard += types == 0;
        free(ids[i]);
    }
    print_message("%u of %d lives were over before it went on\n", unheard, LIVES);
    assert_in_range(unheard, 1, LIVES - 1);
    other_client_end(&slow);
    event_watch_close(&seen);
    event_watch_close(&quick);
}

/* ---- daemons that die ---- */

/* kill -9 of the program, again and again, until its test has ended, well or not. */
struct killer {
    struct node *node;
    const char *program;
    pthread_t thread;
    bool is_running;
    atomic_bool is_over;
    unsigned kills;
};

static struct killer killer;

static void *killer_run(void *argument)
{
    (void)argument;
    while (!atomic_load(&killer.is_over)) {
        usleep(100000 + (unsigned)random() % 400000);
        struct error *error = node_kill(killer.node, killer.program);
        killer.kills += error == NULL;
        error_free(error); /* it is just being started */
    }
    return NULL;
}

static void killer_start(struct node *node, const char *program)
{
    killer = (struct killer){.node = node, .program = program};
    assert_int_equal(pthread_create(&killer.thread, NULL, killer_run, NULL), 0);
    killer.is_running = true;
}

static void killer_end(void)
{
    atomic_store(&killer.is_over, true);
    if (killer.is_running)
        pthread_join(killer.thread, NULL);
    killer.is_running = false;
}

static int killer_end_and_sweep(void **state)
{
    killer_end();
    return pods_sweep(state);
}

/* All events but the pod's own: its first may still be on their way when a client begins. */
static unsigned events_but_of(const struct event_watch *watch, const char *pod)
{
    return watch->events - (unsigned)__builtin_popcount(event_watch_types(watch, pod));
}

/* Each step waits until both clients were told of the one before: so each event has its moment, and none may be missing. */
static void life_watched(struct fixture *fixture, const char *pod, unsigned number, struct event_watch *one,
                         struct event_watch *other)
{
    autofree char *name = xasprintf("c%u", number);
    autofree char *id = container_create(&fixture->work, pod, name, sleeping);

    event_watch_await(one, id, EVENT_CREATED);
    event_watch_await(other, id, EVENT_CREATED);
    check(workload_start(&fixture->work, id));
    event_watch_await(one, id, EVENT_STARTED);
    event_watch_await(other, id, EVENT_STARTED);
    check(workload_stop(&fixture->work, id, 0));
    event_watch_await(one, id, EVENT_STOPPED);
    event_watch_await(other, id, EVENT_STOPPED);
    check(workload_remove(&fixture->work, id));
    event_watch_await(one, id, EVENT_DELETED);
    event_watch_await(other, id, EVENT_DELETED);
    assert_int_equal(event_watch_types(one, id), WHOLE_LIFE);
    assert_int_equal(event_watch_types(other, id), WHOLE_LIFE);
}

static void kills_of_sandboxd_lose_and_double_no_event(void **state)
{
    enum { LIVES = 40 };
    struct fixture *fixture = *state;
    autofree char *pod = pod_run(&fixture->work, "kills", NULL);
    struct event_watch one, other;

    event_watch_open(&one, fixture->node.client);
    event_watch_open(&other, fixture->node.client);
    killer_start(&fixture->node, "sandboxd");
    for (unsigned i = 0; i < LIVES; i++)
        life_watched(fixture, pod, i, &one, &other);
    killer_end();
    print_message("%u kills during %d lives\n", killer.kills, LIVES);
    assert_true(killer.kills > 0);
    check(workload_pod_remove(&fixture->work, pod));
    event_watch_await(&one, pod, EVENT_DELETED);
    event_watch_await(&other, pod, EVENT_DELETED);
    assert_int_equal(events_but_of(&one, pod), 4 * LIVES);
    assert_int_equal(events_but_of(&other, pod), 4 * LIVES);
    event_watch_close(&one);
    event_watch_close(&other);
}

static void what_ends_while_sandboxd_is_dead_is_told_by_the_next(void **state)
{
    struct fixture *fixture = *state;
    autofree char *pod = pod_run(&fixture->work, "dead", NULL);
    autofree char *id = container_create(&fixture->work, pod, "main", waiting);
    struct event_watch watch;

    check(workload_start(&fixture->work, id));
    event_watch_open(&watch, fixture->node.client);
    free(script_output(fixture, id, "(sleep 0.3; touch /go) >/dev/null 2>&1 &", 0));
    check(node_kill(&fixture->node, "sandboxd"));
    Runtime__V1__ContainerEventResponse *event = event_watch_until(&watch, id, EVENT_STOPPED);
    assert_int_equal(event->n_containers_statuses, 1);
    assert_int_equal(event->containers_statuses[0]->exit_code, 3);
    runtime__v1__container_event_response__free_unpacked(event, NULL);
    assert_int_equal(event_watch_types(&watch, id) & ~(1u << EVENT_STARTED), 1u << EVENT_STOPPED); /* that may be on its way */
    check(workload_pod_remove(&fixture->work, pod));
    event_watch_close(&watch);
}

/* How the stream ended; events on the way are noted. */
static struct error *watch_end(struct event_watch *watch)
{
    struct error *error = NULL;

    for (;;) {
        Runtime__V1__ContainerEventResponse *event = event_watch_next(watch, &error);
        if (!event)
            return error;
        runtime__v1__container_event_response__free_unpacked(event, NULL);
    }
}

/* As a kubelet does: again, until criapi is back. */
static void watch_open_again(struct event_watch *watch, struct fixture *fixture)
{
    check(node_wait_ready(&fixture->node));
    event_watch_open(watch, fixture->node.client);
}

static void criapi_killed_ends_streams_and_the_next_one_goes_on(void **state)
{
    struct fixture *fixture = *state;
    autofree char *pod = pod_run(&fixture->work, "criapi", NULL);
    struct event_watch watch;

    event_watch_open(&watch, fixture->node.client);
    for (int i = 0; i < 5; i++) {
        autofree char *name = xasprintf("c%d", i);
        autofree char *id = container_create(&fixture->work, pod, name, sleeping);
        event_watch_await(&watch, id, EVENT_CREATED);
        check(node_kill(&fixture->node, "criapi"));
        struct error *error = watch_end(&watch);
        assert_non_null(error);
        assert_int_equal(error->code, ERROR_UNAVAILABLE);
        error_free(error);
        event_watch_close(&watch);
        watch_open_again(&watch, fixture);
        check(workload_start(&fixture->work, id));
        event_watch_await(&watch, id, EVENT_STARTED);
        assert_int_equal(event_watch_types(&watch, id), 1u << EVENT_STARTED);
    }
    check(workload_pod_remove(&fixture->work, pod));
    event_watch_await(&watch, pod, EVENT_DELETED);
    event_watch_close(&watch);
}

static void criapis_own_end_is_told_to_its_clients_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct event_watch watch;

    event_watch_open(&watch, fixture->node.client);
    pid_t criapi = node_process(&fixture->node, "criapi");
    kill(criapi, SIGTERM);
    struct error *error = watch_end(&watch);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_UNAVAILABLE);
    assert_non_null(strstr(error->text, "call again"));
    error_free(error);
    event_watch_close(&watch);
    watch_open_again(&watch, fixture);
    event_watch_close(&watch);
}

/* The other daemons' deaths are nothing to a client of events. */
static void deaths_of_others_leave_the_stream_as_it_is(void **state)
{
    static const char *const programs[] = {"keeper", "supervisor", "imaged", "logd", "shim"};
    struct fixture *fixture = *state;
    autofree char *pod = pod_run(&fixture->work, "others", NULL);
    struct event_watch one, other;

    event_watch_open(&one, fixture->node.client);
    event_watch_open(&other, fixture->node.client);
    for (unsigned i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        check(node_kill(&fixture->node, programs[i]));
        life_watched(fixture, pod, i, &one, &other);
    }
    assert_int_equal(events_but_of(&one, pod), 4 * sizeof(programs) / sizeof(programs[0]));
    assert_int_equal(events_but_of(&other, pod), 4 * sizeof(programs) / sizeof(programs[0]));
    check(workload_pod_remove(&fixture->work, pod));
    event_watch_close(&one);
    event_watch_close(&other);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(a_life_is_told_in_its_order_with_its_statuses),
        WITH_EACH_RUNTIME(what_cannot_be_made_is_in_no_event),
        WITH_EACH_RUNTIME(the_shortest_run_has_all_its_events),
        NODE_TEST(a_client_is_told_what_happens_from_its_call_on),
        NODE_TEST(a_request_that_is_none_is_refused_and_a_deadline_is_kept),
        NODE_TEST(many_clients_are_told_the_same_and_too_many_are_refused),
        NODE_TEST(an_event_too_large_to_publish_is_told_by_comparison),
        NODE_TEST(a_stopped_client_holds_up_nobody_and_is_told_the_rest_when_it_goes_on),
        cmocka_unit_test_setup_teardown(kills_of_sandboxd_lose_and_double_no_event, NULL, killer_end_and_sweep),
        NODE_TEST(what_ends_while_sandboxd_is_dead_is_told_by_the_next),
        NODE_TEST(criapi_killed_ends_streams_and_the_next_one_goes_on),
        NODE_TEST(criapis_own_end_is_told_to_its_clients_at_once),
        NODE_TEST(deaths_of_others_leave_the_stream_as_it_is),
    };

    if (argc == 3 && strcmp(argv[1], "--watch") == 0)
        return watch_main(argv[2]);
    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
