/* Streaming sessions of a whole node by SPDY and WebSocket clients, as kubectl's and crictl's are, while each process
 * of the node is killed. */
#include <poll.h>
#include <signal.h>

#include "tests/integration/session_node.h"
#include "cli/clients/spdy_client.h"
#include "cli/clients/websocket_client.h"

enum { STDIN, STDOUT, STDERR, ERROR }; /* WebSocket's channels */

static const char idle[] = "while :; do sleep 1; done";
static const char parrot[] = "echo ready; while read x; do echo said $x; done; exit 33";
static const char *const victims[] = {"shim",   "sandboxd", "logd",   "supervisor",
                                      "keeper", "criapi",   "imaged", "backstop"};

/* "http://127.0.0.1:PORT/PATH" */
static const char *url_split(const char *url, uint16_t *ret_port)
{
    const char *port = strrchr(url, ':');

    assert_non_null(port);
    *ret_port = (uint16_t)atoi(port + 1);
    return strchr(port, '/');
}

/* A session by either protocol. */
struct client {
    struct spdy_client *spdy;
    struct websocket_client *websocket;
    uint32_t streams[4]; /* of SPDY, by WebSocket's numbers */
};

static void client_open(struct client *client, const char *url, bool is_spdy)
{
    uint16_t port;
    const char *path = url_split(url, &port);
    int status;

    *client = (struct client){0};
    if (!is_spdy) {
        client->websocket = websocket_client_open(port, path, "v5.channel.k8s.io", &status);
        assert_int_equal(status, 101);
        return;
    }
    client->spdy = spdy_client_open(port, path, "v4.channel.k8s.io", &status);
    assert_int_equal(status, 101);
    client->streams[ERROR] = spdy_client_stream_of(client->spdy, "error");
    client->streams[STDIN] = spdy_client_stream_of(client->spdy, "stdin");
    client->streams[STDOUT] = spdy_client_stream_of(client->spdy, "stdout");
    client->streams[STDERR] = spdy_client_stream_of(client->spdy, "stderr");
}

static void client_close(struct client *client)
{
    if (client->spdy)
        spdy_client_free(client->spdy);
    else
        websocket_client_free(client->websocket);
}

static void client_send(struct client *client, const char *text)
{
    if (client->spdy)
        spdy_client_send(client->spdy, client->streams[STDIN], text, strlen(text), false);
    else
        websocket_client_send(client->websocket, STDIN, text, strlen(text));
}

static void client_end_input(struct client *client)
{
    if (client->spdy)
        spdy_client_send(client->spdy, client->streams[STDIN], "", 0, true);
    else
        websocket_client_end(client->websocket, STDIN);
}

/* So much has come on stdout, and it is this. */
static void client_expect(struct client *client, const char *text)
{
    const char *got = client->spdy ? spdy_client_wait(client->spdy, client->streams[STDOUT], strlen(text))
                                   : websocket_client_wait(client->websocket, STDOUT, strlen(text));

    if (strncmp(got, text, strlen(text)) != 0)
        fail_msg("\"%s\" has come, not \"%s\"", got, text);
}

/* What the error channel says at the end. */
static const char *client_end(struct client *client)
{
    return client->spdy ? spdy_client_all(client->spdy, client->streams[ERROR], NULL)
                        : websocket_client_all(client->websocket, ERROR, NULL);
}

static void exec_open(struct client *client, struct scene *scene, const char *script, bool is_spdy)
{
    const char *const command[] = {"/bin/sh", "-c", script, NULL};
    autofree char *url = NULL;

    check(exec_url(scene->fixture, scene->id, command, ALL, &url));
    client_open(client, url, is_spdy);
}

/* --- exec --------------------------------------------------------------------------------------------------------- */

static void execs_over_kills(struct scene *scene, bool is_spdy)
{
    for (size_t i = 0; i < sizeof(victims) / sizeof(victims[0]); i++) {
        autofree char *line = xasprintf("%s\n", victims[i]);
        autofree char *said = xasprintf("ready\nsaid %s\n", victims[i]);
        struct client client;
        exec_open(&client, scene, parrot, is_spdy);
        client_expect(&client, "ready\n");
        check(node_kill(&scene->fixture->node, victims[i]));
        client_send(&client, line);
        client_expect(&client, said);
        client_end_input(&client);
        const char *end = client_end(&client);
        if (!strstr(end, "\"ExitCode\",\"message\":\"33\""))
            fail_msg("%s killed: \"%s\"", victims[i], end);
        client_close(&client);
        check(node_wait_ready(&scene->fixture->node));
    }
}

static void an_exec_by_spdy_lives_while_each_process_is_killed(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, "spdy", idle);
    execs_over_kills(&scene, true);
    scene_close(&scene);
}

static void an_exec_by_websocket_lives_while_each_process_is_killed(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, "websocket", idle);
    execs_over_kills(&scene, false);
    scene_close(&scene);
}

static void a_url_is_good_for_one_session(void **state)
{
    struct fixture *fixture = *state;
    const char *const command[] = {"echo", "once", NULL};
    autofree char *url = NULL;
    struct client client;
    struct scene scene;
    uint16_t port;
    int status = 0;

    scene_open(&scene, fixture, "once", idle);
    check(exec_url(fixture, scene.id, command, ALL, &url));
    check(node_kill(&fixture->node, "sandboxd")); /* it outlives who gave it out, and who keeps it */
    check(node_kill(&fixture->node, "shim"));
    client_open(&client, url, true);
    client_expect(&client, "once\n");
    assert_non_null(strstr(client_end(&client), "Success"));
    client_close(&client);
    const char *path = url_split(url, &port);
    assert_null(spdy_client_open(port, path, "v4.channel.k8s.io", &status));
    assert_int_equal(status, 404);
    scene_close(&scene);
}

