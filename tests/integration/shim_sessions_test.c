/* Streaming sessions of a shim: exec with crun and runc, port-forwards. BULKHEAD_TEST_FILTER runs some. */
#include <arpa/inet.h>
#include <sched.h>

#include "tests/integration/shim_stage.h"

enum { MANY = 200 };

/* --- exec --------------------------------------------------------------------------------------------------------- */

static void run_and_expect(struct stage *stage, const char *script, uint32_t flags, const char *input, int code,
                           const char *out, const char *err)
{
    struct stream_peer peer;

    session_init(stage, &peer, STREAM_EXEC, flags, script);
    check(stream_peer_start(&peer));
    if (flags & STREAM_TTY) /* what is typed earlier is echoed */
        check(stream_peer_wait_output(&peer, 1, "ready"));
    if (input)
        check(stream_peer_write(&peer, input));
    if (flags & STREAM_STDIN && !(flags & STREAM_TTY))
        stream_peer_close_input(&peer);
    expect_end(&peer, code, out, err);
    stream_peer_fini(&peer);
}

static void exec_with(struct bench *bench, const char *id, const char *runtime)
{
    struct stage stage;

    stage_open(&stage, bench, id, runtime);
    size_t fds = shim_fds(&stage);
    run_and_expect(&stage, "echo out; echo err >&2; exit 7", OUTPUTS, NULL, 7, "out\n", "err\n");
    run_and_expect(&stage, "cat; echo behind; exit 42", ALL, "in\n", 42, "in\nbehind\n", "");
    run_and_expect(&stage, "read x; echo err >&2; exit 3", STREAM_STDIN | STREAM_STDERR, "x\n", 3, "", "err\n");
    run_and_expect(&stage, "cat | tr a b", STREAM_STDOUT, NULL, 0, "", ""); /* no stdin: /dev/null */
    run_and_expect(&stage, "stty -echo; echo ready; read x; test -t 0 && test -t 2 && echo $x; exit 5", TERMINAL,
                   "typed\n", 5, "ready\r\ntyped\r\n", "");
    expect_nothing_kept(&stage, fds);
    stage_close(&stage);
}

static void an_exec_has_its_stdio_and_tells_its_code_crun(void **state)
{
    exec_with(*state, "plain-crun", crun);
}

static void an_exec_has_its_stdio_and_tells_its_code_runc(void **state)
{
    exec_with(*state, "plain-runc", runc);
}

static void a_terminal_is_resized(void **state)
{
    struct winsize size = {.ws_row = 33, .ws_col = 77};
    struct stream_peer peer;
    struct stage stage;

    stage_open(&stage, *state, "resize", crun);
    session_init(&stage, &peer, STREAM_EXEC, TERMINAL,
                 "trap 'stty size; exit 9' WINCH; echo ready; while :; do read x; done");
    check(stream_peer_start(&peer));
    check(stream_peer_wait_output(&peer, 1, "ready"));
    assert_int_equal(ioctl(peer.ours[0], TIOCSWINSZ, &size), 0);
    check(stream_peer_write(&peer, "\n")); /* a read that began before the trap was there */
    check(stream_peer_wait_end(&peer));
    check(stream_peer_wait_output(&peer, 1, "33 77"));
    assert_int_equal(peer.ended.wait_status, 9 << 8);
    stream_peer_fini(&peer);
    stage_close(&stage);
}

static void a_command_that_is_not_there_is_an_error(void **state)
{
    struct stream_peer peer;
    struct stage stage;
    struct wire_writer fields = {0};
    char secret[STREAM_SECRET_SIZE];

    stage_open(&stage, *state, "absent", crun);
    size_t fds = shim_fds(&stage);
    random_secret(secret);
    wire_put_string(&fields, SHIM_TAG_PATH, secret);
    wire_put_u64(&fields, SHIM_TAG_STREAM_KIND, STREAM_EXEC);
    wire_put_u64(&fields, SHIM_TAG_STREAM_FLAGS, STREAM_STDOUT);
    wire_put_string(&fields, SHIM_TAG_CONTAINER, "long");
    wire_put_string(&fields, SHIM_TAG_PROCESS,
                    "{\"terminal\":false,\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/\",\"env\":[\"PATH=/"
                    "bin\"],\"args\":[\"/bin/absent\"]}");
    autofree char *url = xasprintf("http://h:1/exec/%s-%s", stage.pod.id, secret);
    assert_int_equal(bench_call(&stage.pod, 0, SHIM_STREAM_TOKEN, &fields, NULL), 0);
    check(stream_peer_init(&peer, stage.pod.bench->state, url, STREAM_STDOUT));
    struct error *failure = stream_peer_start(&peer);
    assert_non_null(failure);
    assert_non_null(strstr(failure->text, "absent"));
    expect_code(failure, ERROR_INTERNAL);
    stream_peer_fini(&peer);
    expect_nothing_kept(&stage, fds);
    stage_close(&stage);
}

