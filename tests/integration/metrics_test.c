/* ListMetricDescriptors and ListPodSandboxMetrics: every metric that the validation suite knows, with the kernel's own numbers. */
#include <dirent.h>

#include "tests/integration/container_scene.h"
#include "cli/clients/cri_stream.h"

enum { CALL_TIMEOUT_MS = 30000, TRIES = 300, PAUSE_US = 100000, LIMIT = 64 << 20, BASE_LABELS = 6 };

/* As the suite lists them (cri-tools, pkg/validate/pod.go). `where` is what a host may lack. */
static const struct {
    const char *name;
    const char *where; /* NULL: everywhere */
} known[] = {
    {"container_blkio_device_usage_total", "a block device"},
    {"container_cpu_cfs_periods_total", NULL},
    {"container_cpu_cfs_throttled_periods_total", NULL},
    {"container_cpu_cfs_throttled_seconds_total", NULL},
    {"container_cpu_system_seconds_total", NULL},
    {"container_cpu_usage_seconds_total", NULL},
    {"container_cpu_user_seconds_total", NULL},
    {"container_file_descriptors", NULL},
    {"container_fs_inodes_free", NULL},
    {"container_fs_inodes_total", NULL},
    {"container_fs_limit_bytes", NULL},
    {"container_fs_reads_bytes_total", "a block device"},
    {"container_fs_reads_total", "a block device"},
    {"container_fs_usage_bytes", NULL},
    {"container_fs_writes_bytes_total", "a block device"},
    {"container_fs_writes_total", "a block device"},
    {"container_hugetlb_max_usage_bytes", "hugetlb"},
    {"container_hugetlb_usage_bytes", "hugetlb"},
    {"container_last_seen", NULL},
    {"container_memory_cache", NULL},
    {"container_memory_failcnt", NULL},
    {"container_memory_failures_total", NULL},
    {"container_memory_kernel_usage", NULL},
    {"container_memory_mapped_file", NULL},
    {"container_memory_max_usage_bytes", NULL},
    {"container_memory_rss", NULL},
    {"container_memory_swap", "swap"},
    {"container_memory_usage_bytes", NULL},
    {"container_memory_working_set_bytes", NULL},
    {"container_network_receive_bytes_total", NULL},
    {"container_network_receive_errors_total", NULL},
    {"container_network_receive_packets_dropped_total", NULL},
    {"container_network_receive_packets_total", NULL},
    {"container_network_transmit_bytes_total", NULL},
    {"container_network_transmit_errors_total", NULL},
    {"container_network_transmit_packets_dropped_total", NULL},
    {"container_network_transmit_packets_total", NULL},
    {"container_oom_events_total", NULL},
    {"container_pressure_cpu_stalled_seconds_total", "version 2"},
    {"container_pressure_cpu_waiting_seconds_total", "version 2"},
    {"container_pressure_io_stalled_seconds_total", "version 2"},
    {"container_pressure_io_waiting_seconds_total", "version 2"},
    {"container_pressure_memory_stalled_seconds_total", "version 2"},
    {"container_pressure_memory_waiting_seconds_total", "version 2"},
    {"container_processes", NULL},
    {"container_sockets", NULL},
    {"container_spec_cpu_period", NULL},
    {"container_spec_cpu_quota", NULL},
    {"container_spec_cpu_shares", NULL},
    {"container_spec_memory_limit_bytes", NULL},
    {"container_spec_memory_reservation_limit_bytes", NULL},
    {"container_spec_memory_swap_limit_bytes", NULL},
    {"container_start_time_seconds", NULL},
    {"container_threads", NULL},
    {"container_threads_max", NULL},
    {"container_ulimits_soft", NULL},
};
enum { KNOWN = sizeof(known) / sizeof(known[0]) };

/* A listening socket, a child, and 2 MiB of a file. */
static const char *const working[] = {
    "/bin/sh", "-c", "head -c 2097152 /dev/zero > /file; nc -l -p 7777 & sleep 1000 & echo done > /done; wait", NULL};

