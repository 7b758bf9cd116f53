/* An OCI runtime that is in the middle of its work while bulkhead's processes are killed, that is killed itself, and
 * that fails: the call succeeds or says why, the container's state is the true one, and nothing is left. */
#include "tests/integration/gated_node.h"

#include <signal.h>

typedef struct error *life_step(struct life *life);

/* The steps of a container's life, and which verb of the runtime each uses. */
static const struct {
    const char *verb;
    life_step *run;
} steps[] = {
    {"create", step_create}, {"start", step_start}, {"exec", step_exec}, {NULL, step_stop}, {"delete", step_remove}};
enum { STEP_COUNT = sizeof(steps) / sizeof(steps[0]) };

static char *gate_name(size_t step, const char *when)
{
    return xasprintf("crun.%s.%s", steps[step].verb, when);
}

static struct life pod_begin(struct gated_node *gated, const char *name)
{
    struct life life = life_of(gated, name);

    check(step_pod_run(&life));
    return life;
}

/* All files, mounts and cgroups that a pod has for its containers, on one line. */
static char *remains_of(const struct gated_node *gated, const struct life *life)
{
    autofree char *state = xasprintf("%s/shim/%s", gated->node.state, life->pod);

    return line_of("{ find %s/ctr %s/exec %s/tmp %s/rootfs %s/rt/* %s/shim/%s %s/sandboxd/containers -mindepth 1; "
                   "find /sys/fs/cgroup -path '*/unified' -prune -o -path '*/%s/*' -type d -print | grep -v '/step$'; "
                   "grep -o ' %s/rootfs[^ ]*' /proc/self/mountinfo; } 2>/dev/null | paste -sd ' '",
                   state, state, state, state, state, gated->node.root, life->pod, gated->node.root, life->pod, state);
}

static void nothing_must_remain(const struct gated_node *gated, const struct life *life)
{
    int64_t end = clock_boottime_ns() + INT64_C(20000000000);

    for (;;) {
        autofree char *remains = remains_of(gated, life);
        if (!*remains)
            return;
        if (clock_boottime_ns() > end)
            fail_msg("this is left: %s", remains);
        usleep(50000);
    }
}

static void pod_end(struct gated_node *gated, struct life *life)
{
    check(step_pod_stop(life));
    check(step_pod_remove(life));
    census_must_be_as_before(gated);
    life_free(life);
}

/* Its one line, once. */
static void log_must_be_exact(struct gated_node *gated, const struct life *life, const char *container)
{
    autofree char *count =
        line_of("grep -c ' stdout F up$' %s/logs/%s/%s.log", gated->node.directory, life->name, container);
    autofree char *lines = line_of("wc -l <%s/logs/%s/%s.log", gated->node.directory, life->name, container);

    assert_string_equal(count, "1");
    assert_string_equal(lines, "1");
}

/* --- killed across ------------------------------------------------------------------------------------------------ */

static void step_across_a_kill(struct gated_node *gated, struct life *life, size_t step, const char *when,
                               const char *victim)
{
    autofree char *gate = gate_name(step, when);

    check(gate_set(&gated->gates, gate));
    call_begin(life, steps[step].run);
    check(gate_wait(&gated->gates, gate, NULL));
    kill_and_await(gated, victim);
    gate_open(&gated->gates, gate);
    call_must_succeed(life, gate, victim);
}

static const char *const before[] = {"before", NULL}, *const after[] = {"after", NULL},
                         *const both[] = {"before", "after", NULL};

/* One container's life, with one of its steps across a kill. */
static void life_across_a_kill(struct gated_node *gated, struct life *pod, size_t target, const char *when,
                               const char *victim)
{
    autofree char *name = xasprintf("%s-%s", steps[target].verb, when);
    struct life life = life_of(gated, name);

    life.pod = pod->pod;
    for (size_t i = 0; i < STEP_COUNT; i++) {
        if (i == target)
            step_across_a_kill(gated, &life, i, when, victim);
        else
            check(steps[i].run(&life));
    }
    log_must_be_exact(gated, pod, name);
    free(life.container);
}

/* whens: ends with NULL. */
static void runtime_sleeps_across_kills_of(void **state, const char *victim, const char *const *whens)
{
    struct life pod = pod_begin(*state, victim);

    for (size_t i = 0; i < STEP_COUNT; i++) {
        if (!steps[i].verb)
            continue;
        for (size_t j = 0; whens[j]; j++)
            life_across_a_kill(*state, &pod, i, whens[j], victim);
    }
    pod_end(*state, &pod);
}

static void a_runtime_that_sleeps_across_a_kill_of_the_shim_does_its_work(void **state)
{
    runtime_sleeps_across_kills_of(state, "shim", both);
}

static void a_runtime_that_sleeps_across_a_kill_of_sandboxd_does_its_work(void **state)
{
    runtime_sleeps_across_kills_of(state, "sandboxd", both);
}

static void a_runtime_that_sleeps_across_a_kill_of_the_supervisor_does_its_work(void **state)
{
    runtime_sleeps_across_kills_of(state, "supervisor", after);
}

static void a_runtime_that_sleeps_across_a_kill_of_the_keeper_does_its_work(void **state)
{
    runtime_sleeps_across_kills_of(state, "keeper", before);
}

/* --- killed itself ------------------------------------------------------------------------------------------------ */

static struct error *runtime_killed(struct gated_node *gated, struct life *life, life_step *run, const char *gate)
{
    pid_t pid;

