/* SHIM_IMAGE_VOLUME: an image's files as a volume of a container. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/pod_overlay.h"
#include "services/sandboxd/shim/shim.h"
#include "services/sandboxd/shim/task_step.h"

enum { PATH_SIZE = 4096 };

/* Where a path of the image's own leads; its links lead nowhere out of it. The files never change, so the answer stays true. */
static struct error *sub_path_find(const char *volume, const char *sub_path, char *ret)
{
    autoclose int root = open(volume, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char link[40];

    if (root < 0)
        return error_errno(errno, "open %s", volume);
    autoclose int found = path_open_in_root(root, sub_path);
    if (found < 0)
        return error_errno(errno, "image_sub_path %s", sub_path);
    snprintf(link, sizeof(link), "/proc/self/fd/%d", found);
    ssize_t length = readlink(link, ret, PATH_SIZE - 1);
    if (length < 0)
        return error_errno(errno, "find image_sub_path %s", sub_path);
    ret[length] = '\0';
    return NULL;
}

static struct error *volume_mount(const struct shim *shim, const struct step *step, const char *target)
{
    size_t count;
    autofree char **layers = step_strings(step, SHIM_TAG_LAYER, &count);
    unsigned long long number = step_u64(step, SHIM_TAG_VOLUME, 0);
    autofree char *storage = shim_storage_path(shim, "%s/volume%llu", step_string(step, SHIM_TAG_CONTAINER), number);
    const struct overlay overlay = {.layers = layers, .count = count, .target = target, .storage = storage};

    return path_is_mount(target) ? NULL : pod_overlay_mount(shim, &overlay);
}

static struct error *volume_make(const struct shim *shim, void *input, struct task_output *output)
{
    const struct step *step = input;
    const char *sub_path = step_string(step, SHIM_TAG_SUB_PATH), *id;
    char found[PATH_SIZE];

    TRY(step_container_name(step, &id));
    autofree char *target = shim_path(shim, "volumes/%s/%llu", id, (unsigned long long)step_u64(step, SHIM_TAG_VOLUME, 0));
    FAILPOINT("shim.image_volume.before_mount");
    TRY(volume_mount(shim, step, target));
    FAILPOINT("shim.image_volume.after_mount");
    if (sub_path)
        TRY(sub_path_find(target, sub_path, found));
    wire_put_string(&output->fields, SHIM_TAG_PATH, sub_path ? found : target);
    return NULL;
}

void image_volume_mount(struct shim *shim, struct step *step)
{
    task_step_run(shim, step, volume_make, "mount the image");
}
