/* UpdateContainerResources has its whole effect, or none: cgroup, status, config.json and what an exec inherits agree.
 * UpdatePodSandboxResources is recorded. */
#include "tests/integration/update_scene.h"

static void a_running_container_has_the_new_limits(void **state)
{
    Runtime__V1__LinuxContainerResources resources = change();
    struct scene scene;

    scene_open(&scene, *state, sleeping);
    all_is(&scene, &at_first);
    oom_scores_are(&scene, at_first.oom);
    check(update(&scene, &resources));
    all_is(&scene, &changed);
    oom_scores_are(&scene, changed.oom);
    check(update(&scene, &resources)); /* once more: nothing new */
    all_is(&scene, &changed);
    scene_close(&scene);
}

/* Memory and, on version 1, memory with swap go down together, and up again, though the one may never be above the other. */
static void limits_go_up_and_down(void **state)
{
    Runtime__V1__LinuxContainerResources resources = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    const int64_t limits[] = {128 * MIB, 16 * MIB, 256 * MIB, 32 * MIB};
    struct scene scene;

    scene_open(&scene, *state, sleeping);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        resources.memory_limit_in_bytes = limits[i];
        resources.memory_swap_limit_in_bytes = i == 2 ? -1 : 0;
        check(update(&scene, &resources));
        cgroup_number_is(&scene, "memory", is_version_1() ? "memory.limit_in_bytes" : "memory.max", limits[i]);
        if (!is_version_1())
            cgroup_says(&scene, "", "memory.swap.max", i == 2 ? "max" : "0");
        else if (i != 2 && access("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", F_OK) == 0)
            cgroup_number_is(&scene, "memory", "memory.memsw.limit_in_bytes", limits[i]);
    }
    resources = (Runtime__V1__LinuxContainerResources)RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    resources.cpu_quota = -1;
    check(update(&scene, &resources));
    cgroup_says(&scene, "cpu", is_version_1() ? "cpu.cfs_quota_us" : "cpu.max", is_version_1() ? "-1" : "max 100000");
    cgroup_says(&scene, "cpu", is_version_1() ? "cpu.shares" : "cpu.weight", is_version_1() ? "256" : "10");
    scene_close(&scene);
}

static void a_created_container_starts_with_the_new_limits(void **state)
{
    Runtime__V1__LinuxContainerResources resources = change();
    struct fixture *fixture = *state;
    struct scene scene;

    scene_make(&scene, fixture, sleeping);
    check(container_request_send(&scene.container, fixture->node.client, &scene.id));
    check(update(&scene, &resources));
    all_is(&scene, &changed);
    check(node_kill(&fixture->node, "shim"));
    check(workload_start(&fixture->work, scene.id));
    all_is(&scene, &changed);
    oom_scores_are(&scene, changed.oom);
    check(node_kill(&fixture->node, "sandboxd"));
    all_is(&scene, &changed);
    scene_close(&scene);
}

/* The same configuration is still the same container: what an update has changed is no other request. */
static void a_retried_creation_joins_an_updated_container(void **state)
{
    Runtime__V1__LinuxContainerResources resources = change();
    struct fixture *fixture = *state;
    autofree char *again = NULL;
    struct scene scene;

    scene_open(&scene, fixture, sleeping);
    check(update(&scene, &resources));
    check(container_request_send(&scene.container, fixture->node.client, &again));
    assert_string_equal(again, scene.id);
    scene_close(&scene);
}

static void what_the_kernel_refuses_changes_nothing(void **state)
{
    Runtime__V1__LinuxContainerResources resources;
    const char *reason = refused_change(&resources);
    struct scene scene;

    scene_open(&scene, *state, filled);
    check_refused(update(&scene, &resources), ERROR_INVALID_ARGUMENT, reason);
    all_is(&scene, &at_first);
    oom_scores_are(&scene, at_first.oom);
    resources = change();
    resources.cpuset_cpus = "40000";
    check_refused(update(&scene, &resources), ERROR_INVALID_ARGUMENT, "cpuset_cpus: write \"40000\" to cpuset.cpus");
    all_is(&scene, &at_first);
    resources = change();
    resources.cpu_quota = 10;
    check_refused(update(&scene, &resources), ERROR_INVALID_ARGUMENT, "Invalid argument");
    all_is(&scene, &at_first);
    resources = change();
    check(update(&scene, &resources));
    all_is(&scene, &changed);
    scene_close(&scene);
}

