/* Which file of a cgroup says what the metrics have beside CPU time and memory. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "services/sandboxd/stats.h"

enum { SHARES_MIN = 2, SHARES_MAX = 262144, WEIGHT_MAX = 10000, PROCESS_DEPTH_MAX = 32 };

/* Never NULL: "" where the file is not there. The caller frees it. */
static char *text_of(const struct cgroup_place *place, const char *hierarchy, const char *file)
{
    char *text = NULL;
    struct error *error = cgroup_text(place, hierarchy, file, &text);

    error_free(error);
    return error ? xstrdup("") : text;
}

static bool number_find(const struct cgroup_place *place, const char *hierarchy, const char *file, uint64_t *ret)
{
    autofree char *text = text_of(place, hierarchy, file);

    *ret = number_or_none(text);
    return text[0] != '\0';
}

/* --- version 1 ----------------------------------------------------------------------------------------------------- */

static void cpu_v1(const struct cgroup_place *place, struct cgroup_details *ret)
{
    autofree char *stat = text_of(place, "cpu", "cpu.stat");

    ret->has_cpu_split = number_find(place, "cpuacct", "cpuacct.usage_user", &ret->user_ns) &&
                         number_find(place, "cpuacct", "cpuacct.usage_sys", &ret->system_ns);
    ret->has_throttling = keyed_find(stat, "nr_periods", &ret->periods);
    ret->throttled_periods = keyed_value(stat, "nr_throttled");
    ret->throttled_ns = keyed_value(stat, "throttled_time");
    ret->has_cpu_limits = number_find(place, "cpu", "cpu.cfs_period_us", &ret->cpu_period_us) &&
                          number_find(place, "cpu", "cpu.shares", &ret->cpu_shares);
    number_find(place, "cpu", "cpu.cfs_quota_us", &ret->cpu_quota_us);
}

static void memory_v1(const struct cgroup_place *place, struct cgroup_details *ret)
{
    autofree char *stat = text_of(place, "memory", "memory.stat"), *oom = text_of(place, "memory", "memory.oom_control");

    ret->has_memory = keyed_find(stat, "total_cache", &ret->cache_bytes);
    ret->mapped_file_bytes = keyed_value(stat, "total_mapped_file");
    ret->own_page_faults = keyed_value(stat, "pgfault");
    ret->own_major_page_faults = keyed_value(stat, "pgmajfault");
    ret->oom_kills = keyed_value(oom, "oom_kill");
    number_find(place, "memory", "memory.kmem.usage_in_bytes", &ret->kernel_bytes);
    number_find(place, "memory", "memory.failcnt", &ret->fail_count);
    ret->has_max_usage = number_find(place, "memory", "memory.max_usage_in_bytes", &ret->max_usage_bytes);
    number_find(place, "memory", "memory.soft_limit_in_bytes", &ret->reservation_bytes);
    number_find(place, "memory", "memory.memsw.limit_in_bytes", &ret->memory_and_swap_limit_bytes);
}

static void io_v1(const struct cgroup_place *place, struct cgroup_details *ret)
{
    autofree char *bytes = text_of(place, "blkio", "blkio.throttle.io_service_bytes_recursive"),
                  *operations = text_of(place, "blkio", "blkio.throttle.io_serviced_recursive");

    blkio_parse(bytes, true, &ret->io);
    blkio_parse(operations, false, &ret->io);
}

/* --- version 2 ----------------------------------------------------------------------------------------------------- */

/* Backwards from how the runtimes convert: 1..10000 to 2..262144. */
static uint64_t shares_of(uint64_t weight)
{
    return SHARES_MIN + (weight - 1) * (SHARES_MAX - SHARES_MIN) / (WEIGHT_MAX - 1);
}

static void cpu_v2(const struct cgroup_place *place, struct cgroup_details *ret)
{
    autofree char *stat = text_of(place, "", "cpu.stat"), *limit = text_of(place, "", "cpu.max");
    const char *period = strchr(limit, ' ');
    uint64_t weight;

    ret->has_cpu_split = keyed_find(stat, "user_usec", &ret->user_ns);
    ret->user_ns *= 1000;
    ret->system_ns = keyed_value(stat, "system_usec") * 1000;
    ret->has_throttling = keyed_find(stat, "nr_periods", &ret->periods);
    ret->throttled_periods = keyed_value(stat, "nr_throttled");
    ret->throttled_ns = keyed_value(stat, "throttled_usec") * 1000;
    ret->has_cpu_limits = period && number_find(place, "", "cpu.weight", &weight) && weight;
    if (!ret->has_cpu_limits)
        return;
    ret->cpu_shares = shares_of(weight);
    ret->cpu_period_us = strtoull(period, NULL, 10);
    ret->cpu_quota_us = number_or_none(limit);
}

/* The kernel's own memory as a whole is told since Linux 5.18. */
static uint64_t kernel_memory_of(const char *stat)
{
    static const char *const parts[] = {"kernel_stack", "pagetables", "percpu", "sock", "slab"};
    uint64_t sum = 0;

    if (keyed_find(stat, "kernel", &sum))
        return sum;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        sum += keyed_value(stat, parts[i]);
    return sum;
}

