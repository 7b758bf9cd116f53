/* Who a container runs as, from images' user strings, CRI's numbers and hostile files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "services/sandboxd/files/user.h"

static const char passwd_text[] = "root:x:0:0:root:/root:/bin/sh\n"
                                  "# a comment\n"
                                  "broken\n"
                                  "huge:x:99999999999:1::/:/\n"
                                  "app:x:1000:1001:App:/:/bin/sh\r\n"
                                  "short:x:7:8";
static const char group_text[] = "root:x:0:root\n"
                                 "app:x:1001:app\n"
                                 "wheel:x:10:root,app\n"
                                 "appx:x:11:appx\n"
                                 "bad:x:-1:app\n"
                                 "video:x:44:app";

static const struct user_file passwd = {passwd_text, sizeof(passwd_text) - 1};
static const struct user_file group = {group_text, sizeof(group_text) - 1};
static const struct user_file none = {0};

static struct user *resolve(const char *text)
{
    struct user *user = NULL;
    struct error *error = user_resolve(&(struct user_request){.user = text}, &passwd, &group, &user);

    if (error)
        fail_msg("%s: %s", text, error->text);
    return user;
}

static enum error_code code_of(const struct user_request *request, const struct user_file *p, const struct user_file *g)
{
    autoptr(user) user = NULL;
    autoptr(error) error = user_resolve(request, p, g, &user);

    return error ? error->code : ERROR_OK;
}

static void assert_user(const char *text, uint32_t uid, uint32_t gid, const uint32_t *groups, size_t count)
{
    autoptr(user) user = resolve(text);

    assert_int_equal(user->uid, uid);
    assert_int_equal(user->gid, gid);
    assert_int_equal(user->group_count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(user->groups[i], groups[i]);
}

static void a_name_or_a_listed_uid_has_its_group_and_those_that_list_it(void **state)
{
    (void)state;
    const uint32_t groups[] = {1001, 10, 44};

    assert_user("app", 1000, 1001, groups, 3);
    assert_user("1000", 1000, 1001, groups, 3);
    assert_user("app:", 1000, 1001, groups, 3);
}

static void a_named_or_numbered_group_replaces_the_primary_one(void **state)
{
    (void)state;

    assert_user("app:video", 1000, 44, (const uint32_t[]){44, 10}, 2);
    assert_user("app:5000", 1000, 5000, (const uint32_t[]){5000, 10, 44}, 3);
    assert_user("3:4", 3, 4, (const uint32_t[]){4}, 1);
}

static void a_uid_without_an_entry_has_group_0(void **state)
{
    (void)state;

    assert_user("4242", 4242, 0, (const uint32_t[]){0}, 1);
    assert_user("2147483647", 2147483647, 0, (const uint32_t[]){0}, 1);
}

static void nobody_asked_means_root(void **state)
{
    (void)state;

    assert_user("", 0, 0, (const uint32_t[]){0, 10}, 2);
    assert_user(NULL, 0, 0, (const uint32_t[]){0, 10}, 2);
}

static void a_line_may_end_early_and_without_a_newline(void **state)
{
    (void)state;

    assert_user("short", 7, 8, (const uint32_t[]){8}, 1);
}

static void unknown_names_are_not_found(void **state)
{
    (void)state;

    assert_int_equal(code_of(&(struct user_request){.user = "nobody"}, &passwd, &group), ERROR_NOT_FOUND);
    assert_int_equal(code_of(&(struct user_request){.user = "app"}, &none, &none), ERROR_NOT_FOUND);
    assert_int_equal(code_of(&(struct user_request){.user = "app:none"}, &passwd, &group), ERROR_NOT_FOUND);
    assert_int_equal(code_of(&(struct user_request){.user = "huge"}, &passwd, &group), ERROR_NOT_FOUND);
    assert_int_equal(code_of(&(struct user_request){.user = "broken"}, &passwd, &group), ERROR_NOT_FOUND);
}

/* 4294967296 cut to 32 bits is root: that was a hole in another runtime. */
static void numbers_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    const char *bad[] = {"2147483648", "4294967296", "-1", "99999999999999999999", "1:4294967296", "1:-5", ":5"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(code_of(&(struct user_request){.user = bad[i]}, &passwd, &group), ERROR_INVALID_ARGUMENT);
    const int64_t below = -1, above = 4294967296;
    assert_int_equal(code_of(&(struct user_request){.uid = &below}, &passwd, &group), ERROR_INVALID_ARGUMENT);
    assert_int_equal(code_of(&(struct user_request){.gid = &above}, &passwd, &group), ERROR_INVALID_ARGUMENT);
}

static void the_requests_numbers_win_over_the_images_user(void **state)
{
    (void)state;
    const int64_t uid = 1000, gid = 2000;
    const uint32_t extra[] = {44, 3000};
    struct user_request request = {.user = "root:root", .uid = &uid, .gid = &gid, .groups = extra, .group_count = 2};
    autoptr(user) user = NULL;

    assert_null(user_resolve(&request, &passwd, &group, &user));
    assert_int_equal(user->uid, 1000);
    assert_int_equal(user->gid, 2000);
    const uint32_t groups[] = {2000, 10, 44, 3000};
    assert_int_equal(user->group_count, 4);
    assert_memory_equal(user->groups, groups, sizeof(groups));
}

static void a_strict_request_has_no_groups_from_the_file(void **state)
{
    (void)state;
    const uint32_t extra[] = {3000};
    struct user_request request = {.user = "app", .groups = extra, .group_count = 1, .is_strict = true};
    autoptr(user) user = NULL;

    assert_null(user_resolve(&request, &passwd, &group, &user));
    const uint32_t groups[] = {1001, 3000};
    assert_int_equal(user->group_count, 2);
    assert_memory_equal(user->groups, groups, sizeof(groups));
}

static void hostile_bytes_are_only_skipped(void **state)
{
    (void)state;
    const char bytes[] = "\0\0:::\n::::::\n\xff\xfe:x:1:1\napp:x:\0:1\n:x:0:0\napp:x:12";
    const struct user_file file = {bytes, sizeof(bytes) - 1};

    assert_int_equal(code_of(&(struct user_request){.user = "app"}, &file, &file), ERROR_NOT_FOUND);
    const struct user_file large = {passwd_text, (size_t)USER_FILE_MAX + 1};
    assert_int_equal(code_of(&(struct user_request){.user = "app"}, &large, &group), ERROR_RESOURCE_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_or_a_listed_uid_has_its_group_and_those_that_list_it),
        cmocka_unit_test(a_named_or_numbered_group_replaces_the_primary_one),
        cmocka_unit_test(a_uid_without_an_entry_has_group_0),
        cmocka_unit_test(nobody_asked_means_root),
        cmocka_unit_test(a_line_may_end_early_and_without_a_newline),
        cmocka_unit_test(unknown_names_are_not_found),
        cmocka_unit_test(numbers_that_do_not_fit_are_refused),
        cmocka_unit_test(the_requests_numbers_win_over_the_images_user),
        cmocka_unit_test(a_strict_request_has_no_groups_from_the_file),
        cmocka_unit_test(hostile_bytes_are_only_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
