/* Which file of a cgroup says what of CRI's LinuxContainerResources, and when it may be written. */
#include "services/sandboxd/spec/resources.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "services/sandboxd/spec/parts.h"

enum { PERIOD_DEFAULT_US = 100000 /* the kernel's */, SHARES_MIN = 2, SHARES_MAX = 262144 };

typedef Runtime__V1__LinuxContainerResources resources_message;
typedef Runtime__V1__LinuxContainerResources__UnifiedEntry unified_entry;

void resource_settings_fini(struct resource_settings *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->items[i].file);
        free(settings->items[i].value);
        free(settings->items[i].before);
    }
    settings->count = 0;
}

/* --- merging ------------------------------------------------------------------------------------------------------- */

static resources_message *resources_copy(const resources_message *message)
{
    static const resources_message nothing = RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
    const ProtobufCMessage *base = message ? &message->base : &nothing.base;
    size_t size = protobuf_c_message_get_packed_size(base);
    autofree uint8_t *data = xmalloc(size + 1);

    protobuf_c_message_pack(base, data);
    resources_message *copy = runtime__v1__linux_container_resources__unpack(NULL, size, data);
    if (!copy)
        abort(); /* out of memory: what was packed parses */
    return copy;
}

static void merge_number(int64_t *at, int64_t asked)
{
    if (asked)
        *at = asked;
}

static void merge_text(char **at, const char *asked)
{
    if (!spec_text_is_set(asked))
        return;
    if (*at != protobuf_c_empty_string)
        free(*at);
    *at = xstrdup(asked);
}

static Runtime__V1__HugepageLimit *page_find(resources_message *resources, const char *size)
{
    for (size_t i = 0; i < resources->n_hugepage_limits; i++)
        if (strcmp(resources->hugepage_limits[i]->page_size, size) == 0)
            return resources->hugepage_limits[i];
    size_t count = resources->n_hugepage_limits++;
    resources->hugepage_limits =
        xreallocarray(resources->hugepage_limits, count + 1, sizeof(*resources->hugepage_limits));
    Runtime__V1__HugepageLimit *page = xmalloc(sizeof(*page));
    runtime__v1__hugepage_limit__init(page);
    page->page_size = xstrdup(size);
    return resources->hugepage_limits[count] = page;
}

static unified_entry *unified_find(resources_message *resources, const char *key)
{
    for (size_t i = 0; i < resources->n_unified; i++)
        if (strcmp(resources->unified[i]->key, key) == 0)
            return resources->unified[i];
    size_t count = resources->n_unified++;
    resources->unified = xreallocarray(resources->unified, count + 1, sizeof(*resources->unified));
    unified_entry *entry = xmalloc(sizeof(*entry));
    runtime__v1__linux_container_resources__unified_entry__init(entry);
    entry->key = xstrdup(key);
    return resources->unified[count] = entry;
}

resources_message *resources_merge(const resources_message *before, const resources_message *asked)
{
    resources_message *merged = resources_copy(before);

    merge_number(&merged->cpu_period, asked->cpu_period);
    merge_number(&merged->cpu_quota, asked->cpu_quota);
    merge_number(&merged->cpu_shares, asked->cpu_shares);
    merge_number(&merged->oom_score_adj, asked->oom_score_adj);
    if (asked->memory_limit_in_bytes) {
        merged->memory_limit_in_bytes = asked->memory_limit_in_bytes;
        merged->memory_swap_limit_in_bytes = 0;
    }
    merge_number(&merged->memory_swap_limit_in_bytes, asked->memory_swap_limit_in_bytes);
    merge_text(&merged->cpuset_cpus, asked->cpuset_cpus);
    merge_text(&merged->cpuset_mems, asked->cpuset_mems);
    for (size_t i = 0; i < asked->n_hugepage_limits; i++)
        page_find(merged, asked->hugepage_limits[i]->page_size)->limit = asked->hugepage_limits[i]->limit;
    for (size_t i = 0; i < asked->n_unified; i++)
        merge_text(&unified_find(merged, asked->unified[i]->key)->value, asked->unified[i]->value);
    return merged;
}

/* --- settings ------------------------------------------------------------------------------------------------------ */

/* Takes file and value. */
static void setting_add(struct resource_settings *settings, const char *field, const char *controller, char *file, char *value)
{
    if (settings->count == RESOURCE_SETTINGS_MAX) {
        free(file);
        free(value);
        return; /* resources_settings() has counted */
    }
    settings->items[settings->count++] =
        (struct resource_setting){.field = field, .controller = controller, .file = file, .value = value};
}

