/* A shim dies at each point of its streaming sessions, and at random. BULKHEAD_SESSION_ROUNDS makes the random part
 * longer, BULKHEAD_TEST_SEED repeats it, BULKHEAD_TEST_FILTER runs some. */
#include "tests/integration/shim_stage.h"

enum { RANDOM_ROUNDS = 10 };

static void check_count(struct stage *stage, const char *file, const char *when)
{
    autofree char *script = xasprintf("cat /tmp/%s", file);
    char output[64];
    int status;

    assert_int_equal(bench_exec(&stage->pod, 0, "long", script, 0, &status, output, sizeof(output)), 0);
    if (strcmp(output, "x\n") != 0)
        fail_msg("%s: the command has left \"%s\"", when, output);
}

/* One session, with a kill at that point: its code and output are true, and it ran once. */
static void exec_over(struct stage *stage, const char *point, bool is_terminal, unsigned number)
{
    autofree char *file = xasprintf("c%u", number);
    autofree char *script = xasprintf("echo x >> /tmp/%s; echo ready; read x; echo said $x; exit 23", file);
    struct stream_peer peer;

    bench_failpoint(stage->pod.bench, point, "kill");
    session_init(stage, &peer, STREAM_EXEC, is_terminal ? TERMINAL : ALL, script);
    struct error *failure = stream_peer_start(&peer);
    if (failure)
        fail_msg("%s: %s", point, failure->text);
    check(stream_peer_wait_output(&peer, 1, "ready"));
    check(stream_peer_write(&peer, "it\n"));
    check(stream_peer_wait_end(&peer));
    check(stream_peer_wait_output(&peer, 1, "said it"));
    if (peer.ended.wait_status != 23 << 8 || peer.ended.flags)
        fail_msg("%s: wait status 0x%x, flags %u", point, peer.ended.wait_status, peer.ended.flags);
    stream_peer_fini(&peer);
    if (!bench_failpoint_was_hit(stage->pod.bench, point))
        fail_msg("%s was not reached", point);
    check_count(stage, file, point);
}

static void kills_at_each_point(struct bench *bench, const char *id, const char *runtime)
{
    static const char *const points[] = {
        "shim.stream.before_token", "shim.stream.after_token",  "shim.stream.before_burn", "shim.stream.after_burn",
        "shim.stream.before_start", "shim.exec.before_begun",   "shim.exec.after_begun",   "shim.exec.after_running",
        "shim.exec.after_reap",     "shim.stream.before_ended",
    };
    struct stage stage;

    stage_open(&stage, bench, id, runtime);
    if (runtime == runc) /* half of it as on a kernel where no pidfd tells what was reaped */
        bench_failpoint(bench, "no-exit-info", "");
    for (unsigned i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        exec_over(&stage, points[i], false, 2 * i);
        exec_over(&stage, points[i], true, 2 * i + 1);
    }
    bench_failpoint_clear(bench, "no-exit-info");
    expect_nothing_kept(&stage, 0);
    stage_close(&stage);
}

static void a_session_lives_through_its_shims_death_at_each_point_crun(void **state)
{
    kills_at_each_point(*state, "kills-crun", crun);
}

static void a_session_lives_through_its_shims_death_at_each_point_runc(void **state)
{
    kills_at_each_point(*state, "kills-runc", runc);
}

static void a_random_kill(struct stage *stage, unsigned round)
{
    autofree char *file = xasprintf("r%u", round);
    autofree char *script = xasprintf("echo x >> /tmp/%s; sleep 0.0%ld; echo done; exit 31", file, random() % 10);
    struct stream_peer peer;

    session_init(stage, &peer, STREAM_EXEC, round % 2 ? TERMINAL : OUTPUTS, script);
    check(stream_peer_open(&peer));
    stream_peer_begin(&peer);
    stream_peer_pump(&peer, (int)(random() % 25));
    bench_pod_kill_shim(&stage->pod);
    if (round % 3 == 0 && stage->pod.bench->keeper)
        kill(stage->pod.bench->keeper, SIGKILL);
    check(stream_peer_wait_end(&peer));
    assert_int_equal(peer.ended.wait_status, 31 << 8);
    check(stream_peer_wait_output(&peer, 1, "done"));
    stream_peer_fini(&peer);
    check_count(stage, file, "a kill at random");
}

static unsigned random_rounds(void)
{
    const char *rounds = getenv("BULKHEAD_SESSION_ROUNDS");

    return rounds ? (unsigned)atoi(rounds) : RANDOM_ROUNDS;
}

/* In the runtime's own work, too: it goes on without the shim. */
static void kills_at_random_instants(void **state)
{
    const char *given = getenv("BULKHEAD_TEST_SEED");
    unsigned seed = given ? (unsigned)atoi(given) : (unsigned)clock_realtime_ns();
    struct stage stage;

    srandom(seed);
    print_message("BULKHEAD_TEST_SEED=%u\n", seed);
    stage_open(&stage, *state, "random", crun);
    for (unsigned round = 0; round < random_rounds(); round++)
        a_random_kill(&stage, round);
    assert_int_equal(bench_setup(&stage.pod, false), 0);   /* acknowledgements have been heard */
    bench_failpoint(*state, "stream-unjoined-limit", "1"); /* some may have ended while there was no shim to see it */
    bench_pod_kill_shim(&stage.pod);
    bench_pod_listen(&stage.pod, 1);
    expect_nothing_kept(&stage, 0);
    bench_failpoint_clear(*state, "stream-unjoined-limit");
    stage_close(&stage);
}

/* Both ends die: nobody joins, and what was kept for the join goes. */
static void a_session_that_nobody_joins_is_given_up(void **state)
{
    struct bench *bench = *state;
    struct stream_peer running, done;
    struct stage stage;

    stage_open(&stage, bench, "unjoined", crun);
    session_init(&stage, &running, STREAM_EXEC, ALL, "echo ready; cat; exit 3");
    session_init(&stage, &done, STREAM_EXEC, OUTPUTS, "exit 4");
    check(stream_peer_start(&running));
    check(stream_peer_start(&done));
    expect_end(&done, 4, "", "");
    bench_failpoint(bench, "stream-unjoined-limit", "1");
    running.turn = done.turn = NULL;
    kill(stage.pod.shim, SIGSTOP);
    stream_peer_fini(&running);
    stream_peer_fini(&done);
    bench_pod_kill_shim(&stage.pod);
    expect_nothing_kept(&stage, 0);
    bench_failpoint_clear(bench, "stream-unjoined-limit");
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_lives_through_its_shims_death_at_each_point_crun),
        cmocka_unit_test(a_session_lives_through_its_shims_death_at_each_point_runc),
        cmocka_unit_test(kills_at_random_instants),
        cmocka_unit_test(a_session_that_nobody_joins_is_given_up),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, bench_fixture_open, bench_fixture_close);
}
