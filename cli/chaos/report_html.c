/* The report's page: its tables, and how text becomes HTML. */
#include <errno.h>
#include <string.h>

#include "cli/chaos/report.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>bulkhead chaos</title>\n<style>\n"
    "body{font:14px/1.45 system-ui,sans-serif;max-width:1200px;margin:2em auto;padding:0 1em;color:#222;background:#fff}\n"
    "table{border-collapse:collapse;margin:.5em 0 1.5em}td,th{padding:.15em .8em;border-bottom:1px solid #ddd;"
    "text-align:right}td:first-child,th:first-child{text-align:left}td.t{text-align:left}\n"
    ".well{color:#1a7f37}.bad{color:#c62828;font-weight:600}code{background:#f3f3f3;padding:.1em .3em}\n"
    "svg{width:100%;height:auto}svg text{font-size:11px;fill:#555}.r{text-anchor:end}.m{text-anchor:middle}\n"
    "path{fill:none;stroke-width:1}.g{stroke:#e5e5e5}.d{stroke-width:2.5;stroke-linecap:round;stroke-opacity:.65}\n"
    ".legend span{margin-right:1em;white-space:nowrap}.legend i{display:inline-block;width:.7em;height:.7em;"
    "margin-right:.3em;border-radius:50%}\n"
    "@media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}td,th{border-color:#333}"
    "code{background:#2a2a2a}.g{stroke:#333}svg text{fill:#aaa}.well{color:#56d364}.bad{color:#ff7b72}}\n"
    "</style></head><body>\n";

void html_put(FILE *out, const char *text)
{
    for (; *text; text++)
        switch (*text) {
        case '&': fputs("&amp;", out); break;
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '"': fputs("&quot;", out); break;
        case '\'': fputs("&#39;", out); break;
        default:
            /* no control characters in HTML */
            fputc((unsigned char)*text < ' ' && *text != '\n' && *text != '\t' ? ' ' : *text, out);
        }
}

static const char *class_of(size_t violations)
{
    return violations ? "bad" : "well";
}

static void promises_put(FILE *out, const struct report *report)
{
    const struct record *record = report->record;

    fputs("<h2>Promises</h2><table><tr><th>broken</th><th>times</th></tr>\n", out);
    for (enum violation_kind kind = 0; kind < VIOLATION_COUNT; kind++)
        fprintf(out, "<tr><td>%s</td><td class=\"%s\">%zu</td></tr>\n", violation_name(kind), class_of(record->by_kind[kind]),
                record->by_kind[kind]);
    fputs("</table>\n", out);
    const struct tally *tally = &record->tally;
    fprintf(out,
            "<p>Checked: %zu pods, %zu containers, %zu log lines, %zu execs, %zu streaming sessions (and %zu cut with the "
            "process that was theirs), %zu lists, %zu pulls.</p>\n",
            tally->pods, tally->containers, tally->log_lines, tally->execs, tally->sessions, tally->cut_sessions,
            tally->lists, tally->pulls);
}

static void violations_put(FILE *out, const struct report *report)
{
    if (!report->record->violation_count)
        return;
    fputs("<h2>What went wrong</h2><table><tr><th>at</th><th>what</th><th></th></tr>\n", out);
    for (size_t i = 0; i < report->record->violation_count; i++) {
        const struct violation *violation = &report->record->violations[i];
        fprintf(out, "<tr><td>%.3f s</td><td class=\"t\">%s</td><td class=\"t\">",
                (double)(violation->at_ns - report->chaos->start_ns) / 1e9, violation_name(violation->kind));
        html_put(out, violation->text);
        fputs("</td></tr>\n", out);
    }
    fputs("</table>\n", out);
}

static void targets_put(FILE *out, const struct record *record)
{
    fputs("<h2>Kills</h2><p>A kill counts where its target was ready and had work in hand. In the picture a short tick "
          "is one that does not.</p>\n<table><tr><th>process</th><th>kills</th><th>counted</th><th>SIGSTOP</th><th>dead after "
          "(max)</th><th>successor ready (median)</th><th>(max)</th></tr>\n",
          out);
    for (enum target target = 0; target < TARGET_COUNT; target++) {
        struct kill_statistics s;
        statistics_of_target(record, target, &s);
        if (s.kills)
            fprintf(out,
                    "<tr><td>%s</td><td>%zu</td><td>%zu</td><td>%zu</td><td>%.1f ms</td><td>%.1f ms</td><td>%.1f "
                    "ms</td></tr>\n",
                    target_name(target), s.kills, s.counted, s.stops, s.dead_max_ms, s.settled_p50_ms, s.settled_max_ms);
    }
    fputs("</table>\n", out);
}

