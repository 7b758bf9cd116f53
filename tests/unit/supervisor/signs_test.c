/* What the supervisor reads out of silence, wait statuses and notifications. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "services/supervisor/death.h"
#include "services/supervisor/heartbeat.h"
#include "services/supervisor/notify.h"

static const int64_t second_ns = 1000000000;

static void three_missed_beats_are_a_hang_and_two_are_not(void **state)
{
    struct heartbeat heartbeat;

    (void)state;
    heartbeat_heard(&heartbeat, 10 * second_ns);
    assert_false(heartbeat_is_hang(&heartbeat, 13 * second_ns, true));
    assert_true(heartbeat_is_hang(&heartbeat, 14 * second_ns, true));
}

static void time_in_which_the_supervisor_was_late_does_not_count(void **state)
{
    struct heartbeat heartbeat;

    (void)state;
    heartbeat_heard(&heartbeat, 0);
    heartbeat_excuse(&heartbeat, 60 * second_ns);
    assert_false(heartbeat_is_hang(&heartbeat, 62 * second_ns, true));
}

static void a_daemon_that_loads_its_records_has_30_s(void **state)
{
    struct heartbeat heartbeat;

    (void)state;
    heartbeat_heard(&heartbeat, 0);
    assert_false(heartbeat_is_hang(&heartbeat, 29 * second_ns, false));
    assert_true(heartbeat_is_hang(&heartbeat, 30 * second_ns, false));
}

static void only_signals_of_its_own_are_a_fault(void **state)
{
    (void)state;
    assert_int_equal(death_reason_of(true, SIGKILL), DEATH_KILLED);
    assert_int_equal(death_reason_of(true, SIGTERM), DEATH_KILLED);
    assert_int_equal(death_reason_of(true, SIGSEGV), DEATH_FAULT);
    assert_int_equal(death_reason_of(true, SIGABRT | 0x80), DEATH_FAULT);
    assert_int_equal(death_reason_of(true, 3 << 8), DEATH_EXIT);
    assert_int_equal(death_reason_of(false, 0), DEATH_UNKNOWN);
}

static void a_death_is_told_in_words(void **state)
{
    char text[32];

    (void)state;
    assert_string_equal(death_describe(DEATH_EXIT, 3 << 8, text, sizeof(text)), "exit 3");
    assert_string_equal(death_describe(DEATH_FAULT, SIGSEGV, text, sizeof(text)), "fault (SIGSEGV)");
    assert_string_equal(death_describe(DEATH_HANG, SIGKILL, text, sizeof(text)), "hang");
    assert_string_equal(death_describe(DEATH_NONE, 0, text, sizeof(text)), "");
    assert_string_equal(death_describe((enum death_reason)99, 0, text, sizeof(text)), "unknown");
}

static void a_notification_may_hold_several_lines_and_unknown_ones(void **state)
{
    struct notify_message message = {0};
    char text[] = "READY=1\nMAINPID=7\nSTATUS=two records put aside\nWATCHDOG=1\n";

    (void)state;
    notify_parse(text, &message);
    assert_true(message.is_ready && message.is_watchdog && message.has_status);
    assert_false(message.is_stopping);
    assert_string_equal(message.status, "two records put aside");
}

static void a_notification_that_only_looks_like_one_is_none(void **state)
{
    struct notify_message message = {0};
    char text[] = "READY=0\nWATCHDOG=10\n READY=1";

    (void)state;
    notify_parse(text, &message);
    assert_false(message.is_ready || message.is_watchdog || message.has_status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_missed_beats_are_a_hang_and_two_are_not),
        cmocka_unit_test(time_in_which_the_supervisor_was_late_does_not_count),
        cmocka_unit_test(a_daemon_that_loads_its_records_has_30_s),
        cmocka_unit_test(only_signals_of_its_own_are_a_fault),
        cmocka_unit_test(a_death_is_told_in_words),
        cmocka_unit_test(a_notification_may_hold_several_lines_and_unknown_ones),
        cmocka_unit_test(a_notification_that_only_looks_like_one_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
