/* Which failures count, what lists must show, what the figures are, and how the page writes text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/chaos/book.h"
#include "cli/chaos/excuse.h"
#include "cli/chaos/report.h"
#include "common/cleanup.h"

/* ---- excuses ---- */

static bool excuses(enum target target, enum rpc rpc, enum error_code code, const char *text, const char *pod)
{
    struct kill_record kill = {.target = target, .pod = "pod"};
    struct error failure = {.code = code, .text = (char *)text};

    return kill_excuses(&kill, rpc, &failure, pod);
}

static void only_what_cannot_be_promised_is_excused(void **state)
{
    (void)state;
    assert_true(excuses(TARGET_CRIAPI, RPC_STATUS, ERROR_UNAVAILABLE, "", ""));
    assert_false(excuses(TARGET_CRIAPI, RPC_STATUS, ERROR_INTERNAL, "", ""));
    assert_false(excuses(TARGET_CRIAPI, RPC_RUN_POD, ERROR_ALREADY_EXISTS, "", ""));
    for (enum target target = TARGET_SANDBOXD; target <= TARGET_UNPACK; target++)
        assert_false(excuses(target, RPC_RUN_POD, ERROR_UNAVAILABLE, "", ""));
    assert_true(excuses(TARGET_OCI, RPC_CREATE, ERROR_INTERNAL, "create ended with signal 9", "pod"));
    assert_false(excuses(TARGET_OCI, RPC_CREATE, ERROR_INTERNAL, "create ended with signal 9", "other"));
    assert_false(excuses(TARGET_OCI, RPC_CREATE, ERROR_INTERNAL, "something else", "pod"));
    assert_false(excuses(TARGET_OCI, RPC_STOP, ERROR_INTERNAL, "ended with signal 9", "pod"));
    assert_true(excuses(TARGET_CNI, RPC_RUN_POD, ERROR_INTERNAL, "ADD of plugin \"bridge\": killed by signal 9", ""));
    assert_false(excuses(TARGET_CNI, RPC_STOP_POD, ERROR_INTERNAL, "DEL of plugin \"bridge\": no", "other"));
    assert_false(excuses(TARGET_CNI, RPC_CREATE, ERROR_INTERNAL, "ADD of plugin \"bridge\": killed by signal 9", "pod"));
}

static void a_kill_covers_the_time_from_its_signal_to_the_end(void **state)
{
    const int64_t second = 1000000000;
    struct kill_record kill = {.at_ns = 10 * second, .dead_ns = 11 * second};

    (void)state;
    assert_true(kill_covers(&kill, 9 * second, 10 * second));
    assert_true(kill_covers(&kill, 10 * second + 1, 10 * second + 2));
    assert_false(kill_covers(&kill, 8 * second, 9 * second));
    assert_false(kill_covers(&kill, 12 * second, 13 * second));
    kill.dead_ns = 0; /* stopped, and not yet ended */
    assert_true(kill_covers(&kill, 12 * second, 13 * second));
}

static void failures_are_judged_as_they_are_recorded(void **state)
{
    struct recorder *recorder = recorder_new(1);
    struct error *unavailable = error_new(ERROR_UNAVAILABLE, "gone"), *missing = error_new(ERROR_NOT_FOUND, "no");
    struct record record;
    char under_way[RPC_SET_SIZE];

    (void)state;
    recorder_begin(recorder, 0, RPC_STATUS, NULL);
    recorder_under_way(recorder, ~0u, NULL, under_way);
    assert_string_equal(under_way, "Status");
    assert_false(recorder_end(recorder, 0, unavailable, ERROR_OK)); /* nobody was killed */
    recorder_under_way(recorder, ~0u, NULL, under_way);
    assert_string_equal(under_way, "");
    recorder_begin(recorder, 0, RPC_STATUS, NULL);
    recorder_kill(recorder, &(struct kill_record){.target = TARGET_CRIAPI});
    assert_true(recorder_end(recorder, 0, unavailable, ERROR_OK));
    recorder_begin(recorder, 0, RPC_CONTAINER_STATUS, "pod");
    assert_false(recorder_end(recorder, 0, missing, ERROR_NOT_FOUND)); /* the answer that was to come */
    recorder_read(recorder, &record);
    assert_int_equal(record.call_count, 3);
    assert_int_equal(record.by_kind[VIOLATION_CALL], 1);
    assert_int_equal(record.violation_total, 1);
    error_free(unavailable);
    error_free(missing);
    recorder_free(recorder);
}

static void a_refused_retry_is_its_own_kind(void **state)
{
    struct recorder *recorder = recorder_new(1);
    struct error *reserved = error_new(ERROR_UNKNOWN, "name \"a\" is reserved for \"b\"");
    struct record record;

    (void)state;
    recorder_begin(recorder, 0, RPC_RUN_POD, NULL);
    recorder_end(recorder, 0, reserved, ERROR_OK);
    recorder_read(recorder, &record);
    assert_int_equal(record.by_kind[VIOLATION_REFUSAL], 1);
    error_free(reserved);
    recorder_free(recorder);
}

