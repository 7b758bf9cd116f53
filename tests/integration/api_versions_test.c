/* runtime.v1alpha2 of a whole node: what kubelets of 1.10 to 1.25 call, and where they mean or expect something else. */
#include "tests/integration/node_fixture.h"

enum { CALL_TIMEOUT_MS = 60000 };

#define OLD "runtime.v1alpha2.RuntimeService"
#define OLD_IMAGES "runtime.v1alpha2.ImageService"

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

static void version_names_the_package_that_was_asked(void **state)
{
    static const char *const services[][2] = {{"RuntimeService", "v1"}, {OLD, "v1alpha2"}};
    struct fixture *fixture = *state;
    Runtime__V1__VersionRequest request = RUNTIME__V1__VERSION_REQUEST__INIT;

    request.version = "0.1.0";
    for (size_t i = 0; i < 2; i++) {
        Runtime__V1__VersionResponse *reply = NULL;
        check(CRI_CALL(fixture->node.client, services[i][0], "Version", &request.base, CALL_TIMEOUT_MS,
                       version_response, &reply));
        assert_string_equal(reply->version, "0.1.0"); /* a kubelet takes no other */
        assert_string_equal(reply->runtime_name, "bulkhead");
        assert_string_equal(reply->runtime_api_version, services[i][1]);
        runtime__v1__version_response__free_unpacked(reply, NULL);
    }
}

/* The gRPC of kubelets of then names the socket's path as the authority. */
static void the_authority_may_be_a_path(void **state)
{
    struct fixture *fixture = *state;
    Runtime__V1__VersionRequest request = RUNTIME__V1__VERSION_REQUEST__INIT;
    Runtime__V1__VersionResponse *reply = NULL;
    struct cri_client *client = NULL;

    check(cri_client_open_as(fixture->node.address, "/run/bulkhead/bulkhead.sock", &client));
    check(CRI_CALL(client, OLD, "Version", &request.base, CALL_TIMEOUT_MS, version_response, &reply));
    runtime__v1__version_response__free_unpacked(reply, NULL);
    cri_client_close(client);
}

static struct error *call_old(struct fixture *fixture, const char *service, const char *method)
{
    autofree uint8_t *reply = NULL;
    size_t size = 0;

    return cri_client_call(fixture->node.client, service, method, "", 0, CALL_TIMEOUT_MS, &reply, &size);
}

static void what_came_with_v1_was_never_there(void **state)
{
    static const char *const methods[] = {
        "CheckpointContainer",  "GetContainerEvents",      "ListMetricDescriptors", "ListPodSandboxMetrics",
        "RuntimeConfig",        "StreamPodSandboxes",      "StreamContainers",      "StreamContainerStats",
        "StreamPodSandboxStats", "StreamPodSandboxMetrics", "CheckpointPod",        "RestorePod",
        "UpdatePodSandboxResources",
    };

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        autofree char *text = xasprintf("unknown method %s for service " OLD, methods[i]);
        check_refused(call_old(*state, OLD, methods[i]), ERROR_UNIMPLEMENTED, text);
    }
    check_refused(call_old(*state, OLD_IMAGES, "StreamImages"), ERROR_UNIMPLEMENTED, "unknown method StreamImages");
    check_refused(call_old(*state, "runtime.RuntimeService", "Version"), ERROR_UNIMPLEMENTED, "unknown service");
}

static void the_image_service_answers_too(void **state)
{
    struct fixture *fixture = *state;
    Runtime__V1__ListImagesRequest request = RUNTIME__V1__LIST_IMAGES_REQUEST__INIT;
    Runtime__V1__ListImagesResponse *reply = NULL;

    check(CRI_CALL(fixture->node.client, OLD_IMAGES, "ListImages", &request.base, CALL_TIMEOUT_MS,
                   list_images_response, &reply));
    assert_int_equal(reply->n_images, 1);
    assert_string_equal(reply->images[0]->repo_tags[0], busybox);
    runtime__v1__list_images_response__free_unpacked(reply, NULL);
    check(call_old(fixture, OLD_IMAGES, "ImageFsInfo"));
}

/* Creates by that service, and starts; the caller frees the id. */
static char *container_by(struct fixture *fixture, const char *service, struct container_request *container)
{
    Runtime__V1__CreateContainerResponse *reply = NULL;

    check(CRI_CALL(fixture->node.client, service, "CreateContainer", &container->request.base, CALL_TIMEOUT_MS,
                   create_container_response, &reply));
    char *id = xstrdup(reply->container_id);
    runtime__v1__create_container_response__free_unpacked(reply, NULL);
    check(workload_start(&fixture->work, id));
    return id;
}

