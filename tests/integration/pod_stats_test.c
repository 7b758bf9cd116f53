/* PodSandboxStats and its list: what a pod uses, its network's counters, and its containers'; no bad container delays another. */
#include <ctype.h>
#include <dirent.h>

#include "tests/integration/node_failpoints.h"

enum { CALL_TIMEOUT_MS = 30000, TRIES = 300, PAUSE_US = 100000 };

static const char *const three_processes[] = {"/bin/sh", "-c", "sleep 1000 & sleep 1000 & wait", NULL};
static const char *const sleeping[] = {"/bin/sleep", "1000", NULL};

struct scene {
    struct fixture *fixture;
    struct pod_request pod;
    struct container_request container;
    Runtime__V1__PodSandboxConfig__LabelsEntry label, *labels[1];
    char *pod_id;
    char *id;
};

static void scene_open(struct scene *scene, struct fixture *fixture, const char *name, bool host_network,
                       const char *const *command)
{
    *scene = (struct scene){.fixture = fixture};
    pod_request_init(&scene->pod, &fixture->node, name, host_network);
    scene->label = (Runtime__V1__PodSandboxConfig__LabelsEntry)RUNTIME__V1__POD_SANDBOX_CONFIG__LABELS_ENTRY__INIT;
    scene->label.key = "app";
    scene->label.value = (char *)name;
    scene->labels[0] = &scene->label;
    scene->pod.config.labels = scene->labels;
    scene->pod.config.n_labels = 1;
    scene->pod_id = pod_begin(fixture, &scene->pod);
    container_request_init(&scene->container, &scene->pod, scene->pod_id, "main", busybox, command);
    scene->id = container_begin(fixture, &scene->container);
}

static void scene_close(struct scene *scene)
{
    free(scene->id);
    pod_end(scene->fixture, scene->pod_id);
    container_request_fini(&scene->container);
    pod_request_fini(&scene->pod);
}

static Runtime__V1__PodSandboxStatsResponse *stats_get(const struct scene *scene)
{
    Runtime__V1__PodSandboxStatsRequest request = RUNTIME__V1__POD_SANDBOX_STATS_REQUEST__INIT;
    Runtime__V1__PodSandboxStatsResponse *reply = NULL;

    request.pod_sandbox_id = scene->pod_id;
    check(CRI_CALL(scene->fixture->node.client, "RuntimeService", "PodSandboxStats", &request.base, CALL_TIMEOUT_MS,
                   pod_sandbox_stats_response, &reply));
    return reply;
}

static void stats_free(Runtime__V1__PodSandboxStatsResponse *reply)
{
    runtime__v1__pod_sandbox_stats_response__free_unpacked(reply, NULL);
}

/* A file of the pod's own cgroup: of version 1's controller, or of the only hierarchy. */
static char *cgroup_text(const struct scene *scene, const char *controller, const char *file)
{
    bool is_v1 = access("/sys/fs/cgroup/cpuacct", F_OK) == 0;
    autofree char *path = xasprintf("/sys/fs/cgroup%s%s%s/%s/%s", is_v1 ? "/" : "", is_v1 ? controller : "", scene->pod.cgroup,
                                    scene->pod_id, file);
    char *text = NULL;
    size_t size = 0;

    check(file_read_all(path, 1 << 16, &text, &size));
    return text;
}

static uint64_t cpu_time(const struct scene *scene)
{
    bool is_v1 = access("/sys/fs/cgroup/cpuacct", F_OK) == 0;
    autofree char *text = is_v1 ? cgroup_text(scene, "cpuacct", "cpuacct.usage") : cgroup_text(scene, "", "cpu.stat");

    return is_v1 ? strtoull(text, NULL, 10) : strtoull(text + strlen("usage_usec "), NULL, 10) * 1000;
}

