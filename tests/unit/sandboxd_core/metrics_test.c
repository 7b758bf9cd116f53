/* Metrics: their descriptors, and which number becomes which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "services/sandboxd/metrics.h"

static void descriptors_are_sorted_and_whole(void **state)
{
    struct metric_descriptors descriptors = {0};

    (void)state;
    metric_descriptors_fill(&descriptors);
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        const Runtime__V1__MetricDescriptor *item = descriptors.pointers[i];
        assert_int_equal(strncmp(item->name, "container_", 10), 0);
        assert_true(item->help[0]);
        assert_in_range(item->n_label_keys, METRIC_BASE_LABELS, METRIC_LABELS_MAX);
        if (i > 0 && strcmp(descriptors.pointers[i - 1]->name, item->name) >= 0)
            fail_msg("%s comes after %s", item->name, descriptors.pointers[i - 1]->name);
    }
    assert_string_equal(descriptors.pointers[METRIC_BLKIO_DEVICE_USAGE]->label_keys[METRIC_BASE_LABELS + 3], "operation");
    assert_string_equal(descriptors.pointers[METRIC_ULIMITS_SOFT]->name, "container_ulimits_soft");
}

/* "NAME{OWN LABELS} VALUE", a line each. The caller frees it. */
static char *text_of(const struct metric_list *list)
{
    char *text = xstrdup("");

    for (size_t i = 0; i < list->count; i++) {
        const Runtime__V1__Metric *item = list->items[i];
        autofree char *labels = xstrdup("");
        for (size_t n = METRIC_BASE_LABELS; n < item->n_label_values; n++) {
            char *longer = xasprintf("%s%s%s", labels, *labels ? "," : "", item->label_values[n]);
            free(labels);
            labels = longer;
        }
        char *longer = xasprintf("%s%s{%s} %llu\n", text, item->name + strlen("container_"), labels,
                                 (unsigned long long)item->value->value);
        free(text);
        text = longer;
    }
    return text;
}

static struct metric_list list_begin(void)
{
    return (struct metric_list){
        .owner = {.id = "/pods/a/b", .name = "b", .image = "busybox", .pod_namespace = "test", .pod = "web", .container = "main"},
        .at_ns = 3000000000};
}

static void each_number_is_its_metric(void **state)
{
    const char *devices[] = {"/dev/sda"};
    struct stats_numbers stats = {0};
    struct cgroup_details details = {0};
    struct metric_numbers numbers = {.stats = &stats, .details = &details, .started_at_ns = 2000000000, .device_names = devices};
    struct metric_list list = list_begin();

    (void)state;
    stats.usage = (struct cgroup_usage){.has_cpu = true, .cpu_ns = 7900000000, .has_memory = true, .memory_bytes = 11,
                                        .working_set_bytes = 12, .rss_bytes = 13, .page_faults = 14, .major_page_faults = 15,
                                        .has_swap = true, .swap_bytes = 16};
    stats.usage.memory_pressure = pressure_parse("some avg10=0 avg60=0 avg300=0 total=2500000\nfull avg10=0 avg60=0 avg300=0 total=1000000\n");
    details = (struct cgroup_details){.has_cpu_split = true, .user_ns = 5000000000, .system_ns = 2000000000,
                                      .has_throttling = true, .periods = 21, .throttled_periods = 22, .throttled_ns = 23000000000,
                                      .has_memory = true, .cache_bytes = 31, .mapped_file_bytes = 32, .kernel_bytes = 33,
                                      .fail_count = 34, .has_max_usage = true, .max_usage_bytes = 35, .own_page_faults = 36,
                                      .own_major_page_faults = 37, .oom_kills = 38, .has_pids = true, .threads = 41,
                                      .threads_max = 42, .processes = 43, .page_count = 1};
    details.pages[0] = (struct huge_pages){.size = "2MB", .usage_bytes = 51, .has_max_usage = true, .max_usage_bytes = 52};
    details.io = (struct device_list_io){.items = {{8, 0, 61, 62, 63, 64}}, .count = 1};
    metrics_of_cgroup(&list, &numbers);
    autofree char *text = text_of(&list);
    assert_string_equal(text, "last_seen{} 3\nstart_time_seconds{} 2\ncpu_usage_seconds_total{total} 7\n"
                              "cpu_user_seconds_total{} 5\ncpu_system_seconds_total{} 2\ncpu_cfs_periods_total{} 21\n"
                              "cpu_cfs_throttled_periods_total{} 22\ncpu_cfs_throttled_seconds_total{} 23\n"
                              "memory_usage_bytes{} 11\nmemory_working_set_bytes{} 12\nmemory_rss{} 13\nmemory_swap{} 16\n"
                              "memory_cache{} 31\nmemory_mapped_file{} 32\nmemory_kernel_usage{} 33\nmemory_failcnt{} 34\n"
                              "memory_max_usage_bytes{} 35\nmemory_failures_total{pgfault,container} 36\n"
                              "memory_failures_total{pgfault,hierarchy} 14\nmemory_failures_total{pgmajfault,container} 37\n"
                              "memory_failures_total{pgmajfault,hierarchy} 15\noom_events_total{} 38\n"
                              "hugetlb_usage_bytes{2MB} 51\nhugetlb_max_usage_bytes{2MB} 52\n"
                              "fs_reads_bytes_total{/dev/sda} 61\nfs_reads_total{/dev/sda} 63\n"
                              "fs_writes_bytes_total{/dev/sda} 62\nfs_writes_total{/dev/sda} 64\n"
                              "blkio_device_usage_total{/dev/sda,8,0,Read} 61\nblkio_device_usage_total{/dev/sda,8,0,Write} 62\n"
                              "pressure_memory_waiting_seconds_total{} 2\npressure_memory_stalled_seconds_total{} 1\n"
                              "processes{} 43\nthreads{} 41\nthreads_max{} 42\n");
    metric_list_fini(&list);
}

