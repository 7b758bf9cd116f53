/* What a container's limits are in its cgroup's own files, and who is told when one of them kills. What only cgroups of version 2 or another
 * controller have is skipped where the host lacks it; scripts/test-vm has a host that lacks nothing. */
#include <signal.h>

#include "tests/integration/container_scene.h"

enum { LIMIT = 32 << 20, OOM_TIMES = 12 };

static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

/* It keeps the last lines of what has none. Killed is the first process, or one beside it. */
static const char *const greedy[] = {"/bin/sh", "-c", "exec tail /dev/zero", NULL};
static const char *const greedy_child[] = {"/bin/sh", "-c", "tail /dev/zero; exit 3", NULL};

static void scene_open(struct scene *scene, struct fixture *fixture, const char *const *command)
{
    *scene = (struct scene){.fixture = fixture};
    scene->pod_id = pod_begin_plain(fixture, &scene->pod, "limited", true);
    container_request_init(&scene->container, &scene->pod, scene->pod_id, "main", busybox, command);
}

static void cgroup_file_is(const struct scene *scene, const char *controller, const char *file, const char *expected)
{
    autofree char *place = node_container_cgroup(controller, scene->pod.cgroup, scene->pod_id, scene->id);
    autofree char *path = xasprintf("%s/%s", place, file), *text = file_text(path);

    if (strcmp(text, expected) != 0)
        fail_msg("%s is %s, not %s", path, text, expected);
}

