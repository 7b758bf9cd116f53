/* Which file of a cgroup says what of its CPU time and memory. */
#include "services/sandboxd/stats.h"

#include <stdlib.h>

#include "common/fd.h"
#include "common/memory.h"

enum { STAT_FILE_MAX = 256 << 10 };

struct error *cgroup_text(const struct cgroup_place *place, const char *hierarchy, const char *file, char **ret)
{
    bool is_v1 = place->version == 1;
    autofree char *path =
        xasprintf("%s%s%s%s/%s", place->top, is_v1 ? "/" : "", is_v1 ? hierarchy : "", place->cgroup, file);
    size_t size = 0;

    return file_read_all(path, STAT_FILE_MAX, ret, &size);
}

static struct error *number_read(const struct cgroup_place *place, const char *hierarchy, const char *file, uint64_t *ret)
{
    autofree char *text = NULL;

    TRY(cgroup_text(place, hierarchy, file, &text));
    *ret = number_or_none(text);
    return NULL;
}

static void pressure_read(const struct cgroup_place *place, const char *file, struct pressure *ret)
{
    autofree char *text = NULL;
    struct error *error = cgroup_text(place, "", file, &text);

    if (!error)
        *ret = pressure_parse(text);
    error_free(error); /* the kernel has none */
}

static void working_set_set(struct cgroup_usage *usage, uint64_t inactive_file)
{
    usage->working_set_bytes = usage->memory_bytes > inactive_file ? usage->memory_bytes - inactive_file : 0;
}

/* Version 1 limits memory and swap together. */
static struct error *swap_read_v1(const struct cgroup_place *place, const char *memory_stat, struct cgroup_usage *ret)
{
    uint64_t together = 0;

    TRY(number_read(place, "memory", "memory.memsw.limit_in_bytes", &together));
    ret->has_swap = keyed_find(memory_stat, "total_swap", &ret->swap_bytes);
    ret->has_swap_limit = together != 0;
    ret->swap_limit_bytes = together > ret->limit_bytes ? together - ret->limit_bytes : 0;
    return NULL;
}

static struct error *memory_read_v1(const struct cgroup_place *place, struct cgroup_usage *ret)
{
    autofree char *stat = NULL;

    TRY(number_read(place, "memory", "memory.usage_in_bytes", &ret->memory_bytes));
    TRY(number_read(place, "memory", "memory.limit_in_bytes", &ret->limit_bytes));
    TRY(cgroup_text(place, "memory", "memory.stat", &stat));
    ret->rss_bytes = keyed_value(stat, "total_rss");
    ret->page_faults = keyed_value(stat, "total_pgfault");
    ret->major_page_faults = keyed_value(stat, "total_pgmajfault");
    working_set_set(ret, keyed_value(stat, "total_inactive_file"));
    error_free(swap_read_v1(place, stat, ret)); /* the kernel may not count it */
    return NULL;
}

static struct error *swap_read_v2(const struct cgroup_place *place, struct cgroup_usage *ret)
{
    autofree char *limit = NULL;

    TRY(number_read(place, "", "memory.swap.current", &ret->swap_bytes));
    ret->has_swap = true;
    TRY(cgroup_text(place, "", "memory.swap.max", &limit));
    ret->has_swap_limit = limit[0] != 'm'; /* "max" */
    ret->swap_limit_bytes = number_or_none(limit);
    return NULL;
}

static struct error *memory_read_v2(const struct cgroup_place *place, struct cgroup_usage *ret)
{
    autofree char *stat = NULL;

    TRY(number_read(place, "", "memory.current", &ret->memory_bytes));
    TRY(number_read(place, "", "memory.max", &ret->limit_bytes));
    TRY(cgroup_text(place, "", "memory.stat", &stat));
    ret->rss_bytes = keyed_value(stat, "anon");
    ret->page_faults = keyed_value(stat, "pgfault");
    ret->major_page_faults = keyed_value(stat, "pgmajfault");
    working_set_set(ret, keyed_value(stat, "inactive_file"));
    error_free(swap_read_v2(place, ret));
    return NULL;
}

struct error *cgroup_cpu_read(const struct cgroup_place *place, uint64_t *ret_ns)
{
    autofree char *text = NULL;

    if (place->version == 1) {
        TRY(cgroup_text(place, "cpuacct", "cpuacct.usage", &text));
        *ret_ns = strtoull(text, NULL, 10);
    } else {
        TRY(cgroup_text(place, "", "cpu.stat", &text));
        *ret_ns = keyed_value(text, "usage_usec") * 1000;
    }
    return NULL;
}

struct error *cgroup_usage_read(const struct cgroup_place *place, struct cgroup_usage *ret)
{
    *ret = (struct cgroup_usage){0};
    struct error *no_cpu = cgroup_cpu_read(place, &ret->cpu_ns);
    autoptr(error) no_memory = place->version == 1 ? memory_read_v1(place, ret) : memory_read_v2(place, ret);

    ret->has_cpu = !no_cpu;
    ret->has_memory = !no_memory;
    if (place->version == 2) {
        pressure_read(place, "cpu.pressure", &ret->cpu_pressure);
        pressure_read(place, "memory.pressure", &ret->memory_pressure);
        pressure_read(place, "io.pressure", &ret->io_pressure);
    }
    if (no_cpu && no_memory)
        return no_cpu;
    error_free(no_cpu);
    return NULL;
}
