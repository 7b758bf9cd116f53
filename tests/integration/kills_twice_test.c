/* Two processes that die one after the other in the same call, as `bulkhead chaos` found it: nothing fails by it. */
#include "tests/integration/failpoints.h"
#include "tests/integration/gated_node.h"

/* The create names descriptors of a shim that is dead, and the sandboxd that would see it dies as well. */
static void a_create_whose_shim_and_sandboxd_die_is_run_again(void **state)
{
    static const char point[] = "sandboxd.container_create.before_create", gate[] = "crun.create.before";
    struct gated_node *gated = *state;
    struct life life = life_of(gated, "create");

    check(step_pod_run(&life));
    failpoint_set(point, "sleep 1000");
    check(gate_set(&gated->gates, gate));
    call_begin(&life, step_create);
    failpoint_wait(point);
    kill_and_await(gated, "shim");
    check(gate_wait(&gated->gates, gate, NULL));
    kill_and_await(gated, "sandboxd");
    gate_open(&gated->gates, gate);
    call_must_succeed(&life, gate, "shim and sandboxd");
    check(step_start(&life));
    check(step_exec(&life));
    check(step_stop(&life));
    check(step_remove(&life));
    check(step_pod_stop(&life));
    check(step_pod_remove(&life));
    census_must_be_as_before(gated);
    life_free(&life);
}

static struct error *step_create_short(struct life *life)
{
    static const char *const command[] = {"/bin/sh", "-c", "exit 3", NULL};
    struct workload_container container = {.name = "short", .image = busybox, .command = command};

    return workload_create(&life->work, life->pod, false, &container, &life->container);
}

/* The request comes to the next sandboxd, and the container has ended. */
static void a_start_whose_container_ends_while_sandboxd_is_dead_succeeds(void **state)
{
    static const char gate[] = "crun.start.after";
    struct gated_node *gated = *state;
    struct life life = life_of(gated, "short");
    struct workload_state now;

    check(step_pod_run(&life));
    check(step_create_short(&life));
    failpoint_set("sandboxd.container_start.after_start", "kill");
    check(gate_set(&gated->gates, gate));
    call_begin(&life, step_start);
    check(gate_wait(&gated->gates, gate, NULL));
    gate_open(&gated->gates, gate);
    call_must_succeed(&life, gate, "sandboxd");
    check(workload_wait_exit(&life.work, life.container, &now));
    assert_int_equal(now.exit_code, 3);
    assert_true(now.started_at_ns > 0 && now.started_at_ns <= now.finished_at_ns);
    check_refused(step_start(&life), ERROR_FAILED_PRECONDITION, "CONTAINER_EXITED"); /* another request */
    check(step_remove(&life));
    check(step_pod_stop(&life));
    check(step_pod_remove(&life));
    census_must_be_as_before(gated);
    life_free(&life);
}

static int set_up(void **state)
{
    failpoints_open();
    return gated_set_up(state);
}

static int tear_down(void **state)
{
    int result = gated_tear_down(state);

    failpoints_close();
    return result;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_create_whose_shim_and_sandboxd_die_is_run_again),
        cmocka_unit_test(a_start_whose_container_ends_while_sandboxd_is_dead_succeeds),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    node_isolate();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
