/* Which number is which metric. */
#include <stdio.h>
#include <stdlib.h>

#include "services/sandboxd/metrics.h"

enum { NS_PER_S = 1000000000, US_PER_S = 1000000 };

static void add(struct metric_list *list, enum metric metric, uint64_t value)
{
    metric_add(list, metric, value, NULL);
}

static void add_of(struct metric_list *list, enum metric metric, uint64_t value, const char *label)
{
    metric_add(list, metric, value, &label);
}

static void cpu_add(struct metric_list *list, const struct metric_numbers *numbers)
{
    const struct cgroup_details *details = numbers->details;

    if (numbers->stats->usage.has_cpu)
        add_of(list, METRIC_CPU_USAGE_SECONDS, numbers->stats->usage.cpu_ns / NS_PER_S, "total");
    if (details->has_cpu_split) {
        add(list, METRIC_CPU_USER_SECONDS, details->user_ns / NS_PER_S);
        add(list, METRIC_CPU_SYSTEM_SECONDS, details->system_ns / NS_PER_S);
    }
    if (details->has_throttling) {
        add(list, METRIC_CPU_CFS_PERIODS, details->periods);
        add(list, METRIC_CPU_CFS_THROTTLED_PERIODS, details->throttled_periods);
        add(list, METRIC_CPU_CFS_THROTTLED_SECONDS, details->throttled_ns / NS_PER_S);
    }
}

static void faults_add(struct metric_list *list, const char *type, const char *scope, uint64_t count)
{
    const char *const labels[] = {type, scope};

    metric_add(list, METRIC_MEMORY_FAILURES, count, labels);
}

static void memory_add(struct metric_list *list, const struct metric_numbers *numbers)
{
    const struct cgroup_details *details = numbers->details;
    const struct cgroup_usage *usage = &numbers->stats->usage;

    if (!usage->has_memory)
        return;
    add(list, METRIC_MEMORY_USAGE_BYTES, usage->memory_bytes);
    add(list, METRIC_MEMORY_WORKING_SET_BYTES, usage->working_set_bytes);
    add(list, METRIC_MEMORY_RSS, usage->rss_bytes);
    if (usage->has_swap)
        add(list, METRIC_MEMORY_SWAP, usage->swap_bytes);
    add(list, METRIC_MEMORY_CACHE, details->cache_bytes);
    add(list, METRIC_MEMORY_MAPPED_FILE, details->mapped_file_bytes);
    add(list, METRIC_MEMORY_KERNEL_USAGE, details->kernel_bytes);
    add(list, METRIC_MEMORY_FAILCNT, details->fail_count);
    if (details->has_max_usage)
        add(list, METRIC_MEMORY_MAX_USAGE_BYTES, details->max_usage_bytes);
    faults_add(list, "pgfault", "container", details->own_page_faults);
    faults_add(list, "pgfault", "hierarchy", usage->page_faults);
    faults_add(list, "pgmajfault", "container", details->own_major_page_faults);
    faults_add(list, "pgmajfault", "hierarchy", usage->major_page_faults);
    add(list, METRIC_OOM_EVENTS, details->oom_kills);
}

static void pages_add(struct metric_list *list, const struct cgroup_details *details)
{
    for (size_t i = 0; i < details->page_count; i++) {
        const struct huge_pages *pages = &details->pages[i];
        add_of(list, METRIC_HUGETLB_USAGE_BYTES, pages->usage_bytes, pages->size);
        if (pages->has_max_usage)
            add_of(list, METRIC_HUGETLB_MAX_USAGE_BYTES, pages->max_usage_bytes, pages->size);
    }
}

static void device_usage_add(struct metric_list *list, const struct device_io *device, const char *name, const char *operation,
                             uint64_t bytes)
{
    char major[16], minor[16];
    const char *const labels[] = {name, major, minor, operation};

    snprintf(major, sizeof(major), "%u", device->major);
    snprintf(minor, sizeof(minor), "%u", device->minor);
    metric_add(list, METRIC_BLKIO_DEVICE_USAGE, bytes, labels);
}

static void io_add(struct metric_list *list, const struct metric_numbers *numbers)
{
    for (size_t i = 0; i < numbers->details->io.count; i++) {
        const struct device_io *device = &numbers->details->io.items[i];
        const char *name = numbers->device_names[i];
        add_of(list, METRIC_FS_READS_BYTES, device->read_bytes, name);
        add_of(list, METRIC_FS_READS, device->reads, name);
        add_of(list, METRIC_FS_WRITES_BYTES, device->written_bytes, name);
        add_of(list, METRIC_FS_WRITES, device->writes, name);
        device_usage_add(list, device, name, "Read", device->read_bytes);
        device_usage_add(list, device, name, "Write", device->written_bytes);
    }
}

