/* What a cgroup uses, read from its files; v1 and v2. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct cgroup_usage {
    uint64_t cpu_ns;          /* since its creation */
    uint64_t memory_bytes;
    uint64_t working_set_bytes; /* without inactive file pages */
    uint64_t rss_bytes;
    uint64_t limit_bytes;     /* 0: none */
    uint64_t page_faults;
    uint64_t major_page_faults;
};

/* top is where the hierarchies are mounted, "/sys/fs/cgroup"; cgroup the path below each hierarchy's root. NOT_FOUND when it is gone. */
struct error *cgroup_usage_read(const char *top, int cgroup_version, const char *cgroup, struct cgroup_usage *ret)
    __attribute__((warn_unused_result));

/* The value of `key` in a flat-keyed file's text ("key value\n"...), 0 where it lacks. Pure. */
uint64_t keyed_value(const char *text, const char *key);
