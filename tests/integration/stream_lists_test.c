/* The six streamed lists of a whole node: the same items as the unary ones, filters too; a list larger than a message; and the
 * death of the daemon behind one. */
#include "tests/integration/node_fixture.h"
#include "cli/clients/cri_stream.h"

enum { CALL_TIMEOUT_MS = 60000, PODS = 3 };

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

/* Bytes of a whole list: the messages of a stream, one after the other, are the unary reply. */
struct list {
    uint8_t *bytes;
    size_t size;
    unsigned messages;
};

static void list_free(struct list *list)
{
    free(list->bytes);
}
#define auto_list __attribute__((cleanup(list_free))) struct list

static struct error *list_streamed(struct cri_client *client, const char *service, const char *method,
                                   const ProtobufCMessage *request, struct list *ret)
{
    size_t size = protobuf_c_message_get_packed_size(request), piece_size = 0;
    autofree uint8_t *bytes = xmalloc(size + 1);
    struct cri_stream *stream = NULL;
    uint8_t *piece = NULL;

    protobuf_c_message_pack(request, bytes);
    TRY(cri_stream_open(client, service, method, bytes, size, CALL_TIMEOUT_MS, &stream));
    struct error *error;
    while (!(error = cri_stream_next(stream, CALL_TIMEOUT_MS, &piece, &piece_size)) && piece) {
        ret->bytes = xrealloc(ret->bytes, ret->size + piece_size + 1);
        memcpy(ret->bytes + ret->size, piece, piece_size);
        ret->size += piece_size;
        ret->messages++;
        assert_true(piece_size > 0);
        free(piece);
    }
    cri_stream_close(stream);
    return error;
}

static struct error *list_unary(struct cri_client *client, const char *service, const char *method,
                                const ProtobufCMessage *request, struct list *ret)
{
    return cri_client_call_message(client, service, method, request, CALL_TIMEOUT_MS, &ret->bytes, &ret->size);
}

/* The stream gives what the unary list gives, to the byte; returns how many messages it took. */
static unsigned expect_same(struct fixture *fixture, const char *service, const char *stream_method,
                            const ProtobufCMessage *stream_request, const char *list_method,
                            const ProtobufCMessage *list_request)
{
    auto_list streamed = {0}, unary = {0};

    check(list_streamed(fixture->node.client, service, stream_method, stream_request, &streamed));
    check(list_unary(fixture->node.client, service, list_method, list_request, &unary));
    assert_int_equal(streamed.size, unary.size);
    if (unary.size)
        assert_memory_equal(streamed.bytes, unary.bytes, unary.size);
    return streamed.messages;
}

/* Three pods, each with a container that runs. */
struct cast {
    struct fixture *fixture;
    char *pods[PODS], *containers[PODS];
};

static void cast_open(struct cast *cast, struct fixture *fixture)
{
    *cast = (struct cast){.fixture = fixture};
    for (int i = 0; i < PODS; i++) {
        autofree char *name = xasprintf("pod-%d", i);
        check(workload_pod_run(&fixture->work, name, 0, true, NULL, &cast->pods[i]));
        check(workload_create(&fixture->work, cast->pods[i], true,
                              &(struct workload_container){.name = "main", .image = busybox, .command = sleeping},
                              &cast->containers[i]));
        check(workload_start(&fixture->work, cast->containers[i]));
    }
}

static void cast_close(struct cast *cast)
{
    for (int i = 0; i < PODS; i++) {
        check(workload_pod_remove(&cast->fixture->work, cast->pods[i]));
        free(cast->pods[i]);
        free(cast->containers[i]);
    }
}

static unsigned pods_same(struct fixture *fixture, Runtime__V1__PodSandboxFilter *filter)
{
    Runtime__V1__StreamPodSandboxesRequest streamed = RUNTIME__V1__STREAM_POD_SANDBOXES_REQUEST__INIT;
    Runtime__V1__ListPodSandboxRequest unary = RUNTIME__V1__LIST_POD_SANDBOX_REQUEST__INIT;

    streamed.filter = unary.filter = filter;
    return expect_same(fixture, "RuntimeService", "StreamPodSandboxes", &streamed.base, "ListPodSandbox", &unary.base);
}

