/* How an idmapped mount is made: mount_setattr(2). */
#include "services/sandboxd/shim/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"

/* What is unmounted of the copy must not be unmounted of what was copied, as it is where both are peers. */
static struct error *copy_follow(int fd, const char *path)
{
    struct mount_attr attributes = {.propagation = MS_SLAVE};

    if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof(attributes)) < 0)
        return error_errno(errno, "make the copy of %s a slave", path);
    return NULL;
}

struct error *idmap_clone(const char *path, bool is_recursive, int user_fd, int *ret_fd)
{
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)user_fd};
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (is_recursive ? AT_RECURSIVE : 0);
    autoclose int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, flags);

    if (fd < 0)
        return error_errno(errno, "copy the mount of %s", path);
    TRY(copy_follow(fd, path));
    if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) == 0) {
        *ret_fd = TAKE_FD(fd);
        return NULL;
    }
    struct error *failure = error_errno(errno, "map the owners of %s: its file system or this kernel may have no such mounts", path);
    failure->code = ERROR_FAILED_PRECONDITION;
    return failure;
}

struct error *idmap_mount(const char *path, bool is_recursive, int user_fd, const char *target)
{
    autoclose int fd = -1;

    TRY(idmap_clone(path, is_recursive, user_fd, &fd));
    if (move_mount(fd, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_errno(errno, "mount %s at %s", path, target);
    return NULL;
}
