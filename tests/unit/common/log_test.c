/* One line a message, whatever is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"

static char output[16384];
static int saved = -1, pipes[2];

static void capture_begin(void)
{
    assert_int_equal(pipe(pipes), 0);
    saved = dup(STDERR_FILENO);
    dup2(pipes[1], STDERR_FILENO);
    close(pipes[1]);
}

/* What was written since, up to the pipe's 64 KiB. */
static const char *capture_end(void)
{
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t size = read(pipes[0], output, sizeof(output) - 1);
    close(pipes[0]);
    output[size < 0 ? 0 : size] = '\0';
    return output;
}

static void a_line_has_its_parts_and_the_request_of_its_thread(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    log_open("tested", LOG_LEVEL_INFO);
    capture_begin();
    log_set_request("abc");
    log_info("moved", "from=%s to=%d", "x", 7);
    log_set_request(NULL);
    log_error("bad", " ");
    log_debug("not shown", " ");
    const char *text = capture_end();
    assert_memory_equal(text, "time=20", 7);
    assert_non_null(strstr(text, "Z level=info process=tested request=abc msg=\"moved\" from=x to=7\ntime="));
    assert_non_null(strstr(text, "Z level=error process=tested msg=\"bad\""));
    assert_null(strstr(text, "not shown"));
}

static void under_systemd_each_line_has_its_priority(void **state)
{
    (void)state;
    setenv("JOURNAL_STREAM", "8:9", 1);
    log_open("tested", LOG_LEVEL_DEBUG);
    capture_begin();
    log_error("a", " ");
    log_warn("b", " ");
    log_info("c", " ");
    log_debug("d", " ");
    const char *text = capture_end();
    static const char *const expected[] = {"<3>time=", "\n<4>time=", "\n<6>time=", "\n<7>time="};
    for (size_t i = 0; i < 4; i++)
        assert_non_null(strstr(text, expected[i]));
    unsetenv("JOURNAL_STREAM");
}

static void a_line_that_is_too_long_is_cut_and_still_a_line(void **state)
{
    static char huge[9000];

    (void)state;
    memset(huge, 'h', sizeof(huge) - 1);
    log_open("tested", LOG_LEVEL_INFO);
    capture_begin();
    log_info("long", "text=%s", huge);
    const char *text = capture_end();
    assert_int_equal(strlen(text), 4096);
    assert_ptr_equal(strchr(text, '\n'), text + 4095);
}

static void a_quoted_text_cannot_leave_its_quotes_nor_its_line(void **state)
{
    char huge[3000];

    (void)state;
    assert_string_equal(log_quote("plain"), "\"plain\"");
    assert_string_equal(log_quote(""), "\"\"");
    assert_string_equal(log_quote(NULL), "\"\"");
    assert_string_equal(log_quote("a\"b\\c\nd\x7f\x1b"), "\"a\\\"b\\\\c\\x0ad\\x7f\\x1b\"");
    assert_string_equal(log_quote("ä"), "\"ä\"");
    memset(huge, '\n', sizeof(huge) - 1);
    huge[sizeof(huge) - 1] = '\0';
    size_t length = strlen(log_quote(huge));
    assert_in_range(length, 1000, 1023);
    assert_int_equal(log_quote(huge)[length - 1], '"');
}

static void eight_quoted_texts_fit_into_one_line(void **state)
{
    const char *quoted[8];
    char number[2] = "0";

    (void)state;
    for (int i = 0; i < 8; i++) {
        number[0] = (char)('0' + i);
        quoted[i] = log_quote(number);
    }
    for (int i = 0; i < 8; i++)
        assert_int_equal(quoted[i][1], '0' + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_its_parts_and_the_request_of_its_thread),
        cmocka_unit_test(under_systemd_each_line_has_its_priority),
        cmocka_unit_test(a_line_that_is_too_long_is_cut_and_still_a_line),
        cmocka_unit_test(a_quoted_text_cannot_leave_its_quotes_nor_its_line),
        cmocka_unit_test(eight_quoted_texts_fit_into_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
