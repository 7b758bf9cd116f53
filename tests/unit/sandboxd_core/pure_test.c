/* sandboxd's pure decisions: moves, filters, backoff, configurations as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "proto/cri.pb-c.h"
#include "services/sandboxd/canonical.h"
#include "services/sandboxd/filter.h"
#include "services/sandboxd/reconcile.h"
#include "services/sandboxd/runtime.h"
#include "services/sandboxd/state.h"
#include "services/sandboxd/stats.h"

static void a_stopped_pod_never_becomes_ready_again(void **state)
{
    (void)state;
    assert_true(pod_state_may_move(POD_CREATING, POD_READY));
    for (uint32_t from = POD_READY; from <= POD_GONE; from++)
        assert_false(pod_state_may_move(from, POD_READY));
    assert_false(pod_state_may_move(POD_GONE, POD_REMOVING));
    assert_false(pod_state_may_move(77, POD_READY));
}

static void an_exited_container_only_goes_away(void **state)
{
    (void)state;
    for (uint32_t to = 0; to <= CONTAINER_GONE; to++)
        assert_int_equal(container_state_may_move(CONTAINER_EXITED, to), to == CONTAINER_REMOVING);
    assert_false(container_state_may_move(CONTAINER_RUNNING, CONTAINER_REMOVING));
}

/* Each allowed move, and there is no other. */
static void the_tables_allow_exactly_these_moves(void **state)
{
    static const uint8_t pods[][2] = {
        {POD_CREATING, POD_READY},    {POD_CREATING, POD_UNDOING},  {POD_READY, POD_STOPPING},
        {POD_READY, POD_REMOVING},    {POD_READY, POD_UNDOING},     {POD_STOPPING, POD_NOTREADY},
        {POD_STOPPING, POD_REMOVING}, {POD_NOTREADY, POD_REMOVING}, {POD_REMOVING, POD_GONE},
        {POD_UNDOING, POD_GONE},
    };
    static const uint8_t containers[][2] = {
        {CONTAINER_CREATING, CONTAINER_CREATED}, {CONTAINER_CREATING, CONTAINER_UNDOING},
        {CONTAINER_CREATED, CONTAINER_RUNNING},  {CONTAINER_CREATED, CONTAINER_EXITED},
        {CONTAINER_CREATED, CONTAINER_REMOVING}, {CONTAINER_CREATED, CONTAINER_UNDOING},
        {CONTAINER_RUNNING, CONTAINER_EXITED},   {CONTAINER_EXITED, CONTAINER_REMOVING},
        {CONTAINER_REMOVING, CONTAINER_GONE},    {CONTAINER_UNDOING, CONTAINER_GONE},
    };
    bool pod_may[10][10] = {{false}}, container_may[10][10] = {{false}};

    (void)state;
    for (size_t i = 0; i < 10; i++) {
        pod_may[pods[i][0]][pods[i][1]] = true;
        container_may[containers[i][0]][containers[i][1]] = true;
    }
    for (uint32_t from = 0; from < 10; from++) {
        for (uint32_t to = 0; to < 10; to++) {
            assert_int_equal(pod_state_may_move(from, to), pod_may[from][to]);
            assert_int_equal(container_state_may_move(from, to), container_may[from][to]);
        }
    }
}

static void clients_are_told_of_a_state_in_cris_words(void **state)
{
    (void)state;
    assert_int_equal(pod_state_to_cri(POD_READY), RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY);
    for (uint32_t other = POD_STOPPING; other <= POD_REMOVING; other++)
        assert_int_equal(pod_state_to_cri(other), RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_NOTREADY);
    assert_int_equal(container_state_to_cri(CONTAINER_CREATED), RUNTIME__V1__CONTAINER_STATE__CONTAINER_CREATED);
    assert_int_equal(container_state_to_cri(CONTAINER_RUNNING), RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING);
    assert_int_equal(container_state_to_cri(CONTAINER_EXITED), RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED);
    assert_int_equal(container_state_to_cri(CONTAINER_REMOVING), RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED);
    assert_int_equal(container_state_to_cri(99), RUNTIME__V1__CONTAINER_STATE__CONTAINER_UNKNOWN);
    assert_string_equal(pod_state_name(POD_NOTREADY), "notready");
    assert_string_equal(container_state_name(CONTAINER_UNDOING), "undoing");
    assert_string_equal(container_state_name(99), "unknown");
}

