/* UpdateContainerResources has its whole effect, or none: cgroup, status, config.json and what an exec inherits agree, whoever is
 * killed on the way. */
#include <sys/stat.h>

#include <jansson.h>

#include "tests/integration/failpoints.h"

enum { CALL_TIMEOUT_MS = 60000, MIB = 1 << 20 };

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

/* Holds 24 MiB that nobody can reclaim. */
static const char *const filled[] = {"/bin/sh", "-c", "head -c 25165824 /dev/zero > /dev/shm/filled; echo done > /done; exec sleep 1000", NULL};

struct scene {
    struct fixture *fixture;
    struct pod_request pod;
    struct container_request container;
    char *pod_id;
    char *id;
};

static void scene_make(struct scene *scene, struct fixture *fixture, const char *const *command)
{
    *scene = (struct scene){.fixture = fixture};
    scene->pod_id = pod_begin_plain(fixture, &scene->pod, "updated", true);
    container_request_init(&scene->container, &scene->pod, scene->pod_id, "main", busybox, command);
    scene->container.resources.memory_limit_in_bytes = 64 * MIB;
    scene->container.resources.cpu_shares = 256;
    scene->container.resources.cpu_quota = 50000;
    scene->container.resources.cpu_period = 100000;
    scene->container.resources.oom_score_adj = 300;
}

static void scene_open(struct scene *scene, struct fixture *fixture, const char *const *command)
{
    scene_make(scene, fixture, command);
    scene->id = container_begin(fixture, &scene->container);
    if (command == filled)
        script_prints(fixture, scene->id, "until test -e /done; do sleep 0.1; done; echo rests", "rests\n");
}

static void scene_close(struct scene *scene)
{
    free(scene->id);
    pod_end(scene->fixture, scene->pod_id);
    container_request_fini(&scene->container);
    pod_request_fini(&scene->pod);
}

static struct error *update(const struct scene *scene, const Runtime__V1__LinuxContainerResources *resources)
{
    Runtime__V1__UpdateContainerResourcesRequest request = RUNTIME__V1__UPDATE_CONTAINER_RESOURCES_REQUEST__INIT;
    Runtime__V1__UpdateContainerResourcesResponse *reply = NULL;

    request.container_id = scene->id;
    request.linux = (Runtime__V1__LinuxContainerResources *)resources;
    TRY(CRI_CALL(scene->fixture->node.client, "RuntimeService", "UpdateContainerResources", &request.base, CALL_TIMEOUT_MS,
                 update_container_resources_response, &reply));
    runtime__v1__update_container_resources_response__free_unpacked(reply, NULL);
    return NULL;
}

