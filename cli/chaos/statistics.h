/* What the recorded calls and kills come to. */
#pragma once

#include "cli/chaos/recorder.h"

struct rpc_statistics {
    size_t calls, failed, excused;
    double p50_ms, p99_ms, max_ms;
};

/* Of one kind of call; zeros where there was none. */
void statistics_of_rpc(const struct record *record, enum rpc rpc, struct rpc_statistics *ret);

struct kill_statistics {
    size_t kills, counted, stops; /* counted: the victim was ready and had work in hand */
    double dead_max_ms, settled_p50_ms, settled_max_ms; /* until its end; until its successor was ready */
};
void statistics_of_target(const struct record *record, enum target target, struct kill_statistics *ret);

/* Was it ready, with work in hand? */
bool kill_counts(const struct kill_record *kill);
size_t statistics_counted(const struct record *record);

/* Counted kills by what was under way: rows of a word and a count, the most frequent first; free with tallies_free(). */
struct work_tally {
    char *work; /* "sandboxd: RunPodSandbox" */
    size_t count;
};
void statistics_of_work(const struct record *record, struct work_tally **ret, size_t *ret_count);
void tallies_free(struct work_tally *tallies, size_t count);

/* The value at that share of sorted ones, by the nearest rank; 0 of none. */
double percentile(const double *sorted, size_t count, double share);
