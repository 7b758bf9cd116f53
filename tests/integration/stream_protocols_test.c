/* What `stream` answers to requests, good and bad, and exec and attach by WebSocket; what breaks the rules of either
 * protocol. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/criapi/stream/spdy_frame.h"
#include "tests/integration/stream/bench.h"

enum { OUT = STREAM_STDOUT, OUT_ERR = STREAM_STDOUT | STREAM_STDERR, ALL = OUT_ERR | STREAM_STDIN };
static const char success[] = "{\"metadata\":{},\"status\":\"Success\"}";
enum { CHANNEL_STDIN, CHANNEL_STDOUT, CHANNEL_STDERR, CHANNEL_STATUS, CHANNEL_RESIZE };

/* ---- requests ---- */

static const char upgrade_fields[] =
    "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n";

/* One request to a spare of its own: head and body of the answer. */
static char *ask(struct bench *bench, const char *request)
{
    bench_spare(bench);
    int fd = tcp_dial("127.0.0.1", bench->port);
    autofree char *head = http_ask(fd, request), *rest = http_rest(fd);

    close(fd);
    return xasprintf("%s%s", head, rest);
}

static void expect_answer(struct bench *bench, int status, const char *words, const char *method, const char *path,
                          const char *fields)
{
    autofree char *request = xasprintf("%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n", method, path, fields);
    autofree char *answer = ask(bench, request);

    assert_int_equal(http_status(answer), status);
    if (!strstr(answer, words))
        fail_msg("'%s' was to be in: %s", words, answer);
}

