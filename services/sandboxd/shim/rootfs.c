/* SHIM_ROOTFS: the overlay of a container's layers, and its passwd and group. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/failpoint.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/shim.h"

enum { ROOTFS_LIMIT_MS = 60000, OVERLAY_OPTIONS_MAX = 4096 };

struct rootfs {
    struct step *step;
    char **layers; /* the lowest first; NULL-terminated */
    size_t count;
    char *target;
    char *storage; /* has upper and work */
    char *empty;   /* the layer of an image that has none, or NULL */
};

static void rootfs_free(struct rootfs *rootfs)
{
    free(rootfs->layers);
    free(rootfs->target);
    free(rootfs->storage);
    free(rootfs->empty);
    free(rootfs);
}

/* --- in the task -------------------------------------------------------------------------------------------------- */

static int overlay_set(int filesystem, const char *key, const char *value)
{
    return fsconfig(filesystem, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, key, value, 0);
}

/* One layer a call (kernel 6.7 and later): no limit of 4 KiB. The topmost comes first. */
static bool overlay_mount_new(const struct rootfs *rootfs, const char *upper, const char *work)
{
    autoclose int filesystem = fsopen("overlay", FSOPEN_CLOEXEC);

    if (filesystem < 0)
        return false;
    for (size_t i = rootfs->count; i-- > 0;)
        if (overlay_set(filesystem, "lowerdir+", rootfs->layers[i]) < 0)
            return false;
    if (overlay_set(filesystem, "upperdir", upper) < 0 || overlay_set(filesystem, "workdir", work) < 0 ||
        overlay_set(filesystem, "userxattr", NULL) < 0 || overlay_set(filesystem, "index", "off") < 0 ||
        fsconfig(filesystem, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return false;
    autoclose int mounted = fsmount(filesystem, FSMOUNT_CLOEXEC, 0);
    return mounted >= 0 && move_mount(mounted, "", AT_FDCWD, rootfs->target, MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

/* mount(2)'s options end at a page: so layers go by links of a few bytes in one directory, 500 of them. */
static struct error *overlay_mount_classic(const struct rootfs *rootfs, const char *upper, const char *work)
{
    char options[OVERLAY_OPTIONS_MAX];
    autofree char *links = xasprintf("%s/l", rootfs->storage);
    size_t used = 0;

    TRY(tree_remove(links));
    TRY(directories_make(links, 0700));
    if (chdir(links) < 0)
        return error_errno(errno, "enter %s", links);
    for (size_t i = 0; i < rootfs->count; i++) {
        autofree char *name = xasprintf("%zx", i);
        if (symlink(rootfs->layers[i], name) < 0)
            return error_errno(errno, "link layer %s", rootfs->layers[i]);
    }
    used += (size_t)snprintf(options, sizeof(options), "userxattr,index=off,upperdir=%s,workdir=%s,lowerdir=", upper, work);
    for (size_t i = rootfs->count; i-- > 0 && used < sizeof(options);)
        used += (size_t)snprintf(options + used, sizeof(options) - used, "%zx%s", i, i ? ":" : "");
    if (used >= sizeof(options))
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%zu layers are too many for this kernel", rootfs->count);
    if (mount("overlay", rootfs->target, "overlay", 0, options) < 0)
        return error_errno(errno, "mount the overlay of %zu layers", rootfs->count);
    return NULL;
}

static struct error *overlay_mount(const struct rootfs *rootfs)
{
    autofree char *upper = xasprintf("%s/upper", rootfs->storage);
    autofree char *work = xasprintf("%s/work", rootfs->storage);

    TRY(directories_make(rootfs->target, 0755));
    TRY(directories_make(rootfs->storage, 0711));
    TRY(directories_make(upper, 0755));
    TRY(directories_make(work, 0711));
    if (rootfs->empty)
        TRY(directories_make(rootfs->empty, 0755));
    FAILPOINT("shim.rootfs.before_mount");
    if (overlay_mount_new(rootfs, upper, work))
        return NULL;
    return overlay_mount_classic(rootfs, upper, work);
}

/* A regular file of the container's root, whatever links it has; a device or a FIFO is never opened. */
static bool hand_over_file(struct task_output *output, int root, const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    struct stat about;

    autoclose int found = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
    if (found < 0 || fstat(found, &about) < 0 || !S_ISREG(about.st_mode))
        return false;
    autofree char *again = xasprintf("/proc/self/fd/%d", found);
    int fd = open(again, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    output->fds[output->fd_count++] = fd;
    return true;
}

static struct error *rootfs_make(const struct shim *shim, void *input, struct task_output *output)
{
    const struct rootfs *rootfs = input;

    (void)shim;
    if (!path_is_mount(rootfs->target))
        TRY(overlay_mount(rootfs));
    FAILPOINT("shim.rootfs.after_mount");
    autoclose int root = open(rootfs->target, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return error_errno(errno, "open %s", rootfs->target);
    wire_put_string(&output->fields, SHIM_TAG_PATH, rootfs->target);
    wire_put_u64(&output->fields, SHIM_TAG_HAS_PASSWD, hand_over_file(output, root, "etc/passwd"));
    wire_put_u64(&output->fields, SHIM_TAG_HAS_GROUP, hand_over_file(output, root, "etc/group"));
    return NULL;
}

/* --- in the shim -------------------------------------------------------------------------------------------------- */

static void rootfs_done(struct shim *shim, struct job *job)
{
    struct rootfs *rootfs = job->argument;
    struct step *step = rootfs->step;

    rootfs_free(rootfs);
    if (job->error) {
        step_finish(shim, step, error_wrap(TAKE(job->error), "mount the root file system"));
        return;
    }
    wire_writer_fini(&step->result);
    step->result = job->fields;
    job->fields = (struct wire_writer){0};
    for (size_t i = 0; i < job->fd_count && i < STEP_FDS_MAX; i++)
        step->fds[step->fd_count++] = job_take_fd(job, i);
    step_finish(shim, step, NULL);
}

static struct error *rootfs_check(const struct rootfs *rootfs)
{
    for (size_t i = 0; i < rootfs->count; i++)
        if (rootfs->layers[i][0] != '/')
            return error_new(ERROR_INVALID_ARGUMENT, "layer %s is no absolute path", rootfs->layers[i]);
    return NULL;
}

/* An image may have no layers, an overlay may not. */
static void rootfs_fill(struct rootfs *rootfs)
{
    if (rootfs->count > 0)
        return;
    rootfs->empty = xasprintf("%s/empty", rootfs->storage);
    rootfs->layers = xreallocarray(rootfs->layers, 2, sizeof(rootfs->layers[0]));
    rootfs->layers[rootfs->count++] = rootfs->empty;
    rootfs->layers[rootfs->count] = NULL;
}

static struct error *rootfs_begin(struct shim *shim, struct step *step)
{
    const char *id;

    TRY(step_container_name(step, &id));
    struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));
    rootfs->step = step;
    rootfs->layers = step_strings(step, SHIM_TAG_LAYER, &rootfs->count);
    rootfs->target = shim_path(shim, "rootfs/%s", id);
    rootfs->storage = shim_storage_path(shim, "%s", id);
    rootfs_fill(rootfs);
    struct error *failure = rootfs_check(rootfs);
    if (!failure)
        failure = job_task_run(shim, rootfs_make, rootfs, ROOTFS_LIMIT_MS, rootfs_done, rootfs);
    if (failure)
        rootfs_free(rootfs);
    return failure;
}

void rootfs_mount(struct shim *shim, struct step *step)
{
    struct error *failure = rootfs_begin(shim, step);

    if (failure)
        step_finish(shim, step, error_wrap(failure, "mount the root file system"));
}
