/* What an update of resources means: merged, as files of a cgroup, in which order, and in config.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "services/sandboxd/spec/resources.h"

typedef Runtime__V1__LinuxContainerResources resources_message;

static const struct spec_host v1 = {.cgroup_version = 1, .has_swap_limit = true, .oom_score_adj_min = -100};
static const struct spec_host v1_without_swap = {.cgroup_version = 1};
static const struct spec_host v2 = {.cgroup_version = 2, .has_swap_limit = true, .has_hugetlb = true};

static resources_message none(void)
{
    return (resources_message)RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
}

/* The settings of one update, as "FIELD CONTROLLER FILE VALUE" lines. */
static void settings_are(const resources_message *before, const resources_message *asked, const struct spec_host *host,
                         const char *expected)
{
    resources_message *merged = resources_merge(before, asked);
    auto_resource_settings settings = {0};
    autofree char *text = xstrdup("");

    assert_null(resources_settings(asked, merged, host, &settings));
    for (size_t i = 0; i < settings.count; i++) {
        const struct resource_setting *one = &settings.items[i];
        autofree char *longer = xasprintf("%s%s %s %s %s%s\n", text, one->field, one->controller, one->file, one->value,
                                          one->is_optional ? " ?" : "");
        free(text);
        text = TAKE(longer);
    }
    assert_string_equal(text, expected);
    runtime__v1__linux_container_resources__free_unpacked(merged, NULL);
}

static void what_is_not_asked_stays_as_it_was(void **state)
{
    resources_message before = none(), asked = none();

    (void)state;
    before.cpu_shares = 100;
    before.memory_limit_in_bytes = 1000;
    before.memory_swap_limit_in_bytes = 3000;
    before.cpuset_cpus = "0-3";
    asked.cpu_quota = -1;
    asked.cpuset_mems = "1";
    resources_message *merged = resources_merge(&before, &asked);
    assert_int_equal(merged->cpu_shares, 100);
    assert_int_equal(merged->cpu_quota, -1);
    assert_int_equal(merged->memory_limit_in_bytes, 1000);
    assert_int_equal(merged->memory_swap_limit_in_bytes, 3000);
    assert_string_equal(merged->cpuset_cpus, "0-3");
    assert_string_equal(merged->cpuset_mems, "1");
    runtime__v1__linux_container_resources__free_unpacked(merged, NULL);
    asked.memory_limit_in_bytes = 2000; /* swap's limit was another limit's */
    merged = resources_merge(&before, &asked);
    assert_int_equal(merged->memory_swap_limit_in_bytes, 0);
    runtime__v1__linux_container_resources__free_unpacked(merged, NULL);
}

static void lists_are_merged_by_their_keys(void **state)
{
    Runtime__V1__HugepageLimit pages[] = {RUNTIME__V1__HUGEPAGE_LIMIT__INIT, RUNTIME__V1__HUGEPAGE_LIMIT__INIT},
                               *before_pages[] = {&pages[0]}, *asked_pages[] = {&pages[1]};
    resources_message before = none(), asked = none();

    (void)state;
    pages[0] = (Runtime__V1__HugepageLimit){.base = pages[0].base, .page_size = "2MB", .limit = 4096};
    pages[1] = (Runtime__V1__HugepageLimit){.base = pages[1].base, .page_size = "2MB", .limit = 0};
    before.hugepage_limits = before_pages;
    before.n_hugepage_limits = 1;
    asked.hugepage_limits = asked_pages;
    asked.n_hugepage_limits = 1;
    resources_message *merged = resources_merge(&before, &asked);
    assert_int_equal(merged->n_hugepage_limits, 1);
    assert_int_equal(merged->hugepage_limits[0]->limit, 0);
    runtime__v1__linux_container_resources__free_unpacked(merged, NULL);
    pages[1].page_size = "1GB";
    merged = resources_merge(&before, &asked);
    assert_int_equal(merged->n_hugepage_limits, 2);
    assert_string_equal(merged->hugepage_limits[1]->page_size, "1GB");
    runtime__v1__linux_container_resources__free_unpacked(merged, NULL);
}

static void settings_of_version_1(void **state)
{
    resources_message before = none(), asked = none();

    (void)state;
    settings_are(NULL, &asked, &v1, "");
    asked.cpu_period = 50000;
    asked.cpu_quota = 25000;
    asked.cpu_shares = 512;
    asked.memory_limit_in_bytes = 1 << 20;
    asked.cpuset_cpus = "0";
    settings_are(NULL, &asked, &v1,
                 "cpu_period cpu cpu.cfs_period_us 50000\n"
                 "cpu_quota cpu cpu.cfs_quota_us 25000\n"
                 "cpu_shares cpu cpu.shares 512\n"
                 "memory_limit_in_bytes memory memory.limit_in_bytes 1048576\n"
                 "memory_swap_limit_in_bytes memory memory.memsw.limit_in_bytes 1048576\n"
                 "cpuset_cpus cpuset cpuset.cpus 0\n");
    asked = none();
    asked.memory_limit_in_bytes = 4096;
    settings_are(NULL, &asked, &v1_without_swap, "memory_limit_in_bytes memory memory.limit_in_bytes 4096\n");
    before.memory_limit_in_bytes = 4096;
    asked = none();
    asked.memory_swap_limit_in_bytes = -1;
    settings_are(&before, &asked, &v1, "memory_swap_limit_in_bytes memory memory.memsw.limit_in_bytes -1\n");
}

