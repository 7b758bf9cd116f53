/* Which file of a cgroup says what. */
#include "services/sandboxd/stats.h"

#include <stdlib.h>
#include <string.h>

#include "common/fd.h"
#include "common/memory.h"

enum { STAT_FILE_MAX = 64 << 10 };

uint64_t keyed_value(const char *text, const char *key)
{
    size_t length = strlen(key);

    for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (!strncmp(line, key, length) && line[length] == ' ')
            return strtoull(line + length + 1, NULL, 10);
    return 0;
}

/* A cgroup in one of the hierarchies, or in the only one. */
struct place {
    const char *top; /* "/sys/fs/cgroup" */
    const char *cgroup;
};

static struct error *stat_read(const struct place *place, const char *hierarchy, const char *file, char **ret)
{
    autofree char *path = xasprintf("%s%s%s/%s", place->top, hierarchy, place->cgroup, file);
    size_t size = 0;

    return file_read_all(path, STAT_FILE_MAX, ret, &size);
}

static struct error *number_read(const struct place *place, const char *hierarchy, const char *file, uint64_t *ret)
{
    autofree char *text = NULL;

    TRY(stat_read(place, hierarchy, file, &text));
    *ret = strtoull(text, NULL, 10); /* "max" is 0: none */
    return NULL;
}

static void usage_finish(struct cgroup_usage *usage, uint64_t inactive_file)
{
    usage->working_set_bytes = usage->memory_bytes > inactive_file ? usage->memory_bytes - inactive_file : 0;
    if (usage->limit_bytes >= (1ull << 62)) /* v1's word for none */
        usage->limit_bytes = 0;
}

static struct error *usage_read_v1(const struct place *place, struct cgroup_usage *ret)
{
    autofree char *memory = NULL;

    TRY(number_read(place, "/cpuacct", "cpuacct.usage", &ret->cpu_ns));
    TRY(number_read(place, "/memory", "memory.usage_in_bytes", &ret->memory_bytes));
    TRY(number_read(place, "/memory", "memory.limit_in_bytes", &ret->limit_bytes));
    TRY(stat_read(place, "/memory", "memory.stat", &memory));
    ret->rss_bytes = keyed_value(memory, "total_rss");
    ret->page_faults = keyed_value(memory, "total_pgfault");
    ret->major_page_faults = keyed_value(memory, "total_pgmajfault");
    usage_finish(ret, keyed_value(memory, "total_inactive_file"));
    return NULL;
}

static struct error *usage_read_v2(const struct place *place, struct cgroup_usage *ret)
{
    autofree char *memory = NULL, *cpu = NULL;

    TRY(stat_read(place, "", "cpu.stat", &cpu));
    ret->cpu_ns = keyed_value(cpu, "usage_usec") * 1000;
    TRY(number_read(place, "", "memory.current", &ret->memory_bytes));
    TRY(number_read(place, "", "memory.max", &ret->limit_bytes));
    TRY(stat_read(place, "", "memory.stat", &memory));
    ret->rss_bytes = keyed_value(memory, "anon");
    ret->page_faults = keyed_value(memory, "pgfault");
    ret->major_page_faults = keyed_value(memory, "pgmajfault");
    usage_finish(ret, keyed_value(memory, "inactive_file"));
    return NULL;
}

struct error *cgroup_usage_read(const char *top, int cgroup_version, const char *cgroup, struct cgroup_usage *ret)
{
    struct place place = {top, cgroup};

    *ret = (struct cgroup_usage){0};
    return cgroup_version == 2 ? usage_read_v2(&place, ret) : usage_read_v1(&place, ret);
}
