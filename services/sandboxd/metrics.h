/* The metrics of pods and containers: their names and labels, as cAdvisor has them, and a list of their values. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/cri.pb-c.h"
#include "services/sandboxd/stats_message.h"

enum { METRIC_BASE_LABELS = 6, METRIC_OWN_LABELS_MAX = 4, METRIC_LABELS_MAX = METRIC_BASE_LABELS + METRIC_OWN_LABELS_MAX };

/* In the order of the table in metrics.c, which is that of their names. */
enum metric {
    METRIC_BLKIO_DEVICE_USAGE,
    METRIC_CPU_CFS_PERIODS,
    METRIC_CPU_CFS_THROTTLED_PERIODS,
    METRIC_CPU_CFS_THROTTLED_SECONDS,
    METRIC_CPU_SYSTEM_SECONDS,
    METRIC_CPU_USAGE_SECONDS,
    METRIC_CPU_USER_SECONDS,
    METRIC_FILE_DESCRIPTORS,
    METRIC_FS_INODES_FREE,
    METRIC_FS_INODES_TOTAL,
    METRIC_FS_LIMIT_BYTES,
    METRIC_FS_READS_BYTES,
    METRIC_FS_READS,
    METRIC_FS_USAGE_BYTES,
    METRIC_FS_WRITES_BYTES,
    METRIC_FS_WRITES,
    METRIC_HUGETLB_MAX_USAGE_BYTES,
    METRIC_HUGETLB_USAGE_BYTES,
    METRIC_LAST_SEEN,
    METRIC_MEMORY_CACHE,
    METRIC_MEMORY_FAILCNT,
    METRIC_MEMORY_FAILURES,
    METRIC_MEMORY_KERNEL_USAGE,
    METRIC_MEMORY_MAPPED_FILE,
    METRIC_MEMORY_MAX_USAGE_BYTES,
    METRIC_MEMORY_RSS,
    METRIC_MEMORY_SWAP,
    METRIC_MEMORY_USAGE_BYTES,
    METRIC_MEMORY_WORKING_SET_BYTES,
    METRIC_NETWORK_RECEIVE_BYTES,
    METRIC_NETWORK_RECEIVE_ERRORS,
    METRIC_NETWORK_RECEIVE_DROPPED,
    METRIC_NETWORK_RECEIVE_PACKETS,
    METRIC_NETWORK_TRANSMIT_BYTES,
    METRIC_NETWORK_TRANSMIT_ERRORS,
    METRIC_NETWORK_TRANSMIT_DROPPED,
    METRIC_NETWORK_TRANSMIT_PACKETS,
    METRIC_OOM_EVENTS,
    METRIC_PRESSURE_CPU_STALLED,
    METRIC_PRESSURE_CPU_WAITING,
    METRIC_PRESSURE_IO_STALLED,
    METRIC_PRESSURE_IO_WAITING,
    METRIC_PRESSURE_MEMORY_STALLED,
    METRIC_PRESSURE_MEMORY_WAITING,
    METRIC_PROCESSES,
    METRIC_SOCKETS,
    METRIC_SPEC_CPU_PERIOD,
    METRIC_SPEC_CPU_QUOTA,
    METRIC_SPEC_CPU_SHARES,
    METRIC_SPEC_MEMORY_LIMIT,
    METRIC_SPEC_MEMORY_RESERVATION,
    METRIC_SPEC_MEMORY_SWAP_LIMIT,
    METRIC_START_TIME_SECONDS,
    METRIC_THREADS,
    METRIC_THREADS_MAX,
    METRIC_ULIMITS_SOFT,
    METRIC_COUNT,
};

/* All that can be told. Static; the messages point into themselves. */
struct metric_descriptors {
    Runtime__V1__MetricDescriptor items[METRIC_COUNT];
    Runtime__V1__MetricDescriptor *pointers[METRIC_COUNT];
    char *labels[METRIC_COUNT][METRIC_LABELS_MAX];
};
void metric_descriptors_fill(struct metric_descriptors *ret);

/* Whose metrics they are; borrowed, and copied by each metric's labels. */
struct metric_owner {
    const char *id;    /* its cgroup */
    const char *name;  /* the container's id; "" for a pod */
    const char *image;
    const char *pod_namespace;
    const char *pod;
    const char *container; /* its name; "" for a pod */
};

/* Values of one owner, in the message's own form. */
struct metric_list {
    struct metric_owner owner;
    int64_t at_ns;
    Runtime__V1__Metric **items;
    size_t count;
    size_t room;
};
void metric_list_fini(struct metric_list *list);

/* `labels` are the metric's own, as many as its descriptor has beside the base ones. */
void metric_add(struct metric_list *list, enum metric metric, uint64_t value, const char *const *labels);

/* All that is known of a container or pod beside what its statistics have. */
struct metric_numbers {
    const struct stats_numbers *stats;
    const struct cgroup_details *details;
    int64_t started_at_ns;     /* REALTIME; 0: unknown */
    bool has_open_files_limit;
    uint64_t open_files_limit;
    const char *const *device_names; /* of details->io, in its order: "/dev/sda" */
    const char *layer_device;        /* of the writable layer's file system */
};
void metrics_of_cgroup(struct metric_list *list, const struct metric_numbers *numbers);    /* of a pod, or a container */
void metrics_of_container(struct metric_list *list, const struct metric_numbers *numbers); /* of a container alone, beside it */
void metrics_of_interface(struct metric_list *list, const struct interface_counters *counters);
