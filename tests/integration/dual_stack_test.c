/* Pods with addresses of both families: in the order that cni.ip_pref says, reached by both, and nothing of either is left. */
#include "tests/integration/node_fixture.h"

enum { CALL_MS = 60000 };

/* As the pod has them, and CRI's PodSandboxStatus says. */
static Runtime__V1__PodSandboxStatusResponse *status_of(const struct fixture *fixture, const char *id)
{
    Runtime__V1__PodSandboxStatusRequest request = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;
    Runtime__V1__PodSandboxStatusResponse *reply = NULL;

    request.pod_sandbox_id = (char *)id;
    check(CRI_CALL(fixture->node.client, "RuntimeService", "PodSandboxStatus", &request.base, CALL_MS, pod_sandbox_status_response, &reply));
    return reply;
}

static void addresses_are(const struct fixture *fixture, const char *id, const char *first, const char *second)
{
    Runtime__V1__PodSandboxStatusResponse *reply = status_of(fixture, id);
    const Runtime__V1__PodSandboxNetworkStatus *network = reply->status->network;

    assert_int_equal(strncmp(network->ip, first, strlen(first)), 0);
    assert_int_equal(network->n_additional_ips, 1);
    assert_int_equal(strncmp(network->additional_ips[0]->ip, second, strlen(second)), 0);
    runtime__v1__pod_sandbox_status_response__free_unpacked(reply, NULL);
}

static void answers_from_the_host(const struct fixture *fixture, const char *id)
{
    Runtime__V1__PodSandboxStatusResponse *reply = status_of(fixture, id);
    const Runtime__V1__PodSandboxNetworkStatus *network = reply->status->network;
    const char *both[] = {network->ip, network->additional_ips[0]->ip};

    for (int i = 0; i < 2; i++) {
        autofree char *line = xasprintf("for i in $(seq 50); do busybox ping -c 1 -W 5 %s > /dev/null 2>&1 && exit 0; done; exit 1", both[i]);
        if (system(line) != 0) /* a fresh address of version 6 is looked for on the link at first */
            fail_msg("%s does not answer", both[i]);
    }
    runtime__v1__pod_sandbox_status_response__free_unpacked(reply, NULL);
}

static void both_addresses_in_order(struct fixture *fixture, const char *first, const char *second)
{
    struct pod_request pod;
    char *id = pod_begin_plain(fixture, &pod, "dual", false);

    addresses_are(fixture, id, first, second);
    answers_from_the_host(fixture, id);
    check(node_kill(&fixture->node, "sandboxd"));
    addresses_are(fixture, id, first, second);
    pod_request_fini(&pod);
    pod_end(fixture, id);
}

static void ipv4_comes_first(void **state)
{
    both_addresses_in_order(*state, "10.198.0.", "fd00:198::");
}

static void ipv6_comes_first_where_it_is_preferred(void **state)
{
    both_addresses_in_order(*state, "fd00:198::", "10.198.0.");
}

static void network_write(const struct node *node)
{
    autofree char *path = xasprintf("%s/net.d/10-bhn.conflist", node->directory);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fprintf(file,
            "{\"cniVersion\": \"1.0.0\", \"name\": \"bhn\", \"plugins\": [{\"type\": \"bridge\", \"bridge\": \"bhn0\", "
            "\"isGateway\": true, \"ipam\": {\"type\": \"host-local\", \"dataDir\": \"%s/ipam\", "
            "\"ranges\": [[{\"subnet\": \"fd00:198::/64\"}], [{\"subnet\": \"10.198.0.0/24\"}]]}}]}",
            node->directory);
    fclose(file);
}

static int dual_open(void **state, const char *preference)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    autofree char *extra = xasprintf("\"cni\": {\"conf_dir\": \"$DIR/net.d\"%s}", preference), *image = NULL;

    *state = fixture;
    check(registry_server_start(&fixture->registry));
    check(registry_server_push(&fixture->registry, "library/busybox", "test", 0));
    check(node_make(&fixture->node, fixture->registry.url, extra));
    network_write(&fixture->node);
    check(node_start(&fixture->node));
    check(cri_client_open(fixture->node.address, &fixture->node.client));
    fixture->work = (struct workload){.node = &fixture->node, .client = fixture->node.client};
    check(node_wait_ready(&fixture->node));
    check(workload_pull(&fixture->work, busybox, &image));
    fixture->census = census_at_rest(fixture);
    return 0;
}

static int plain_open(void **state)
{
    return dual_open(state, "");
}

static int ipv6_open(void **state)
{
    return dual_open(state, ", \"ip_pref\": \"ipv6\"");
}

int main(void)
{
    static const struct CMUnitTest plain[] = {NODE_TEST(ipv4_comes_first)};
    static const struct CMUnitTest ipv6[] = {NODE_TEST(ipv6_comes_first_where_it_is_preferred)};
    node_isolate();
    int failed = cmocka_run_group_tests(plain, plain_open, fixture_close);

    return failed + cmocka_run_group_tests(ipv6, ipv6_open, fixture_close);
}
