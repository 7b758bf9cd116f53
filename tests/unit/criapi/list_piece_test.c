/* A list's reply is cut between its items, into messages that clients take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "proto/cri.pb-c.h"
#include "services/criapi/list_piece.h"

/* A packed ListContainersResponse of so many containers, each with an id of so many bytes. The caller frees it. */
static uint8_t *list_of(size_t count, size_t id_size, size_t *ret_size)
{
    Runtime__V1__ListContainersResponse list = RUNTIME__V1__LIST_CONTAINERS_RESPONSE__INIT;
    Runtime__V1__Container item = RUNTIME__V1__CONTAINER__INIT;
    autofree Runtime__V1__Container **items = xcalloc(count + 1, sizeof(*items));
    autofree char *id = xcalloc(1, id_size + 1);

    memset(id, 'i', id_size);
    item.id = id;
    for (size_t i = 0; i < count; i++)
        items[i] = &item;
    list.n_containers = count;
    list.containers = items;
    *ret_size = runtime__v1__list_containers_response__get_packed_size(&list);
    uint8_t *bytes = xmalloc(*ret_size + 1);
    runtime__v1__list_containers_response__pack(&list, bytes);
    return bytes;
}

static size_t items_in(const uint8_t *bytes, size_t size)
{
    Runtime__V1__StreamContainersResponse *piece = runtime__v1__stream_containers_response__unpack(NULL, size, bytes);

    assert_non_null(piece);
    size_t count = piece->n_containers;
    runtime__v1__stream_containers_response__free_unpacked(piece, NULL);
    return count;
}

static void an_empty_list_has_no_message(void **state)
{
    size_t size = 1;

    (void)state;
    assert_null(list_piece_size((const uint8_t *)"", 0, &size));
    assert_int_equal(size, 0);
}

static void a_small_list_is_one_message(void **state)
{
    size_t total, size;
    autofree uint8_t *bytes = list_of(100, 64, &total);

    (void)state;
    assert_null(list_piece_size(bytes, total, &size));
    assert_int_equal(size, total);
}

static void a_large_list_is_cut_between_items_and_each_is_in_one_message(void **state)
{
    enum { COUNT = 30000 };
    size_t total, size, seen = 0, messages = 0;
    autofree uint8_t *bytes = list_of(COUNT, 300, &total);

    (void)state;
    for (size_t at = 0; at < total; at += size, messages++) {
        assert_null(list_piece_size(bytes + at, total - at, &size));
        assert_in_range(size, 1, LIST_PIECE_MAX);
        seen += items_in(bytes + at, size);
    }
    assert_int_equal(seen, COUNT);
    assert_int_equal(messages, (total + LIST_PIECE_MAX - 1) / LIST_PIECE_MAX);
}

static void an_item_larger_than_a_message_goes_alone(void **state)
{
    size_t total, size;
    autofree uint8_t *bytes = list_of(2, LIST_PIECE_MAX + 1, &total);

    (void)state;
    assert_null(list_piece_size(bytes, total, &size));
    assert_int_equal(size, total / 2);
    assert_int_equal(items_in(bytes, size), 1);
}

static void expect_no_list(const void *bytes, size_t size)
{
    size_t piece = 0;
    autoptr(error) error = list_piece_size(bytes, size, &piece);

    assert_non_null(error);
    assert_int_equal(error->code, ERROR_INTERNAL);
}

static void bytes_that_are_no_list_are_refused(void **state)
{
    (void)state;
    expect_no_list("\x0a", 1);                                              /* no length */
    expect_no_list("\x0a\x02x", 3);                                         /* a byte short */
    expect_no_list("\x0a\x80", 2);                                          /* half a length */
    expect_no_list("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12); /* no length ends so late */
    expect_no_list("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);     /* one that overflows */
    expect_no_list("\x12\x01x", 3);                                         /* another field */
    expect_no_list("\x0a\x01x\x08\x01", 5);                                 /* another after an item */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_list_has_no_message),
        cmocka_unit_test(a_small_list_is_one_message),
        cmocka_unit_test(a_large_list_is_cut_between_items_and_each_is_in_one_message),
        cmocka_unit_test(an_item_larger_than_a_message_goes_alone),
        cmocka_unit_test(bytes_that_are_no_list_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