/* The session is its process's: the command goes on, and the next session is served. */
static void a_stream_process_that_is_killed_costs_its_session_alone(void **state)
{
    struct fixture *fixture = *state;
    struct client cut, other;
    struct scene scene;

    scene_open(&scene, fixture, "streams", idle);
    exec_open(&other, &scene, parrot, true);
    client_expect(&other, "ready\n");
    check(node_kill(&fixture->node, "stream")); /* one of two or three: the spare too costs nothing */
    exec_open(&cut, &scene, "trap '' PIPE; echo ready; cat; echo on > /on", false);
    client_expect(&cut, "ready\n");
    client_close(&cut);
    int64_t until_ns = clock_boottime_ns() + SESSION_LIMIT_S * INT64_C(1000000000);
    for (;;) {
        autofree char *output = script_output(fixture, scene.id, "cat /on 2>/dev/null; true", 0);
        if (!strcmp(output, "on\n"))
            break;
        assert_true(clock_boottime_ns() < until_ns);
        usleep(10000);
    }
    client_close(&other);
    scene_close(&scene);
}

/* --- attach ------------------------------------------------------------------------------------------------------- */

static void an_attach_lives_while_each_process_is_killed(void **state)
{
    struct fixture *fixture = *state;
    autofree char *expected = xstrdup("");
    autofree char *url = NULL;
    struct client client;
    struct scene scene;

    failpoint_set("stream-awaited-limit", "60000"); /* on a busy machine the kills come closer than it takes to join */
    scene_make(&scene, fixture, "attach", parrot + strlen("echo ready; "));
    scene.container.config.stdin = scene.container.config.stdin_once = true;
    scene_start(&scene);
    check(attach_url(fixture, scene.id, ALL, &url));
    client_open(&client, url, true);
    for (size_t i = 0; i < sizeof(victims) / sizeof(victims[0]); i++) {
        autofree char *line = xasprintf("%s\n", victims[i]);
        autofree char *before = expected;
        expected = xasprintf("%ssaid %s\n", before, victims[i]);
        check(node_kill(&fixture->node, victims[i]));
        client_send(&client, line);
        client_expect(&client, expected);
        check(node_wait_ready(&fixture->node));
    }
    client_end_input(&client); /* once: the container sees its end, and ends */
    struct workload_state end;
    check(workload_wait_exit(&fixture->work, scene.id, &end));
    assert_int_equal(end.exit_code, 33);
    client_end(&client);
    client_expect(&client, expected);
    client_close(&client);
    scene_close(&scene);
}

/* --- port-forward ------------------------------------------------------------------------------------------------- */

static void a_forwarded_connection_lives_while_each_process_is_killed(void **state)
{
    static const char *const server[] = {"/bin/sh", "-c", "while :; do nc -l -p 8080 -e cat; done", NULL};
    struct fixture *fixture = *state;
    struct container_request container;
    struct pod_request pod;
    autofree char *url = NULL;
    uint32_t data = 0;
    size_t size = 0;
    uint16_t port;
    int status;

    char *pod_id = pod_begin_plain(fixture, &pod, "forward", false);
    container_request_init(&container, &pod, pod_id, "server", busybox, server);
    char *id = container_begin(fixture, &container);
    script_output(fixture, id, "while ! netstat -ltn | grep -q :8080; do usleep 10000; done", 0);
    check(forward_url(fixture, pod_id, &url));
    const char *path = url_split(url, &port);
    struct spdy_client *client = spdy_client_open(port, path, "portforward.k8s.io", &status);
    assert_int_equal(status, 101);
    uint32_t error = spdy_client_stream_to(client, "error", 8080, "1");
    data = spdy_client_stream_to(client, "data", 8080, "1");
    assert_true(error && data);
    for (size_t i = 0; i < sizeof(victims) / sizeof(victims[0]); i++) {
        check(node_kill(&fixture->node, victims[i]));
        spdy_client_send(client, data, victims[i], strlen(victims[i]), false);
        size += strlen(victims[i]);
        const char *got = spdy_client_wait(client, data, size);
        assert_string_equal(got + size - strlen(victims[i]), victims[i]);
        check(node_wait_ready(&fixture->node));
    }
    spdy_client_send(client, data, "", 0, true);
    spdy_client_all(client, data, &size);
    spdy_client_free(client);
    free(id);
    pod_end(fixture, pod_id);
    container_request_fini(&container);
    pod_request_fini(&pod);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(an_exec_by_spdy_lives_while_each_process_is_killed),
        NODE_TEST(an_exec_by_websocket_lives_while_each_process_is_killed),
        NODE_TEST(a_url_is_good_for_one_session),
        NODE_TEST(a_stream_process_that_is_killed_costs_its_session_alone),
        NODE_TEST(an_attach_lives_while_each_process_is_killed),
        NODE_TEST(a_forwarded_connection_lives_while_each_process_is_killed),
    };

    signal(SIGPIPE, SIG_IGN);
    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open_with_failpoints, fixture_close_with_failpoints);
}
