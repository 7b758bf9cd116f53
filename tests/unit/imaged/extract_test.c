/* Archives, sound and hostile, extracted into a directory; what they make is looked at, and what they must not touch. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <zlib.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/imaged/digest.h"
#include "services/imaged/unpack/extract.h"
#include "services/imaged/unpack/tree.h"

struct fixture {
    char directory[64]; /* DIR/layer is the layer, DIR/outside what no archive may touch */
    int root;
    struct archive *archive;
    char *tar;
    size_t tar_size;
    struct unpack_report report;
    int parents; /* where the directories are listed that have no entry */
};

enum { TAR_MAX = 4 << 20 };

static int set_up(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof(*fixture));
    char path[128];

    strcpy(fixture->directory, "/tmp/bh-extract-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(path, sizeof(path), "%s/outside", fixture->directory);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    snprintf(path, sizeof(path), "%s/layer", fixture->directory);
    mkdir(path, 0700);
    fixture->root = open(path, O_RDONLY | O_DIRECTORY);
    fixture->parents = memfd_create("parents", MFD_CLOEXEC);
    fixture->tar = xcalloc(1, TAR_MAX);
    fixture->archive = archive_write_new();
    archive_write_set_format_pax(fixture->archive);
    archive_write_set_bytes_per_block(fixture->archive, 10240);
    archive_write_open_memory(fixture->archive, fixture->tar, TAR_MAX, &fixture->tar_size);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    int directory = open(fixture->directory, O_RDONLY | O_DIRECTORY);

    error_free(tree_empty(directory));
    close(directory);
    rmdir(fixture->directory);
    close(fixture->root);
    close(fixture->parents);
    archive_write_free(fixture->archive);
    free(fixture->tar);
    free(fixture);
    return 0;
}

static struct archive_entry *entry_new(const char *path, mode_t mode)
{
    struct archive_entry *entry = archive_entry_new();

    archive_entry_set_pathname(entry, path);
    archive_entry_set_mode(entry, mode);
    archive_entry_set_mtime(entry, 1000000000, 123456789);
    archive_entry_set_uid(entry, 7);
    archive_entry_set_gid(entry, 8);
    return entry;
}

static void put(struct fixture *fixture, struct archive_entry *entry, const char *data)
{
    if (data)
        archive_entry_set_size(entry, (la_int64_t)strlen(data));
    assert_int_equal(archive_write_header(fixture->archive, entry), ARCHIVE_OK);
    if (data)
        archive_write_data(fixture->archive, data, strlen(data));
    archive_entry_free(entry);
}

static void put_file(struct fixture *fixture, const char *path, const char *data)
{
    put(fixture, entry_new(path, S_IFREG | 0644), data);
}

static void put_directory(struct fixture *fixture, const char *path)
{
    put(fixture, entry_new(path, S_IFDIR | 0755), NULL);
}

static void put_symlink(struct fixture *fixture, const char *path, const char *to)
{
    struct archive_entry *entry = entry_new(path, S_IFLNK | 0777);

    archive_entry_set_symlink(entry, to);
    put(fixture, entry, NULL);
}

static void put_hard_link(struct fixture *fixture, const char *path, const char *to)
{
    struct archive_entry *entry = entry_new(path, S_IFREG | 0644);

    archive_entry_set_hardlink(entry, to);
    put(fixture, entry, NULL);
}

static int blob_new(const void *data, size_t size)
{
    int fd = memfd_create("blob", MFD_CLOEXEC);

    assert_null(fd_write_all(fd, data, size));
    return fd;
}

static struct error *extract_bytes(struct fixture *fixture, const void *data, size_t size)
{
    autoclose int blob = blob_new(data, size);
    uint64_t mark = size | UNPACK_WATERMARK_END;
    int pipes[2];

    assert_int_equal(pipe(pipes), 0);
    assert_null(fd_write_all(pipes[1], &mark, sizeof(mark)));
    close(pipes[1]);
    struct error *failure = extract(fixture->root, blob, pipes[0], fixture->parents, &fixture->report);
    close(pipes[0]);
    return failure;
}