static unsigned containers_same(struct fixture *fixture, Runtime__V1__ContainerFilter *filter)
{
    Runtime__V1__StreamContainersRequest streamed = RUNTIME__V1__STREAM_CONTAINERS_REQUEST__INIT;
    Runtime__V1__ListContainersRequest unary = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;

    streamed.filter = unary.filter = filter;
    return expect_same(fixture, "RuntimeService", "StreamContainers", &streamed.base, "ListContainers", &unary.base);
}

static void an_empty_list_has_no_message_and_ends_well(void **state)
{
    assert_int_equal(pods_same(*state, NULL), 0);
    assert_int_equal(containers_same(*state, NULL), 0);
}

static void a_streamed_list_is_its_unary_one(void **state)
{
    struct fixture *fixture = *state;
    Runtime__V1__PodSandboxFilter pods = RUNTIME__V1__POD_SANDBOX_FILTER__INIT;
    Runtime__V1__ContainerFilter containers = RUNTIME__V1__CONTAINER_FILTER__INIT;
    Runtime__V1__ContainerStateValue exited = RUNTIME__V1__CONTAINER_STATE_VALUE__INIT;
    Runtime__V1__StreamImagesRequest streamed_images = RUNTIME__V1__STREAM_IMAGES_REQUEST__INIT;
    Runtime__V1__ListImagesRequest images = RUNTIME__V1__LIST_IMAGES_REQUEST__INIT;
    struct cast cast;

    cast_open(&cast, fixture);
    assert_int_equal(pods_same(fixture, NULL), 1);
    pods.id = cast.pods[1];
    assert_int_equal(pods_same(fixture, &pods), 1);
    pods.id = "none has this";
    assert_int_equal(pods_same(fixture, &pods), 0);
    assert_int_equal(containers_same(fixture, NULL), 1);
    containers.pod_sandbox_id = cast.pods[2];
    assert_int_equal(containers_same(fixture, &containers), 1);
    exited.state = RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED;
    containers.state = &exited;
    assert_int_equal(containers_same(fixture, &containers), 0);
    assert_int_equal(expect_same(fixture, "ImageService", "StreamImages", &streamed_images.base, "ListImages",
                                 &images.base),
                     1);
    cast_close(&cast);
}

/* Whose statistics a list has; the numbers in it are another moment's. */
static void container_stats_are_of_the_same_containers(void **state)
{
    struct fixture *fixture = *state;
    Runtime__V1__StreamContainerStatsRequest request = RUNTIME__V1__STREAM_CONTAINER_STATS_REQUEST__INIT;
    Runtime__V1__ContainerStatsFilter filter = RUNTIME__V1__CONTAINER_STATS_FILTER__INIT;
    struct cast cast;

    cast_open(&cast, fixture);
    for (int i = -1; i < PODS; i++) {
        auto_list list = {0};
        filter.pod_sandbox_id = i < 0 ? (char *)"" : cast.pods[i];
        request.filter = &filter;
        check(list_streamed(fixture->node.client, "RuntimeService", "StreamContainerStats", &request.base, &list));
        Runtime__V1__StreamContainerStatsResponse *stats =
            runtime__v1__stream_container_stats_response__unpack(NULL, list.size, list.bytes);
        assert_int_equal(stats->n_container_stats, i < 0 ? PODS : 1);
        if (i >= 0)
            assert_string_equal(stats->container_stats[0]->attributes->id, cast.containers[i]);
        assert_true(stats->container_stats[0]->memory->working_set_bytes->value > 0);
        runtime__v1__stream_container_stats_response__free_unpacked(stats, NULL);
    }
    cast_close(&cast);
}

/* What is answered for a list is answered for its stream, an error too. */
static void expect_alike(struct fixture *fixture, const char *stream_method, const char *list_method)
{
    Runtime__V1__ListPodSandboxMetricsRequest nothing = RUNTIME__V1__LIST_POD_SANDBOX_METRICS_REQUEST__INIT;
    auto_list streamed = {0}, unary = {0};
    autoptr(error) error =
        list_streamed(fixture->node.client, "RuntimeService", stream_method, &nothing.base, &streamed);
    autoptr(error) expected = list_unary(fixture->node.client, "RuntimeService", list_method, &nothing.base, &unary);

    assert_int_equal(error ? error->code : ERROR_OK, expected ? expected->code : ERROR_OK);
    assert_int_equal(streamed.size > 0, unary.size > 0);
}

