/* A CANCEL finds its call, whichever of the two comes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/ipc_calls.h"

static void id_of(unsigned number, uint8_t id[IPC_REQUEST_ID_SIZE])
{
    memset(id, 0x5a, IPC_REQUEST_ID_SIZE);
    memcpy(id, &number, sizeof(number));
}

static void a_cancel_marks_its_call_and_no_other(void **state)
{
    struct ipc_calls calls = {0};
    struct ipc_entry entries[5];
    uint8_t id[IPC_REQUEST_ID_SIZE];

    (void)state;
    ipc_calls_init(&calls);
    for (unsigned i = 0; i < 5; i++) {
        id_of(i, id);
        ipc_calls_add(&calls, &entries[i], id);
    }
    id_of(2, id);
    ipc_calls_cancel(&calls, id);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(atomic_load(&entries[i].cancelled), i == 2);
    static const unsigned order[] = {2, 0, 4, 1, 3}; /* the middle, the ends, the rest */
    for (unsigned i = 0; i < 5; i++)
        ipc_calls_remove(&calls, &entries[order[i]]);
    assert_null(calls.first);
    ipc_calls_fini(&calls);
}

static void a_cancel_that_overtook_its_call_is_remembered_among_the_last_64(void **state)
{
    struct ipc_calls calls = {0};
    struct ipc_entry entry;
    uint8_t id[IPC_REQUEST_ID_SIZE];

    (void)state;
    ipc_calls_init(&calls);
    for (unsigned i = 0; i <= IPC_CANCELLED_KEPT; i++) {
        id_of(1000 + i, id);
        ipc_calls_cancel(&calls, id);
    }
    for (unsigned i = 0; i <= IPC_CANCELLED_KEPT; i++) {
        id_of(1000 + i, id);
        ipc_calls_add(&calls, &entry, id);
        assert_int_equal(atomic_load(&entry.cancelled), i > 0); /* the oldest has made room */
        ipc_calls_remove(&calls, &entry);
    }
    ipc_calls_fini(&calls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cancel_marks_its_call_and_no_other),
        cmocka_unit_test(a_cancel_that_overtook_its_call_is_remembered_among_the_last_64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
