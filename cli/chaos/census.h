/* What is there, counted: before a run and after it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "cli/chaos/calls.h"

enum { CENSUS_MAX = 64, CENSUS_NAME_SIZE = 48 };

struct census {
    struct {
        char name[CENSUS_NAME_SIZE];
        long count;
    } entries[CENSUS_MAX];
    size_t count;
};

/* Pods and containers of this run, mounts, interfaces, rules, leases, cgroups, files, processes and their descriptors. */
struct error *census_take(struct caller *caller, struct census *ret) __attribute__((warn_unused_result));

/* The same once it has not changed for a second: what has just begun still connects. */
struct error *census_take_at_rest(struct caller *caller, struct census *ret) __attribute__((warn_unused_result));

/* Takes it again and again, for half a minute at most, until nothing is more than before; else each thing that is becomes
 * a violation. *ret: the last one. */
struct error *census_compare(struct caller *caller, const struct census *before, struct census *ret)
    __attribute__((warn_unused_result));

json_t *census_describe(const struct census *census);