    check(gate_set(&gated->gates, gate));
    call_begin(life, run);
    check(gate_wait(&gated->gates, gate, &pid));
    assert_int_equal(kill(pid, SIGKILL), 0);
    gate_open(&gated->gates, gate);
    return call_end(life);
}

static void a_runtime_killed_in_create_is_told_and_leaves_nothing(void **state)
{
    static const char *const places[] = {"crun.create.before", "crun.create.after"};
    struct gated_node *gated = *state;
    struct life life = pod_begin(gated, "create-killed");

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        check_refused(runtime_killed(gated, &life, step_create, places[i]), ERROR_INTERNAL,
                      "create ended with signal 9");
        nothing_must_remain(gated, &life);
        check(step_create(&life)); /* the same name and attempt */
        autofree char *there = remains_of(gated, &life);
        assert_true(*there);
        check(step_start(&life));
        check(step_exec(&life));
        check(step_stop(&life));
        check(step_remove(&life));
        nothing_must_remain(gated, &life);
    }
    pod_end(gated, &life);
}

/* What the runtime had not begun is a container that never ran; what it had done is done. */
static void a_runtime_killed_in_start_leaves_the_true_state(void **state)
{
    struct gated_node *gated = *state;
    struct life life = pod_begin(gated, "start-killed");
    struct workload_state now;

    check(step_create(&life));
    check_refused(runtime_killed(gated, &life, step_start, "crun.start.before"), ERROR_INTERNAL,
                  "start ended with signal 9");
    check(workload_status(&life.work, life.container, &now));
    assert_int_equal(now.state, RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED);
    assert_int_equal(now.exit_code, 128);
    assert_string_equal(now.reason, "StartError");
    check(step_remove(&life));

    check(step_create(&life));
    check(runtime_killed(gated, &life, step_start, "crun.start.after"));
    check(workload_status(&life.work, life.container, &now));
    assert_int_equal(now.state, RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING);
    check(step_exec(&life));
    check(step_stop(&life));
    check(step_remove(&life));
    pod_end(gated, &life);
}

static void a_runtime_killed_in_exec_costs_that_exec_alone(void **state)
{
    struct gated_node *gated = *state;
    struct life life = pod_begin(gated, "exec-killed");

    check(step_create(&life));
    check(step_start(&life));
    check_refused(runtime_killed(gated, &life, step_exec, "crun.exec.before"), ERROR_INTERNAL,
                  "exec ended with signal 9");
    check(runtime_killed(gated, &life, step_exec, "crun.exec.after")); /* the command had begun */
    check(step_exec(&life));
    check(step_stop(&life));
    check(step_remove(&life));
    pod_end(gated, &life);
}

static void a_runtime_killed_in_delete_leaves_nothing(void **state)
{
    static const char *const places[] = {"crun.delete.before", "crun.delete.after"};
    struct gated_node *gated = *state;
    struct life life = pod_begin(gated, "delete-killed");

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        check(step_create(&life));
        check(step_start(&life));
        check(step_exec(&life));
        check(step_stop(&life));
        check(runtime_killed(gated, &life, step_remove, places[i]));
        nothing_must_remain(gated, &life);
    }
    pod_end(gated, &life);
}

/* --- fails -------------------------------------------------------------------------------------------------------- */

static struct error *runtime_fails(struct gated_node *gated, struct life *life, life_step *run, const char *verb)
{
    check(gate_fail(&gated->gates, verb, "the disk is made of cheese"));
    struct error *error = run(life);
    check(gate_fail(&gated->gates, verb, NULL));
    return error;
}

static void a_runtime_that_fails_says_why_and_leaves_nothing(void **state)
{
    struct gated_node *gated = *state;
    struct life life = pod_begin(gated, "failing");
    struct workload_state now;

    check_refused(runtime_fails(gated, &life, step_create, "crun.create"), ERROR_INTERNAL, "made of cheese");
    nothing_must_remain(gated, &life);
    check(step_create(&life));
    check_refused(runtime_fails(gated, &life, step_start, "crun.start"), ERROR_INTERNAL, "made of cheese");
    check(workload_status(&life.work, life.container, &now));
    assert_int_equal(now.state, RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED);
    assert_string_equal(now.reason, "StartError");
    check(step_remove(&life));
    check(step_create(&life));
    check(step_start(&life));
    check_refused(runtime_fails(gated, &life, step_exec, "crun.exec"), ERROR_INTERNAL, "made of cheese");
    check(step_exec(&life));
    check(step_stop(&life));
    check(runtime_fails(gated, &life, step_remove, "crun.delete")); /* all that it would do is done without it */
    nothing_must_remain(gated, &life);
    pod_end(gated, &life);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_runtime_that_sleeps_across_a_kill_of_the_shim_does_its_work),
        cmocka_unit_test(a_runtime_that_sleeps_across_a_kill_of_sandboxd_does_its_work),
        cmocka_unit_test(a_runtime_that_sleeps_across_a_kill_of_the_supervisor_does_its_work),
        cmocka_unit_test(a_runtime_that_sleeps_across_a_kill_of_the_keeper_does_its_work),
        cmocka_unit_test(a_runtime_killed_in_create_is_told_and_leaves_nothing),
        cmocka_unit_test(a_runtime_killed_in_start_leaves_the_true_state),
        cmocka_unit_test(a_runtime_killed_in_exec_costs_that_exec_alone),
        cmocka_unit_test(a_runtime_killed_in_delete_leaves_nothing),
        cmocka_unit_test(a_runtime_that_fails_says_why_and_leaves_nothing),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    node_isolate();
    return cmocka_run_group_tests(tests, gated_set_up, gated_tear_down);
}