/* Version 2 would kill until the limit is reached; version 1 says that it cannot be reached. */
static void memory_in_use_is_not_taken_away(void **state)
{
    Runtime__V1__LinuxContainerResources resources = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    struct scene scene;

    scene_open(&scene, *state, filled);
    resources.memory_limit_in_bytes = 8 * MIB;
    check_refused(update(&scene, &resources), ERROR_INVALID_ARGUMENT, "memory_limit_in_bytes: ");
    all_is(&scene, &at_first);
    script_prints(scene.fixture, scene.id, "echo lives", "lives\n");
    scene_close(&scene);
}

/* A key of version 2 is a file; version 1 has no such files. */
static void unified_keys_are_files_of_version_2(void **state)
{
    Runtime__V1__LinuxContainerResources resources = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    Runtime__V1__LinuxContainerResources__UnifiedEntry entry =
        RUNTIME__V1__LINUX_CONTAINER_RESOURCES__UNIFIED_ENTRY__INIT, *entries[] = {&entry};
    struct scene scene;

    scene_open(&scene, *state, sleeping);
    entry.key = "memory.high";
    entry.value = "33554432";
    resources.unified = entries;
    resources.n_unified = 1;
    if (is_version_1()) {
        check_refused(update(&scene, &resources), ERROR_FAILED_PRECONDITION, "unified: ");
    } else {
        check(update(&scene, &resources));
        cgroup_says(&scene, "", "memory.high", "33554432");
        entry.key = "memory.nothing";
        check_refused(update(&scene, &resources), ERROR_INVALID_ARGUMENT, "unified: the cgroups of this host have no memory.nothing");
        entry.key = "memory.high";
        entry.value = "many";
        check_refused(update(&scene, &resources), ERROR_INVALID_ARGUMENT, "unified: write \"many\" to memory.high: Invalid argument");
        cgroup_says(&scene, "", "memory.high", "33554432");
    }
    scene_close(&scene);
}

static void bad_requests_are_refused(void **state)
{
    Runtime__V1__LinuxContainerResources resources = change();
    Runtime__V1__UpdateContainerResourcesRequest request = RUNTIME__V1__UPDATE_CONTAINER_RESOURCES_REQUEST__INIT;
    Runtime__V1__WindowsContainerResources windows = RUNTIME__V1__WINDOWS_CONTAINER_RESOURCES__INIT;
    Runtime__V1__UpdateContainerResourcesResponse *reply = NULL;
    struct fixture *fixture = *state;
    struct scene scene;

    scene_open(&scene, fixture, sleeping);
    resources.cpu_shares = -5;
    check_refused(update(&scene, &resources), ERROR_INVALID_ARGUMENT, "cpu_shares -5");
    resources = change();
    resources.memory_swap_limit_in_bytes = 4096;
    check_refused(update(&scene, &resources), ERROR_INVALID_ARGUMENT, "memory_swap_limit_in_bytes 4096");
    resources = change();
    resources.cpuset_cpus = "one";
    check_refused(update(&scene, &resources), ERROR_INVALID_ARGUMENT, "cpuset_cpus \"one\"");
    request.container_id = scene.id;
    request.windows = &windows;
    check_refused(CRI_CALL(fixture->node.client, "RuntimeService", "UpdateContainerResources", &request.base, CALL_TIMEOUT_MS,
                           update_container_resources_response, &reply), ERROR_UNIMPLEMENTED, "windows");
    request.windows = NULL;
    request.container_id = "nobody";
    check_refused(CRI_CALL(fixture->node.client, "RuntimeService", "UpdateContainerResources", &request.base, CALL_TIMEOUT_MS,
                           update_container_resources_response, &reply), ERROR_NOT_FOUND, "nobody");
    check(workload_stop(&fixture->work, scene.id, 0));
    resources = change();
    check_refused(update(&scene, &resources), ERROR_FAILED_PRECONDITION, "is not created or running");
    status_is(&scene, &at_first);
    scene_close(&scene);
}