static void memory_v2(const struct cgroup_place *place, struct cgroup_details *ret)
{
    autofree char *stat = text_of(place, "", "memory.stat"), *events = text_of(place, "", "memory.events");
    uint64_t limit = 0, swap = 0;

    ret->has_memory = keyed_find(stat, "file", &ret->cache_bytes);
    ret->mapped_file_bytes = keyed_value(stat, "file_mapped");
    ret->kernel_bytes = kernel_memory_of(stat);
    ret->own_page_faults = keyed_value(stat, "pgfault");
    ret->own_major_page_faults = keyed_value(stat, "pgmajfault");
    ret->oom_kills = keyed_value(events, "oom_kill");
    ret->fail_count = keyed_value(events, "max");
    ret->has_max_usage = number_find(place, "", "memory.peak", &ret->max_usage_bytes); /* since Linux 5.19 */
    number_find(place, "", "memory.low", &ret->reservation_bytes);
    autofree char *swap_max = text_of(place, "", "memory.swap.max");
    swap = number_or_none(swap_max);
    if (number_find(place, "", "memory.max", &limit) && limit && swap_max[0] && swap_max[0] != 'm')
        ret->memory_and_swap_limit_bytes = limit + swap;
}

static void io_v2(const struct cgroup_place *place, struct cgroup_details *ret)
{
    autofree char *stat = text_of(place, "", "io.stat");

    io_stat_parse(stat, &ret->io);
}

/* --- both ----------------------------------------------------------------------------------------------------------- */

static char *hierarchy_path(const struct cgroup_place *place, const char *hierarchy)
{
    bool is_v1 = place->version == 1;

    return xasprintf("%s%s%s%s", place->top, is_v1 ? "/" : "", is_v1 ? hierarchy : "", place->cgroup);
}

/* "hugetlb.2MB.usage_in_bytes", "hugetlb.2MB.current": the size; false for the other files. */
static bool page_size_of(const char *file, const char *end, char *ret)
{
    const char *size = file + strlen("hugetlb.");

    if (strncmp(file, "hugetlb.", strlen("hugetlb.")) != 0)
        return false;
    size_t length = strcspn(size, ".");
    if (length == 0 || length >= PAGE_SIZE_NAME || strcmp(size + length, end) != 0)
        return false;
    memcpy(ret, size, length);
    ret[length] = '\0';
    return true;
}

static void pages_read(const struct cgroup_place *place, struct cgroup_details *ret)
{
    autofree char *path = hierarchy_path(place, "hugetlb");
    const char *end = place->version == 1 ? ".usage_in_bytes" : ".current";
    DIR *directory = opendir(path);

    for (const struct dirent *entry; directory && ret->page_count < PAGE_SIZES_MAX && (entry = readdir(directory));) {
        struct huge_pages *pages = &ret->pages[ret->page_count];
        if (!page_size_of(entry->d_name, end, pages->size))
            continue;
        autofree char *most = xasprintf("hugetlb.%s.max_usage_in_bytes", pages->size);
        number_find(place, "hugetlb", entry->d_name, &pages->usage_bytes);
        pages->has_max_usage = place->version == 1 && number_find(place, "hugetlb", most, &pages->max_usage_bytes);
        ret->page_count++;
    }
    if (directory)
        closedir(directory);
}

static uint64_t lines_count(const char *text)
{
    uint64_t count = 0;

    while ((text = strchr(text, '\n'))) {
        count++;
        text++;
    }
    return count;
}

static uint64_t processes_below(const struct cgroup_place *place, unsigned depth)
{
    autofree char *path = hierarchy_path(place, "pids"), *procs = text_of(place, "pids", "cgroup.procs");
    uint64_t count = lines_count(procs);
    DIR *directory = depth < PROCESS_DEPTH_MAX ? opendir(path) : NULL;

    for (const struct dirent *entry; directory && (entry = readdir(directory));) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        autofree char *child = xasprintf("%s/%s", place->cgroup, entry->d_name);
        count += processes_below(&(struct cgroup_place){place->top, place->version, child}, depth + 1);
    }
    if (directory)
        closedir(directory);
    return count;
}

uint64_t cgroup_processes(const struct cgroup_place *place)
{
    return processes_below(place, 0);
}

void cgroup_details_read(const struct cgroup_place *place, struct cgroup_details *ret)
{
    *ret = (struct cgroup_details){0};
    if (place->version == 1) {
        cpu_v1(place, ret);
        memory_v1(place, ret);
        io_v1(place, ret);
    } else {
        cpu_v2(place, ret);
        memory_v2(place, ret);
        io_v2(place, ret);
    }
    ret->has_pids = number_find(place, "pids", "pids.current", &ret->threads);
    number_find(place, "pids", "pids.max", &ret->threads_max);
    ret->processes = cgroup_processes(place);
    pages_read(place, ret);
}
