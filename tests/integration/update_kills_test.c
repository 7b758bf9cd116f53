/* UpdateContainerResources has its whole effect, or none, whoever is killed on the way: sandboxd, the shim, its helper, criapi. */
#include "tests/integration/update_scene.h"

/* Where sandboxd, the shim, or the shim's helper that writes is killed; after_setting: between the third file and the fourth. */
static const char *const points[] = {
    "sandboxd.container_update.before_save",     "sandboxd.container_update.after_save",
    "sandboxd.container_update.before_settings", "sandboxd.container_update.after_settings",
    "sandboxd.container_update.after_config",    "shim.resources.before",
    "shim.resources.after_setting",              "shim.step.before_result",
};

static void an_update_is_whole_whoever_is_killed(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        Runtime__V1__LinuxContainerResources resources = change();
        struct scene scene;
        scene_open(&scene, fixture, sleeping);
        failpoint_set(points[i], "kill");
        struct error *error = update(&scene, &resources);
        if (error)
            fail_msg("%s: %s", points[i], error->text);
        failpoint_wait(points[i]);
        all_is(&scene, &changed);
        oom_scores_are(&scene, changed.oom);
        scene_close(&scene);
    }
}

static void a_refused_update_is_undone_whoever_is_killed(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]) + 1; i++) {
        const char *point = i < sizeof(points) / sizeof(points[0]) ? points[i] : "sandboxd.container_update.after_undo";
        Runtime__V1__LinuxContainerResources resources;
        const char *reason = refused_change(&resources);
        struct scene scene;
        if (strcmp(point, "shim.resources.after_setting") == 0)
            continue; /* its order is "kill" at the first write, whichever step does it: the test above has it */
        scene_open(&scene, fixture, filled);
        failpoint_set(point, "kill");
        check_refused(update(&scene, &resources), ERROR_INVALID_ARGUMENT, reason);
        failpoint_wait(point);
        all_is(&scene, &at_first);
        oom_scores_are(&scene, at_first.oom);
        scene_close(&scene);
    }
}

/* Calls, and gives up after a while: the update goes on. */
static void begin_and_leave(const struct scene *scene, Runtime__V1__LinuxContainerResources *resources, int64_t after_ms)
{
    Runtime__V1__UpdateContainerResourcesRequest request = RUNTIME__V1__UPDATE_CONTAINER_RESOURCES_REQUEST__INIT;

    request.container_id = scene->id;
    request.linux = resources;
    size_t size = protobuf_c_message_get_packed_size(&request.base);
    autofree uint8_t *bytes = xmalloc(size);
    protobuf_c_message_pack(&request.base, bytes);
    struct error *error = cri_client_call_cancelled(scene->fixture->node.client, "RuntimeService", "UpdateContainerResources",
                                                    bytes, size, after_ms);
    assert_non_null(error);
    error_free(error);
}

static void await_shares(const struct scene *scene, int64_t shares)
{
    int64_t told = -1;

    for (unsigned i = 0; i < 600 && told != shares; i++) {
        Runtime__V1__ContainerStatusResponse *reply = status_get(scene);
        told = reply->status->resources->linux->cpu_shares;
        runtime__v1__container_status_response__free_unpacked(reply, NULL);
        usleep(100000);
    }
    assert_int_equal(told, shares);
}

/* Kills criapi, which would send the call again, and waits until its successor answers. */
static void criapi_kill(struct fixture *fixture)
{
    struct workload_state state;

    check(node_kill(&fixture->node, "criapi"));
    check_refused(workload_status(&fixture->work, "nobody", &state), ERROR_NOT_FOUND, "nobody"); /* it tries again when UNAVAILABLE */
}

/* The shim dies while its helper is between two files, sandboxd with it, and whoever knew of the call: the successors finish what is on
 * record. */
static void half_an_update_is_finished_without_its_caller(void **state)
{
    Runtime__V1__LinuxContainerResources resources = change();
    struct fixture *fixture = *state;
    struct scene scene;

    scene_open(&scene, fixture, sleeping);
    failpoint_set("shim.resources.after_setting", "sleep 600000");
    begin_and_leave(&scene, &resources, 1000);
    failpoint_wait("shim.resources.after_setting");
    status_is(&scene, &at_first);
    criapi_kill(fixture);
    check(node_kill(&fixture->node, "sandboxd"));
    check(node_kill(&fixture->node, "shim"));
    await_shares(&scene, changed.shares);
    all_is(&scene, &changed);
    oom_scores_are(&scene, changed.oom);
    scene_close(&scene);
}

/* The same, but the caller is still there, and its call is the one that is under way. */
static void a_retry_joins_the_update_under_way(void **state)
{
    Runtime__V1__LinuxContainerResources resources = change(), other = change();
    struct fixture *fixture = *state;
    struct scene scene;

    scene_open(&scene, fixture, sleeping);
    failpoint_set("sandboxd.container_update.before_settings", "sleep 2000");
    begin_and_leave(&scene, &resources, 500);
    failpoint_wait("sandboxd.container_update.before_settings");
    check(update(&scene, &resources));
    all_is(&scene, &changed);
    other.cpu_shares = 128; /* another one comes after it */
    failpoint_set("sandboxd.container_update.before_settings", "sleep 2000");
    resources.cpu_shares = 64;
    begin_and_leave(&scene, &resources, 500);
    failpoint_wait("sandboxd.container_update.before_settings");
    check(update(&scene, &other));
    cgroup_says(&scene, "cpu", is_version_1() ? "cpu.shares" : "cpu.weight", is_version_1() ? "128" : "5");
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(an_update_is_whole_whoever_is_killed),
        WITH_EACH_RUNTIME(a_refused_update_is_undone_whoever_is_killed),
        NODE_TEST(half_an_update_is_finished_without_its_caller),
        NODE_TEST(a_retry_joins_the_update_under_way),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open_with_failpoints, fixture_close_with_failpoints);
}