static void a_pods_statistics_are_its_cgroups_files(void **state)
{
    struct scene scene;

    scene_open(&scene, *state, "counted", true, three_processes);
    script_prints(scene.fixture, scene.id, "until [ $(ls -d /proc/[0-9]* | wc -l) -ge 3 ]; do sleep 0.1; done; echo run", "run\n");
    uint64_t before = cpu_time(&scene);
    Runtime__V1__PodSandboxStatsResponse *reply = stats_get(&scene);
    const Runtime__V1__LinuxPodSandboxStats *stats = reply->stats->linux;
    assert_in_range(stats->cpu->usage_core_nano_seconds->value, before, cpu_time(&scene));
    assert_in_range(stats->cpu->timestamp, 1, clock_realtime_ns());
    if (access("/sys/fs/cgroup/memory", F_OK) == 0) {
        assert_true(stats->memory->usage_bytes->value > 0);
        assert_true(stats->memory->working_set_bytes->value <= stats->memory->usage_bytes->value);
        assert_null(stats->memory->available_bytes); /* the pod has no limit of its own */
    }
    assert_string_equal(reply->stats->attributes->id, scene.pod_id);
    assert_string_equal(reply->stats->attributes->metadata->name, "counted");
    assert_string_equal(reply->stats->attributes->labels[0]->value, "counted");
    assert_int_equal(stats->n_containers, 1);
    assert_string_equal(stats->containers[0]->attributes->id, scene.id);
    assert_true(stats->containers[0]->cpu->usage_core_nano_seconds->value <= cpu_time(&scene));
    assert_null(stats->network); /* the host's is not the pod's */
    stats_free(reply);
    scene_close(&scene);
}

/* An exec that is over may be a zombie for a moment. */
static void processes_are_counted(void **state)
{
    struct scene scene;
    uint64_t count = 0;

    scene_open(&scene, *state, "processes", true, three_processes);
    for (unsigned i = 0; i < TRIES && count != 3; i++) {
        Runtime__V1__PodSandboxStatsResponse *reply = stats_get(&scene);
        count = reply->stats->linux->process->process_count->value;
        stats_free(reply);
        usleep(PAUSE_US);
    }
    assert_int_equal(count, 3);
    scene_close(&scene);
}

/* --- network ------------------------------------------------------------------------------------------------------- */

/* Asks until the counters are there: they come from the pod's shim, in the background. */
static Runtime__V1__PodSandboxStatsResponse *stats_with_network(const struct scene *scene)
{
    for (unsigned i = 0; i < TRIES; i++) {
        Runtime__V1__PodSandboxStatsResponse *reply = stats_get(scene);
        if (reply->stats->linux->network)
            return reply;
        stats_free(reply);
        usleep(PAUSE_US);
    }
    fail_msg("the pod has no network statistics");
    return NULL;
}

struct counters {
    unsigned long long rx_bytes, tx_bytes;
};

/* As the pod's own /proc has them. */
static struct counters counters_inside(const struct scene *scene)
{
    struct counters counters = {0};
    autofree char *text = script_output(scene->fixture, scene->id, "grep eth0: /proc/net/dev | sed 's/.*://'", 0);

    assert_int_equal(sscanf(text, "%llu %*u %*u %*u %*u %*u %*u %*u %llu", &counters.rx_bytes, &counters.tx_bytes), 2);
    return counters;
}

static void network_is_between(const struct scene *scene)
{
    struct counters before = counters_inside(scene);
    Runtime__V1__PodSandboxStatsResponse *reply = stats_with_network(scene);
    const Runtime__V1__NetworkUsage *network = reply->stats->linux->network;
    struct counters after = counters_inside(scene);

    assert_string_equal(network->default_interface->name, "eth0");
    assert_in_range(network->default_interface->rx_bytes->value, before.rx_bytes, after.rx_bytes);
    assert_in_range(network->default_interface->tx_bytes->value, before.tx_bytes, after.tx_bytes);
    assert_int_equal(network->default_interface->rx_errors->value, 0);
    assert_int_equal(network->n_interfaces, 0); /* all but the default, and the loopback is none */
    assert_in_range(network->timestamp, 1, clock_realtime_ns());
    stats_free(reply);
}

static void the_network_is_the_pods_own(void **state)
{
    struct fixture *fixture = *state;
    struct scene scene;

    scene_open(&scene, fixture, "connected", false, sleeping);
    network_is_between(&scene);
    struct counters before = counters_inside(&scene);
    script_prints(fixture, scene.id, "ping -c 3 -i 0.1 -s 1000 10.198.0.1 > /dev/null; echo pinged", "pinged\n");
    assert_true(counters_inside(&scene).tx_bytes >= before.tx_bytes + 3000);
    network_is_between(&scene);
    check(node_kill(&fixture->node, "sandboxd"));
    network_is_between(&scene);
    check(node_kill(&fixture->node, "shim"));
    network_is_between(&scene);
    scene_close(&scene);
}

/* How many descriptors of sandboxd lead to a pod's counters. */
static unsigned net_files_open(const struct node *node)
{
    autofree char *path = xasprintf("/proc/%d/fd", node_process(node, "sandboxd"));
    DIR *directory = opendir(path);
    unsigned count = 0;

    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory));) {
        char link[256];
        ssize_t size = readlinkat(dirfd(directory), entry->d_name, link, sizeof(link) - 1);
        link[size > 0 ? size : 0] = '\0';
        count += strstr(link, "/net/dev") != NULL;
    }
    closedir(directory);
    return count;
}

