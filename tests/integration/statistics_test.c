/* What statistics say of a container is what its cgroup's own files say. */
#include "tests/integration/node_fixture.h"

enum { CALL_TIMEOUT_MS = 30000, LIMIT = 64 << 20 };

/* Fills 8 MiB of shared memory and 2 MiB of a file, burns a little of the CPU, and rests: from then on its numbers
 * stand. */
static const char *const working[] = {
    "/bin/sh", "-c",
    "head -c 8388608 /dev/zero > /dev/shm/filled; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done;"
    "echo done > /done; exec sleep 1000",
    NULL};

struct scene {
    struct fixture *fixture;
    struct pod_request pod;
    struct container_request container;
    char *pod_id;
    char *id;
};

static void scene_open(struct scene *scene, struct fixture *fixture)
{
    *scene = (struct scene){.fixture = fixture};
    scene->pod_id = pod_begin_plain(fixture, &scene->pod, "counted", true);
    container_request_init(&scene->container, &scene->pod, scene->pod_id, "main", busybox, working);
    scene->container.resources.memory_limit_in_bytes = LIMIT;
    scene->id = container_begin(fixture, &scene->container);
    script_prints(fixture, scene->id, "until test -e /done; do sleep 0.1; done; echo rests", "rests\n");
}

static void scene_close(struct scene *scene)
{
    free(scene->id);
    pod_end(scene->fixture, scene->pod_id);
    container_request_fini(&scene->container);
    pod_request_fini(&scene->pod);
}

static char *cgroup_text(const struct scene *scene, const char *controller, const char *file)
{
    autofree char *path =
        xasprintf("/sys/fs/cgroup/%s%s/%s/%s/%s", controller, scene->pod.cgroup, scene->pod_id, scene->id, file);
    char *text = NULL;
    size_t size = 0;

    check(file_read_all(path, 1 << 16, &text, &size));
    return text;
}

static uint64_t cgroup_number(const struct scene *scene, const char *controller, const char *file)
{
    autofree char *text = cgroup_text(scene, controller, file);

    return strtoull(text, NULL, 10);
}

/* The number behind a word of memory.stat. */
static uint64_t memory_stat(const struct scene *scene, const char *word)
{
    autofree char *text = cgroup_text(scene, "memory", "memory.stat"), *line = xasprintf("\n%s ", word);
    const char *at = strstr(text, line);

    assert_non_null(at);
    return strtoull(at + strlen(line), NULL, 10);
}

static Runtime__V1__ContainerStatsResponse *stats_get(const struct scene *scene)
{
    Runtime__V1__ContainerStatsRequest request = RUNTIME__V1__CONTAINER_STATS_REQUEST__INIT;
    Runtime__V1__ContainerStatsResponse *reply = NULL;

    request.container_id = scene->id;
    check(CRI_CALL(scene->fixture->node.client, "RuntimeService", "ContainerStats", &request.base, CALL_TIMEOUT_MS,
                   container_stats_response, &reply));
    return reply;
}

/* A counter goes up: what is told lies between what its file said before and says after. */
static void stats_are_between(const struct scene *scene)
{
    uint64_t cpu_before = cgroup_number(scene, "cpuacct", "cpuacct.usage"),
             faults_before = memory_stat(scene, "total_pgfault");
    int64_t time_before = clock_realtime_ns();
    Runtime__V1__ContainerStatsResponse *reply = stats_get(scene);
    const Runtime__V1__CpuUsage *cpu = reply->stats->cpu;
    const Runtime__V1__MemoryUsage *memory = reply->stats->memory;

    assert_in_range(cpu->usage_core_nano_seconds->value, cpu_before, cgroup_number(scene, "cpuacct", "cpuacct.usage"));
    assert_in_range(cpu->timestamp, time_before, clock_realtime_ns());
    assert_in_range(memory->page_faults->value, faults_before, memory_stat(scene, "total_pgfault"));
    assert_in_range(memory->major_page_faults->value, 0, memory_stat(scene, "total_pgmajfault"));
    assert_true(cpu->usage_core_nano_seconds->value > 1000000);
    runtime__v1__container_stats_response__free_unpacked(reply, NULL);
}

