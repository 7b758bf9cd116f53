/* A CNI plugin or an OCI runtime that hangs for ever: its call ends by its deadline or by the child's limit, other pods
 * do not notice, and the pod can be stopped and removed at once, without a trace. */
#include "tests/integration/hanging_pods.h"

enum { CNI_TIMEOUT_S = 6, SHORT_MS = 3000 };

struct hang {
    struct gated_node gated;
    struct member fine;
};

static bool process_runs(pid_t pid)
{
    autofree char *state = line_of("sed 's/.*) //' /proc/%d/stat 2>/dev/null", pid);

    return *state && *state != 'Z';
}

static void await_end(pid_t pid)
{
    int64_t end = clock_boottime_ns() + WAIT_S * INT64_C(1000000000);

    while (process_runs(pid)) {
        if (clock_boottime_ns() > end)
            fail_msg("process %d was not ended", pid);
        usleep(20000);
    }
}

/* All that is left is the pod of everybody else. */
static void only_fine_must_be_left(struct hang *hang, struct life *life)
{
    check(step_pod_stop(life));
    check(step_pod_remove(life));
    check(node_wait_census(&hang->gated.node, hang->gated.census));
    life_free(life);
}

static void a_plugin_that_hangs_in_add_is_ended_at_its_limit(void **state)
{
    struct hang *hang = *state;
    struct gated_node *gated = &hang->gated;
    struct life life = life_of(gated, "add");

    check(gate_set(&gated->gates, "bridge.ADD.before"));
    call_begin(&life, step_pod_run);
    check(gate_wait(&gated->gates, "bridge.ADD.before", NULL));
    others_must_live(gated, &hang->fine, 1);
    check_refused(call_end(&life), ERROR_DEADLINE_EXCEEDED, "was killed at its limit");
    gate_open(&gated->gates, "bridge.ADD.before");
    check(node_wait_census(&gated->node, gated->census));
    check(step_pod_run(&life));
    only_fine_must_be_left(hang, &life);
}

static void a_plugin_that_hangs_in_del_is_ended_at_its_limit(void **state)
{
    struct hang *hang = *state;
    struct gated_node *gated = &hang->gated;
    struct life life = life_of(gated, "del");

    check(step_pod_run(&life));
    check(gate_set(&gated->gates, "bridge.DEL.before"));
    call_begin(&life, step_pod_stop);
    check(gate_wait(&gated->gates, "bridge.DEL.before", NULL));
    others_must_live(gated, &hang->fine, 1);
    check_refused(call_end(&life), ERROR_DEADLINE_EXCEEDED, "was killed at its limit");
    gate_open(&gated->gates, "bridge.DEL.before");
    only_fine_must_be_left(hang, &life);
}

/* StartContainer with a short deadline; the runtime's wrapper stands at the gate for ever. */
static pid_t start_hangs(struct gated_node *gated, struct life *life, const char *gate)
{
    Runtime__V1__StartContainerRequest start = RUNTIME__V1__START_CONTAINER_REQUEST__INIT;
    Runtime__V1__StartContainerResponse *started = NULL;
    pid_t pid = 0;

    check(gate_set(&gated->gates, gate));
    start.container_id = life->container;
    check_refused(CRI_CALL(gated->node.client, "RuntimeService", "StartContainer", &start.base, SHORT_MS,
                           start_container_response, &started),
                  ERROR_DEADLINE_EXCEEDED, "");
    check(gate_wait(&gated->gates, gate, &pid));
    return pid;
}

static pid_t create_hangs(struct gated_node *gated, struct life *life)
{
    const char *const command[] = {"/bin/sleep", "1000", NULL};
    struct pod_request pod;
    struct container_request container;
    Runtime__V1__CreateContainerResponse *reply = NULL;
    pid_t pid = 0;

    check(gate_set(&gated->gates, "crun.create.before"));
    pod_request_init(&pod, &gated->node, life->name, false);
    container_request_init(&container, &pod, life->pod, "main", busybox, command);
    struct error *error = CRI_CALL(gated->node.client, "RuntimeService", "CreateContainer", &container.request.base,
                                   SHORT_MS, create_container_response, &reply);
    container_request_fini(&container);
    pod_request_fini(&pod);
    check_refused(error, ERROR_DEADLINE_EXCEEDED, "");
    check(gate_wait(&gated->gates, "crun.create.before", &pid));
    return pid;
}

static void a_create_that_hangs_is_undone_when_nobody_waits_for_it_any_more(void **state)
{
    struct hang *hang = *state;
    struct life life = life_of(&hang->gated, "abandoned");

    check(step_pod_run(&life));
    pid_t pid = create_hangs(&hang->gated, &life);
    others_must_live(&hang->gated, &hang->fine, 1);
    await_end(pid);
    check(step_create(&life)); /* the pod is as good as new */
    check(step_start(&life));
    check(step_exec(&life));
    gate_open(&hang->gated.gates, "crun.create.before");
    only_fine_must_be_left(hang, &life);
}