static void scene_open(struct scene *scene, struct fixture *fixture)
{
    *scene = (struct scene){.fixture = fixture};
    scene->pod_id = pod_begin_plain(fixture, &scene->pod, "metered", false);
    container_request_init(&scene->container, &scene->pod, scene->pod_id, "main", busybox, working);
    scene->container.resources.memory_limit_in_bytes = LIMIT;
    scene->container.resources.cpu_shares = 512;
    scene->container.resources.cpu_quota = 30000;
    scene->container.resources.cpu_period = 60000;
    scene->id = container_begin(fixture, &scene->container);
    script_prints(fixture, scene->id, "until test -e /done && netstat -ltn | grep -q 7777; do sleep 0.1; done; echo rests", "rests\n");
}

static Runtime__V1__ListMetricDescriptorsResponse *descriptors_get(struct fixture *fixture)
{
    Runtime__V1__ListMetricDescriptorsRequest request = RUNTIME__V1__LIST_METRIC_DESCRIPTORS_REQUEST__INIT;
    Runtime__V1__ListMetricDescriptorsResponse *reply = NULL;

    check(CRI_CALL(fixture->node.client, "RuntimeService", "ListMetricDescriptors", &request.base, CALL_TIMEOUT_MS,
                   list_metric_descriptors_response, &reply));
    return reply;
}

static Runtime__V1__ListPodSandboxMetricsResponse *metrics_get(struct fixture *fixture)
{
    Runtime__V1__ListPodSandboxMetricsRequest request = RUNTIME__V1__LIST_POD_SANDBOX_METRICS_REQUEST__INIT;
    Runtime__V1__ListPodSandboxMetricsResponse *reply = NULL;

    check(CRI_CALL(fixture->node.client, "RuntimeService", "ListPodSandboxMetrics", &request.base, CALL_TIMEOUT_MS,
                   list_pod_sandbox_metrics_response, &reply));
    return reply;
}

static void metrics_free(Runtime__V1__ListPodSandboxMetricsResponse *reply)
{
    runtime__v1__list_pod_sandbox_metrics_response__free_unpacked(reply, NULL);
}

/* In an answer with one pod: the pod's own, then its container's. NULL: it is not there. */
static const Runtime__V1__Metric *metric_in(Runtime__V1__Metric *const *metrics, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(metrics[i]->name, name) == 0)
            return metrics[i];
    return NULL;
}

static const Runtime__V1__Metric *of_container(const Runtime__V1__ListPodSandboxMetricsResponse *reply, const char *name)
{
    const Runtime__V1__PodSandboxMetrics *pod = reply->pod_metrics[0];

    assert_int_equal(pod->n_container_metrics, 1);
    return metric_in(pod->container_metrics[0]->metrics, pod->container_metrics[0]->n_metrics, name);
}

static const Runtime__V1__Metric *of_any(const Runtime__V1__ListPodSandboxMetricsResponse *reply, const char *name)
{
    const Runtime__V1__PodSandboxMetrics *pod = reply->pod_metrics[0];
    const Runtime__V1__Metric *found = of_container(reply, name);

    return found ? found : metric_in(pod->metrics, pod->n_metrics, name);
}

/* Asks until what is sampled in the background is there, too. */
static Runtime__V1__ListPodSandboxMetricsResponse *metrics_whole(const struct scene *scene)
{
    for (unsigned i = 0; i < TRIES; i++) {
        Runtime__V1__ListPodSandboxMetricsResponse *reply = metrics_get(scene->fixture);
        assert_int_equal(reply->n_pod_metrics, 1);
        const Runtime__V1__Metric *layer = of_any(reply, "container_fs_usage_bytes");
        if (layer && layer->value->value > 2 << 20 && of_any(reply, "container_network_receive_bytes_total"))
            return reply;
        metrics_free(reply);
        usleep(PAUSE_US);
    }
    fail_msg("the writable layer or the network is not among the metrics");
    return NULL;
}

static void every_known_metric_has_a_descriptor(void **state)
{
    Runtime__V1__ListMetricDescriptorsResponse *reply = descriptors_get(*state);

    assert_int_equal(reply->n_descriptors, KNOWN);
    for (size_t i = 0; i < KNOWN; i++) {
        assert_string_equal(reply->descriptors[i]->name, known[i].name);
        assert_true(reply->descriptors[i]->help[0]);
        assert_true(reply->descriptors[i]->n_label_keys >= BASE_LABELS);
    }
    runtime__v1__list_metric_descriptors_response__free_unpacked(reply, NULL);
}

