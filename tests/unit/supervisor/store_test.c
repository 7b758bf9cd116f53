/* Who may start what and keep which descriptors, and the list that holds them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "services/supervisor/keeper/programs.h"
#include "services/supervisor/keeper/store.h"

enum { FIRST = 70000, SUPERVISOR = FIRST, CRIAPI, SANDBOXD, IMAGED, LOGD, FETCH, STREAM, STRANGER };

static const struct keeper_options options = {.uid_first = FIRST};

static void only_root_and_the_named_user_may_start_a_program(void **state)
{
    static const uid_t spawners[KEEPER_PROGRAM_COUNT] = {
        [KEEPER_SUPERVISOR] = 0,      [KEEPER_CRIAPI] = SUPERVISOR, [KEEPER_SANDBOXD] = SUPERVISOR,
        [KEEPER_IMAGED] = SUPERVISOR, [KEEPER_LOGD] = SUPERVISOR,   [KEEPER_STREAM] = SUPERVISOR,
        [KEEPER_SHIM] = SANDBOXD,     [KEEPER_FETCH] = IMAGED,      [KEEPER_UNPACK] = IMAGED};
    struct keeper keeper = {.options = &options};

    (void)state;
    for (int program = 0; program < KEEPER_PROGRAM_COUNT; program++) {
        assert_true(program_is_allowed(&keeper, (enum keeper_program)program, 0));
        for (uid_t uid = FIRST - 1; uid <= STRANGER; uid++)
            assert_int_equal(program_is_allowed(&keeper, (enum keeper_program)program, uid), uid == spawners[program]);
    }
    assert_false(program_is_valid(-1));
    assert_false(program_is_valid(KEEPER_PROGRAM_COUNT));
}

/* May be given back by who holds them, and taken by nobody. */
static void assert_listeners_are_given_back(const struct keeper *keeper)
{
    for (uid_t uid = FIRST - 1; uid <= STRANGER; uid++) {
        assert_false(store_is_allowed(keeper, "listener", uid, false));
        assert_int_equal(store_is_allowed(keeper, "listener", uid, true), uid == CRIAPI || uid == SUPERVISOR);
    }
}

/* Which of the users (and root) reach an owner's descriptors. */
static void assert_reached_by(const struct keeper *keeper, const char *owner, uid_t reader, uid_t writer)
{
    assert_true(store_is_allowed(keeper, owner, 0, false));
    assert_true(store_is_allowed(keeper, owner, 0, true));
    for (uid_t uid = FIRST - 1; uid <= STRANGER; uid++) {
        assert_int_equal(store_is_allowed(keeper, owner, uid, false), uid == reader);
        assert_int_equal(store_is_allowed(keeper, owner, uid, true), uid == writer);
    }
}

static void each_user_reaches_its_own_descriptors_and_no_pods(void **state)
{
    struct keeper keeper = {.options = &options};

    (void)state;
    assert_reached_by(&keeper, "page", SUPERVISOR, SUPERVISOR);
    assert_listeners_are_given_back(&keeper);
    assert_reached_by(&keeper, "supervisor", SUPERVISOR, SUPERVISOR);
    assert_reached_by(&keeper, "criapi", CRIAPI, CRIAPI);
    assert_reached_by(&keeper, "sandboxd", SANDBOXD, SANDBOXD);
    assert_reached_by(&keeper, "imaged", IMAGED, IMAGED);
    assert_reached_by(&keeper, "logd", LOGD, LOGD);
    assert_reached_by(&keeper, "shim", 0, 0);
    assert_reached_by(&keeper, "unpack", 0, 0);
    assert_reached_by(&keeper, "4f0c", 0, 0); /* a pod's id */
}

static int null_open(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void the_same_name_replaces_and_a_drop_closes(void **state)
{
    struct keeper keeper = {.options = &options};
    int first = null_open(), second = null_open(), other = null_open(), foreign = null_open();

    (void)state;
    assert_null(store_put(&keeper, "pod", "out", first));
    assert_null(store_put(&keeper, "pod", "err", other));
    assert_null(store_put(&keeper, "pod2", "out", foreign));
    assert_null(store_put(&keeper, "pod", "out", second));
    assert_false(is_open(first));
    assert_int_equal(store_find(&keeper, "pod", "out"), second);
    assert_int_equal(store_find(&keeper, "pod2", "out"), foreign);
    assert_int_equal(store_find(&keeper, "pod", "in"), -1);
    store_drop(&keeper, "pod", "out");
    assert_false(is_open(second));
    assert_true(is_open(other));
    store_drop(&keeper, "pod", NULL);
    assert_false(is_open(other));
    assert_true(is_open(foreign));
    store_drop(&keeper, keeper.store->owner, NULL); /* the name lies in what is freed */
    assert_null(keeper.store);
}

static void a_list_gives_each_of_an_owner_once_in_parts(void **state)
{
    struct keeper keeper = {.options = &options};
    const struct stored_fd *part[4];
    bool seen[10] = {false};
    char name[8];

    (void)state;
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "fd%d", i);
        assert_null(store_put(&keeper, "pod", name, null_open()));
        assert_null(store_put(&keeper, "other", name, null_open()));
    }
    for (size_t skip = 0; skip < 12; skip += 4) {
        size_t count = store_list(&keeper, "pod", skip, 4, part);
        assert_int_equal(count, skip < 8 ? 4 : 2);
        for (size_t i = 0; i < count; i++) {
            int number = part[i]->name[2] - '0';
            assert_string_equal(part[i]->owner, "pod");
            assert_false(seen[number]);
            seen[number] = true;
        }
    }
    while (keeper.store)
        store_drop(&keeper, keeper.store->owner, NULL);
}

static void a_daemon_has_room_for_64_and_may_replace_them(void **state)
{
    struct keeper keeper = {.options = &options};
    char name[8];

    (void)state;
    for (int i = 0; i < STORE_DAEMON_MAX; i++) {
        snprintf(name, sizeof(name), "fd%d", i);
        assert_true(store_has_room(&keeper, "criapi", name, CRIAPI));
        assert_null(store_put(&keeper, "criapi", name, null_open()));
    }
    assert_false(store_has_room(&keeper, "criapi", "more", CRIAPI));
    assert_true(store_has_room(&keeper, "criapi", "fd0", CRIAPI));
    assert_true(store_has_room(&keeper, "logd", "more", LOGD));
    assert_true(store_has_room(&keeper, "criapi", "more", 0));
    store_drop(&keeper, "criapi", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_root_and_the_named_user_may_start_a_program),
        cmocka_unit_test(each_user_reaches_its_own_descriptors_and_no_pods),
        cmocka_unit_test(the_same_name_replaces_and_a_drop_closes),
        cmocka_unit_test(a_list_gives_each_of_an_owner_once_in_parts),
        cmocka_unit_test(a_daemon_has_room_for_64_and_may_replace_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
