/* A pod's life through the whole tree: on the host's network and on CNI's, its files, its exits, its stop, and what
 * clients ask wrongly. */
#include "tests/integration/node_fixture.h"

static char *pod_run(struct fixture *fixture, const char *name, bool host_network)
{
    char *pod = NULL;

    check(workload_pod_run(&fixture->work, name, 0, host_network, NULL, &pod));
    return pod;
}

static char *container_run(struct fixture *fixture, const char *pod, bool host_network, const char *name,
                           const char *script)
{
    const char *const command[] = {"/bin/sh", "-c", script, NULL};
    char *id = NULL;

    check(workload_create(&fixture->work, pod, host_network,
                          &(struct workload_container){.name = name, .image = busybox, .command = command}, &id));
    check(workload_start(&fixture->work, id));
    return id;
}

static void log_must_have(struct fixture *fixture, const char *pod_name, const char *container_name, const char *text)
{
    autofree char *path = xasprintf("%s/logs/%s/%s.log", fixture->node.directory, pod_name, container_name);

    for (unsigned i = 0; i < 200; i++) {
        autofree char *log = NULL;
        size_t size = 0;
        struct error *error = file_read_all(path, 1 << 20, &log, &size);
        if (!error && strstr(log, text))
            return;
        error_free(error);
        usleep(20000);
    }
    fail_msg("\"%s\" is not in %s", text, path);
}

static void a_pod_on_the_hosts_network_lives_and_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    char *pod = pod_run(fixture, "hosted", true);
    autofree char *id = container_run(fixture, pod, true, "main", "echo hello from $HOSTNAME; exec sleep 1000");
    autofree char *output = script_output(fixture, id, "echo out; echo err >&2; exit 3", 3);

    assert_string_equal(output, "out\n");
    log_must_have(fixture, "hosted", "main", " stdout F hello from ");
    check(workload_stop(&fixture->work, id, 0));
    struct workload_state now;
    check(workload_status(&fixture->work, id, &now));
    assert_int_equal(now.exit_code, 137);
    assert_string_equal(now.reason, "Error");
    check(workload_remove(&fixture->work, id));
    check(workload_remove(&fixture->work, id));
    check(workload_pod_remove(&fixture->work, pod));
    pod_end(fixture, pod); /* stop and removal of what is gone succeed */
}

static void a_pod_with_a_network_has_its_address_files_and_names(void **state)
{
    struct fixture *fixture = *state;
    char *pod = pod_run(fixture, "netted", false);
    autofree char *id = container_run(fixture, pod, false, "main", "exec sleep 1000");
    autofree char *ip = NULL;

    check(workload_pod_ip(&fixture->work, pod, &ip));
    assert_memory_equal(ip, "10.198.0.", 9);
    autofree char *addresses = script_output(fixture, id, "ip -4 addr show dev eth0", 0);
    assert_non_null(strstr(addresses, ip));
    autofree char *hosts = script_output(fixture, id, "cat /etc/hosts", 0);
    assert_non_null(strstr(hosts, ip));
    assert_non_null(strstr(hosts, "netted"));
    autofree char *hostname = script_output(fixture, id, "hostname; cat /etc/hostname", 0);
    assert_string_equal(hostname, "netted\nnetted\n");
    free(script_output(fixture, id, "test -s /etc/resolv.conf && touch /dev/shm/x && ping -c 1 127.0.0.1", 0));
    pod_end(fixture, pod);
}

static void each_exit_code_is_told_truly(void **state)
{
    struct fixture *fixture = *state;
    char *pod = pod_run(fixture, "exits", true);
    static const struct {
        const char *name, *script, *reason;
        int code;
    } cases[] = {
        {"ok", "exit 0", "Completed", 0},
        {"error", "exit 41", "Error", 41},
        {"signal", "kill -TERM $$; sleep 10", "Error", 0},
    };

    for (size_t i = 0; i < 2; i++) {
        struct workload_state now;
        autofree char *id = container_run(fixture, pod, true, cases[i].name, cases[i].script);
        check(workload_wait_exit(&fixture->work, id, &now));
        assert_int_equal(now.exit_code, cases[i].code);
        assert_string_equal(now.reason, cases[i].reason);
        assert_true(now.finished_at_ns > 0);
        check_refused(workload_start(&fixture->work, id), ERROR_FAILED_PRECONDITION, "");
    }
    pod_end(fixture, pod);
}

static void a_stop_waits_for_the_grace_and_sandboxds_death_neither_cuts_nor_restarts_it(void **state)
{
    struct fixture *fixture = *state;
    char *pod = pod_run(fixture, "graceful", true);
    autofree char *deaf = container_run(fixture, pod, true, "deaf", "trap '' TERM; while :; do sleep 0.1; done");
    struct workload_state now;

    usleep(300000); /* the trap is to be set */
    int64_t begin_ns = clock_boottime_ns();
    pid_t child = fork();
    if (child == 0) {
        usleep(700000);
        _exit(node_kill(&fixture->node, "sandboxd") ? 1 : 0);
    }
    check(workload_stop(&fixture->work, deaf, 2));
    int64_t took_ms = (clock_boottime_ns() - begin_ns) / 1000000;
    assert_in_range(took_ms, 1900, 4000);
    check(workload_status(&fixture->work, deaf, &now));
    assert_int_equal(now.exit_code, 137);
    pod_end(fixture, pod);
}

