/* Port-forwards by SPDY, by WebSocket, and by one in the other: many at once, both ways, refused, and over a shim's
 * death. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/memory.h"
#include "services/criapi/stream/spdy_frame.h"
#include "tests/integration/stream/bench.h"

struct pair {
    uint32_t error, data;
};

static struct pair forward(struct spdy_client *client, uint16_t port, unsigned id)
{
    autofree char *request_id = xasprintf("%u", id);
    struct pair pair;

    pair.error = spdy_client_stream_to(client, "error", port, request_id);
    spdy_client_send(client, pair.error, "", 0, true); /* as kubectl does */
    pair.data = spdy_client_stream_to(client, "data", port, request_id);
    assert_true(pair.error && pair.data);
    return pair;
}

static void many_connections_to_many_ports_are_carried_at_once(void **state)
{
    enum { COUNT = 60 };
    struct spdy_client *client = bench_forward(*state);
    uint16_t echo_port, count_port;
    struct server *echo = server_new(SERVER_ECHO, false, &echo_port),
                  *count = server_new(SERVER_EOF_COUNT, false, &count_port);
    struct pair pairs[COUNT];
    char text[COUNT][32];

    for (unsigned i = 0; i < COUNT; i++) {
        pairs[i] = forward(client, i % 2 ? count_port : echo_port, i);
        snprintf(text[i], sizeof(text[i]), "connection %u", i);
        spdy_client_send(client, pairs[i].data, text[i], strlen(text[i]), false);
    }
    for (unsigned i = 0; i < COUNT; i++) /* the echo's end stays open: each way ends by itself */
        spdy_client_send(client, pairs[i].data, ".", 1, true);
    for (unsigned i = 0; i < COUNT; i++) {
        char expected[48];
        if (i % 2)
            snprintf(expected, sizeof(expected), "%zu bytes\n", strlen(text[i]) + 1);
        else
            snprintf(expected, sizeof(expected), "%s.", text[i]);
        assert_string_equal(spdy_client_all(client, pairs[i].data, NULL), expected);
        assert_string_equal(spdy_client_all(client, pairs[i].error, NULL), "");
    }
    spdy_client_free(client);
    server_free(echo);
    server_free(count);
}

static void a_port_that_is_refused_is_an_error_of_that_connection(void **state)
{
    struct bench *bench = *state;
    struct spdy_client *client = bench_forward(bench);
    uint16_t port, closed;
    struct server *greeting = server_new(SERVER_GREETING, false, &port),
                  *gone = server_new(SERVER_ECHO, false, &closed);

    server_free(gone);
    struct pair refused = forward(client, closed, 1), good = forward(client, port, 2);
    autofree char *words = xasprintf("failed to connect to localhost:%u inside namespace", closed);
    const char *text = spdy_client_all(client, refused.error, NULL);
    assert_non_null(strstr(text, words));
    assert_non_null(strstr(text, "IPv4: Connection refused"));
    assert_string_equal(spdy_client_all(client, refused.data, NULL), "");
    assert_true(spdy_client_reset_status(client, refused.data) != 0);
    assert_string_equal(spdy_client_all(client, good.data, NULL), "welcome\n");
    assert_string_equal(spdy_client_all(client, good.error, NULL), "");
    spdy_client_free(client);
    server_free(greeting);
}

static void a_server_that_listens_on_ipv6_alone_is_found(void **state)
{
    struct spdy_client *client = bench_forward(*state);
    uint16_t port;
    struct server *server = server_new(SERVER_GREETING, true, &port);
    struct pair pair = forward(client, port, 1);

    assert_string_equal(spdy_client_all(client, pair.data, NULL), "welcome\n");
    spdy_client_free(client);
    server_free(server);
}

static void streams_without_a_request_id_are_paired_by_their_numbers(void **state)
{
    struct spdy_client *client = bench_forward(*state);
    uint16_t port;
    struct server *server = server_new(SERVER_GREETING, false, &port);
    autofree char *number = xasprintf("%u", port);

    for (int i = 0; i < 2; i++) {
        spdy_client_stream(client, (const char *const[]){"streamtype", "error", "port", number, NULL});
        uint32_t data = spdy_client_stream(client, (const char *const[]){"port", number, "streamtype", "data", NULL});
        assert_string_equal(spdy_client_all(client, data, NULL), "welcome\n");
    }
    spdy_client_free(client);
    server_free(server);
}