static void number_add(struct resource_settings *settings, const char *field, const char *controller, const char *file, int64_t value)
{
    setting_add(settings, field, controller, xstrdup(file), xasprintf("%" PRId64, value));
}

static void text_add(struct resource_settings *settings, const char *field, const char *controller, const char *file,
                     const char *value)
{
    if (spec_text_is_set(value))
        setting_add(settings, field, controller, xstrdup(file), xstrdup(value));
}

static int64_t swap_of(const resources_message *merged)
{
    int64_t swap = merged->memory_swap_limit_in_bytes;

    return swap ? swap : merged->memory_limit_in_bytes;
}

static void settings_v1(const resources_message *asked, const resources_message *merged, const struct spec_host *host,
                        struct resource_settings *ret)
{
    if (asked->cpu_period)
        number_add(ret, "cpu_period", "cpu", "cpu.cfs_period_us", merged->cpu_period);
    if (asked->cpu_quota)
        number_add(ret, "cpu_quota", "cpu", "cpu.cfs_quota_us", merged->cpu_quota);
    if (asked->cpu_shares)
        number_add(ret, "cpu_shares", "cpu", "cpu.shares", merged->cpu_shares);
    if (asked->memory_limit_in_bytes)
        number_add(ret, "memory_limit_in_bytes", "memory", "memory.limit_in_bytes", merged->memory_limit_in_bytes);
    if (host->has_swap_limit && (asked->memory_limit_in_bytes || asked->memory_swap_limit_in_bytes))
        number_add(ret, "memory_swap_limit_in_bytes", "memory", "memory.memsw.limit_in_bytes", swap_of(merged));
    text_add(ret, "cpuset_cpus", "cpuset", "cpuset.cpus", asked->cpuset_cpus);
    text_add(ret, "cpuset_mems", "cpuset", "cpuset.mems", asked->cpuset_mems);
}

/* As crun 1.8 and runc 1.1 convert at creation: 2..262144 to 1..10000. */
static int64_t weight_of(int64_t shares)
{
    if (shares < SHARES_MIN)
        shares = SHARES_MIN;
    if (shares > SHARES_MAX)
        shares = SHARES_MAX;
    return 1 + (shares - SHARES_MIN) * 9999 / (SHARES_MAX - SHARES_MIN);
}

static char *cpu_max_of(const resources_message *merged)
{
    int64_t period = merged->cpu_period ? merged->cpu_period : PERIOD_DEFAULT_US;

    if (merged->cpu_quota <= 0)
        return xasprintf("max %" PRId64, period);
    return xasprintf("%" PRId64 " %" PRId64, merged->cpu_quota, period);
}

/* Version 2 limits swap by itself. */
static char *swap_max_of(const resources_message *merged)
{
    int64_t swap = swap_of(merged);

    if (swap < 0)
        return xstrdup("max");
    return xasprintf("%" PRId64, swap - merged->memory_limit_in_bytes);
}

static void settings_v2(const resources_message *asked, const resources_message *merged, const struct spec_host *host,
                        struct resource_settings *ret)
{
    if (asked->cpu_period || asked->cpu_quota)
        setting_add(ret, asked->cpu_quota ? "cpu_quota" : "cpu_period", "-", xstrdup("cpu.max"), cpu_max_of(merged));
    if (asked->cpu_shares)
        number_add(ret, "cpu_shares", "-", "cpu.weight", weight_of(merged->cpu_shares));
    if (asked->memory_limit_in_bytes)
        number_add(ret, "memory_limit_in_bytes", "-", "memory.max", merged->memory_limit_in_bytes);
    if (host->has_swap_limit && (asked->memory_limit_in_bytes || asked->memory_swap_limit_in_bytes)) {
        setting_add(ret, "memory_swap_limit_in_bytes", "-", xstrdup("memory.swap.max"), swap_max_of(merged));
        ret->items[ret->count - 1].is_optional = !asked->memory_swap_limit_in_bytes; /* a kernel without swap has no file */
    }
    text_add(ret, "cpuset_cpus", "-", "cpuset.cpus", asked->cpuset_cpus);
    text_add(ret, "cpuset_mems", "-", "cpuset.mems", asked->cpuset_mems);
}

