/* How unpack locks itself into one directory before it reads a byte of the archive. */
#include "services/imaged/unpack/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/memory.h"

/* imaged owns what is below ROOT/imaged, so no link there may be followed; ROOT itself is root's. */
struct error *jail_layer_open(const char *root, const char *name, int *ret_fd)
{
    const struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };

    if (name[0] == '\0' || name[0] == '.' || strchr(name, '/'))
        return error_new(ERROR_INVALID_ARGUMENT, "layer name \"%s\" is none", name);
    autoclose int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return error_errno(errno, "open %s", root);
    autofree char *path = xasprintf("imaged/layers/%s", name);
    int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
    if (fd < 0)
        return error_errno(errno, "open layer %s", name);
    *ret_fd = fd;
    return NULL;
}

static struct error *mounts_leave(const char *directory)
{
    const unsigned long flags = MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC;

    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) < 0)
        return error_errno(errno, "unshare");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return error_errno(errno, "make mounts private");
    if (mount(directory, directory, NULL, MS_BIND, NULL) < 0)
        return error_errno(errno, "bind the layer");
    return mount(NULL, directory, NULL, flags, NULL) < 0 ? error_errno(errno, "remount the layer") : NULL;
}

static struct error *root_change(const char *directory)
{
    if (chdir(directory) < 0)
        return error_errno(errno, "enter the layer");
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return error_errno(errno, "pivot_root");
    if (umount2(".", MNT_DETACH) < 0)
        return error_errno(errno, "leave the old root");
    return chdir("/") < 0 ? error_errno(errno, "chdir") : NULL;
}

struct error *jail_enter(const char *root, const char *name)
{
    char path[4096], self[64];
    int directory = -1;

    TRY(jail_layer_open(root, name, &directory));
    autoclose int closing = directory;
    snprintf(self, sizeof(self), "/proc/self/fd/%d", directory);
    ssize_t length = readlink(self, path, sizeof(path) - 1);
    if (length < 0)
        return error_errno(errno, "find the layer's path");
    path[length] = '\0';
    if (flock(directory, LOCK_EX) < 0) /* one that a dead imaged left behind ends first */
        return error_errno(errno, "lock layer %s", name);
    TRY_TO(mounts_leave(path), "jail of layer %s", name);
    TRY_TO(root_change(path), "jail of layer %s", name);
    closing = -1; /* the lock stays as long as the process */
    return NULL;
}
