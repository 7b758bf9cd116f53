/* What a client of runtime.v1alpha2 means, and is given, where runtime.v1 would be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "proto/cri.pb-c.h"
#include "services/criapi/v1alpha2.h"

struct creation {
    Runtime__V1__CreateContainerRequest request;
    Runtime__V1__ContainerConfig config;
    Runtime__V1__LinuxContainerConfig linux;
    Runtime__V1__LinuxContainerSecurityContext context;
};

static void creation_init(struct creation *creation)
{
    runtime__v1__create_container_request__init(&creation->request);
    runtime__v1__container_config__init(&creation->config);
    runtime__v1__linux_container_config__init(&creation->linux);
    runtime__v1__linux_container_security_context__init(&creation->context);
    creation->request.pod_sandbox_id = "pod";
    creation->request.config = &creation->config;
    creation->config.linux = &creation->linux;
    creation->linux.security_context = &creation->context;
}

/* The request after it; the caller frees it. */
static Runtime__V1__CreateContainerRequest *translated(const struct creation *creation)
{
    uint8_t bytes[4096], *changed = NULL;
    size_t size = runtime__v1__create_container_request__pack(&creation->request, bytes), changed_size = 0;

    assert_null(v1alpha2_request("CreateContainer", bytes, size, &changed, &changed_size));
    assert_non_null(changed);
    Runtime__V1__CreateContainerRequest *request =
        runtime__v1__create_container_request__unpack(NULL, changed_size, changed);
    assert_non_null(request);
    assert_string_equal(request->pod_sandbox_id, "pod");
    free(changed);
    return request;
}

static void expect_default_paths(const struct creation *creation)
{
    Runtime__V1__CreateContainerRequest *request = translated(creation);
    const Runtime__V1__LinuxContainerSecurityContext *context = request->config->linux->security_context;

    assert_int_equal(context->n_masked_paths, 11);
    assert_string_equal(context->masked_paths[2], "/proc/kcore");
    assert_int_equal(context->n_readonly_paths, 5);
    assert_string_equal(context->readonly_paths[3], "/proc/sys");
    runtime__v1__create_container_request__free_unpacked(request, NULL);
}

static void silence_about_paths_means_the_defaults(void **state)
{
    struct creation creation;

    (void)state;
    creation_init(&creation);
    expect_default_paths(&creation);
    creation.linux.security_context = NULL;
    expect_default_paths(&creation);
    creation.config.linux = NULL;
    expect_default_paths(&creation);
}

static void expect_paths(const struct creation *creation, size_t masked, size_t readonly)
{
    Runtime__V1__CreateContainerRequest *request = translated(creation);
    const Runtime__V1__LinuxContainerSecurityContext *context = request->config->linux->security_context;

    assert_int_equal(context->n_masked_paths, masked);
    assert_int_equal(context->n_readonly_paths, readonly);
    runtime__v1__create_container_request__free_unpacked(request, NULL);
}

static void paths_that_are_named_and_privileges_stay(void **state)
{
    struct creation creation;
    char *paths[] = {"/proc/one"};

    (void)state;
    creation_init(&creation);
    creation.context.n_masked_paths = 1;
    creation.context.masked_paths = paths;
    expect_paths(&creation, 1, 0);
    creation_init(&creation);
    creation.context.n_readonly_paths = 1;
    creation.context.readonly_paths = paths;
    expect_paths(&creation, 0, 1);
    creation_init(&creation);
    creation.context.privileged = true;
    expect_paths(&creation, 0, 0);
}

static void a_request_without_a_configuration_is_left_to_be_refused(void **state)
{
    struct creation creation;

    (void)state;
    creation_init(&creation);
    creation.request.config = NULL;
    Runtime__V1__CreateContainerRequest *request = translated(&creation);
    assert_null(request->config);
    runtime__v1__create_container_request__free_unpacked(request, NULL);
}

static void a_torn_request_is_an_invalid_argument(void **state)
{
    uint8_t *changed = NULL;
    size_t size = 0;

    (void)state;
    autoptr(error) error = v1alpha2_request("CreateContainer", (const uint8_t *)"\x0a\x7f", 2, &changed, &size);
    assert_int_equal(error->code, ERROR_INVALID_ARGUMENT);
    assert_null(changed);
}

static void a_listed_container_names_its_image_by_id(void **state)
{
    Runtime__V1__ListContainersResponse list = RUNTIME__V1__LIST_CONTAINERS_RESPONSE__INIT;
    Runtime__V1__Container item = RUNTIME__V1__CONTAINER__INIT, *items[] = {&item, &item};
    uint8_t bytes[1024], *changed = NULL;
    size_t changed_size = 0;

    (void)state;
    item.image_ref = "host/name@sha256:12";
    item.image_id = "sha256:34";
    list.n_containers = 2;
    list.containers = items;
    size_t size = runtime__v1__list_containers_response__pack(&list, bytes);
    assert_null(v1alpha2_reply("ListContainers", bytes, size, &changed, &changed_size));
    Runtime__V1__ListContainersResponse *reply =
        runtime__v1__list_containers_response__unpack(NULL, changed_size, changed);
    assert_int_equal(reply->n_containers, 2);
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(reply->containers[i]->image_ref, "sha256:34");
    runtime__v1__list_containers_response__free_unpacked(reply, NULL);
    free(changed);
}

static void all_other_messages_are_the_same_bytes(void **state)
{
    uint8_t *changed = NULL;
    size_t size = 0;

    (void)state;
    assert_null(v1alpha2_request("RunPodSandbox", (const uint8_t *)"any", 3, &changed, &size));
    assert_null(v1alpha2_request("ListContainers", (const uint8_t *)"any", 3, &changed, &size));
    assert_null(v1alpha2_reply("CreateContainer", (const uint8_t *)"any", 3, &changed, &size));
    assert_null(v1alpha2_reply("ListPodSandbox", (const uint8_t *)"any", 3, &changed, &size));
    assert_null(changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_about_paths_means_the_defaults),
        cmocka_unit_test(paths_that_are_named_and_privileges_stay),
        cmocka_unit_test(a_request_without_a_configuration_is_left_to_be_refused),
        cmocka_unit_test(a_torn_request_is_an_invalid_argument),
        cmocka_unit_test(a_listed_container_names_its_image_by_id),
        cmocka_unit_test(all_other_messages_are_the_same_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