/* The second limit is of reservations: a page that is mapped and not yet touched. Without it mmap() succeeds and the access kills. */
static void hugepages_add(const resources_message *asked, bool is_v1, struct resource_settings *ret)
{
    const char *end = is_v1 ? "limit_in_bytes" : "max", *controller = is_v1 ? "hugetlb" : "-";

    for (size_t i = 0; i < asked->n_hugepage_limits; i++) {
        const Runtime__V1__HugepageLimit *page = asked->hugepage_limits[i];
        uint64_t limit = page->limit > INT64_MAX ? INT64_MAX : page->limit;
        setting_add(ret, "hugepage_limits", controller, xasprintf("hugetlb.%s.%s", page->page_size, end),
                    xasprintf("%" PRIu64, limit));
        setting_add(ret, "hugepage_limits", controller, xasprintf("hugetlb.%s.rsvd.%s", page->page_size, end),
                    xasprintf("%" PRIu64, limit));
        ret->items[ret->count - 1].is_optional = true;
    }
}

struct error *resources_settings(const resources_message *asked, const resources_message *merged, const struct spec_host *host,
                                 struct resource_settings *ret)
{
    ret->count = 0;
    if (8 + 2 * asked->n_hugepage_limits + asked->n_unified > RESOURCE_SETTINGS_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "hugepage_limits and unified have more than %d entries", RESOURCE_SETTINGS_MAX - 8);
    if (host->cgroup_version == 2)
        settings_v2(asked, merged, host, ret);
    else
        settings_v1(asked, merged, host, ret);
    if (host->has_hugetlb)
        hugepages_add(asked, host->cgroup_version == 1, ret);
    for (size_t i = 0; i < asked->n_unified; i++)
        setting_add(ret, "unified", "-", xstrdup(asked->unified[i]->key), xstrdup(asked->unified[i]->value));
    return NULL;
}

/* --- order --------------------------------------------------------------------------------------------------------- */

static struct resource_setting *setting_find(struct resource_settings *settings, const char *file)
{
    for (size_t i = 0; i < settings->count; i++)
        if (strcmp(settings->items[i].file, file) == 0)
            return &settings->items[i];
    return NULL;
}

/* No limit is the largest. */
static uint64_t limit_of(const char *text)
{
    return text[0] == '-' ? UINT64_MAX : strtoull(text, NULL, 10);
}

static void swap_if_behind(struct resource_setting *first, struct resource_setting *second)
{
    if (first < second)
        return;
    struct resource_setting between = *first;
    *first = *second;
    *second = between;
}

void resource_settings_order(struct resource_settings *settings)
{
    struct resource_setting *memory = setting_find(settings, "memory.limit_in_bytes");
    struct resource_setting *swap = setting_find(settings, "memory.memsw.limit_in_bytes");
    struct resource_setting *period = setting_find(settings, "cpu.cfs_period_us");
    struct resource_setting *quota = setting_find(settings, "cpu.cfs_quota_us");

    if (memory && swap) { /* never may memory's limit be above the other one */
        if (limit_of(swap->value) >= limit_of(swap->before))
            swap_if_behind(swap, memory);
        else
            swap_if_behind(memory, swap);
    }
    if (period && quota) { /* never may their quotient be above both of its ends: a parent's may be in between */
        if (limit_of(period->value) >= limit_of(period->before))
            swap_if_behind(period, quota);
        else
            swap_if_behind(quota, period);
    }
}

/* --- config.json --------------------------------------------------------------------------------------------------- */

int resources_oom_score_adj(const resources_message *resources, const struct spec_host *host)
{
    int64_t wanted = resources ? resources->oom_score_adj : 0;

    return (int)(wanted < host->oom_score_adj_min ? host->oom_score_adj_min : wanted);
}

struct error *resources_config(const char *config_json, size_t size, const resources_message *resources,
                               const struct spec_host *host, char **ret_json)
{
    json_error_t where;
    json_t *root = json_loadb(config_json, size, 0, &where);

    if (!root)
        return error_new(ERROR_DATA_LOSS, "the container's config.json, line %d: %s", where.line, where.text);
    json_t *object = json_object_get(json_object_get(root, "linux"), "resources"), *process = json_object_get(root, "process");
    struct error *failure = NULL;
    if (json_is_object(object) && json_is_object(process)) {
        spec_resources_set(object, resources, host);
        json_object_set_new(process, "oomScoreAdj", json_integer(resources_oom_score_adj(resources, host)));
        *ret_json = json_dumps(root, JSON_COMPACT);
    } else {
        failure = error_new(ERROR_DATA_LOSS, "the container's config.json has no process or no resources");
    }
    json_decref(root);
    return failure;
}