static bool has_controller(const char *name)
{
    autofree char *controllers = host_has_cgroup2() ? file_text("/sys/fs/cgroup/cgroup.controllers") : NULL;
    autofree char *path = xasprintf("/sys/fs/cgroup/%s/cgroup.procs", name);

    return controllers ? strstr(controllers, name) != NULL : access(path, F_OK) == 0;
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static void the_unified_map_is_files_of_the_cgroup(void **state)
{
    static Runtime__V1__LinuxContainerResources__UnifiedEntry entries[3];
    static Runtime__V1__LinuxContainerResources__UnifiedEntry *pointers[] = {&entries[0], &entries[1], &entries[2]};
    static const char *const keys[] = {"memory.high", "memory.oom.group", "pids.max"}, *const values[] = {"50331648", "1", "77"};
    struct scene scene;

    if (!host_has_cgroup2())
        skip();
    scene_open(&scene, *state, sleeping);
    for (size_t i = 0; i < 3; i++) {
        runtime__v1__linux_container_resources__unified_entry__init(&entries[i]);
        entries[i].key = (char *)keys[i], entries[i].value = (char *)values[i];
    }
    scene.container.resources.unified = pointers, scene.container.resources.n_unified = 3;
    scene.id = container_begin(scene.fixture, &scene.container);
    cgroup_file_is(&scene, "", "memory.high", "50331648\n");
    cgroup_file_is(&scene, "", "memory.oom.group", "1\n");
    cgroup_file_is(&scene, "", "pids.max", "77\n");
    script_prints(scene.fixture, scene.id, "cd /sys/fs/cgroup; cat memory.high memory.oom.group pids.max", "50331648\n1\n77\n");
    scene_close(&scene);
}

/* The kernel has the last word on a value. */
static void a_unified_value_that_the_kernel_refuses_fails_the_create_and_leaves_nothing(void **state)
{
    static Runtime__V1__LinuxContainerResources__UnifiedEntry entry = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__UNIFIED_ENTRY__INIT;
    static Runtime__V1__LinuxContainerResources__UnifiedEntry *entries[] = {&entry};
    struct scene scene;

    if (!host_has_cgroup2())
        skip();
    scene_open(&scene, *state, sleeping);
    autofree char *good = container_begin(scene.fixture, &scene.container); /* what its runtime makes once is there */
    check(workload_remove(&scene.fixture->work, good));
    autofree char *before = node_census_at_rest(&scene.fixture->node);
    entry.key = (char *)"memory.high", entry.value = (char *)"plenty";
    scene.container.resources.unified = entries, scene.container.resources.n_unified = 1;
    autoptr(error) failure = container_request_send(&scene.container, scene.fixture->node.client, &scene.id);
    assert_non_null(failure);
    assert_non_null(strstr(failure->text, "memory.high"));
    check(node_wait_census(&scene.fixture->node, before));
    scene_close(&scene);
}

static void hugepage_limits_are_the_cgroups(void **state)
{
    static Runtime__V1__HugepageLimit page = RUNTIME__V1__HUGEPAGE_LIMIT__INIT;
    static Runtime__V1__HugepageLimit *pages[] = {&page};
    struct scene scene;

    if (!has_controller("hugetlb"))
        skip();
    scene_open(&scene, *state, sleeping);
    page.page_size = (char *)"2MB", page.limit = 8 << 20;
    scene.container.resources.hugepage_limits = pages, scene.container.resources.n_hugepage_limits = 1;
    scene.id = container_begin(scene.fixture, &scene.container);
    cgroup_file_is(&scene, "hugetlb", host_has_cgroup2() ? "hugetlb.2MB.max" : "hugetlb.2MB.limit_in_bytes", "8388608\n");
    scene_close(&scene);
}

/* CRI's limit is of memory and swap together; version 2 has one of swap alone. */
static void a_swap_limit_is_the_cgroups(void **state)
{
    struct scene scene;
    bool is_2 = host_has_cgroup2();

    if (!is_2 && access("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", F_OK) < 0)
        skip();
    scene_open(&scene, *state, sleeping);
    scene.container.resources.memory_limit_in_bytes = LIMIT;
    scene.container.resources.memory_swap_limit_in_bytes = LIMIT + (4 << 20);
    scene.id = container_begin(scene.fixture, &scene.container);
    cgroup_file_is(&scene, "memory", is_2 ? "memory.max" : "memory.limit_in_bytes", "33554432\n");
    cgroup_file_is(&scene, "memory", is_2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes", is_2 ? "4194304\n" : "37748736\n");
    scene_close(&scene);
}

/* --- usage -------------------------------------------------------------------------------------------------------- */

/* A file of version 2 that is one number, or the number behind a key of one. */
static uint64_t number_of(const struct scene *scene, const char *file, const char *key)
{
    autofree char *place = node_container_cgroup("", scene->pod.cgroup, scene->pod_id, scene->id);
    autofree char *path = xasprintf("%s/%s", place, file);
    FILE *stream = fopen(path, "re");
    char word[64] = "";
    uint64_t number = 0;

    assert_non_null(stream);
    bool is_read = *key || fscanf(stream, "%lu", &number) == 1;
    while (*key && is_read && strcmp(word, key) != 0)
        is_read = fscanf(stream, "%63s %lu", word, &number) == 2;
    fclose(stream);
    assert_true(is_read);
    return number;
}

/* A container at rest uses what it uses; the kernel's counts move by a few pages all the same, so that equality is waited for. */
static bool memory_is_as_told(const struct scene *scene)
{
    Runtime__V1__ContainerStatsRequest request = RUNTIME__V1__CONTAINER_STATS_REQUEST__INIT;
    Runtime__V1__ContainerStatsResponse *reply = NULL;
    uint64_t usage = number_of(scene, "memory.current", ""), inactive = number_of(scene, "memory.stat", "inactive_file");

    request.container_id = scene->id;
    check(CRI_CALL(scene->fixture->node.client, "RuntimeService", "ContainerStats", &request.base, 30000, container_stats_response, &reply));
    const Runtime__V1__MemoryUsage *memory = reply->stats->memory;
    bool is_same = memory && memory->usage_bytes->value == usage && memory->working_set_bytes->value == usage - inactive &&
                   memory->available_bytes->value == LIMIT - (usage - inactive) && memory->rss_bytes->value == number_of(scene, "memory.stat", "anon") &&
                   usage > 8 << 20;
    runtime__v1__container_stats_response__free_unpacked(reply, NULL);
    return is_same;
}

static void memory_statistics_are_the_cgroups_files(void **state)
{
    static const char *const working[] = {"/bin/sh", "-c", "head -c 8388608 /dev/zero > /dev/shm/filled; echo > /done; exec sleep 1000", NULL};
    struct scene scene;
    bool is_same = false;

    if (!host_has_cgroup2())
        skip(); /* integration-statistics has version 1's */
    scene_open(&scene, *state, working);
    scene.container.resources.memory_limit_in_bytes = LIMIT;
    scene.id = container_begin(scene.fixture, &scene.container);
    script_prints(scene.fixture, scene.id, "until test -e /done; do sleep 0.1; done; echo rests", "rests\n");
    for (unsigned i = 0; i < 100 && !is_same; i++) {
        usleep(50000);
        is_same = memory_is_as_told(&scene);
    }
    assert_true(is_same);
    scene_close(&scene);
}

/* --- the out of memory killer -------------------------------------------------------------------------------------- */

/* One more container of the pod; the one that sleeps is killed by us. */
static void one_ends_as(struct scene *scene, const char *const *command, unsigned number, int code, const char *reason)
{
    autofree char *name = xasprintf("ending-%u", number);
    struct container_request container;
    struct workload_state now;

    container_request_init(&container, &scene->pod, scene->pod_id, name, busybox, command);
    container.resources.memory_limit_in_bytes = LIMIT;
    char *id = container_begin(scene->fixture, &container);
    if (command == sleeping)
        check(workload_stop(&scene->fixture->work, id, 0));
    check(workload_wait_exit(&scene->fixture->work, id, &now));
    if (now.exit_code != code || strcmp(now.reason, reason) != 0)
        fail_msg("number %u ended with %d, %s, not %d, %s", number, now.exit_code, now.reason, code, reason);
    container_request_fini(&container);
    container_end(scene->fixture, id);
}

/* The kernel's count goes with the cgroup, which systemd removes once it is empty: every one must be told truly. */
static void who_is_killed_for_want_of_memory_is_told_so_each_time(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, sleeping);
    for (unsigned i = 0; i < OOM_TIMES; i++)
        one_ends_as(&scene, greedy, i, 137, "OOMKilled");
    one_ends_as(&scene, greedy_child, OOM_TIMES, 3, "OOMKilled");
    one_ends_as(&scene, sleeping, OOM_TIMES + 1, 137, "Error");
    scene_close(&scene);
}

/* Waits until no process lives in the container's cgroup, which may be gone then. */
static void processes_end(const struct scene *scene)
{
    autofree char *place = node_container_cgroup("memory", scene->pod.cgroup, scene->pod_id, scene->id);
    autofree char *procs = xasprintf("%s/cgroup.procs", place);

    for (unsigned i = 0; i < 600; i++) {
        autofree char *text = NULL;
        size_t size = 0;
        autoptr(error) gone = file_read_all(procs, 4096, &text, &size);
        if (gone || size == 0)
            return;
        usleep(50000);
    }
    fail_msg("the kernel killed nobody");
}

/* The exit is found by the shim's successor. */
static void it_is_told_though_the_shim_is_dead_at_the_time(void **state)
{
    static const char *const later[] = {"/bin/sh", "-c", "until test -e /go; do sleep 0.1; done; exec tail /dev/zero", NULL};
    struct scene scene;
    struct workload_state now;

    scene_open(&scene, *state, later);
    scene.container.resources.memory_limit_in_bytes = LIMIT;
    scene.id = container_begin(scene.fixture, &scene.container);
    pid_t shim = node_process(&scene.fixture->node, "shim");
    free(script_output(scene.fixture, scene.id, "touch /go", 0));
    assert_int_equal(kill(shim, SIGSTOP), 0); /* before or after the kernel's kill: it sees neither exit nor count */
    processes_end(&scene);
    assert_int_equal(kill(shim, SIGKILL), 0);
    check(workload_wait_exit(&scene.fixture->work, scene.id, &now));
    assert_int_equal(now.exit_code, 137);
    assert_string_equal(now.reason, "OOMKilled");
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(the_unified_map_is_files_of_the_cgroup),
        WITH_EACH_RUNTIME(a_unified_value_that_the_kernel_refuses_fails_the_create_and_leaves_nothing),
        WITH_EACH_RUNTIME(hugepage_limits_are_the_cgroups),
        WITH_EACH_RUNTIME(a_swap_limit_is_the_cgroups),
        WITH_EACH_RUNTIME(memory_statistics_are_the_cgroups_files),
        WITH_EACH_RUNTIME(who_is_killed_for_want_of_memory_is_told_so_each_time),
        WITH_EACH_RUNTIME(it_is_told_though_the_shim_is_dead_at_the_time),
    };

    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
