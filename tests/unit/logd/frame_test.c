/* The lines that logd makes of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "services/logd/frame.h"

#define TIME "2026-01-02T03:04:05.000000007Z"
static const int64_t TIME_NS = 1767323045000000007;

static struct frame_output frame(const void *bytes, size_t size, bool flush, uint8_t *out)
{
    struct frame_output output;

    frame_bytes(&(struct frame_input){.bytes = bytes, .size = size, .timestamp_ns = TIME_NS, .flush = flush}, out, &output);
    return output;
}

static void check(const char *input, bool flush, const char *wanted, size_t consumed, bool mid)
{
    uint8_t *out = calloc(1, FRAME_ROOM + 1);
    struct frame_output output = frame(input, strlen(input), flush, out);

    out[output.length] = '\0';
    assert_string_equal((char *)out, wanted);
    assert_int_equal(output.consumed, consumed);
    assert_int_equal(output.mid, mid);
    free(out);
}

static void test_a_line_gets_time_stream_and_tag(void **state)
{
    (void)state;
    check("hello\n", false, TIME " stdout F hello\n", 6, false);
    check("\n\n", false, TIME " stdout F \n" TIME " stdout F \n", 2, false);
    check("\r\n", false, TIME " stdout F \r\n", 2, false);
    check("", true, "", 0, false);
}

static void test_an_unfinished_line_waits_until_it_is_flushed(void **state)
{
    (void)state;
    check("a\nrest", false, TIME " stdout F a\n", 2, false);
    check("a\nrest", true, TIME " stdout F a\n" TIME " stdout P rest\n", 6, true);
}

static void test_a_long_line_goes_on_in_the_next(void **state)
{
    uint8_t *out = calloc(1, FRAME_ROOM), *line = malloc(40001);
    (void)state;

    memset(line, 'x', 40000);
    line[40000] = '\n';
    struct frame_output output = frame(line, 40001, false, out);
    assert_int_equal(output.consumed, 40001);
    assert_int_equal(output.length, 40000 + 3 * 41);
    assert_int_equal(out[38], 'P');
    assert_int_equal(out[FRAME_CONTENT_MAX + 41 + 38], 'P');
    assert_int_equal(out[2 * (FRAME_CONTENT_MAX + 41) + 38], 'F');
    line[FRAME_CONTENT_MAX] = '\n'; /* exactly the maximum: one line */
    output = frame(line, FRAME_CONTENT_MAX + 1, false, out);
    assert_int_equal(output.length, FRAME_CONTENT_MAX + 41);
    assert_int_equal(out[38], 'F');
    assert_int_equal(frame(line, FRAME_CONTENT_MAX, false, out).consumed, 0); /* its newline may still come */
    free(line);
    free(out);
}

/* What recovery rests upon: the bytes consumed, framed again with flush, give the same lines. */
static void test_framing_what_was_consumed_again_gives_the_same(void **state)
{
    uint8_t *first = malloc(FRAME_ROOM), *again = malloc(FRAME_ROOM), *input = malloc(500000);
    (void)state;

    srandom(1);
    for (int round = 0; round < 300; round++) {
        size_t size = (size_t)random() % 500000;
        int newline_every = 1 + (int)(random() % (round % 3 ? 100 : 40000));
        for (size_t i = 0; i < size; i++)
            input[i] = random() % newline_every == 0 ? '\n' : (uint8_t)random();
        struct frame_output a = frame(input, size, round % 2, first);
        struct frame_output b = frame(input, a.consumed, true, again);
        assert_true(a.length <= FRAME_ROOM);
        assert_int_equal(a.consumed, b.consumed);
        assert_int_equal(a.length, b.length);
        assert_int_equal(a.mid, b.mid);
        assert_memory_equal(first, again, a.length);
    }
    free(first);
    free(again);
    free(input);
}

static void test_the_marker_tells_how_much_was_dropped(void **state)
{
    char text[256];
    uint8_t *out = malloc(FRAME_ROOM);
    size_t size = frame_marker(1, TIME_NS, 12345, out);
    (void)state;

    memcpy(text, out, size);
    text[size] = '\0';
    assert_string_equal(text, TIME " stderr F [bulkhead: dropped 12345 bytes]\n");
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_gets_time_stream_and_tag),
        cmocka_unit_test(test_an_unfinished_line_waits_until_it_is_flushed),
        cmocka_unit_test(test_a_long_line_goes_on_in_the_next),
        cmocka_unit_test(test_framing_what_was_consumed_again_gives_the_same),
        cmocka_unit_test(test_the_marker_tells_how_much_was_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