static void a_retry_of_what_is_done_gets_the_same_object(void **state)
{
    struct fixture *fixture = *state;
    static const char *const command[] = {"/bin/sh", "-c", "sleep 1000", NULL};
    const struct workload_container main = {.name = "main", .image = busybox, .command = command};
    char *pod = pod_run(fixture, "joined", true);
    autofree char *same_pod = pod_run(fixture, "joined", true);
    autofree char *id = NULL, *same_id = NULL, *none = NULL;

    assert_string_equal(pod, same_pod);
    check_refused(workload_pod_run(&fixture->work, "joined", 0, false, NULL, &none), ERROR_ALREADY_EXISTS, "");
    check(workload_create(&fixture->work, pod, true, &main, &id));
    check(workload_create(&fixture->work, pod, true, &main, &same_id));
    assert_string_equal(id, same_id);
    check(workload_start(&fixture->work, id));
    check(workload_start(&fixture->work, id));
    check(workload_pod_stop(&fixture->work, pod));
    check_refused(workload_pod_run(&fixture->work, "joined", 0, true, NULL, &none), ERROR_FAILED_PRECONDITION, "");
    check_refused(
        workload_create(&fixture->work, pod, true, &(struct workload_container){.name = "b", .image = busybox}, &none),
        ERROR_FAILED_PRECONDITION, "");
    pod_end(fixture, pod);
}

static void what_is_asked_wrongly_gets_its_code_and_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    char *pod = pod_run(fixture, "wrong", true), *none = NULL;
    struct workload_state now;

    check_refused(workload_create(&fixture->work, pod, true,
                                  &(struct workload_container){.name = "a", .image = "docker.io/library/absent:1"},
                                  &none),
                  ERROR_NOT_FOUND, "");
    check_refused(workload_create(&fixture->work, "absent", true,
                                  &(struct workload_container){.name = "a", .image = busybox}, &none),
                  ERROR_NOT_FOUND, "");
    check_refused(workload_status(&fixture->work, "absent", &now), ERROR_NOT_FOUND, "");
    check_refused(workload_start(&fixture->work, "absent"), ERROR_NOT_FOUND, "");
    check_refused(workload_pod_run(&fixture->work, "x", 0, true, "absent", &none), ERROR_INVALID_ARGUMENT, "");
    check(workload_stop(&fixture->work, "absent", 1));
    check(workload_remove(&fixture->work, "absent"));
    check(workload_pod_stop(&fixture->work, "absent"));
    check(workload_pod_remove(&fixture->work, "absent"));
    pod_end(fixture, pod);
}

static void a_container_goes_on_after_its_shim_was_killed(void **state)
{
    struct fixture *fixture = *state;
    char *pod = pod_run(fixture, "orphan", false);
    autofree char *id =
        container_run(fixture, pod, false, "main", "trap 'exit 9' TERM; while :; do echo tick; sleep 0.1; done");

    check(node_kill(&fixture->node, "shim"));
    autofree char *output = script_output(fixture, id, "echo alive", 0);
    assert_string_equal(output, "alive\n");
    autofree char *second = container_run(fixture, pod, false, "second", "exec sleep 1000");
    check(node_kill(&fixture->node, "shim"));
    check(node_kill(&fixture->node, "sandboxd"));
    check(workload_stop(&fixture->work, id, 10));
    struct workload_state now;
    check(workload_status(&fixture->work, id, &now));
    assert_int_equal(now.exit_code, 9);
    pod_end(fixture, pod);
}

static void whole_life(struct fixture *fixture)
{
    char *pod = pod_run(fixture, "again", true);
    autofree char *id = container_run(fixture, pod, true, "main", "exec sleep 1000");
    autofree char *output = script_output(fixture, id, "true", 0);

    check(workload_remove(&fixture->work, id));
    pod_end(fixture, pod);
}

static size_t threads_count(const struct fixture *fixture)
{
    static const char *const programs[] = {"keeper", "supervisor", "sandboxd", "imaged",
                                           "logd"}; /* criapi's are gRPC's pool */
    size_t count = 0;

    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        count += node_thread_count(&fixture->node, programs[i]);
    return count;
}

static void pods_that_were_leave_no_thread(void **state)
{
    struct fixture *fixture = *state;

    whole_life(fixture);
    size_t before = threads_count(fixture);
    for (int i = 0; i < 6; i++)
        whole_life(fixture);
    for (int i = 0; i < 500 && threads_count(fixture) > before; i++)
        usleep(20000); /* they end on their own */
    assert_in_range(threads_count(fixture), 1, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(a_pod_on_the_hosts_network_lives_and_leaves_nothing),
        NODE_TEST(a_pod_with_a_network_has_its_address_files_and_names),
        NODE_TEST(each_exit_code_is_told_truly),
        NODE_TEST(a_stop_waits_for_the_grace_and_sandboxds_death_neither_cuts_nor_restarts_it),
        NODE_TEST(a_retry_of_what_is_done_gets_the_same_object),
        NODE_TEST(what_is_asked_wrongly_gets_its_code_and_leaves_nothing),
        NODE_TEST(pods_that_were_leave_no_thread),
        NODE_TEST(a_container_goes_on_after_its_shim_was_killed),
    };

    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
