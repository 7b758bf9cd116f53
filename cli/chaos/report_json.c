/* The report's JSON: names and units of its members. */
#include <jansson.h>

#include "cli/chaos/report.h"
#include "common/memory.h"

static double seconds(const struct report *report, int64_t at_ns)
{
    return at_ns ? (double)(at_ns - report->chaos->start_ns) / 1e9 : -1;
}

static json_t *options_describe(const struct options *options)
{
    json_t *targets = json_array();

    for (enum target target = 0; target < TARGET_COUNT; target++)
        if (targets_have(options->targets, target))
            json_array_append_new(targets, json_string(target_name(target)));
    return json_pack("{s:I, s:f, s:f, s:b, s:i, s:o, s:s, s:i, s:s, s:s, s:s, s:b}", "seed", (json_int_t)options->seed,
                     "durationSeconds", (double)options->duration_ms / 1000, "killsPerSecond", options->kills_per_second,
                     "overlap", options->is_overlapping, "stopPercent", (int)options->stop_percent, "targets", targets,
                     "kill", options->kill ? options->kill : "", "pods", (int)options->pods, "image", options->image,
                     "pull", options->pull ? options->pull : "", "runtimeHandler", options->handler, "node",
                     options->is_node);
}

static json_t *rpcs_describe(const struct record *record)
{
    json_t *all = json_object();

    for (enum rpc rpc = 0; rpc < RPC_COUNT; rpc++) {
        struct rpc_statistics s;
        statistics_of_rpc(record, rpc, &s);
        if (s.calls)
            json_object_set_new(all, rpc_name(rpc),
                                json_pack("{s:I, s:I, s:I, s:f, s:f, s:f}", "calls", (json_int_t)s.calls, "failed",
                                          (json_int_t)s.failed, "excused", (json_int_t)s.excused, "p50Ms", s.p50_ms,
                                          "p99Ms", s.p99_ms, "maxMs", s.max_ms));
    }
    return all;
}

static json_t *targets_describe(const struct record *record)
{
    json_t *all = json_object();

    for (enum target target = 0; target < TARGET_COUNT; target++) {
        struct kill_statistics s;
        statistics_of_target(record, target, &s);
        if (s.kills)
            json_object_set_new(all, target_name(target),
                                json_pack("{s:I, s:I, s:I, s:f, s:f, s:f}", "kills", (json_int_t)s.kills, "counted",
                                          (json_int_t)s.counted, "stops", (json_int_t)s.stops, "deadMaxMs",
                                          s.dead_max_ms, "settledP50Ms", s.settled_p50_ms, "settledMaxMs",
                                          s.settled_max_ms));
    }
    return all;
}

static json_t *work_describe(const struct record *record)
{
    json_t *all = json_object();
    struct work_tally *tallies;
    size_t count;

    statistics_of_work(record, &tallies, &count);
    for (size_t i = 0; i < count; i++)
        json_object_set_new(all, tallies[i].work, json_integer((json_int_t)tallies[i].count));
    tallies_free(tallies, count);
    return all;
}

static json_t *kills_describe(const struct report *report)
{
    json_t *all = json_array();

    for (size_t i = 0; i < report->record->kill_count; i++) {
        const struct kill_record *kill = &report->record->kills[i];
        json_array_append_new(
            all, json_pack("{s:f, s:f, s:f, s:s, s:i, s:i, s:s, s:s, s:b, s:s}", "at", seconds(report, kill->at_ns), "dead",
                           seconds(report, kill->dead_ns), "settled", seconds(report, kill->settled_ns), "target",
                           target_name(kill->target), "pid", (int)kill->pid, "signal", kill->signal, "pod", kill->pod,
                           "detail", kill->detail, "ready", kill->was_ready, "work", kill->work));
    }
    return all;
}

static json_t *violations_describe(const struct report *report)
{
    json_t *all = json_array();

    for (size_t i = 0; i < report->record->violation_count; i++) {
        const struct violation *violation = &report->record->violations[i];
        json_t *text = json_string(violation->text);
        if (!text) /* what a broken runtime answered need not be UTF-8 */
            text = json_string("(not UTF-8)");
        json_array_append_new(all, json_pack("{s:f, s:s, s:o}", "at", seconds(report, violation->at_ns), "kind",
                                             violation_name(violation->kind), "text", text));
    }
    return all;
}

static json_t *counts_describe(const struct record *record)
{
    json_t *all = json_object();

    for (enum violation_kind kind = 0; kind < VIOLATION_COUNT; kind++)
        json_object_set_new(all, violation_name(kind), json_integer((json_int_t)record->by_kind[kind]));
    return all;
}

static json_t *tally_describe(const struct tally *tally)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "pods", (json_int_t)tally->pods, "containers",
                     (json_int_t)tally->containers, "logLines", (json_int_t)tally->log_lines, "execs",
                     (json_int_t)tally->execs, "sessions", (json_int_t)tally->sessions, "cutSessions",
                     (json_int_t)tally->cut_sessions, "lists", (json_int_t)tally->lists, "pulls",
                     (json_int_t)tally->pulls);
}

struct error *report_json_write(const struct report *report, const char *path)
{
    const struct record *record = report->record;
    json_t *all = json_pack("{s:s, s:o, s:f, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "command", report->command,
                            "options", options_describe(report->chaos->options), "seconds",
                            seconds(report, report->end_ns), "kills", (json_int_t)record->kill_count, "killsCounted",
                            (json_int_t)statistics_counted(record), "violations", (json_int_t)record->violation_total,
                            "violationsByKind", counts_describe(record), "checked", tally_describe(&record->tally),
                            "violationList", violations_describe(report), "rpcs", rpcs_describe(record), "targets",
                            targets_describe(record), "killsByWork", work_describe(record));

    if (!all)
        return error_new(ERROR_INTERNAL, "the report cannot be made");
    json_object_set_new(all, "censusBefore", census_describe(report->before));
    json_object_set_new(all, "censusAfter", census_describe(report->after));
    json_object_set_new(all, "killList", kills_describe(report));
    json_object_set(all, "lives", record->lives);
    int failed = json_dump_file(all, path, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    json_decref(all);
    return failed ? error_new(ERROR_INTERNAL, "cannot write %s", path) : NULL;
}
