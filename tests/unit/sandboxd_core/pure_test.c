/* sandboxd's pure decisions: moves, filters, backoff, configurations as bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "services/sandboxd/canonical.h"
#include "services/sandboxd/filter.h"
#include "services/sandboxd/reconcile.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stopped_pod_never_becomes_ready_again),
        cmocka_unit_test(an_exited_container_only_goes_away),
        cmocka_unit_test(unfinished_objects_are_in_no_list),
        cmocka_unit_test(the_backoff_doubles_and_ends_at_thirty_seconds),
        cmocka_unit_test(the_order_of_a_map_does_not_make_another_configuration),
        cmocka_unit_test(a_label_selector_needs_every_pair),
        cmocka_unit_test(a_keyed_value_is_found_by_its_whole_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
