/* Who gets a streaming session of a shim: the token that opens one once and in its time, the user, what may be passed.
 */
#include "tests/integration/shim_stage.h"

static void a_token_serves_one_stream_process(void **state)
{
    struct stream_peer owner, thief;
    struct stage stage;

    stage_open(&stage, *state, "once", crun);
    session_init(&stage, &owner, STREAM_EXEC, OUTPUTS, "sleep 0.3; echo one >> /tmp/count; cat /tmp/count");
    autofree char *url = xasprintf("http://h:1/exec/%s-%s", stage.pod.id, owner.secret);
    check(stream_peer_init(&thief, stage.pod.bench->state, url, OUTPUTS));
    check(stream_peer_open(&owner));
    assert_int_equal(owner.opened.flags, OUTPUTS);
    assert_string_equal(owner.opened.text, "long");
    expect_code(stream_peer_open(&thief), ERROR_NOT_FOUND);
    check(stream_peer_start(&owner));
    int lost = TAKE_FD(owner.socket); /* the same key by another connection joins, while the shim lives too */
    expect_end(&owner, 0, "one\n", "");
    assert_int_equal(owner.connections, 2);
    close(lost);
    stream_peer_fini(&thief);
    stream_peer_fini(&owner);
    expect_nothing_kept(&stage, 0);
    stage_close(&stage);
}

static void what_is_no_token_opens_nothing(void **state)
{
    struct stream_peer peer;
    struct stage stage;

    stage_open(&stage, *state, "none", crun);
    session_init(&stage, &peer, STREAM_EXEC, OUTPUTS, "true");
    peer.kind = STREAM_ATTACH;
    expect_code(stream_peer_open(&peer), ERROR_NOT_FOUND);
    peer.has_failed = false;
    peer.kind = STREAM_EXEC;
    peer.key[3] = 'g';
    close(TAKE_FD(peer.socket));
    expect_code(stream_peer_open(&peer), ERROR_INVALID_ARGUMENT);
    peer.has_failed = false;
    peer.key[3] = '0';
    peer.secret[0] = peer.secret[0] == 'a' ? 'b' : 'a';
    close(TAKE_FD(peer.socket));
    expect_code(stream_peer_open(&peer), ERROR_NOT_FOUND);
    stream_peer_fini(&peer);
    stage_close(&stage);
}

static void a_token_ends_in_its_time(void **state)
{
    struct stream_peer peer;
    struct stage stage;
    struct bench *bench = *state;

    stage_open(&stage, bench, "expires", crun);
    bench_failpoint(bench, "stream-token-life", "1");
    session_init(&stage, &peer, STREAM_EXEC, OUTPUTS, "true");
    bench_failpoint_clear(bench, "stream-token-life");
    bench_sleep(bench, 2);
    expect_code(stream_peer_open(&peer), ERROR_NOT_FOUND);
    stream_peer_fini(&peer);
    expect_nothing_kept(&stage, 0);
    stage_close(&stage);
}

static void a_thousand_tokens_are_the_limit(void **state)
{
    struct stream_peer peer;
    struct stage stage;

    stage_open(&stage, *state, "thousand", crun);
    session_init(&stage, &peer, STREAM_EXEC, OUTPUTS, "true");
    for (int i = 1; i < STREAM_TOKENS_MAX; i++) {
        autofree char *url = NULL;
        assert_int_equal(token_register(&stage, STREAM_PORT_FORWARD, 0, NULL, &url), 0);
    }
    autofree char *one_more = NULL;
    autofree char *again = NULL;
    assert_int_equal(token_register(&stage, STREAM_PORT_FORWARD, 0, NULL, &one_more), ERROR_RESOURCE_EXHAUSTED);
    check(stream_peer_start(&peer)); /* used: no longer in flight */
    assert_int_equal(token_register(&stage, STREAM_PORT_FORWARD, 0, NULL, &again), 0);
    expect_end(&peer, 0, "", "");
    stream_peer_fini(&peer);
    stage_close(&stage);
}

static void only_streams_user_is_served(void **state)
{
    struct stage stage;
    int status;

    stage_open(&stage, *state, "users", crun);
    autofree char *path = xasprintf("%s/shim/%s/stream", stage.pod.bench->state, stage.pod.id);
    for (uid_t offset = 5; offset <= 7; offset++) {
        pid_t pid = fork();
        if (pid == 0) {
            int fd = -1;
            bool is_refused =
                setresuid(61300 + offset, 61300 + offset, 61300 + offset) < 0 || socket_connect(path, &fd) != NULL;
            _exit(is_refused ? 1 : 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WEXITSTATUS(status), offset == 6 ? 0 : 1);
    }
    stage_close(&stage);
}

/* What a stream process passes gets into a container: pipes and nothing else. */
static void only_pipes_are_taken(void **state)
{
    struct stream_peer peer;
    struct stage stage;

    stage_open(&stage, *state, "pipes", crun);
    session_init(&stage, &peer, STREAM_EXEC, STREAM_STDOUT, "true");
    close(peer.passed[1]);
    peer.passed[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
    expect_code(stream_peer_start(&peer), ERROR_INVALID_ARGUMENT);
    stream_peer_fini(&peer);
    session_init(&stage, &peer, STREAM_EXEC, OUTPUTS, "true");
    close(TAKE_FD(peer.passed[2]));
    expect_code(stream_peer_start(&peer), ERROR_INVALID_ARGUMENT);
    stream_peer_fini(&peer);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_serves_one_stream_process), cmocka_unit_test(what_is_no_token_opens_nothing),
        cmocka_unit_test(a_token_ends_in_its_time),          cmocka_unit_test(a_thousand_tokens_are_the_limit),
        cmocka_unit_test(only_streams_user_is_served),       cmocka_unit_test(only_pipes_are_taken),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, bench_fixture_open, bench_fixture_close);
}