/* They hold the namespace: with the pod's network they go, before anything is taken down. */
static void a_stopped_pods_namespace_is_let_go(void **state)
{
    struct fixture *fixture = *state;
    struct scene scene;

    scene_open(&scene, fixture, "let-go", false, sleeping);
    stats_free(stats_with_network(&scene));
    assert_int_equal(net_files_open(&fixture->node), 1);
    check(workload_pod_stop(&fixture->work, scene.pod_id));
    assert_int_equal(net_files_open(&fixture->node), 0);
    Runtime__V1__PodSandboxStatsResponse *reply = stats_get(&scene);
    assert_string_equal(reply->stats->attributes->id, scene.pod_id);
    assert_null(reply->stats->linux->cpu);
    assert_null(reply->stats->linux->network);
    stats_free(reply);
    scene_close(&scene);
}

/* --- lists --------------------------------------------------------------------------------------------------------- */

/* The list under a filter, as names of pods in the order of the answer, "a b ". */
static char *listed(const struct scene *scene, const char *id, const char *label)
{
    Runtime__V1__ListPodSandboxStatsRequest request = RUNTIME__V1__LIST_POD_SANDBOX_STATS_REQUEST__INIT;
    Runtime__V1__PodSandboxStatsFilter filter = RUNTIME__V1__POD_SANDBOX_STATS_FILTER__INIT;
    Runtime__V1__PodSandboxStatsFilter__LabelSelectorEntry entry =
        RUNTIME__V1__POD_SANDBOX_STATS_FILTER__LABEL_SELECTOR_ENTRY__INIT, *entries[] = {&entry};
    Runtime__V1__ListPodSandboxStatsResponse *reply = NULL;
    char *names = xstrdup("");

    filter.id = (char *)(id ? id : "");
    entry.key = "app";
    entry.value = (char *)label;
    filter.label_selector = entries;
    filter.n_label_selector = label != NULL;
    request.filter = id || label ? &filter : NULL;
    check(CRI_CALL(scene->fixture->node.client, "RuntimeService", "ListPodSandboxStats", &request.base, CALL_TIMEOUT_MS,
                   list_pod_sandbox_stats_response, &reply));
    for (size_t i = 0; i < reply->n_stats; i++) {
        char *longer = xasprintf("%s%s ", names, reply->stats[i]->attributes->metadata->name);
        assert_non_null(reply->stats[i]->linux->cpu);
        free(names);
        names = longer;
    }
    runtime__v1__list_pod_sandbox_stats_response__free_unpacked(reply, NULL);
    return names;
}

static void listed_is(const struct scene *scene, const char *id, const char *label, const char *expected)
{
    autofree char *names = listed(scene, id, label);

    assert_string_equal(names, expected);
}

static void lists_are_filtered(void **state)
{
    struct fixture *fixture = *state;
    struct scene one, two;

    scene_open(&one, fixture, "one", true, sleeping);
    scene_open(&two, fixture, "two", true, sleeping);
    autofree char *all = listed(&one, NULL, NULL);
    assert_true(strstr(all, "one ") && strstr(all, "two ") && strlen(all) == 8);
    listed_is(&one, one.pod_id, NULL, "one ");
    listed_is(&one, NULL, "two", "two ");
    listed_is(&one, one.pod_id, "two", "");
    listed_is(&one, NULL, "three", "");
    check(workload_pod_stop(&fixture->work, one.pod_id));
    listed_is(&one, NULL, NULL, "two "); /* a stopped one uses nothing */
    check(workload_pod_remove(&fixture->work, one.pod_id));
    Runtime__V1__PodSandboxStatsRequest request = RUNTIME__V1__POD_SANDBOX_STATS_REQUEST__INIT;
    Runtime__V1__PodSandboxStatsResponse *reply = NULL;
    request.pod_sandbox_id = one.pod_id;
    check_refused(CRI_CALL(fixture->node.client, "RuntimeService", "PodSandboxStats", &request.base, CALL_TIMEOUT_MS,
                           pod_sandbox_stats_response, &reply), ERROR_NOT_FOUND, one.pod_id);
    scene_close(&two);
    free(one.id);
    free(one.pod_id);
    container_request_fini(&one.container);
    pod_request_fini(&one.pod);
}

/* --- one bad container --------------------------------------------------------------------------------------------- */