static bool host_has(const char *what)
{
    if (!what)
        return true;
    if (strcmp(what, "swap") == 0)
        return access("/sys/fs/cgroup/memory/memory.memsw.usage_in_bytes", F_OK) == 0;
    if (strcmp(what, "hugetlb") == 0)
        return access("/sys/fs/cgroup/hugetlb", F_OK) == 0;
    return false; /* version 2; and a block device, where only what has read or written has numbers */
}

/* Every metric of a list is one of the descriptors, with as many labels. */
static void labels_fit(const Runtime__V1__ListMetricDescriptorsResponse *descriptors, Runtime__V1__Metric *const *metrics,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = 0;
        while (n < descriptors->n_descriptors && strcmp(descriptors->descriptors[n]->name, metrics[i]->name) != 0)
            n++;
        if (n == descriptors->n_descriptors || descriptors->descriptors[n]->n_label_keys != metrics[i]->n_label_values)
            fail_msg("%s has %zu labels, or no descriptor", metrics[i]->name, metrics[i]->n_label_values);
        assert_true(metrics[i]->timestamp > 0);
    }
}

static void every_known_metric_has_a_value(void **state)
{
    Runtime__V1__ListMetricDescriptorsResponse *descriptors = descriptors_get(*state);
    struct scene scene;

    if (access("/sys/fs/cgroup/memory", F_OK) < 0)
        skip(); /* which of version 2's controllers are there is not known */
    scene_open(&scene, *state);
    Runtime__V1__ListPodSandboxMetricsResponse *reply = metrics_whole(&scene);
    for (size_t i = 0; i < KNOWN; i++)
        if (host_has(known[i].where) && !of_any(reply, known[i].name))
            fail_msg("%s has no value", known[i].name);
    const Runtime__V1__PodSandboxMetrics *pod = reply->pod_metrics[0];
    assert_string_equal(pod->pod_sandbox_id, scene.pod_id);
    assert_string_equal(pod->container_metrics[0]->container_id, scene.id);
    labels_fit(descriptors, pod->metrics, pod->n_metrics);
    labels_fit(descriptors, pod->container_metrics[0]->metrics, pod->container_metrics[0]->n_metrics);
    metrics_free(reply);
    runtime__v1__list_metric_descriptors_response__free_unpacked(descriptors, NULL);
    scene_close(&scene);
}

static void labels_are(const Runtime__V1__Metric *metric, const char *const expected[BASE_LABELS])
{
    for (size_t i = 0; i < BASE_LABELS; i++)
        assert_string_equal(metric->label_values[i], expected[i]);
}

static void labels_say_whose_they_are(void **state)
{
    struct scene scene;

    scene_open(&scene, *state);
    autofree char *pod_cgroup = xasprintf("%s/%s", scene.pod.cgroup, scene.pod_id),
                  *cgroup = xasprintf("%s/%s", pod_cgroup, scene.id);
    const char *const of_pod[] = {pod_cgroup, "", "", "test", "metered", ""},
                      *const of_main[] = {cgroup, scene.id, busybox, "test", "metered", "main"};
    Runtime__V1__ListPodSandboxMetricsResponse *reply = metrics_whole(&scene);
    const Runtime__V1__Metric *cpu = of_container(reply, "container_cpu_usage_seconds_total");
    const Runtime__V1__Metric *network = of_any(reply, "container_network_receive_bytes_total");
    labels_are(cpu, of_main);
    assert_string_equal(cpu->label_values[BASE_LABELS], "total");
    assert_int_equal(cpu->metric_type, RUNTIME__V1__METRIC_TYPE__COUNTER);
    labels_are(network, of_pod);
    assert_string_equal(network->label_values[BASE_LABELS], "eth0");
    metrics_free(reply);
    scene_close(&scene);
}

/* --- values -------------------------------------------------------------------------------------------------------- */

static uint64_t value_of(const Runtime__V1__ListPodSandboxMetricsResponse *reply, const char *name)
{
    const Runtime__V1__Metric *metric = of_container(reply, name);

    if (!metric)
        fail_msg("%s has no value", name);
    return metric ? metric->value->value : 0;
}

