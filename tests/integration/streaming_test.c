/* Exec and PortForward of a whole node, with this program as the stream process: which calls are refused, and what
 * sessions come to while each daemon is killed. */
#include "tests/integration/session_node.h"

static const char idle[] = "while :; do sleep 1; done";
static const char *const true_command[] = {"true", NULL};

static void what_cannot_be_has_its_code(void **state)
{
    struct fixture *fixture = *state;
    static const char *const empty[] = {NULL};
    struct scene scene;
    char *url = NULL;

    scene_open(&scene, fixture, "refusals", idle);
    check_refused(exec_url(fixture, "absent", true_command, OUTPUTS, &url), ERROR_NOT_FOUND, "absent");
    check_refused(attach_url(fixture, "absent", OUTPUTS, &url), ERROR_NOT_FOUND, "absent");
    check_refused(forward_url(fixture, "absent", &url), ERROR_NOT_FOUND, "absent");
    check_refused(exec_url(fixture, scene.id, true_command, ALL | STREAM_TTY, &url), ERROR_INVALID_ARGUMENT,
                  "tty and stderr");
    check_refused(attach_url(fixture, scene.id, ALL | STREAM_TTY, &url), ERROR_INVALID_ARGUMENT, "tty and stderr");
    check_refused(exec_url(fixture, scene.id, true_command, STREAM_TTY, &url), ERROR_INVALID_ARGUMENT,
                  "stdin, stdout, or stderr");
    check_refused(attach_url(fixture, scene.id, 0, &url), ERROR_INVALID_ARGUMENT, "stdin, stdout, or stderr");
    check_refused(exec_url(fixture, scene.id, empty, OUTPUTS, &url), ERROR_INVALID_ARGUMENT, "command is empty");
    check(workload_stop(&fixture->work, scene.id, 0));
    check_refused(exec_url(fixture, scene.id, true_command, OUTPUTS, &url), ERROR_FAILED_PRECONDITION,
                  "CONTAINER_EXITED");
    check_refused(attach_url(fixture, scene.id, OUTPUTS, &url), ERROR_FAILED_PRECONDITION, "CONTAINER_EXITED");
    check(workload_pod_stop(&fixture->work, scene.pod_id));
    check_refused(forward_url(fixture, scene.pod_id, &url), ERROR_FAILED_PRECONDITION, "is not running");
    scene_close(&scene);
}

static void without_a_streaming_server_calls_are_unavailable(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = xasprintf("%s/stream_address", fixture->node.state);
    autofree char *aside = xasprintf("%s.aside", path);
    autofree char *url = NULL;
    struct scene scene;
    char *none = NULL;

    scene_open(&scene, fixture, "unbound", idle);
    assert_int_equal(rename(path, aside), 0);
    struct error *exec = exec_url(fixture, scene.id, true_command, OUTPUTS, &none);
    struct error *forward = forward_url(fixture, scene.pod_id, &none);
    assert_int_equal(rename(aside, path), 0);
    check_refused(exec, ERROR_UNAVAILABLE, "no streaming server");
    check_refused(forward, ERROR_UNAVAILABLE, "no streaming server");
    check(exec_url(fixture, scene.id, true_command, OUTPUTS, &url));
    scene_close(&scene);
}

static void a_url_names_server_pod_and_secret(void **state)
{
    struct fixture *fixture = *state;
    autofree char *path = xasprintf("%s/stream_address", fixture->node.state);
    autofree char *address = NULL;
    struct scene scene;
    size_t size;

    scene_open(&scene, fixture, "urls", idle);
    check(file_read_all(path, 300, &address, &size));
    address[strcspn(address, "\n")] = '\0';
    char *urls[3] = {NULL};
    check(exec_url(fixture, scene.id, true_command, OUTPUTS, &urls[0]));
    check(attach_url(fixture, scene.id, OUTPUTS, &urls[1]));
    check(forward_url(fixture, scene.pod_id, &urls[2]));
    static const char *const kinds[] = {"exec", "attach", "portforward"};
    for (int i = 0; i < 3; i++) {
        autofree char *begin = xasprintf("http://%s/%s/%s-", address, kinds[i], scene.pod_id);
        assert_int_equal(strncmp(urls[i], begin, strlen(begin)), 0);
        assert_int_equal(strlen(urls[i]), strlen(begin) + STREAM_SECRET_SIZE - 1);
        free(urls[i]);
    }
    scene_close(&scene);
}

