/* How an archive's entry becomes a file of the layer with its owner, mode, attributes and times. */
#include "services/imaged/unpack/writer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/memory.h"
#include "services/imaged/unpack/implied.h"
#include "services/imaged/unpack/path.h"
#include "services/imaged/unpack/tree.h"

enum { ENTRIES_MAX = 8 << 20, XATTR_SIZE_MAX = 64 << 10 };

struct directory_time {
    char *path;
    struct timespec times[2];
};

struct writer {
    int root;
    char *parent_path; /* of the last entry, with its descriptor: most entries follow a neighbour */
    int parent_fd;
    struct directory_time *times;
    size_t time_count, time_room;
    uint64_t bytes, inodes, entries;
    struct implied implied;
};

/* What one entry is to become. */
struct target {
    int parent; /* the writer's */
    const char *name;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    struct timespec times[2];
};

struct writer *writer_new(int root)
{
    struct writer *writer = xcalloc(1, sizeof(*writer));

    writer->root = root;
    writer->parent_fd = -1;
    umask(0);
    return writer;
}

static void parent_forget(struct writer *writer)
{
    if (writer->parent_fd >= 0)
        close(writer->parent_fd);
    writer->parent_fd = -1;
    free(TAKE(writer->parent_path));
}

void writer_free(struct writer *writer)
{
    if (!writer)
        return;
    parent_forget(writer);
    for (size_t i = 0; i < writer->time_count; i++)
        free(writer->times[i].path);
    free(writer->times);
    implied_fini(&writer->implied);
    free(writer);
}

/* Opens a directory of the layer; links in the path lead nowhere but into the layer. errno is set on -1. */
static int directory_open(const struct writer *writer, const char *path, uint64_t flags)
{
    const struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };

    return (int)syscall(SYS_openat2, writer->root, path[0] ? path : ".", &how, sizeof(how));
}

/* A directory that the archive does not name, only something in it. */
static struct error *directory_imply(struct writer *writer, const char *path)
{
    autofree char *above = NULL;
    const char *name = path_base(path, &above);
    autoclose int parent = directory_open(writer, above, 0);

    if (parent < 0)
        return error_errno(errno, "open directory \"%s\"", above);
    if (mkdirat(parent, name, 0755) < 0)
        return errno == EEXIST ? NULL : error_errno(errno, "make directory \"%s\"", path);
    writer->inodes++;
    return implied_add(&writer->implied, path);
}

static struct error *directories_imply(struct writer *writer, const char *path)
{
    for (const char *end = path; *end;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        autofree char *prefix = xstrndup(path, (size_t)(end - path));
        autoclose int fd = directory_open(writer, prefix, 0);
        if (fd < 0 && errno == ENOENT)
            TRY(directory_imply(writer, prefix));
    }
    return NULL;
}

static struct error *parent_open(struct writer *writer, const char *path, int *ret_fd)
{
    if (!writer->parent_path || strcmp(writer->parent_path, path) != 0) {
        parent_forget(writer);
        int fd = directory_open(writer, path, 0);
        if (fd < 0 && errno == ENOENT) {
            TRY(directories_imply(writer, path));
            fd = directory_open(writer, path, 0);
        }
        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
            return error_new(ERROR_INVALID_ARGUMENT, "\"%s\" is no directory of the layer", path);
        if (fd < 0)
            return error_errno(errno, "open directory \"%s\"", path);
        writer->parent_fd = fd;
        writer->parent_path = xstrdup(path);
    }
    *ret_fd = writer->parent_fd;
    return NULL;
}

bool attribute_is_wanted(const char *name)
{
    if (strncmp(name, "user.overlay.", 13) == 0)
        return false; /* ours alone: it would be an order to the overlay */
    return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0;
}

static struct error *attributes_set(int fd, struct archive_entry *entry)
{
    const char *name;
    const void *value;
    size_t size;

    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
        if (!attribute_is_wanted(name) || size > XATTR_SIZE_MAX)
            continue;
        if (fsetxattr(fd, name, value, size, 0) < 0 && errno != EOPNOTSUPP)
            return error_errno(errno, "set attribute %s", name);
    }
    return NULL;
}

/* The order matters: a change of owner takes set-id bits and capabilities away. */
static struct error *metadata_set(int fd, const struct target *target, struct archive_entry *entry)
{
    if (fchown(fd, target->uid, target->gid) < 0)
        return error_errno(errno, "set the owner");
    if (fchmod(fd, target->mode) < 0)
        return error_errno(errno, "set the mode");
    TRY(attributes_set(fd, entry));
    return futimens(fd, target->times) < 0 ? error_errno(errno, "set the times") : NULL;
}