static void a_container_has_its_layer_and_limits_beside(void **state)
{
    struct stats_numbers stats = {.measurement = {.at_ns = 1, .bytes = 71, .inodes = 72, .fs_bytes = 73, .fs_inodes = 74,
                                                  .fs_inodes_free = 75, .fds = 76, .sockets = 77}};
    struct cgroup_details details = {.has_cpu_limits = true, .cpu_period_us = 81, .cpu_shares = 82, .cpu_quota_us = 83,
                                     .reservation_bytes = 84, .memory_and_swap_limit_bytes = 85};
    struct metric_numbers numbers = {.stats = &stats, .details = &details, .has_open_files_limit = true,
                                     .open_files_limit = 91, .layer_device = "/dev/vda"};
    struct metric_list list = list_begin(), without = list_begin();

    (void)state;
    stats.usage = (struct cgroup_usage){.has_memory = true, .limit_bytes = 92};
    metrics_of_container(&list, &numbers);
    autofree char *text = text_of(&list);
    assert_string_equal(text, "fs_usage_bytes{/dev/vda} 71\nfs_limit_bytes{/dev/vda} 73\nfs_inodes_total{/dev/vda} 74\n"
                              "fs_inodes_free{/dev/vda} 75\nfile_descriptors{} 76\nsockets{} 77\nulimits_soft{max_open_files} 91\n"
                              "spec_cpu_period{} 81\nspec_cpu_shares{} 82\nspec_cpu_quota{} 83\nspec_memory_limit_bytes{} 92\n"
                              "spec_memory_reservation_limit_bytes{} 84\nspec_memory_swap_limit_bytes{} 85\n");
    metric_list_fini(&list);
    stats = (struct stats_numbers){0};
    details = (struct cgroup_details){0};
    numbers.has_open_files_limit = false;
    metrics_of_container(&without, &numbers);
    assert_int_equal(without.count, 0);
    metric_list_fini(&without);
}

static void labels_are_as_the_descriptor_has_them(void **state)
{
    static const char *const expected[] = {"/pods/a/b", "b", "busybox", "test", "web", "main", "eth0"};
    struct interface_counters counters = {.name = "eth0", .tx_packets = 5};
    struct metric_list list = list_begin();

    (void)state;
    metrics_of_interface(&list, &counters);
    assert_int_equal(list.count, 8);
    const Runtime__V1__Metric *item = list.items[7];
    assert_string_equal(item->name, "container_network_transmit_packets_total");
    assert_int_equal(item->value->value, 5);
    assert_int_equal(item->metric_type, RUNTIME__V1__METRIC_TYPE__COUNTER);
    assert_int_equal(item->timestamp, 3000000000);
    assert_int_equal(item->n_label_values, 7);
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(item->label_values[i], expected[i]);
    metric_list_fini(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_are_sorted_and_whole),
        cmocka_unit_test(each_number_is_its_metric),
        cmocka_unit_test(a_container_has_its_layer_and_limits_beside),
        cmocka_unit_test(labels_are_as_the_descriptor_has_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
