/* How the tar reader is fed from the source, and its entries handed to the writer. */
#include "services/imaged/unpack/extract.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "services/imaged/unpack/source.h"
#include "services/imaged/unpack/writer.h"

enum { BLOCK_SIZE = 512 };

struct feed {
    struct source *source;
    uint64_t size; /* bytes given */
    bool is_padded;
    struct error *failure; /* of the source: what the archive reader then says is only its echo */
};

static void archive_close(struct archive **archive)
{
    archive_read_free(*archive);
}

/* Some tools (umoci insert) leave away what fills the last block and the two zero blocks behind it, and Go's reader takes it so. That the layer is
 * whole is the diff id's to say, not the padding's. */
static la_ssize_t feed_pad(struct feed *feed, const void **ret_data)
{
    static const char zeros[3 * BLOCK_SIZE];

    if (feed->is_padded || feed->size == 0)
        return 0;
    feed->is_padded = true;
    *ret_data = zeros;
    return (la_ssize_t)((BLOCK_SIZE - feed->size % BLOCK_SIZE) % BLOCK_SIZE + 2 * BLOCK_SIZE);
}

static la_ssize_t feed_read(struct archive *archive, void *argument, const void **ret_data)
{
    struct feed *feed = argument;
    size_t size = 0;

    feed->failure = source_read(feed->source, ret_data, &size);
    feed->size += size;
    if (!feed->failure)
        return size > 0 ? (la_ssize_t)size : feed_pad(feed, ret_data);
    archive_set_error(archive, EIO, "%s", feed->failure->text);
    return -1;
}

static struct error *archive_fail(struct archive *archive)
{
    const char *text = archive_error_string(archive);

    return error_new(ERROR_DATA_LOSS, "%s", text ? text : "the archive is damaged");
}

static struct error *entries_write(struct archive *archive, struct feed *feed, struct writer *writer)
{
    struct archive_entry *entry;
    int result;

    archive_read_support_format_tar(archive);
    archive_read_support_format_empty(archive);
    if (archive_read_open(archive, feed, NULL, feed_read, NULL) != ARCHIVE_OK)
        return archive_fail(archive);
    while ((result = archive_read_next_header(archive, &entry)) == ARCHIVE_OK || result == ARCHIVE_WARN)
        TRY(writer_add(writer, archive, entry));
    return result == ARCHIVE_EOF ? NULL : archive_fail(archive);
}

/* The tar reader stops at the zero blocks; the diff id is of everything. */
static struct error *source_drain(struct source *source)
{
    const void *data;
    size_t size;

    do {
        TRY(source_read(source, &data, &size));
    } while (size > 0);
    return NULL;
}

static struct error *root_prepare(int root)
{
    if (fchown(root, 0, 0) < 0 || fchmod(root, 0755) < 0)
        return error_errno(errno, "take the layer's directory over");
    if (fremovexattr(root, "user.overlay.opaque") < 0 && errno != ENODATA && errno != EOPNOTSUPP)
        return error_errno(errno, "clear the layer's directory");
    return NULL;
}

static struct error *archive_extract(struct source *source, struct writer *writer)
{
    __attribute__((cleanup(archive_close))) struct archive *archive = archive_read_new();
    struct feed feed = {.source = source};
    struct error *failure = entries_write(archive, &feed, writer);

    if (feed.failure) {
        error_free(failure);
        return feed.failure;
    }
    return failure;
}

struct error *extract(int root, int blob, int watermark, int parents, struct unpack_report *report)
{
    autoptr(source) source = NULL;
    autoptr(writer) writer = writer_new(root);
    autofree char *diff_id = NULL;

    TRY(root_prepare(root));
    TRY(source_open(blob, watermark, &source));
    TRY(archive_extract(source, writer));
    TRY(source_drain(source));
    TRY(source_diff_id(source, &diff_id));
    TRY(writer_finish(writer, &report->bytes, &report->inodes));
    TRY(writer_parents_write(writer, parents, &report->parents_size));
    snprintf(report->diff_id, sizeof(report->diff_id), "%s", diff_id);
    return NULL;
}