static Runtime__V1__Container *listed(struct fixture *fixture, const char *service,
                                      Runtime__V1__ListContainersResponse **ret)
{
    Runtime__V1__ListContainersRequest request = RUNTIME__V1__LIST_CONTAINERS_REQUEST__INIT;

    check(CRI_CALL(fixture->node.client, service, "ListContainers", &request.base, CALL_TIMEOUT_MS,
                   list_containers_response, ret));
    assert_int_equal((*ret)->n_containers, 1);
    return (*ret)->containers[0];
}

/* A kubelet of then compares image_ref with Image.id to see which images are in use. */
static void expect_image_refs(struct fixture *fixture)
{
    Runtime__V1__ListImagesRequest request = RUNTIME__V1__LIST_IMAGES_REQUEST__INIT;
    Runtime__V1__ListImagesResponse *images = NULL;
    Runtime__V1__ListContainersResponse *old = NULL, *now = NULL;

    check(CRI_CALL(fixture->node.client, OLD_IMAGES, "ListImages", &request.base, CALL_TIMEOUT_MS,
                   list_images_response, &images));
    const Runtime__V1__Container *by_old = listed(fixture, OLD, &old), *by_now = listed(fixture, "RuntimeService", &now);
    assert_string_equal(by_old->image_ref, images->images[0]->id);
    assert_string_not_equal(by_now->image_ref, by_now->image_id);
    assert_string_equal(by_old->id, by_now->id);
    assert_string_equal(by_old->metadata->name, by_now->metadata->name);
    runtime__v1__list_containers_response__free_unpacked(old, NULL);
    runtime__v1__list_containers_response__free_unpacked(now, NULL);
    runtime__v1__list_images_response__free_unpacked(images, NULL);
}

/* Seccomp as kubelets before 1.19 name it, and no word of masked paths, as before 1.12. */
static void a_pod_of_an_old_kubelet_lives_confined(void **state)
{
    struct fixture *fixture = *state;
    struct pod_request pod;
    struct container_request container;
    Runtime__V1__RunPodSandboxResponse *reply = NULL;

    pod_request_init(&pod, &fixture->node, "old", true);
    pod.request.runtime_handler = (char *)fixture->handler;
    check(CRI_CALL(fixture->node.client, OLD, "RunPodSandbox", &pod.request.base, CALL_TIMEOUT_MS,
                   run_pod_sandbox_response, &reply));
    autofree char *pod_id = xstrdup(reply->pod_sandbox_id);
    runtime__v1__run_pod_sandbox_response__free_unpacked(reply, NULL);
    container_request_init(&container, &pod, pod_id, "main", busybox, sleeping);
    container.context.n_masked_paths = container.context.n_readonly_paths = 0;
    container.context.seccomp = NULL;
    container.context.seccomp_profile_path = "runtime/default";
    autofree char *id = container_by(fixture, OLD, &container);
    autofree char *again = container_by(fixture, OLD, &container); /* a retry joins */
    assert_string_equal(id, again);
    script_prints(fixture, id, "grep -c '^Seccomp:[[:space:]]*2$' /proc/self/status", "1\n");
    script_prints(fixture, id, "wc -c < /proc/timer_list", "0\n");
    script_fails(fixture, id, "echo 1 > /proc/sys/kernel/ns_last_pid");
    script_prints(fixture, id, "grep -c ' /proc/sys ' /proc/self/mounts", "1\n");
    expect_image_refs(fixture);
    check(workload_remove(&fixture->work, id));
    container.metadata.attempt = 1;
    autofree char *new = container_by(fixture, "RuntimeService", &container); /* v1 says what it means */
    script_prints(fixture, new, "grep -c ' /proc/sys ' /proc/self/mounts || true", "0\n");
    container_request_fini(&container);
    pod_request_fini(&pod);
    check(workload_pod_remove(&fixture->work, pod_id));
    check(node_wait_census(&fixture->node, fixture->census));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(version_names_the_package_that_was_asked),
        NODE_TEST(the_authority_may_be_a_path),
        NODE_TEST(what_came_with_v1_was_never_there),
        NODE_TEST(the_image_service_answers_too),
        WITH_EACH_RUNTIME(a_pod_of_an_old_kubelet_lives_confined),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