static void streams_that_make_no_sense_are_refused(void **state)
{
    struct spdy_client *client = bench_forward(*state);
    static const char *const wrong[][5] = {
        {"streamtype", "data", NULL},
        {"streamtype", "data", "port", "0", NULL},
        {"streamtype", "data", "port", "65536", NULL},
        {"streamtype", "data", "port", "-1", NULL},
        {"streamtype", "data", "port", "80x", NULL},
        {"streamtype", "stdin", "port", "80", NULL},
        {"port", "80", NULL},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(spdy_client_stream(client, wrong[i]), 0);
    spdy_client_ping(client, 3); /* the session lives on */
    spdy_client_free(client);
}

static void connections_outlive_the_shim_and_new_ones_wait_for_its_successor(void **state)
{
    struct bench *bench = *state;
    struct spdy_client *client = bench_forward(bench);
    uint16_t port;
    struct server *server = server_new(SERVER_ECHO, false, &port);
    struct pair before = forward(client, port, 1);

    spdy_client_send(client, before.data, "a", 1, false);
    spdy_client_wait(client, before.data, 1);
    stream_shim_die(bench->shim);
    spdy_client_send(client, before.data, "b", 1, false);
    spdy_client_wait(client, before.data, 2);
    struct pair meanwhile = forward(client, port, 2);
    spdy_client_send(client, meanwhile.data, "c", 1, true);
    stream_shim_return(bench->shim);
    assert_string_equal(spdy_client_all(client, meanwhile.data, NULL), "c");
    spdy_client_free(client);
    server_free(server);
}

static void a_pod_that_stops_ends_all_connections_and_the_session(void **state)
{
    struct bench *bench = *state;
    struct spdy_client *client = bench_forward(bench);
    uint16_t port;
    struct server *server = server_new(SERVER_ECHO, false, &port);
    struct pair pair = forward(client, port, 1);

    spdy_client_send(client, pair.data, "a", 1, false);
    spdy_client_wait(client, pair.data, 1);
    stream_shim_end_pod(bench->shim);
    assert_non_null(strstr(spdy_client_all(client, pair.error, NULL), "the pod is stopped"));
    while (spdy_client_read(client))
        ;
    assert_int_equal(spdy_client_goaway(client), 0);
    spdy_client_free(client);
    server_free(server);
}

static void a_client_that_resets_a_connection_closes_it_and_no_other(void **state)
{
    struct spdy_client *client = bench_forward(*state);
    uint16_t port;
    struct server *server = server_new(SERVER_ECHO, false, &port);
    struct pair one = forward(client, port, 1), two = forward(client, port, 2);

    spdy_client_send(client, one.data, "x", 1, false);
    spdy_client_wait(client, one.data, 1);
    spdy_client_reset(client, one.data);
    assert_string_equal(spdy_client_all(client, one.error, NULL), ""); /* kubectl waits for it */
    spdy_client_send(client, two.data, "y", 1, true);
    assert_string_equal(spdy_client_all(client, two.data, NULL), "y");
    spdy_client_free(client);
    server_free(server);
}

static void much_data_goes_through_a_slow_reader_at_a_bounded_cost(void **state)
{
    enum { SIZE = 24 << 20, PART = 1 << 16 };
    struct bench *bench = *state;
    struct spdy_client *client = bench_forward(bench);
    uint16_t port;
    struct server *server = server_new(SERVER_ECHO, false, &port);
    struct pair pair = forward(client, port, 1);
    autofree char *data = xcalloc(1, PART);
    size_t size, sent = 0;

    for (; sent < SIZE; sent += PART) {
        spdy_client_send(client, pair.data, data, PART, sent + PART == SIZE);
        if (sent > 8 * PART)
            spdy_client_wait(client, pair.data, sent - 8 * PART);
        assert_true(bench_memory_kib(bench) < 8192);
    }
    spdy_client_all(client, pair.data, &size);
    assert_int_equal(size, SIZE);
    spdy_client_free(client);
    server_free(server);
}

/* ---- WebSocket ---- */

static struct websocket_client *websocket_to(struct bench *bench, const char *query, const char *protocol,
                                             int *ret_status)
{
    autofree char *path = bench_path(bench, STREAM_PORT_FORWARD, 0, NULL);
    autofree char *with_query = xasprintf("%s?%s", path, query);

    return websocket_client_open(bench->port, with_query, protocol, ret_status);
}

static void a_websocket_has_two_channels_for_each_port_of_its_query(void **state)
{
    static const char *const protocols[] = {"v4.channel.k8s.io", "v4.base64.channel.k8s.io"};
    uint16_t port, closed;
    struct server *server = server_new(SERVER_GREETING, false, &port), *gone = server_new(SERVER_ECHO, false, &closed);
    autofree char *query = xasprintf("port=%u&port=%u", port, closed);

    server_free(gone);
    for (int i = 0; i < 2; i++) {
        int status;
        struct websocket_client *client = websocket_to(*state, query, protocols[i], &status);
        assert_int_equal(status, 101);
        const uint8_t *data = (const uint8_t *)websocket_client_wait(client, 0, 2 + 8);
        assert_int_equal(data[0] | data[1] << 8, port);
        assert_string_equal(data + 2, "welcome\n");
        const uint8_t *error = (const uint8_t *)websocket_client_wait(client, 3, 2 + 40);
        assert_int_equal(error[0] | error[1] << 8, closed);
        assert_non_null(strstr((const char *)error + 2, "failed to connect to localhost"));
        assert_int_equal(websocket_client_received(client, 1), 2);
        websocket_client_free(client);
    }
    server_free(server);
}

static void a_websocket_without_a_port_is_refused(void **state)
{
    static const char *const queries[] = {"", "port=", "port=0", "port=65536", "port=80,", "port=a", "port=80%2C-1"};

    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        int status;
        assert_null(websocket_to(*state, queries[i], "v4.channel.k8s.io", &status));
        assert_int_equal(status, 400);
    }
}