static void settings_of_version_2(void **state)
{
    Runtime__V1__LinuxContainerResources__UnifiedEntry entry =
        RUNTIME__V1__LINUX_CONTAINER_RESOURCES__UNIFIED_ENTRY__INIT, *entries[] = {&entry};
    Runtime__V1__HugepageLimit page = RUNTIME__V1__HUGEPAGE_LIMIT__INIT, *pages[] = {&page};
    resources_message before = none(), asked = none();

    (void)state;
    before.cpu_period = 20000;
    asked.cpu_quota = 10000;
    asked.cpu_shares = 1024;
    asked.memory_limit_in_bytes = 1000;
    asked.memory_swap_limit_in_bytes = 1500;
    settings_are(&before, &asked, &v2,
                 "cpu_quota - cpu.max 10000 20000\n"
                 "cpu_shares - cpu.weight 39\n"
                 "memory_limit_in_bytes - memory.max 1000\n"
                 "memory_swap_limit_in_bytes - memory.swap.max 500\n");
    asked = none();
    asked.cpu_quota = -1;
    asked.memory_limit_in_bytes = 1000;
    asked.memory_swap_limit_in_bytes = -1;
    settings_are(NULL, &asked, &v2,
                 "cpu_quota - cpu.max max 100000\n"
                 "memory_limit_in_bytes - memory.max 1000\n"
                 "memory_swap_limit_in_bytes - memory.swap.max max\n");
    asked = none();
    page.page_size = "2MB";
    page.limit = UINT64_MAX;
    asked.hugepage_limits = pages;
    asked.n_hugepage_limits = 1;
    entry.key = "memory.high";
    entry.value = "7000";
    asked.unified = entries;
    asked.n_unified = 1;
    settings_are(NULL, &asked, &v2,
                 "hugepage_limits - hugetlb.2MB.max 9223372036854775807\n"
                 "hugepage_limits - hugetlb.2MB.rsvd.max 9223372036854775807 ?\n"
                 "unified - memory.high 7000\n");
}

static void more_settings_than_there_is_room_for_are_refused(void **state)
{
    Runtime__V1__LinuxContainerResources__UnifiedEntry entry =
        RUNTIME__V1__LINUX_CONTAINER_RESOURCES__UNIFIED_ENTRY__INIT, *entries[RESOURCE_SETTINGS_MAX];
    resources_message asked = none();
    auto_resource_settings settings = {0};

    (void)state;
    for (size_t i = 0; i < RESOURCE_SETTINGS_MAX; i++)
        entries[i] = &entry;
    asked.unified = entries;
    asked.n_unified = RESOURCE_SETTINGS_MAX;
    autoptr(error) error = resources_settings(&asked, &asked, &v2, &settings);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(settings.count, 0);
}

/* Which file is written first. */
static void first_is(const char *one, const char *one_before, const char *one_value, const char *two, const char *two_before,
                     const char *two_value, const char *first)
{
    auto_resource_settings settings = {.count = 2};

    settings.items[0] = (struct resource_setting){
        .file = xstrdup(one), .before = xstrdup(one_before), .value = xstrdup(one_value)};
    settings.items[1] = (struct resource_setting){
        .file = xstrdup(two), .before = xstrdup(two_before), .value = xstrdup(two_value)};
    resource_settings_order(&settings);
    assert_string_equal(settings.items[0].file, first);
}

static void no_moment_between_two_limits_is_refused(void **state)
{
    const char *memory = "memory.limit_in_bytes", *swap = "memory.memsw.limit_in_bytes", *period = "cpu.cfs_period_us",
               *quota = "cpu.cfs_quota_us";

    (void)state;
    first_is(memory, "10", "20", swap, "10", "20", swap);
    first_is(memory, "20", "10", swap, "20", "10", memory);
    first_is(swap, "20", "10", memory, "20", "10", memory);
    first_is(memory, "10", "20", swap, "9223372036854771712", "20", memory);
    first_is(memory, "10", "20", swap, "10", "-1", swap);
    first_is(period, "100000", "200000", quota, "50000", "100000", period);
    first_is(period, "200000", "100000", quota, "100000", "50000", quota);
}

static void config_json_says_what_is_now(void **state)
{
    const char *text = "{\"process\": {\"oomScoreAdj\": 7}, \"linux\": {\"resources\": {\"devices\": [1], \"cpu\": {\"shares\": 2},"
                       " \"unified\": {\"a.b\": \"c\"}}}}";
    resources_message resources = none();
    autofree char *changed = NULL, *unchanged = NULL;

    (void)state;
    resources.memory_limit_in_bytes = 4096;
    resources.cpuset_cpus = "0";
    resources.oom_score_adj = -500;
    assert_null(resources_config(text, strlen(text), &resources, &v1, &changed));
    json_t *is = json_loads(changed, 0, NULL),
           *expected = json_loads("{\"process\": {\"oomScoreAdj\": -100}, \"linux\": {\"resources\": {\"devices\": [1],"
                                  " \"cpu\": {\"cpus\": \"0\"}, \"memory\": {\"limit\": 4096, \"swap\": 4096}}}}", 0, NULL);
    if (!json_equal(is, expected))
        fail_msg("%s", changed);
    json_decref(is);
    json_decref(expected);
    autoptr(error) error = resources_config("{\"linux\": {}}", 13, &resources, &v1, &unchanged);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_DATA_LOSS);
    assert_null(unchanged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_asked_stays_as_it_was),
        cmocka_unit_test(lists_are_merged_by_their_keys),
        cmocka_unit_test(settings_of_version_1),
        cmocka_unit_test(settings_of_version_2),
        cmocka_unit_test(more_settings_than_there_is_room_for_are_refused),
        cmocka_unit_test(no_moment_between_two_limits_is_refused),
        cmocka_unit_test(config_json_says_what_is_now),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
