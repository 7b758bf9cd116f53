/* sandboxd is killed between a move's record and its event, at each move of a pod and a container: clients are told by
 * comparison, of what is gone as well. */
#include "tests/integration/session_node.h"
#include "tests/support/event_watch.h"

enum { WHOLE_LIFE = 0xf };

/* A pod and a container of it, watched. */
struct life {
    struct fixture *fixture;
    struct event_watch watch;
    char *pod, *container;
};

static void pod_make(struct life *life)
{
    check(workload_pod_run(&life->fixture->work, "gaps", 0, true, life->fixture->handler, &life->pod));
}

static void container_make(struct life *life)
{
    static const char *const command[] = {"/bin/sh", "-c", "while [ ! -e /go ]; do sleep 0.05; done; exit 5", NULL};

    check(workload_create(&life->fixture->work, life->pod, true,
                          &(struct workload_container){.name = "main", .image = busybox, .command = command},
                          &life->container));
}

static void container_run(struct life *life)
{
    check(workload_start(&life->fixture->work, life->container));
}

static void container_end_it(struct life *life)
{
    static const char *const go[] = {"/bin/sh", "-c", "> /go", NULL};
    autofree char *output = NULL;
    int code;

    check(workload_exec(&life->fixture->work, life->container, go, &code, &output));
}

static void container_drop(struct life *life)
{
    check(workload_remove(&life->fixture->work, life->container));
}

static void pod_halt(struct life *life)
{
    check(workload_pod_stop(&life->fixture->work, life->pod));
}

static void pod_drop(struct life *life)
{
    check(workload_pod_remove(&life->fixture->work, life->pod));
}

static const char pod_saved[] = "sandboxd.pod.move_saved", container_saved[] = "sandboxd.container.move_saved";

/* Each step, where sandboxd dies in it, and the event that was not told then. */
static const struct step {
    const char *name;
    void (*run)(struct life *life);
    const char *point;
    bool is_pods;
    int type;
} steps[] = {
    {"RunPodSandbox", pod_make, pod_saved, true, EVENT_STARTED},
    {"CreateContainer", container_make, container_saved, false, EVENT_CREATED},
    {"StartContainer", container_run, container_saved, false, EVENT_STARTED},
    {"the exit", container_end_it, container_saved, false, EVENT_STOPPED},
    {"RemoveContainer", container_drop, "sandboxd.container_remove.after_forget", false, EVENT_DELETED},
    {"StopPodSandbox", pod_halt, "sandboxd.pod_teardown.before_quit", true, EVENT_STOPPED},
    {"RemovePodSandbox", pod_drop, "sandboxd.pod_teardown.after_forget", true, EVENT_DELETED},
};
enum { STEP_COUNT = sizeof(steps) / sizeof(steps[0]) };

static void expect_told(struct life *life, const struct step *step)
{
    const char *id = step->is_pods ? life->pod : life->container;
    Runtime__V1__ContainerEventResponse *event = event_watch_until(&life->watch, id, step->type);

    assert_non_null(event->pod_sandbox_status);
    assert_string_equal(event->pod_sandbox_status->metadata->uid, "gaps");
    assert_string_equal(event->pod_sandbox_status->id, life->pod);
    if (!step->is_pods && step->type != EVENT_DELETED) {
        assert_int_equal(event->n_containers_statuses, 1);
        assert_string_equal(event->containers_statuses[0]->id, id);
        assert_int_equal(event->containers_statuses[0]->state, step->type);
        assert_int_equal(event->containers_statuses[0]->exit_code, step->type == EVENT_STOPPED ? 5 : 0);
    }
    runtime__v1__container_event_response__free_unpacked(event, NULL);
}

static void life_with_a_death_in(struct fixture *fixture, const struct step *fatal)
{
    struct life life = {.fixture = fixture};

    event_watch_open(&life.watch, fixture->node.client);
    for (size_t i = 0; i < STEP_COUNT; i++) {
        if (&steps[i] == fatal)
            failpoint_set(fatal->point, "kill");
        steps[i].run(&life);
        if (&steps[i] == fatal)
            failpoint_wait(fatal->point);
        expect_told(&life, &steps[i]);
    }
    assert_int_equal(event_watch_types(&life.watch, life.container), WHOLE_LIFE);
    assert_int_equal(event_watch_types(&life.watch, life.pod), WHOLE_LIFE);
    assert_int_equal(life.watch.events, 8);
    event_watch_close(&life.watch);
    free(life.pod);
    free(life.container);
}

static void each_move_is_told_though_sandboxd_dies_before_it_tells(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < STEP_COUNT; i++) {
        print_message("%s\n", steps[i].name);
        life_with_a_death_in(fixture, &steps[i]);
    }
    check(node_wait_census(&fixture->node, fixture->census));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(each_move_is_told_though_sandboxd_dies_before_it_tells),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open_with_failpoints, fixture_close_with_failpoints);
}