/* ---- lists ---- */

static void list_must_be(struct book *book, uint64_t moment, const char *const *ids, size_t count, bool is_well)
{
    autoptr(error) wrong = book_compare(book, moment, true, ids, count);

    if (is_well != !wrong)
        fail_msg("%s", wrong ? wrong->text : "it was to be wrong");
}

static void a_list_has_who_is_there_once_and_nobody_who_is_gone(void **state)
{
    struct book *book = book_new();
    uint64_t before = book_now(book);

    (void)state;
    assert_null(book_add_pod(book, "a", "10.0.0.1"));
    list_must_be(book, before, NULL, 0, true); /* it came while the list was made */
    uint64_t after = book_now(book);
    list_must_be(book, after, NULL, 0, false);
    list_must_be(book, after, (const char *const[]){"a"}, 1, true);
    list_must_be(book, after, (const char *const[]){"a", "a"}, 2, false);
    book_leave(book, "a");
    list_must_be(book, after, NULL, 0, true);
    list_must_be(book, after, (const char *const[]){"a"}, 1, true);
    book_gone(book, "a");
    list_must_be(book, after, (const char *const[]){"a"}, 1, true); /* it may have gone after the list was made */
    list_must_be(book, book_now(book), (const char *const[]){"a"}, 1, false);
    book_free(book);
}

static void an_address_is_one_living_pods(void **state)
{
    struct book *book = book_new();

    (void)state;
    assert_null(book_add_pod(book, "a", "10.0.0.1"));
    autoptr(error) shared = book_add_pod(book, "b", "10.0.0.1");
    assert_non_null(shared);
    book_leave(book, "a");
    book_leave(book, "b");
    assert_null(book_add_pod(book, "c", "10.0.0.1"));
    book_free(book);
}

/* ---- figures ---- */

static void percentiles_are_values_that_came(void **state)
{
    const double values[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

    (void)state;
    assert_true(percentile(values, 10, 0.5) == 5);
    assert_true(percentile(values, 10, 0.99) == 10);
    assert_true(percentile(values, 10, 1) == 10);
    assert_true(percentile(values, 1, 0.5) == 1);
    assert_true(percentile(values, 0, 0.5) == 0);
}

static void kills_are_counted_by_the_work_in_hand(void **state)
{
    struct kill_record kills[] = {
        {.target = TARGET_SHIM, .was_ready = true, .had_work = true, .work = "ExecSync (running containers)", .signal = 9},
        {.target = TARGET_SHIM, .was_ready = true, .had_work = true, .work = "ExecSync", .signal = 19},
        {.target = TARGET_SHIM, .was_ready = false, .had_work = true, .work = "ExecSync", .signal = 9},
        {.target = TARGET_CRIAPI, .was_ready = true, .work = "", .signal = 9},
    };
    struct record record = {.kills = kills, .kill_count = sizeof(kills) / sizeof(kills[0])};
    struct kill_statistics shim;
    struct work_tally *tallies;
    size_t count;

    (void)state;
    statistics_of_target(&record, TARGET_SHIM, &shim);
    assert_int_equal(shim.kills, 3);
    assert_int_equal(shim.counted, 2);
    assert_int_equal(shim.stops, 1);
    assert_int_equal(statistics_counted(&record), 2);
    statistics_of_work(&record, &tallies, &count);
    assert_int_equal(count, 2);
    assert_string_equal(tallies[0].work, "shim: ExecSync");
    assert_int_equal(tallies[0].count, 2);
    assert_string_equal(tallies[1].work, "shim: (running containers)");
    tallies_free(tallies, count);
}

static void text_is_no_markup_in_the_page(void **state)
{
    autofree char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    html_put(out, "<script a='1' b=\"2\">&\x01\n");
    fclose(out);
    assert_string_equal(text, "&lt;script a=&#39;1&#39; b=&quot;2&quot;&gt;&amp; \n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_cannot_be_promised_is_excused),
        cmocka_unit_test(a_kill_covers_the_time_from_its_signal_to_the_end),
        cmocka_unit_test(failures_are_judged_as_they_are_recorded),
        cmocka_unit_test(a_refused_retry_is_its_own_kind),
        cmocka_unit_test(a_list_has_who_is_there_once_and_nobody_who_is_gone),
        cmocka_unit_test(an_address_is_one_living_pods),
        cmocka_unit_test(percentiles_are_values_that_came),
        cmocka_unit_test(kills_are_counted_by_the_work_in_hand),
        cmocka_unit_test(text_is_no_markup_in_the_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
