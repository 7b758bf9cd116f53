/* `bulkhead status`: how the table of processes is printed. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/process_table.h"
#include "cli/rights.h"

enum { ID_SHOWN = 13 };

/* "shim POD", the pod's id as short as crictl shows it. */
static int process_length(const struct process_row *row)
{
    const char *space = strchr(row->process, ' ');
    size_t length = strlen(row->process);
    size_t shown = space ? (size_t)(space + 1 - row->process) + ID_SHOWN : length;

    return (int)(shown < length ? shown : length);
}

static void pid_print(const struct process_row *row, char *text, size_t size)
{
    if (row->pid)
        snprintf(text, size, "%d", row->pid);
    else
        snprintf(text, size, "-");
}

static void uptime_print(const struct process_row *row, char *text, size_t size)
{
    long long s = row->uptime_s;

    if (!row->pid)
        snprintf(text, size, "-");
    else if (s < 60)
        snprintf(text, size, "%llds", s);
    else if (s < 3600)
        snprintf(text, size, "%lldm%llds", s / 60, s % 60);
    else
        snprintf(text, size, "%lldh%lldm", s / 3600, s / 60 % 60);
}

static void memory_print(const struct process_row *row, char *text, size_t size)
{
    if (row->memory_kb < 0)
        snprintf(text, size, "-");
    else
        snprintf(text, size, "%.1f MB", (double)row->memory_kb / 1024);
}

static void table_print(const struct process_table *table)
{
    int width = 12;

    for (size_t i = 0; i < table->count; i++)
        if (process_length(&table->rows[i]) > width)
            width = process_length(&table->rows[i]);
    printf("%-*s %8s %6s %10s %9s %8s  %-16s %9s\n", width, "PROCESS", "PID", "USER", "GENERATION", "UPTIME",
           "RESTARTS", "LAST REASON", "MEMORY");
    for (size_t i = 0; i < table->count; i++) {
        const struct process_row *row = &table->rows[i];
        char pid[16], uptime[24], memory[24];
        pid_print(row, pid, sizeof(pid));
        uptime_print(row, uptime, sizeof(uptime));
        memory_print(row, memory, sizeof(memory));
        printf("%-*.*s %8s %6u %10llu %9s %8u  %-16s %9s%s%s%s\n", width, process_length(row), row->process, pid,
               row->uid, (unsigned long long)row->generation, uptime, row->restarts,
               row->last_reason[0] ? row->last_reason : "-", memory, row->pid && !row->is_ready ? "  not ready" : "",
               row->note[0] ? "  " : "", row->note);
    }
    if (table->is_degraded)
        printf("\ndegraded: %s\n", table->degraded_reason);
}

static int exit_status(const struct process_table *table)
{
    if (!table->is_running)
        return CLI_NOT_RUNNING;
    return table->is_degraded ? CLI_FAILED : CLI_OK;
}

static void table_print_json(const struct process_table *table)
{
    json_t *rows = json_array();

    for (size_t i = 0; i < table->count; i++) {
        const struct process_row *row = &table->rows[i];
        json_array_append_new(
            rows, json_pack("{s:s, s:i, s:i, s:I, s:I, s:i, s:s, s:I, s:b, s:s}", "process", row->process, "pid",
                            row->pid, "uid", (int)row->uid, "generation", (json_int_t)row->generation, "uptimeSeconds",
                            (json_int_t)row->uptime_s, "restarts", (int)row->restarts, "lastReason", row->last_reason,
                            "memoryKb", (json_int_t)row->memory_kb, "ready", row->is_ready, "note", row->note));
    }
    json_t *all = json_pack("{s:o, s:b, s:b, s:s}", "processes", rows, "running", table->is_running, "degraded",
                            table->is_degraded, "degradedReason", table->degraded_reason ? table->degraded_reason : "");
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

int cli_status(const struct config *config, int argc, char **argv)
{
    bool is_json = false, is_of_rights = false;
    struct process_table table;

    for (int i = 1; i < argc; i++) {
        bool *flag = strcmp(argv[i], "--json") == 0 ? &is_json : strcmp(argv[i], "--rights") == 0 ? &is_of_rights : NULL;
        if (!flag) {
            fprintf(stderr, "usage: bulkhead status [--rights] [--json]\n");
            return CLI_USAGE;
        }
        *flag = true;
    }
    process_table_read(config, &table);
    if (!is_json && (!table.is_running || table.count == 0))
        fprintf(stderr, "bulkhead status: %s\n", table.degraded_reason);
    else if (is_of_rights)
        rights_print(&table, is_json);
    else if (is_json)
        table_print_json(&table);
    else
        table_print(&table);
    int status = exit_status(&table);
    process_table_fini(&table);
    return status;
}