static struct error *node_metadata_set(const struct target *target)
{
    if (fchownat(target->parent, target->name, target->uid, target->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(errno, "set the owner");
    if (target->mode != (mode_t)-1 && fchmodat(target->parent, target->name, target->mode, 0) < 0)
        return error_errno(errno, "set the mode");
    if (utimensat(target->parent, target->name, target->times, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(errno, "set the times");
    return NULL;
}

static struct error *data_fail(struct archive *archive)
{
    const char *text = archive_error_string(archive);

    return error_new(ERROR_DATA_LOSS, "%s", text ? text : "the archive is damaged");
}

static struct error *block_write(int fd, const char *data, size_t size, off_t offset)
{
    while (size > 0) {
        ssize_t count = pwrite(fd, data, size, offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_errno(errno, "write");
        data += count;
        size -= (size_t)count;
        offset += count;
    }
    return NULL;
}

static struct error *data_write(int fd, struct archive *archive, struct archive_entry *entry)
{
    const void *data;
    size_t size;
    la_int64_t offset;
    int result;

    while ((result = archive_read_data_block(archive, &data, &size, &offset)) == ARCHIVE_OK)
        TRY(block_write(fd, data, size, offset));
    if (result != ARCHIVE_EOF)
        return data_fail(archive);
    if (archive_entry_sparse_count(entry) > 0 && ftruncate(fd, archive_entry_size(entry)) < 0)
        return error_errno(errno, "set the size");
    return NULL;
}

static bool is_whiteout(const struct target *target)
{
    struct stat status;

    return fstatat(target->parent, target->name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(status.st_mode) &&
           status.st_rdev == makedev(0, 0);
}

static struct error *opaque_set(int directory)
{
    if (fsetxattr(directory, "user.overlay.opaque", "y", 1, 0) < 0)
        return error_errno(errno, "make opaque");
    return NULL;
}

static struct error *place_clear(struct writer *writer, const struct target *target)
{
    return tree_remove(writer->root, target->parent, target->name);
}

/* Makes a thing by one call; what stands in its place goes first. */
#define MAKE(writer, target, call)                                                                                     \
    ({                                                                                                                 \
        int made_ = (call);                                                                                            \
        if (made_ < 0 && errno == EEXIST) {                                                                            \
            TRY(place_clear(writer, target));                                                                          \
            made_ = (call);                                                                                            \
        }                                                                                                              \
        if (made_ < 0)                                                                                                 \
            return error_errno(errno, "make");                                                                         \
        (writer)->inodes++;                                                                                            \
        made_;                                                                                                         \
    })

static struct error *file_add(struct writer *writer, const struct target *target, struct archive *archive,
                              struct archive_entry *entry)
{
    autoclose int fd = MAKE(writer, target, openat(target->parent, target->name,
                                                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));

    TRY(data_write(fd, archive, entry));
    writer->bytes += (uint64_t)archive_entry_size(entry);
    return metadata_set(fd, target, entry);
}

static void time_note(struct writer *writer, const char *path, const struct timespec times[2])
{
    if (writer->time_count == writer->time_room) {
        writer->time_room = writer->time_room ? writer->time_room * 2 : 256;
        writer->times = xreallocarray(writer->times, writer->time_room, sizeof(writer->times[0]));
    }
    struct directory_time *note = &writer->times[writer->time_count++];
    note->path = xstrdup(path);
    memcpy(note->times, times, sizeof(note->times));
}

static struct error *directory_add(struct writer *writer, const struct target *target, const char *path,
                                   struct archive_entry *entry)
{
    bool was_whiteout = is_whiteout(target);
    struct stat status;

    if (fstatat(target->parent, target->name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(status.st_mode)) {
        MAKE(writer, target, mkdirat(target->parent, target->name, 0700));
        parent_forget(writer); /* the path may have led elsewhere, through a link that is gone now */
        autofree char *above = NULL;
        path_base(path, &above);
        int parent;
        TRY(parent_open(writer, above, &parent));
    }
    autoclose int fd = openat(writer->parent_fd, target->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_errno(errno, "open");
    if (was_whiteout)
        TRY(opaque_set(fd));
    time_note(writer, path, target->times);
    return metadata_set(fd, target, entry);
}

static struct error *root_add(struct writer *writer, const struct target *target, struct archive_entry *entry)
{
    if (archive_entry_filetype(entry) != AE_IFDIR)
        return error_new(ERROR_INVALID_ARGUMENT, "the layer's root is no directory");
    time_note(writer, "", target->times);
    return metadata_set(writer->root, target, entry);
}

static struct error *hard_link_add(struct writer *writer, const struct target *target, const char *to)
{
    autofree char *clean = NULL, *above = NULL;

    TRY(path_clean(to, &clean));
    const char *name = path_base(clean, &above);
    autoclose int parent = directory_open(writer, above, 0);
    if (parent < 0 || name[0] == '\0' || faccessat(parent, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return error_new(ERROR_INVALID_ARGUMENT, "hard link to \"%s\", which the layer does not have", to);
    struct stat here, there;
    if (fstatat(target->parent, target->name, &here, AT_SYMLINK_NOFOLLOW) == 0 &&
        fstatat(parent, name, &there, AT_SYMLINK_NOFOLLOW) == 0 && here.st_ino == there.st_ino)
        return NULL; /* a link to itself; clearing its place would lose the file */
    MAKE(writer, target, linkat(parent, name, target->parent, target->name, 0));
    writer->inodes--;
    return NULL;
}

static struct error *symlink_add(struct writer *writer, struct target *target, const char *to)
{
    MAKE(writer, target, symlinkat(to, target->parent, target->name));
    target->mode = (mode_t)-1;
    return node_metadata_set(target);
}

static struct error *node_add(struct writer *writer, const struct target *target, struct archive_entry *entry)
{
    mode_t type = archive_entry_filetype(entry) & S_IFMT;
    dev_t device = makedev(archive_entry_rdevmajor(entry), archive_entry_rdevminor(entry));

    MAKE(writer, target, mknodat(target->parent, target->name, type | target->mode, type == S_IFIFO ? 0 : device));
    return node_metadata_set(target);
}

/* A whiteout hides what is below this layer, and nothing of the layer itself. */
static struct error *whiteout_add(struct writer *writer, const struct target *target)
{
    if (mknodat(target->parent, target->name, S_IFCHR, makedev(0, 0)) == 0) {
        writer->inodes++;
        return NULL;
    }
    if (errno != EEXIST)
        return error_errno(errno, "make whiteout");
    autoclose int fd = openat(target->parent, target->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? opaque_set(fd) : NULL;
}

static struct error *plain_add(struct writer *writer, struct target *target, const char *path, struct archive *archive,
                               struct archive_entry *entry)
{
    const char *link = archive_entry_hardlink(entry);

    if (link)
        return hard_link_add(writer, target, link);
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
        return file_add(writer, target, archive, entry);
    case AE_IFDIR:
        return directory_add(writer, target, path, entry);
    case AE_IFLNK:
        link = archive_entry_symlink(entry);
        return symlink_add(writer, target, link ? link : "");
    case AE_IFCHR:
    case AE_IFBLK:
    case AE_IFIFO:
        return node_add(writer, target, entry);
    default:
        return NULL; /* a socket means nothing without its server */
    }
}

static void target_describe(struct target *target, struct archive_entry *entry)
{
    target->mode = archive_entry_perm(entry) & 07777;
    target->uid = (uid_t)archive_entry_uid(entry);
    target->gid = (gid_t)archive_entry_gid(entry);
    target->times[1].tv_sec = archive_entry_mtime(entry);
    target->times[1].tv_nsec = archive_entry_mtime_nsec(entry);
    target->times[0] = target->times[1];
}

static struct error *named_add(struct writer *writer, const char *path, struct archive *archive, struct archive_entry *entry)
{
    autofree char *above = NULL;
    struct target target = {.name = path_base(path, &above)};
    enum path_kind kind;

    target_describe(&target, entry);
    if (path[0] == '\0')
        return root_add(writer, &target, entry);
    TRY(path_classify(target.name, &kind, &target.name));
    if (kind == PATH_IGNORED)
        return NULL;
    TRY(parent_open(writer, above, &target.parent));
    if (kind == PATH_OPAQUE)
        return opaque_set(target.parent);
    if (kind == PATH_WHITEOUT)
        return whiteout_add(writer, &target);
    return plain_add(writer, &target, path, archive, entry);
}

struct error *writer_add(struct writer *writer, struct archive *archive, struct archive_entry *entry)
{
    autofree char *path = NULL;
    const char *name = archive_entry_pathname(entry);

    if (!name)
        return error_new(ERROR_INVALID_ARGUMENT, "an entry's name is no text");
    if (++writer->entries > ENTRIES_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "more than %d entries", ENTRIES_MAX);
    TRY(path_clean(name, &path));
    TRY_TO(named_add(writer, path, archive, entry), "entry \"%s\"", name);
    return NULL;
}

struct error *writer_finish(struct writer *writer, uint64_t *ret_bytes, uint64_t *ret_inodes)
{
    parent_forget(writer);
    for (size_t i = writer->time_count; i > 0; i--) {
        autoclose int fd = directory_open(writer, writer->times[i - 1].path, O_NOFOLLOW);
        if (fd >= 0 && futimens(fd, writer->times[i - 1].times) < 0)
            return error_errno(errno, "set the times of \"%s\"", writer->times[i - 1].path);
    }
    *ret_bytes = writer->bytes;
    *ret_inodes = writer->inodes;
    return NULL;
}

struct error *writer_parents_write(struct writer *writer, int fd, uint64_t *ret_size)
{
    autofree const char **named = xcalloc(writer->time_count + 1, sizeof(*named));

    for (size_t i = 0; i < writer->time_count; i++)
        named[i] = writer->times[i].path;
    return implied_write(&writer->implied, named, writer->time_count, fd, ret_size);
}
