/* Where the kernel says what a process may do: /proc/PID/status (proc_pid_status(5)). */
#include "cli/rights.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/spec/capability.h"

enum { STATUS_MAX = 64 << 10 };

struct rights {
    uint64_t capabilities; /* effective */
    uint64_t bounding;
    bool has_no_new_privileges;
    unsigned seccomp; /* 2: a filter */
    unsigned filters;
};

static uint64_t field(const char *text, const char *name, int base)
{
    const char *line = strstr(text, name);

    return line ? strtoull(line + strlen(name), NULL, base) : 0;
}

static bool rights_read(int pid, struct rights *ret)
{
    autofree char *path = xasprintf("/proc/%d/status", pid), *text = NULL;
    size_t size = 0;
    autoptr(error) failure = file_read_all(path, STATUS_MAX, &text, &size);

    if (failure)
        return false;
    *ret = (struct rights){
        .capabilities = field(text, "\nCapEff:", 16),
        .bounding = field(text, "\nCapBnd:", 16),
        .has_no_new_privileges = field(text, "\nNoNewPrivs:", 10) == 1,
        .seccomp = (unsigned)field(text, "\nSeccomp:", 10),
        .filters = (unsigned)field(text, "\nSeccomp_filters:", 10),
    };
    return true;
}

/* "none", "41", or by name where they are few. */
static char *capabilities_text(uint64_t mask)
{
    json_t *names = capability_names(mask), *name;
    size_t count = json_array_size(names), i;
    char *text = xstrdup("");

    json_array_foreach(names, i, name)
    {
        autofree char *before = text;
        text = xasprintf("%s%s%s", before, *before ? "," : "", json_string_value(name) + strlen("CAP_"));
    }
    json_decref(names);
    if (count > 0 && count <= 8)
        return text;
    free(text);
    return count ? xasprintf("%zu", count) : xstrdup("none");
}

static const char *seccomp_text(unsigned mode)
{
    static const char *const modes[] = {"none", "strict", "filter"};

    return mode < sizeof(modes) / sizeof(modes[0]) ? modes[mode] : "unknown";
}

static void line_print(const struct process_row *row, const struct rights *rights)
{
    autofree char *capabilities = capabilities_text(rights->capabilities), *bounding = capabilities_text(rights->bounding);

    printf("%-24.20s %8d %6u  %-16s %-9s %-8s %s\n", row->process, row->pid, row->uid, seccomp_text(rights->seccomp),
           rights->has_no_new_privileges ? "yes" : "no", bounding, capabilities);
}

static json_t *object_of(const struct process_row *row, const struct rights *rights)
{
    return json_pack("{s:s, s:i, s:i, s:s, s:i, s:b, s:o, s:o}", "process", row->process, "pid", row->pid, "uid", (int)row->uid, "seccomp",
                     seccomp_text(rights->seccomp), "seccompFilters", (int)rights->filters, "noNewPrivileges",
                     rights->has_no_new_privileges, "capabilities", capability_names(rights->capabilities), "boundingSet",
                     capability_names(rights->bounding));
}

void rights_print(const struct process_table *table, bool is_json)
{
    json_t *all = json_array();

    if (!is_json)
        printf("%-24s %8s %6s  %-16s %-9s %-8s %s\n", "PROCESS", "PID", "USER", "SYSTEM CALLS", "NO NEW", "BOUNDING", "CAPABILITIES");
    for (size_t i = 0; i < table->count; i++) {
        struct rights rights;
        if (!table->rows[i].pid || !rights_read(table->rows[i].pid, &rights))
            continue;
        if (is_json)
            json_array_append_new(all, object_of(&table->rows[i], &rights));
        else
            line_print(&table->rows[i], &rights);
    }
    if (is_json) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(all);
}
