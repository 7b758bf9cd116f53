/* A container whose resources are updated, and all that speaks of them. */
#pragma once

#include <jansson.h>

#include "tests/integration/container_scene.h"
#include "tests/integration/node_failpoints.h"

enum { CALL_TIMEOUT_MS = 60000, MIB = 1 << 20 };

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

/* Holds 24 MiB that nobody can reclaim. */
static const char *const filled[] = {"/bin/sh", "-c", "head -c 25165824 /dev/zero > /dev/shm/filled; echo done > /done; exec sleep 1000", NULL};

static inline void scene_make(struct scene *scene, struct fixture *fixture, const char *const *command)
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

static inline void scene_open(struct scene *scene, struct fixture *fixture, const char *const *command)
{
    scene_make(scene, fixture, command);
    scene->id = container_begin(fixture, &scene->container);
    if (command == filled)
        script_prints(fixture, scene->id, "until test -e /done; do sleep 0.1; done; echo rests", "rests\n");
}

static inline struct error *update(const struct scene *scene, const Runtime__V1__LinuxContainerResources *resources)
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

static inline char *file_line(const char *path)
{
    char *text = file_text(path);

    text[strcspn(text, "\n")] = '\0';
    return text;
}

static inline bool is_version_1(void)
{
    return access("/sys/fs/cgroup/memory", F_OK) == 0;
}

/* A file of the container's cgroup: version 1's, or version 2's. */
static inline char *cgroup_text(const struct scene *scene, const char *controller, const char *file)
{
    autofree char *path = xasprintf("/sys/fs/cgroup%s%s%s/%s/%s/%s", is_version_1() ? "/" : "", is_version_1() ? controller : "",
                                    scene->pod.cgroup, scene->pod_id, scene->id, file);

    return file_line(path);
}

static inline void cgroup_says(const struct scene *scene, const char *controller, const char *file, const char *expected)
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

static inline Runtime__V1__LinuxContainerResources change(void)
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

static inline void cgroup_number_is(const struct scene *scene, const char *controller, const char *file, int64_t expected)
{
    autofree char *text = xasprintf("%lld", (long long)expected);

    cgroup_says(scene, controller, file, text);
}

static inline void cgroup_is_v1(const struct scene *scene, const struct expected *expected)
{
    cgroup_number_is(scene, "memory", "memory.limit_in_bytes", expected->memory);
    if (access("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", F_OK) == 0)
        cgroup_number_is(scene, "memory", "memory.memsw.limit_in_bytes", expected->swap);
    cgroup_number_is(scene, "cpu", "cpu.shares", expected->shares);
    cgroup_number_is(scene, "cpu", "cpu.cfs_quota_us", expected->quota);
    cgroup_number_is(scene, "cpu", "cpu.cfs_period_us", expected->period);
}

/* Shares are weights there, as crun and runc convert them; and swap has a limit of its own. */
static inline void cgroup_is_v2(const struct scene *scene, const struct expected *expected)
{
    autofree char *cpu = xasprintf("%lld %lld", (long long)expected->quota, (long long)expected->period);

    cgroup_number_is(scene, "", "memory.max", expected->memory);
    cgroup_number_is(scene, "", "memory.swap.max", expected->swap - expected->memory);
    cgroup_number_is(scene, "", "cpu.weight", 1 + (expected->shares - 2) * 9999 / 262142);
    cgroup_says(scene, "", "cpu.max", cpu);
}

static inline void cgroup_is(const struct scene *scene, const struct expected *expected)
{
    if (is_version_1())
        cgroup_is_v1(scene, expected);
    else
        cgroup_is_v2(scene, expected);
    if (expected->cpus)
        cgroup_says(scene, "cpuset", "cpuset.cpus", expected->cpus);
}

static inline Runtime__V1__ContainerStatusResponse *status_get(const struct scene *scene)
{
    Runtime__V1__ContainerStatusRequest request = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;
    Runtime__V1__ContainerStatusResponse *reply = NULL;

    request.container_id = scene->id;
    check(CRI_CALL(scene->fixture->node.client, "RuntimeService", "ContainerStatus", &request.base, CALL_TIMEOUT_MS,
                   container_status_response, &reply));
    return reply;
}

static inline void status_is(const struct scene *scene, const struct expected *expected)
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

static inline void config_is(const struct scene *scene, const struct expected *expected)
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

static inline void all_is(const struct scene *scene, const struct expected *expected)
{
    cgroup_is(scene, expected);
    status_is(scene, expected);
    config_is(scene, expected);
}

/* Of the first process, and of a command that is run now: crun takes its from config.json, runc 1.1 what it noted at the creation. */
static inline void oom_scores_are(const struct scene *scene, int64_t expected)
{
    const char *handler = scene->fixture->handler;
    int64_t of_exec = handler && strcmp(handler, "runc") == 0 ? at_first.oom : expected;
    autofree char *text = xasprintf("%lld\n%lld\n", (long long)expected, (long long)of_exec);

    script_prints(scene->fixture, scene->id, "cat /proc/1/oom_score_adj /proc/self/oom_score_adj", text);
}

/* An update that the kernel refuses when it has taken some of it already, and its reason. */
static inline const char *refused_change(Runtime__V1__LinuxContainerResources *ret)
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
