/* A log directory that hangs costs its pod alone, whoever dies meanwhile; when it answers again the log goes on without
 * a gap; and the pod can be removed while it hangs, and after it was ended. */
#include "tests/integration/hanging_pods.h"

struct stuck_log {
    struct hanging_fs fs;
    struct member stuck, fine;
    char *log;
};

/* A pod whose log directory hangs by now, with output under way, and another pod. */
static void stuck_log_begin(struct gated_node *gated, struct stuck_log *log, const char *test)
{
    autofree char *name = xasprintf("%s-stuck", test);
    autofree char *fine = xasprintf("%s-fine", test);
    autofree char *path = xasprintf("%s/logs/%s", gated->node.directory, name);
    autofree char *backing = xasprintf("%s/%s", gated->node.directory, name);

    check(hanging_fs_open(&log->fs, path, backing));
    log->log = xasprintf("%s/%s.log", backing, name);
    member_begin(gated, &log->fine, fine, counting, NULL);
    member_begin(gated, &log->stuck, name, counting, NULL);
    log_must_grow(log->log);
    hanging_fs_hang(&log->fs);
    await_waiting(&log->fs);
    others_must_live(gated, &log->fine, 2);
}

static void stuck_log_end(struct gated_node *gated, struct stuck_log *log)
{
    autofree char *fine = log_of(gated, log->fine.name);

    member_end(&log->fine);
    assert_true(log_lines(fine) > 0);
    hanging_fs_close(&log->fs);
    census_must_be_as_before(gated);
    free(log->log);
}

static void a_log_directory_that_hangs_costs_its_pod_alone_whoever_dies(void **state)
{
    static const char *const victims[] = {"logd", "sandboxd", "keeper", "supervisor"};
    struct gated_node *gated = *state;
    struct stuck_log log;

    stuck_log_begin(gated, &log, "alone");
    for (size_t i = 0; i < sizeof(victims) / sizeof(victims[0]); i++) {
        kill_and_await(gated, victims[i]);
        others_must_live(gated, &log.fine, 2);
        running_must_be(&log.stuck);
        check(step_exec(&log.stuck.life)); /* it has nothing to do with its log */
    }
    assert_int_equal(kill(shim_of(gated, &log.fine), SIGKILL), 0);
    others_must_live(gated, &log.fine, 2);
    hanging_fs_heal(&log.fs);
    log_must_grow(log.log);
    check(step_stop(&log.stuck.life));
    assert_true(log_lines(log.log) > 0);
    member_end(&log.stuck);
    stuck_log_end(gated, &log);
}

static void its_own_shim_may_die_while_a_log_directory_hangs(void **state)
{
    struct gated_node *gated = *state;
    struct stuck_log log;

    stuck_log_begin(gated, &log, "shim");
    assert_int_equal(kill(shim_of(gated, &log.stuck), SIGKILL), 0);
    others_must_live(gated, &log.fine, 2);
    check(step_exec(&log.stuck.life));
    hanging_fs_heal(&log.fs);
    log_must_grow(log.log);
    check(step_stop(&log.stuck.life));
    member_end(&log.stuck);
    stuck_log_end(gated, &log);
}

static void a_pod_is_removed_while_its_log_directory_hangs(void **state)
{
    struct gated_node *gated = *state;
    struct stuck_log log;

    stuck_log_begin(gated, &log, "removed");
    check(step_stop(&log.stuck.life));
    check(step_remove(&log.stuck.life));
    member_end(&log.stuck);
    others_must_live(gated, &log.fine, 1);
    stuck_log_end(gated, &log);
}

static void a_pod_is_removed_after_its_log_directory_was_ended(void **state)
{
    struct gated_node *gated = *state;
    struct stuck_log log;

    stuck_log_begin(gated, &log, "ended");
    hanging_fs_abort(&log.fs);
    others_must_live(gated, &log.fine, 2);
    check(step_stop(&log.stuck.life));
    member_end(&log.stuck);
    stuck_log_end(gated, &log);
}

/* A helper of the shim hangs in the opening of the file; the shim does not. */
static void a_container_made_while_its_log_directory_hangs_costs_its_pod_alone(void **state)
{
    struct gated_node *gated = *state;
    autofree char *path = xasprintf("%s/logs/made", gated->node.directory);
    autofree char *backing = xasprintf("%s/made", gated->node.directory);
    struct life life = life_of(gated, "made");
    struct hanging_fs fs;
    struct member fine;
    struct pod_request pod;
    struct container_request container;
    Runtime__V1__CreateContainerResponse *reply = NULL;

    check(hanging_fs_open(&fs, path, backing));
    member_begin(gated, &fine, "made-fine", counting, NULL);
    check(step_pod_run(&life));
    hanging_fs_hang(&fs);
    pod_request_init(&pod, &gated->node, life.name, false);
    container_request_init(&container, &pod, life.pod, "main", busybox, NULL);
    check_refused(CRI_CALL(gated->node.client, "RuntimeService", "CreateContainer", &container.request.base, 3000,
                           create_container_response, &reply),
                  ERROR_DEADLINE_EXCEEDED, "");
    container_request_fini(&container);
    pod_request_fini(&pod);
    assert_true(hanging_fs_waiting(&fs) > 0);
    kill_and_await(gated, "sandboxd");
    others_must_live(gated, &fine, 1);
    hanging_fs_heal(&fs);
    check(step_pod_stop(&life));
    check(step_pod_remove(&life));
    life_free(&life);
    member_end(&fine);
    hanging_fs_close(&fs);
    census_must_be_as_before(gated);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_directory_that_hangs_costs_its_pod_alone_whoever_dies),
        cmocka_unit_test(its_own_shim_may_die_while_a_log_directory_hangs),
        cmocka_unit_test(a_pod_is_removed_while_its_log_directory_hangs),
        cmocka_unit_test(a_pod_is_removed_after_its_log_directory_was_ended),
        cmocka_unit_test(a_container_made_while_its_log_directory_hangs_costs_its_pod_alone),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    node_isolate();
    return cmocka_run_group_tests(tests, gated_set_up, gated_tear_down);
}
