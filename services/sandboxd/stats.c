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

static struct error *stat_read(const char *hierarchy, const char *cgroup, const char *file, char **ret)
{
    autofree char *path = xasprintf("/sys/fs/cgroup%s%s/%s", hierarchy, cgroup, file);
    size_t size = 0;

    return file_read_all(path, STAT_FILE_MAX, ret, &size);
}

static struct error *number_read(const char *hierarchy, const char *cgroup, const char *file, uint64_t *ret)
{
    autofree char *text = NULL;

    TRY(stat_read(hierarchy, cgroup, file, &text));
    *ret = strtoull(text, NULL, 10); /* "max" is 0: none */
    return NULL;
}

static void usage_finish(struct cgroup_usage *usage, uint64_t inactive_file)
{
    usage->working_set_bytes = usage->memory_bytes > inactive_file ? usage->memory_bytes - inactive_file : 0;
    if (usage->limit_bytes >= (1ull << 62)) /* v1's word for none */
        usage->limit_bytes = 0;
}

static struct error *usage_read_v1(const char *cgroup, struct cgroup_usage *ret)
{
    autofree char *memory = NULL;

    TRY(number_read("/cpuacct", cgroup, "cpuacct.usage", &ret->cpu_ns));
    TRY(number_read("/memory", cgroup, "memory.usage_in_bytes", &ret->memory_bytes));
    TRY(number_read("/memory", cgroup, "memory.limit_in_bytes", &ret->limit_bytes));
    TRY(stat_read("/memory", cgroup, "memory.stat", &memory));
    ret->rss_bytes = keyed_value(memory, "total_rss");
    ret->page_faults = keyed_value(memory, "total_pgfault");
    ret->major_page_faults = keyed_value(memory, "total_pgmajfault");
    usage_finish(ret, keyed_value(memory, "total_inactive_file"));
    return NULL;
}

static struct error *usage_read_v2(const char *cgroup, struct cgroup_usage *ret)
{
    autofree char *memory = NULL, *cpu = NULL;

    TRY(stat_read("", cgroup, "cpu.stat", &cpu));
    ret->cpu_ns = keyed_value(cpu, "usage_usec") * 1000;
    TRY(number_read("", cgroup, "memory.current", &ret->memory_bytes));
    TRY(number_read("", cgroup, "memory.max", &ret->limit_bytes));
    TRY(stat_read("", cgroup, "memory.stat", &memory));
    ret->rss_bytes = keyed_value(memory, "anon");
    ret->page_faults = keyed_value(memory, "pgfault");
    ret->major_page_faults = keyed_value(memory, "pgmajfault");
    usage_finish(ret, keyed_value(memory, "inactive_file"));
    return NULL;
}

struct error *cgroup_usage_read(int cgroup_version, const char *cgroup, struct cgroup_usage *ret)
{
    *ret = (struct cgroup_usage){0};
    return cgroup_version == 2 ? usage_read_v2(cgroup, ret) : usage_read_v1(cgroup, ret);
}
