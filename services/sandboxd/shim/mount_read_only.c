/* SHIM_READ_ONLY: mounts of a created container become read-only with all that is mounted below them. The OCI runtimes' own
 * "rro" would do it too, but older ones take the word for the file system's and leave what is below writable. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/shim.h"
#include "services/sandboxd/shim/task_step.h"

enum { PATH_SIZE = 4096, MOUNTS_SIZE_MAX = 64 << 20 };

/* Where the container's path leads, as mountinfo names it. proc: the host's /proc/self. */
static struct error *path_resolve(int proc, const char *path, char *ret)
{
    autoclose int fd = path_open_in_root(AT_FDCWD, path);
    char link[40];

    if (fd < 0)
        return error_errno(errno, "open %s in the container", path);
    snprintf(link, sizeof(link), "fd/%d", fd);
    ssize_t length = readlinkat(proc, link, ret, PATH_SIZE - 1);
    if (length < 0)
        return error_errno(errno, "find %s in the container", path);
    ret[length] = '\0';
    return NULL;
}

static struct error *paths_resolve(int proc, char **paths, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char resolved[PATH_SIZE];
        TRY(path_resolve(proc, paths[i], resolved));
        paths[i] = xstrdup(resolved); /* the task ends soon */
    }
    return NULL;
}

static bool is_below(const char *path, const char *top)
{
    size_t length = strlen(top);

    return strncmp(path, top, length) == 0 && (path[length] == '\0' || path[length] == '/');
}

/* Another mount that the container asks for, below this one, is what it asks for. */
static bool has_others(const char *top, char *const *others)
{
    for (; *others; others++)
        if (strlen(*others) > strlen(top) && is_below(*others, top))
            return true;
    return false;
}

static bool is_of_another(const char *mount, const char *top, char *const *others)
{
    for (; *others; others++)
        if (strlen(*others) > strlen(top) && is_below(*others, top) && is_below(mount, *others))
            return true;
    return false;
}

static int mount_protect(const char *mount, unsigned flags)
{
    struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY};

    return (int)syscall(SYS_mount_setattr, AT_FDCWD, mount, AT_SYMLINK_NOFOLLOW | flags, &attributes, sizeof(attributes));
}

/* One by one. A mount that is hidden below another cannot be reached by its path, by nobody. */
static void mounts_below_protect(const char *mounts, const char *top, char *const *others)
{
    autofree char *copy = xstrdup(mounts);
    char *rest = NULL;

    for (char *line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char mount[PATH_SIZE];
        if (mountinfo_path(line, mount) && is_below(mount, top) && !is_of_another(mount, top, others))
            mount_protect(mount, 0);
    }
}

static struct error *tree_protect(const char *mounts, const char *top, char *const *others)
{
    bool is_whole = !has_others(top, others);

    if (mount_protect(top, is_whole ? AT_RECURSIVE : 0) < 0)
        return error_errno(errno, "make %s read-only", top);
    if (!is_whole)
        mounts_below_protect(mounts, top, others);
    return NULL;
}

static struct error *read_only_make(const struct shim *shim, void *input, struct task_output *output)
{
    size_t count, other_count;
    autofree char **paths = step_strings(input, SHIM_TAG_PATH, &count);
    autofree char **others = step_strings(input, SHIM_TAG_OTHER_MOUNT, &other_count);
    autofree char *mounts = NULL;
    const char *id;
    size_t size;
    autoclose int proc = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)output;
    if (proc < 0)
        return error_errno(errno, "open /proc/self");
    TRY(step_container_name(input, &id));
    TRY(container_enter_mounts(shim, id));
    autoclose int mountinfo = openat(proc, "mountinfo", O_RDONLY | O_CLOEXEC);
    if (mountinfo < 0)
        return error_errno(errno, "open the container's mountinfo");
    TRY(fd_read_all(mountinfo, MOUNTS_SIZE_MAX, &mounts, &size));
    TRY(paths_resolve(proc, paths, count));
    TRY(paths_resolve(proc, others, other_count));
    for (size_t i = 0; i < count; i++)
        TRY(tree_protect(mounts, paths[i], others));
    return NULL;
}

void mount_read_only(struct shim *shim, struct step *step)
{
    task_step_run(shim, step, read_only_make, "recursive_read_only");
}
