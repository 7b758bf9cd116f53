/* Exec and attach by SPDY through a real `stream`: what comes out, in which order, what it may cost, and who may die in
 * between. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/criapi/stream/spdy_frame.h"
#include "tests/integration/stream/bench.h"

enum { OUT = STREAM_STDOUT, OUT_ERR = STREAM_STDOUT | STREAM_STDERR, ALL = OUT_ERR | STREAM_STDIN };
static const char success[] = "{\"metadata\":{},\"status\":\"Success\"}";

static void expect_all(struct spdy_client *client, uint32_t stream, const char *expected)
{
    assert_string_equal(spdy_client_all(client, stream, NULL), expected);
}

/* ---- exec ---- */

static void an_exec_gives_its_output_and_its_exit_code(void **state)
{
    struct bench_exec exec = bench_spdy(*state, STREAM_EXEC, OUT_ERR, "echo out; echo err >&2; exit 3");

    expect_all(exec.client, exec.out, "out\n");
    expect_all(exec.client, exec.err, "err\n");
    expect_all(
        exec.client, exec.error,
        "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with non-zero exit code: exit status "
        "3\","
        "\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"3\"}]}}");
    while (spdy_client_read(exec.client)) /* and then the connection's end */
        ;
    assert_int_equal(spdy_client_goaway(exec.client), 0);
    spdy_client_free(exec.client);
}

static void a_command_that_succeeds_or_dies_by_a_signal_says_so(void **state)
{
    struct bench_exec exec = bench_spdy(*state, STREAM_EXEC, OUT, "true");

    expect_all(exec.client, exec.error, success);
    spdy_client_free(exec.client);
    exec = bench_spdy(*state, STREAM_EXEC, OUT, "kill -9 $$");
    assert_non_null(
        strstr(spdy_client_all(exec.client, exec.error, NULL), "{\"reason\":\"ExitCode\",\"message\":\"137\"}"));
    spdy_client_free(exec.client);
}

static void older_protocols_have_the_status_in_words(void **state)
{
    static const char *const versions[] = {"channel.k8s.io", "v2.channel.k8s.io",
                                           "v9.channel.k8s.io, v3.channel.k8s.io"};
    struct bench *bench = *state;

    for (size_t i = 0; i < 3; i++) {
        autofree char *path = bench_path(bench, STREAM_EXEC, OUT, "echo x; exit 4");
        int status;
        struct spdy_client *client = spdy_client_open(bench->port, path, versions[i], &status);
        assert_int_equal(status, 101);
        uint32_t out = spdy_client_stream_of(client, "stdout"), error = spdy_client_stream_of(client, "error");
        expect_all(client, out, "x\n");
        expect_all(client, error, "command terminated with non-zero exit code: exit status 4");
        spdy_client_free(client);
    }
}

static void stdin_goes_in_whole_and_its_end_too(void **state)
{
    struct bench_exec exec = bench_spdy(*state, STREAM_EXEC, ALL, "cat");
    autofree char *data = xmalloc(1 << 20);
    size_t size;

    for (size_t i = 0; i < 1 << 20; i++)
        data[i] = (char)(i * 7 + (i >> 11));
    for (int i = 0; i < 16; i++) /* read meanwhile: the client has only one thread */
        spdy_client_send(exec.client, exec.in, data + (i << 16), 1 << 16, i == 15),
            spdy_client_wait(exec.client, exec.out, (size_t)i << 15);
    const char *back = spdy_client_all(exec.client, exec.out, &size);
    assert_int_equal(size, 1 << 20);
    assert_memory_equal(back, data, 1 << 20);
    assert_true(spdy_client_window_updates(exec.client, exec.in) >= 1 << 19); /* a client with windows could go on */
    expect_all(exec.client, exec.error, success);
    spdy_client_free(exec.client);
}

