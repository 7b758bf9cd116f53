/* Attach of a whole node, with this program as the stream process: what sessions see of a container's output and its
 * log of them, who has its input, and deaths of logd and shim in the middle. */
#include "tests/integration/session_node.h"

/* It says a line for each that it is given, and its end. */
static const char parrot[] = "echo ready; while read x; do echo said $x; done; echo over; exit 12";

/* All whole lines of the log; it may be read in the middle of a write. */
static char *log_text(struct scene *scene)
{
    autofree char *path = xasprintf("%s/logs/%s/main.log", scene->fixture->node.directory, scene->pod.metadata.name);
    autofree char *raw = NULL;
    size_t size;

    check(file_read_all(path, 64 << 20, &raw, &size));
    char *text = xcalloc(1, size + 1), *to = text;
    for (char *line = raw, *end; (end = strchr(line, '\n')); line = end + 1) {
        char *content = strchr(strchr(strchr(line, ' ') + 1, ' ') + 1, ' ') + 1;
        memcpy(to, content, (size_t)(end - content));
        to += end - content;
        if (content[-2] == 'F')
            *to++ = '\n';
    }
    return text;
}

static void scene_open_interactive(struct scene *scene, struct fixture *fixture, const char *name, const char *script,
                                   bool is_once, bool is_tty)
{
    scene_make(scene, fixture, name, script);
    scene->container.config.stdin = true;
    scene->container.config.stdin_once = is_once;
    scene->container.config.tty = is_tty;
    scene_start(scene);
}

/* Until the container's words are in its log, whatever the session saw of them. */
static void await_log(struct scene *scene, const char *words)
{
    int64_t until_ns = clock_boottime_ns() + SESSION_LIMIT_S * INT64_C(1000000000);

    for (;;) {
        autofree char *text = log_text(scene);
        if (strstr(text, words))
            return;
        if (clock_boottime_ns() > until_ns)
            fail_msg("no \"%s\" in the log: \"%.200s\"", words, text);
        usleep(5000);
    }
}

static void expect_exit(struct scene *scene, int code)
{
    struct workload_state state;

    check(workload_wait_exit(&scene->fixture->work, scene->id, &state));
    assert_int_equal(state.exit_code, code);
}

/* --- input and output --------------------------------------------------------------------------------------------- */

static void a_session_speaks_with_its_container(void **state)
{
    struct fixture *fixture = *state;
    struct stream_peer first, second;
    struct scene scene;

    scene_open_interactive(&scene, fixture, "speaks", parrot, false, false);
    await_log(&scene, "ready");
    attach_init(fixture, &first, scene.id, ALL);
    attach_init(fixture, &second, scene.id, OUTPUTS);
    check(stream_peer_start(&first));
    check(stream_peer_start(&second));
    check(stream_peer_write(&first, "one\n"));
    check(stream_peer_wait_output(&first, 1, "said one\n"));
    check(stream_peer_wait_output(&second, 1, "said one\n"));
    stream_peer_fini(&second);
    stream_peer_close_input(&first); /* stdin stays open: it is not of the once kind */
    stream_peer_fini(&first);
    attach_init(fixture, &first, scene.id, ALL);
    check(stream_peer_start(&first));
    check(stream_peer_write(&first, "two\n"));
    check(stream_peer_wait_output(&first, 1, "said two\n"));
    assert_string_equal(first.output[1], "said two\n");
    check(workload_stop(&fixture->work, scene.id, 0));
    check(stream_peer_wait_end(&first));
    assert_int_equal(first.ended.code, 0);
    stream_peer_fini(&first);
    autofree char *log = log_text(&scene);
    assert_string_equal(log, "ready\nsaid one\nsaid two\n");
    scene_close(&scene);
}

