/* The table of metrics. */
#include "services/sandboxd/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"

struct metric_kind {
    const char *name;
    const char *help;
    bool is_counter;
    const char *labels[METRIC_OWN_LABELS_MAX];
};

static const char *const base_labels[METRIC_BASE_LABELS] = {"id", "name", "image", "namespace", "pod", "container"};

#define COUNTER(name, help, ...)                                                                                       \
    {                                                                                                                  \
        "container_" name, help, true, { __VA_ARGS__ }                                                                 \
    }
#define GAUGE(name, help, ...)                                                                                         \
    {                                                                                                                  \
        "container_" name, help, false, { __VA_ARGS__ }                                                                \
    }

/* Names, types and labels: cAdvisor's docs/storage/prometheus.md. Values are whole numbers in CRI, so seconds are cut. */
static const struct metric_kind kinds[METRIC_COUNT] = {
    [METRIC_BLKIO_DEVICE_USAGE] = COUNTER("blkio_device_usage_total", "Bytes read from and written to a block device", "device",
                                          "major", "minor", "operation"),
    [METRIC_CPU_CFS_PERIODS] = COUNTER("cpu_cfs_periods_total", "Periods of CPU quota that have passed", NULL),
    [METRIC_CPU_CFS_THROTTLED_PERIODS] = COUNTER("cpu_cfs_throttled_periods_total", "Periods in which the CPU quota was used up", NULL),
    [METRIC_CPU_CFS_THROTTLED_SECONDS] = COUNTER("cpu_cfs_throttled_seconds_total", "Time in which the CPU quota let nothing run, in seconds", NULL),
    [METRIC_CPU_SYSTEM_SECONDS] = COUNTER("cpu_system_seconds_total", "CPU time spent in the kernel, in seconds", NULL),
    [METRIC_CPU_USAGE_SECONDS] = COUNTER("cpu_usage_seconds_total", "CPU time, in seconds", "cpu"),
    [METRIC_CPU_USER_SECONDS] = COUNTER("cpu_user_seconds_total", "CPU time spent in user space, in seconds", NULL),
    [METRIC_FILE_DESCRIPTORS] = GAUGE("file_descriptors", "Open file descriptors", NULL),
    [METRIC_FS_INODES_FREE] = GAUGE("fs_inodes_free", "Free inodes of the file system with the writable layer", "device"),
    [METRIC_FS_INODES_TOTAL] = GAUGE("fs_inodes_total", "Inodes of the file system with the writable layer", "device"),
    [METRIC_FS_LIMIT_BYTES] = GAUGE("fs_limit_bytes", "Size of the file system with the writable layer, in bytes", "device"),
    [METRIC_FS_READS_BYTES] = COUNTER("fs_reads_bytes_total", "Bytes read from a block device", "device"),
    [METRIC_FS_READS] = COUNTER("fs_reads_total", "Reads from a block device", "device"),
    [METRIC_FS_USAGE_BYTES] = GAUGE("fs_usage_bytes", "Size of the writable layer on disk, in bytes", "device"),
    [METRIC_FS_WRITES_BYTES] = COUNTER("fs_writes_bytes_total", "Bytes written to a block device", "device"),
    [METRIC_FS_WRITES] = COUNTER("fs_writes_total", "Writes to a block device", "device"),
    [METRIC_HUGETLB_MAX_USAGE_BYTES] = GAUGE("hugetlb_max_usage_bytes", "The most huge pages that were in use, in bytes", "pagesize"),
    [METRIC_HUGETLB_USAGE_BYTES] = GAUGE("hugetlb_usage_bytes", "Huge pages in use, in bytes", "pagesize"),
    [METRIC_LAST_SEEN] = GAUGE("last_seen", "When these numbers were read, in seconds since 1970", NULL),
    [METRIC_MEMORY_CACHE] = GAUGE("memory_cache", "Page cache, in bytes", NULL),
    [METRIC_MEMORY_FAILCNT] = COUNTER("memory_failcnt", "How often the limit of memory was hit", NULL),
    [METRIC_MEMORY_FAILURES] = COUNTER("memory_failures_total", "Page faults", "failure_type", "scope"),
    [METRIC_MEMORY_KERNEL_USAGE] = GAUGE("memory_kernel_usage", "The kernel's own memory, in bytes", NULL),
    [METRIC_MEMORY_MAPPED_FILE] = GAUGE("memory_mapped_file", "Files mapped into memory, in bytes", NULL),
    [METRIC_MEMORY_MAX_USAGE_BYTES] = GAUGE("memory_max_usage_bytes", "The most memory that was in use, in bytes", NULL),
    [METRIC_MEMORY_RSS] = GAUGE("memory_rss", "Anonymous memory, in bytes", NULL),
    [METRIC_MEMORY_SWAP] = GAUGE("memory_swap", "Swap in use, in bytes", NULL),
    [METRIC_MEMORY_USAGE_BYTES] = GAUGE("memory_usage_bytes", "Memory in use, whenever it was touched last, in bytes", NULL),
    [METRIC_MEMORY_WORKING_SET_BYTES] = GAUGE("memory_working_set_bytes", "Memory in use without inactive pages of files, in bytes", NULL),
    [METRIC_NETWORK_RECEIVE_BYTES] = COUNTER("network_receive_bytes_total", "Bytes received", "interface"),
    [METRIC_NETWORK_RECEIVE_ERRORS] = COUNTER("network_receive_errors_total", "Errors while receiving", "interface"),
    [METRIC_NETWORK_RECEIVE_DROPPED] = COUNTER("network_receive_packets_dropped_total", "Packets dropped while receiving", "interface"),
    [METRIC_NETWORK_RECEIVE_PACKETS] = COUNTER("network_receive_packets_total", "Packets received", "interface"),
    [METRIC_NETWORK_TRANSMIT_BYTES] = COUNTER("network_transmit_bytes_total", "Bytes sent", "interface"),
    [METRIC_NETWORK_TRANSMIT_ERRORS] = COUNTER("network_transmit_errors_total", "Errors while sending", "interface"),
    [METRIC_NETWORK_TRANSMIT_DROPPED] = COUNTER("network_transmit_packets_dropped_total", "Packets dropped while sending", "interface"),
    [METRIC_NETWORK_TRANSMIT_PACKETS] = COUNTER("network_transmit_packets_total", "Packets sent", "interface"),
    [METRIC_OOM_EVENTS] = COUNTER("oom_events_total", "Processes killed for want of memory", NULL),
    [METRIC_PRESSURE_CPU_STALLED] = COUNTER("pressure_cpu_stalled_seconds_total", "Time in which all tasks waited for a CPU, in seconds", NULL),
    [METRIC_PRESSURE_CPU_WAITING] = COUNTER("pressure_cpu_waiting_seconds_total", "Time in which some task waited for a CPU, in seconds", NULL),
    [METRIC_PRESSURE_IO_STALLED] = COUNTER("pressure_io_stalled_seconds_total", "Time in which all tasks waited for I/O, in seconds", NULL),
    [METRIC_PRESSURE_IO_WAITING] = COUNTER("pressure_io_waiting_seconds_total", "Time in which some task waited for I/O, in seconds", NULL),
    [METRIC_PRESSURE_MEMORY_STALLED] = COUNTER("pressure_memory_stalled_seconds_total", "Time in which all tasks waited for memory, in seconds", NULL),
    [METRIC_PRESSURE_MEMORY_WAITING] = COUNTER("pressure_memory_waiting_seconds_total", "Time in which some task waited for memory, in seconds", NULL),
    [METRIC_PROCESSES] = GAUGE("processes", "Processes", NULL),
    [METRIC_SOCKETS] = GAUGE("sockets", "Open sockets", NULL),
    [METRIC_SPEC_CPU_PERIOD] = GAUGE("spec_cpu_period", "Period of the CPU quota, in microseconds", NULL),
    [METRIC_SPEC_CPU_QUOTA] = GAUGE("spec_cpu_quota", "CPU quota of a period, in microseconds", NULL),
    [METRIC_SPEC_CPU_SHARES] = GAUGE("spec_cpu_shares", "CPU shares", NULL),
    [METRIC_SPEC_MEMORY_LIMIT] = GAUGE("spec_memory_limit_bytes", "Limit of memory in bytes; 0: none", NULL),
    [METRIC_SPEC_MEMORY_RESERVATION] = GAUGE("spec_memory_reservation_limit_bytes", "Memory that is reclaimed last, in bytes; 0: none", NULL),
    [METRIC_SPEC_MEMORY_SWAP_LIMIT] = GAUGE("spec_memory_swap_limit_bytes", "Limit of memory and swap together in bytes; 0: none", NULL),
    [METRIC_START_TIME_SECONDS] = GAUGE("start_time_seconds", "When it was started, in seconds since 1970", NULL),
    [METRIC_THREADS] = GAUGE("threads", "Threads", NULL),
    [METRIC_THREADS_MAX] = GAUGE("threads_max", "Limit of threads; 0: none", NULL),
    [METRIC_ULIMITS_SOFT] = GAUGE("ulimits_soft", "Soft limits of the first process", "ulimit"),
};

