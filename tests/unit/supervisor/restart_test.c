/* The restart rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "services/supervisor/restart.h"

static const int64_t ms = 1000000;

static void a_hundred_deaths_in_a_row_wait_for_nothing_then_fifty_a_second(void **state)
{
    struct restart restart;
    int64_t now_ns = 5000 * ms;

    (void)state;
    restart_init(&restart, now_ns);
    for (int i = 0; i < 100; i++)
        assert_int_equal(restart_delay_ns(&restart, now_ns, true), 0);
    for (int i = 0; i < 200; i++) {
        int64_t delay_ns = restart_delay_ns(&restart, now_ns, true);
        assert_int_equal(delay_ns, 20 * ms);
        now_ns += delay_ns;
    }
}

static void tokens_come_back_with_time_but_not_more_than_a_hundred(void **state)
{
    struct restart restart;

    (void)state;
    restart_init(&restart, 0);
    for (int i = 0; i < 100; i++)
        restart_delay_ns(&restart, 0, true);
    int64_t later_ns = 3600 * 1000 * ms;
    for (int i = 0; i < 100; i++)
        assert_int_equal(restart_delay_ns(&restart, later_ns, true), 0);
    assert_true(restart_delay_ns(&restart, later_ns, true) > 0);
}

static void own_faults_wait_from_100_ms_doubling_to_30_s(void **state)
{
    static const int64_t expected_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
    struct restart restart;

    (void)state;
    restart_init(&restart, 0);
    for (size_t i = 0; i < sizeof(expected_ms) / sizeof(expected_ms[0]); i++)
        assert_int_equal(restart_delay_ns(&restart, 0, false), expected_ms[i] * ms);
    restart.failures = 4000000000u;
    assert_int_equal(restart_delay_ns(&restart, 0, false), 30000 * ms);
}

static void a_daemon_that_served_begins_its_backoff_anew(void **state)
{
    struct restart restart;

    (void)state;
    restart_init(&restart, 0);
    restart_delay_ns(&restart, 0, false);
    restart_delay_ns(&restart, 0, false);
    assert_int_equal(restart_delay_ns(&restart, 0, true), 0);
    assert_int_equal(restart_delay_ns(&restart, 0, false), 100 * ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_deaths_in_a_row_wait_for_nothing_then_fifty_a_second),
        cmocka_unit_test(tokens_come_back_with_time_but_not_more_than_a_hundred),
        cmocka_unit_test(own_faults_wait_from_100_ms_doubling_to_30_s),
        cmocka_unit_test(a_daemon_that_served_begins_its_backoff_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