static void unfinished_objects_are_in_no_list(void **state)
{
    (void)state;
    assert_false(pod_state_is_listed(POD_CREATING));
    assert_false(pod_state_is_listed(POD_UNDOING));
    assert_false(container_state_is_listed(CONTAINER_CREATING));
    assert_false(container_state_is_listed(CONTAINER_UNDOING));
}

static void the_backoff_doubles_and_ends_at_thirty_seconds(void **state)
{
    (void)state;
    assert_int_equal(reconcile_backoff_ns(0), 100 * 1000000ll);
    assert_int_equal(reconcile_backoff_ns(3), 800 * 1000000ll);
    assert_int_equal(reconcile_backoff_ns(9), 30000 * 1000000ll);
    assert_int_equal(reconcile_backoff_ns(4000000000u), 30000 * 1000000ll);
}

/* A configuration with two labels in the order given. */
static uint8_t *config_bytes(const char *first, const char *second, size_t *ret_size)
{
    Runtime__V1__PodSandboxConfig config = RUNTIME__V1__POD_SANDBOX_CONFIG__INIT;
    Runtime__V1__PodSandboxConfig__LabelsEntry a = RUNTIME__V1__POD_SANDBOX_CONFIG__LABELS_ENTRY__INIT, b = a;
    Runtime__V1__PodSandboxConfig__LabelsEntry *labels[] = {&a, &b};

    a.key = (char *)first;
    b.key = (char *)second;
    a.value = b.value = (char *)"v";
    config.n_labels = 2;
    config.labels = labels;
    return canonical_pod_config(&config, ret_size);
}

static void the_order_of_a_map_does_not_make_another_configuration(void **state)
{
    size_t size, other_size;

    (void)state;
    uint8_t *one = config_bytes("app", "tier", &size), *other = config_bytes("tier", "app", &other_size);
    assert_int_equal(size, other_size);
    assert_memory_equal(one, other, size);
    free(other);
    other = config_bytes("tier", "apq", &other_size);
    assert_memory_not_equal(one, other, size);
    free(one);
    free(other);
}

/* A container with two variables and one label. */
static uint8_t *container_bytes(char *first, char *second, uint32_t attempt, size_t *ret_size)
{
    Runtime__V1__ContainerConfig config = RUNTIME__V1__CONTAINER_CONFIG__INIT;
    Runtime__V1__ContainerMetadata metadata = RUNTIME__V1__CONTAINER_METADATA__INIT;
    Runtime__V1__KeyValue a = RUNTIME__V1__KEY_VALUE__INIT, b = RUNTIME__V1__KEY_VALUE__INIT;
    Runtime__V1__KeyValue *envs[] = {&a, &b};

    a.key = first, b.key = second;
    metadata.attempt = attempt;
    config.metadata = &metadata;
    config.envs = envs, config.n_envs = 2;
    return canonical_container_config(&config, ret_size);
}

static void the_order_of_a_list_and_any_value_make_another_configuration(void **state)
{
    size_t size, other_size;

    (void)state;
    uint8_t *one = container_bytes("A", "B", 0, &size), *other = container_bytes("A", "B", 0, &other_size);
    assert_int_equal(size, other_size);
    assert_memory_equal(one, other, size);
    free(other);
    other = container_bytes("B", "A", 0, &other_size);
    assert_memory_not_equal(one, other, size);
    free(other);
    other = container_bytes("A", "B", 1, &other_size);
    assert_int_not_equal(size, other_size);
    free(one);
    free(other);
}