static size_t own_labels_count(enum metric metric)
{
    size_t count = 0;

    while (count < METRIC_OWN_LABELS_MAX && kinds[metric].labels[count])
        count++;
    return count;
}

void metric_descriptors_fill(struct metric_descriptors *ret)
{
    for (enum metric metric = 0; metric < METRIC_COUNT; metric++) {
        Runtime__V1__MetricDescriptor *item = &ret->items[metric];
        runtime__v1__metric_descriptor__init(item);
        item->name = (char *)kinds[metric].name;
        item->help = (char *)kinds[metric].help;
        item->label_keys = ret->labels[metric];
        for (size_t i = 0; i < METRIC_BASE_LABELS; i++)
            item->label_keys[item->n_label_keys++] = (char *)base_labels[i];
        for (size_t i = 0; i < own_labels_count(metric); i++)
            item->label_keys[item->n_label_keys++] = (char *)kinds[metric].labels[i];
        ret->pointers[metric] = item;
    }
}

void metric_list_fini(struct metric_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        runtime__v1__metric__free_unpacked(list->items[i], NULL);
    free(list->items);
    list->items = NULL;
    list->count = list->room = 0;
}

void metric_add(struct metric_list *list, enum metric metric, uint64_t value, const char *const *labels)
{
    const struct metric_owner *owner = &list->owner;
    const char *const base[METRIC_BASE_LABELS] = {owner->id, owner->name, owner->image, owner->pod_namespace, owner->pod, owner->container};
    Runtime__V1__Metric *item = xmalloc(sizeof(*item));

    runtime__v1__metric__init(item);
    item->name = xstrdup(kinds[metric].name);
    item->timestamp = list->at_ns;
    item->metric_type = kinds[metric].is_counter ? RUNTIME__V1__METRIC_TYPE__COUNTER : RUNTIME__V1__METRIC_TYPE__GAUGE;
    item->value = xmalloc(sizeof(*item->value));
    runtime__v1__uint64_value__init(item->value);
    item->value->value = value;
    item->label_values = xcalloc(METRIC_LABELS_MAX, sizeof(*item->label_values));
    for (size_t i = 0; i < METRIC_BASE_LABELS; i++)
        item->label_values[item->n_label_values++] = xstrdup(base[i]);
    for (size_t i = 0; i < own_labels_count(metric); i++)
        item->label_values[item->n_label_values++] = xstrdup(labels[i]);
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 64;
        list->items = xreallocarray(list->items, list->room, sizeof(*list->items));
    }
    list->items[list->count++] = item;
}