static void spdy_goes_through_a_websocket(void **state)
{
    struct bench *bench = *state;
    uint16_t port;
    struct server *server = server_new(SERVER_ECHO, false, &port);
    struct websocket_client *websocket =
        bench_websocket(bench, STREAM_PORT_FORWARD, 0, NULL, "SPDY/3.1+portforward.k8s.io");
    struct spdy_carrier carrier = {
        .read = websocket_client_raw_read, .write = websocket_client_raw_write, .argument = websocket};
    struct spdy_client *client = spdy_client_over(&carrier);
    autofree char *data = xcalloc(1, 300000);
    struct pair pairs[10];
    size_t size;

    for (unsigned i = 0; i < 10; i++)
        pairs[i] = forward(client, port, i);
    for (unsigned i = 0; i < 10; i++)
        spdy_client_send(client, pairs[i].data, data, 30000 * i, true);
    for (unsigned i = 0; i < 10; i++) {
        spdy_client_all(client, pairs[i].data, &size);
        assert_int_equal(size, 30000 * i);
    }
    spdy_client_bytes(client, "nonsense, nonsense", 18);
    while (spdy_client_read(client))
        ;
    assert_int_equal(spdy_client_goaway(client), SPDY_GOAWAY_PROTOCOL_ERROR);
    spdy_client_free(client);
    websocket_client_free(websocket);
    server_free(server);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        TEST(many_connections_to_many_ports_are_carried_at_once),
        TEST(a_port_that_is_refused_is_an_error_of_that_connection),
        TEST(a_server_that_listens_on_ipv6_alone_is_found),
        TEST(streams_without_a_request_id_are_paired_by_their_numbers),
        TEST(streams_that_make_no_sense_are_refused),
        TEST(connections_outlive_the_shim_and_new_ones_wait_for_its_successor),
        TEST(a_pod_that_stops_ends_all_connections_and_the_session),
        TEST(a_client_that_resets_a_connection_closes_it_and_no_other),
        TEST(much_data_goes_through_a_slow_reader_at_a_bounded_cost),
        TEST(a_websocket_has_two_channels_for_each_port_of_its_query),
        TEST(a_websocket_without_a_port_is_refused),
        TEST(spdy_goes_through_a_websocket),
    };

    signal(SIGPIPE, SIG_IGN);
    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
