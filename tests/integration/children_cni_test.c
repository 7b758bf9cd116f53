/* CNI plugins that are in the middle of their work while bulkhead's processes are killed, that are killed themselves,
 * and that fail: the call succeeds or says why, the pod has one address, and nothing is left. */
#include "tests/integration/gated_node.h"

#include <signal.h>

static const char *const victims[] = {"shim", "sandboxd", "supervisor", "keeper"};
enum { VICTIM_COUNT = sizeof(victims) / sizeof(victims[0]) };

/* What the plugins say and what the pod has must be the same one address. */
static void pod_must_have_one_address(struct gated_node *gated, struct life *life)
{
    autofree char *ip = NULL;
    autofree char *leases = line_of("ls %s/ipam/bhn | grep -c '^10[.]'", gated->node.directory);
    autofree char *inside =
        line_of("nsenter --net=%s/shim/%s/netns ip -4 -o addr show dev eth0 | awk '{print $4}' | paste -s",
                gated->node.state, life->pod);

    check(workload_pod_ip(&life->work, life->pod, &ip));
    autofree char *expected = xasprintf("%s/24", ip);
    assert_string_equal(inside, expected);
    assert_string_equal(leases, "1");
    autofree char *lease = xasprintf("%s/ipam/bhn/%s", gated->node.directory, ip);
    assert_int_equal(access(lease, F_OK), 0);
}

static void pod_end(struct gated_node *gated, struct life *life)
{
    check(step_pod_stop(life));
    check(step_pod_remove(life));
    census_must_be_as_before(gated);
    assert_int_equal(gate_overlaps(&gated->gates), 0);
    life_free(life);
}

static void add_across_a_kill(struct gated_node *gated, const char *gate, const char *victim, unsigned number)
{
    autofree char *name = xasprintf("add-%u", number);
    struct life life = life_of(gated, name);

    check(gate_set(&gated->gates, gate));
    call_begin(&life, step_pod_run);
    check(gate_wait(&gated->gates, gate, NULL));
    kill_and_await(gated, victim);
    gate_open(&gated->gates, gate);
    call_must_succeed(&life, gate, victim);
    pod_must_have_one_address(gated, &life);
    pod_end(gated, &life);
}

static void an_add_that_sleeps_across_a_kill_gives_the_pod_one_address(void **state)
{
    static const char *const places[] = {"bridge.ADD.before", "host-local.ADD.before", "host-local.ADD.after",
                                         "bridge.ADD.after", "portmap.ADD.after"};
    unsigned number = 0;

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        for (size_t j = 0; j < VICTIM_COUNT; j++)
            if (j < 2 || i == 1) /* supervisor and keeper: in the middle alone */
                add_across_a_kill(*state, places[i], victims[j], number++);
}

/* The shim dies in ADD, and the victim in the ADD that is run again after the undo. */
static void add_after_an_undo(struct gated_node *gated, const char *name, const char *victim)
{
    static const char add[] = "bridge.ADD.after", undo[] = "bridge.DEL.before";
    struct life life = life_of(gated, name);

    check(gate_set(&gated->gates, add));
    check(gate_set(&gated->gates, undo));
    call_begin(&life, step_pod_run);
    check(gate_wait(&gated->gates, add, NULL));
    kill_and_await(gated, "shim");
    gate_open(&gated->gates, add);
    check(gate_wait(&gated->gates, undo, NULL));
    check(gate_set(&gated->gates, add));
    gate_open(&gated->gates, undo);
    check(gate_wait(&gated->gates, add, NULL));
    kill_and_await(gated, victim);
    gate_open(&gated->gates, add);
    call_must_succeed(&life, add, victim);
    pod_must_have_one_address(gated, &life);
    pod_end(gated, &life);
}

/* It leaves remains as the first death did. */
static void an_add_whose_shim_dies_twice_gives_the_pod_one_address(void **state)
{
    add_after_an_undo(*state, "add-twice", "shim");
}

/* Its successor does not take the answer of an ADD that has been undone. */
static void an_add_whose_sandboxd_dies_after_the_undo_gives_the_pod_one_address(void **state)
{
    add_after_an_undo(*state, "add-undone", "sandboxd");
}