/* Some wait: "waiting"; all do: "stalled". */
static void pressure_add(struct metric_list *list, const struct pressure *pressure, enum metric waiting, enum metric stalled)
{
    if (!pressure->is_there)
        return;
    add(list, waiting, pressure->some.total_us / US_PER_S);
    add(list, stalled, pressure->full.total_us / US_PER_S);
}

static void processes_add(struct metric_list *list, const struct cgroup_details *details)
{
    add(list, METRIC_PROCESSES, details->processes);
    if (!details->has_pids)
        return;
    add(list, METRIC_THREADS, details->threads);
    add(list, METRIC_THREADS_MAX, details->threads_max);
}

void metrics_of_cgroup(struct metric_list *list, const struct metric_numbers *numbers)
{
    const struct cgroup_usage *usage = &numbers->stats->usage;

    add(list, METRIC_LAST_SEEN, (uint64_t)(list->at_ns / NS_PER_S));
    if (numbers->started_at_ns)
        add(list, METRIC_START_TIME_SECONDS, (uint64_t)(numbers->started_at_ns / NS_PER_S));
    cpu_add(list, numbers);
    memory_add(list, numbers);
    pages_add(list, numbers->details);
    io_add(list, numbers);
    pressure_add(list, &usage->cpu_pressure, METRIC_PRESSURE_CPU_WAITING, METRIC_PRESSURE_CPU_STALLED);
    pressure_add(list, &usage->memory_pressure, METRIC_PRESSURE_MEMORY_WAITING, METRIC_PRESSURE_MEMORY_STALLED);
    pressure_add(list, &usage->io_pressure, METRIC_PRESSURE_IO_WAITING, METRIC_PRESSURE_IO_STALLED);
    processes_add(list, numbers->details);
}

static void measurement_add(struct metric_list *list, const struct measurement *measurement, const char *device)
{
    if (!measurement->at_ns)
        return;
    add_of(list, METRIC_FS_USAGE_BYTES, measurement->bytes, device);
    add_of(list, METRIC_FS_LIMIT_BYTES, measurement->fs_bytes, device);
    add_of(list, METRIC_FS_INODES_TOTAL, measurement->fs_inodes, device);
    add_of(list, METRIC_FS_INODES_FREE, measurement->fs_inodes_free, device);
    add(list, METRIC_FILE_DESCRIPTORS, measurement->fds);
    add(list, METRIC_SOCKETS, measurement->sockets);
}

void metrics_of_container(struct metric_list *list, const struct metric_numbers *numbers)
{
    const struct cgroup_details *details = numbers->details;

    measurement_add(list, &numbers->stats->measurement, numbers->layer_device);
    if (numbers->has_open_files_limit)
        add_of(list, METRIC_ULIMITS_SOFT, numbers->open_files_limit, "max_open_files");
    if (details->has_cpu_limits) {
        add(list, METRIC_SPEC_CPU_PERIOD, details->cpu_period_us);
        add(list, METRIC_SPEC_CPU_SHARES, details->cpu_shares);
    }
    if (details->has_cpu_limits && details->cpu_quota_us)
        add(list, METRIC_SPEC_CPU_QUOTA, details->cpu_quota_us);
    if (!numbers->stats->usage.has_memory)
        return;
    add(list, METRIC_SPEC_MEMORY_LIMIT, numbers->stats->usage.limit_bytes);
    add(list, METRIC_SPEC_MEMORY_RESERVATION, details->reservation_bytes);
    add(list, METRIC_SPEC_MEMORY_SWAP_LIMIT, details->memory_and_swap_limit_bytes);
}

void metrics_of_interface(struct metric_list *list, const struct interface_counters *counters)
{
    add_of(list, METRIC_NETWORK_RECEIVE_BYTES, counters->rx_bytes, counters->name);
    add_of(list, METRIC_NETWORK_RECEIVE_ERRORS, counters->rx_errors, counters->name);
    add_of(list, METRIC_NETWORK_RECEIVE_DROPPED, counters->rx_dropped, counters->name);
    add_of(list, METRIC_NETWORK_RECEIVE_PACKETS, counters->rx_packets, counters->name);
    add_of(list, METRIC_NETWORK_TRANSMIT_BYTES, counters->tx_bytes, counters->name);
    add_of(list, METRIC_NETWORK_TRANSMIT_ERRORS, counters->tx_errors, counters->name);
    add_of(list, METRIC_NETWORK_TRANSMIT_DROPPED, counters->tx_dropped, counters->name);
    add_of(list, METRIC_NETWORK_TRANSMIT_PACKETS, counters->tx_packets, counters->name);
}
