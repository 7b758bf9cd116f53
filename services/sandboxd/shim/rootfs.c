/* SHIM_ROOTFS: the root of a container, and its passwd and group. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/failpoint.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/pod_overlay.h"
#include "services/sandboxd/shim/shim.h"

enum { ROOTFS_LIMIT_MS = 60000 };

struct rootfs {
    struct step *step;
    char **layers; /* the lowest first; NULL-terminated */
    size_t count;
    char *target;
    char *storage;
};

static void rootfs_free(struct rootfs *rootfs)
{
    free(rootfs->layers);
    free(rootfs->target);
    free(rootfs->storage);
    free(rootfs);
}

/* --- in the task -------------------------------------------------------------------------------------------------- */

/* A regular file of the container's root, whatever links it has; a device or a FIFO is never opened. */
static bool hand_over_file(struct task_output *output, int root, const char *path)
{
    struct stat about;

    autoclose int found = path_open_in_root(root, path);
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
    const struct overlay overlay = {
        .layers = rootfs->layers, .count = rootfs->count, .storage = rootfs->storage, .target = rootfs->target, .is_writable = true};

    FAILPOINT("shim.rootfs.before_mount");
    if (!path_is_mount(rootfs->target))
        TRY(pod_overlay_mount(shim, &overlay));
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

static struct error *rootfs_begin(struct shim *shim, struct step *step)
{
    const char *id;

    TRY(step_container_name(step, &id));
    struct rootfs *rootfs = xcalloc(1, sizeof(*rootfs));
    rootfs->step = step;
    rootfs->layers = step_strings(step, SHIM_TAG_LAYER, &rootfs->count);
    rootfs->target = shim_path(shim, "rootfs/%s", id);
    rootfs->storage = shim_storage_path(shim, "%s", id);
    struct error *failure = job_task_run(shim, rootfs_make, rootfs, ROOTFS_LIMIT_MS, rootfs_done, rootfs);
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
