/* Which events lie between two phases of a life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/event_phase.h"

/* types: "cstd", a letter each. */
static void expect(enum event_phase from, enum event_phase to, bool was_started, const char *letters)
{
    int types[EVENT_TYPES_MAX];
    char text[EVENT_TYPES_MAX + 1] = "";
    size_t count = event_types_between(from, to, was_started, types);

    for (size_t i = 0; i < count; i++)
        text[i] = "csxd"[types[i]];
    assert_string_equal(text, letters);
}

static void one_step_is_one_event(void **state)
{
    (void)state;
    expect(EVENT_PHASE_NONE, EVENT_PHASE_CREATED, false, "c");
    expect(EVENT_PHASE_CREATED, EVENT_PHASE_STARTED, true, "s");
    expect(EVENT_PHASE_STARTED, EVENT_PHASE_STOPPED, true, "x");
    expect(EVENT_PHASE_STOPPED, EVENT_PHASE_NONE, true, "d");
}

static void what_was_missed_lies_between(void **state)
{
    (void)state;
    expect(EVENT_PHASE_NONE, EVENT_PHASE_STARTED, true, "cs");
    expect(EVENT_PHASE_NONE, EVENT_PHASE_STOPPED, true, "csx");
    expect(EVENT_PHASE_CREATED, EVENT_PHASE_STOPPED, true, "sx");
    expect(EVENT_PHASE_STARTED, EVENT_PHASE_NONE, false, "xd");
    expect(EVENT_PHASE_CREATED, EVENT_PHASE_NONE, false, "d");
}

static void what_never_ran_was_not_started(void **state)
{
    (void)state;
    expect(EVENT_PHASE_NONE, EVENT_PHASE_STOPPED, false, "cx");
    expect(EVENT_PHASE_CREATED, EVENT_PHASE_STOPPED, false, "x");
}

static void nothing_lies_between_the_same_nor_on_a_way_back(void **state)
{
    (void)state;
    for (enum event_phase phase = EVENT_PHASE_NONE; phase <= EVENT_PHASE_STOPPED; phase++)
        expect(phase, phase, true, "");
    expect(EVENT_PHASE_STOPPED, EVENT_PHASE_STARTED, true, "");
    expect(EVENT_PHASE_STARTED, EVENT_PHASE_CREATED, true, "");
}

static void a_phase_follows_from_its_event(void **state)
{
    (void)state;
    assert_int_equal(event_phase_after(0), EVENT_PHASE_CREATED);
    assert_int_equal(event_phase_after(1), EVENT_PHASE_STARTED);
    assert_int_equal(event_phase_after(2), EVENT_PHASE_STOPPED);
    assert_int_equal(event_phase_after(3), EVENT_PHASE_NONE);
    assert_int_equal(event_phase_after(99), EVENT_PHASE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_step_is_one_event),
        cmocka_unit_test(what_was_missed_lies_between),
        cmocka_unit_test(what_never_ran_was_not_started),
        cmocka_unit_test(nothing_lies_between_the_same_nor_on_a_way_back),
        cmocka_unit_test(a_phase_follows_from_its_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