static void a_label_selector_needs_every_pair(void **state)
{
    Runtime__V1__PodSandboxConfig__LabelsEntry a = {.key = (char *)"a", .value = (char *)"1"};
    Runtime__V1__PodSandboxConfig__LabelsEntry b = {.key = (char *)"b", .value = (char *)"2"};
    Runtime__V1__PodSandboxConfig__LabelsEntry *both[] = {&a, &b}, *one[] = {&a};

    (void)state;
    assert_true(filter_labels(both, 2, one, 1));
    assert_false(filter_labels(one, 1, both, 2));
    assert_true(filter_labels(one, 1, NULL, 0));
    assert_true(filter_id("abcdef", "abc"));
    assert_true(filter_id("abcdef", ""));
    assert_false(filter_id("abcdef", "abcdefg"));
}

static void a_keyed_value_is_found_by_its_whole_key(void **state)
{
    const char *text = "total_rss_huge 1\ntotal_rss 42\nrss 7\n";

    (void)state;
    assert_int_equal(keyed_value(text, "total_rss"), 42);
    assert_int_equal(keyed_value(text, "rss"), 7);
    assert_int_equal(keyed_value(text, "absent"), 0);
    assert_int_equal(keyed_value("", "rss"), 0);
}

/* A tree of cgroup files in a directory of the test's own, at PLACE/FILE. */
static void cgroup_file_write(const char *top, const char *place, const char *file, const char *text)
{
    autofree char *make = xasprintf("mkdir -p %s%s/pod", top, place), *path = xasprintf("%s%s/pod/%s", top, place, file);

    assert_int_equal(system(make), 0);
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    fputs(text, stream);
    fclose(stream);
}

static void usage_is(const char *top, int version, uint64_t limit)
{
    struct cgroup_usage usage;

    assert_null(cgroup_usage_read(&(struct cgroup_place){top, version, "/pod"}, &usage));
    assert_int_equal(usage.cpu_ns, 5000000);
    assert_int_equal(usage.memory_bytes, 9000);
    assert_int_equal(usage.working_set_bytes, 8000);
    assert_int_equal(usage.rss_bytes, 700);
    assert_int_equal(usage.page_faults, 31);
    assert_int_equal(usage.major_page_faults, 2);
    assert_int_equal(usage.limit_bytes, limit);
}

static int directory_remove(const char *directory)
{
    autofree char *command = xasprintf("rm -r %s", directory);

    return system(command);
}

static void usage_is_read_from_the_files_of_version_1(void **state)
{
    char top[] = "/tmp/bh-cgroup-XXXXXX";
    struct cgroup_usage usage;

    (void)state;
    assert_non_null(mkdtemp(top));
    cgroup_file_write(top, "/cpuacct", "cpuacct.usage", "5000000\n");
    cgroup_file_write(top, "/memory", "memory.usage_in_bytes", "9000\n");
    cgroup_file_write(top, "/memory", "memory.limit_in_bytes", "9223372036854771712\n");
    cgroup_file_write(top, "/memory", "memory.stat",
                      "rss 1\npgfault 1\ntotal_rss 700\ntotal_pgfault 31\ntotal_pgmajfault 2\ntotal_inactive_file 1000\n");
    usage_is(top, 1, 0);
    cgroup_file_write(top, "/memory", "memory.limit_in_bytes", "65536\n");
    usage_is(top, 1, 65536);
    cgroup_file_write(top, "/memory", "memory.stat", "total_inactive_file 10000\n");
    assert_null(cgroup_usage_read(&(struct cgroup_place){top, 1, "/pod"}, &usage));
    assert_int_equal(usage.working_set_bytes, 0);
    autoptr(error) gone = cgroup_usage_read(&(struct cgroup_place){top, 1, "/gone"}, &usage);
    assert_int_equal(gone->code, ERROR_NOT_FOUND);
    assert_int_equal(directory_remove(top), 0);
}