static void rpcs_put(FILE *out, const struct record *record)
{
    fputs("<h2>Calls</h2><p>Excused: UNAVAILABLE of calls that were inside the server when it was killed, and those "
          "whose OCI runtime or network plugin was killed; each was made again.</p>\n<table><tr><th>call</th><th>attempts</th>"
          "<th>not OK</th><th>excused</th><th>median</th><th>99 %</th><th>max</th></tr>\n",
          out);
    for (enum rpc rpc = 0; rpc < RPC_COUNT; rpc++) {
        struct rpc_statistics s;
        statistics_of_rpc(record, rpc, &s);
        if (s.calls)
            fprintf(out,
                    "<tr><td>%s</td><td>%zu</td><td>%zu</td><td>%zu</td><td>%.2f ms</td><td>%.2f ms</td><td>%.2f "
                    "ms</td></tr>\n",
                    rpc_name(rpc), s.calls, s.failed, s.excused, s.p50_ms, s.p99_ms, s.max_ms);
    }
    fputs("</table>\n", out);
}

static void work_put(FILE *out, const struct record *record)
{
    struct work_tally *tallies;
    size_t count;

    statistics_of_work(record, &tallies, &count);
    fputs("<h2>Counted kills by the work in hand</h2><table><tr><th>process: call under way</th><th>kills</th></tr>\n", out);
    for (size_t i = 0; i < count; i++) {
        fputs("<tr><td>", out);
        html_put(out, tallies[i].work);
        fprintf(out, "</td><td>%zu</td></tr>\n", tallies[i].count);
    }
    fputs("</table>\n", out);
    tallies_free(tallies, count);
}

static void census_put(FILE *out, const struct report *report)
{
    fputs("<h2>Census</h2><table><tr><th></th><th>before</th><th>after</th></tr>\n", out);
    for (size_t i = 0; i < report->after->count; i++) {
        long before = report->before->entries[i].count, after = report->after->entries[i].count;
        fprintf(out, "<tr><td>%s</td><td>%ld</td><td class=\"%s\">%ld</td></tr>\n", report->after->entries[i].name, before,
                class_of(after > before), after);
    }
    fputs("</table>\n", out);
}

struct error *report_html_write(const struct report *report, const char *path)
{
    const struct record *record = report->record;
    FILE *out = fopen(path, "we");

    if (!out)
        return error_errno(errno, "open %s", path);
    fputs(head, out);
    fprintf(out, "<h1>bulkhead chaos</h1><p class=\"%s\">%zu kills in %.0f s, %zu of them with work in hand: ",
            class_of(record->violation_total), record->kill_count, (double)(report->end_ns - report->chaos->start_ns) / 1e9,
            statistics_counted(record));
    if (record->violation_total)
        fprintf(out, "%zu violations</p>\n", record->violation_total);
    else
        fputs("no violation</p>\n", out);
    fputs("<p>Repeat it by <code>", out);
    html_put(out, report->command);
    fputs("</code></p>\n", out);
    plot_put(out, report);
    promises_put(out, report);
    violations_put(out, report);
    targets_put(out, record);
    rpcs_put(out, record);
    work_put(out, record);
    census_put(out, report);
    fputs("</body></html>\n", out);
    bool failed = ferror(out) != 0;
    failed = fclose(out) != 0 || failed;
    return failed ? error_new(ERROR_INTERNAL, "cannot write %s", path) : NULL;
}

void report_print(const struct report *report, FILE *out)
{
    const struct record *record = report->record;
    const struct tally *tally = &record->tally;

    fprintf(out,
            "%zu kills, %zu with work in hand; %zu pods, %zu containers, %zu log lines, %zu execs, %zu sessions, %zu pulls\n",
            record->kill_count, statistics_counted(record), tally->pods, tally->containers, tally->log_lines, tally->execs,
            tally->sessions, tally->pulls);
    for (enum violation_kind kind = 0; kind < VIOLATION_COUNT; kind++)
        if (record->by_kind[kind])
            fprintf(out, "%s: %zu\n", violation_name(kind), record->by_kind[kind]);
    if (record->violation_total)
        fprintf(out, "%zu violations; repeat by: %s\n", record->violation_total, report->command);
    else
        fputs("no violation\n", out);
}
