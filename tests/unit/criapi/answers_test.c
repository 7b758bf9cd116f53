/* The small pure parts of an answer: deadlines, texts that fit, and the answer to Version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/cri.pb-c.h"
#include "services/criapi/deadline.h"
#include "services/criapi/status_text.h"
#include "services/criapi/version.h"

#define NOW INT64_C(5000000000)

static void a_deadline_is_what_is_left_from_now(void **state)
{
    (void)state;
    assert_int_equal(deadline_from_remaining(2, 500, NOW), NOW + 2000000500);
    assert_int_equal(deadline_from_remaining(0, 1, NOW), NOW + 1);
}

static void a_deadline_that_has_passed_is_now_and_never_none(void **state)
{
    (void)state;
    assert_int_equal(deadline_from_remaining(-1, 500, NOW), NOW);
    assert_int_equal(deadline_from_remaining(INT64_MIN, 0, NOW), NOW);
    assert_int_equal(deadline_from_remaining(0, 0, 0), 1);
}

static void no_deadline_is_a_day_and_a_far_one_does_not_overflow(void **state)
{
    (void)state;
    assert_int_equal(deadline_from_remaining(INT64_MAX, 0, NOW), NOW + DEADLINE_NONE_NS);
    assert_int_equal(deadline_from_remaining(INT64_MAX - 1, 0, NOW), INT64_MAX);
    assert_int_equal(deadline_from_remaining(INT64_MAX / 1000000000, 999999999, NOW), INT64_MAX);
}

static void a_short_text_goes_whole(void **state)
{
    (void)state;
    assert_int_equal(status_text_size(""), 0);
    assert_int_equal(status_text_size("pod not found"), 13);
}

static void a_long_text_is_cut_between_characters(void **state)
{
    char text[STATUS_TEXT_MAX + 100];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[STATUS_TEXT_MAX] = '\0';
    assert_int_equal(status_text_size(text), STATUS_TEXT_MAX);
    text[STATUS_TEXT_MAX] = 'x';
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(status_text_size(text), STATUS_TEXT_MAX);
    memcpy(text + STATUS_TEXT_MAX - 2, "\xe2\x82\xac", 3);
    assert_int_equal(status_text_size(text), STATUS_TEXT_MAX - 2);
}

static void expect_version(enum api_version version, const char *name)
{
    uint8_t *reply;
    size_t size;

    assert_null(version_answer(version,
                               (const uint8_t *)"\x0a\x05"
                                                "0.1.0",
                               7, &reply, &size));
    Runtime__V1__VersionResponse *answer = runtime__v1__version_response__unpack(NULL, size, reply);
    assert_string_equal(answer->version, "0.1.0");
    assert_string_equal(answer->runtime_name, "bulkhead");
    assert_string_equal(answer->runtime_version, BULKHEAD_VERSION);
    assert_string_equal(answer->runtime_api_version, name);
    runtime__v1__version_response__free_unpacked(answer, NULL);
    free(reply);
}

static void version_says_what_the_kubelet_needs(void **state)
{
    (void)state;
    expect_version(API_V1, "v1");
    expect_version(API_V1ALPHA2, "v1alpha2");
}

static void a_torn_version_request_is_an_invalid_argument(void **state)
{
    uint8_t *reply;
    size_t size;

    (void)state;
    autoptr(error) error = version_answer(API_V1,
                                           (const uint8_t *)"\x0a\x7f"
                                                           "0",
                                          3, &reply, &size);
    assert_int_equal(error->code, ERROR_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_is_what_is_left_from_now),
        cmocka_unit_test(a_deadline_that_has_passed_is_now_and_never_none),
        cmocka_unit_test(no_deadline_is_a_day_and_a_far_one_does_not_overflow),
        cmocka_unit_test(a_short_text_goes_whole),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
        cmocka_unit_test(version_says_what_the_kubelet_needs),
        cmocka_unit_test(a_torn_version_request_is_an_invalid_argument),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
