/* Host ports: one that another has is an error that leaves nothing; the pod has its own until it stops, over its shim's death. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/integration/node_fixture.h"

enum { PORT = 18080, OTHER_PORT = 18081 };

struct ports_pod {
    struct pod_request request;
    Runtime__V1__PortMapping mapping, *mappings[1];
};

static void ports_pod_init(struct ports_pod *pod, const struct fixture *fixture, const char *name, int port, bool host_network)
{
    pod_request_init(&pod->request, &fixture->node, name, host_network);
    runtime__v1__port_mapping__init(&pod->mapping);
    pod->mapping.container_port = 80;
    pod->mapping.host_port = port;
    pod->mappings[0] = &pod->mapping;
    pod->request.config.port_mappings = pod->mappings;
    pod->request.config.n_port_mappings = 1;
}

/* A process of the node that has the port; -1: it is in use. */
static int port_take(int type, const char *address, int port)
{
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    autoclose int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    assert_int_equal(inet_pton(AF_INET, address, &place.sin_addr), 1);
    if (bind(fd, (struct sockaddr *)&place, sizeof(place)) == 0)
        return TAKE_FD(fd);
    assert_int_equal(errno, EADDRINUSE);
    return -1;
}

static void port_is_free(int port)
{
    autoclose int fd = port_take(SOCK_STREAM, "0.0.0.0", port);

    assert_true(fd >= 0);
}

static void port_is_taken(int port)
{
    autoclose int fd = port_take(SOCK_STREAM, "0.0.0.0", port);

    assert_int_equal(fd, -1);
}

static void port_is_refused(struct fixture *fixture, struct ports_pod *pod, const char *words)
{
    char *id = NULL;

    check_refused(pod_request_send(&pod->request, fixture->node.client, &id), ERROR_FAILED_PRECONDITION, words);
}

static void a_port_of_a_process_of_the_node_is_refused_by_name(void **state)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    static const char *const words[] = {"host port tcp 0.0.0.0 18080 is in use", "host port udp 0.0.0.0 18080 is in use"};
    struct fixture *fixture = *state;

    for (int i = 0; i < 2; i++) {
        struct ports_pod pod;
        autoclose int fd = port_take(types[i], "127.0.0.1", PORT);
        ports_pod_init(&pod, fixture, "late", PORT, false);
        pod.mapping.protocol = i ? RUNTIME__V1__PROTOCOL__UDP : RUNTIME__V1__PROTOCOL__TCP;
        port_is_refused(fixture, &pod, words[i]);
        check(node_wait_census(&fixture->node, fixture->census));
        close(TAKE_FD(fd));
        char *id = pod_begin(fixture, &pod.request); /* kubelet's next try */
        pod_end(fixture, id);
        pod_request_fini(&pod.request);
    }
}

static void an_address_and_a_protocol_are_a_port_of_their_own(void **state)
{
    struct fixture *fixture = *state;
    struct ports_pod first, second;
    autoclose int udp = port_take(SOCK_DGRAM, "0.0.0.0", PORT);
    autoclose int tcp = port_take(SOCK_STREAM, "127.0.0.1", PORT);

    ports_pod_init(&first, fixture, "first", PORT, false);
    first.mapping.host_ip = (char *)"127.0.0.2";
    ports_pod_init(&second, fixture, "second", PORT, false);
    second.mapping.host_ip = (char *)"192.0.2.1"; /* an address that the node does not have now */
    char *first_id = pod_begin(fixture, &first.request), *second_id = pod_begin(fixture, &second.request);
    check(workload_pod_remove(&fixture->work, first_id));
    free(first_id);
    pod_end(fixture, second_id);
    pod_request_fini(&first.request);
    pod_request_fini(&second.request);
}

static void a_pods_port_is_its_own_until_it_stops(void **state)
{
    struct fixture *fixture = *state;
    struct ports_pod first, second;

    ports_pod_init(&first, fixture, "first", PORT, false);
    ports_pod_init(&second, fixture, "second", PORT, false);
    char *first_id = pod_begin(fixture, &first.request);
    port_is_taken(PORT);
    port_is_refused(fixture, &second, "host port tcp 0.0.0.0 18080 is in use");
    check(workload_pod_stop(&fixture->work, first_id));
    port_is_free(PORT);
    char *second_id = pod_begin(fixture, &second.request);
    check(workload_pod_remove(&fixture->work, first_id));
    port_is_taken(PORT);
    pod_end(fixture, second_id);
    free(first_id);
    port_is_free(PORT);
    pod_request_fini(&first.request);
    pod_request_fini(&second.request);
}

static void a_successor_of_the_shim_has_the_port(void **state)
{
    static const char *const command[] = {"sleep", "1000", NULL};
    struct fixture *fixture = *state;
    struct ports_pod pod;
    struct container_request container;

    ports_pod_init(&pod, fixture, "long", OTHER_PORT, false);
    char *id = pod_begin(fixture, &pod.request);
    container_request_init(&container, &pod.request, id, "main", busybox, command);
    char *main = container_begin(fixture, &container);
    check(node_kill(&fixture->node, "shim"));
    free(script_output(fixture, main, "true", 0)); /* the successor is up */
    port_is_taken(OTHER_PORT);
    container_end(fixture, main);
    pod_end(fixture, id);
    port_is_free(OTHER_PORT);
    container_request_fini(&container);
    pod_request_fini(&pod.request);
}

static void a_pod_on_the_hosts_network_binds_its_ports_itself(void **state)
{
    struct fixture *fixture = *state;
    struct ports_pod pod;

    ports_pod_init(&pod, fixture, "hosted", PORT, true);
    char *id = pod_begin(fixture, &pod.request);
    port_is_free(PORT);
    pod_end(fixture, id);
    pod_request_fini(&pod.request);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        NODE_TEST(a_port_of_a_process_of_the_node_is_refused_by_name),
        NODE_TEST(an_address_and_a_protocol_are_a_port_of_their_own),
        NODE_TEST(a_pods_port_is_its_own_until_it_stops),
        NODE_TEST(a_successor_of_the_shim_has_the_port),
        NODE_TEST(a_pod_on_the_hosts_network_binds_its_ports_itself),
    };

    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
