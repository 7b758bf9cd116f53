/* How mounts are seen, detached, and trees removed. */
#include "services/sandboxd/shim/mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/fd.h"
#include "common/memory.h"

enum { MOUNTINFO_MAX = 64 << 20 };

bool path_is_mount(const char *path)
{
    struct statx about;

    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &about) < 0)
        return false;
    return about.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

void path_unmount(const char *path)
{
    while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        continue;
}

/* Not as a tree: what a mount that is still there shows is the pod's volume. */
static struct error *place_remove(const char *place)
{
    path_unmount(place);
    FAILPOINT("shim.unstage.after_unmount");
    if (unlink(place) < 0 && errno != ENOENT && rmdir(place) < 0)
        return error_errno(errno, "remove %s", place);
    return NULL;
}

static struct error *each_entry(const char *directory, struct error *(*remove)(const char *path))
{
    DIR *entries = opendir(directory);
    struct error *failure = NULL;

    if (!entries)
        return errno == ENOENT ? NULL : error_errno(errno, "open %s", directory);
    for (const struct dirent *entry; !failure && (entry = readdir(entries));) {
        autofree char *path = xasprintf("%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.')
            failure = remove(path);
    }
    closedir(entries);
    if (!failure && rmdir(directory) < 0)
        failure = error_errno(errno, "remove %s", directory);
    return failure;
}

struct error *mount_places_remove(const char *directory)
{
    return each_entry(directory, place_remove);
}

struct error *mount_places_remove_all(const char *directory)
{
    return each_entry(directory, mount_places_remove);
}

int path_open_in_root(int root, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

    return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

struct error *mountinfo_read(char **ret)
{
    size_t size;

    TRY_TO(file_read_all("/proc/self/mountinfo", MOUNTINFO_MAX, ret, &size), "mountinfo");
    return NULL;
}

static void octal_decode(char *text)
{
    char *out = text;

    for (const char *in = text; *in; out++) {
        unsigned value;
        if (in[0] == '\\' && sscanf(in + 1, "%3o", &value) == 1) {
            *out = (char)value;
            in += 4;
        } else {
            *out = *in++;
        }
    }
    *out = '\0';
}

bool mountinfo_path(const char *line, char *ret)
{
    if (sscanf(line, "%*s %*s %*s %*s %4095s", ret) != 1)
        return false;
    octal_decode(ret);
    return true;
}

static struct error *entry_remove(const FTSENT *entry)
{
    bool is_directory = entry->fts_info == FTS_DP || entry->fts_info == FTS_DNR;

    if (entry->fts_info == FTS_D)
        return NULL;
    if ((is_directory ? rmdir(entry->fts_accpath) : unlink(entry->fts_accpath)) < 0 && errno != ENOENT)
        return error_errno(errno, "remove %s", entry->fts_path);
    return NULL;
}

struct error *tree_remove(const char *path)
{
    char *roots[] = {(char *)path, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
    struct error *failure = NULL;

    if (!tree)
        return error_errno(errno, "walk %s", path);
    for (const FTSENT *entry; !failure && (entry = fts_read(tree));)
        failure = entry_remove(entry);
    fts_close(tree);
    return failure;
}

struct error *directories_make(const char *path, mode_t mode)
{
    autofree char *copy = xstrdup(path);

    for (char *slash = copy + 1;; slash++) {
        slash = strchrnul(slash, '/');
        char end = *slash;
        *slash = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return error_errno(errno, "make %s", copy);
        if (!end)
            return NULL;
        *slash = end;
    }
}