static void pod_stats_and_metrics_are_streamed_as_they_are_listed(void **state)
{
    struct cast cast;

    cast_open(&cast, *state);
    expect_alike(*state, "StreamPodSandboxStats", "ListPodSandboxStats");
    expect_alike(*state, "StreamPodSandboxMetrics", "ListPodSandboxMetrics");
    cast_close(&cast);
}

/* 20 pods with a megabyte of annotations each. */
static void a_list_that_no_message_holds_is_streamed(void **state)
{
    enum { COUNT = 20, SIZE = 1 << 20 };
    struct fixture *fixture = *state;
    Runtime__V1__PodSandboxConfig__AnnotationsEntry note = RUNTIME__V1__POD_SANDBOX_CONFIG__ANNOTATIONS_ENTRY__INIT;
    Runtime__V1__PodSandboxConfig__AnnotationsEntry *notes[] = {&note};
    Runtime__V1__StreamPodSandboxesRequest request = RUNTIME__V1__STREAM_POD_SANDBOXES_REQUEST__INIT;
    autofree char *text = xcalloc(1, SIZE + 1);
    auto_list list = {0}, none = {0};
    char *ids[COUNT];

    memset(text, 'n', SIZE);
    note.key = "note";
    note.value = text;
    for (int i = 0; i < COUNT; i++) {
        autofree char *name = xasprintf("large-%d", i);
        struct pod_request pod;
        pod_request_init(&pod, &fixture->node, name, true);
        pod.config.annotations = notes;
        pod.config.n_annotations = 1;
        ids[i] = pod_begin(fixture, &pod);
        pod_request_fini(&pod);
    }
    check_refused(list_unary(fixture->node.client, "RuntimeService", "ListPodSandbox", &request.base, &none),
                  ERROR_RESOURCE_EXHAUSTED, "clients take no more");
    check(list_streamed(fixture->node.client, "RuntimeService", "StreamPodSandboxes", &request.base, &list));
    assert_int_equal(list.messages, COUNT); /* each is larger than what goes together */
    Runtime__V1__StreamPodSandboxesResponse *pods =
        runtime__v1__stream_pod_sandboxes_response__unpack(NULL, list.size, list.bytes);
    assert_int_equal(pods->n_pod_sandboxes, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_string_equal(pods->pod_sandboxes[i]->id, ids[i]);
        assert_int_equal(strlen(pods->pod_sandboxes[i]->annotations[0]->value), SIZE);
    }
    runtime__v1__stream_pod_sandboxes_response__free_unpacked(pods, NULL);
    for (int i = 0; i < COUNT; i++) {
        check(workload_pod_remove(&fixture->work, ids[i]));
        free(ids[i]);
    }
}

static void a_streamed_list_waits_for_a_daemon_that_was_killed(void **state)
{
    struct fixture *fixture = *state;
    struct cast cast;

    cast_open(&cast, fixture);
    for (int i = 0; i < 5; i++) {
        check(node_kill(&fixture->node, "sandboxd"));
        assert_int_equal(pods_same(fixture, NULL), 1);
        check(node_kill(&fixture->node, "sandboxd"));
        assert_int_equal(containers_same(fixture, NULL), 1);
    }
    cast_close(&cast);
    check(node_wait_census(&fixture->node, fixture->census));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(an_empty_list_has_no_message_and_ends_well),
        NODE_TEST(a_streamed_list_is_its_unary_one),
        NODE_TEST(container_stats_are_of_the_same_containers),
        NODE_TEST(pod_stats_and_metrics_are_streamed_as_they_are_listed),
        NODE_TEST(a_list_that_no_message_holds_is_streamed),
        NODE_TEST(a_streamed_list_waits_for_a_daemon_that_was_killed),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