/* ENDED comes behind all of the output, stderr's too. */
static void a_session_ends_with_its_container(void **state)
{
    struct fixture *fixture = *state;
    struct stream_peer peer;
    struct scene scene;

    scene_open_interactive(&scene, fixture, "ends", "read x; echo out; echo err >&2; seq 10000; exit 9", false, false);
    attach_init(fixture, &peer, scene.id, ALL);
    check(stream_peer_start(&peer));
    check(stream_peer_write(&peer, "go\n"));
    check(stream_peer_wait_end(&peer));
    assert_non_null(strstr(peer.output[1], "\n10000\n"));
    assert_string_equal(peer.output[2], "err\n");
    expect_exit(&scene, 9);
    stream_peer_fini(&peer);
    scene_close(&scene);
}

/* As kubelet has it: the first session's input is the only one. */
static void stdin_once_ends_with_the_first_session(void **state, bool by_its_death)
{
    struct fixture *fixture = *state;
    struct stream_peer first;
    struct scene scene;

    scene_open_interactive(&scene, fixture, "once", parrot, true, false);
    attach_init(fixture, &first, scene.id, ALL);
    check(stream_peer_start(&first));
    assert_true(first.opened.flags & STREAM_STDIN_ONCE);
    check(stream_peer_write(&first, "one\n"));
    check(stream_peer_wait_output(&first, 1, "said one\n"));
    if (by_its_death) {
        stream_peer_fini(&first);
    } else {
        stream_peer_close_input(&first);
        check(stream_peer_wait_end(&first));
        assert_non_null(strstr(first.output[1], "over\n"));
        stream_peer_fini(&first);
    }
    expect_exit(&scene, 12);
    scene_close(&scene);
}

static void stdin_once_ends_with_the_first_sessions_input(void **state)
{
    stdin_once_ends_with_the_first_session(state, false);
}

static void stdin_once_ends_with_the_first_sessions_process(void **state)
{
    stdin_once_ends_with_the_first_session(state, true);
}

/* The container goes on without input; neither a second session nor a successor of the shim opens it again. */
static void stdin_once_stays_closed(void **state)
{
    struct fixture *fixture = *state;
    struct stream_peer first, second;
    struct scene scene;

    scene_open_interactive(&scene, fixture, "closed", "cat; echo eof; while :; do sleep 1; done", true, false);
    attach_init(fixture, &first, scene.id, ALL);
    check(stream_peer_start(&first));
    check(stream_peer_write(&first, "some\n"));
    failpoint_set("shim.stream.after_stdin_end", "kill"); /* on record, but the store still has the pipe */
    stream_peer_close_input(&first);
    failpoint_wait("shim.stream.after_stdin_end");
    check(stream_peer_wait_output(&first, 1, "eof\n"));
    assert_string_equal(first.output[1], "some\neof\n");
    attach_init(fixture, &second, scene.id, ALL);
    check(stream_peer_start(&second));
    assert_int_equal(second.started.flags & STREAM_STDIN, 0);
    assert_int_equal(second.ours[0], -1);
    stream_peer_fini(&first);
    stream_peer_fini(&second);
    check(workload_stop(&fixture->work, scene.id, 0));
    scene_close(&scene);
}

static void a_container_without_stdin_has_none(void **state)
{
    struct fixture *fixture = *state;
    struct stream_peer peer;
    struct scene scene;

    scene_open(&scene, fixture, "without",
               "readlink /proc/self/fd/0; cat; echo eof; while :; do echo tick; sleep 0.1; done");
    await_log(&scene, "eof");
    attach_init(fixture, &peer, scene.id, ALL);
    check(stream_peer_start(&peer));
    assert_int_equal(peer.started.flags & STREAM_STDIN, 0);
    assert_int_equal(peer.ours[0], -1);
    check(stream_peer_wait_output(&peer, 1, "tick"));
    stream_peer_fini(&peer);
    autofree char *log = log_text(&scene);
    assert_int_equal(strncmp(log, "/dev/null\neof\n", 14), 0);
    scene_close(&scene);
}

