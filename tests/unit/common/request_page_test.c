/* Strikes: who gets one, who is poison, who is acquitted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/request_page.h"

static struct request_page *generation(int fd, enum death_reason last)
{
    struct request_page *page;

    assert_null(request_page_open(fd, last, &page));
    return page;
}

/* A generation that dies with these keys in hand. */
static void die_with(int fd, enum death_reason last, const char *first, const char *second)
{
    struct request_page *page = generation(fd, last);

    assert_true(request_page_enter(page, first) >= 0);
    if (second)
        assert_true(request_page_enter(page, second) >= 0);
    request_page_close(page);
}

static void two_deaths_by_its_own_fault_make_a_key_poison(void **state)
{
    int fd;

    (void)state;
    assert_null(request_page_create(&fd));
    die_with(fd, DEATH_NONE, "bad", "bystander");
    struct request_page *page = generation(fd, DEATH_FAULT);
    assert_true(request_page_is_suspect(page, "bad"));
    assert_false(request_page_is_poison(page, "bad"));
    request_page_leave(page, request_page_enter(page, "bystander"));
    request_page_enter(page, "bad");
    request_page_close(page);
    page = generation(fd, DEATH_HANG);
    assert_true(request_page_is_poison(page, "bad"));
    assert_false(request_page_is_suspect(page, "bystander"));
    assert_false(request_page_is_poison(page, "other"));
    request_page_close(page);
    page = generation(fd, DEATH_KILLED); /* it stays so over later generations */
    assert_true(request_page_is_poison(page, "bad"));
    request_page_close(page);
    close(fd);
}

static void a_kill_from_outside_gives_no_strike(void **state)
{
    static const enum death_reason innocent[] = {DEATH_KILLED, DEATH_UNKNOWN, DEATH_EXIT, DEATH_NONE};
    int fd;

    (void)state;
    assert_null(request_page_create(&fd));
    for (int i = 0; i < 4; i++)
        die_with(fd, innocent[i], "key", NULL);
    struct request_page *page = generation(fd, DEATH_KILLED);
    assert_false(request_page_is_suspect(page, "key"));
    request_page_close(page);
    close(fd);
}

static void what_was_left_in_time_gives_no_strike(void **state)
{
    int fd;

    (void)state;
    assert_null(request_page_create(&fd));
    for (int i = 0; i < 3; i++) {
        struct request_page *page = generation(fd, DEATH_FAULT);
        request_page_leave(page, request_page_enter(page, "done"));
        request_page_close(page);
    }
    struct request_page *page = generation(fd, DEATH_FAULT);
    assert_false(request_page_is_suspect(page, "done"));
    request_page_close(page);
    close(fd);
}

static void the_page_takes_as_many_as_it_has_slots(void **state)
{
    int fd;
    char key[32];

    (void)state;
    assert_null(request_page_create(&fd));
    struct request_page *page = generation(fd, DEATH_NONE);
    for (int i = 0; i < REQUEST_PAGE_SLOTS; i++) {
        snprintf(key, sizeof(key), "key %d", i);
        assert_true(request_page_enter(page, key) >= 0);
    }
    assert_int_equal(request_page_enter(page, "more"), -1);
    request_page_leave(page, -1);
    request_page_leave(page, 17);
    assert_int_equal(request_page_enter(page, "more"), 17);
    request_page_close(page);
    page = generation(fd, DEATH_FAULT);
    assert_true(request_page_is_suspect(page, "key 1023"));
    assert_true(request_page_is_suspect(page, "more"));
    request_page_close(page);
    close(fd);
}

static void a_request_that_ends_well_after_a_death_is_acquitted(void **state)
{
    int fd;

    (void)state;
    assert_null(request_page_create(&fd));
    die_with(fd, DEATH_NONE, "suspect", NULL);
    struct request_page *page = generation(fd, DEATH_FAULT);
    assert_true(request_page_is_suspect(page, "suspect"));
    request_page_leave(page, request_page_enter(page, "suspect"));
    assert_false(request_page_is_suspect(page, "suspect"));
    request_page_enter(page, "suspect");
    request_page_close(page);
    page = generation(fd, DEATH_FAULT); /* its first strike again */
    assert_false(request_page_is_poison(page, "suspect"));
    request_page_close(page);
    close(fd);
}

/* More suspects than there is room for push out the oldest of them, never what is known to be poison. */
static void poison_outlives_any_number_of_later_suspects(void **state)
{
    int fd;
    char key[32];

    (void)state;
    assert_null(request_page_create(&fd));
    die_with(fd, DEATH_NONE, "poison", NULL);
    die_with(fd, DEATH_FAULT, "poison", NULL);
    for (int turn = 0; turn < 4; turn++) {
        struct request_page *page = generation(fd, turn ? DEATH_HANG : DEATH_FAULT);
        for (int i = 0; i < REQUEST_PAGE_SLOTS; i++) {
            snprintf(key, sizeof(key), "turn %d key %d", turn, i);
            request_page_enter(page, key);
        }
        request_page_close(page);
    }
    struct request_page *page = generation(fd, DEATH_FAULT);
    assert_true(request_page_is_poison(page, "poison"));
    assert_true(request_page_is_suspect(page, "turn 3 key 0"));
    assert_false(request_page_is_suspect(page, "turn 0 key 0"));
    request_page_close(page);
    close(fd);
}

static void a_page_of_the_wrong_size_is_refused(void **state)
{
    char path[] = "/tmp/bulkhead-page-XXXXXX";
    int fd = mkstemp(path);
    struct request_page *page;

    (void)state;
    autoptr(error) error = request_page_open(fd, DEATH_NONE, &page);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_FAILED_PRECONDITION);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_deaths_by_its_own_fault_make_a_key_poison),
        cmocka_unit_test(a_kill_from_outside_gives_no_strike),
        cmocka_unit_test(what_was_left_in_time_gives_no_strike),
        cmocka_unit_test(the_page_takes_as_many_as_it_has_slots),
        cmocka_unit_test(a_request_that_ends_well_after_a_death_is_acquitted),
        cmocka_unit_test(poison_outlives_any_number_of_later_suspects),
        cmocka_unit_test(a_page_of_the_wrong_size_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
