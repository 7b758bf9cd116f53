/* What a run leaves for its reader. */
#pragma once

#include <stdio.h>

#include "cli/chaos/census.h"
#include "cli/chaos/statistics.h"

struct report {
    const struct chaos *chaos;
    const struct record *record;
    const struct census *before, *after;
    int64_t end_ns;
    char *command; /* that repeats it */
};

/* All of it, every decision included. */
struct error *report_json_write(const struct report *report, const char *path) __attribute__((warn_unused_result));

/* One page, without anything from elsewhere. */
struct error *report_html_write(const struct report *report, const char *path) __attribute__((warn_unused_result));

/* A few lines for a terminal. */
void report_print(const struct report *report, FILE *out);

/* Text as HTML has it. */
void html_put(FILE *out, const char *text);

/* The page's picture: kills above, the calls' latencies below, along the time of the run. */
void plot_put(FILE *out, const struct report *report);
