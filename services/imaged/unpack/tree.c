/* How a tree of any depth is removed: what lies too deep is first moved up to the root. */
#include "services/imaged/unpack/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 64, MOVED_NAME_SIZE = 64 };

struct removal {
    int root;
    unsigned moved; /* how many trees were moved up; they are in the root under a name of ours */
};

static struct error *directory_empty(struct removal *removal, int directory, unsigned depth);

static struct error *directory_move_up(struct removal *removal, int parent, const char *name)
{
    char moved[MOVED_NAME_SIZE];

    do {
        snprintf(moved, sizeof(moved), ".bulkhead.deep.%u", removal->moved++);
    } while (renameat2(parent, name, removal->root, moved, RENAME_NOREPLACE) < 0 && errno == EEXIST);
    return NULL;
}

static struct error *entry_remove(struct removal *removal, int parent, const char *name, unsigned depth)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return NULL;
    if (errno != EISDIR && errno != EPERM)
        return error_errno(errno, "remove %s", name);
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
        return NULL;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return error_errno(errno, "remove directory %s", name);
    if (depth >= DEPTH_MAX)
        return directory_move_up(removal, parent, name);
    int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return error_errno(errno, "open directory %s", name);
    TRY(directory_empty(removal, directory, depth + 1));
    return unlinkat(parent, name, AT_REMOVEDIR) < 0 ? error_errno(errno, "remove directory %s", name) : NULL;
}

static void stream_close(DIR **stream)
{
    closedir(*stream);
}

/* Takes the descriptor. */
static struct error *directory_empty(struct removal *removal, int directory, unsigned depth)
{
    DIR *opened = fdopendir(directory);

    if (!opened) {
        struct error *failure = error_errno(errno, "read directory");
        close(directory);
        return failure;
    }
    __attribute__((cleanup(stream_close))) DIR *stream = opened;
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            TRY(entry_remove(removal, dirfd(stream), entry->d_name, depth));
    }
    return NULL;
}

static struct error *directory_pass(struct removal *removal)
{
    int again = openat(removal->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return again < 0 ? error_errno(errno, "open the layer") : directory_empty(removal, again, 0);
}

struct error *tree_empty(int directory)
{
    struct removal removal = {.root = directory};
    unsigned before;

    do {
        before = removal.moved;
        TRY(directory_pass(&removal));
    } while (removal.moved != before);
    return NULL;
}

struct error *tree_remove(int root, int parent, const char *name)
{
    struct removal removal = {.root = root};

    TRY(entry_remove(&removal, parent, name, 0));
    for (unsigned i = 0; i < removal.moved; i++) { /* grows while the moved ones have deep trees of their own */
        char moved[MOVED_NAME_SIZE];
        snprintf(moved, sizeof(moved), ".bulkhead.deep.%u", i);
        TRY(entry_remove(&removal, root, moved, 0));
    }
    return NULL;
}
