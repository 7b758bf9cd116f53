/* The texts on the error and resize channels, and the bytes of a buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "services/criapi/stream/buffer.h"
#include "services/criapi/stream/resize.h"
#include "services/criapi/stream/status_json.h"

static void expect_text(char *text, const char *expected)
{
    assert_string_equal(text, expected);
    free(text);
}

static void a_status_has_the_form_that_clients_know(void **state)
{
    struct error broken = {.code = ERROR_NOT_FOUND, .text = "no \"such\" thing"};

    (void)state;
    expect_text(status_success(true), "{\"metadata\":{},\"status\":\"Success\"}");
    expect_text(status_success(false), "");
    expect_text(status_exit(true, 0), "{\"metadata\":{},\"status\":\"Success\"}");
    expect_text(
        status_exit(true, 3 << 8),
        "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with non-zero exit code: exit status "
        "3\","
        "\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"3\"}]}}");
    expect_text(status_exit(false, 9), "command terminated with non-zero exit code: exit status 137");
    expect_text(
        status_failure(true, "what", &broken),
        "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"Internal error occurred: what: no \\\"such\\\" thing\","
        "\"reason\":\"InternalError\",\"details\":{\"causes\":[{\"message\":\"what: no \\\"such\\\" "
        "thing\"}]},\"code\":500}");
    expect_text(status_failure(false, "what", &broken), "what: no \"such\" thing");
    broken.text = "\xff";
    expect_text(status_failure(true, "what", &broken), "{\"metadata\":{},\"status\":\"Failure\",\"code\":500}");
}

static enum resize_result parse(const char *text, size_t *ret_used, struct winsize *ret)
{
    return resize_parse((const uint8_t *)text, strlen(text), ret_used, ret);
}

static void a_size_is_read_message_by_message(void **state)
{
    static const char two[] = "{\"Width\":80,\"Height\":25}\n{\"Width\":1,\"Height\":65535}";
    struct winsize size;
    size_t used;

    (void)state;
    assert_int_equal(parse(two, &used, &size), RESIZE_FOUND);
    assert_int_equal(size.ws_col, 80);
    assert_int_equal(size.ws_row, 25);
    assert_int_equal(parse(two + used, &used, &size), RESIZE_FOUND);
    assert_int_equal(size.ws_row, 65535);
    assert_int_equal(parse("{\"Width\":80", &used, &size), RESIZE_NONE);
    assert_int_equal(parse("", &used, &size), RESIZE_NONE);
}

static void what_is_no_size_is_invalid(void **state)
{
    static const char *const wrong[] = {"{}",
                                        "}",
                                        "{\"Width\":80}",
                                        "{\"Width\":-1,\"Height\":2}",
                                        "{\"Width\":65536,\"Height\":2}",
                                        "{\"Width\":\"80\",\"Height\":2}",
                                        "{\"Width\":{\"a\":1},\"Height\":2}",
                                        "nonsense}"};
    struct winsize size = {0};
    char *large = calloc(1, RESIZE_MAX + 2);
    size_t used;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(parse(wrong[i], &used, &size), RESIZE_INVALID);
    memset(large, ' ', RESIZE_MAX + 1);
    assert_int_equal(parse(large, &used, &size), RESIZE_INVALID);
    assert_int_equal(size.ws_col, 0);
    free(large);
}

static void a_buffer_gives_what_it_got_in_order(void **state)
{
    struct buffer buffer = {0};
    uint8_t in = 0, out = 0, bytes[3000];

    (void)state;
    for (int round = 0; round < 200; round++) {
        size_t size = (size_t)(round * 37) % sizeof(bytes);
        for (size_t i = 0; i < size; i++)
            bytes[i] = in++;
        buffer_append(&buffer, bytes, size);
        size_t part = buffer.size * 2 / 3;
        for (size_t i = 0; i < part; i++)
            assert_int_equal(buffer_head(&buffer)[i], out++);
        buffer_consume(&buffer, part);
    }
    assert_true(buffer.room <= 16384);
    buffer_consume(&buffer, buffer.size);
    assert_null(buffer.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_has_the_form_that_clients_know),
        cmocka_unit_test(a_size_is_read_message_by_message),
        cmocka_unit_test(what_is_no_size_is_invalid),
        cmocka_unit_test(a_buffer_gives_what_it_got_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