static void a_pod_is_stopped_while_a_create_hangs(void **state)
{
    struct hang *hang = *state;
    struct life life = life_of(&hang->gated, "stopped");

    check(step_pod_run(&life));
    pid_t pid = create_hangs(&hang->gated, &life);
    check(step_pod_stop(&life));
    assert_false(process_runs(pid));
    gate_open(&hang->gated.gates, "crun.create.before");
    only_fine_must_be_left(hang, &life);
}

static void a_pod_is_stopped_while_a_start_hangs(void **state)
{
    static const char *const places[] = {"crun.start.before", "crun.start.after"};
    struct hang *hang = *state;

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct life life = life_of(&hang->gated, "start");
        check(step_pod_run(&life));
        check(step_create(&life));
        pid_t pid = start_hangs(&hang->gated, &life, places[i]);
        others_must_live(&hang->gated, &hang->fine, 2);
        check(step_pod_stop(&life));
        assert_false(process_runs(pid));
        gate_open(&hang->gated.gates, places[i]);
        only_fine_must_be_left(hang, &life);
    }
}

static void an_exec_that_hangs_costs_that_exec_alone(void **state)
{
    struct hang *hang = *state;
    struct gated_node *gated = &hang->gated;
    struct life life = life_of(gated, "exec");
    Runtime__V1__ExecSyncRequest request = RUNTIME__V1__EXEC_SYNC_REQUEST__INIT;
    Runtime__V1__ExecSyncResponse *reply = NULL;
    char *command[] = {(char *)"/bin/true"};
    pid_t pid;

    check(step_pod_run(&life));
    check(step_create(&life));
    check(step_start(&life));
    check(gate_set(&gated->gates, "crun.exec.before"));
    request.container_id = life.container;
    request.cmd = command;
    request.n_cmd = 1;
    request.timeout = SHORT_MS / 1000;
    check_refused(CRI_CALL(gated->node.client, "RuntimeService", "ExecSync", &request.base, 2 * SHORT_MS, exec_sync_response, &reply),
                  ERROR_DEADLINE_EXCEEDED, "");
    check(gate_wait(&gated->gates, "crun.exec.before", &pid));
    others_must_live(gated, &hang->fine, 2);
    check(step_exec(&life));
    check(step_pod_stop(&life));
    assert_false(process_runs(pid));
    gate_open(&gated->gates, "crun.exec.before");
    only_fine_must_be_left(hang, &life);
}

static void a_removal_does_without_a_delete_that_hangs(void **state)
{
    struct hang *hang = *state;
    struct gated_node *gated = &hang->gated;
    struct life life = life_of(gated, "delete");

    check(step_pod_run(&life));
    check(step_create(&life));
    check(step_start(&life));
    check(step_exec(&life));
    check(step_stop(&life));
    check(gate_set(&gated->gates, "crun.delete.before"));
    call_begin(&life, step_remove);
    check(gate_wait(&gated->gates, "crun.delete.before", NULL));
    others_must_live(gated, &hang->fine, 1);
    check(call_end(&life));
    gate_open(&gated->gates, "crun.delete.before");
    only_fine_must_be_left(hang, &life);
}

static int open_all(void **state)
{
    struct hang *hang = xcalloc(1, sizeof(*hang));

    *state = hang;
    gated_node_open(&hang->gated, CNI_TIMEOUT_S);
    member_begin(&hang->gated, &hang->fine, "fine", counting, NULL);
    free(hang->gated.census);
    hang->gated.census = node_census_at_rest(&hang->gated.node);
    return 0;
}

static int close_all(void **state)
{
    struct hang *hang = *state;

    gated_node_close(&hang->gated);
    life_free(&hang->fine.life);
    free(hang);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plugin_that_hangs_in_add_is_ended_at_its_limit),
        cmocka_unit_test(a_plugin_that_hangs_in_del_is_ended_at_its_limit),
        cmocka_unit_test(a_create_that_hangs_is_undone_when_nobody_waits_for_it_any_more),
        cmocka_unit_test(a_pod_is_stopped_while_a_create_hangs),
        cmocka_unit_test(a_pod_is_stopped_while_a_start_hangs),
        cmocka_unit_test(an_exec_that_hangs_costs_that_exec_alone),
        cmocka_unit_test(a_removal_does_without_a_delete_that_hangs),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    node_isolate();
    return cmocka_run_group_tests(tests, open_all, close_all);
}
