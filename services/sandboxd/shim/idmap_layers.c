/* Why layers are mapped in a mount namespace of the process's own: an overlay wants them at paths, and whatever kills the process
 * takes such mounts along. */
#include "services/sandboxd/shim/idmap_layers.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/memory.h"
#include "services/sandboxd/shim/idmap.h"

void idmap_layers_fini(struct idmap_layers *there)
{
    for (char **layer = there->layers; layer && *layer; layer++)
        free(*layer);
    free(there->layers);
    free(there->merged);
    if (there->home >= 0)
        close(there->home);
}

static struct error *directory_add(const char *path)
{
    return mkdir(path, 0755) < 0 ? error_errno(errno, "make %s", path) : NULL;
}

/* Nothing that is mounted from here on is seen by anybody else. */
static struct error *namespace_leave(const char *target, int *ret_home)
{
    *ret_home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (*ret_home < 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return error_errno(errno, "make a mount namespace for layers");
    if (mount("layers", target, "tmpfs", 0, "mode=755") < 0)
        return error_errno(errno, "mount a directory for layers");
    return NULL;
}

struct error *idmap_layers_enter(const char *target, char *const *layers, size_t count, int user_fd, struct idmap_layers *ret)
{
    *ret = (struct idmap_layers){
        .home = -1, .layers = xcalloc(count + 1, sizeof(*ret->layers)), .merged = xasprintf("%s/merged", target)};
    TRY(namespace_leave(target, &ret->home));
    TRY(directory_add(ret->merged));
    for (size_t i = 0; i < count; i++) {
        ret->layers[i] = xasprintf("%s/%zu", target, i);
        TRY(directory_add(ret->layers[i]));
        TRY(idmap_mount(layers[i], false, user_fd, ret->layers[i]));
    }
    return NULL;
}

struct error *idmap_layers_leave(const struct idmap_layers *there, const char *target)
{
    autoclose int merged = open_tree(AT_FDCWD, there->merged, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (merged < 0)
        return error_errno(errno, "copy the mount at %s", there->merged);
    if (setns(there->home, CLONE_NEWNS) < 0)
        return error_errno(errno, "come back from the layers' mount namespace");
    if (move_mount(merged, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_errno(errno, "mount %s", target);
    return NULL;
}
