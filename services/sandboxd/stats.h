/* What a cgroup uses, read from its files; v1 and v2. */
#pragma once

#include "common/error.h"
#include "services/sandboxd/stats_text.h"

#define CGROUP_TOP "/sys/fs/cgroup"

/* A cgroup in all of its hierarchies. */
struct cgroup_place {
    const char *top;    /* where they are mounted, CGROUP_TOP */
    int version;
    const char *cgroup; /* the path below each one's root */
};

/* What a controller does not count here is not there: only true numbers are told. */
struct cgroup_usage {
    bool has_cpu;
    uint64_t cpu_ns; /* since its creation */
    bool has_memory;
    uint64_t memory_bytes;
    uint64_t working_set_bytes; /* without inactive file pages */
    uint64_t rss_bytes;
    uint64_t limit_bytes; /* 0: none */
    uint64_t page_faults;
    uint64_t major_page_faults;
    bool has_swap;
    uint64_t swap_bytes;
    bool has_swap_limit;
    uint64_t swap_limit_bytes; /* of swap alone */
    struct pressure cpu_pressure, memory_pressure, io_pressure; /* of v2 */
};

/* NOT_FOUND when it is gone, or no controller counts anything of it. */
struct error *cgroup_usage_read(const struct cgroup_place *place, struct cgroup_usage *ret) __attribute__((warn_unused_result));

/* Its CPU time alone. */
struct error *cgroup_cpu_read(const struct cgroup_place *place, uint64_t *ret_ns) __attribute__((warn_unused_result));

/* What the metrics have beside it. */
enum { PAGE_SIZES_MAX = 8, PAGE_SIZE_NAME = 16 };
struct huge_pages {
    char size[PAGE_SIZE_NAME]; /* "2MB" */
    uint64_t usage_bytes;
    bool has_max_usage; /* v1 */
    uint64_t max_usage_bytes;
};
struct cgroup_details {
    bool has_cpu_split;
    uint64_t user_ns, system_ns;
    bool has_throttling;
    uint64_t periods, throttled_periods, throttled_ns;
    bool has_memory;
    uint64_t cache_bytes, mapped_file_bytes, kernel_bytes, fail_count;
    bool has_max_usage;
    uint64_t max_usage_bytes;
    uint64_t own_page_faults, own_major_page_faults; /* without the groups below, where the kernel tells them apart */
    uint64_t oom_kills;
    bool has_pids;
    uint64_t threads, threads_max; /* 0: no limit */
    uint64_t processes;            /* of the group and all below */
    bool has_cpu_limits;
    uint64_t cpu_period_us, cpu_shares;
    uint64_t cpu_quota_us; /* 0: none */
    uint64_t reservation_bytes; /* memory.soft_limit_in_bytes, memory.low; 0: none */
    uint64_t memory_and_swap_limit_bytes; /* 0: none */
    struct huge_pages pages[PAGE_SIZES_MAX];
    size_t page_count;
    struct device_list_io io;
};
void cgroup_details_read(const struct cgroup_place *place, struct cgroup_details *ret);

/* Processes of the group and all below it. */
uint64_t cgroup_processes(const struct cgroup_place *place);

/* Reads a file of the group; hierarchy "memory" is v1's, v2 has one. The caller frees it. */
struct error *cgroup_text(const struct cgroup_place *place, const char *hierarchy, const char *file, char **ret)
    __attribute__((warn_unused_result));