static void del_across_a_kill(struct gated_node *gated, const char *gate, const char *victim, unsigned number)
{
    autofree char *name = xasprintf("del-%u", number);
    struct life life = life_of(gated, name);

    check(step_pod_run(&life));
    check(gate_set(&gated->gates, gate));
    call_begin(&life, step_pod_stop);
    check(gate_wait(&gated->gates, gate, NULL));
    kill_and_await(gated, victim);
    gate_open(&gated->gates, gate);
    call_must_succeed(&life, gate, victim);
    pod_end(gated, &life);
}

static void a_del_that_sleeps_across_a_kill_leaves_nothing(void **state)
{
    static const char *const places[] = {"portmap.DEL.before", "bridge.DEL.before", "host-local.DEL.before",
                                         "bridge.DEL.after"};
    unsigned number = 0;

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        for (size_t j = 0; j < VICTIM_COUNT; j++)
            if (j < 2 || i == 1)
                del_across_a_kill(*state, places[i], victims[j], number++);
}

static void removal_joins(struct gated_node *gated, const char *victim)
{
    struct life first = life_of(gated, "joined"), second = first;

    check(gate_set(&gated->gates, "bridge.ADD.before"));
    call_begin(&first, step_pod_run);
    check(gate_wait(&gated->gates, "bridge.ADD.before", NULL));
    kill_and_await(gated, victim);
    call_begin(&second, step_pod_run);
    gate_open(&gated->gates, "bridge.ADD.before");
    call_must_succeed(&second, "bridge.ADD.before", victim);
    error_free(call_end(&first)); /* for criapi its first try may have been the one that ended UNAVAILABLE */
    assert_string_equal(first.pod, second.pod);
    pod_must_have_one_address(gated, &first);
    life_free(&second);
    pod_end(gated, &first);
}

static void a_retry_joins_an_add_that_sleeps(void **state)
{
    removal_joins(*state, "criapi");
    removal_joins(*state, "sandboxd");
}

/* The plugin dies at the gate, and all that the wrapper had started with it goes too before it is undone. */
static void plugin_killed(struct gated_node *gated, const char *gate, struct error *(*run)(struct life *life),
                          struct life *life)
{
    pid_t pid;

    check(gate_set(&gated->gates, gate));
    call_begin(life, run);
    check(gate_wait(&gated->gates, gate, &pid));
    assert_int_equal(kill(pid, SIGKILL), 0);
    gate_open(&gated->gates, gate);
}

static void a_plugin_killed_in_add_is_undone_and_run_again(void **state)
{
    static const char *const places[] = {"bridge.ADD.before", "host-local.ADD.before", "host-local.ADD.after",
                                         "bridge.ADD.after", "portmap.ADD.before"};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        autofree char *name = xasprintf("killed-add-%zu", i);
        struct life life = life_of(*state, name);
        plugin_killed(*state, places[i], step_pod_run, &life);
        call_must_succeed(&life, places[i], "the plugin");
        pod_must_have_one_address(*state, &life);
        pod_end(*state, &life);
    }
}

static bool process_runs(pid_t pid)
{
    autofree char *state = line_of("sed 's/.*) //' /proc/%d/stat 2>/dev/null", pid);

    return *state && *state != 'Z';
}

/* The plugin is killed while its IPAM goes on: when the undo begins, nothing of the attempt runs any more. */
static void what_a_killed_plugin_left_running_ends_before_the_undo(void **state)
{
    struct gated_node *gated = *state;
    struct life life = life_of(gated, "left-running");
    pid_t ipam;

    check(gate_set(&gated->gates, "host-local.ADD.before"));
    check(gate_set(&gated->gates, "bridge.DEL.before"));
    call_begin(&life, step_pod_run);
    check(gate_wait(&gated->gates, "host-local.ADD.before", &ipam));
    autofree char *plugin = line_of("awk '{print $4}' /proc/%d/stat", ipam);
    assert_true(atoi(plugin) > 1);
    assert_int_equal(kill(atoi(plugin), SIGKILL), 0);
    check(gate_wait(&gated->gates, "bridge.DEL.before", NULL));
    bool runs_on = process_runs(ipam);
    gate_open(&gated->gates, "bridge.DEL.before");
    gate_open(&gated->gates, "host-local.ADD.before");
    call_must_succeed(&life, "host-local.ADD.before", "the plugin");
    assert_false(runs_on);
    pod_must_have_one_address(gated, &life);
    pod_end(gated, &life);
}