static char *file_text(const char *path)
{
    char *text = NULL;
    size_t size = 0;

    check(file_read_all(path, 1 << 20, &text, &size));
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static bool is_version_1(void)
{
    return access("/sys/fs/cgroup/memory", F_OK) == 0;
}

/* A file of the container's cgroup: version 1's, or version 2's. */
static char *cgroup_text(const struct scene *scene, const char *controller, const char *file)
{
    autofree char *path = xasprintf("/sys/fs/cgroup%s%s%s/%s/%s/%s", is_version_1() ? "/" : "", is_version_1() ? controller : "",
                                    scene->pod.cgroup, scene->pod_id, scene->id, file);

    return file_text(path);
}

static void cgroup_says(const struct scene *scene, const char *controller, const char *file, const char *expected)
{
    autofree char *text = cgroup_text(scene, controller, file);

    if (strcmp(text, expected) != 0)
        fail_msg("%s is %s, not %s", file, text, expected);
}

/* What all that speaks of the resources must say. */
struct expected {
    int64_t memory, swap /* of the cgroup */, shares, quota, period, oom;
    const char *cpus; /* NULL: not asked for */
};

static const struct expected at_first = {64 * MIB, 64 * MIB, 256, 50000, 100000, 300, NULL};
static const struct expected changed = {96 * MIB, 128 * MIB, 512, 40000, 50000, 400, "0"};

static Runtime__V1__LinuxContainerResources change(void)
{
    Runtime__V1__LinuxContainerResources resources = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;

    resources.memory_limit_in_bytes = changed.memory;
    resources.memory_swap_limit_in_bytes = changed.swap;
    resources.cpu_shares = changed.shares;
    resources.cpu_quota = changed.quota;
    resources.cpu_period = changed.period;
    resources.oom_score_adj = changed.oom;
    resources.cpuset_cpus = (char *)changed.cpus;
    return resources;
}

static void cgroup_number_is(const struct scene *scene, const char *controller, const char *file, int64_t expected)
{
    autofree char *text = xasprintf("%lld", (long long)expected);

    cgroup_says(scene, controller, file, text);
}

static void cgroup_is_v1(const struct scene *scene, const struct expected *expected)
{
    cgroup_number_is(scene, "memory", "memory.limit_in_bytes", expected->memory);
    if (access("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", F_OK) == 0)
        cgroup_number_is(scene, "memory", "memory.memsw.limit_in_bytes", expected->swap);
    cgroup_number_is(scene, "cpu", "cpu.shares", expected->shares);
    cgroup_number_is(scene, "cpu", "cpu.cfs_quota_us", expected->quota);
    cgroup_number_is(scene, "cpu", "cpu.cfs_period_us", expected->period);
}

/* Shares are weights there, as crun and runc convert them; and swap has a limit of its own. */
static void cgroup_is_v2(const struct scene *scene, const struct expected *expected)
{
    autofree char *cpu = xasprintf("%lld %lld", (long long)expected->quota, (long long)expected->period);

    cgroup_number_is(scene, "", "memory.max", expected->memory);
    cgroup_number_is(scene, "", "memory.swap.max", expected->swap - expected->memory);
    cgroup_number_is(scene, "", "cpu.weight", 1 + (expected->shares - 2) * 9999 / 262142);
    cgroup_says(scene, "", "cpu.max", cpu);
}

static void cgroup_is(const struct scene *scene, const struct expected *expected)
{
    if (is_version_1())
        cgroup_is_v1(scene, expected);
    else
        cgroup_is_v2(scene, expected);
    if (expected->cpus)
        cgroup_says(scene, "cpuset", "cpuset.cpus", expected->cpus);
}

static Runtime__V1__ContainerStatusResponse *status_get(const struct scene *scene)
{
    Runtime__V1__ContainerStatusRequest request = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
    Runtime__V1__ContainerStatusResponse *reply = NULL;

    request.container_id = scene->id;
    check(CRI_CALL(scene->fixture->node.client, "RuntimeService", "ContainerStatus", &request.base, CALL_TIMEOUT_MS,
                   container_status_response, &reply));
    return reply;
}

static void status_is(const struct scene *scene, const struct expected *expected)
{
    Runtime__V1__ContainerStatusResponse *reply = status_get(scene);
    const Runtime__V1__LinuxContainerResources *resources = reply->status->resources->linux;
    assert_int_equal(resources->memory_limit_in_bytes, expected->memory);
    assert_int_equal(resources->cpu_shares, expected->shares);
    assert_int_equal(resources->cpu_quota, expected->quota);
    assert_int_equal(resources->cpu_period, expected->period);
    assert_int_equal(resources->oom_score_adj, expected->oom);
    assert_string_equal(resources->cpuset_cpus, expected->cpus ? expected->cpus : "");
    runtime__v1__container_status_response__free_unpacked(reply, NULL);
}

static void config_is(const struct scene *scene, const struct expected *expected)
{
    autofree char *path = xasprintf("%s/sandboxd/containers/%s/config.json", scene->fixture->node.root, scene->id);
    json_int_t memory = 0, shares = 0, quota = 0, period = 0, oom = 0;
    json_t *config = json_load_file(path, 0, NULL), *devices = NULL;
    const char *cpus = "";

    assert_non_null(config);
    assert_int_equal(json_unpack(config, "{s:{s:I}, s:{s:{s:o, s:{s:I}, s:{s:I, s:I, s:I, s?s}}}}", "process", "oomScoreAdj", &oom,
                                 "linux", "resources", "devices", &devices, "memory", "limit", &memory, "cpu", "shares",
                                 &shares, "quota", &quota, "period", &period, "cpus", &cpus), 0);
    assert_int_equal(memory, expected->memory);
    assert_int_equal(shares, expected->shares);
    assert_int_equal(quota, expected->quota);
    assert_int_equal(period, expected->period);
    assert_int_equal(oom, expected->oom);
    assert_string_equal(cpus, expected->cpus ? expected->cpus : "");
    assert_true(json_array_size(devices) > 0);
    json_decref(config);
}

static void all_is(const struct scene *scene, const struct expected *expected)
{
    cgroup_is(scene, expected);
    status_is(scene, expected);
    config_is(scene, expected);
}

/* Of the first process, and of a command that is run now: crun takes its from config.json, runc 1.1 what it noted at the creation. */
static void oom_scores_are(const struct scene *scene, int64_t expected)
{
    const char *handler = scene->fixture->handler;
    int64_t of_exec = handler && strcmp(handler, "runc") == 0 ? at_first.oom : expected;
    autofree char *text = xasprintf("%lld\n%lld\n", (long long)expected, (long long)of_exec);

    script_prints(scene->fixture, scene->id, "cat /proc/1/oom_score_adj /proc/self/oom_score_adj", text);
}

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

/* An update that the kernel refuses when it has taken some of it already, and its reason. */
static const char *refused_change(Runtime__V1__LinuxContainerResources *ret)
{
    *ret = change();
    if (!is_version_1()) {
        ret->cpuset_cpus = "40000";
        return "cpuset_cpus: write \"40000\" to cpuset.cpus: ";
    }
    ret->memory_limit_in_bytes = 8 * MIB;
    ret->memory_swap_limit_in_bytes = 0;
    return "memory_limit_in_bytes: write \"8388608\" to memory.limit_in_bytes: Device or resource busy";
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

/* --- kills ---------------------------------------------------------------------------------------------------------- */

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
        WITH_EACH_RUNTIME(an_update_is_whole_whoever_is_killed),
        WITH_EACH_RUNTIME(a_refused_update_is_undone_whoever_is_killed),
        NODE_TEST(half_an_update_is_finished_without_its_caller),
        NODE_TEST(a_retry_joins_the_update_under_way),
        NODE_TEST(a_pods_resources_are_recorded_and_shown),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open_with_failpoints, fixture_close_with_failpoints);
}
