/* What is different about an overlay when the pod has a user namespace. */
#include "services/sandboxd/shim/pod_overlay.h"

#include <errno.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/idmap_layers.h"
#include "services/sandboxd/shim/mounts.h"
#include "services/sandboxd/shim/shim.h"

/* Its owner is that of the container's root directory. */
static struct error *upper_give(const struct overlay *overlay, const struct user_map *map)
{
    autofree char *upper = xasprintf("%s/upper", overlay->storage);

    TRY(directories_make(overlay->storage, 0711));
    TRY(directories_make(upper, 0755));
    if (chown(upper, map->uid_first, map->gid_first) < 0)
        return error_errno(errno, "give %s to the pod's root", upper);
    return NULL;
}

static struct error *overlay_mount_mapped(const struct shim *shim, const struct overlay *overlay)
{
    __attribute__((cleanup(idmap_layers_fini))) struct idmap_layers there = {.home = -1};
    autofree char *netns = shim_path(shim, "netns");
    autoclose int user_fd = -1;

    TRY(user_namespace_of(netns, &user_fd));
    TRY(directories_make(overlay->target, 0755));
    if (overlay->is_writable)
        TRY(upper_give(overlay, &shim->pod.record.user));
    TRY(idmap_layers_enter(overlay->target, overlay->layers, overlay->count, user_fd, &there));
    struct overlay mapped = *overlay;
    mapped.layers = there.layers;
    mapped.target = there.merged;
    TRY(overlay_mount(&mapped));
    FAILPOINT("shim.overlay.before_leave");
    return idmap_layers_leave(&there, overlay->target);
}

struct error *pod_overlay_mount(const struct shim *shim, const struct overlay *overlay)
{
    return user_map_is_set(&shim->pod.record.user) ? overlay_mount_mapped(shim, overlay) : overlay_mount(overlay);
}
