/* Numbers as CRI's messages of statistics. Pure. */
#pragma once

#include "proto/cri.pb-c.h"
#include "services/sandboxd/measurement.h"
#include "services/sandboxd/stats.h"

/* All that is said of one container, or of a pod as a whole. */
struct stats_numbers {
    int64_t at_ns; /* REALTIME */
    struct cgroup_usage usage;
    bool has_rate;
    uint64_t nano_cores;
    struct measurement measurement;
    const char *mountpoint; /* a directory on the file system of writable layers; borrowed */
};

/* What the messages point into: not moved afterwards. */
enum { STATS_VALUES_MAX = 16, STATS_PRESSURES_MAX = 3 };
struct stats_parts {
    Runtime__V1__CpuUsage cpu;
    Runtime__V1__MemoryUsage memory;
    Runtime__V1__SwapUsage swap;
    Runtime__V1__IoUsage io;
    Runtime__V1__FilesystemUsage layer;
    Runtime__V1__FilesystemIdentifier place;
    Runtime__V1__UInt64Value values[STATS_VALUES_MAX];
    size_t value_count;
    Runtime__V1__PsiStats pressures[STATS_PRESSURES_MAX];
    Runtime__V1__PsiData pressure_lines[2 * STATS_PRESSURES_MAX];
    size_t pressure_count;
};

/* Each returns NULL where nothing is known. `parts` begins zeroed. */
Runtime__V1__CpuUsage *stats_cpu(struct stats_parts *parts, const struct stats_numbers *numbers);
Runtime__V1__MemoryUsage *stats_memory(struct stats_parts *parts, const struct stats_numbers *numbers);
Runtime__V1__SwapUsage *stats_swap(struct stats_parts *parts, const struct stats_numbers *numbers);
Runtime__V1__IoUsage *stats_io(struct stats_parts *parts, const struct stats_numbers *numbers);
Runtime__V1__FilesystemUsage *stats_writable_layer(struct stats_parts *parts, const struct stats_numbers *numbers);

/* A pod's interfaces; the one that CNI made first is the default, or the first where it is not there. */
struct network_parts {
    Runtime__V1__NetworkUsage usage;
    Runtime__V1__NetworkInterfaceUsage interfaces[INTERFACES_SHOWN_MAX];
    Runtime__V1__NetworkInterfaceUsage *pointers[INTERFACES_SHOWN_MAX]; /* all but the default */
    Runtime__V1__UInt64Value values[4 * INTERFACES_SHOWN_MAX];
};
Runtime__V1__NetworkUsage *stats_network(struct network_parts *parts, const struct interface_counters *counters, size_t count,
                                         const char *default_name, int64_t at_ns);
