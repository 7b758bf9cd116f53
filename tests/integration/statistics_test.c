/* What statistics say of a container is what its cgroup's own files say, and its writable layer. */
#include "tests/integration/container_scene.h"

enum { CALL_TIMEOUT_MS = 30000, LIMIT = 64 << 20 };

/* Fills 8 MiB of shared memory and 2 MiB of a file, burns a little of the CPU, and rests: from then on its numbers
 * stand. */
static const char *const working[] = {
    "/bin/sh", "-c",
    "head -c 8388608 /dev/zero > /dev/shm/filled; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done;"
    "echo done > /done; exec sleep 1000",
    NULL};

static void scene_open(struct scene *scene, struct fixture *fixture)
{
    *scene = (struct scene){.fixture = fixture};
    scene->pod_id = pod_begin_plain(fixture, &scene->pod, "counted", true);
    container_request_init(&scene->container, &scene->pod, scene->pod_id, "main", busybox, working);
    scene->container.resources.memory_limit_in_bytes = LIMIT;
    scene->id = container_begin(fixture, &scene->container);
    script_prints(fixture, scene->id, "until test -e /done; do sleep 0.1; done; echo rests", "rests\n");
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
    if (access("/sys/fs/cgroup/memory/memory.memsw.usage_in_bytes", F_OK) == 0) { /* its limit with swap is memory's own */
        assert_int_equal(reply->stats->swap->swap_usage_bytes->value, 0);
        assert_int_equal(reply->stats->swap->swap_available_bytes->value, 0);
    }
    assert_null(reply->stats->io); /* pressure is told, and version 1 has none */
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

/* A shell that does nothing else, with a container that is held to a fifth of a CPU. */
static void scene_open_burning(struct scene *scene, struct fixture *fixture)
{
    static const char *const burning[] = {"/bin/sh", "-c", "while :; do :; done", NULL};

    *scene = (struct scene){.fixture = fixture};
    scene->pod_id = pod_begin_plain(fixture, &scene->pod, "burning", true);
    container_request_init(&scene->container, &scene->pod, scene->pod_id, "main", busybox, burning);
    scene->container.resources.cpu_quota = 20000;
    scene->container.resources.cpu_period = 100000;
    scene->id = container_begin(fixture, &scene->container);
}

/* Nanoseconds of CPU per second. Askings leave nothing behind to compare with: the samples are taken in the background. */
static void the_rate_is_sampled_in_the_background(void **state)
{
    struct scene scene;
    uint64_t rate = 0;

    scene_open_burning(&scene, *state);
    for (unsigned i = 0; i < 300 && rate == 0; i++) {
        Runtime__V1__ContainerStatsResponse *reply = stats_get(&scene);
        if (reply->stats->cpu->usage_nano_cores)
            rate = reply->stats->cpu->usage_nano_cores->value;
        runtime__v1__container_stats_response__free_unpacked(reply, NULL);
        usleep(100000);
    }
    assert_in_range(rate, 1, 400000000); /* its quota is 200 million; what ran before the first sample counts too */
    scene_close(&scene);
}

/* What `du` says of the container's upper directory: allocated bytes, or inodes. */
static uint64_t du(const struct scene *scene, const char *options)
{
    autofree char *command =
        xasprintf("du -s %s %s/shim/%s/%s/upper", options, scene->fixture->node.root, scene->pod_id, scene->id);
    FILE *output = popen(command, "r");
    unsigned long long number = 0;

    assert_non_null(output);
    assert_int_equal(fscanf(output, "%llu", &number), 1);
    pclose(output);
    return number;
}

static bool layer_is_as_du_has_it(const struct scene *scene, bool is_last)
{
    Runtime__V1__ContainerStatsResponse *reply = stats_get(scene);
    const Runtime__V1__FilesystemUsage *layer = reply->stats->writable_layer;
    uint64_t bytes = du(scene, "-B1"), inodes = du(scene, "--inodes");
    bool is_same = layer && layer->used_bytes->value == bytes && layer->inodes_used->value == inodes;

    if (is_last && !is_same)
        fail_msg("bytes %llu, inodes %llu; du: %llu, %llu", layer ? (unsigned long long)layer->used_bytes->value : 0,
                 layer ? (unsigned long long)layer->inodes_used->value : 0, (unsigned long long)bytes, (unsigned long long)inodes);
    if (is_same) {
        assert_true(access(layer->fs_id->mountpoint, F_OK) == 0);
        assert_in_range(layer->timestamp, 1, clock_realtime_ns());
    }
    runtime__v1__container_stats_response__free_unpacked(reply, NULL);
    return is_same;
}

static void layer_becomes_as_du_has_it(const struct scene *scene)
{
    for (unsigned i = 0; i < 300 && !layer_is_as_du_has_it(scene, i == 299); i++)
        usleep(100000);
}

/* Directories, a sparse file, many small ones, and one file under three names. */
static void the_writable_layer_is_measured(void **state)
{
    struct scene scene;

    scene_open(&scene, *state);
    script_prints(scene.fixture, scene.id,
                  "mkdir -p /a/b/c; head -c 5000000 /dev/zero > /a/big; ln /a/big /a/b/again; ln /a/big /a/b/c/again;"
                  "truncate -s 100000000 /a/sparse; i=0; while [ $i -lt 200 ]; do echo $i > /a/b/$i; i=$((i+1)); done; echo made",
                  "made\n");
    layer_becomes_as_du_has_it(&scene);
    script_prints(scene.fixture, scene.id, "rm -r /a; echo gone", "gone\n");
    layer_becomes_as_du_has_it(&scene);
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
    assert_null(reply->stats->writable_layer);
    runtime__v1__container_stats_response__free_unpacked(reply, NULL);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(a_containers_statistics_are_its_cgroups_files),
        NODE_TEST(the_rate_is_sampled_in_the_background),
        WITH_EACH_RUNTIME(the_writable_layer_is_measured),
        NODE_TEST(an_exited_container_has_attributes_alone),
    };

    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