static const Runtime__V1__FilesystemUsage *layer_of(const Runtime__V1__PodSandboxStatsResponse *reply, const char *id)
{
    for (size_t i = 0; i < reply->stats->linux->n_containers; i++)
        if (strcmp(reply->stats->linux->containers[i]->attributes->id, id) == 0)
            return reply->stats->linux->containers[i]->writable_layer;
    fail_msg("container %s is not in the pod's statistics", id);
    return NULL;
}

/* The first container's walk hangs. Its pod answers all the same, another container of it is measured, and both go when told to. */
static void a_walk_that_hangs_delays_nobody(void **state)
{
    struct fixture *fixture = *state;
    struct container_request second;
    struct scene scene;
    bool is_measured = false;

    failpoint_set("shim.measure.begun", "sleep 600000");
    scene_open(&scene, fixture, "hanging", true, sleeping);
    failpoint_wait("shim.measure.begun");
    container_request_init(&second, &scene.pod, scene.pod_id, "second", busybox, sleeping);
    autofree char *second_id = container_begin(fixture, &second);
    for (unsigned i = 0; i < TRIES && !is_measured; i++) {
        Runtime__V1__PodSandboxStatsResponse *reply = stats_get(&scene);
        is_measured = layer_of(reply, second_id) != NULL;
        assert_null(layer_of(reply, scene.id));
        stats_free(reply);
        usleep(PAUSE_US);
    }
    assert_true(is_measured);
    int64_t begun_ns = clock_boottime_ns();
    check(workload_remove(&fixture->work, scene.id));
    check(workload_pod_stop(&fixture->work, scene.pod_id));
    assert_true(clock_boottime_ns() - begun_ns < 300 * 1000000000ll); /* it sleeps twice as long */
    container_request_fini(&second);
    scene_close(&scene);
}

/* The helper that walks, or the shim, dies: the next one measures. */
static void a_measurement_outlives_kills(void **state)
{
    static const char *const points[] = {"shim.measure.begun", "shim.step.before_result"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < 2; i++) {
        struct scene scene;
        const Runtime__V1__FilesystemUsage *layer = NULL;
        scene_open(&scene, fixture, "measured", true, sleeping);
        failpoint_set(points[i], "kill");
        failpoint_wait(points[i]);
        for (unsigned tries = 0; tries < TRIES && !layer; tries++) {
            Runtime__V1__PodSandboxStatsResponse *reply = stats_get(&scene);
            layer = layer_of(reply, scene.id);
            stats_free(reply);
            usleep(PAUSE_US);
        }
        assert_non_null(layer);
        scene_close(&scene);
    }
}

/* --- pressure ------------------------------------------------------------------------------------------------------- */

static uint64_t pressure_total_us(const struct scene *scene, const char *file)
{
    autofree char *text = cgroup_text(scene, "", file);
    unsigned long long total = 0;

    assert_int_equal(sscanf(text, "some avg10=%*f avg60=%*f avg300=%*f total=%llu", &total), 1);
    return total;
}

static void pressure_is_the_kernels(void **state)
{
    static const char *const competing[] = {"/bin/sh", "-c", "for i in 1 2 3 4 5 6; do (while :; do :; done) & done; wait", NULL};
    struct scene scene;
    uint64_t told = 0;

    if (access("/sys/fs/cgroup/cpu.pressure", F_OK) < 0)
        skip(); /* version 1 has none */
    scene_open(&scene, *state, "pressed", true, competing);
    for (unsigned i = 0; i < TRIES && told == 0; i++) {
        uint64_t before = pressure_total_us(&scene, "cpu.pressure");
        Runtime__V1__PodSandboxStatsResponse *reply = stats_get(&scene);
        told = reply->stats->linux->cpu->psi->some->total;
        assert_in_range(told, before * 1000, pressure_total_us(&scene, "cpu.pressure") * 1000);
        assert_non_null(reply->stats->linux->io->psi->full);
        assert_non_null(reply->stats->linux->containers[0]->cpu->psi);
        assert_non_null(reply->stats->linux->containers[0]->io->psi->some);
        stats_free(reply);
        usleep(PAUSE_US);
    }
    assert_true(told > 0);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EACH_RUNTIME(a_pods_statistics_are_its_cgroups_files),
        NODE_TEST(processes_are_counted),
        WITH_EACH_RUNTIME(the_network_is_the_pods_own),
        NODE_TEST(a_stopped_pods_namespace_is_let_go),
        NODE_TEST(lists_are_filtered),
        NODE_TEST(a_walk_that_hangs_delays_nobody),
        NODE_TEST(a_measurement_outlives_kills),
        NODE_TEST(pressure_is_the_kernels),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open_with_failpoints, fixture_close_with_failpoints);
}