/* The environment, the user and the terminal's TERM come from the container's own specification. */
static void an_exec_is_run_as_the_container_is(void **state)
{
    struct fixture *fixture = *state;
    struct stream_peer peer;
    struct scene scene;

    scene_open(&scene, fixture, "as", idle);
    exec_init(fixture, &peer, scene.id,
              "stty -echo; tty; echo $TERM; cat /proc/self/status | grep Uid: | cut -f2; read x; exit $x", TERMINAL);
    check(stream_peer_start(&peer));
    check(stream_peer_wait_output(&peer, 1, "xterm"));
    check(stream_peer_write(&peer, "77\n"));
    check(stream_peer_wait_end(&peer));
    assert_int_equal(peer.ended.wait_status, 77 << 8);
    assert_non_null(strstr(peer.output[1], "/dev/pts/"));
    stream_peer_fini(&peer);
    scene_close(&scene);
}

static const char *const victims[] = {"sandboxd", "shim",       "logd",   "criapi",
                                      "imaged",   "supervisor", "keeper", "backstop"};

static void a_session_lives_while_each_daemon_is_killed(void **state)
{
    struct fixture *fixture = *state;
    struct scene scene;

    scene_open(&scene, fixture, "kills", idle);
    for (size_t i = 0; i < sizeof(victims) / sizeof(victims[0]); i++) {
        struct stream_peer peer;
        exec_init(fixture, &peer, scene.id, "echo ready; while read x; do echo said $x; done; exit 33", ALL);
        if (i % 2) /* some before the session begins, some within */
            check(node_kill(&fixture->node, victims[i]));
        check(stream_peer_start(&peer));
        check(stream_peer_wait_output(&peer, 1, "ready"));
        if (!(i % 2))
            check(node_kill(&fixture->node, victims[i]));
        check(stream_peer_write(&peer, victims[i]));
        check(stream_peer_write(&peer, "\n"));
        autofree char *said = xasprintf("said %s", victims[i]);
        check(stream_peer_wait_output(&peer, 1, said));
        stream_peer_close_input(&peer);
        check(stream_peer_wait_end(&peer));
        if (peer.ended.wait_status != 33 << 8 || peer.ended.flags)
            fail_msg("%s killed: wait status 0x%x", victims[i], peer.ended.wait_status);
        stream_peer_fini(&peer);
        check(node_wait_ready(&fixture->node));
    }
    scene_close(&scene);
}

/* --- port-forward ------------------------------------------------------------------------------------------------- */

static void echoes(struct stream_peer *peer, unsigned port)
{
    int64_t until_ns = clock_boottime_ns() + SESSION_LIMIT_S * INT64_C(1000000000);
    struct error *failure;
    char text[16] = "";
    int fd = -1;

    while ((failure = stream_peer_connect(peer, port, AF_INET, &fd)) && clock_boottime_ns() < until_ns) {
        error_free(failure); /* the container's server is not there yet */
        usleep(20000);
    }
    check(failure);
    assert_int_equal(write(fd, "hello\n", 6), 6);
    shutdown(fd, SHUT_WR);
    size_t size = 0;
    for (ssize_t count; size < sizeof(text) - 1 && (count = read(fd, text + size, sizeof(text) - 1 - size)) > 0;)
        size += (size_t)count;
    assert_string_equal(text, "hello\n");
    close(fd);
}

static void forward_to(struct fixture *fixture, const char *name, bool host_network, unsigned port)
{
    autofree char *script = xasprintf("while :; do nc -l -p %u -e cat; done", port);
    const char *const command[] = {"/bin/sh", "-c", script, NULL};
    struct container_request container;
    struct pod_request pod;
    struct stream_peer peer;
    autofree char *url = NULL;

    char *pod_id = pod_begin_plain(fixture, &pod, name, host_network);
    container_request_init(&container, &pod, pod_id, "server", busybox, command);
    char *id = container_begin(fixture, &container);
    check(forward_url(fixture, pod_id, &url));
    check(stream_peer_init(&peer, fixture->node.state, url, 0));
    echoes(&peer, port);
    check(node_kill(&fixture->node, "shim"));
    echoes(&peer, port);
    check(node_kill(&fixture->node, "sandboxd"));
    echoes(&peer, port);
    stream_peer_fini(&peer);
    free(id);
    pod_end(fixture, pod_id);
    container_request_fini(&container);
    pod_request_fini(&pod);
}

static void a_port_of_a_pod_on_cni_is_reached(void **state)
{
    forward_to(*state, "forward", false, 8080);
}

static void a_port_of_a_pod_on_the_hosts_network_is_reached(void **state)
{
    forward_to(*state, "hostforward", true, 18080);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(what_cannot_be_has_its_code),
        NODE_TEST(without_a_streaming_server_calls_are_unavailable),
        NODE_TEST(a_url_names_server_pod_and_secret),
        WITH_EACH_RUNTIME(an_exec_is_run_as_the_container_is),
        NODE_TEST(a_session_lives_while_each_daemon_is_killed),
        NODE_TEST(a_port_of_a_pod_on_cni_is_reached),
        NODE_TEST(a_port_of_a_pod_on_the_hosts_network_is_reached),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
