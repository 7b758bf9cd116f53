/* Records survive, or say what is wrong with them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/fd.h"
#include "common/memory.h"
#include "common/record.h"

static char directory[] = "/tmp/bulkhead-record-XXXXXX";
static int dir_fd;

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(directory));
    dir_fd = open(directory, O_RDONLY | O_DIRECTORY);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlinkat(dir_fd, "one", 0);
    close(dir_fd);
    assert_int_equal(rmdir(directory), 0); /* so nothing was left beside */
    return 0;
}

static void save(const char *kind, uint32_t version, const char *text)
{
    assert_null(record_save(dir_fd, "one", kind, version, text, strlen(text)));
}

static struct error *load(const char *kind, uint32_t newest, char **ret_text, uint32_t *ret_version)
{
    void *data = NULL;
    size_t size = 0;

    struct error *error = record_load(dir_fd, "one", kind, newest, ret_version, &data, &size);
    *ret_text = data;
    return error;
}

static void expect_load(const char *kind, uint32_t newest, enum error_code code)
{
    char *text;
    uint32_t version;

    struct error *error = load(kind, newest, &text, &version);
    assert_non_null(error);
    assert_null(text);
    if (error->code != code)
        fail_msg("%s, not %s: %s", error_code_name(error->code), error_code_name(code), error->text);
    error_free(error);
}

static char *file_bytes(size_t *ret_size)
{
    char *bytes;
    autoclose int fd = openat(dir_fd, "one", O_RDONLY);

    assert_null(fd_read_all(fd, 4096, &bytes, ret_size));
    return bytes;
}

static void file_put(const char *bytes, size_t size)
{
    autoclose int fd = openat(dir_fd, "one", O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_null(fd_write_all(fd, bytes, size));
}

static void what_was_saved_is_loaded_and_replaced(void **state)
{
    uint32_t version;

    (void)state;
    save("pod", 2, "first");
    save("pod", 3, "second, and longer");
    autofree char *text = NULL;
    assert_null(load("pod", 3, &text, &version));
    assert_string_equal(text, "second, and longer");
    assert_int_equal(version, 3);
    save("pod", 3, "");
    char *empty;
    assert_null(load("pod", 3, &empty, &version));
    assert_string_equal(empty, "");
    free(empty);
    assert_null(record_remove(dir_fd, "one"));
    assert_null(record_remove(dir_fd, "one"));
    expect_load("pod", 3, ERROR_NOT_FOUND);
}

static void every_torn_length_is_data_loss(void **state)
{
    size_t size;

    (void)state;
    save("pod", 1, "some data");
    autofree char *bytes = file_bytes(&size);
    for (size_t length = 0; length < size; length++) {
        file_put(bytes, length);
        expect_load("pod", 1, ERROR_DATA_LOSS);
    }
    autofree char *longer = xmalloc(size + 1);
    memcpy(longer, bytes, size);
    longer[size] = 'x';
    file_put(longer, size + 1);
    expect_load("pod", 1, ERROR_DATA_LOSS);
}

static void every_flipped_bit_is_data_loss(void **state)
{
    size_t size;

    (void)state;
    save("pod", 1, "some data");
    autofree char *bytes = file_bytes(&size);
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        file_put(bytes, size);
        expect_load("pod", 1, ERROR_DATA_LOSS);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
}

static void a_newer_version_is_refused_and_left_untouched(void **state)
{
    size_t size, size_after;

    (void)state;
    save("pod", 8, "from the future");
    autofree char *before = file_bytes(&size);
    expect_load("pod", 7, ERROR_FAILED_PRECONDITION);
    autofree char *after = file_bytes(&size_after);
    assert_int_equal(size, size_after);
    assert_memory_equal(before, after, size);
}

static void another_kind_and_a_foreign_file_are_data_loss(void **state)
{
    char foreign[100];

    (void)state;
    save("pod", 1, "data");
    expect_load("container", 1, ERROR_DATA_LOSS);
    memset(foreign, 'f', sizeof(foreign));
    file_put(foreign, sizeof(foreign));
    expect_load("pod", 1, ERROR_DATA_LOSS);
}

static void a_full_disk_keeps_the_old_record_and_leaves_nothing_beside(void **state)
{
    char point[] = "/tmp/bulkhead-full-XXXXXX";
    autofree char *big = xcalloc(1, 1 << 20);
    uint32_t version;
    void *data;
    size_t size;

    (void)state;
    assert_non_null(mkdtemp(point));
    assert_int_equal(mount("tmpfs", point, "tmpfs", 0, "size=64k"), 0);
    int full = open(point, O_RDONLY | O_DIRECTORY);
    assert_null(record_save(full, "one", "pod", 1, "old", 3));
    struct error *error = record_save(full, "one", "pod", 1, big, 1 << 20);
    assert_non_null(error);
    assert_int_equal(error->code, ERROR_RESOURCE_EXHAUSTED);
    error_free(error);
    assert_int_not_equal(faccessat(full, ".one.new", F_OK, 0), 0);
    assert_null(record_load(full, "one", "pod", 1, &version, &data, &size));
    assert_memory_equal(data, "old", 3);
    free(data);
    close(full);
    assert_int_equal(umount(point), 0);
    rmdir(point);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_saved_is_loaded_and_replaced),
        cmocka_unit_test(every_torn_length_is_data_loss),
        cmocka_unit_test(every_flipped_bit_is_data_loss),
        cmocka_unit_test(a_newer_version_is_refused_and_left_untouched),
        cmocka_unit_test(another_kind_and_a_foreign_file_are_data_loss),
        cmocka_unit_test(a_full_disk_keeps_the_old_record_and_leaves_nothing_beside),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