/* --- the pod's ------------------------------------------------------------------------------------------------------ */

static struct error *pod_update(const struct scene *scene, int64_t overhead, int64_t limit)
{
    Runtime__V1__UpdatePodSandboxResourcesRequest request = RUNTIME__V1__UPDATE_POD_SANDBOX_RESOURCES_REQUEST__INIT;
    Runtime__V1__LinuxContainerResources of_overhead = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT, sum = of_overhead;
    Runtime__V1__UpdatePodSandboxResourcesResponse *reply = NULL;

    of_overhead.cpu_shares = overhead;
    sum.memory_limit_in_bytes = limit;
    request.pod_sandbox_id = scene->pod_id;
    request.overhead = &of_overhead;
    request.resources = &sum;
    TRY(CRI_CALL(scene->fixture->node.client, "RuntimeService", "UpdatePodSandboxResources", &request.base, CALL_TIMEOUT_MS,
                 update_pod_sandbox_resources_response, &reply));
    runtime__v1__update_pod_sandbox_resources_response__free_unpacked(reply, NULL);
    return NULL;
}

static void pod_shows(const struct scene *scene, json_int_t overhead, json_int_t limit)
{
    Runtime__V1__PodSandboxStatusRequest request = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;
    Runtime__V1__PodSandboxStatusResponse *reply = NULL;
    json_int_t shares = -1, memory = -1;

    request.pod_sandbox_id = scene->pod_id;
    request.verbose = true;
    check(CRI_CALL(scene->fixture->node.client, "RuntimeService", "PodSandboxStatus", &request.base, CALL_TIMEOUT_MS,
                   pod_sandbox_status_response, &reply));
    json_t *info = json_loads(reply->info[0]->value, 0, NULL);
    assert_int_equal(json_unpack(info, "{s:{s:I}, s:{s:I}}", "overhead", "cpuShares", &shares, "resources", "memoryLimitInBytes", &memory), 0);
    assert_int_equal(shares, overhead);
    assert_int_equal(memory, limit);
    json_decref(info);
    runtime__v1__pod_sandbox_status_response__free_unpacked(reply, NULL);
}

static void a_pods_resources_are_recorded_and_shown(void **state)
{
    static const char *const pod_points[] = {"sandboxd.pod_update.before_save", "sandboxd.pod_update.after_save"};
    struct fixture *fixture = *state;
    struct scene scene = {.fixture = fixture};

    scene_make(&scene, fixture, sleeping);
    check(pod_update(&scene, 100, 64 * MIB));
    pod_shows(&scene, 100, 64 * MIB);
    for (size_t i = 0; i < 2; i++) {
        failpoint_set(pod_points[i], "kill");
        check(pod_update(&scene, 200 + (int64_t)i, 128 * MIB));
        failpoint_wait(pod_points[i]);
        pod_shows(&scene, 200 + (json_int_t)i, 128 * MIB);
    }
    check_refused(pod_update(&scene, -1, 1), ERROR_INVALID_ARGUMENT, "overhead: cpu_shares -1");
    pod_shows(&scene, 201, 128 * MIB);
    check(workload_pod_stop(&fixture->work, scene.pod_id));
    check_refused(pod_update(&scene, 300, 1 << 20), ERROR_FAILED_PRECONDITION, "is not ready");
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(a_running_container_has_the_new_limits),
        WITH_EACH_RUNTIME(limits_go_up_and_down),
        WITH_EACH_RUNTIME(a_created_container_starts_with_the_new_limits),
        NODE_TEST(a_retried_creation_joins_an_updated_container),
        WITH_EACH_RUNTIME(what_the_kernel_refuses_changes_nothing),
        NODE_TEST(memory_in_use_is_not_taken_away),
        NODE_TEST(unified_keys_are_files_of_version_2),
        NODE_TEST(bad_requests_are_refused),
        NODE_TEST(a_pods_resources_are_recorded_and_shown),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open_with_failpoints, fixture_close_with_failpoints);
}