static void what_was_asked_for_is_told(void **state)
{
    Runtime__V1__UpdateContainerResourcesRequest request = RUNTIME__V1__UPDATE_CONTAINER_RESOURCES_REQUEST__INIT;
    Runtime__V1__LinuxContainerResources resources = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    Runtime__V1__UpdateContainerResourcesResponse *updated = NULL;
    struct scene scene;

    if (access("/sys/fs/cgroup/memory", F_OK) < 0)
        skip();
    scene_open(&scene, *state);
    Runtime__V1__ListPodSandboxMetricsResponse *reply = metrics_get(*state);
    assert_int_equal(value_of(reply, "container_spec_memory_limit_bytes"), LIMIT);
    assert_int_equal(value_of(reply, "container_spec_cpu_shares"), 512);
    assert_int_equal(value_of(reply, "container_spec_cpu_quota"), 30000);
    assert_int_equal(value_of(reply, "container_spec_cpu_period"), 60000);
    metrics_free(reply);
    request.container_id = scene.id;
    request.linux = &resources;
    resources.memory_limit_in_bytes = 2 * LIMIT;
    resources.cpu_quota = -1;
    check(CRI_CALL(scene.fixture->node.client, "RuntimeService", "UpdateContainerResources", &request.base, CALL_TIMEOUT_MS,
                   update_container_resources_response, &updated));
    runtime__v1__update_container_resources_response__free_unpacked(updated, NULL);
    reply = metrics_get(*state);
    assert_int_equal(value_of(reply, "container_spec_memory_limit_bytes"), 2 * LIMIT);
    assert_null(of_container(reply, "container_spec_cpu_quota"));
    metrics_free(reply);
    scene_close(&scene);
}

/* The script's shell, netcat and sleep: descriptors and sockets as root sees them, from outside. */
static unsigned long sum_over_processes(const struct scene *scene, const char *script)
{
    autofree char *command =
        xasprintf("for p in $(cat /sys/fs/cgroup/pids%s/%s/%s/cgroup.procs); do %s; done | wc -l", scene->pod.cgroup,
                  scene->pod_id, scene->id, script);
    FILE *output = popen(command, "r");
    unsigned long sum = 0;

    assert_non_null(output);
    assert_int_equal(fscanf(output, "%lu", &sum), 1);
    pclose(output);
    return sum;
}

static bool processes_are_as_seen(const struct scene *scene, bool is_last)
{
    Runtime__V1__ListPodSandboxMetricsResponse *reply = metrics_whole(scene);
    uint64_t fds = value_of(reply, "container_file_descriptors"), sockets = value_of(reply, "container_sockets"),
             processes = value_of(reply, "container_processes"), threads = value_of(reply, "container_threads");
    unsigned long fds_seen = sum_over_processes(scene, "ls /proc/$p/fd"),
                  sockets_seen = sum_over_processes(scene, "ls -l /proc/$p/fd | grep 'socket:'"),
                  processes_seen = sum_over_processes(scene, "echo $p");
    bool is_same = fds == fds_seen && sockets == sockets_seen && processes == processes_seen && threads == processes_seen &&
                   sockets_seen == 1 && processes_seen == 3;

    if (is_last && !is_same)
        fail_msg("descriptors %llu, sockets %llu, processes %llu, threads %llu; seen: %lu, %lu, %lu", (unsigned long long)fds,
                 (unsigned long long)sockets, (unsigned long long)processes, (unsigned long long)threads, fds_seen, sockets_seen,
                 processes_seen);
    metrics_free(reply);
    return is_same;
}

static void processes_and_descriptors_are_counted(void **state)
{
    struct scene scene;

    if (access("/sys/fs/cgroup/pids", F_OK) < 0)
        skip();
    scene_open(&scene, *state);
    for (unsigned i = 0; i < TRIES && !processes_are_as_seen(&scene, i == TRIES - 1); i++)
        usleep(PAUSE_US);
    Runtime__V1__ListPodSandboxMetricsResponse *reply = metrics_get(*state);
    autofree char *limit = script_output(scene.fixture, scene.id, "grep 'Max open files' /proc/1/limits | sed 's/[^0-9]*\\([0-9]*\\).*/\\1/'", 0);
    assert_int_equal(value_of(reply, "container_ulimits_soft"), strtoull(limit, NULL, 10));
    assert_in_range(value_of(reply, "container_start_time_seconds"), 1, (uint64_t)(clock_realtime_ns() / 1000000000));
    metrics_free(reply);
    scene_close(&scene);
}

