/* Where a directory is found in the layers below, and what is taken from it. */
#include "services/imaged/unpack/parents.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/memory.h"
#include "services/imaged/unpack/writer.h"

enum { ATTRIBUTES_SIZE_MAX = 64 << 10 };

/* What a layer knows of a path. */
enum knowledge { KNOWS_NOTHING, KNOWS_DIRECTORY, HIDES_BELOW };

/* Neither a link nor "..": a path that leads elsewhere is none of this layer's. errno is set on -1. */
static int directory_open(int layer, const char *path)
{
    const struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    return (int)syscall(SYS_openat2, layer, path, &how, sizeof(how));
}

static bool is_opaque(int directory)
{
    char value;

    return fgetxattr(directory, "user.overlay.opaque", &value, 1) == 1 && value == 'y';
}

/* Goes down the path as the overlay does: what is no directory on the way (a whiteout, a link, a file) hides all that
 * is below, an opaque directory hides what it does not have itself. */
static struct error *layer_ask(int layer, const char *path, enum knowledge *ret, int *ret_fd)
{
    bool hides = false;

    for (const char *end = path; *end;) {
        end += strspn(end, "/");
        end += strcspn(end, "/");
        autofree char *prefix = xstrndup(path, (size_t)(end - path));
        autoclose int fd = directory_open(layer, prefix);
        if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
            return error_errno(errno, "open \"%s\" of a layer below", prefix);
        if (fd < 0) {
            *ret = hides || errno != ENOENT ? HIDES_BELOW : KNOWS_NOTHING;
            return NULL;
        }
        hides |= is_opaque(fd);
        if (*end == '\0')
            *ret_fd = TAKE_FD(fd);
    }
    *ret = KNOWS_DIRECTORY;
    return NULL;
}

/* The topmost layer's directory, or -1. */
static struct error *directory_find(const int *below, size_t count, const char *path, int *ret_fd)
{
    enum knowledge knowledge = KNOWS_NOTHING;

    *ret_fd = -1;
    for (size_t i = 0; i < count && knowledge == KNOWS_NOTHING; i++)
        TRY(layer_ask(below[i], path, &knowledge, ret_fd));
    return NULL;
}

static struct error *attribute_copy(int from, int to, const char *name)
{
    autofree char *value = xmalloc(ATTRIBUTES_SIZE_MAX);
    ssize_t size = fgetxattr(from, name, value, ATTRIBUTES_SIZE_MAX);

    if (size < 0 || fsetxattr(to, name, value, (size_t)size, 0) < 0)
        return error_errno(errno, "copy attribute %s", name);
    return NULL;
}

static struct error *attributes_copy(int from, int to)
{
    autofree char *names = xmalloc(ATTRIBUTES_SIZE_MAX);
    ssize_t size = flistxattr(from, names, ATTRIBUTES_SIZE_MAX);

    if (size < 0 && errno == EOPNOTSUPP)
        return NULL;
    if (size < 0)
        return error_errno(errno, "list attributes");
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        if (attribute_is_wanted(name))
            TRY(attribute_copy(from, to, name));
    }
    return NULL;
}

static struct error *directory_take_after(int to, int from)
{
    struct stat status;

    if (fstat(from, &status) < 0)
        return error_errno(errno, "look at the layer below");
    const struct timespec times[2] = {status.st_mtim, status.st_mtim};
    if (fchown(to, status.st_uid, status.st_gid) < 0)
        return error_errno(errno, "set the owner");
    if (fchmod(to, status.st_mode & 07777) < 0)
        return error_errno(errno, "set the mode");
    TRY(attributes_copy(from, to));
    return futimens(to, times) < 0 ? error_errno(errno, "set the times") : NULL;
}

static struct error *parent_mend(int root, const int *below, size_t count, const char *path)
{
    autoclose int here = directory_open(root, path);

    if (here < 0)
        return NULL; /* an entry that came later has put something else there */
    autoclose int there = -1;
    TRY(directory_find(below, count, path, &there));
    if (there >= 0)
        TRY_TO(directory_take_after(here, there), "directory \"%s\"", path);
    return NULL;
}

struct error *parents_mend(int root, const int *below, size_t count, const char *list, size_t size)
{
    if (size > 0 && list[size - 1] != '\0')
        return error_new(ERROR_INVALID_ARGUMENT, "the list of directories is cut");
    for (const char *path = list; path < list + size; path += strlen(path) + 1)
        TRY(parent_mend(root, below, count, path));
    return NULL;
}