static void a_terminal_has_the_size_that_the_client_says(void **state)
{
    struct bench_exec exec =
        bench_spdy(*state, STREAM_EXEC, STREAM_TTY | STREAM_STDIN | OUT, "read x; stty size; exit 5");
    static const char sizes[] = "{\"Width\":10,\"Height\":20}\n{\"Width\":123,\"Height\":45}\n";

    spdy_client_send(exec.client, exec.resize, sizes, 7, false); /* in pieces */
    spdy_client_send(exec.client, exec.resize, sizes + 7, sizeof(sizes) - 8, false);
    spdy_client_ping(exec.client, 1); /* the sizes have been read */
    spdy_client_send(exec.client, exec.in, "go\n", 3, false);
    assert_non_null(strstr(spdy_client_all(exec.client, exec.out, NULL), "45 123"));
    assert_non_null(strstr(spdy_client_all(exec.client, exec.error, NULL), "\"message\":\"5\""));
    spdy_client_free(exec.client);
}

static void a_child_that_keeps_the_pipes_does_not_keep_the_session(void **state)
{
    struct bench_exec exec = bench_spdy(*state, STREAM_EXEC, OUT_ERR, "sleep 300 & echo parent; exit 2");

    expect_all(exec.client, exec.out, "parent\n");
    assert_non_null(strstr(spdy_client_all(exec.client, exec.error, NULL), "\"message\":\"2\""));
    spdy_client_free(exec.client);
}

static void a_command_that_cannot_start_is_an_error_of_its_session(void **state)
{
    struct bench_exec exec = bench_spdy(*state, STREAM_EXEC, OUT, NULL);
    const char *text = spdy_client_all(exec.client, exec.error, NULL);

    assert_non_null(strstr(text, "\"reason\":\"InternalError\""));
    assert_non_null(strstr(text, "error executing command in container: the container is not running"));
    spdy_client_free(exec.client);
}

/* ---- flow ---- */

static void a_client_that_does_not_read_costs_no_memory_and_loses_nothing(void **state)
{
    enum { SIZE = 48 << 20 };
    struct bench *bench = *state;
    struct bench_exec exec = bench_spdy(bench, STREAM_EXEC, OUT, "head -c 50331648 /dev/zero; echo end >&2");
    size_t size;

    stream_shim_wait_starts(bench->shim, 1);
    for (int i = 0; i < 20; i++) { /* it would grow by hundreds of megabytes a second */
        usleep(20000);
        assert_true(bench_memory_kib(bench) < 8192);
    }
    spdy_client_all(exec.client, exec.out, &size);
    assert_int_equal(size, SIZE);
    expect_all(exec.client, exec.error, success);
    spdy_client_free(exec.client);
}