/* As the peers have it: what runs goes on, with nobody at the other ends. */
static void a_command_outlives_its_stream_process(void **state)
{
    struct stream_peer peer;
    struct stage stage;
    char output[64];
    int status;

    stage_open(&stage, *state, "outlives", crun);
    size_t fds = shim_fds(&stage);
    session_init(&stage, &peer, STREAM_EXEC, ALL,
                 "trap '' PIPE; echo ready; cat; echo in vain; echo went on > /tmp/mark");
    check(stream_peer_start(&peer));
    check(stream_peer_wait_output(&peer, 1, "ready"));
    stream_peer_fini(&peer);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(bench_exec(&stage.pod, 0, "long", "cat /tmp/mark", 0, &status, output, sizeof(output)), 0);
        if (status == 0 && output[0])
            break;
        bench_sleep(stage.pod.bench, 10);
    }
    assert_string_equal(output, "went on\n");
    expect_nothing_kept(&stage, fds);
    stage_close(&stage);
}

/* The shim closes a session's connection a moment after its client has. */
static void expect_fewer_fds(struct stage *stage, size_t fds)
{
    int64_t until_ns = clock_boottime_ns() + LIMIT_S * INT64_C(1000000000);

    while (shim_fds(stage) >= fds && clock_boottime_ns() < until_ns)
        bench_pod_listen(&stage->pod, 5);
    assert_true(shim_fds(stage) < fds);
}

static void a_container_goes_with_its_sessions_open(void **state)
{
    struct stream_peer running, unused;
    struct stage stage;

    stage_open(&stage, *state, "goes", crun);
    size_t fds = shim_fds(&stage);
    session_init(&stage, &running, STREAM_EXEC, ALL, "echo ready; cat");
    session_init(&stage, &unused, STREAM_EXEC, ALL, "cat");
    check(stream_peer_start(&running));
    check(stream_peer_wait_output(&running, 1, "ready"));
    assert_int_equal(bench_simple(&stage.pod, SHIM_DELETE, "long"), 0);
    check(stream_peer_wait_end(&running));
    assert_int_equal(running.ended.wait_status, SIGKILL);
    expect_code(stream_peer_open(&unused), ERROR_NOT_FOUND);
    stream_peer_fini(&running);
    stream_peer_fini(&unused);
    expect_nothing_kept(&stage, 0);
    expect_fewer_fds(&stage, fds);
    stage_close(&stage);
}

static void a_pod_goes_with_its_sessions_open(void **state)
{
    struct stream_peer command, forward;
    struct stage stage;

    stage_open(&stage, *state, "podgoes", crun);
    session_init(&stage, &command, STREAM_EXEC, ALL, "echo ready; cat");
    session_init(&stage, &forward, STREAM_PORT_FORWARD, 0, NULL);
    check(stream_peer_start(&command));
    check(stream_peer_wait_output(&command, 1, "ready"));
    check(stream_peer_open(&forward));
    command.turn = forward.turn = NULL;
    stage_close(&stage);
    check(stream_peer_wait_end(&command));
    assert_int_equal(command.ended.wait_status, SIGKILL);
    stream_peer_pump(&forward, 10);
    assert_true(forward.has_failed);
    assert_int_equal(forward.failed.code, ERROR_NOT_FOUND);
    stream_peer_fini(&command);
    stream_peer_fini(&forward);
}