static void usage_is_read_from_the_files_of_version_2(void **state)
{
    char top[] = "/tmp/bh-cgroup-XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(top));
    cgroup_file_write(top, "", "cpu.stat", "usage_usec 5000\nuser_usec 4000\nsystem_usec 1000\n");
    cgroup_file_write(top, "", "memory.current", "9000\n");
    cgroup_file_write(top, "", "memory.max", "max\n");
    cgroup_file_write(top, "", "memory.stat", "anon 700\nfile 5\ninactive_file 1000\npgfault 31\npgmajfault 2\n");
    usage_is(top, 2, 0);
    cgroup_file_write(top, "", "memory.max", "65536\n");
    usage_is(top, 2, 65536);
    assert_int_equal(directory_remove(top), 0);
}

/* A program, one that is missing, a file that is no program, a directory that is none. */
static struct config_runtime runtimes[] = {{(char *)"crun", (char *)"/bin/sh"},
                                           {(char *)"gone", (char *)"/no/such/program"},
                                           {(char *)"file", (char *)"/etc/passwd"},
                                           {(char *)"below", (char *)"/etc/passwd/crun"}};

static void handler_is(const struct sandboxd *d, const char *handler, enum error_code code, const char *expected)
{
    const struct config_runtime *runtime = NULL;
    autoptr(error) error = runtime_find(d, handler, &runtime);

    assert_int_equal(error ? error->code : 0, code);
    if (error)
        assert_non_null(strstr(error->text, expected));
    else
        assert_string_equal(runtime->name, expected);
}

static void a_handler_is_a_configured_runtime_whose_program_is_there(void **state)
{
    struct config config = {.runtimes = runtimes, .runtime_count = 4};
    struct sandboxd d = {.config = &config};

    (void)state;
    handler_is(&d, "", ERROR_FAILED_PRECONDITION, "no OCI runtime is installed");
    d.default_runtime = runtime_default(&config);
    handler_is(&d, "", 0, "crun");
    handler_is(&d, "crun", 0, "crun");
    handler_is(&d, "runc", ERROR_INVALID_ARGUMENT, "no runtime for \"runc\" is configured");
    handler_is(&d, "gone", ERROR_FAILED_PRECONDITION, "/no/such/program is missing");
    handler_is(&d, "below", ERROR_FAILED_PRECONDITION, "/etc/passwd/crun is missing");
    handler_is(&d, "file", ERROR_FAILED_PRECONDITION, "/etc/passwd is no program");
}

static void the_default_runtime_is_the_configured_one_or_the_first_that_works(void **state)
{
    struct config config = {.default_runtime_name = (char *)"file", .runtimes = runtimes, .runtime_count = 4};

    (void)state;
    assert_string_equal(runtime_default(&config)->name, "file");
    config.default_runtime_name = NULL;
    assert_string_equal(runtime_default(&config)->name, "crun");
    config.runtimes = &runtimes[2], config.runtime_count = 2;
    assert_string_equal(runtime_default(&config)->name, "file");
    config.runtime_count = 0;
    assert_null(runtime_default(&config));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_pod_never_becomes_ready_again),
        cmocka_unit_test(an_exited_container_only_goes_away),
        cmocka_unit_test(the_tables_allow_exactly_these_moves),
        cmocka_unit_test(clients_are_told_of_a_state_in_cris_words),
        cmocka_unit_test(unfinished_objects_are_in_no_list),
        cmocka_unit_test(a_handler_is_a_configured_runtime_whose_program_is_there),
        cmocka_unit_test(the_default_runtime_is_the_configured_one_or_the_first_that_works),
        cmocka_unit_test(the_backoff_doubles_and_ends_at_thirty_seconds),
        cmocka_unit_test(the_order_of_a_map_does_not_make_another_configuration),
        cmocka_unit_test(the_order_of_a_list_and_any_value_make_another_configuration),
        cmocka_unit_test(a_label_selector_needs_every_pair),
        cmocka_unit_test(a_keyed_value_is_found_by_its_whole_key),
        cmocka_unit_test(usage_is_read_from_the_files_of_version_1),
        cmocka_unit_test(usage_is_read_from_the_files_of_version_2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