static void a_terminal_is_attached_to(void **state)
{
    struct fixture *fixture = *state;
    struct stream_peer peer, plain;
    struct scene scene;

    scene_open_interactive(&scene, fixture, "terminal", "stty -echo; echo ready; while read x; do echo said $x; done",
                           true, true);
    await_log(&scene, "ready");
    attach_init(fixture, &peer, scene.id, TERMINAL);
    attach_init(fixture, &plain, scene.id, ALL); /* who does not ask for a terminal gets its one output */
    check(stream_peer_start(&peer));
    check(stream_peer_start(&plain));
    assert_true(peer.started.flags & STREAM_TTY);
    check(stream_peer_write(&peer, "one\n"));
    check(stream_peer_wait_output(&peer, 1, "said one\r\n"));
    check(stream_peer_wait_output(&plain, 1, "said one\r\n"));
    stream_peer_close_input(&peer); /* a terminal is not closed by that */
    check(stream_peer_write(&plain, "two\n"));
    check(stream_peer_wait_output(&plain, 1, "said two\r\n"));
    stream_peer_fini(&plain);
    stream_peer_fini(&peer);
    scene_close(&scene);
}

static void a_container_without_a_log_is_attached_to(void **state)
{
    struct fixture *fixture = *state;
    struct stream_peer peer;
    struct scene scene;

    scene_make(&scene, fixture, "logless", parrot);
    scene.container.config.stdin = true;
    scene.container.config.log_path = (char *)"";
    scene_start(&scene);
    attach_init(fixture, &peer, scene.id, ALL);
    check(stream_peer_start(&peer));
    check(stream_peer_write(&peer, "one\n"));
    check(stream_peer_wait_output(&peer, 1, "said one\n"));
    stream_peer_fini(&peer);
    scene_close(&scene);
}

/* --- one that does not read --------------------------------------------------------------------------------------- */

static void a_slow_session_ends_and_the_log_is_whole(void **state)
{
    struct fixture *fixture = *state;
    struct stream_peer slow, quick;
    struct scene scene;

    scene_open_interactive(&scene, fixture, "slow", "read x; seq 1000000; echo last; while :; do sleep 1; done", false,
                           false);
    attach_init(fixture, &slow, scene.id, OUTPUTS);
    attach_init(fixture, &quick, scene.id, STREAM_STDIN);
    check(stream_peer_start(&slow));
    check(stream_peer_start(&quick));
    slow.is_slow = true;
    check(stream_peer_write(&quick, "go\n"));
    check(stream_peer_wait_end(&slow));
    assert_int_equal(slow.ended.code, ERROR_RESOURCE_EXHAUSTED);
    await_log(&scene, "last\n");
    autofree char *log = log_text(&scene);
    char *at = log;
    for (long i = 1; i <= 1000000; i++)
        if (strtol(at, &at, 10) != i)
            fail_msg("the log lacks %ld", i);
    slow.is_slow = false; /* what it got before is a beginning of all */
    stream_peer_pump(&slow, 1);
    size_t got = slow.output_size[1];
    assert_true(got > 0 && got < strlen(log));
    assert_memory_equal(slow.output[1], log, got);
    stream_peer_fini(&slow);
    stream_peer_fini(&quick);
    scene_close(&scene);
}

/* --- deaths ------------------------------------------------------------------------------------------------------- */

/* What a session saw is what the log has. */
static void expect_as_logged(struct scene *scene, struct stream_peer *peer)
{
    autofree char *log = log_text(scene);

    if (strcmp(log, peer->output[1]) != 0) {
        size_t at = 0;
        while (log[at] && log[at] == peer->output[1][at])
            at++;
        fail_msg("the session's output departs from the log at %zu of %zu: \"%.40s\" instead of \"%.40s\"", at,
                 strlen(log), peer->output[1] + at, log + at);
    }
}

static const char counting[] = "read x; i=0; while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done; exit 21";