static void a_command_that_does_not_read_costs_no_memory(void **state)
{
    struct bench *bench = *state;
    struct bench_exec exec = bench_spdy(bench, STREAM_EXEC, STREAM_STDIN | OUT, "exec sleep 300");
    autofree char *data = xcalloc(1, 1 << 20);
    int fd = spdy_client_fd(exec.client);
    struct spdy_frame frame = {.length = 0xffffff, .stream_id = exec.in}; /* one frame of 16 MB */
    uint8_t head[SPDY_HEAD_SIZE];

    spdy_frame_format(&frame, head);
    spdy_client_bytes(exec.client, head, sizeof(head));
    for (int i = 0; i < 16; i++)
        while (send(fd, data, 1 << 20, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
            ;
    for (int i = 0; i < 20; i++) {
        usleep(10000);
        send(fd, data, 1 << 20, MSG_DONTWAIT | MSG_NOSIGNAL);
        assert_true(bench_memory_kib(bench) < 8192);
    }
    spdy_client_free(exec.client); /* and with the client the session goes, although nothing more is read */
}

static void setting_send(struct spdy_client *client, uint32_t window)
{
    uint8_t payload[12];

    spdy_number_format(1, payload);
    spdy_number_format(SPDY_SETTING_INITIAL_WINDOW, payload + 4);
    spdy_number_format(window, payload + 8);
    spdy_client_control(client, SPDY_SETTINGS, 0, payload, sizeof(payload));
}

static void window_send(struct spdy_client *client, uint32_t stream, uint32_t delta)
{
    uint8_t payload[8];

    spdy_number_format(stream, payload);
    spdy_number_format(delta, payload + 4);
    spdy_client_control(client, SPDY_WINDOW_UPDATE, 0, payload, sizeof(payload));
}

static void a_client_with_windows_is_not_overrun(void **state)
{
    struct bench *bench = *state;
    autofree char *path = bench_path(bench, STREAM_EXEC, OUT, "head -c 300000 /dev/zero");
    int status;
    struct spdy_client *client = spdy_client_open(bench->port, path, "v4.channel.k8s.io", &status);
    size_t size;

    assert_int_equal(status, 101);
    setting_send(client, 1000);
    uint32_t out = spdy_client_stream_of(client, "stdout"), error = spdy_client_stream_of(client, "error");
    spdy_client_wait(client, out, 1000);
    for (uint32_t id = 1; id < 20; id += 2)
        spdy_client_ping(client, id);
    assert_int_equal(spdy_client_received(client, out), 1000);
    window_send(client, out, 50000);
    spdy_client_wait(client, out, 51000);
    spdy_client_ping(client, 21);
    assert_int_equal(spdy_client_received(client, out), 51000);
    window_send(client, 0, 1); /* from now on the session's window of 64 KiB counts, too */
    window_send(client, out, 1000000);
    spdy_client_wait(client, out, 65537);
    spdy_client_ping(client, 23);
    assert_int_equal(spdy_client_received(client, out), 65537);
    window_send(client, 0, 1000000);
    spdy_client_all(client, out, &size);
    assert_int_equal(size, 300000);
    expect_all(client, error, success);
    spdy_client_free(client);
}

static void what_is_in_the_pipe_at_the_end_comes_before_the_status(void **state)
{
    struct bench *bench = *state;
    autofree char *path = bench_path(bench, STREAM_EXEC, OUT, "head -c 30000 /dev/zero");
    int status;
    struct spdy_client *client = spdy_client_open(bench->port, path, "v4.channel.k8s.io", &status);
    size_t size;

    assert_int_equal(status, 101);
    setting_send(client, 1000);
    uint32_t out = spdy_client_stream_of(client, "stdout"), error = spdy_client_stream_of(client, "error");
    stream_shim_wait_ends(bench->shim, 1);
    spdy_client_ping(client, 1); /* the session knows of the end, and has no room for the rest */
    assert_int_equal(spdy_client_received(client, error), 0);
    window_send(client, out, 100000);
    spdy_client_all(client, out, &size);
    assert_int_equal(size, 30000);
    expect_all(client, error, success);
    spdy_client_free(client);
}

/* ---- the shim's death ---- */

static void a_shim_that_dies_costs_an_exec_nothing(void **state)
{
    struct bench *bench = *state;
    struct bench_exec exec = bench_spdy(bench, STREAM_EXEC, ALL, "cat; exit 6");
    unsigned opens = 1;

    spdy_client_send(exec.client, exec.in, "a", 1, false);
    spdy_client_wait(exec.client, exec.out, 1);
    for (int i = 0; i < 3; i++) {
        stream_shim_die(bench->shim);
        spdy_client_send(exec.client, exec.in, "b", 1, false); /* bytes go on without a shim */
        spdy_client_wait(exec.client, exec.out, 2 + (size_t)i);
        stream_shim_return(bench->shim);
        stream_shim_wait_opens(bench->shim, ++opens);
    }
    stream_shim_die(bench->shim);
    spdy_client_send(exec.client, exec.in, "", 0, true); /* it ends while there is no shim */
    stream_shim_return(bench->shim);
    expect_all(exec.client, exec.out, "abbb");
    assert_non_null(strstr(spdy_client_all(exec.client, exec.error, NULL), "\"message\":\"6\""));
    spdy_client_free(exec.client);
}

static void an_exec_that_is_lost_with_its_shim_ends_with_an_error(void **state)
{
    struct bench *bench = *state;
    struct bench_exec exec = bench_spdy(bench, STREAM_EXEC, OUT, "echo said; exec sleep 300");

    spdy_client_wait(exec.client, exec.out, 5);
    stream_shim_forget(bench->shim);
    stream_shim_die(bench->shim);
    stream_shim_return(bench->shim);
    expect_all(exec.client, exec.out, "said\n");
    assert_non_null(strstr(spdy_client_all(exec.client, exec.error, NULL), "the exec was lost with its shim"));
    spdy_client_free(exec.client);
}

static void a_pod_that_goes_away_ends_the_session(void **state)
{
    struct bench *bench = *state;
    struct bench_exec exec = bench_spdy(bench, STREAM_EXEC, OUT, "echo said; exec sleep 300");
    autofree char *directory = xasprintf("%s/shim", bench->state), *away = xasprintf("%s/away", bench->state);

    spdy_client_wait(exec.client, exec.out, 5);
    assert_int_equal(rename(directory, away), 0);
    stream_shim_die(bench->shim);
    assert_non_null(strstr(spdy_client_all(exec.client, exec.error, NULL), "the pod is gone"));
    spdy_client_free(exec.client);
    assert_int_equal(rename(away, directory), 0);
}

static void a_session_waits_for_a_shim_that_is_not_there_yet(void **state)
{
    struct bench *bench = *state;
    autofree char *path = bench_path(bench, STREAM_EXEC, OUT, "echo later");
    autofree char *request = xasprintf("POST %s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
                                       "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n",
                                       path);

    stream_shim_die(bench->shim);
    int fd = tcp_dial("127.0.0.1", bench->port);
    assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
    bench_wait_notified(bench, "STATUS=connected");
    stream_shim_return(bench->shim);
    autofree char *head = http_ask(fd, "");
    assert_int_equal(http_status(head), 101);
    close(fd);
}

/* ---- attach ---- */

static void an_attached_client_sees_output_and_gives_input_until_the_end(void **state)
{
    struct bench *bench = *state;
    struct bench_exec attach = bench_spdy(bench, STREAM_ATTACH, ALL, NULL);
    char input[16];

    stream_shim_output(bench->shim, 1, "out", 3);
    stream_shim_output(bench->shim, 2, "err", 3);
    spdy_client_wait(attach.client, attach.out, 3);
    spdy_client_send(attach.client, attach.in, "typed", 5, false);
    assert_int_equal(stream_shim_input(bench->shim, input, sizeof(input)), 5);
    stream_shim_output(bench->shim, 1, " last", 5);
    stream_shim_end_attach(bench->shim, 0, "");
    expect_all(attach.client, attach.out, "out last");
    expect_all(attach.client, attach.err, "err");
    expect_all(attach.client, attach.error, success);
    spdy_client_free(attach.client);
}

static void stdin_once_ends_with_the_clients_and_otherwise_not(void **state)
{
    struct bench *bench = *state;
    struct bench_exec attach = bench_spdy(bench, STREAM_ATTACH, STREAM_STDIN | OUT, NULL);
    char input[16];

    spdy_client_send(attach.client, attach.in, "a", 1, true);
    assert_int_equal(stream_shim_input(bench->shim, input, sizeof(input)), 1);
    spdy_client_free(attach.client);
    attach = bench_spdy(bench, STREAM_ATTACH, STREAM_STDIN | OUT | STREAM_STDIN_ONCE, NULL);
    spdy_client_send(attach.client, attach.in, "b", 1, true);
    assert_int_equal(stream_shim_input(bench->shim, input, sizeof(input)),
                     1); /* the first client's end ended nothing */
    assert_int_equal(stream_shim_input(bench->shim, input, sizeof(input)), 0);
    spdy_client_free(attach.client);
}

static void an_attached_session_outlives_its_shim(void **state)
{
    struct bench *bench = *state;
    struct bench_exec attach = bench_spdy(bench, STREAM_ATTACH, STREAM_STDIN | OUT, NULL);
    char input[16];

    stream_shim_output(bench->shim, 1, "one ", 4);
    stream_shim_die(bench->shim);
    stream_shim_output(bench->shim, 1, "two ", 4); /* logd lives on */
    stream_shim_return(bench->shim);
    stream_shim_wait_starts(bench->shim, 2);
    stream_shim_output(bench->shim, 1, "three", 5);
    spdy_client_send(attach.client, attach.in, "typed", 5, false);
    assert_int_equal(stream_shim_input(bench->shim, input, sizeof(input)), 5);
    stream_shim_end_attach(bench->shim, ERROR_RESOURCE_EXHAUSTED, "too slow");
    expect_all(attach.client, attach.out, "one two three");
    assert_non_null(
        strstr(spdy_client_all(attach.client, attach.error, NULL), "error attaching to container: too slow"));
    spdy_client_free(attach.client);
}

static void an_attached_terminal_is_sized_and_typed_at(void **state)
{
    struct bench *bench = *state;
    struct bench_exec attach = bench_spdy(bench, STREAM_ATTACH, STREAM_TTY | STREAM_STDIN | OUT, NULL);
    char input[16];

    spdy_client_send(attach.client, attach.resize, "{\"Width\":80,\"Height\":25}", 24, false);
    assert_int_equal(stream_shim_terminal_size(bench->shim, 0), 80 << 16 | 25);
    spdy_client_send(attach.client, attach.in, "line\n", 5, false);
    assert_int_equal(stream_shim_input(bench->shim, input, sizeof(input)), 5);
    spdy_client_free(attach.client);
}

/* ---- the client's end ---- */

static void a_client_that_goes_takes_its_session_with_it(void **state)
{
    struct bench *bench = *state;
    struct bench_exec exec = bench_spdy(bench, STREAM_EXEC, ALL, "cat; kill -STOP $$");

    spdy_client_send(exec.client, exec.in, "x", 1, false);
    spdy_client_wait(exec.client, exec.out, 1);
    spdy_client_free(exec.client);
    assert_int_equal(bench_wait(bench, bench->sessions[0]), 0);
    struct bench_exec attach = bench_spdy(bench, STREAM_ATTACH, OUT, NULL);
    struct linger now = {.l_onoff = 1};
    setsockopt(spdy_client_fd(attach.client), SOL_SOCKET, SO_LINGER, &now, sizeof(now)); /* by RST */
    spdy_client_free(attach.client);
    assert_int_equal(bench_wait(bench, bench->sessions[1]), 0);
}

static void a_session_in_which_nothing_moves_is_ended(void **state)
{
    struct bench *bench = *state;

    bench_configure(bench, "{\"stream_idle_timeout_seconds\": 1}");
    struct bench_exec exec = bench_spdy(bench, STREAM_EXEC, OUT, "exec sleep 300");
    while (spdy_client_read(exec.client))
        ;
    assert_int_equal(bench_wait(bench, bench->sessions[0]), 0);
    spdy_client_free(exec.client);
}

static void sigterm_ends_a_spare_and_a_session(void **state)
{
    struct bench *bench = *state;
    struct bench_exec exec = bench_spdy(bench, STREAM_EXEC, OUT, "echo x; exec sleep 300");

    spdy_client_wait(exec.client, exec.out, 2);
    pid_t spare = bench_spare(bench);
    kill(spare, SIGTERM);
    kill(bench->sessions[0], SIGTERM);
    int status = bench_wait(bench, spare); /* 0, or the signal, where it came before the program was there */
    assert_true(status == 0 || status == SIGTERM);
    assert_non_null(strstr(spdy_client_all(exec.client, exec.error, NULL), "the session is ended by the node"));
    spdy_client_free(exec.client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_exec_gives_its_output_and_its_exit_code),
        TEST(a_command_that_succeeds_or_dies_by_a_signal_says_so),
        TEST(older_protocols_have_the_status_in_words),
        TEST(stdin_goes_in_whole_and_its_end_too),
        TEST(a_terminal_has_the_size_that_the_client_says),
        TEST(a_child_that_keeps_the_pipes_does_not_keep_the_session),
        TEST(a_command_that_cannot_start_is_an_error_of_its_session),
        TEST(a_client_that_does_not_read_costs_no_memory_and_loses_nothing),
        TEST(a_command_that_does_not_read_costs_no_memory),
        TEST(a_client_with_windows_is_not_overrun),
        TEST(what_is_in_the_pipe_at_the_end_comes_before_the_status),
        TEST(a_shim_that_dies_costs_an_exec_nothing),
        TEST(an_exec_that_is_lost_with_its_shim_ends_with_an_error),
        TEST(a_pod_that_goes_away_ends_the_session),
        TEST(a_session_waits_for_a_shim_that_is_not_there_yet),
        TEST(an_attached_client_sees_output_and_gives_input_until_the_end),
        TEST(stdin_once_ends_with_the_clients_and_otherwise_not),
        TEST(an_attached_session_outlives_its_shim),
        TEST(an_attached_terminal_is_sized_and_typed_at),
        TEST(a_client_that_goes_takes_its_session_with_it),
        TEST(a_session_in_which_nothing_moves_is_ended),
        TEST(sigterm_ends_a_spare_and_a_session),
    };

    signal(SIGPIPE, SIG_IGN);
    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