static void only_what_lives_has_metrics(void **state)
{
    struct fixture *fixture = *state;
    struct scene scene;

    Runtime__V1__ListPodSandboxMetricsResponse *reply = metrics_get(fixture);
    assert_int_equal(reply->n_pod_metrics, 0);
    metrics_free(reply);
    scene_open(&scene, fixture);
    check(workload_stop(&fixture->work, scene.id, 0));
    reply = metrics_get(fixture);
    assert_int_equal(reply->n_pod_metrics, 1);
    assert_int_equal(reply->pod_metrics[0]->n_container_metrics, 0);
    assert_true(reply->pod_metrics[0]->n_metrics > 0);
    metrics_free(reply);
    check(workload_pod_stop(&fixture->work, scene.pod_id));
    reply = metrics_get(fixture);
    assert_int_equal(reply->n_pod_metrics, 0);
    metrics_free(reply);
    scene_close(&scene);
}

/* The only message of a streamed list; the caller frees it. */
static uint8_t *streamed(struct fixture *fixture, const char *method, size_t *ret_size)
{
    struct cri_stream *stream = NULL;
    uint8_t *message = NULL, *more = NULL;
    size_t size = 0;

    check(cri_stream_open(fixture->node.client, "RuntimeService", method, "", 0, CALL_TIMEOUT_MS, &stream));
    check(cri_stream_next(stream, CALL_TIMEOUT_MS, &message, ret_size));
    check(cri_stream_next(stream, CALL_TIMEOUT_MS, &more, &size));
    assert_non_null(message);
    assert_null(more);
    cri_stream_close(stream);
    return message;
}

static void streamed_lists_have_the_same_pod(void **state)
{
    struct scene scene;
    size_t size = 0;

    scene_open(&scene, *state);
    autofree uint8_t *metrics_bytes = streamed(*state, "StreamPodSandboxMetrics", &size);
    Runtime__V1__StreamPodSandboxMetricsResponse *metrics =
        runtime__v1__stream_pod_sandbox_metrics_response__unpack(NULL, size, metrics_bytes);
    assert_int_equal(metrics->n_pod_sandbox_metrics, 1);
    assert_string_equal(metrics->pod_sandbox_metrics[0]->pod_sandbox_id, scene.pod_id);
    assert_int_equal(metrics->pod_sandbox_metrics[0]->n_container_metrics, 1);
    runtime__v1__stream_pod_sandbox_metrics_response__free_unpacked(metrics, NULL);
    autofree uint8_t *stats_bytes = streamed(*state, "StreamPodSandboxStats", &size);
    Runtime__V1__StreamPodSandboxStatsResponse *stats =
        runtime__v1__stream_pod_sandbox_stats_response__unpack(NULL, size, stats_bytes);
    assert_int_equal(stats->n_pod_sandbox_stats, 1);
    assert_string_equal(stats->pod_sandbox_stats[0]->attributes->id, scene.pod_id);
    assert_int_equal(stats->pod_sandbox_stats[0]->linux->n_containers, 1);
    runtime__v1__stream_pod_sandbox_stats_response__free_unpacked(stats, NULL);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NODE_TEST(every_known_metric_has_a_descriptor),
        WITH_EACH_RUNTIME(every_known_metric_has_a_value),
        NODE_TEST(labels_say_whose_they_are),
        WITH_EACH_RUNTIME(what_was_asked_for_is_told),
        WITH_EACH_RUNTIME(processes_and_descriptors_are_counted),
        NODE_TEST(only_what_lives_has_metrics),
        NODE_TEST(streamed_lists_have_the_same_pod),
    };

    cmocka_set_test_filter(getenv("BULKHEAD_TEST_FILTER"));
    return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