static void output_is_whole_over_deaths_of_logd(void **state)
{
    static const char *const points[] = {"logd.take.before_splice", "logd.take.spliced", "logd.take.noted",
                                         "logd.take.read",          "logd.take.done",    "logd.append.before",
                                         "logd.append.done"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        struct stream_peer peer;
        struct scene scene;
        scene_open_interactive(&scene, fixture, "logd", counting, false, false);
        attach_init(fixture, &peer, scene.id, ALL);
        check(stream_peer_start(&peer));
        failpoint_set(points[i], "kill");
        check(stream_peer_write(&peer, "go\n"));
        check(stream_peer_wait_end(&peer));
        failpoint_wait(points[i]);
        expect_exit(&scene, 21);
        expect_as_logged(&scene, &peer);
        stream_peer_fini(&peer);
        scene_close(&scene);
    }
}

static void output_is_whole_over_deaths_of_the_shim(void **state)
{
    static const char *const others[] = {"shim", "sandboxd", "keeper", "supervisor"};
    struct fixture *fixture = *state;
    struct stream_peer peer;
    struct scene scene;

    scene_open_interactive(&scene, fixture, "shim",
                           "read x; i=0; while [ $i -lt 40000 ]; do echo line $i; i=$((i+1)); done; exit 21", false,
                           false);
    attach_init(fixture, &peer, scene.id, ALL);
    failpoint_set("shim.stream.before_attach", "kill");
    check(stream_peer_start(&peer));
    failpoint_wait("shim.stream.before_attach");
    check(stream_peer_write(&peer, "go\n"));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        stream_peer_pump(&peer, 5);
        check(node_kill(&fixture->node, others[i]));
    }
    check(stream_peer_wait_end(&peer));
    expect_exit(&scene, 21);
    expect_as_logged(&scene, &peer);
    stream_peer_fini(&peer);
    scene_close(&scene);
}

/* Both at once: nothing is read before the session has joined the new shim. */
static void output_is_whole_where_logd_and_shim_die_together(void **state)
{
    struct fixture *fixture = *state;
    struct stream_peer peer;
    struct scene scene;

    failpoint_set("stream-awaited-limit", "60000");
    scene_open_interactive(&scene, fixture, "both", counting, false, false);
    attach_init(fixture, &peer, scene.id, ALL);
    check(stream_peer_start(&peer));
    check(node_kill(&fixture->node, "shim"));
    check(node_kill(&fixture->node, "logd"));
    check(stream_peer_write(&peer, "go\n"));
    usleep(100000); /* whoever did not wait would have read by now */
    check(stream_peer_wait_end(&peer));
    expect_exit(&scene, 21);
    expect_as_logged(&scene, &peer);
    stream_peer_fini(&peer);
    scene_close(&scene);
}

/* A session begins while logd is dead: it waits for the next one. */
static void a_session_begins_without_logd(void **state)
{
    struct fixture *fixture = *state;
    struct stream_peer peer;
    struct scene scene;

    scene_open_interactive(&scene, fixture, "begins", parrot, false, false);
    await_log(&scene, "ready");
    attach_init(fixture, &peer, scene.id, ALL);
    check(stream_peer_open(&peer));
    check(node_kill(&fixture->node, "logd"));
    check(stream_peer_start(&peer));
    check(stream_peer_write(&peer, "one\n"));
    check(stream_peer_wait_output(&peer, 1, "said one\n"));
    stream_peer_fini(&peer);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(a_session_speaks_with_its_container),
        NODE_TEST(a_session_ends_with_its_container),
        NODE_TEST(stdin_once_ends_with_the_first_sessions_input),
        NODE_TEST(stdin_once_ends_with_the_first_sessions_process),
        NODE_TEST(stdin_once_stays_closed),
        NODE_TEST(a_container_without_stdin_has_none),
        WITH_EACH_RUNTIME(a_terminal_is_attached_to),
        NODE_TEST(a_container_without_a_log_is_attached_to),
        NODE_TEST(a_slow_session_ends_and_the_log_is_whole),
        NODE_TEST(output_is_whole_over_deaths_of_logd),
        NODE_TEST(output_is_whole_over_deaths_of_the_shim),
        NODE_TEST(output_is_whole_where_logd_and_shim_die_together),
        NODE_TEST(a_session_begins_without_logd),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open_with_failpoints, fixture_close_with_failpoints);
}
