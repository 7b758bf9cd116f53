/* How a test's archives are written: by libarchive, which takes any name. */
#include "tests/integration/imaged/tarball.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <zlib.h>

#include "common/memory.h"
#include "tests/integration/imaged/bench.h"

void tarball_init(struct tarball *tarball, size_t room)
{
    tarball->data = xmalloc(room);
    tarball->size = 0;
    tarball->archive = archive_write_new();
    archive_write_set_format_pax_restricted(tarball->archive);
    archive_write_set_bytes_per_block(tarball->archive, 10240);
    assert_int_equal(archive_write_open_memory(tarball->archive, tarball->data, room, &tarball->size), ARCHIVE_OK);
}

void tarball_fini(struct tarball *tarball)
{
    archive_write_free(tarball->archive);
    free(TAKE(tarball->data));
}

static void entry_put(struct tarball *tarball, struct archive_entry *entry, const char *path, mode_t mode,
                      const void *data, size_t size)
{
    archive_entry_set_pathname(entry, path);
    archive_entry_set_mode(entry, mode);
    if (data)
        archive_entry_set_size(entry, (la_int64_t)size);
    assert_int_equal(archive_write_header(tarball->archive, entry), ARCHIVE_OK);
    if (data)
        assert_int_equal(archive_write_data(tarball->archive, data, size), size);
    archive_entry_free(entry);
}

void tarball_file(struct tarball *tarball, const char *path, const void *data, size_t size)
{
    entry_put(tarball, archive_entry_new(), path, S_IFREG | 0644, data, size);
}

void tarball_directory(struct tarball *tarball, const char *path, mode_t mode)
{
    entry_put(tarball, archive_entry_new(), path, S_IFDIR | mode, NULL, 0);
}

void tarball_symlink(struct tarball *tarball, const char *path, const char *to)
{
    struct archive_entry *entry = archive_entry_new();

    archive_entry_set_symlink(entry, to);
    entry_put(tarball, entry, path, S_IFLNK | 0777, NULL, 0);
}

void tarball_hard_link(struct tarball *tarball, const char *path, const char *to)
{
    struct archive_entry *entry = archive_entry_new();

    archive_entry_set_hardlink(entry, to);
    entry_put(tarball, entry, path, S_IFREG | 0644, NULL, 0);
}

void tarball_finish(struct tarball *tarball)
{
    assert_int_equal(archive_write_close(tarball->archive), ARCHIVE_OK);
}

void *gzip_bytes(const void *data, size_t size, size_t *ret_size)
{
    z_stream stream = {.next_in = (Bytef *)data, .avail_in = (uInt)size};

    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&stream, size);
    void *out = xmalloc(room);
    stream.next_out = out;
    stream.avail_out = (uInt)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    *ret_size = stream.total_out;
    return out;
}