static struct error *extract_tar(struct fixture *fixture)
{
    archive_write_close(fixture->archive);
    return extract_bytes(fixture, fixture->tar, fixture->tar_size);
}

static void assert_refused(struct error *failure, enum error_code code, const char *word)
{
    assert_non_null(failure);
    if (failure->code != code || !strstr(failure->text, word))
        fail_msg("%s: %s", error_code_name(failure->code), failure->text);
    error_free(failure);
}

static void assert_fine(struct error *failure)
{
    if (failure)
        fail_msg("%s: %s", error_code_name(failure->code), failure->text);
}

static struct stat status_of(struct fixture *fixture, const char *path)
{
    struct stat status;

    if (fstatat(fixture->root, path, &status, AT_SYMLINK_NOFOLLOW) < 0)
        fail_msg("%s is not there", path);
    return status;
}

static bool is_there(struct fixture *fixture, const char *path)
{
    return faccessat(fixture->root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void assert_outside_untouched(struct fixture *fixture)
{
    char path[128];
    struct stat status;

    snprintf(path, sizeof(path), "%s/outside", fixture->directory);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, 0);
    assert_int_equal(status.st_nlink, 1);
    assert_int_equal(status.st_mode & 07777, 0600);
    snprintf(path, sizeof(path), "%s/escaped", fixture->directory);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void a_file_gets_owner_mode_time_and_data(void **state)
{
    struct fixture *fixture = *state;
    struct archive_entry *entry = entry_new("bin/su", S_IFREG | 04755);
    char data[16] = "";

    archive_entry_xattr_add_entry(entry, "user.colour", "red", 3);
    put(fixture, entry, "hello");
    assert_fine(extract_tar(fixture));
    struct stat status = status_of(fixture, "bin/su");
    assert_int_equal(status.st_mode, S_IFREG | 04755);
    assert_int_equal(status.st_uid, 7);
    assert_int_equal(status.st_gid, 8);
    assert_int_equal(status.st_mtim.tv_sec, 1000000000);
    assert_int_equal(status.st_mtim.tv_nsec, 123456789);
    autoclose int fd = openat(fixture->root, "bin/su", O_RDONLY);
    assert_int_equal(read(fd, data, sizeof(data)), 5);
    assert_string_equal(data, "hello");
    assert_int_equal(fixture->report.bytes, 5);
    assert_int_equal(fixture->report.inodes, 2);
    assert_int_equal(status_of(fixture, "bin").st_mode, S_IFDIR | 0755);
    assert_int_equal(status_of(fixture, ".").st_mode, S_IFDIR | 0755);
}

static void a_directory_keeps_its_time_when_files_come_into_it(void **state)
{
    struct fixture *fixture = *state;

    put_directory(fixture, "./etc/");
    put_file(fixture, "./etc/passwd", "root");
    assert_fine(extract_tar(fixture));
    assert_int_equal(status_of(fixture, "etc").st_mtim.tv_sec, 1000000000);
}

/* The paths, each with a blank behind it. */
static void lists_parents(struct fixture *fixture, const char *expected)
{
    char list[256] = "";

    assert_int_equal(pread(fixture->parents, list, sizeof(list) - 1, 0), fixture->report.parents_size);
    for (size_t i = 0; i < fixture->report.parents_size; i++)
        list[i] = list[i] ? list[i] : ' ';
    assert_string_equal(list, expected);
}

static void directories_without_an_entry_are_listed(void **state)
{
    struct fixture *fixture = *state;

    put_file(fixture, "z/late/file", "x");
    put_file(fixture, "./tmp//a/b/file", "x");
    put_directory(fixture, "etc");
    put_file(fixture, "etc/conf.d/x", "x");
    put_directory(fixture, "z/late"); /* named after all */
    assert_fine(extract_tar(fixture));
    lists_parents(fixture, "etc/conf.d tmp tmp/a tmp/a/b z ");
}

static void an_archive_that_names_all_its_directories_lists_none(void **state)
{
    struct fixture *fixture = *state;

    put_directory(fixture, "./");
    put_directory(fixture, "a/");
    put_file(fixture, "a/file", "x");
    assert_fine(extract_tar(fixture));
    lists_parents(fixture, "");
}

/* Each entry's path of 4,000 bytes implies 249 directories, whose own paths are half a megabyte. */
static void an_archive_of_deep_paths_does_not_fill_the_memory(void **state)
{
    struct fixture *fixture = *state;
    char path[4000];

    for (int i = 0; i < 36; i++) {
        memset(path, 'A' + i, sizeof(path));
        for (size_t at = 15; at < sizeof(path); at += 16)
            path[at] = '/';
        path[sizeof(path) - 1] = '\0';
        put_file(fixture, path, "x");
    }
    assert_refused(extract_tar(fixture), ERROR_RESOURCE_EXHAUSTED, "no entry of their own");
}

static void the_diff_id_is_of_the_whole_stream_to_its_very_end(void **state)
{
    struct fixture *fixture = *state;
    char expected[DIGEST_TEXT_SIZE];

    put_file(fixture, "a", "x");
    archive_write_close(fixture->archive);
    memcpy(fixture->tar + fixture->tar_size + 512, "behind the end", 14);
    digest_of(fixture->tar, fixture->tar_size + 1024, expected);
    assert_fine(extract_bytes(fixture, fixture->tar, fixture->tar_size + 1024));
    assert_string_equal(fixture->report.diff_id, expected);
}

static size_t gzip_bytes(const void *data, size_t size, uint8_t *out, size_t room)
{
    z_stream stream = {.next_in = (Bytef *)data, .avail_in = (uInt)size, .next_out = out, .avail_out = (uInt)room};

    deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return stream.total_out;
}

static void a_gzip_of_several_members_is_read_whole(void **state)
{
    struct fixture *fixture = *state;
    autofree uint8_t *packed = xmalloc(TAR_MAX);
    char expected[DIGEST_TEXT_SIZE];

    put_file(fixture, "a", "first");
    put_file(fixture, "b", "second");
    archive_write_close(fixture->archive);
    digest_of(fixture->tar, fixture->tar_size, expected);
    size_t half = 700;
    size_t size = gzip_bytes(fixture->tar, half, packed, TAR_MAX);
    size += gzip_bytes(fixture->tar + half, fixture->tar_size - half, packed + size, TAR_MAX - size);
    assert_fine(extract_bytes(fixture, packed, size));
    assert_string_equal(fixture->report.diff_id, expected);
    assert_true(is_there(fixture, "b"));
}

static void a_cut_gzip_is_refused_wherever_it_is_cut(void **state)
{
    struct fixture *fixture = *state;
    autofree uint8_t *packed = xmalloc(TAR_MAX);

    put_file(fixture, "a", "first");
    archive_write_close(fixture->archive);
    size_t size = gzip_bytes(fixture->tar, fixture->tar_size, packed, TAR_MAX);
    for (size_t cut = 3; cut < size; cut++) {
        struct error *failure = extract_bytes(fixture, packed, cut);
        if (!failure)
            fail_msg("a cut at %zu of %zu was not seen", cut, size);
        error_free(failure);
        assert_fine(tree_empty(fixture->root));
    }
    assert_fine(extract_bytes(fixture, packed, size));
}

static void a_damaged_gzip_is_refused(void **state)
{
    struct fixture *fixture = *state;
    autofree uint8_t *packed = xmalloc(TAR_MAX);

    put_file(fixture, "a", "first");
    archive_write_close(fixture->archive);
    size_t size = gzip_bytes(fixture->tar, fixture->tar_size, packed, TAR_MAX);
    packed[size - 6] ^= 1; /* of the checksum */
    assert_refused(extract_bytes(fixture, packed, size), ERROR_DATA_LOSS, "gzip");
}

static void a_blob_that_is_given_up_is_no_layer(void **state)
{
    struct fixture *fixture = *state;
    uint64_t mark = 512;
    int pipes[2];

    put_file(fixture, "a", "first");
    archive_write_close(fixture->archive);
    autoclose int blob = blob_new(fixture->tar, fixture->tar_size);
    assert_int_equal(pipe(pipes), 0);
    assert_null(fd_write_all(pipes[1], &mark, sizeof(mark)));
    close(pipes[1]);
    assert_refused(extract(fixture->root, blob, pipes[0], fixture->parents, &fixture->report), ERROR_ABORTED, "given up");
    close(pipes[0]);
}

static void a_path_that_climbs_is_refused(void **state)
{
    struct fixture *fixture = *state;

    put_file(fixture, "../escaped", "x");
    assert_refused(extract_tar(fixture), ERROR_INVALID_ARGUMENT, "climbs");
    assert_outside_untouched(fixture);
}

static void an_absolute_link_leads_into_the_layer_only(void **state)
{
    struct fixture *fixture = *state;

    put_symlink(fixture, "out", fixture->directory);
    put_file(fixture, "out/escaped", "x");
    error_free(extract_tar(fixture));
    assert_outside_untouched(fixture);
}

static void a_climbing_link_leads_into_the_layer_only(void **state)
{
    struct fixture *fixture = *state;

    put_symlink(fixture, "out", "../../../../..");
    put_file(fixture, "out/escaped", "x");
    assert_fine(extract_tar(fixture));
    assert_true(is_there(fixture, "escaped")); /* ".." of the root is the root */
    assert_outside_untouched(fixture);
}

static void a_file_replaces_a_link_and_is_not_written_through_it(void **state)
{
    struct fixture *fixture = *state;
    char to[128];

    snprintf(to, sizeof(to), "%s/outside", fixture->directory);
    put_symlink(fixture, "passwd", to);
    put_file(fixture, "passwd", "evil");
    assert_fine(extract_tar(fixture));
    assert_true(S_ISREG(status_of(fixture, "passwd").st_mode));
    assert_outside_untouched(fixture);
}

static void a_hard_link_to_outside_is_refused(void **state)
{
    struct fixture *fixture = *state;

    put_hard_link(fixture, "mine", "../outside");
    assert_refused(extract_tar(fixture), ERROR_INVALID_ARGUMENT, "climbs");
    assert_outside_untouched(fixture);
}

static void a_hard_link_through_a_link_stays_inside(void **state)
{
    struct fixture *fixture = *state;

    put_symlink(fixture, "out", fixture->directory);
    put_hard_link(fixture, "mine", "out/outside");
    assert_refused(extract_tar(fixture), ERROR_INVALID_ARGUMENT, "does not have");
    assert_outside_untouched(fixture);
}

static void a_hard_link_shares_its_file(void **state)
{
    struct fixture *fixture = *state;

    put_file(fixture, "bin/busybox", "x");
    put_hard_link(fixture, "bin/sh", "bin/busybox");
    assert_fine(extract_tar(fixture));
    assert_int_equal(status_of(fixture, "bin/sh").st_ino, status_of(fixture, "bin/busybox").st_ino);
}

static void a_hard_link_to_itself_keeps_its_file(void **state)
{
    struct fixture *fixture = *state;

    put_file(fixture, "a", "x");
    put_hard_link(fixture, "a", "a");
    assert_fine(extract_tar(fixture));
    assert_int_equal(status_of(fixture, "a").st_size, 1);
}

static void a_device_is_made_with_its_numbers(void **state)
{
    struct fixture *fixture = *state;
    struct archive_entry *entry = entry_new("dev/null", S_IFCHR | 0666);

    archive_entry_set_rdevmajor(entry, 1);
    archive_entry_set_rdevminor(entry, 3);
    put(fixture, entry, NULL);
    assert_fine(extract_tar(fixture));
    struct stat status = status_of(fixture, "dev/null");
    assert_true(S_ISCHR(status.st_mode));
    assert_int_equal(status.st_rdev, makedev(1, 3));
    assert_int_equal(status.st_mode & 07777, 0666);
}

static void a_whiteout_becomes_a_device_0_0(void **state)
{
    struct fixture *fixture = *state;

    put_file(fixture, "etc/.wh.motd", "");
    assert_fine(extract_tar(fixture));
    struct stat status = status_of(fixture, "etc/motd");
    assert_true(S_ISCHR(status.st_mode));
    assert_int_equal(status.st_rdev, makedev(0, 0));
    assert_false(is_there(fixture, "etc/.wh.motd"));
}

static void a_whiteout_of_the_directory_above_is_refused(void **state)
{
    struct fixture *fixture = *state;

    put_file(fixture, "etc/.wh...", "");
    assert_refused(extract_tar(fixture), ERROR_INVALID_ARGUMENT, "whiteout");
}

static void an_empty_whiteout_is_refused(void **state)
{
    struct fixture *fixture = *state;

    put_file(fixture, "etc/.wh.", "");
    assert_refused(extract_tar(fixture), ERROR_INVALID_ARGUMENT, "whiteout");
}

static void an_opaque_mark_sets_the_attribute_on_the_directory(void **state)
{
    struct fixture *fixture = *state;
    char value[4] = "";

    put_file(fixture, "srv/.wh..wh..opq", "");
    assert_fine(extract_tar(fixture));
    autoclose int fd = openat(fixture->root, "srv", O_RDONLY);
    assert_int_equal(fgetxattr(fd, "user.overlay.opaque", value, sizeof(value)), 1);
    assert_string_equal(value, "y");
}

static void the_images_own_overlay_attributes_are_dropped(void **state)
{
    struct fixture *fixture = *state;
    struct archive_entry *entry = entry_new("etc", S_IFDIR | 0755);

    archive_entry_xattr_add_entry(entry, "user.overlay.opaque", "y", 1);
    archive_entry_xattr_add_entry(entry, "user.overlay.redirect", "/root", 5);
    archive_entry_xattr_add_entry(entry, "trusted.overlay.opaque", "y", 1);
    put(fixture, entry, NULL);
    assert_fine(extract_tar(fixture));
    autoclose int fd = openat(fixture->root, "etc", O_RDONLY);
    assert_int_equal(flistxattr(fd, NULL, 0), 0);
}

static void a_file_replaces_a_directory_that_is_not_empty(void **state)
{
    struct fixture *fixture = *state;

    put_file(fixture, "a/b/c", "x");
    put_file(fixture, "a", "now a file");
    assert_fine(extract_tar(fixture));
    assert_true(S_ISREG(status_of(fixture, "a").st_mode));
}

static void a_sparse_file_keeps_its_holes(void **state)
{
    struct fixture *fixture = *state;
    struct archive_entry *entry = entry_new("sparse", S_IFREG | 0644);
    autofree char *data = xcalloc(1, 2 << 20);
    char piece[4] = "";

    memcpy(data, "low", 3);
    memcpy(data + (1 << 20), "high", 4);
    archive_entry_set_size(entry, 2 << 20);
    archive_entry_sparse_add_entry(entry, 0, 4096);
    archive_entry_sparse_add_entry(entry, 1 << 20, 4096);
    assert_int_equal(archive_write_header(fixture->archive, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(fixture->archive, data, 2 << 20), 2 << 20);
    archive_entry_free(entry);
    assert_fine(extract_tar(fixture));
    struct stat status = status_of(fixture, "sparse");
    assert_int_equal(status.st_size, 2 << 20);
    assert_true(status.st_blocks * 512 < 1 << 20);
    autoclose int fd = openat(fixture->root, "sparse", O_RDONLY);
    assert_int_equal(pread(fd, piece, 3, 0), 3);
    assert_memory_equal(piece, "low", 3);
    assert_int_equal(pread(fd, piece, 4, 1 << 20), 4);
    assert_memory_equal(piece, "high", 4);
    assert_int_equal(pread(fd, piece, 4, (2 << 20) - 4), 4);
    assert_memory_equal(piece, "\0\0\0\0", 4);
}

static void a_stream_that_is_no_archive_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char noise[2048];

    memset(noise, 'n', sizeof(noise));
    assert_refused(extract_bytes(fixture, noise, sizeof(noise)), ERROR_DATA_LOSS, "");
}

static void an_archive_without_its_last_padding_is_fine(void **state)
{
    struct fixture *fixture = *state;

    put_file(fixture, "a", "data");
    archive_write_close(fixture->archive);
    size_t end = fixture->tar_size;
    while (fixture->tar[end - 1] == '\0')
        end--; /* behind the data */
    assert_fine(extract_bytes(fixture, fixture->tar, end));
    assert_int_equal(status_of(fixture, "a").st_size, 4);
}

static void an_archive_cut_inside_of_a_file_is_refused(void **state)
{
    struct fixture *fixture = *state;
    autofree char *data = xcalloc(1, 5001);

    memset(data, 'd', 5000);
    put_file(fixture, "a", data);
    archive_write_close(fixture->archive);
    size_t end = fixture->tar_size;
    while (fixture->tar[end - 1] == '\0')
        end--;
    assert_refused(extract_bytes(fixture, fixture->tar, end - 3000), ERROR_DATA_LOSS, "\"a\"");
}

static void an_empty_layer_is_fine(void **state)
{
    struct fixture *fixture = *state;
    char zeros[1024] = {0};

    assert_fine(extract_bytes(fixture, zeros, sizeof(zeros)));
    assert_int_equal(fixture->report.inodes, 0);
}

static void a_tree_of_any_depth_is_removed(void **state)
{
    struct fixture *fixture = *state;
    int at = dup(fixture->root);

    for (int i = 0; i < 3000; i++) {
        assert_int_equal(mkdirat(at, "d", 0700), 0);
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY);
        close(at);
        at = next;
    }
    close(at);
    assert_fine(tree_empty(fixture->root));
    assert_false(is_there(fixture, "d"));
    assert_int_equal(status_of(fixture, ".").st_nlink, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_file_gets_owner_mode_time_and_data),
        TEST(a_directory_keeps_its_time_when_files_come_into_it),
        TEST(directories_without_an_entry_are_listed),
        TEST(an_archive_that_names_all_its_directories_lists_none),
        TEST(an_archive_of_deep_paths_does_not_fill_the_memory),
        TEST(the_diff_id_is_of_the_whole_stream_to_its_very_end),
        TEST(a_gzip_of_several_members_is_read_whole),
        TEST(a_cut_gzip_is_refused_wherever_it_is_cut),
        TEST(a_damaged_gzip_is_refused),
        TEST(a_blob_that_is_given_up_is_no_layer),
        TEST(a_path_that_climbs_is_refused),
        TEST(an_absolute_link_leads_into_the_layer_only),
        TEST(a_climbing_link_leads_into_the_layer_only),
        TEST(a_file_replaces_a_link_and_is_not_written_through_it),
        TEST(a_hard_link_to_outside_is_refused),
        TEST(a_hard_link_through_a_link_stays_inside),
        TEST(a_hard_link_shares_its_file),
        TEST(a_hard_link_to_itself_keeps_its_file),
        TEST(a_device_is_made_with_its_numbers),
        TEST(a_whiteout_becomes_a_device_0_0),
        TEST(a_whiteout_of_the_directory_above_is_refused),
        TEST(an_empty_whiteout_is_refused),
        TEST(an_opaque_mark_sets_the_attribute_on_the_directory),
        TEST(the_images_own_overlay_attributes_are_dropped),
        TEST(a_file_replaces_a_directory_that_is_not_empty),
        TEST(a_sparse_file_keeps_its_holes),
        TEST(a_stream_that_is_no_archive_is_refused),
        TEST(an_archive_without_its_last_padding_is_fine),
        TEST(an_archive_cut_inside_of_a_file_is_refused),
        TEST(an_empty_layer_is_fine),
        TEST(a_tree_of_any_depth_is_removed),
    };

    setenv("LC_ALL", "C.UTF-8", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
