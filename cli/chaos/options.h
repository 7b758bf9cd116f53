/* What a run is told: the flags of `bulkhead chaos`, beside those that every program has. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"

/* Texts are argv's. */
struct options {
    uint64_t seed;
    int64_t duration_ms;
    int64_t call_timeout_ms;
    double kills_per_second;
    bool is_overlapping;   /* the next victim does not wait for the last one's successor */
    uint32_t stop_percent; /* of the kills of daemons and shims: SIGSTOP instead */
    uint32_t targets;      /* a bit for each enum target */
    const char *kill;      /* regular expression of command lines, NULL: bulkhead's own processes */
    uint32_t pods;         /* at the same time */
    const char *image;     /* of the containers */
    const char *pull;      /* pulled and removed again and again, NULL: none */
    const char *handler;   /* "" is the default runtime */
    const char *cgroup_parent;
    bool is_node;          /* a node of its own is started, and ended */
    bool keeps_network;    /* it uses the network namespace that chaos was started in */
    const char *html, *json;
};

/* Parses what the common flags have left of argv. INVALID_ARGUMENT says which flag is wrong and why. */
struct error *options_parse(int argc, char **argv, struct options *ret) __attribute__((warn_unused_result));

/* "90", "90s", "1500ms", "10m", "2h": more than nothing, a week at most. */
struct error *duration_parse(const char *text, int64_t *ret_ms) __attribute__((warn_unused_result));

void options_help(FILE *out);
