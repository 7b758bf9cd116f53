/* The codes that travel to the kubelet, and the text that grows on the way. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/error.h"

static void the_context_comes_before_the_text_and_the_code_stays(void **state)
{
    (void)state;
    struct error *inner = error_new(ERROR_NOT_FOUND, "no pod %s", "a");
    autoptr(error) outer = error_wrap(error_wrap(inner, "stop %d", 7), "%s", "100%");
    assert_ptr_equal(inner, outer);
    assert_int_equal(outer->code, ERROR_NOT_FOUND);
    assert_string_equal(outer->text, "100%: stop 7: no pod a");
}

static void an_errno_becomes_the_code_that_clients_understand(void **state)
{
    static const struct {
        int errnum;
        enum error_code code;
    } expected[] = {{ENOSPC, ERROR_RESOURCE_EXHAUSTED},
                    {EDQUOT, ERROR_RESOURCE_EXHAUSTED},
                    {EMFILE, ERROR_RESOURCE_EXHAUSTED},
                    {ENFILE, ERROR_RESOURCE_EXHAUSTED},
                    {ENOMEM, ERROR_RESOURCE_EXHAUSTED},
                    {ENOENT, ERROR_NOT_FOUND},
                    {EACCES, ERROR_PERMISSION_DENIED},
                    {EPERM, ERROR_PERMISSION_DENIED},
                    {EIO, ERROR_INTERNAL},
                    {0, ERROR_INTERNAL}};

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        autoptr(error) error = error_errno(expected[i].errnum, "open %s", "x");
        assert_int_equal(error->code, expected[i].code);
        assert_string_equal(strchr(error->text, ':') + 2, strerror(expected[i].errnum));
    }
}

static struct error *step(enum error_code code)
{
    return code == ERROR_OK ? NULL : error_new(code, "step");
}

static struct error *two_steps(enum error_code first, enum error_code second, int *ret_done)
{
    *ret_done = 0;
    TRY(step(first));
    *ret_done = 1;
    TRY_TO(step(second), "second %d", 2);
    *ret_done = 2;
    return NULL;
}

static void the_first_step_that_fails_ends_the_function(void **state)
{
    int done = 0;

    (void)state;
    assert_null(two_steps(ERROR_OK, ERROR_OK, &done));
    assert_int_equal(done, 2);
    autoptr(error) first = two_steps(ERROR_ABORTED, ERROR_DATA_LOSS, &done);
    assert_string_equal(first->text, "step");
    assert_int_equal(done, 0);
    autoptr(error) second = two_steps(ERROR_OK, ERROR_DATA_LOSS, &done);
    assert_string_equal(second->text, "second 2: step");
    assert_int_equal(second->code, ERROR_DATA_LOSS);
    assert_int_equal(done, 1);
}

static void each_code_has_grpcs_name_and_any_other_number_is_unknown(void **state)
{
    static const char *const names[] = {
        "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
        "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
        "DATA_LOSS", "UNAUTHENTICATED"};

    (void)state;
    for (int code = 0; code < (int)(sizeof(names) / sizeof(names[0])); code++)
        assert_string_equal(error_code_name((enum error_code)code), names[code]);
    assert_string_equal(error_code_name((enum error_code)17), "UNKNOWN");
    assert_string_equal(error_code_name((enum error_code) - 1), "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_context_comes_before_the_text_and_the_code_stays),
        cmocka_unit_test(an_errno_becomes_the_code_that_clients_understand),
        cmocka_unit_test(the_first_step_that_fails_ends_the_function),
        cmocka_unit_test(each_code_has_grpcs_name_and_any_other_number_is_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