static void many_at_once(void **state)
{
    struct stream_peer *peers = xcalloc(MANY, sizeof(*peers));
    struct stage stage;
    char out[32];

    stage_open(&stage, *state, "many", crun);
    size_t fds = shim_fds(&stage);
    for (int i = 0; i < MANY; i++) {
        autofree char *script = xasprintf("read x; echo %d $x; exit %d", i, i % 120);
        session_init(&stage, &peers[i], STREAM_EXEC, ALL, script);
        check(stream_peer_open(&peers[i]));
        peers[i].turn = NULL;
    }
    for (int i = 0; i < MANY; i++) /* all runtimes at once */
        stream_peer_begin(&peers[i]);
    for (int i = 0; i < MANY; i++)
        check(stream_peer_start(&peers[i]));
    for (int i = 0; i < MANY; i++) {
        check(stream_peer_write(&peers[i], "hello\n"));
        snprintf(out, sizeof(out), "%d hello\n", i);
        expect_end(&peers[i], i % 120, out, "");
        stream_peer_fini(&peers[i]);
    }
    expect_nothing_kept(&stage, fds);
    stage_close(&stage);
    free(peers);
}

/* --- port-forward ------------------------------------------------------------------------------------------------- */

/* A listener of this process's in the pod's network. */
static int listen_there(const struct stage *stage, int family, unsigned *ret_port)
{
    autofree char *path = xasprintf("%s/shim/%s/netns", stage->pod.bench->state, stage->pod.id);
    autoclose int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    autoclose int there = open(path, O_RDONLY | O_CLOEXEC);
    struct sockaddr_in6 of_6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in of_4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool is_4 = family == AF_INET;
    socklen_t size = is_4 ? sizeof(of_4) : sizeof(of_6);
    struct sockaddr *address = is_4 ? (struct sockaddr *)&of_4 : (struct sockaddr *)&of_6;

    assert_int_equal(setns(there, CLONE_NEWNET), 0);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = bind(fd, address, size) || listen(fd, 8) || getsockname(fd, address, &size);
    assert_int_equal(setns(home, CLONE_NEWNET), 0);
    assert_int_equal(failed, 0);
    *ret_port = ntohs(is_4 ? of_4.sin_port : of_6.sin6_port);
    return fd;
}

static void exchange(struct stage *stage, struct stream_peer *peer, int family)
{
    unsigned port;
    char text[8] = "";
    int fd;

    autoclose int listener = listen_there(stage, family, &port);
    check(stream_peer_connect(peer, port, family, &fd));
    autoclose int served = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(served >= 0);
    assert_int_equal(write(fd, "ping", 4), 4);
    assert_int_equal(read(served, text, sizeof(text)), 4);
    assert_string_equal(text, "ping");
    assert_int_equal(write(served, "pong!", 5), 5);
    shutdown(served, SHUT_WR);
    assert_int_equal(read(fd, text, sizeof(text)), 5);
    assert_int_equal(read(fd, text, sizeof(text)), 0);
    close(fd);
}

static void ports_of_the_pods_network_are_reached(void **state)
{
    struct stream_peer peer;
    struct stage stage;
    int fd;

    stage_open(&stage, *state, "ports", NULL);
    size_t fds = shim_fds(&stage);
    session_init(&stage, &peer, STREAM_PORT_FORWARD, 0, NULL);
    check(stream_peer_open(&peer));
    exchange(&stage, &peer, AF_INET);
    exchange(&stage, &peer, AF_INET6);
    expect_code(stream_peer_connect(&peer, 9, AF_INET, &fd), ERROR_UNAVAILABLE);
    expect_code(stream_peer_connect(&peer, 0, AF_INET, &fd), ERROR_INVALID_ARGUMENT);
    expect_code(stream_peer_connect(&peer, 65536, AF_INET, &fd), ERROR_INVALID_ARGUMENT);
    expect_code(stream_peer_connect(&peer, 80, AF_UNIX, &fd), ERROR_INVALID_ARGUMENT);
    bench_pod_kill_shim(&stage.pod);
    exchange(&stage, &peer, AF_INET); /* the successor makes it */
    stream_peer_fini(&peer);
    expect_nothing_kept(&stage, fds);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exec_has_its_stdio_and_tells_its_code_crun),
        cmocka_unit_test(an_exec_has_its_stdio_and_tells_its_code_runc),
        cmocka_unit_test(a_terminal_is_resized),
        cmocka_unit_test(a_command_that_is_not_there_is_an_error),
        cmocka_unit_test(a_command_outlives_its_stream_process),
        cmocka_unit_test(a_container_goes_with_its_sessions_open),
        cmocka_unit_test(a_pod_goes_with_its_sessions_open),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(ports_of_the_pods_network_are_reached),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, bench_fixture_open, bench_fixture_close);
}