/* A container at rest uses what it uses; the kernel's own counts move by a few pages all the same, so that equality is
 * waited for. */
static bool memory_is_as_told(const struct scene *scene, bool is_last)
{
    uint64_t usage = cgroup_number(scene, "memory", "memory.usage_in_bytes"), rss = memory_stat(scene, "total_rss"),
             inactive = memory_stat(scene, "total_inactive_file");
    Runtime__V1__ContainerStatsResponse *reply = stats_get(scene);
    const Runtime__V1__MemoryUsage *memory = reply->stats->memory;
    uint64_t working_set = memory->working_set_bytes->value;
    bool is_same = memory->usage_bytes->value == usage && memory->rss_bytes->value == rss &&
                   working_set == usage - inactive && memory->available_bytes->value == LIMIT - working_set &&
                   usage > 8 << 20;

    if (is_last && !is_same)
        fail_msg("usage %llu, rss %llu, working set %llu, available %llu; the cgroup: %llu, %llu, inactive files %llu",
                 (unsigned long long)memory->usage_bytes->value, (unsigned long long)memory->rss_bytes->value,
                 (unsigned long long)working_set, (unsigned long long)memory->available_bytes->value,
                 (unsigned long long)usage, (unsigned long long)rss, (unsigned long long)inactive);
    runtime__v1__container_stats_response__free_unpacked(reply, NULL);
    return is_same;
}

static void a_containers_statistics_are_its_cgroups_files(void **state)
{
    struct scene scene;

    if (access("/sys/fs/cgroup/memory", F_OK) < 0)
        skip(); /* cgroup version 2 has other files */
    scene_open(&scene, *state);
    stats_are_between(&scene);
    for (unsigned i = 0; i < 100 && !memory_is_as_told(&scene, i == 99); i++)
        usleep(50000);
    scene_close(&scene);
}

/* Nanoseconds of CPU per second. The first asking has nothing to compare with. */
static void the_rate_is_measured_between_two_askings(void **state)
{
    static const char *const burning[] = {"/bin/sh", "-c", "while :; do :; done", NULL};
    struct fixture *fixture = *state;
    struct scene scene = {.fixture = fixture};
    uint64_t rate = 0;

    scene.pod_id = pod_begin_plain(fixture, &scene.pod, "burning", true);
    container_request_init(&scene.container, &scene.pod, scene.pod_id, "main", busybox, burning);
    scene.id = container_begin(fixture, &scene.container);
    for (unsigned i = 0; i < 100 && rate == 0; i++) {
        Runtime__V1__ContainerStatsResponse *reply = stats_get(&scene);
        rate = reply->stats->cpu->usage_nano_cores->value;
        runtime__v1__container_stats_response__free_unpacked(reply, NULL);
        usleep(200000);
    }
    assert_int_not_equal(rate, 0);
    scene_close(&scene);
}

/* The one that is asked for by id is told of though it has ended; it uses nothing. */
static void an_exited_container_has_attributes_alone(void **state)
{
    struct fixture *fixture = *state;
    struct scene scene;

    scene_open(&scene, fixture);
    check(workload_stop(&fixture->work, scene.id, 0));
    Runtime__V1__ContainerStatsResponse *reply = stats_get(&scene);
    assert_string_equal(reply->stats->attributes->id, scene.id);
    assert_string_equal(reply->stats->attributes->metadata->name, "main");
    assert_null(reply->stats->cpu);
    assert_null(reply->stats->memory);
    runtime__v1__container_stats_response__free_unpacked(reply, NULL);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(a_containers_statistics_are_its_cgroups_files),
        NODE_TEST(the_rate_is_measured_between_two_askings),
        NODE_TEST(an_exited_container_has_attributes_alone),
    };

    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