/* Not inside host-local: Debian's bridge has removed the interface by then, and a second DEL does not find the address
 * whose iptables rules it had to remove. */
static void a_plugin_killed_in_del_is_run_again(void **state)
{
    static const char *const places[] = {"portmap.DEL.before", "portmap.DEL.after", "bridge.DEL.before",
                                         "bridge.DEL.after"};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        autofree char *name = xasprintf("killed-del-%zu", i);
        struct life life = life_of(*state, name);
        check(step_pod_run(&life));
        plugin_killed(*state, places[i], step_pod_stop, &life);
        error_free(call_end(&life)); /* kubelet hears why, and stops it again */
        pod_end(*state, &life);
    }
}

static void a_plugin_that_fails_says_why_and_leaves_nothing(void **state)
{
    static const char *const plugins[] = {"bridge", "portmap"};
    struct gated_node *gated = *state;

    for (size_t i = 0; i < sizeof(plugins) / sizeof(plugins[0]); i++) {
        autofree char *add = xasprintf("%s.ADD", plugins[i]);
        struct life life = life_of(gated, "refused");
        size_t dels = gate_calls(&gated->gates, "bridge.DEL");
        check(gate_fail(
            &gated->gates, add,
            "{\"cniVersion\": \"1.0.0\", \"code\": 107, \"msg\": \"no room for it\", \"details\": \"all is full\"}"));
        check_refused(step_pod_run(&life), ERROR_INTERNAL, "no room for it; all is full");
        assert_true(gate_calls(&gated->gates, "bridge.DEL") > dels);
        census_must_be_as_before(gated);
        check(gate_fail(&gated->gates, add, NULL));
        check(step_pod_run(&life)); /* the same name and attempt */
        pod_must_have_one_address(gated, &life);
        pod_end(gated, &life);
    }
}

static void a_del_that_fails_fails_the_stop_until_it_succeeds(void **state)
{
    struct gated_node *gated = *state;
    struct life life = life_of(gated, "kept");

    check(step_pod_run(&life));
    check(gate_fail(&gated->gates, "bridge.DEL", "{\"cniVersion\": \"1.0.0\", \"code\": 108, \"msg\": \"not now\"}"));
    check_refused(step_pod_stop(&life), ERROR_INTERNAL, "not now");
    check_refused(step_pod_remove(&life), ERROR_INTERNAL, "not now");
    check(gate_fail(&gated->gates, "bridge.DEL", NULL));
    check(step_pod_remove(&life));
    census_must_be_as_before(gated);
    life_free(&life);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_add_that_sleeps_across_a_kill_gives_the_pod_one_address),
        cmocka_unit_test(an_add_whose_shim_dies_twice_gives_the_pod_one_address),
        cmocka_unit_test(an_add_whose_sandboxd_dies_after_the_undo_gives_the_pod_one_address),
        cmocka_unit_test(a_del_that_sleeps_across_a_kill_leaves_nothing),
        cmocka_unit_test(a_retry_joins_an_add_that_sleeps),
        cmocka_unit_test(a_plugin_killed_in_add_is_undone_and_run_again),
        cmocka_unit_test(what_a_killed_plugin_left_running_ends_before_the_undo),
        cmocka_unit_test(a_plugin_killed_in_del_is_run_again),
        cmocka_unit_test(a_plugin_that_fails_says_why_and_leaves_nothing),
        cmocka_unit_test(a_del_that_fails_fails_the_stop_until_it_succeeds),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    node_isolate();
    return cmocka_run_group_tests(tests, gated_set_up, gated_tear_down);
}
