/* When another streaming process is wanted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above it */
#include <cmocka.h>

#include "services/supervisor/sessions.h"

static const int64_t ms = 1000000, now_ns = 60000000000;

static struct sessions sessions_of(struct session *all, size_t count)
{
    return (struct sessions){.listener = 3, .all = all, .count = count, .last_start_ns = now_ns - 100 * ms};
}

static void one_always_waits(void **state)
{
    struct session all[] = {{.state = SESSION_OPEN}, {.state = SESSION_NEW}, {.state = SESSION_WAITS}};
    struct sessions none = sessions_of(NULL, 0), served = sessions_of(all, 2), waiting = sessions_of(all, 3);

    (void)state;
    assert_true(session_is_wanted(&none, false, now_ns));
    assert_true(session_is_wanted(&served, false, now_ns));
    assert_false(session_is_wanted(&waiting, false, now_ns));
    served.next_start_ns = now_ns + 1;
    assert_false(session_is_wanted(&served, false, now_ns));
    assert_true(session_is_wanted(&served, false, now_ns + 1));
}

static void one_that_does_not_come_to_accept_gets_help(void **state)
{
    struct session all[] = {{.state = SESSION_WAITS}};
    struct sessions sessions = sessions_of(all, 1);

    (void)state;
    assert_false(session_is_wanted(&sessions, true, now_ns + 399 * ms));
    assert_true(session_is_wanted(&sessions, true, now_ns + 400 * ms));
    assert_false(session_is_wanted(&sessions, false, now_ns + 400 * ms));
}

static void connections_without_a_token_and_open_ones_have_limits(void **state)
{
    static struct session all[SESSIONS_MAX];
    struct sessions sessions = sessions_of(all, SESSIONS_UNPROVEN_MAX);

    (void)state;
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        all[i].state = i < SESSIONS_UNPROVEN_MAX ? SESSION_NEW : SESSION_OPEN;
    assert_false(session_is_wanted(&sessions, true, now_ns));
    all[0].state = SESSION_OPEN;
    assert_true(session_is_wanted(&sessions, true, now_ns));
    sessions.count = SESSIONS_MAX - 1;
    assert_true(session_is_wanted(&sessions, true, now_ns));
    sessions.count = SESSIONS_MAX;
    assert_false(session_is_wanted(&sessions, true, now_ns));
}

static void a_process_says_its_state_by_its_name(void **state)
{
    (void)state;
    assert_int_equal(session_state_of("stream-waits"), SESSION_WAITS);
    assert_int_equal(session_state_of("stream-new"), SESSION_NEW);
    assert_int_equal(session_state_of("stream-exec"), SESSION_OPEN);
    assert_int_equal(session_state_of("bulkhead-keeper"), SESSION_WAITS);
    assert_int_equal(session_state_of("bulkhead-stream"), SESSION_WAITS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_always_waits),
        cmocka_unit_test(one_that_does_not_come_to_accept_gets_help),
        cmocka_unit_test(connections_without_a_token_and_open_ones_have_limits),
        cmocka_unit_test(a_process_says_its_state_by_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
