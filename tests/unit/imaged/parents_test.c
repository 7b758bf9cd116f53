/* Directories that an archive only implies, over layers of every kind below. */
#include "tests/unit/imaged/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "common/memory.h"
#include "services/imaged/unpack/parents.h"

enum { LAYERS = 3 };

/* DIR/0 is the layer, DIR/1 and DIR/2 are those below it. */
struct fixture {
    char directory[64];
    int layers[LAYERS];
};

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));

    strcpy(fixture->directory, "/tmp/bh-parents-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    for (int i = 0; i < LAYERS; i++) {
        autofree char *path = xasprintf("%s/%d", fixture->directory, i);
        assert_int_equal(mkdir(path, 0755), 0);
        fixture->layers[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    autofree char *command = xasprintf("rm -rf %s", fixture->directory);

    for (int i = 0; i < LAYERS; i++)
        close(fixture->layers[i]);
    free(fixture);
    return system(command);
}

static void directory_make(struct fixture *fixture, int layer, const char *path, mode_t mode, uid_t owner)
{
    const struct timespec times[2] = {{1000000000 + layer, 5}, {1000000000 + layer, 5}};

    assert_int_equal(mkdirat(fixture->layers[layer], path, 0755), 0);
    assert_int_equal(fchownat(fixture->layers[layer], path, owner, owner, 0), 0);
    assert_int_equal(fchmodat(fixture->layers[layer], path, mode, 0), 0);
    assert_int_equal(utimensat(fixture->layers[layer], path, times, 0), 0);
}

static void attribute_set(struct fixture *fixture, int layer, const char *path, const char *name, const char *value)
{
    autoclose int fd = openat(fixture->layers[layer], path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_int_equal(fsetxattr(fd, name, value, strlen(value), 0), 0);
}

/* The list is one path here. */
static void mend(struct fixture *fixture, const char *path)
{
    fine(parents_mend(fixture->layers[0], &fixture->layers[1], LAYERS - 1, path, strlen(path) + 1));
}

static void is(struct fixture *fixture, const char *path, mode_t mode, uid_t owner)
{
    struct stat status;

    assert_int_equal(fstatat(fixture->layers[0], path, &status, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(status.st_mode & 07777, mode);
    assert_int_equal(status.st_uid, owner);
    assert_int_equal(status.st_gid, owner);
}

static void owner_mode_times_and_attributes_are_those_of_the_layer_below(void **state)
{
    struct fixture *fixture = *state;
    char value[8] = "";
    struct stat status;

    directory_make(fixture, 0, "tmp", 0755, 0);
    directory_make(fixture, 2, "tmp", 01777, 7);
    attribute_set(fixture, 2, "tmp", "user.colour", "red");
    attribute_set(fixture, 2, "tmp", "user.overlay.opaque", "y");
    mend(fixture, "tmp");
    is(fixture, "tmp", 01777, 7);
    assert_int_equal(fstatat(fixture->layers[0], "tmp", &status, 0), 0);
    assert_int_equal(status.st_mtim.tv_sec, 1000000002);
    assert_int_equal(status.st_mtim.tv_nsec, 5);
    autoclose int fd = openat(fixture->layers[0], "tmp", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fgetxattr(fd, "user.colour", value, sizeof(value)), 3);
    assert_memory_equal(value, "red", 3);
    assert_int_equal(fgetxattr(fd, "user.overlay.opaque", value, sizeof(value)),
                     -1); /* it is the lower layer's alone */
}

static void the_topmost_layer_that_has_it_counts(void **state)
{
    struct fixture *fixture = *state;

    directory_make(fixture, 0, "a", 0755, 0);
    directory_make(fixture, 1, "a", 0700, 1);
    directory_make(fixture, 2, "a", 0711, 2);
    mend(fixture, "a");
    is(fixture, "a", 0700, 1);
}

static void a_directory_that_no_layer_has_stays_as_it_is(void **state)
{
    struct fixture *fixture = *state;

    directory_make(fixture, 0, "a", 0755, 0);
    mend(fixture, "a");
    mend(fixture, "not-here");
    is(fixture, "a", 0755, 0);
}

static void each_of_several_is_found_where_it_is(void **state)
{
    static const char list[] = "a\0a/b";
    struct fixture *fixture = *state;

    directory_make(fixture, 0, "a", 0755, 0);
    directory_make(fixture, 0, "a/b", 0755, 0);
    directory_make(fixture, 1, "a", 0700, 1);
    directory_make(fixture, 2, "a", 0711, 2);
    directory_make(fixture, 2, "a/b", 0770, 2);
    fine(parents_mend(fixture->layers[0], &fixture->layers[1], LAYERS - 1, list, sizeof(list)));
    is(fixture, "a", 0700, 1);
    is(fixture, "a/b", 0770, 2);
}

static void a_whiteout_hides_what_is_below_it(void **state)
{
    struct fixture *fixture = *state;

    directory_make(fixture, 0, "a", 0755, 0);
    directory_make(fixture, 0, "a/b", 0755, 0);
    assert_int_equal(mknodat(fixture->layers[1], "a", S_IFCHR, makedev(0, 0)), 0);
    directory_make(fixture, 2, "a", 0700, 2);
    directory_make(fixture, 2, "a/b", 0700, 2);
    mend(fixture, "a");
    mend(fixture, "a/b");
    is(fixture, "a", 0755, 0);
    is(fixture, "a/b", 0755, 0);
}

static void an_opaque_directory_hides_what_it_does_not_have(void **state)
{
    struct fixture *fixture = *state;

    directory_make(fixture, 0, "a", 0755, 0);
    directory_make(fixture, 0, "a/b", 0755, 0);
    directory_make(fixture, 1, "a", 0711, 1);
    attribute_set(fixture, 1, "a", "user.overlay.opaque", "y");
    directory_make(fixture, 2, "a", 0700, 2);
    directory_make(fixture, 2, "a/b", 0700, 2);
    mend(fixture, "a");
    mend(fixture, "a/b");
    is(fixture, "a", 0711, 1);
    is(fixture, "a/b", 0755, 0);
}

static void a_link_or_file_below_is_no_directory(void **state)
{
    struct fixture *fixture = *state;

    directory_make(fixture, 0, "lib", 0755, 0);
    directory_make(fixture, 0, "file", 0755, 0);
    directory_make(fixture, 2, "usr", 0700, 2);
    assert_int_equal(symlinkat("usr", fixture->layers[2], "lib"), 0);
    close(openat(fixture->layers[1], "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    directory_make(fixture, 2, "file", 0700, 2);
    mend(fixture, "lib");
    mend(fixture, "file");
    is(fixture, "lib", 0755, 0);
    is(fixture, "file", 0755, 0);
}

static void no_path_leads_out_of_a_layer(void **state)
{
    struct fixture *fixture = *state;

    directory_make(fixture, 2, "a", 0700, 2);
    assert_int_equal(symlinkat("../2", fixture->layers[0], "out"), 0);
    directory_make(fixture, 1, "out", 0711, 1);
    directory_make(fixture, 1, "out/a", 0711, 1);
    mend(fixture, "../2/a");
    mend(fixture, "out/a");
    mend(fixture, "/tmp");
    mend(fixture, "");
    struct stat status;
    assert_int_equal(fstatat(fixture->layers[2], "a", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    is(fixture, ".", 0755, 0);
}

static void a_list_that_is_cut_is_refused(void **state)
{
    struct fixture *fixture = *state;

    refused(parents_mend(fixture->layers[0], NULL, 0, "ab", 2), ERROR_INVALID_ARGUMENT, "cut");
    fine(parents_mend(fixture->layers[0], NULL, 0, "", 0));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(owner_mode_times_and_attributes_are_those_of_the_layer_below),
        TEST(the_topmost_layer_that_has_it_counts),
        TEST(a_directory_that_no_layer_has_stays_as_it_is),
        TEST(each_of_several_is_found_where_it_is),
        TEST(a_whiteout_hides_what_is_below_it),
        TEST(an_opaque_directory_hides_what_it_does_not_have),
        TEST(a_link_or_file_below_is_no_directory),
        TEST(no_path_leads_out_of_a_layer),
        TEST(a_list_that_is_cut_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
