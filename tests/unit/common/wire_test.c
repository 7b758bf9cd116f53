/* Fields come back as they were put, and no bytes lead a reader out of its message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "common/wire.h"

static void fields_come_back_in_order_with_repeated_tags(void **state)
{
    struct wire_writer writer = {0};
    struct wire_field field;
    struct error *error = NULL;
    const char *text;
    uint64_t number;

    (void)state;
    wire_put_string(&writer, 1, "crun");
    wire_put_string(&writer, 2, NULL);
    wire_put_string(&writer, 1, "");
    wire_put_u64(&writer, 3, UINT64_MAX - 1);
    struct wire_reader reader = {.data = writer.data, .size = writer.size};
    assert_true(wire_next(&reader, &field, &error));
    assert_int_equal(field.tag, 1);
    assert_null(wire_string(&field, &text));
    assert_string_equal(text, "crun");
    assert_true(wire_next(&reader, &field, &error));
    assert_int_equal(field.tag, 1);
    assert_null(wire_string(&field, &text));
    assert_string_equal(text, "");
    assert_true(wire_next(&reader, &field, &error));
    assert_null(wire_u64(&field, &number));
    assert_int_equal(number, UINT64_MAX - 1);
    assert_false(wire_next(&reader, &field, &error));
    assert_null(error);
    wire_writer_fini(&writer);
}

/* Reads all of a message held in exactly its size, so that the sanitizer sees a step outside. */
static struct error *read_all(const uint8_t *data, size_t size)
{
    autofree uint8_t *copy = xmemdup(data, size);
    struct wire_reader reader = {.data = copy, .size = size};
    struct wire_field field;
    struct error *error = NULL;
    const char *text;
    uint64_t number;

    while (wire_next(&reader, &field, &error)) {
        error_free(wire_string(&field, &text));
        error_free(wire_u64(&field, &number));
        assert_true(field.data >= copy && field.data + field.size < copy + size);
    }
    return error;
}

static void every_cut_inside_a_field_is_an_error(void **state)
{
    struct wire_writer writer = {0};

    (void)state;
    wire_put_string(&writer, 1, "hello");
    size_t boundary = writer.size;
    wire_put_u64(&writer, 2, 7);
    for (size_t length = 0; length <= writer.size; length++) {
        struct error *error = read_all(writer.data, length);
        bool whole = length == 0 || length == boundary || length == writer.size;
        assert_int_equal(error == NULL, whole);
        assert_true(!error || error->code == ERROR_INVALID_ARGUMENT);
        error_free(error);
    }
    wire_writer_fini(&writer);
}

static void lengths_up_to_the_largest_do_not_overflow(void **state)
{
    static const uint32_t lengths[] = {9, 100, 0x7fffffff, 0xfffffff0, 0xffffffff};

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t message[16] = {1, 0, 0, 0};
        memcpy(message + 4, &lengths[i], 4);
        struct error *error = read_all(message, sizeof(message));
        assert_non_null(error);
        error_free(error);
    }
}

static void random_bytes_never_lead_outside(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 100000; round++) {
        uint8_t message[64];
        size_t size = (size_t)rand() % sizeof(message);
        for (size_t i = 0; i < size; i++)
            message[i] = rand() % 4 ? 0 : (uint8_t)(rand() % 32);
        error_free(read_all(message, size));
    }
}

static void a_string_with_a_nul_inside_and_a_short_number_are_refused(void **state)
{
    struct wire_field field = {.tag = 4, .data = (const uint8_t *)"a\0b", .size = 3};
    const char *text;
    uint64_t number;

    (void)state;
    autoptr(error) error = wire_string(&field, &text);
    assert_non_null(error);
    autoptr(error) other = wire_u64(&field, &number);
    assert_non_null(other);
}

static void a_missing_nul_is_refused(void **state)
{
    struct wire_writer writer = {0};

    (void)state;
    wire_put_string(&writer, 1, "hello");
    writer.data[writer.size - 1] = 'x';
    autoptr(error) error = read_all(writer.data, writer.size);
    assert_non_null(error);
    wire_writer_fini(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_back_in_order_with_repeated_tags),
        cmocka_unit_test(every_cut_inside_a_field_is_an_error),
        cmocka_unit_test(lengths_up_to_the_largest_do_not_overflow),
        cmocka_unit_test(random_bytes_never_lead_outside),
        cmocka_unit_test(a_string_with_a_nul_inside_and_a_short_number_are_refused),
        cmocka_unit_test(a_missing_nul_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