static void a_token_that_is_unknown_or_malformed_is_not_found(void **state)
{
    struct bench *bench = *state;
    static const char *const paths[] = {"/",
                                        "/exec",
                                        "/exec/",
                                        "/exec/abc",
                                        "/version",
                                        "/exec/c0ffee-0123456789abcdef0123456789abcde",
                                        "/exec/c0ffee-0123456789abcdef0123456789abcdef", /* no such pod */
                                        "/exec/../../etc-0123456789abcdef0123456789abcdef",
                                        "/exec/C0FFEE-0123456789abcdef0123456789abcdef",
                                        "/exec/%2e%2e-0123456789abcdef0123456789abcdef",
                                        "/exec/-0123456789abcdef0123456789abcdef",
                                        "/exec/c0ffee-0123456789abcdef0123456789abcdef/more"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        expect_answer(bench, 404, "404 page not found", "GET", paths[i], upgrade_fields);
}

static void a_token_is_good_for_one_session_of_its_kind(void **state)
{
    struct bench *bench = *state;
    autofree char *token = stream_shim_token(bench->shim, STREAM_EXEC, OUT, (const char *const[]){"true", NULL});
    autofree char *path = xasprintf("/exec/%s", token), *other = xasprintf("/attach/%s", token), *wrong = xstrdup(path);

    wrong[strlen(wrong) - 1] ^= 1;
    expect_answer(bench, 404, "404", "POST", wrong, upgrade_fields);
    expect_answer(bench, 404, "404", "POST", other, upgrade_fields);
    bench_spare(bench);
    int status;
    struct spdy_client *client = spdy_client_open(bench->port, path, "v4.channel.k8s.io", &status);
    assert_int_equal(status, 101);
    bench_wait_notified(bench, "READY=1\nSTATUS=exec container1");
    expect_answer(bench, 404, "404", "POST", path, upgrade_fields);
    spdy_client_free(client);
}

static void expect_refusal(struct bench *bench, int status, const char *words, const char *method, const char *fields)
{
    autofree char *token = stream_shim_token(bench->shim, STREAM_EXEC, OUT, NULL);
    autofree char *path = xasprintf("/exec/%s", token);

    expect_answer(bench, status, words, method, path, fields);
}

static void what_asks_for_no_protocol_of_ours_is_refused_as_upstream_does(void **state)
{
    struct bench *bench = *state;

    expect_refusal(bench, 405, "Allow: GET, POST", "PUT", upgrade_fields);
    expect_refusal(bench, 400, "header X-Stream-Protocol-Version does not exist", "GET", "");
    expect_refusal(bench, 400, "missing upgrade headers", "GET", "X-Stream-Protocol-Version: v4.channel.k8s.io\r\n");
    expect_refusal(bench, 403,
                   "X-Accepted-Stream-Protocol-Versions: v4.channel.k8s.io\r\n"
                   "X-Accepted-Stream-Protocol-Versions: v3.channel.k8s.io\r\n",
                   "POST", "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v9\r\n");
    expect_refusal(bench, 400, "has a body", "POST",
                   "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n"
                   "Content-Length: 5\r\n");
    expect_refusal(bench, 400, "Sec-WebSocket-Version: 13", "GET",
                   "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 12\r\n");
    expect_refusal(
        bench, 400, "challenge", "GET",
        "Connection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n");
    expect_refusal(bench, 403, "not supported", "GET",
                   "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: v9, chat\r\n");
}

static void a_head_that_is_malformed_or_too_large_is_refused(void **state)
{
    struct bench *bench = *state;
    autofree char *large = xmalloc(40000);

    autofree char *answer = ask(bench, "HELO example.org\r\n\r\n");
    assert_int_equal(http_status(answer), 400);
    memset(large, 'a', 39999);
    large[39999] = '\0';
    autofree char *request = xasprintf("GET / HTTP/1.1\r\nX: %s\r\n\r\n", large), *refusal = ask(bench, request);
    assert_int_equal(http_status(refusal), 431);
}

static void a_client_that_says_nothing_is_let_go(void **state)
{
    autofree char *answer = ask(*state, "GET /exec/ HTT");

    assert_int_equal(http_status(answer), 408);
}

/* ---- SPDY's rules ---- */

static void expect_goaway(struct bench *bench, const void *bytes, size_t size)
{
    struct bench_exec exec = bench_spdy(bench, STREAM_EXEC, OUT, "exec sleep 300");

    spdy_client_bytes(exec.client, bytes, size);
    while (spdy_client_read(exec.client))
        ;
    assert_int_equal(spdy_client_goaway(exec.client), SPDY_GOAWAY_PROTOCOL_ERROR);
    spdy_client_free(exec.client);
}

static void bytes_that_are_not_spdy_end_the_session_with_goaway(void **state)
{
    struct bench *bench = *state;

    expect_goaway(bench, "\x80\x02\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01", 12); /* version 2 */
    expect_goaway(bench, "\x00\x00\x00\x63\x00\x00\x00\x01x", 9);                 /* data for a stream never made */
    expect_goaway(bench, "\x00\x00\x00\x00\x00\x00\x00\x01x", 9);                 /* or for none */
    expect_goaway(bench, "\x80\x03\x00\x01\x00\xff\xff\xff", 8);                  /* a SYN_STREAM of 16 MB */
    expect_goaway(bench, "\x80\x03\x00\x01\x00\x00\x00\x0c\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x07\x07",
                  20);                                                        /* no zlib */
    expect_goaway(bench, "\x80\x03\x00\x06\x00\x00\x00\x03\x00\x00\x01", 11); /* a PING of 3 bytes */
}

static void a_stream_that_is_not_wanted_is_refused_alone(void **state)
{
    struct bench_exec exec = bench_spdy(*state, STREAM_EXEC, OUT | STREAM_STDIN, "cat");

    assert_int_equal(spdy_client_stream_of(exec.client, "stdout"), 0); /* a second one */
    assert_int_equal(spdy_client_stream_of(exec.client, "nonsense"), 0);
    assert_int_equal(spdy_client_stream(exec.client, (const char *const[]){"StreamType", "stderr", NULL}), 0);
    spdy_client_control(exec.client, 10, 0, "what?", 5); /* unknown frames are to be ignored */
    spdy_client_send(exec.client, exec.in, "still there", 11, true);
    assert_string_equal(spdy_client_all(exec.client, exec.out, NULL), "still there");
    spdy_client_free(exec.client);
}

static void a_client_that_resets_the_output_ends_the_pipe(void **state)
{
    struct bench_exec exec = bench_spdy(*state, STREAM_EXEC, OUT, "yes; echo >&2");

    spdy_client_wait(exec.client, exec.out, 100000);
    spdy_client_reset(exec.client, exec.out);
    assert_non_null(strstr(spdy_client_all(exec.client, exec.error, NULL), "\"status\":")); /* yes ends by SIGPIPE */
    spdy_client_free(exec.client);
}

static void pings_are_answered_and_a_flood_of_them_costs_no_memory(void **state)
{
    struct bench *bench = *state;
    struct bench_exec exec = bench_spdy(bench, STREAM_EXEC, OUT, "exec sleep 300");
    static const uint8_t ping[] = {0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1};
    uint8_t many[sizeof(ping) * 5000];

    spdy_client_ping(exec.client, 7);
    for (size_t i = 0; i < 5000; i++)
        memcpy(many + i * sizeof(ping), ping, sizeof(ping));
    for (int i = 0; i < 400; i++)
        send(spdy_client_fd(exec.client), many, sizeof(many), MSG_DONTWAIT | MSG_NOSIGNAL);
    usleep(100000);
    assert_true(bench_memory_kib(bench) < 8192);
    spdy_client_free(exec.client);
}

/* ---- WebSocket ---- */

static void an_exec_by_websocket_ends_with_status_and_close(void **state)
{
    static const char *const protocols[] = {"v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io"};

    for (size_t i = 0; i < 3; i++) {
        struct websocket_client *client =
            bench_websocket(*state, STREAM_EXEC, OUT_ERR, "echo out; echo err >&2; exit 7", protocols[i]);
        const char *status = websocket_client_all(client, CHANNEL_STATUS, NULL);
        assert_non_null(strstr(status, "{\"reason\":\"ExitCode\",\"message\":\"7\"}"));
        assert_string_equal(websocket_client_all(client, CHANNEL_STDOUT, NULL), "out\n");
        assert_string_equal(websocket_client_all(client, CHANNEL_STDERR, NULL), "err\n");
        assert_int_equal(websocket_client_close_code(client), 1000);
        websocket_client_free(client);
    }
}

static void older_websocket_protocols_have_the_status_in_words(void **state)
{
    static const char *const protocols[] = {"channel.k8s.io", "base64.channel.k8s.io", NULL};

    for (size_t i = 0; i < 3; i++) {
        struct websocket_client *client = bench_websocket(*state, STREAM_EXEC, OUT, "echo out; exit 7", protocols[i]);
        assert_string_equal(websocket_client_all(client, CHANNEL_STATUS, NULL),
                            "command terminated with non-zero exit code: exit status 7");
        assert_string_equal(websocket_client_all(client, CHANNEL_STDOUT, NULL), "out\n");
        websocket_client_free(client);
    }
}

static void v5_ends_stdin_by_a_close_message(void **state)
{
    struct websocket_client *client = bench_websocket(*state, STREAM_EXEC, ALL, "cat", "v5.channel.k8s.io");

    websocket_client_send(client, CHANNEL_STDIN, "to be echoed", 12);
    websocket_client_end(client, CHANNEL_STDIN);
    assert_string_equal(websocket_client_all(client, CHANNEL_STDOUT, NULL), "to be echoed");
    assert_string_equal(websocket_client_all(client, CHANNEL_STATUS, NULL), success);
    websocket_client_free(client);
}

static void messages_may_come_in_fragments_with_pings_between_them(void **state)
{
    struct websocket_client *client =
        bench_websocket(*state, STREAM_EXEC, STREAM_STDIN | OUT, "head -c 300000", "v4.channel.k8s.io");
    autofree uint8_t *data = xmalloc(100000);
    size_t size;

    memset(data, 'x', 100000);
    websocket_client_frame(client, WEBSOCKET_BINARY, false, true, "", 0);
    websocket_client_frame(client, WEBSOCKET_CONTINUATION, false, true, "\0", 1); /* the channel's number */
    websocket_client_frame(client, WEBSOCKET_PING, true, true, "there?", 6);
    for (int i = 0; i < 3; i++)
        websocket_client_frame(client, WEBSOCKET_CONTINUATION, i == 2, true, data, 100000);
    websocket_client_all(client, CHANNEL_STDOUT, &size);
    assert_int_equal(size, 300000);
    assert_int_equal(websocket_client_pongs(client), 1);
    websocket_client_free(client);
}

static void a_terminal_by_websocket_has_its_size(void **state)
{
    struct websocket_client *client = bench_websocket(*state, STREAM_EXEC, STREAM_TTY | STREAM_STDIN | OUT,
                                                      "read x; stty size", "v4.base64.channel.k8s.io");

    websocket_client_send(client, CHANNEL_RESIZE, "{\"Width\":99,\"Height\":33}", 24);
    websocket_client_send(client, CHANNEL_STDIN, "go\n", 3);
    assert_non_null(strstr(websocket_client_all(client, CHANNEL_STDOUT, NULL), "33 99"));
    websocket_client_free(client);
}

static void an_attach_by_websocket_sees_output_and_gives_input(void **state)
{
    struct bench *bench = *state;
    struct websocket_client *client =
        bench_websocket(bench, STREAM_ATTACH, ALL | STREAM_STDIN_ONCE, NULL, "v5.channel.k8s.io");
    char input[16];

    stream_shim_output(bench->shim, 1, "out", 3);
    websocket_client_wait(client, CHANNEL_STDOUT, 3);
    websocket_client_send(client, CHANNEL_STDIN, "typed", 5);
    assert_int_equal(stream_shim_input(bench->shim, input, sizeof(input)), 5);
    websocket_client_end(client, CHANNEL_STDIN);
    assert_int_equal(stream_shim_input(bench->shim, input, sizeof(input)), 0);
    stream_shim_end_attach(bench->shim, 0, "");
    assert_string_equal(websocket_client_all(client, CHANNEL_STATUS, NULL), success);
    websocket_client_free(client);
}

static void a_websocket_that_does_not_read_costs_no_memory_and_loses_nothing(void **state)
{
    struct bench *bench = *state;
    struct websocket_client *client =
        bench_websocket(bench, STREAM_EXEC, OUT, "head -c 20000000 /dev/zero", "v4.channel.k8s.io");
    size_t size;

    stream_shim_wait_starts(bench->shim, 1);
    for (int i = 0; i < 10; i++) {
        usleep(20000);
        assert_true(bench_memory_kib(bench) < 8192);
    }
    websocket_client_all(client, CHANNEL_STDOUT, &size);
    assert_int_equal(size, 20000000);
    assert_string_equal(websocket_client_all(client, CHANNEL_STATUS, NULL), success);
    websocket_client_free(client);
}

static void expect_close(struct bench *bench, int code, const char *protocol, enum websocket_opcode opcode,
                         bool is_masked, const void *data, size_t size)
{
    struct websocket_client *client = bench_websocket(bench, STREAM_EXEC, ALL, "exec sleep 300", protocol);

    websocket_client_frame(client, opcode, true, is_masked, data, size);
    while (websocket_client_read(client))
        ;
    assert_int_equal(websocket_client_close_code(client), code);
    websocket_client_free(client);
}

static void what_breaks_the_rules_of_websocket_is_answered_by_its_close_code(void **state)
{
    struct bench *bench = *state;

    expect_close(bench, 1002, "v4.channel.k8s.io", WEBSOCKET_BINARY, false, "\0x", 2); /* not masked */
    expect_close(bench, 1002, "v4.channel.k8s.io", WEBSOCKET_CONTINUATION, true, "\0x", 2);
    expect_close(bench, 1002, "v4.channel.k8s.io", (enum websocket_opcode)5, true, "\0x", 2);
    expect_close(bench, 1007, "v4.base64.channel.k8s.io", WEBSOCKET_TEXT, true, "0&&&&", 5);
    expect_close(bench, 1007, "v5.channel.k8s.io", WEBSOCKET_BINARY, true, "\xff\0\0", 3);
    expect_close(bench, 1000, "v5.channel.k8s.io", WEBSOCKET_CLOSE, true, "\x03\xe8", 2); /* and a goodbye by its own */
}

static void messages_for_channels_that_do_not_exist_are_dropped(void **state)
{
    struct websocket_client *client =
        bench_websocket(*state, STREAM_EXEC, STREAM_STDIN | OUT, "cat", "v5.channel.k8s.io");

    websocket_client_send(client, 77, "x", 1);
    websocket_client_send(client, CHANNEL_STDOUT, "x", 1);
    websocket_client_end(client, 78);
    websocket_client_frame(client, WEBSOCKET_BINARY, true, true, "", 0);
    websocket_client_send(client, CHANNEL_STDIN, "good", 4);
    websocket_client_end(client, CHANNEL_STDIN);
    assert_string_equal(websocket_client_all(client, CHANNEL_STDOUT, NULL), "good");
    websocket_client_free(client);
}

/* ---- rights ---- */

static void a_session_has_its_own_user_no_rights_and_one_thread(void **state)
{
    struct bench *bench = *state;
    struct bench_exec exec = bench_spdy(bench, STREAM_EXEC, OUT, "echo x; exec sleep 300");
    static const char *const lines[] = {"\nUid:\t61306\t61306\t61306\t61306\n",
                                        "\nGroups:\t",
                                        "\nThreads:\t1\n",
                                        "\nCapPrm:\t0000000000000000\n",
                                        "\nCapBnd:\t0000000000000000\n",
                                        "\nNoNewPrivs:\t1\n",
                                        "Name:\tstream-exec\n"};
    autofree char *path = xasprintf("/proc/%d/status", (int)bench->sessions[0]);
    autofree char *text = NULL;
    size_t size;

    spdy_client_wait(exec.client, exec.out, 2);
    check(file_read_all(path, 65536, &text, &size));
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (!strstr(text, lines[i]))
            fail_msg("'%s' was to be in: %s", lines[i], text);
    spdy_client_free(exec.client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_token_that_is_unknown_or_malformed_is_not_found),
        TEST(a_token_is_good_for_one_session_of_its_kind),
        TEST(what_asks_for_no_protocol_of_ours_is_refused_as_upstream_does),
        TEST(a_head_that_is_malformed_or_too_large_is_refused),
        TEST(a_client_that_says_nothing_is_let_go),
        TEST(bytes_that_are_not_spdy_end_the_session_with_goaway),
        TEST(a_stream_that_is_not_wanted_is_refused_alone),
        TEST(a_client_that_resets_the_output_ends_the_pipe),
        TEST(pings_are_answered_and_a_flood_of_them_costs_no_memory),
        TEST(an_exec_by_websocket_ends_with_status_and_close),
        TEST(older_websocket_protocols_have_the_status_in_words),
        TEST(v5_ends_stdin_by_a_close_message),
        TEST(messages_may_come_in_fragments_with_pings_between_them),
        TEST(a_terminal_by_websocket_has_its_size),
        TEST(an_attach_by_websocket_sees_output_and_gives_input),
        TEST(a_websocket_that_does_not_read_costs_no_memory_and_loses_nothing),
        TEST(what_breaks_the_rules_of_websocket_is_answered_by_its_close_code),
        TEST(messages_for_channels_that_do_not_exist_are_dropped),
        TEST(a_session_has_its_own_user_no_rights_and_one_thread),
    };

    signal(SIGPIPE, SIG_IGN);
    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
