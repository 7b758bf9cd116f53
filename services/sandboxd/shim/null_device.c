/* How a device node is made that is at no path. */
#include "services/sandboxd/shim/null_device.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/fd.h"

enum { NULL_MAJOR = 1, NULL_MINOR = 3 /* Documentation/admin-guide/devices.txt */ };

struct error *null_device_open(int *ret_fd)
{
    autoclose int filesystem = fsopen("tmpfs", FSOPEN_CLOEXEC);

    if (filesystem < 0 || fsconfig(filesystem, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return error_errno(errno, "make a file system for a null device");
    autoclose int root = fsmount(filesystem, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    if (root < 0 || mknodat(root, "null", S_IFCHR | 0666, makedev(NULL_MAJOR, NULL_MINOR)) < 0 || fchmodat(root, "null", 0666, 0) < 0)
        return error_errno(errno, "make a null device");
    *ret_fd = openat(root, "null", O_RDWR | O_CLOEXEC);
    return *ret_fd < 0 ? error_errno(errno, "open a null device") : NULL;
}
